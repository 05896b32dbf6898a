/* Delimiters, segments, fields, escapes: HL7 v2.5.1 2.5 to 2.7. */
#include "hl7/message.h"

#include "../test.h"

struct parsed {
    struct arena arena;
    struct hl7_message m;
    struct error err;
    bool ok;
};

static struct parsed parse(struct span bytes)
{
    struct parsed p = { .arena = arena_new(HL7_ARENA_MAX) };

    p.ok = hl7_message_parse(&p.arena, bytes, &p.m, &p.err);
    return p;
}

TEST(msh_1_and_msh_2_say_how_to_cut)
{
    static const struct {
        const char *name, *msh, *delimiters; /* field, component, repetition, escape, subcomponent, truncation; blank: none */
    } rows[] = {
        { "usual", "MSH|^~\\&|A", "|^~\\& " },
        { "truncation character (2.7)", "MSH|^~\\&#|A", "|^~\\&#" },
        { "own", "MSH@~&#\\@A", "@~&#\\ " },
        { "no subcomponents (2.1)", "MSH|^~}|A", "|^~}  " },
        { "components only", "MSH|^|A", "|^    " },
        { "backslash quoted twice", "MSH|^~\\\\&|A", "|^~\\& " },
        { "typographic tilde", "MSH|^\xcb\x9c\\&|A", "|^~\\& " },
        { "nothing behind MSH-2", "MSH|^~\\&", "|^~\\& " },
    };

    EACH (row, rows) {
        struct parsed p = parse(span_str(row->msh));
        const struct hl7_delimiters *d = &p.m.delimiters;
        const uint8_t got[] = { d->field, d->component, d->repetition, d->escape, d->subcomponent, d->truncation };

        CHECK_ROW(row->name, p.ok);
        for (size_t i = 0; i < sizeof got; i++)
            CHECK_ROW(row->name, got[i] == (row->delimiters[i] == ' ' ? 0 : (uint8_t)row->delimiters[i]));
        arena_done(&p.arena);
    }
}

TEST(what_has_no_usable_msh_is_no_message)
{
    static const struct {
        const char *name;
        struct span bytes;
    } rows[] = {
        { "nothing", { NULL, 0 } },
        { "blank", SPAN_LIT("\r\n \r") },
        { "MSH alone", SPAN_LIT("MSH") },
        { "MSH-1 alone", SPAN_LIT("MSH|") },
        { "MSH-2 empty", SPAN_LIT("MSH{{{{{|LAB") },
        { "MSH-2 empty, fields", SPAN_LIT("MSH||A|B") },
        { "a letter as separator", SPAN_LIT("MSHX^~\\&XA") },
        { "a blank as separator", SPAN_LIT("MSH ^~\\& A") },
        { "letters as delimiters", SPAN_LIT("MSH|ABCD|A") },
        { "a control character as delimiter", SPAN_LIT("MSH|^\x01|A") },
        { "a batch", SPAN_LIT("FHS|^~\\&|A\rMSH|^~\\&|A") },
        { "HPRIM", SPAN_LIT("H|~^\\&|A") },
        { "lower case", SPAN_LIT("msh|^~\\&|A") },
    };

    EACH (row, rows) {
        struct parsed p = parse(row->bytes);

        CHECK_ROW(row->name, !p.ok && p.err.code == ERR_MALFORMED);
        arena_done(&p.arena);
    }
}

TEST(segments_end_with_cr_lf_or_both)
{
    static const struct {
        const char *name;
        struct span bytes;
    } rows[] = {
        { "CR", SPAN_LIT("MSH|^~\\&|A\rPID|1\rPV1|1\r") },
        { "LF", SPAN_LIT("MSH|^~\\&|A\nPID|1\nPV1|1\n") },
        { "CR LF", SPAN_LIT("MSH|^~\\&|A\r\nPID|1\r\nPV1|1\r\n") },
        { "mixed, no end", SPAN_LIT("MSH|^~\\&|A\nPID|1\r\nPV1|1") },
        { "empty lines", SPAN_LIT("MSH|^~\\&|A\r\r\nPID|1\r \r\n\0\rPV1|1\r\x1c\r") },
        { "lead-in", SPAN_LIT("\r\n\0\x0bMSH|^~\\&|A\rPID|1\rPV1|1\r") },
        { "byte order mark", SPAN_LIT("\xef\xbb\xbfMSH|^~\\&|A\rPID|1\rPV1|1\r") },
    };

    EACH (row, rows) {
        struct parsed p = parse(row->bytes);

        CHECK_ROW(row->name, p.ok && p.m.segment_count == 3);
        CHECK_ROW(row->name, hl7_segment_find(&p.m, "PID", 0) == 1 && hl7_segment_find(&p.m, "PV1", 0) == 2);
        CHECK_ROW(row->name, hl7_segment_find(&p.m, "OBX", 0) == 3);
        arena_done(&p.arena);
    }
}

