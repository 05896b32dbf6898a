/* What becomes of one message: kept before it is answered, answered by what the vault says, or not at all. */
#include "gate/hl7/receipt.h"

#include "hl7/mllp.h"

#include "../test.h"

struct memory {
    enum error_code answer; /* of the vault */
    struct writer body, unit, facts;
    size_t kept;
};

static bool memory_keep(void *context, struct span body, struct span unit, struct span facts, struct error *err)
{
    struct memory *m = context;

    writer_reset(&m->body);
    writer_reset(&m->unit);
    writer_reset(&m->facts);
    write_span(&m->body, body);
    write_span(&m->unit, unit);
    write_span(&m->facts, facts);
    m->kept++;
    return m->answer == ERR_NONE || error_set(err, m->answer, "as the test asks");
}

static struct memory memory_new(enum error_code answer)
{
    struct writer w = writer_new((size_t)64 * 1024 * 1024);

    return (struct memory){ answer, w, w, w, 0 };
}

static void memory_done(struct memory *m)
{
    writer_done(&m->body);
    writer_done(&m->unit);
    writer_done(&m->facts);
}

static const struct log nowhere = { .fd = -1, .clock = &clock_system };

static struct receipt receipt_over(struct memory *m, bool keep_unsupported)
{
    return (struct receipt){ .keeper = { m, NULL, memory_keep, -1 },
                             .sender = { "HOSPITAL", "Europe/Paris", keep_unsupported },
                             .clock = &clock_system, .log = &nowhere, .process = 7 };
}

static bool contains(struct span text, const char *what)
{
    struct span wanted = span_str(what);

    for (size_t i = 0; i + wanted.len <= text.len; i++)
        if (span_equal(span_part(text, i, wanted.len), wanted))
            return true;
    return false;
}

#define HEADER(type, rest) "MSH|^~\\&|LIS|LAB|||20260101120000||" type "|C1|P|2.5" rest "\r"
#define PATIENT "PID|1||4711||DOE^JANE\r"
#define ORU HEADER("ORU^R01", "") PATIENT "OBR|1||F1|GLU\rOBX|1|NM|GLU||5.1|mmol/L|||||F\r"

TEST(each_message_gets_its_answer_and_its_state)
{
    static const struct {
        const char *name, *message;
        bool keep_unsupported;
        enum error_code vault;
        const char *answer; /* somewhere in it; NULL: none */
        const char *unit, *state, *ack_code;
    } rows[] = {
        { "understood", ORU, false, 0, "\rMSA|AA|C1\r", "results:HOSPITAL:4711", "", "AA" },
        { "unsupported", HEADER("SIU^S12", ""), false, 0, "|200^", "message", "not-understood", "AR" },
        { "unsupported, kept", HEADER("SIU^S12", ""), true, 0, "\rMSA|AA|C1\r", "message", "not-understood", "AA" },
        { "event, kept", HEADER("ADT^A02", ""), true, 0, "\rMSA|AA|C1\r", "message", "not-understood", "AA" },
        { "bad content is bad content", HEADER("ORU^R01", ""), true, 0, "ERR||PID^1|100^", "message", "not-understood", "AE" },
        { "noise", "hello", false, 0, "\rMSA|AR|", "message", "not-understood", "AR" },
        { "nothing", "", false, 0, "\rMSA|AR|", "message", "not-understood", "AR" },
        { "an acknowledgement", HEADER("ACK^R01", "") "MSA|AA|X\r", false, 0, NULL, "message", "", "none" },
        { "enhanced, never", HEADER("ORU^R01", "|||NE|NE") PATIENT "OBR|1|||X\r", false, 0, NULL, "results:HOSPITAL:4711", "", "none" },
        { "enhanced", HEADER("ORU^R01", "|||AL|NE") PATIENT "OBR|1|||X\r", false, 0, "\rMSA|CA|C1\r", "results:HOSPITAL:4711", "", "CA" },
        { "disk full", ORU, false, ERR_NO_SPACE, "not kept: no space left", "results:HOSPITAL:4711", "", "AA" },
        { "disk full, enhanced", HEADER("ORU^R01", "|||AL|NE") PATIENT "OBR|1|||X\r", false, ERR_NO_SPACE, "\rMSA|CE|C1|", "results:HOSPITAL:4711", "", "CA" },
        { "refused by the vault", ORU, false, ERR_IO, "|207^", "results:HOSPITAL:4711", "", "AA" },
        { "acknowledgement not kept", HEADER("ACK", ""), false, ERR_IO, NULL, "message", "", "none" },
    };

    EACH (row, rows) {
        struct memory m = memory_new(row->vault);
        struct receipt r = receipt_over(&m, row->keep_unsupported);
        struct writer answer = writer_new(65536);
        struct error err = { 0 };
        struct span facts;

        CHECK_ROW(row->name, receipt_take(&r, span_str(row->message), true, &answer, &err));
        facts = writer_span(&m.facts);
        CHECK_ROW(row->name, m.kept == 1 && span_equal(writer_span(&m.body), span_str(row->message)));
        CHECK_ROW(row->name, row->answer == NULL ? answer.len == 0 : contains(writer_span(&answer), row->answer));
        CHECK_ROW(row->name, span_equal(writer_span(&m.unit), span_str(row->unit)));
        CHECK_ROW(row->name, span_equal(fields_text(facts, FIELD_STATE), span_str(row->state)));
        CHECK_ROW(row->name, span_equal(fields_text(facts, FIELD_ACK_CODE), span_str(row->ack_code)));
        CHECK_ROW(row->name, !contains(writer_span(&answer), "DOE") && !contains(writer_span(&answer), "4711"));
        writer_done(&answer);
        memory_done(&m);
    }
}

