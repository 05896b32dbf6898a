/* Acknowledgements: whether (MSH-15, MSH-16) and what, byte for byte, in each version's form. */
#include "hl7/acknowledge.h"

#include "../test.h"

#define WALL_US 1700000000000000 /* 2023-11-14T22:13:20Z */

static struct hl7_message parse(struct arena *arena, const char *text)
{
    struct hl7_message m;

    assert_true(hl7_message_parse(arena, span_str(text), &m, NULL));
    return m;
}

TEST(msh_15_and_msh_16_decide)
{
    static const struct {
        const char *conditions; /* MSH-15|MSH-16 */
        const char *accept, *error, *reject;
    } rows[] = {
        { "|", "AA", "AE", "AR" },      { "AL|", "CA", "CE", "CR" },   { "AL|AL", "CA", "CE", "CR" },
        { "NE|NE", NULL, NULL, NULL },  { "NE|AL", "AA", "AE", "AR" }, { "|AL", "AA", "AE", "AR" },
        { "ER|NE", NULL, "CE", "CR" },  { "ER|AL", "AA", "CE", "CR" }, { "SU|NE", "CA", NULL, NULL },
        { "SU|ER", "CA", "AE", "AR" },  { "|ER", NULL, "AE", "AR" },   { "NE|SU", "AA", NULL, NULL },
        { " |", "AA", "AE", "AR" },     { "XX|NE", NULL, NULL, NULL },
    };

    EACH (row, rows) {
        struct arena arena = arena_new(HL7_ARENA_MAX);
        struct writer w = writer_new(1000);
        struct hl7_message m;
        const char *wanted[3] = { row->accept, row->error, row->reject };

        write_printf(&w, "MSH|^~\\&|A|B|C|D|2026||ORU^R01|1|P|2.5|||%s\r%c", row->conditions, 0);
        m = parse(&arena, (const char *)w.ptr);
        for (int v = HL7_ACCEPT; v <= HL7_REJECT; v++) {
            const char *code = hl7_answer_code(&m, (enum hl7_verdict)v);

            CHECK_ROW(row->conditions, (code == NULL) == (wanted[v] == NULL));
            CHECK_ROW(row->conditions, code == NULL || strcmp(code, wanted[v]) == 0);
        }
        CHECK_ROW(row->conditions, hl7_answer_code(&m, HL7_SILENT) == NULL);
        writer_done(&w);
        arena_done(&arena);
    }
}

