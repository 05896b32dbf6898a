/*
 * Twins, seen from the vault's room (docs/twin.md): on a first machine their questions and their lag, on a twin its
 * own state, and the log of its own that traces who reads there.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "channel/pinned.h"
#include "cmd/room/following.h"
#include "cmd/room/room.h"

static const struct span nothing = { NULL, 0 };

/* ---- a first: who follows ---- */

const struct conf_twin *follow_admit(struct room *room, struct session *s, struct span certificate)
{
    for (size_t i = 0; i < room->conf.twin_count; i++)
        if (span_equal(certificate, span_str(room->conf.twins[i].certificate))) {
            s->twin = (int)i;
            return &room->conf.twins[i];
        }
    return NULL;
}

struct question {
    struct job job;
    struct room *room;
    struct session *session; /* held */
    uint32_t id;
    struct follow_question state;
    struct follow_head head;
    struct follow_range range;
    size_t len, got;
    struct error err;
};

static void answer(struct question *q, struct room *room, struct span more)
{
    if (!session_reply(q->session, q->id, &q->err, more))
        session_end(room, q->session);
    session_release(room, q->session);
    free(q);
}

static void queue(struct room *room, struct question *q)
{
    session_hold(room, q->session);
    if (jobs_add(room->following_jobs, &q->job))
        return;
    (void)error_set(&q->err, ERR_BUSY, "too many questions wait");
    answer(q, room, nothing);
}

static struct question *question_new(struct room *room, struct session *s, const struct message *m)
{
    struct question *q = calloc(1, sizeof *q);

    if (q == NULL) {
        session_end(room, s);
        return NULL;
    }
    q->room = room;
    q->session = s;
    q->id = m->id;
    return q;
}

static void run_state(struct job *job, struct vault_reader *reader)
{
    struct question *q = (struct question *)job;

    (void)reader;
    (void)store_follow_head(q->room->store, q->state.from, q->state.position, &q->head, &q->err);
}

static void state_done(struct job *job, void *context)
{
    struct question *q = (struct question *)job;
    struct room *room = context;
    struct writer more = writer_new(8192);

    if (q->err.code == ERR_NONE)
        follow_head_write(&q->head, clock_wall_us(room->clock), &more);
    answer(q, room, writer_span(&more));
    writer_done(&more);
}

/* Under load a twin never has everything that is there now, but what was there a moment ago. */
static void hear_of(struct twin_watch *w, uint64_t position, uint64_t committed, uint64_t now_us)
{
    bool kept = position >= w->promise_size;

    if (kept && w->promise_us > 0)
        w->current_us = w->promise_us;
    if (position >= committed)
        w->current_us = now_us;
    if (kept) {
        w->promise_size = committed;
        w->promise_us = now_us;
    }
}

/* How far a twin has erased is its word, kept in the log: the keys are on its disk, not on ours. */
static void note_applied(struct room *room, const struct conf_twin *c, struct twin_watch *w, uint64_t applied)
{
    uint64_t told = w->told;
    struct error err = { 0 };

    if (!vault_twin_says(room->vault, c->name, c->certificate, applied, clock_wall_us(room->clock), &w->told, &err)) {
        if (w->applied != applied && err.code == ERR_REFUSED)
            log_warn(&room->log, "twin.not-believed", f_str("twin", c->name), f_uint("position", applied), f_err(&err));
        else if (w->applied != applied)
            log_error(&room->log, "twin.not-recorded", f_str("twin", c->name), f_uint("position", applied), f_err(&err));
    } else if (w->told != told) {
        store_kick(room->store);
        log_info(&room->log, "twin.applied", f_str("twin", c->name), f_uint("position", applied));
    }
    w->applied = applied;
}

/* What it says of itself. */
static void hear(struct room *room, const struct session *s, const struct follow_question *state)
{
    struct twin_watch *w = &room->twins[s->twin];

    w->position = state->position;
    note_applied(room, &room->conf.twins[s->twin], w, state->applied);
    hear_of(w, state->position, store_committed_size(room->store), clock_wall_us(room->clock));
}

void follow_state(struct room *room, struct session *s, const struct message *m)
{
    struct question *q = question_new(room, s, m);

    if (q == NULL)
        return;
    follow_question_read(m->fields, &q->state);
    q->job = (struct job){ .run = run_state, .done = state_done };
    if (s->kind == PROCESS_FOLLOWER) /* else a command asks: it is nobody's twin */
        hear(room, s, &q->state);
    queue(room, q);
}

