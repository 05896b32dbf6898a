/* When which anchor is asked what. See anchors.h. */
#include "cmd/room/anchors.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/stamp.h"

#define TICK_S 1

static const char *kind_of(const struct anchor *a)
{
    return a->conf->is_witness ? "witness" : "timestamp";
}

/* ---- opening ---- */

static void take_ca(struct anchors *as, struct span group)
{
    for (size_t i = 0; i < as->count; i++)
        if (span_equal(fields_text(group, FIELD_NAME), span_str(as->items[i].conf->name))
            && span_equal(fields_text(group, FIELD_KIND), span_str(kind_of(&as->items[i])))) {
            writer_reset(&as->items[i].ca);
            write_span(&as->items[i].ca, fields_text(group, FIELD_CA));
        }
}

bool anchors_open(struct room *room, struct span start, struct error *err)
{
    struct anchors *as = calloc(1, sizeof *as);
    struct fields_reader r = fields_over(start);
    struct field_value v;

    room->anchors = as;
    if (as == NULL)
        return error_set(err, ERR_MEMORY, "anchors");
    as->timer_fd = as->relay.fd = -1;
    as->items = calloc(room->conf.anchor_count + 1, sizeof *as->items);
    if (as->items == NULL)
        return error_set(err, ERR_MEMORY, "anchors");
    as->count = room->conf.anchor_count;
    for (size_t i = 0; i < as->count; i++)
        as->items[i] = (struct anchor){ .conf = &room->conf.anchors[i],
                                        .ca = writer_new(CONF_CA_BYTES_MAX),
                                        .stamp_request = writer_new(1024),
                                        .since_ms = clock_monotonic_ms(room->clock) };
    while (fields_next(&r, &v))
        if (v.field == FIELD_ANCHOR)
            take_ca(as, v.value);
    return true;
}

void anchors_close(struct room *room)
{
    struct anchors *as = room->anchors;

    if (as == NULL)
        return;
    for (size_t i = 0; i < as->count; i++) {
        writer_done(&as->items[i].ca);
        writer_done(&as->items[i].stamp_request);
        anchor_head_done(&as->items[i].head);
        anchor_head_done(&as->items[i].next);
    }
    free(as->items);
    file_close(&as->timer_fd);
    file_close(&as->relay.fd);
    free(as);
    room->anchors = NULL;
}

void anchors_own(struct room *room, uint64_t position)
{
    struct anchors *as = room->anchors;

    as->own[as->own_count++ % ANCHOR_OWN_MAX] = position;
}

bool anchors_only_own(const struct room *room, uint64_t from, uint64_t to)
{
    const struct anchors *as = room->anchors;
    const size_t count = as->own_count < ANCHOR_OWN_MAX ? as->own_count : ANCHOR_OWN_MAX;
    uint64_t own = 0;

    for (size_t i = 0; i < count; i++)
        own += as->own[i] >= from && as->own[i] < to;
    return to - from == own;
}

/* Two witnesses of each other would else give one another something to cosign for ever. */
static bool nothing_new(const struct room *room, const struct anchor *a)
{
    return a->head_there && anchors_only_own(room, a->head.size, store_committed_size(room->store));
}

/* ---- what the log has of earlier successes, for the status: asked of the views once, at the start ---- */

struct remembering {
    struct job job;
    struct room *room;
    struct writer rows; /* groups */
};

static bool remember_row(void *context, struct span row)
{
    struct remembering *r = context;
    const size_t group = field_group_begin(&r->rows, FIELD_ANCHOR);

    write_span(&r->rows, row);
    field_group_end(&r->rows, group);
    return true;
}

static void remember_run(struct job *job, struct vault_reader *reader)
{
    struct remembering *r = (struct remembering *)job;
    struct writer request = writer_new(256);
    struct error err = { 0 };

    field_put_str(&request, FIELD_QUERY, "anchored");
    (void)vault_find(reader, writer_span(&request), remember_row, r, &err); /* without it the status knows less */
    writer_done(&request);
}

