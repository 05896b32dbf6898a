/* The second walk, from the vault's side. See recheck.h. */
#include "cmd/room/recheck.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/room/facts_differ.h"
#include "cmd/room/lens_slot.h"

#define FACTS_MAX      ((size_t)1024 * 1024)
#define TRIES_MAX      3       /* in as many fresh processes; then what cannot be walked is shown to somebody */
#define RECORD_OBJECTS 10000   /* walked again after a crash at the most */
#define IDLE_SHARE     3       /* pause after an object: so many times as long as it took … */
#define BUSY_SHARE     30      /* … while others are stored */
#define PAUSE_LEAST_MS 10
#define PAUSE_MOST_MS  60000
#define RETRY_MS       1000    /* no process yet: the supervisor starts one */
#define ENTRIES_A_TURN 512     /* entries without a body that are passed over in one job */

enum outcome {
    OUTCOME_NONE,   /* the queue ended first */
    OUTCOME_PASSED, /* nothing to walk, or as claimed */
    OUTCOME_DIFFERS,
    OUTCOME_UNREAD, /* damaged or erased: others say so */
    OUTCOME_AGAIN,  /* no process, or it died */
};

/* One turn: passes over entries without a body, walks one object. */
struct walking {
    struct job job;
    struct recheck *recheck;
    uint64_t position, end; /* from, to; on return: the next one */
    uint64_t at;            /* the one that was walked */
    bool walked;
    enum outcome outcome;
    enum field differences[DIFFERENCES_MAX];
    size_t difference_count;
    uint64_t took_ms;
};

struct recheck {
    struct room *room;
    struct lens_slot *slot; /* the queue's thread's, but for offering */
    struct jobs *jobs;
    int timer_fd;
    bool begun;      /* where to go on is known */
    bool walking;    /* a job is out */
    bool waiting;    /* the timer runs */
    unsigned tries;  /* of the object at `position` */
    _Atomic uint64_t position;
    uint64_t recorded;
    uint64_t seen_size; /* committed when last looked: others are stored meanwhile */
};

static void walk(struct job *job, struct vault_reader *reader);
static void walked(struct job *job, void *context);

struct recheck *recheck_new(struct room *room, struct error *err)
{
    struct recheck *r = calloc(1, sizeof *r);

    if (r == NULL) {
        error_set(err, ERR_MEMORY, "second walk");
        return NULL;
    }
    r->room = room;
    r->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    r->slot = lens_slot_new();
    r->jobs = r->timer_fd >= 0 && r->slot != NULL ? jobs_new(NULL, 1, err) : NULL;
    if (r->jobs != NULL)
        return r;
    if (r->timer_fd < 0)
        error_errno(err, "timer of the second walk");
    recheck_free(r);
    return NULL;
}

void recheck_free(struct recheck *r)
{
    if (r == NULL)
        return;
    jobs_free(r->jobs, r);
    lens_slot_free(r->slot);
    file_close(&r->timer_fd);
    free(r);
}

void recheck_offer(struct recheck *r, int fd)
{
    lens_slot_offer(r->slot, fd);
}

int recheck_timer_fd(const struct recheck *r)
{
    return r->timer_fd;
}

int recheck_done_fd(const struct recheck *r)
{
    return jobs_fd(r->jobs);
}

/* ---- when ---- */

static void wait_ms(struct recheck *r, uint64_t ms)
{
    const struct itimerspec once = { .it_value = { .tv_sec = (time_t)(ms / 1000),
                                                   .tv_nsec = (long)(ms % 1000) * 1000000 } };

    r->waiting = timerfd_settime(r->timer_fd, 0, &once, NULL) == 0;
}

static void go_on(struct recheck *r)
{
    struct walking *w;

    if (!r->begun || r->walking || r->waiting || r->position >= store_committed_size(r->room->store))
        return;
    w = calloc(1, sizeof *w);
    if (w == NULL) {
        wait_ms(r, RETRY_MS);
        return;
    }
    *w = (struct walking){ .job = { .run = walk, .done = walked },
                           .recheck = r,
                           .position = r->position,
                           .end = store_committed_size(r->room->store) };
    r->walking = jobs_add(r->jobs, &w->job);
    if (!r->walking)
        free(w);
}