static void run_read(struct job *job, struct vault_reader *reader)
{
    struct question *q = (struct question *)job;
    struct span buffer = span_of(q->session->buffer.ptr, q->session->buffer.len);

    (void)reader;
    if (q->range.part != FOLLOW_CONF) {
        (void)store_follow_read(q->room->store, &q->range, q->session->buffer.ptr, q->len, &q->got, &q->err);
    } else if (q->range.offset == 0 && q->room->conf_text.len <= buffer.len) {
        memcpy(q->session->buffer.ptr, q->room->conf_text.ptr, q->room->conf_text.len);
        q->got = q->room->conf_text.len;
    }
}

static void read_done(struct job *job, void *context)
{
    struct question *q = (struct question *)job;
    struct writer more = writer_new(64);

    if (q->got > 0)
        field_put_uint(&more, FIELD_LENGTH, q->got);
    answer(q, context, writer_span(&more));
    writer_done(&more);
}

void follow_read(struct room *room, struct session *s, const struct message *m)
{
    struct question *q = question_new(room, s, m);

    if (q == NULL)
        return;
    q->job = (struct job){ .run = run_read, .done = read_done };
    if (follow_range_read(m->fields, &q->range, &q->len, &q->err) && q->len <= s->buffer.len) {
        queue(room, q);
        return;
    }
    if (!session_reply(s, m->id, &q->err, nothing))
        session_end(room, s);
    free(q);
}

/* ---- lag ---- */

static void record_silence(struct room *room, const struct conf_twin *c, struct twin_watch *w, uint64_t seconds)
{
    struct writer more = writer_new(512);

    field_put_str(&more, FIELD_TWIN, c->name);
    field_put_uint(&more, FIELD_TWIN_POSITION, w->position);
    field_put_uint(&more, FIELD_TWIN_SECONDS, seconds);
    event_record(room, w->silent ? "twin.silent" : "twin.back", NULL, w->silent ? "failed" : "success", NULL,
                 writer_span(&more));
    if (w->silent)
        log_warn(&room->log, "twin.silent", f_str("twin", c->name), f_uint("seconds", seconds));
    else
        log_info(&room->log, "twin.back", f_str("twin", c->name), f_uint("seconds", seconds));
    writer_done(&more);
}

static uint64_t seconds_since(const struct room *room, uint64_t then_us)
{
    uint64_t now = clock_wall_us(room->clock);

    return now > then_us ? (now - then_us) / 1000000 : 0;
}

/* On a twin that takes from a folder, when something was taken is when its first was heard of. */
static uint64_t first_heard_us(struct room *room)
{
    struct twin_figures f;

    if (room->following != NULL)
        return following_heard_us(room->following);
    twin_figures(vault_twin(room->vault), &f);
    return f.current_us > room->follow_since ? f.current_us : room->follow_since;
}

static void watch_first(struct room *room)
{
    uint64_t since = first_heard_us(room), seconds = seconds_since(room, since);
    bool silent = following_is_silent(since, clock_wall_us(room->clock), room->conf.following.alarm_minutes);
    struct writer more = writer_new(128);

    if (silent != room->first_silent) {
        room->first_silent = silent;
        field_put_uint(&more, FIELD_TWIN_SECONDS, seconds);
        event_record(room, silent ? "twin.first-silent" : "twin.first-back", NULL, silent ? "failed" : "success", NULL,
                     writer_span(&more));
        if (silent)
            log_error(&room->log, "twin.first-silent", f_uint("seconds", seconds));
        else
            log_info(&room->log, "twin.first-back", f_uint("seconds", seconds));
    }
    writer_done(&more);
}

void follow_turn(struct room *room)
{
    if (vault_twin(room->vault) != NULL) {
        put_completed(room); /* what is to be erased here, and did not succeed or was not finished */
        watch_first(room);
    }
    for (size_t i = 0; i < room->conf.twin_count && vault_twin(room->vault) == NULL; i++) {
        struct twin_watch *w = &room->twins[i];
        uint64_t seconds;
        bool silent;

        seconds = seconds_since(room, w->current_us);
        silent = seconds >= (uint64_t)room->conf.twins[i].alarm_minutes * 60;
        if (silent == w->silent)
            continue;
        w->silent = silent;
        record_silence(room, &room->conf.twins[i], w, seconds);
    }
}

static void put_figure(struct writer *w, const char *twin, const char *what, uint64_t value)
{
    char name[CONF_NAME_SIZE + 24];
    struct writer row = writer_new(128);

    (void)snprintf(name, sizeof name, "twin.%s.%s", twin, what);
    field_put_str(&row, FIELD_NAME, name);
    field_put_uint(&row, FIELD_COUNT, value);
    field_put_bytes(w, FIELD_ROW, writer_span(&row));
    writer_done(&row);
}