static void remember_done(struct job *job, void *context)
{
    struct remembering *r = (struct remembering *)job;
    struct room *room = context;
    struct fields_reader reader = fields_over(writer_span(&r->rows));
    struct field_value v;

    while (fields_next(&reader, &v))
        for (size_t i = 0; room->anchors != NULL && i < room->anchors->count; i++) {
            struct anchor *a = &room->anchors->items[i];

            if (a->success_us != 0 || !span_equal(fields_text(v.value, FIELD_KIND), span_str(kind_of(a)))
                || !span_equal(fields_text(v.value, FIELD_NAME), span_str(a->conf->name)))
                continue;
            a->success_us = fields_uint(v.value, FIELD_RECEIVED, 0);
            a->recorded_size = fields_uint(v.value, FIELD_TREE_SIZE, 0);
        }
    writer_done(&r->rows);
    free(r);
}

static void remember(struct room *room)
{
    struct remembering *r = calloc(1, sizeof *r);

    if (r == NULL)
        return;
    *r = (struct remembering){ .job = { .run = remember_run, .done = remember_done },
                               .room = room,
                               .rows = writer_new(CHANNEL_MESSAGE_MAX) };
    if (!jobs_add(room->quick, &r->job)) {
        writer_done(&r->rows);
        free(r);
    }
}

/* ---- asking ---- */

static void post(struct room *room, struct anchor *a)
{
    struct anchors *as = room->anchors;
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX), body = writer_new(CHANNEL_MESSAGE_MAX / 2);
    struct error err = { 0 };

    if (a->conf->is_witness)
        witness_request_write(&a->next.request, &body);
    else
        write_span(&body, writer_span(&a->stamp_request));
    field_put_str(&w, FIELD_KIND, kind_of(a));
    field_put_str(&w, FIELD_NAME, a->conf->name);
    field_put_str(&w, FIELD_CONTENT_TYPE, a->conf->is_witness ? "text/plain; charset=utf-8" : STAMP_REQUEST_TYPE);
    field_put_bytes(&w, FIELD_HTTP_BODY, writer_span(&body));
    as->next_id += as->next_id + 1 == 0 ? 2 : 1; /* 0 wants no answer */
    a->id = as->next_id;
    a->posted_ms = clock_monotonic_ms(room->clock);
    a->state = ANCHOR_POSTED;
    if (as->relay.fd < 0)
        anchor_failed(room, a, "the relay is not there");
    else if (!writer_ok(&body, &err, "request") || !writer_ok(&w, &err, "request")
             || !channel_try_send(&as->relay, VERB_POST, a->id, writer_span(&w), NULL, 0, &err))
        anchor_failed(room, a, err.text);
    writer_done(&body);
    writer_done(&w);
}

/* ---- the job: a head and its proof ---- */

struct preparing {
    struct job job;
    struct room *room;
    struct anchor *anchor;
    bool ran;
    uint64_t old_size;
    struct anchor_head head;
    struct writer stamp_request;
    struct error err;
};

static void prepare_run(struct job *job, struct vault_reader *reader)
{
    struct preparing *p = (struct preparing *)job;

    (void)reader;
    p->ran = anchor_head_read(p->room->store, p->old_size, &p->head, &p->err)
             && (p->anchor->conf->is_witness || stamp_request(p->head.request.note, &p->stamp_request, &p->err));
}