TEST(fields_repetitions_components_subcomponents)
{
    struct parsed p = parse(SPAN_LIT("MSH|^~\\&|APP|FAC|||20260101||ORU^R01^ORU_R01|77|P|2.5\r"
                                     "PID|1||A^^^X&1.2&ISO^PI~ B ^^^Y~|| DOE ^JANE|\"\"\r"
                                     "pid|1\rP-D|1\r1ID|2\rPIDX|1\rZZ9\r"));
    const struct hl7_segment *msh = &p.m.segments[0], *pid = &p.m.segments[1];
    struct span rest, repetition;

    CHECK(p.ok);
    CHECK(span_equal(hl7_field(&p.m, msh, 1), SPAN_LIT("|")) && span_equal(hl7_field(&p.m, msh, 2), SPAN_LIT("^~\\&")));
    CHECK(span_equal(hl7_field(&p.m, msh, 3), SPAN_LIT("APP")) && span_equal(hl7_value(&p.m, msh, 9, 3), SPAN_LIT("ORU_R01")));
    CHECK(hl7_field(&p.m, msh, 13).len == 0 && hl7_field(&p.m, pid, 99).len == 0);
    CHECK(span_equal(hl7_value(&p.m, pid, 5, 1), SPAN_LIT("DOE")) && hl7_is_null(hl7_field(&p.m, pid, 6)));
    rest = hl7_field(&p.m, pid, 3);
    CHECK(hl7_next_repetition(&p.m, &rest, &repetition));
    CHECK(span_equal(hl7_subcomponent(&p.m, hl7_component(&p.m, repetition, 4), 2), SPAN_LIT("1.2")));
    CHECK(span_equal(hl7_component(&p.m, repetition, 5), SPAN_LIT("PI")) && hl7_component(&p.m, repetition, 6).len == 0);
    CHECK(hl7_next_repetition(&p.m, &rest, &repetition) && span_equal(hl7_component(&p.m, repetition, 1), SPAN_LIT("B")));
    CHECK(!hl7_next_repetition(&p.m, &rest, &repetition));
    for (size_t i = 2; i < 6; i++)
        CHECK(hl7_segment_id(&p.m, &p.m.segments[i]).len == 0);
    CHECK(hl7_segment_is(&p.m, &p.m.segments[6], "ZZ9"));
    arena_done(&p.arena);
}

TEST(escapes_become_text)
{
    static const struct {
        const char *name, *sent, *text;
    } rows[] = {
        { "plain", "abc", "abc" },
        { "delimiters", "\\F\\\\S\\\\T\\\\R\\\\E\\", "|^&~\\" },
        { "truncation", "\\P\\", "#" },
        { "hexadecimal, in the message's set", "\\X41E9\\", "A\xc3\xa9" },
        { "hexadecimal line end", "a\\X0D\\b\\X0D0A\\c", "a\nb\nc" },
        { "odd hexadecimal stays", "\\X4\\", "\\X4\\" },
        { "no hexadecimal stays", "\\X4G\\", "\\X4G\\" },
        { "line ends", "a\\.br\\b\\.sp\\c\\.sp2\\d", "a\nb\nc\nd" },
        { "other formatting goes", "\\.in+4\\a\\.ti-2\\b\\.fi\\c\\.nf\\d\\.sk3\\e", "abcd e" },
        { "highlight goes", "\\H\\HIGH\\N\\", "HIGH" },
        { "unknown stays", "a \\Z99\\ b", "a \\Z99\\ b" },
        { "unknown beside known", "\\Z\\F\\", "\\Z|" },
        { "stray", "a\\b", "a\\b" },
        { "stray at the end", "ab\\", "ab\\" },
        { "two", "\\\\", "\\\\" },
        { "control characters", "a\x01" "b\tc", "a\xef\xbf\xbd" "b\tc" },
        { "8859-1", "\xe9t\xe9", "\xc3\xa9t\xc3\xa9" },
    };
    struct parsed p = parse(SPAN_LIT("MSH|^~\\&|A|||||||||||||||8859/1\r"));

    CHECK(p.ok);
    EACH (row, rows) {
        struct writer w = writer_new(1000);

        hl7_text(&p.m, span_str(row->sent), &w);
        CHECK_ROW(row->name, span_equal(writer_span(&w), span_str(row->text)));
        writer_done(&w);
    }
    arena_done(&p.arena);
}

TEST(utf_16_is_read_as_its_text)
{
    static const char ascii[] = "MSH|^~\\&|A|B\rPID|1\r";
    struct writer be = writer_new(1000), le = writer_new(1000);

    write_str(&le, "\xff\xfe");
    for (const char *c = ascii; *c != '\0'; c++) {
        write_u16be(&be, (uint16_t)*c);
        write_u16le(&le, (uint16_t)*c);
    }
    for (int i = 0; i < 2; i++) {
        struct parsed p = parse(writer_span(i == 0 ? &be : &le));

        CHECK(p.ok && p.m.transcoded && p.m.segment_count == 2);
        CHECK(span_equal(hl7_field(&p.m, &p.m.segments[0], 4), SPAN_LIT("B")));
        arena_done(&p.arena);
    }
    writer_done(&be);
    writer_done(&le);
}

TEST(limits_hold)
{
    struct writer w = writer_new(HL7_MESSAGE_MAX + 100);
    struct parsed p;

    write_str(&w, "MSH|^~\\&|A\r");
    for (int i = 1; i < HL7_SEGMENTS_MAX; i++)
        write_str(&w, "Z\r");
    p = parse(writer_span(&w));
    CHECK(p.ok && p.m.segment_count == HL7_SEGMENTS_MAX);
    arena_done(&p.arena);
    write_str(&w, "Z\r");
    p = parse(writer_span(&w));
    CHECK(!p.ok && p.err.code == ERR_LIMIT);
    arena_done(&p.arena);
    write_fill(&w, '\n', HL7_MESSAGE_MAX + 1 - w.len);
    p = parse(writer_span(&w));
    CHECK(!p.ok && p.err.code == ERR_LIMIT);
    arena_done(&p.arena);
    writer_done(&w);
}

TESTS(T(msh_1_and_msh_2_say_how_to_cut), T(what_has_no_usable_msh_is_no_message), T(segments_end_with_cr_lf_or_both),
      T(fields_repetitions_components_subcomponents), T(escapes_become_text), T(utf_16_is_read_as_its_text), T(limits_hold))