static void put_twins(struct room *room, struct writer *w)
{
    uint64_t size = store_committed_size(room->store);
    char fingerprint[FINGERPRINT_SIZE];
    struct span key, certificate;

    if (room->conf.follow.address_count > 0 && vault_tls(room->vault, &key, &certificate)
        && pinned_fingerprint(certificate, fingerprint, NULL))
        field_put_str(w, FIELD_CERTIFICATE, fingerprint);
    for (size_t i = 0; i < room->conf.twin_count; i++) {
        const struct twin_watch *t = &room->twins[i];
        const char *name = room->conf.twins[i].name;

        put_figure(w, name, "position", t->position);
        put_figure(w, name, "behind", size > t->position ? size - t->position : 0);
        put_figure(w, name, "seconds", seconds_since(room, t->current_us));
        put_figure(w, name, "applied", t->applied);
    }
}

/* ---- a twin ---- */

static void put_own_state(struct room *room, struct twin *twin, struct writer *w)
{
    char refused[ERROR_TEXT_MAX];
    struct twin_figures f;

    twin_figures(twin, &f);
    field_put_str(w, FIELD_TWIN, room->conf.following.first[0] != '\0' ? room->conf.following.first : "-");
    field_put_uint(w, FIELD_TWIN_POSITION, f.size);
    field_put_uint(w, FIELD_TWIN_SECONDS, seconds_since(room, f.current_us));
    field_put_uint(w, FIELD_WRITTEN, f.written_us);
    field_put_uint(w, FIELD_TWIN_APPLIED, f.applied);
    field_put_uint(w, FIELD_TWIN_MISSING, f.missing);
    if (room->first_silent)
        field_put_uint(w, FIELD_TWIN_SILENT, seconds_since(room, first_heard_us(room)));
    if (room->following != NULL && following_refused(room->following, refused))
        field_put_str(w, FIELD_TWIN_REFUSED, refused);
}

void follow_status(struct room *room, struct writer *w)
{
    struct twin *twin = vault_twin(room->vault);

    if (twin != NULL)
        put_own_state(room, twin, w);
    else
        put_twins(room, w);
}

static bool list_twins(struct room *room, struct error *err)
{
    for (size_t i = 0; i < room->conf.twin_count; i++) {
        const struct conf_twin *c = &room->conf.twins[i];

        room->twins[i].current_us = clock_wall_us(room->clock); /* not heard of since this start */
        room->twins[i].applied = vault_twin_applied(room->vault, c->certificate);
        if (!vault_list_twin(room->vault, c->name, c->certificate, err))
            return false;
    }
    return true;
}

bool follow_open(struct room *room, const char *dir, const struct vault_options *options, struct error *err)
{
    struct store_options own = options->store;
    char vault[PATH_MAX], path[PATH_MAX];

    room->following_jobs = jobs_new(NULL, 1, err);
    if (room->following_jobs == NULL)
        return false;
    if (vault_twin(room->vault) == NULL)
        return list_twins(room, err);
    room->follow_since = clock_wall_us(room->clock);
    if (!path_join(vault, sizeof vault, dir, "vault", err) || !path_join(path, sizeof path, vault, "own", err))
        return false;
    room->own = store_open(path, &own, err);
    if (room->own == NULL && err->code == ERR_NOT_FOUND && store_create(path, &own, err))
        room->own = store_open(path, &own, err);
    if (room->own == NULL)
        return error_within(err, "the twin's own log");
    return true;
}

bool follow_start(struct room *room, struct error *err)
{
    struct twin *twin = vault_twin(room->vault);

    if (twin == NULL || room->conf.following.first[0] == '\0')
        return true;
    room->following = following_new(twin, &room->log, room->clock);
    return room->following != NULL ? following_start(room->following, err) : error_set(err, ERR_MEMORY, "following");
}

void follow_joined(struct room *room, int fd)
{
    if (room->following != NULL)
        following_offer(room->following, fd);
    else
        file_close(&fd);
}

void follow_close(struct room *room)
{
    following_free(room->following);
    room->following = NULL;
    jobs_free(room->following_jobs, room);
    room->following_jobs = NULL;
    if (room->own != NULL)
        store_close(room->own);
    room->own = NULL;
}

bool follow_own_append(struct room *room, const struct append *a, struct error *err)
{
    struct completion done[16];
    uint64_t position;
    bool ok = store_append(room->own, a, &position, err);

    store_kick(room->own);
    while (store_completed(room->own, done, COUNT_OF(done)) > 0) /* of those before: nobody waits for them */
        ;
    return ok;
}
