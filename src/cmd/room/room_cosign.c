/*
 * Being a witness (C2SP tlog-witness, add-checkpoint): what a log shows is checked, kept as a rule of our own log, and
 * only then cosigned.
 *
 * The order is the promise: the rule that says "of this log we have seen so many records with that root" is committed
 * before the cosignature leaves, so a process killed at any point has at most kept what it did not sign. One request is
 * under way at a time, so that looking and keeping are one step.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/room/anchors.h"
#include "vault/cosign.h"

#define SIZE_TYPE "text/x.tlog.size"

struct cosigning {
    struct awaited awaited;
    struct session *session; /* held */
    uint32_t id;
    struct writer text; /* of the checkpoint; owned */
    uint64_t position;
};

/* ---- answers: an HTTP status and its body ---- */

static void answer(struct room *room, struct session *s, uint32_t id, unsigned status, const char *type, struct span body)
{
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);

    field_put_uint(&w, FIELD_HTTP_STATUS, status);
    field_put_str(&w, FIELD_CONTENT_TYPE, type);
    field_put_bytes(&w, FIELD_HTTP_BODY, body);
    if (!session_reply(s, id, NULL, writer_span(&w)))
        session_end(room, s);
    writer_done(&w);
}

static void say(struct room *room, struct session *s, uint32_t id, unsigned status, const char *why)
{
    answer(room, s, id, status, "text/plain; charset=utf-8", span_str(why));
}

static void say_size(struct room *room, struct session *s, uint32_t id, uint64_t size)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%llu\n", (unsigned long long)size);
    answer(room, s, id, 409, SIZE_TYPE, span_str(text));
}

static void cosign(struct room *room, struct session *s, uint32_t id, struct span text)
{
    struct writer line = writer_new(1024);
    struct error err = { 0 };

    if (anchor_cosign(room->store, text, clock_wall_us(room->clock) / 1000000, &line, &err))
        answer(room, s, id, 200, "text/plain; charset=utf-8", writer_span(&line));
    else /* for want of something: it was kept, and may be asked for again */
        say(room, s, id, 503, "cannot sign now\n");
    writer_done(&line);
}

/* ---- alarms ---- */

/*
 * A log that we know signed two trees that exclude each other: proof of its misbehaviour, kept whole. Bounded like
 * knocking: whoever has the note can send it again and again.
 */
static void misbehaved(struct room *room, struct session *s, const char *log_name, struct span note, const char *why)
{
    struct writer more = writer_new(CHANNEL_MESSAGE_MAX / 2);

    field_put_str(&more, FIELD_NAME, log_name);
    field_put_text(&more, FIELD_SIGNED_NOTE, note);
    if (stranger_event_record(room, "witness.refused", s, "refused", why, writer_span(&more)))
        log_error(&room->log, "witness.refused", f_str("log", log_name), f_str("address", s->address), f_str("reason", why));
    writer_done(&more);
}

static void stranger(struct room *room, struct session *s, const char *why)
{
    if (stranger_event_record(room, "witness.refused", s, "refused", why, (struct span){ NULL, 0 }))
        log_warn(&room->log, "witness.stranger", f_str("address", s->address), f_str("reason", why));
}

/* ---- one request ---- */

static void kept(struct room *room, struct awaited *self, const struct completion *c)
{
    struct cosigning *g = (struct cosigning *)self;

    room->cosigning = NULL;
    if (c->committed)
        cosign(room, g->session, g->id, writer_span(&g->text));
    else
        say(room, g->session, g->id, 503, "what was seen could not be kept\n");
    session_release(room, g->session);
    writer_done(&g->text);
    free(g);
}

static void keep(struct room *room, struct session *s, uint32_t id, struct span text, const struct checkpoint *c)
{
    struct cosigning *g = calloc(1, sizeof *g);
    struct error err = { 0 };

    if (g == NULL) {
        say(room, s, id, 503, "memory\n");
        return;
    }
    *g = (struct cosigning){ .awaited = { kept }, .session = s, .id = id, .text = writer_new(NOTE_BYTES_MAX) };
    write_span(&g->text, text);
    if (writer_ok(&g->text, &err, "note")
        && vault_witness(room->vault, c->origin, c->size, c->root, clock_wall_us(room->clock), g, &g->position, &err)) {
        anchors_own(room, g->position);
        room->cosigning = g;
        session_hold(room, s);
        store_kick(room->store);
        return;
    }
    room->broken |= err.code == ERR_IO;
    log_error(&room->log, "witness.not-kept", f_err(&err));
    say(room, s, id, 503, "what was seen could not be kept\n");
    writer_done(&g->text);
    free(g);
}