TEST(a_vault_that_is_gone_leaves_the_sender_without_an_answer)
{
    static const enum error_code codes[] = { ERR_CLOSED, ERR_TIMEOUT, ERR_MALFORMED };

    EACH (code, codes) {
        struct memory m = memory_new(*code);
        struct receipt r = receipt_over(&m, false);
        struct writer answer = writer_new(65536);
        struct error err = { 0 };

        CHECK(!receipt_take(&r, span_str(ORU), true, &answer, &err) && err.code == *code && answer.len == 0);
        writer_done(&answer);
        memory_done(&m);
    }
}

TEST(two_answers_never_share_a_control_id)
{
    struct memory m = memory_new(ERR_NONE);
    struct receipt r = receipt_over(&m, false);
    struct writer a = writer_new(65536), b = writer_new(65536);

    CHECK(receipt_take(&r, span_str(ORU), true, &a, NULL) && receipt_take(&r, span_str(ORU), true, &b, NULL));
    CHECK(!span_equal(writer_span(&a), writer_span(&b)));
    writer_done(&a);
    writer_done(&b);
    memory_done(&m);
}

TEST(what_passed_the_limit_keeps_its_beginning_and_is_refused)
{
    struct memory m = memory_new(ERR_NONE);
    struct receipt r = receipt_over(&m, false);
    struct writer answer = writer_new(65536);

    CHECK(receipt_take(&r, span_str(ORU), false, &answer, NULL));
    CHECK(contains(writer_span(&answer), "\rMSA|AR|C1|larger than a limit"));
    CHECK(span_equal(fields_text(writer_span(&m.facts), FIELD_STATE), SPAN_LIT("not-understood")));
    writer_done(&answer);
    memory_done(&m);
}

/* 128 KiB of field list is what one call to the vault takes. */
TEST(more_results_than_a_record_takes_are_refused_whole)
{
    struct memory m = memory_new(ERR_NONE);
    struct receipt r = receipt_over(&m, false);
    struct writer message = writer_new((size_t)1024 * 1024), answer = writer_new(65536);

    write_str(&message, HEADER("ORU^R01", "") PATIENT "OBR|1||F1|GLU\r");
    for (int i = 0; i < 3000; i++)
        write_printf(&message, "OBX|%d|NM|CODE%d^A name of some length||%d|mmol/L|||||F\r", i + 1, i, i);
    CHECK(receipt_take(&r, writer_span(&message), true, &answer, NULL));
    CHECK(contains(writer_span(&answer), "\rMSA|AE|C1|more results than"));
    CHECK(span_equal(writer_span(&m.body), writer_span(&message)) && m.facts.len < 1000);
    writer_done(&message);
    writer_done(&answer);
    memory_done(&m);
}

TESTS(T(each_message_gets_its_answer_and_its_state), T(a_vault_that_is_gone_leaves_the_sender_without_an_answer),
      T(two_answers_never_share_a_control_id), T(what_passed_the_limit_keeps_its_beginning_and_is_refused),
      T(more_results_than_a_record_takes_are_refused_whole))
