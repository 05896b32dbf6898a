/*
 * One message as bytes: see receipt.h.
 */
#include "gate/hl7/receipt.h"

#include <stdio.h>

#include "base/cleanup.h"
#include "hl7/acknowledge.h"
#include "hl7/facts.h"
#include "hl7/mllp.h"

#define UNIT_MAX 512 /* UNIT_TEXT_MAX of the store */
/* "F", 13 hexadecimal digits of microseconds, 3 of the process, 3 of the count: unique and 20 characters. */
#define CONTROL_ID_SIZE 21

/* A message on its way through. */
struct passage {
    struct arena arena; /* owned */
    struct hl7_message message;
    bool parsed;
    struct hl7_judgement judgement;
    struct writer facts; /* owned */
    char unit[UNIT_MAX];
};

static void passage_done(struct passage *p)
{
    writer_done(&p->facts);
    arena_done(&p->arena);
}

static const struct hl7_message *message_of(const struct passage *p)
{
    return p->parsed ? &p->message : NULL;
}

static bool is_understood(const struct passage *p)
{
    return p->judgement.verdict == HL7_ACCEPT;
}

/* What the sender is told: where it has `unsupported = keep`, a type we do not do is no reason to stop its queue. */
static struct hl7_judgement told(const struct receipt *r, const struct hl7_judgement *j)
{
    bool unsupported = j->condition == HL7_UNSUPPORTED_TYPE || j->condition == HL7_UNSUPPORTED_EVENT;

    if (r->sender.keep_unsupported && unsupported)
        return (struct hl7_judgement){ .verdict = HL7_ACCEPT, .reason = "" };
    return *j;
}

static const char *code_or_none(const char *code)
{
    return code != NULL ? code : "none";
}

/* ---- facts ---- */

static void put_state(struct passage *p, const char *code)
{
    char location[HL7_LOCATION_SIZE], code_text[12];
    const struct hl7_judgement *j = &p->judgement;

    field_put_str(&p->facts, FIELD_ACK_CODE, code_or_none(code));
    if (is_understood(p) || j->verdict == HL7_SILENT) /* an answer is stored, and says nothing of anybody */
        return;
    hl7_location(j, location);
    field_put_str(&p->facts, FIELD_STATE, "not-understood");
    field_put_str(&p->facts, FIELD_REASON, j->reason);
    field_put_some(&p->facts, FIELD_ERROR_LOCATION, span_str(location));
    (void)snprintf(code_text, sizeof code_text, "%d", (int)j->condition);
    field_put_str(&p->facts, FIELD_ERROR_CODE, code_text);
}

static void put_facts(struct passage *p, const struct receipt *r)
{
    struct hl7_judgement answered = told(r, &p->judgement);

    writer_reset(&p->facts);
    if (p->parsed)
        hl7_header_facts(&p->message, span_str(r->sender.zone), &p->facts);
    put_state(p, hl7_answer_code(message_of(p), answered.verdict));
    if (is_understood(p))
        hl7_facts(&p->message, &p->facts);
}

/* results:<issuer>:<patient>, so that a patient's results can be erased together; "message" where there is none. */
static void put_unit(struct passage *p, const struct receipt *r)
{
    struct span id = fields_text(writer_span(&p->facts), FIELD_PATIENT_ID);
    struct span issuer = fields_text(writer_span(&p->facts), FIELD_ISSUER);
    struct writer w = writer_new(UNIT_MAX - 1);

    write_str(&w, "results:");
    write_span(&w, issuer.len > 0 ? issuer : span_str(r->sender.issuer));
    write_str(&w, ":");
    write_span(&w, id);
    if (id.len == 0 || w.failed || !span_to_str(writer_span(&w), p->unit, sizeof p->unit))
        (void)span_to_str(SPAN_LIT("message"), p->unit, sizeof p->unit);
    writer_done(&w);
}

static void judge(struct passage *p, const struct receipt *r, struct span bytes, bool is_whole)
{
    struct error err = { 0 };

    p->arena = arena_new(HL7_ARENA_MAX);
    p->facts = writer_new(RECEIPT_FACTS_MAX);
    p->parsed = hl7_message_parse(&p->arena, bytes, &p->message, &err);
    p->judgement = p->parsed ? hl7_judge(&p->message) : hl7_judge_no_message(bytes, err.code);
    if (!is_whole)
        p->judgement = hl7_judge_no_message(bytes, ERR_LIMIT);
    put_facts(p, r);
    if (p->facts.failed && is_understood(p)) {
        /* Half of the results would look like all of them. */
        p->judgement = (struct hl7_judgement){ HL7_ERROR, HL7_INTERNAL_ERROR, "OBR", 1, 0,
                                               "more results than one message may hold here" };
        put_facts(p, r);
    }
    put_unit(p, r);
}

/* ---- answers ---- */

static void write_answer(struct receipt *r, const struct passage *p, const struct hl7_judgement *why, struct writer *out)
{
    const char *code = hl7_answer_code(message_of(p), why->verdict);
    uint64_t now = clock_wall_us(r->clock);
    char control_id[CONTROL_ID_SIZE];
    struct writer bytes = writer_new(64 * 1024); /* a few fields of at most HL7_ACK_FIELD_MAX */

    r->count++;
    if (code == NULL)
        return;
    (void)snprintf(control_id, sizeof control_id, "F%013llX%03X%03X", (unsigned long long)now & 0xfffffffffffff,
                   r->process & 0xfff, r->count & 0xfff);
    hl7_acknowledge(message_of(p), &(struct hl7_acknowledgement){ code, why, now, control_id }, &bytes);
    if (bytes.failed)
        out->failed = true;
    else
        mllp_frame(writer_span(&bytes), out);
    writer_done(&bytes);
}

/* The vault said no, or is gone. */
static bool not_kept(struct receipt *r, const struct passage *p, struct writer *answer, struct error *err)
{
    struct hl7_judgement why = { HL7_ERROR, HL7_INTERNAL_ERROR, "", 1, 0, "not kept: try again later" };

    if (err->code == ERR_CLOSED || err->code == ERR_TIMEOUT || err->code == ERR_MALFORMED)
        return error_within(err, "message");
    if (err->code == ERR_NO_SPACE)
        why.reason = "not kept: no space left";
    log_error(r->log, "message.not-kept", f_err(err));
    if (p->judgement.verdict != HL7_SILENT)
        write_answer(r, p, &why, answer);
    return writer_ok(answer, err, "answer");
}

bool receipt_take(struct receipt *r, struct span message, bool is_whole, struct writer *answer, struct error *err)
{
    CLEANUP(passage_done) struct passage p = { 0 };
    struct hl7_judgement why;

    judge(&p, r, message, is_whole);
    if (!writer_ok(&p.facts, err, "facts"))
        return false;
    if (!r->keeper.keep(r->keeper.context, message, span_str(p.unit), writer_span(&p.facts), err))
        return not_kept(r, &p, answer, err);
    why = told(r, &p.judgement);
    write_answer(r, &p, &why, answer);
    log_info(r->log, "message.kept", f_str("answer", code_or_none(hl7_answer_code(message_of(&p), why.verdict))),
             f_int("condition", p.judgement.condition), f_uint("bytes", message.len));
    return writer_ok(answer, err, "answer");
}
