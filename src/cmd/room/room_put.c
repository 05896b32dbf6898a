/*
 * Storing: PUT_BEGIN, PUT_DATA, PUT_END, and the answers when the commit is done.
 *
 * The facts are the gate's claim; what the vault knows itself (source, address, receipt, state) is never taken from
 * them. A fault in the middle (no space, a lie about the buffer's bounds) is remembered and answered at PUT_END.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/room/compare.h"
#include "cmd/room/facts_differ.h"
#include "cmd/room/recheck.h"
#include "cmd/room/room.h"

/* Facts of one object: several hundred observations with notes. Past it the put fails; the peer is told. */
#define FACTS_MAX ((size_t)1024 * 1024)

static void fault(struct session *s, const struct error *err)
{
    if (s->put_fault.code == ERR_NONE)
        s->put_fault = *err;
    body_free(s->body);
    s->body = NULL;
}

static bool unit_is_allowed(const struct session *s, struct span unit)
{
    static const struct {
        enum process_kind kind;
        const char *prefix;
    } allowed[] = {
        { PROCESS_DICOM_ASSOCIATION, "study:" },
        { PROCESS_DICOM_ASSOCIATION, "object:" },
        { PROCESS_HL7_CONNECTION, "results:" },
        { PROCESS_HL7_CONNECTION, "message" },
    };

    for (size_t i = 0; i < COUNT_OF(allowed); i++)
        if (allowed[i].kind == s->kind && span_starts(unit, span_str(allowed[i].prefix)))
            return true;
    return false;
}

void put_begin(struct room *room, struct session *s, const struct message *m)
{
    struct span unit = fields_text(m->fields, FIELD_UNIT);
    struct error err = { 0 };

    put_forget(room, s, m);
    s->putting = true;
    s->put_fault = (struct error){ 0 };
    s->body_class = (enum body_class)fields_uint(m->fields, FIELD_BODY_CLASS, 0);
    if (!s->rights.store)
        (void)error_set(&err, ERR_REFUSED, "this source may not store");
    else if (s->body_class != (s->kind == PROCESS_DICOM_ASSOCIATION ? BODY_IMAGES : BODY_RESULTS))
        (void)error_set(&err, ERR_REFUSED, "body class %u is not this gate's", (unsigned)s->body_class);
    else if (!unit_is_allowed(s, unit) || !span_to_str(unit, s->unit, sizeof s->unit))
        (void)error_set(&err, ERR_MALFORMED, "erasure unit of %zu bytes", unit.len);
    else
        s->body = body_new(room->store, s->body_class, unit, &err);
    if (s->body == NULL)
        fault(s, &err);
}

void put_take(struct room *room, struct session *s, const struct message *m)
{
    uint64_t offset = fields_uint(m->fields, FIELD_OFFSET, UINT64_MAX);
    uint64_t length = fields_uint(m->fields, FIELD_LENGTH, UINT64_MAX);
    struct error err = { 0 };
    struct writer w = writer_new(64);
    struct span bytes;

    if (!shared_buffer_part(&s->buffer, offset, length, &bytes))
        (void)error_set(&err, ERR_MALFORMED, "bytes outside the shared buffer");
    else if (s->body != NULL)
        (void)body_add(s->body, bytes, &err);
    if (err.code != ERR_NONE)
        fault(s, &err);
    field_put_uint(&w, FIELD_LENGTH, length);
    if (!channel_try_send(&s->channel, VERB_TAKEN, 0, writer_span(&w), NULL, 0, &err))
        session_end(room, s);
    writer_done(&w);
}

void put_forget(struct room *room, struct session *s, const struct message *m)
{
    (void)room;
    (void)m;
    body_free(s->body);
    s->body = NULL;
    s->putting = false;
}

/* A gate may say that it refused or did not understand; everything else is the vault's to decide. */
static bool state_is_a_gates(struct span state)
{
    return span_equal(state, SPAN_LIT("refused")) || span_equal(state, SPAN_LIT("not-understood"));
}

bool put_facts(const struct room *room, const struct session *s, struct span claim, struct put_state *st, struct writer *out,
               struct error *err)
{
    struct fields_reader r = fields_over(claim);
    struct field_value v;
    bool has_issuer = false;

    while (fields_next(&r, &v)) {
        if (field_is_the_vaults(v.field))
            continue;
        if (v.field == FIELD_STATE) {
            if (state_is_a_gates(v.value))
                (void)span_to_str(v.value, st->state, sizeof st->state);
            continue;
        }
        has_issuer |= v.field == FIELD_ISSUER && v.value.len > 0;
        field_put_bytes(out, v.field, v.value);
    }
    if (!fields_complete(&r, err))
        return false;
    field_put_str(out, FIELD_KIND, s->kind == PROCESS_DICOM_ASSOCIATION ? "dicom" : "hl7");
    field_put_str(out, FIELD_SOURCE, s->rights.source);
    field_put_str(out, FIELD_ADDRESS, s->address);
    if (!has_issuer)
        field_put_some(out, FIELD_ISSUER, span_str(s->rights.issuer));
    if (s->kind == PROCESS_HL7_CONNECTION)
        field_put_str(out, FIELD_ZONE, room->conf.timezone);
    return writer_ok(out, err, "facts");
}

/* One appended object whose sender waits for the commit. */
struct pending {
    struct awaited awaited;
    struct session *session; /* held until answered */
    uint32_t id;
    struct put_state st;
};

