/* Settling a UID that is there already. See compare.h. */
#include "cmd/room/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/room/digest.h"

/* Bytes compared at a time. */
#define COMPARE_PIECE ((size_t)256 * 1024)
/* A resend looked at this often while others changed what is stored is kept as a conflict instead. */
#define SETTLE_ROUNDS_MAX 8

/* One object whose UID is known: a job while it compares, an element of room->settling while it waits for a commit. */
struct settling {
    struct job job;
    LIST_ENTRY(settling) waiting;
    struct room *room;
    struct session *session; /* held */
    struct body *body;       /* borrowed from the session */
    uint32_t id;
    unsigned rounds;
    struct writer facts;
    struct same_uid same;
    enum verdict verdict;
    uint64_t equal_to;
};

static void consider(struct settling *c);

static void settled(struct settling *c)
{
    writer_done(&c->facts);
    free(c);
}

/* Same length and same bytes: read back through every check the store has. */
static bool bytes_equal(struct store *store, uint64_t position, struct body *body, uint8_t *a, uint8_t *b,
                        struct error *err)
{
    uint64_t left = body_length(body), at = 0;
    struct writer facts = writer_new(CHANNEL_MESSAGE_MAX * 8);
    struct entry e;
    bool same = store_read_entry(store, position, &e, &facts, err) && e.body_bytes == left;

    writer_done(&facts);
    while (same && left > 0) {
        size_t n = left < COMPARE_PIECE ? (size_t)left : COMPARE_PIECE;

        same =
            store_read_body(store, position, at, a, n, err) && body_peek(body, at, b, n, err) && memcmp(a, b, n) == 0;
        at += n;
        left -= n;
    }
    return same;
}

/* Erased a moment ago, and the views do not say so yet: what comes now is new. */
static bool is_gone(struct store *store, uint64_t position)
{
    struct writer facts = writer_new(CHANNEL_MESSAGE_MAX * 8);
    struct error err = { 0 };
    struct entry e;
    bool gone = !store_read_entry(store, position, &e, &facts, &err) && err.code == ERR_ERASED;

    writer_done(&facts);
    return gone;
}

static void compare(struct job *job, struct vault_reader *reader)
{
    struct settling *c = (struct settling *)job;
    uint8_t *a = malloc(COMPARE_PIECE), *b = malloc(COMPARE_PIECE);
    struct error err = { 0 };

    (void)reader;
    c->verdict = VERDICT_CONFLICT; /* until something better is known */
    for (size_t i = 0; a != NULL && b != NULL && i < c->same.version_count; i++)
        if (bytes_equal(c->room->store, c->same.versions[i], c->body, a, b, &err)) {
            c->verdict = VERDICT_SAME;
            c->equal_to = c->same.versions[i];
            break;
        }
    free(a);
    free(b);
    if (c->verdict != VERDICT_SAME && is_gone(c->room->store, c->same.first))
        c->verdict = VERDICT_GONE;
    else if (c->verdict != VERDICT_SAME)
        c->verdict = digest_compare(c->room->lens, c->room->store, c->same.first, c->body,
                                    fields_text(writer_span(&c->facts), FIELD_TRANSFER_SYNTAX));
}

static void compared(struct job *job, void *context)
{
    struct settling *c = (struct settling *)job;
    struct room *room = context;
    struct put_state st = { .first_position = c->same.first, .has_first = true };
    struct same_uid now;
    struct error err = { 0 };

    if (c->verdict == VERDICT_NONE) { /* the queue ended first: nothing was compared, nothing may be promised */
        (void)error_set(&err, ERR_CLOSED, "the vault stops");
        put_answer_fault(room, c->session, c->id, &err);
        settled(c);
        return;
    }
    if (c->verdict == VERDICT_SAME) {
        put_answer_kept(room, c->session, c->id, c->equal_to, "stored");
        settled(c);
        return;
    }
    if (vault_same_uid(room->vault, fields_text(writer_span(&c->facts), FIELD_SOP_UID), &now, &err)
        && (now.pending || now.version_count != c->same.version_count) && ++c->rounds < SETTLE_ROUNDS_MAX) {
        consider(c); /* another version came meanwhile: it may be this one */
        return;
    }
    (void)snprintf(st.state, sizeof st.state, "%s",
                   c->verdict == VERDICT_GONE        ? "stored" /* with the first's position: it takes its place */
                   : c->verdict == VERDICT_ALTERNATE ? "alternate"
                                                     : "conflict");
    put_append(room, c->session, c->id, &st, &c->facts);
    settled(c);
}

static void consider(struct settling *c)
{
    struct room *room = c->room;
    struct put_state st = { .state = "stored" };
    struct error err = { 0 };

    if (!vault_same_uid(room->vault, fields_text(writer_span(&c->facts), FIELD_SOP_UID), &c->same, &err)) {
        put_answer_fault(room, c->session, c->id, &err);
        settled(c);
    } else if (!c->same.found) {
        put_append(room, c->session, c->id, &st, &c->facts);
        settled(c);
    } else if (c->same.pending) {
        LIST_INSERT_HEAD(&room->settling, c, waiting);
    } else {
        c->job.run = compare;
        c->job.done = compared;
        c->verdict = VERDICT_NONE;
        if (!jobs_add(room->comparing, &c->job)) {
            (void)error_set(&err, ERR_BUSY, "too many objects are being compared");
            put_answer_fault(room, c->session, c->id, &err);
            settled(c);
        }
    }
}

void put_settle(struct room *room, struct session *s, uint32_t id, struct writer *facts)
{
    struct settling *c = calloc(1, sizeof *c);
    struct error err = { 0 };

    if (c == NULL) {
        (void)error_set(&err, ERR_MEMORY, "object");
        put_answer_fault(room, s, id, &err);
        return;
    }
    *c = (struct settling){ .room = room, .session = s, .body = s->body, .id = id, .facts = *facts };
    *facts = writer_new(0);
    consider(c);
}

void put_settle_waiting(struct room *room)
{
    struct settling_list again = room->settling;
    struct settling *c;

    if (LIST_EMPTY(&again))
        return;
    again.lh_first->waiting.le_prev = &again.lh_first;
    LIST_INIT(&room->settling);
    while ((c = LIST_FIRST(&again)) != NULL) {
        LIST_REMOVE(c, waiting);
        consider(c);
    }
}

void put_settle_stop(struct room *room)
{
    struct settling *c;

    while ((c = LIST_FIRST(&room->settling)) != NULL) {
        LIST_REMOVE(c, waiting);
        settled(c);
    }
}