void recheck_begin_at(struct recheck *r, uint64_t checked)
{
    if (r->begun)
        return;
    r->begun = true;
    r->position = checked;
    r->recorded = checked;
    r->seen_size = store_committed_size(r->room->store);
    go_on(r);
}

uint64_t recheck_position(const struct recheck *r)
{
    return r->position;
}

void recheck_wake(struct recheck *r)
{
    /* Not at once: what arrives is let arrive. */
    if (r->begun && !r->walking && !r->waiting && r->position < store_committed_size(r->room->store))
        wait_ms(r, RETRY_MS);
}

void recheck_turn(struct recheck *r)
{
    uint64_t expired;

    if (read(r->timer_fd, &expired, sizeof expired) > 0)
        r->waiting = false;
    jobs_done(r->jobs, r);
    go_on(r);
}

/* ---- what was found ---- */

static void record_progress(struct recheck *r)
{
    struct writer more = writer_new(64);

    field_put_uint(&more, FIELD_CHECKED, r->position);
    event_record(r->room, "facts.checked", NULL, "success", NULL, writer_span(&more));
    r->recorded = r->position;
    writer_done(&more);
}

static void record_difference(struct recheck *r, const struct walking *w)
{
    struct writer more = writer_new(4096);
    char names[160] = "";
    size_t len = 0;

    field_put_uint(&more, FIELD_POSITION, w->at);
    field_put_uint(&more, FIELD_CHECKED, w->position);
    for (size_t i = 0; i < w->difference_count; i++) {
        const char *name = w->differences[i] == FIELD_NONE ? "unreadable" : field_name(w->differences[i]);
        int n = snprintf(names + len, sizeof names - len, "%s%s", len > 0 ? " " : "", name != NULL ? name : "?");

        field_put_str(&more, FIELD_DIFFERENCE, name != NULL ? name : "?");
        len += n > 0 && (size_t)n < sizeof names - len ? (size_t)n : 0;
    }
    field_put_str(&more, FIELD_DETAIL, names);
    event_record(r->room, "facts.differ", NULL, "failed", "the object is not what was announced", writer_span(&more));
    log_error(&r->room->log, "facts.differ", f_uint("position", w->at), f_str("fields", names));
    r->recorded = w->position;
    writer_done(&more);
}

void recheck_stop(struct recheck *r)
{
    if (r->begun && r->position > r->recorded)
        record_progress(r);
}

static uint64_t pause_ms(struct recheck *r, const struct walking *w)
{
    const uint64_t size = store_committed_size(r->room->store);
    const bool busy = size > r->seen_size;
    const uint64_t ms = w->took_ms * (busy ? BUSY_SHARE : IDLE_SHARE) + PAUSE_LEAST_MS;

    r->seen_size = size;
    return ms < PAUSE_MOST_MS ? ms : PAUSE_MOST_MS;
}

/* An object that no fresh process can walk is not passed over in silence. */
static void give_up(struct walking *w)
{
    w->outcome = OUTCOME_DIFFERS;
    w->differences[0] = FIELD_NONE;
    w->difference_count = 1;
    w->position = w->at + 1;
}

static void walked(struct job *job, void *context)
{
    struct walking *w = (struct walking *)job;
    struct recheck *r = context;

    r->walking = false;
    if (w->outcome == OUTCOME_NONE) {
        free(w);
        return;
    }
    if (w->outcome == OUTCOME_AGAIN && w->walked && ++r->tries >= TRIES_MAX)
        give_up(w);
    if (w->outcome == OUTCOME_AGAIN) {
        r->position = w->at;
        wait_ms(r, RETRY_MS);
    } else {
        r->tries = 0;
        r->position = w->position;
        if (w->outcome == OUTCOME_DIFFERS)
            record_difference(r, w);
        else if (r->position - r->recorded >= RECORD_OBJECTS)
            record_progress(r);
        if (w->walked)
            wait_ms(r, pause_ms(r, w));
    }
    free(w);
}

/* ---- one object; in the queue's thread ---- */

static struct span issuer_of(const struct conf *c, struct span source, bool is_message)
{
    for (size_t i = 0; is_message && i < c->sender_count; i++)
        if (span_equal(source, span_str(c->senders[i].name)))
            return span_str(c->senders[i].issuer);
    for (size_t i = 0; !is_message && i < c->peer_count; i++)
        if (span_equal(source, span_str(c->peers[i].name)))
            return span_str(c->peers[i].issuer);
    return (struct span){ NULL, 0 };
}