static void prepare_done(struct job *job, void *context)
{
    struct preparing *p = (struct preparing *)job;
    struct room *room = context;
    struct anchor *a = p->anchor;

    if (p->ran) {
        anchor_head_done(&a->next);
        a->next = p->head;
        writer_reset(&a->stamp_request);
        write_span(&a->stamp_request, writer_span(&p->stamp_request));
        post(room, a);
    } else {
        anchor_head_done(&p->head);
        if (p->err.code == ERR_NOT_FOUND) {
            (void)error_set(&p->err, ERR_REFUSED, "the witness has cosigned %llu records, this log has %llu: it was rolled back",
                            (unsigned long long)p->old_size, (unsigned long long)store_committed_size(room->store));
            a->known_size = 0; /* it is asked again each time */
            anchor_refused(room, a, p->err.text);
        } else
            anchor_failed(room, a, p->err.code != ERR_NONE ? p->err.text : "stopped");
    }
    writer_done(&p->stamp_request);
    free(p);
}

/* The head that succeeded last once more: is the anchor still there, and of the same mind? */
static bool again(struct room *room, struct anchor *a)
{
    struct error err = { 0 };

    anchor_head_done(&a->next);
    a->next = (struct anchor_head){ .size = a->head.size, .note = writer_new(NOTE_BYTES_MAX) };
    memcpy(a->next.root, a->head.root, ROOT_BYTES);
    write_span(&a->next.note, writer_span(&a->head.note));
    a->next.request.note = writer_span(&a->next.note);
    a->next.request.old_size = a->next.size;
    writer_reset(&a->stamp_request);
    if (writer_ok(&a->next.note, &err, "note") && (a->conf->is_witness || stamp_request(a->next.request.note, &a->stamp_request, &err)))
        post(room, a);
    else
        anchor_failed(room, a, err.text);
    return true;
}

void anchor_begin(struct room *room, struct anchor *a)
{
    struct preparing *p;

    a->state = ANCHOR_PREPARES;
    if (nothing_new(room, a) && (!a->conf->is_witness || a->known_size == a->head.size) && again(room, a))
        return;
    p = calloc(1, sizeof *p);
    if (p == NULL) {
        anchor_failed(room, a, "memory");
        return;
    }
    *p = (struct preparing){ .job = { .run = prepare_run, .done = prepare_done },
                             .room = room,
                             .anchor = a,
                             .old_size = a->conf->is_witness ? a->known_size : 0,
                             .stamp_request = writer_new(1024) };
    if (jobs_add(room->quick, &p->job))
        return;
    free(p);
    anchor_failed(room, a, "too much else to do");
}

/* ---- the clock ---- */

static void look_late(struct room *room, struct anchor *a, uint64_t now_ms)
{
    struct writer more;

    if (a->late || now_ms - a->since_ms <= (uint64_t)a->conf->every_s * 1000 * ANCHOR_LATE_FACTOR)
        return;
    a->late = true;
    more = writer_new(1024);
    field_put_str(&more, FIELD_KIND, kind_of(a));
    field_put_str(&more, FIELD_NAME, a->conf->name);
    field_put_str(&more, FIELD_DETAIL, a->fault);
    event_record(room, "anchor.late", NULL, "failed", "the last success is too old", writer_span(&more));
    log_error(&room->log, "anchor.late", f_str("kind", kind_of(a)), f_str("name", a->conf->name),
              f_uint("seconds", (now_ms - a->since_ms) / 1000), f_str("error", a->fault));
    writer_done(&more);
}

static void tick(struct room *room, struct watched *self)
{
    struct anchors *as = room->anchors;
    const uint64_t now_ms = clock_monotonic_ms(room->clock);
    uint64_t times;

    (void)self;
    (void)!read(as->timer_fd, &times, sizeof times);
    for (size_t i = 0; i < as->count; i++) {
        struct anchor *a = &as->items[i];

        if (a->state == ANCHOR_POSTED && now_ms - a->posted_ms > ANCHOR_ANSWER_MAX_MS)
            anchor_failed(room, a, "the relay does not answer");
        if (a->state == ANCHOR_RESTS && now_ms >= a->due_ms) {
            a->conflicts = 0;
            anchor_begin(room, a);
        }
        look_late(room, a, now_ms);
    }
}