TEST(each_version_has_its_form)
{
    static const struct hl7_judgement good = { .verdict = HL7_ACCEPT, .reason = "" };
    static const struct hl7_judgement bad = { HL7_ERROR, HL7_REQUIRED_FIELD, "OBX", 2, 3, "required field is empty" };
    static const struct hl7_judgement missing = { HL7_ERROR, HL7_SEGMENT_SEQUENCE, "PID", 1, 0, "PID is missing" };
    static const struct hl7_judgement odd = { HL7_ERROR, HL7_INTERNAL_ERROR, "", 1, 0, "a-b" };
    static const struct {
        const char *name, *message;
        const struct hl7_judgement *why;
        const char *code, *answer;
    } rows[] = {
        { "2.1", "MSH|^~\\&|A|B|C|D|2026||ORU|77|P|2.1\r", &good, "AA",
          "MSH|^~\\&|C|D|A|B|20231114221320+0000||ACK|ID|P|2.1\rMSA|AA|77\r" },
        { "2.3", "MSH|^~\\&|A|B|C|D|2026||ORU^R01|77|P|2.3\r", &bad, "AE",
          "MSH|^~\\&|C|D|A|B|20231114221320+0000||ACK^R01|ID|P|2.3\rMSA|AE|77|required field is empty\r"
          "ERR|OBX^2^3^101&Required field missing&HL70357\r" },
        { "2.4, a segment", "MSH|^~\\&|A|B|C|D|2026||ORU^R01|77|P|2.4\r", &missing, "AE",
          "MSH|^~\\&|C|D|A|B|20231114221320+0000||ACK^R01^ACK|ID|P|2.4\rMSA|AE|77|PID is missing\r"
          "ERR|PID^1^^100&Segment sequence error&HL70357\r" },
        { "2.5", "MSH|^~\\&|A|B|C|D|2026||ORU^R01^ORU_R01|77|T|2.5^FRA^2.11||||||8859/1\r", &bad, "AE",
          "MSH|^~\\&|C|D|A|B|20231114221320+0000||ACK^R01^ACK|ID|T|2.5||||||8859/1\rMSA|AE|77|required field is empty\r"
          "ERR||OBX^2^3|101^Required field missing^HL70357|E|||required field is empty\r" },
        { "2.8", "MSH|^~\\&|A|B|C|D|2026||ORU^R01^ORU_R01|77|P|2.8\r", &missing, "CE",
          "MSH|^~\\&|C|D|A|B|20231114221320+0000||ACK^R01^ACK|ID|P|2.8\rMSA|CE|77\r"
          "ERR||PID^1|100^Segment sequence error^HL70357|E|||PID is missing\r" },
        { "an unknown version, nobody addressed", "MSH|^~\\&|A|B|||2026||ORU^R01|77||9.9\r", &good, "AA",
          "MSH|^~\\&|FANAL||A|B|20231114221320+0000||ACK^R01^ACK|ID|P|2.5\rMSA|AA|77\r" },
        { "own delimiters", "MSH@~&#\\@A@B@C@D@2026@@ORU~R01@77@P@2.5\r", &bad, "AE",
          "MSH@~&#\\@C@D@A@B@20231114221320+0000@@ACK~R01~ACK@ID@P@2.5\rMSA@AE@77@required field is empty\r"
          "ERR@@OBX~2~3@101~Required field missing~HL70357@E@@@required field is empty\r" },
        { "no subcomponents, no escapes", "MSH|^|A|B|C|D|2026||ORU^R01|77|P|2.2\r", &bad, "AE",
          "MSH|^|C|D|A|B|20231114221320+0000||ACK|ID|P|2.2\rMSA|AE|77|required field is empty\rERR|OBX^2^3^101\r" },
        { "a delimiter of theirs in a text of ours", "MSH|^~\\-|A|B|C|D|2026||ORU^R01|7-7|P|2.5\r",
          &odd, "AE",
          "MSH|^~\\-|C|D|A|B|20231114221320+0000||ACK^R01^ACK|ID|P|2.5\rMSA|AE|7-7|a\\T\\b\r"
          "ERR|||207^Application internal error^HL70357|E|||a\\T\\b\r" },
        { "control characters are not sent back", "MSH|^~\\&|A\x1c|B|C|D|2026||ORU^R01|7\x0b""7|P|2.5\r", &good, "AA",
          "MSH|^~\\&|C|D|A|B|20231114221320+0000||ACK^R01^ACK|ID|P|2.5\rMSA|AA|77\r" },
    };

    EACH (row, rows) {
        struct arena arena = arena_new(HL7_ARENA_MAX);
        struct hl7_message m = parse(&arena, row->message);
        struct writer w = writer_new(10000);

        hl7_acknowledge(&m, &(struct hl7_acknowledgement){ row->code, row->why, WALL_US, "ID" }, &w);
        CHECK_ROW(row->name, span_equal(writer_span(&w), span_str(row->answer)));
        writer_done(&w);
        arena_done(&arena);
    }
}

TEST(something_without_msh_gets_our_own)
{
    static const struct hl7_judgement why = { HL7_REJECT, HL7_SEGMENT_SEQUENCE, "MSH", 1, 0, "does not begin with MSH" };
    struct writer w = writer_new(10000);

    hl7_acknowledge(NULL, &(struct hl7_acknowledgement){ "AR", &why, WALL_US, "ID" }, &w);
    CHECK(span_equal(writer_span(&w),
                     SPAN_LIT("MSH|^~\\&|FANAL||||20231114221320+0000||ACK|ID|P|2.5\rMSA|AR||does not begin with MSH\r"
                              "ERR||MSH^1|100^Segment sequence error^HL70357|E|||does not begin with MSH\r")));
    writer_done(&w);
}

TEST(a_long_field_of_theirs_is_cut)
{
    static const struct hl7_judgement good = { .verdict = HL7_ACCEPT, .reason = "" };
    struct arena arena = arena_new(HL7_ARENA_MAX);
    struct writer w = writer_new(100000), out = writer_new(100000);
    struct hl7_message m;

    write_str(&w, "MSH|^~\\&|");
    write_fill(&w, 'A', 50000);
    write_str(&w, "|B|C|D|2026||ORU^R01|77|P|2.5\r");
    write_u8(&w, 0);
    m = parse(&arena, (const char *)w.ptr);
    hl7_acknowledge(&m, &(struct hl7_acknowledgement){ "AA", &good, WALL_US, "ID" }, &out);
    CHECK(!out.failed && out.len < HL7_ACK_FIELD_MAX + 200);
    writer_done(&w);
    writer_done(&out);
    arena_done(&arena);
}

TESTS(T(msh_15_and_msh_16_decide), T(each_version_has_its_form), T(something_without_msh_gets_our_own),
      T(a_long_field_of_theirs_is_cut))
