/* What anchors answer: checked, recorded, or an alarm. See anchors.h. */
#include <stdio.h>

#include "cmd/room/anchors.h"
#include "vault/cosign.h"
#include "vault/stamp.h"

static const char *kind_of(const struct anchor *a)
{
    return a->conf->is_witness ? "witness" : "timestamp";
}

static void tell(struct room *room, const struct anchor *a, const char *event, const char *outcome, const char *reason,
                 const char *detail)
{
    struct writer more = writer_new(1024);

    field_put_str(&more, FIELD_KIND, kind_of(a));
    field_put_str(&more, FIELD_NAME, a->conf->name);
    field_put_some(&more, FIELD_DETAIL, span_str(detail));
    event_record(room, event, NULL, outcome, reason, writer_span(&more));
    writer_done(&more);
}

static void rest(struct room *room, struct anchor *a)
{
    const uint64_t every_ms = (uint64_t)a->conf->every_s * 1000;
    uint64_t wait = a->failures == 0 ? every_ms : ANCHOR_RETRY_FIRST_MS;

    for (unsigned i = 1; i < a->failures && wait < every_ms; i++)
        wait *= 2;
    a->state = ANCHOR_RESTS;
    a->due_ms = clock_monotonic_ms(room->clock) + (wait < every_ms ? wait : every_ms);
}

/* True where this is not what it said the last time: a line of the log each, no more. */
static bool fault_is_new(struct anchor *a, const char *why)
{
    const bool is_new = strncmp(a->fault, why, sizeof a->fault - 1) != 0;

    (void)snprintf(a->fault, sizeof a->fault, "%s", why);
    return is_new;
}

void anchor_failed(struct room *room, struct anchor *a, const char *why)
{
    a->failures++;
    if (fault_is_new(a, why))
        log_warn(&room->log, "anchor.failed", f_str("kind", kind_of(a)), f_str("name", a->conf->name), f_str("error", why));
    rest(room, a);
}

void anchor_refused(struct room *room, struct anchor *a, const char *why)
{
    a->failures++;
    if (fault_is_new(a, why) || !a->refused) {
        log_error(&room->log, "anchor.refused", f_str("kind", kind_of(a)), f_str("name", a->conf->name), f_str("error", why));
        tell(room, a, "anchor.refused", "refused", why, "");
    }
    a->refused = true;
    rest(room, a);
}

/* ---- success ---- */

static void record(struct room *room, struct anchor *a, const char *fact, enum field f, struct span proof, uint64_t time_us)
{
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);
    struct append fact_of = { .kind = RECORD_FACT, .unit = SPAN_LIT("anchors"), .received_us = clock_wall_us(room->clock) };
    struct error err = { 0 };
    uint64_t position;

    field_put_str(&w, FIELD_FACT, fact);
    field_put_str(&w, FIELD_NAME, a->conf->name);
    field_put_uint(&w, FIELD_TREE_SIZE, a->next.size);
    field_put_text(&w, FIELD_SIGNED_NOTE, writer_span(&a->next.note));
    field_put_bytes(&w, f, proof);
    field_put_uint(&w, FIELD_STAMPED, time_us);
    fact_of.facts = writer_span(&w);
    if (!writer_ok(&w, &err, fact) || !vault_append(room->vault, &fact_of, &position, &err)) {
        log_error(&room->log, "anchor.not-recorded", f_str("name", a->conf->name), f_err(&err));
    } else {
        anchors_own(room, position);
        a->recorded_size = a->next.size;
        store_kick(room->store);
    }
    writer_done(&w);
}

/* The proof (a cosignature line, a token) is believed. What adds nothing to the last one kept is not kept. */
static void succeeded(struct room *room, struct anchor *a, const char *fact, enum field f, struct span proof,
                      uint64_t time_us)
{
    const bool was_bad = a->late || a->refused || a->fault[0] != '\0' || !a->head_there;

    if (a->next.size > a->recorded_size && !anchors_only_own(room, a->recorded_size, a->next.size))
        record(room, a, fact, f, proof, time_us);
    if (was_bad)
        log_info(&room->log, "anchor.succeeded", f_str("kind", kind_of(a)), f_str("name", a->conf->name),
                 f_uint("size", a->next.size));
    if (a->late || a->refused)
        tell(room, a, "anchor.back", "success", NULL, "");
    anchor_head_done(&a->head);
    a->head = a->next;
    a->next = (struct anchor_head){ .size = 0 };
    a->head_there = true;
    a->known_size = a->head.size;
    a->success_us = clock_wall_us(room->clock);
    a->since_ms = clock_monotonic_ms(room->clock);
    a->late = a->refused = false;
    a->failures = 0;
    a->fault[0] = '\0';
    rest(room, a);
}