/* Each new state of a log is a record of ours: even a log whose key we know may not fill our disk. */
static bool too_often(struct room *room)
{
    const uint64_t minute = clock_monotonic_ms(room->clock) / 60000;

    if (room->cosigned_minute != minute)
        room->cosigned_count = 0;
    room->cosigned_minute = minute;
    return ++room->cosigned_count > COSIGNED_PER_MINUTE;
}

static const struct conf_log *log_of(const struct room *room, struct span origin)
{
    for (size_t i = 0; i < room->conf.log_count; i++)
        if (span_equal(origin, span_str(room->conf.logs[i].key.name)))
            return &room->conf.logs[i];
    return NULL;
}

/*
 * The newest of what we kept of other logs cannot be read: an older one would let us cosign a fork. Nothing is cosigned until
 * it is read again (vault_would_know_more()).
 */
static bool in_doubt(struct room *room)
{
    if (!vault_witness_in_doubt(room->vault))
        return false;
    if (!room->witness_doubted)
        log_error(&room->log, "witness.in-doubt");
    room->witness_doubted = true;
    return true;
}

/* Against what was seen before: 0 where it may be kept and cosigned; the statuses are those of tlog-witness. */
static unsigned judge(struct room *room, struct session *s, const struct conf_log *log, const struct witness_request *r,
                      const struct checkpoint *c, uint64_t *seen)
{
    uint8_t root[ROOT_BYTES] = { 0 };
    struct error err = { 0 };

    *seen = 0;
    if (in_doubt(room))
        return 503;
    (void)vault_witnessed(room->vault, c->origin, seen, root);
    if (r->old_size > c->size || (r->old_size == 0 && r->proof_count > 0))
        return 400;
    if (*seen > 0 && c->size == *seen && memcmp(root, c->root, sizeof root) != 0) {
        misbehaved(room, s, log->name, r->note, "another root for the size it showed before");
        return 409;
    }
    if (r->old_size != *seen) /* an older checkpoint proves nothing: anybody can send one again */
        return 409;
    if (*seen > 0 && !anchor_extends(room->store, r, root, c, &err)) {
        if (error_is_want(err.code)) /* that says nothing of the proof */
            return 503;
        stranger(room, s, "no proof that it continues what was seen");
        return 422;
    }
    return 0;
}

static bool request_of(const struct message *m, struct witness_request *out)
{
    const struct span proof = fields_text(m->fields, FIELD_CONSISTENCY);

    out->old_size = fields_uint(m->fields, FIELD_OLD_SIZE, UINT64_MAX);
    out->proof_count = proof.len / ROOT_BYTES;
    out->note = fields_text(m->fields, FIELD_SIGNED_NOTE);
    if (proof.len % ROOT_BYTES != 0 || out->proof_count > WITNESS_PROOF_MAX)
        return false;
    if (proof.len > 0)
        memcpy(out->proof, proof.ptr, proof.len);
    return true;
}

void cosign_asked(struct room *room, struct session *s, const struct message *m)
{
    struct witness_request r;
    struct note n;
    struct checkpoint c;
    const struct conf_log *log;
    struct error err = { 0 };
    uint64_t seen;
    unsigned status;

    (void)span_to_str(span_part(fields_text(m->fields, FIELD_ADDRESS), 0, sizeof s->address - 1), s->address, sizeof s->address);
    if (!request_of(m, &r) || !note_parse(r.note, &n, &err) || !checkpoint_parse(n.text, &c, &err)) {
        say(room, s, m->id, 400, "no checkpoint\n");
    } else if (room->cosigning != NULL) {
        say(room, s, m->id, 503, "another request is under way\n");
    } else if ((log = log_of(room, c.origin)) == NULL) {
        stranger(room, s, "a log that this witness does not know");
        say(room, s, m->id, 404, "this witness does not know the log\n");
    } else if (!note_signed_by(&n, &log->key, &err)) {
        stranger(room, s, "no signature of the log's key");
        say(room, s, m->id, 403, "no signature of the log's key\n");
    } else if ((status = judge(room, s, log, &r, &c, &seen)) == 409) {
        say_size(room, s, m->id, seen);
    } else if (status != 0) {
        say(room, s, m->id, status,
            status == 422   ? "the consistency proof does not hold\n"
            : status == 503 ? "not now: what was seen of the log, or the proof, could not be looked at\n"
                            : "the old size cannot be\n");
    } else if (c.size == 0) {
        say(room, s, m->id, 422, "an empty log says nothing\n");
    } else if (seen == c.size) {
        cosign(room, s, m->id, n.text); /* kept already */
    } else if (too_often(room)) {
        say(room, s, m->id, 429, "too many new checkpoints in a minute\n");
    } else {
        keep(room, s, m->id, n.text, &c);
    }
}