bool anchors_start(struct room *room, struct error *err)
{
    struct anchors *as = room->anchors;
    const struct itimerspec every = { .it_interval = { .tv_sec = TICK_S }, .it_value = { .tv_nsec = 1 } };
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = &as->timer_watch };

    if (as->count == 0)
        return true;
    remember(room);
    as->timer_watch.ready = tick;
    as->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (as->timer_fd < 0 || timerfd_settime(as->timer_fd, 0, &every, NULL) != 0
        || epoll_ctl(room->epoll_fd, EPOLL_CTL_ADD, as->timer_fd, &e) != 0)
        return error_errno(err, "timer of the anchors");
    return true;
}

/* ---- the relay ---- */

static void relay_gone(struct room *room)
{
    struct anchors *as = room->anchors;

    if (as->relay.fd >= 0)
        (void)epoll_ctl(room->epoll_fd, EPOLL_CTL_DEL, as->relay.fd, NULL);
    file_close(&as->relay.fd);
    for (size_t i = 0; i < as->count; i++)
        if (as->items[i].state == ANCHOR_POSTED)
            anchor_failed(room, &as->items[i], "the relay went away");
}

static void relay_ready(struct room *room, struct watched *self)
{
    struct anchors *as = room->anchors;
    struct message m;
    struct error err = { 0 };

    (void)self;
    if (!channel_receive(&as->relay, room->message, sizeof room->message, &m, 0, &err)) {
        if (err.code != ERR_TIMEOUT)
            relay_gone(room);
        return;
    }
    for (size_t i = 0; i < as->count; i++)
        if (m.verb == VERB_REPLY && as->items[i].state == ANCHOR_POSTED && as->items[i].id == m.id) {
            anchor_answered(room, &as->items[i], m.fields);
            break; /* it may have begun again, with another id */
        }
    message_done(&m);
}

void anchors_join(struct room *room, int fd)
{
    struct anchors *as = room->anchors;
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = &as->relay_watch };

    relay_gone(room);
    as->relay_watch.ready = relay_ready;
    as->relay.fd = fd;
    if (epoll_ctl(room->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
        relay_gone(room);
    for (size_t i = 0; i < as->count; i++) /* whoever failed because it was not there need not wait */
        if (as->items[i].state == ANCHOR_RESTS && as->items[i].failures > 0)
            as->items[i].due_ms = 0;
}

/* ---- telling ---- */

static const char *state_name(const struct anchor *a)
{
    return a->refused            ? "refused"
           : a->late             ? "late"
           : a->fault[0] != '\0' ? "failing"
           : a->success_us != 0  ? "ok"
                                 : "waiting";
}

void anchors_find(struct room *room, struct session *s, uint32_t id)
{
    const struct anchors *as = room->anchors;
    const uint64_t now_us = clock_wall_us(room->clock);
    struct writer row = writer_new(4096);
    bool ok = true;

    for (size_t i = 0; ok && i < as->count; i++) {
        const struct anchor *a = &as->items[i];

        writer_reset(&row);
        field_put_str(&row, FIELD_KIND, kind_of(a));
        field_put_str(&row, FIELD_NAME, a->conf->name);
        field_put_str(&row, FIELD_STATE, state_name(a));
        field_put_uint(&row, FIELD_LATEST, a->success_us);
        field_put_uint(&row, FIELD_TREE_SIZE, a->head_there ? a->head.size : a->recorded_size);
        if (a->success_us != 0)
            field_put_uint(&row, FIELD_AGE_S, now_us > a->success_us ? (now_us - a->success_us) / 1000000 : 0);
        field_put_uint(&row, FIELD_EVERY_S, a->conf->every_s);
        field_put_some(&row, FIELD_REASON, span_str(a->fault));
        ok = channel_try_send(&s->channel, VERB_ROW, id, writer_span(&row), NULL, 0, NULL);
    }
    writer_done(&row);
    if (!ok || !session_reply(s, id, NULL, (struct span){ NULL, 0 }))
        session_end(room, s);
}