/* ---- a witness (tlog-witness) ---- */

static void cosigned(struct room *room, struct anchor *a, struct span body)
{
    struct note n;
    struct span line;
    struct error err = { 0 };
    uint64_t time_s;

    if (note_parse(a->next.request.note, &n, &err)
        && cosignature_read(body, &a->conf->key, n.text, clock_wall_us(room->clock) / 1000000, &line, &time_s, &err))
        succeeded(room, a, "checkpoint-cosigned", FIELD_COSIGNATURE, line, time_s * 1000000);
    else
        anchor_failed(room, a, err.text);
}

/* It holds another size than we said: its own, in decimal. */
static void conflict(struct room *room, struct anchor *a, struct span body)
{
    uint64_t size;
    struct error err = { 0 };

    if (!decimal_parse(span_trim(body, "\n"), &size)) {
        anchor_failed(room, a, "a conflict without a size");
    } else if (size == a->next.request.old_size && size == a->next.size) {
        (void)error_set(&err, ERR_REFUSED, "the witness has another history of %llu records", (unsigned long long)size);
        anchor_refused(room, a, err.text);
    } else if (++a->conflicts > ANCHOR_CONFLICTS_MAX || size == a->next.request.old_size) {
        anchor_failed(room, a, "the witness goes on to name another size");
    } else {
        /* More than was sent need not be more than there is: what was sent may be the last success once more. The newest
         * head is proven from there, or there is none that long. */
        a->known_size = size;
        a->head_there = false;
        anchor_begin(room, a);
    }
}

static void witness_answered(struct room *room, struct anchor *a, uint64_t status, struct span body)
{
    struct error err = { 0 };

    switch (status) {
    case 200:
        cosigned(room, a, body);
        return;
    case 403:
        anchor_failed(room, a, "403: the witness has another key for this log");
        return;
    case 404:
        anchor_failed(room, a, "404: the witness does not know this log");
        return;
    case 409:
        conflict(room, a, body);
        return;
    case 422:
        (void)error_set(&err, ERR_REFUSED, "422: what the witness has seen (%llu records) is no beginning of this log",
                        (unsigned long long)a->next.request.old_size);
        anchor_refused(room, a, err.text);
        return;
    default: /* a number that a stranger chose */
        (void)error_set(&err, ERR_REFUSED, "status %llu", (unsigned long long)status);
        anchor_failed(room, a, err.text);
        return;
    }
}

/* ---- a time stamp (RFC 3161) ---- */

static void stamp_answered(struct room *room, struct anchor *a, uint64_t status, struct span type, struct span body)
{
    struct writer token = writer_new(STAMP_TOKEN_MAX);
    struct error err = { 0 };
    uint64_t time_us;

    if (status != 200)
        (void)error_set(&err, ERR_REFUSED, "status %llu", (unsigned long long)status);
    else if (!span_starts(type, SPAN_LIT(STAMP_REPLY_TYPE)))
        (void)error_set(&err, ERR_MALFORMED, "an answer that is no time stamp");
    else
        (void)stamp_read(writer_span(&a->stamp_request), body, writer_span(&a->ca), &token, &time_us, &err);
    if (err.code == ERR_NONE)
        succeeded(room, a, "checkpoint-stamped", FIELD_STAMP_TOKEN, writer_span(&token), time_us);
    else
        anchor_failed(room, a, err.text);
    writer_done(&token);
}

void anchor_answered(struct room *room, struct anchor *a, struct span fields)
{
    const uint64_t result = fields_uint(fields, FIELD_RESULT, ERR_MALFORMED), status = fields_uint(fields, FIELD_HTTP_STATUS, 0);
    const struct span body = fields_text(fields, FIELD_HTTP_BODY);
    char why[ERROR_TEXT_MAX];

    if (result != ERR_NONE) {
        (void)span_to_str(span_part(fields_text(fields, FIELD_ERROR_TEXT), 0, sizeof why - 1), why, sizeof why);
        anchor_failed(room, a, why[0] != '\0' ? why : "the relay says no more");
    } else if (a->conf->is_witness) {
        witness_answered(room, a, status, body);
    } else {
        stamp_answered(room, a, status, fields_text(fields, FIELD_CONTENT_TYPE), body);
    }
}