static void answer_committed(struct room *room, struct awaited *self, const struct completion *c)
{
    struct pending *p = (struct pending *)self;
    struct writer w = writer_new(256);
    struct error err = { 0 };

    if (!c->committed)
        (void)error_set(&err, c->why, "the commit failed");
    if (c->why == ERR_NO_SPACE)
        space_refused(room);
    if (c->committed && p->st.has_digest)
        repeats_add(room->repeats, p->session->rights.source, p->st.digest, c->position, clock_wall_us(room->clock));
    field_put_uint(&w, FIELD_POSITION, c->position);
    field_put_str(&w, FIELD_STATE, p->st.state);
    if (p->st.has_first)
        field_put_uint(&w, FIELD_FIRST_POSITION, p->st.first_position);
    if (!session_reply(p->session, p->id, &err, c->committed ? writer_span(&w) : (struct span){ NULL, 0 }))
        session_end(room, p->session);
    session_release(room, p->session);
    writer_done(&w);
    free(p);
}

static struct pending *pending_new(struct session *s, uint32_t id, const struct put_state *st)
{
    struct pending *p = calloc(1, sizeof *p);

    if (p != NULL)
        *p = (struct pending){ { answer_committed }, s, id, *st };
    return p;
}

void put_append(struct room *room, struct session *s, uint32_t id, const struct put_state *st, struct writer *facts)
{
    struct pending *p = pending_new(s, id, st);
    struct error err = { 0 };
    uint64_t position;
    struct append a = {
        .kind = s->kind == PROCESS_DICOM_ASSOCIATION ? RECORD_DICOM : RECORD_HL7,
        .unit = span_str(s->unit),
        .body = s->body,
        .received_us = clock_wall_us(room->clock),
        .cookie = p, /* a struct awaited */
    };

    field_put_str(facts, FIELD_STATE, st->state);
    if (st->has_first)
        field_put_uint(facts, FIELD_FIRST_POSITION, st->first_position);
    a.facts = writer_span(facts);
    s->putting = false;
    if (p == NULL)
        (void)error_set(&err, ERR_MEMORY, "object");
    if (err.code == ERR_NONE && writer_ok(facts, &err, "facts")) {
        s->body = NULL; /* the store's now, whatever happens */
        if (vault_append(room->vault, &a, &position, &err)) {
            store_kick(room->store);
            return; /* put_completed() answers */
        }
    }
    free(p);
    put_answer_fault(room, s, id, &err);
}

void put_answer_kept(struct room *room, struct session *s, uint32_t id, uint64_t position, const char *state)
{
    struct writer w = writer_new(256);

    field_put_uint(&w, FIELD_POSITION, position);
    field_put_str(&w, FIELD_STATE, state);
    body_free(s->body);
    s->body = NULL;
    s->putting = false;
    if (!session_reply(s, id, NULL, writer_span(&w)))
        session_end(room, s);
    session_release(room, s);
    writer_done(&w);
}

void put_answer_fault(struct room *room, struct session *s, uint32_t id, const struct error *err)
{
    if (err->code == ERR_NO_SPACE)
        space_refused(room);
    room->broken |= err->code == ERR_IO; /* the supervisor starts another vault, which opens the store again */
    log_warn(&room->log, "put.failed", f_uint("session", s->number), f_str("code", error_name(err->code)), f_err(err));
    body_free(s->body);
    s->body = NULL;
    s->putting = false;
    if (!session_reply(s, id, err, (struct span){ NULL, 0 }))
        session_end(room, s);
    session_release(room, s);
}

/* The facts of a PUT_END: in the message, or (long ones) in the shared buffer. Copied: the gate may change the buffer. */
static bool claim_of(const struct session *s, const struct message *m, struct writer *out, struct error *err)
{
    struct span at, facts = m->fields;

    if (fields_find(m->fields, FIELD_OFFSET, &at)
        && !shared_buffer_part(&s->buffer, field_uint(at), fields_uint(m->fields, FIELD_LENGTH, 0), &facts))
        return error_set(err, ERR_MALFORMED, "facts outside the shared buffer");
    write_span(out, facts);
    return writer_ok(out, err, "facts");
}

void put_finish(struct room *room, struct session *s, const struct message *m)
{
    struct put_state st = { .state = "stored" };
    struct writer claim = writer_new(FACTS_MAX), facts = writer_new(FACTS_MAX);
    struct error err = s->put_fault;

    session_hold(room, s);
    if (err.code == ERR_NONE && s->body == NULL)
        (void)error_set(&err, ERR_MALFORMED, "an end without a beginning");
    if (err.code == ERR_NONE && claim_of(s, m, &claim, &err))
        (void)put_facts(room, s, writer_span(&claim), &st, &facts, &err);
    if (err.code != ERR_NONE)
        put_answer_fault(room, s, m->id, &err);
    else if (s->kind == PROCESS_DICOM_ASSOCIATION && strcmp(st.state, "stored") == 0)
        put_settle(room, s, m->id, &facts); /* the same UID may be there already */
    else if (strcmp(st.state, "stored") != 0)
        put_refused(room, s, m->id, &st, &facts); /* the same bytes may be there already */
    else
        put_append(room, s, m->id, &st, &facts);
    writer_done(&claim);
    writer_done(&facts);
}

void put_completed(struct room *room)
{
    struct completion done[64];
    size_t n;

    while ((n = vault_completed(room->vault, done, COUNT_OF(done))) > 0)
        for (size_t i = 0; i < n; i++) {
            struct awaited *a = done[i].cookie;

            if (a != NULL)
                a->committed(room, a, &done[i]);
            else if (!done[i].committed && !room->broken) /* an event: nobody waits, but it is missed */
                space_event_late(room, clock_wall_us(room->clock), (struct span){ NULL, 0 });
        }
    put_settle_waiting(room);
    if (room->recheck != NULL)
        recheck_wake(room->recheck);
}
