/*
 * Storing what a gate refused or did not understand: kept once, counted when the same bytes come again (repeats.h).
 */
#include <sodium.h>
#include <stdlib.h>

#include "cmd/room/compare.h"
#include "cmd/room/repeats.h"

#define PIECE_BYTES ((size_t)256 * 1024)

/* One such object: a job while its bytes are hashed. */
struct refused {
    struct job job;
    struct session *session; /* held */
    struct body *body;       /* borrowed from the session */
    uint32_t id;
    struct put_state st;
    struct writer facts;
    bool ran;
};

/* Of the bytes as they came; a body that cannot be read back has none, and is kept as it is. */
static void hash(struct job *job, struct vault_reader *reader)
{
    struct refused *c = (struct refused *)job;
    uint8_t *piece = malloc(PIECE_BYTES);
    uint64_t left = body_length(c->body), at = 0;
    crypto_generichash_state state;
    struct error err = { 0 };
    bool ok = piece != NULL && crypto_generichash_init(&state, NULL, 0, REPEAT_DIGEST_BYTES) == 0;

    (void)reader;
    while (ok && left > 0) {
        const size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;

        ok = body_peek(c->body, at, piece, n, &err) && crypto_generichash_update(&state, piece, n) == 0;
        at += n;
        left -= n;
    }
    c->st.has_digest = ok && crypto_generichash_final(&state, c->st.digest, sizeof c->st.digest) == 0;
    if (piece != NULL)
        sodium_memzero(piece, PIECE_BYTES);
    free(piece);
    c->ran = true;
}

static void came_again(struct room *room, const struct refused *c, const struct repeat *seen)
{
    const char *source = c->session->rights.source;
    struct writer more;

    if (!repeats_count(room->repeats, source, c->st.digest, clock_wall_us(room->clock)))
        return;
    more = writer_new(256);
    field_put_uint(&more, FIELD_POSITION, seen->position);
    field_put_uint(&more, FIELD_REPEATS, seen->count);
    event_record(room, "space.repeated", c->session, "refused", "the same bytes again, kept once", writer_span(&more));
    writer_done(&more);
}

static void hashed(struct job *job, void *context)
{
    struct refused *c = (struct refused *)job;
    struct room *room = context;
    const struct repeat *seen = NULL;
    struct error err = { 0 };
    struct entry e;

    if (c->st.has_digest)
        seen = repeats_find(room->repeats, c->session->rights.source, c->st.digest, clock_wall_us(room->clock));
    if (seen != NULL && !store_read_entry(room->store, seen->position, &e, NULL, &err))
        seen = NULL; /* damaged or erased since: kept anew */
    if (!c->ran) { /* the queue ended first: nothing may be promised */
        (void)error_set(&err, ERR_CLOSED, "the vault stops");
        put_answer_fault(room, c->session, c->id, &err);
    } else if (seen != NULL) {
        came_again(room, c, seen);
        put_answer_kept(room, c->session, c->id, seen->position, c->st.state);
    } else {
        put_append(room, c->session, c->id, &c->st, &c->facts);
    }
    writer_done(&c->facts);
    free(c);
}

void put_refused(struct room *room, struct session *s, uint32_t id, const struct put_state *st, struct writer *facts)
{
    struct refused *c = calloc(1, sizeof *c);

    if (c != NULL) {
        *c = (struct refused){ .job = { .run = hash, .done = hashed },
                               .session = s,
                               .body = s->body,
                               .id = id,
                               .st = *st,
                               .facts = *facts };
        if (jobs_add(room->comparing, &c->job)) {
            *facts = writer_new(0);
            return;
        }
    }
    free(c);
    put_append(room, s, id, st, facts); /* kept once more rather than not at all */
}