static bool ask(struct walking *w, const struct entry *e, struct span facts, struct shared_buffer *buffer,
                struct message *reply, struct error *err)
{
    struct recheck *r = w->recheck;
    const struct source s = { .store = r->room->store, .position = e->position, .length = e->body_bytes };
    struct writer request = writer_new(4096);
    bool ok;

    field_put_str(&request, FIELD_KIND, e->kind == RECORD_HL7 ? "hl7" : "dicom");
    field_put_some(&request, FIELD_TRANSFER_SYNTAX, fields_text(facts, FIELD_TRANSFER_SYNTAX));
    field_put_some(&request, FIELD_STATE, fields_text(facts, FIELD_STATE));
    field_put_some(&request, FIELD_ZONE, facts_zone(facts));
    field_put_uint(&request, FIELD_LENGTH, e->body_bytes);
    /* An id that nobody can know before: a walk that was taken over cannot answer for the next one. */
    ok = writer_ok(&request, err, "request")
         && lens_slot_ask(r->slot, VERB_RECHECK, randombytes_random() | 1, writer_span(&request), &s, buffer, reply, err);
    writer_done(&request);
    return ok;
}

/* The answer's facts, copied out of the buffer before anybody looks at them. */
static bool compare(struct walking *w, const struct entry *e, struct span stored, const struct shared_buffer *buffer,
                    struct span reply, struct error *err)
{
    const bool is_message = e->kind == RECORD_HL7;
    struct writer copy = writer_new(FACTS_MAX);
    struct walked found = { .understood = span_equal(fields_text(reply, FIELD_STATE), SPAN_LIT("stored")) };
    enum error_code result = (enum error_code)fields_uint(reply, FIELD_RESULT, ERR_MALFORMED);
    struct span at;
    bool ok = result == ERR_NONE && shared_buffer_part(buffer, 0, fields_uint(reply, FIELD_LENGTH, 0), &at);

    if (ok) {
        write_span(&copy, at);
        found.facts = writer_span(&copy);
        ok = writer_ok(&copy, err, "facts");
        w->difference_count =
            facts_differ(stored, &found, issuer_of(&w->recheck->room->conf, fields_text(stored, FIELD_SOURCE), is_message),
                         is_message, w->differences);
        w->outcome = w->difference_count > 0 ? OUTCOME_DIFFERS : OUTCOME_PASSED;
    }
    writer_done(&copy);
    return ok || error_set(err, ERR_CLOSED, "no walk");
}

static void walk_object(struct walking *w, const struct entry *e, struct span facts)
{
    struct recheck *r = w->recheck;
    struct shared_buffer buffer;
    struct message reply;
    struct error err = { 0 };
    bool ok;

    w->outcome = OUTCOME_AGAIN;
    if (!lens_slot_take_up(r->slot) || !shared_buffer_new(&buffer, &err))
        return;
    w->walked = true;
    ok = ask(w, e, facts, &buffer, &reply, &err) && compare(w, e, facts, &buffer, reply.fields, &err);
    if (!ok && !r->slot->broken && err.code != ERR_CLOSED)
        w->outcome = OUTCOME_UNREAD;
    lens_slot_settle(r->slot);
    shared_buffer_done(&buffer);
}

static void walk(struct job *job, struct vault_reader *reader)
{
    struct walking *w = (struct walking *)job;
    struct recheck *r = w->recheck;
    const uint64_t began = clock_monotonic_ms(r->room->clock);
    struct writer facts = writer_new(2 * FACTS_MAX);
    bool found = false;

    (void)reader;
    w->outcome = OUTCOME_PASSED;
    for (unsigned n = 0; !found && w->position < w->end && n < ENTRIES_A_TURN; n++) {
        struct entry e;
        struct error err = { 0 };

        writer_reset(&facts);
        w->at = w->position++;
        found = store_read_entry(r->room->store, w->at, &e, &facts, &err) && e.has_body
                && (e.kind == RECORD_DICOM || e.kind == RECORD_HL7);
        if (found)
            walk_object(w, &e, writer_span(&facts));
        if (error_is_want(err.code)) { /* it is not passed over: later again */
            w->outcome = OUTCOME_AGAIN;
            break;
        }
    }
    w->took_ms = clock_monotonic_ms(r->room->clock) - began;
    writer_done(&facts);
}
