/* The push parser: what it tells of each encoding of PS3.5 §7 and Annex A, and what it refuses. */
#include "base/writer.h"
#include "dicom/data_set.h"

#include "../test.h"

/* Events as a line of text: E(tag,vr,length) bytes . S( I i s F f */
static bool describe(void *context, const struct data_set_event *event, struct error *err)
{
    static const char marks[] = {
        [EVENT_ELEMENT] = 'E', [EVENT_FRAGMENTS] = 'F', [EVENT_FRAGMENT] = 'f', [EVENT_SEQUENCE] = 'S',
        [EVENT_ITEM] = 'I',    [EVENT_ITEM_END] = 'i',  [EVENT_BYTES] = ' ',    [EVENT_END] = '.'
    };
    struct writer *out = context;

    (void)err;
    if (event->kind == EVENT_BYTES) {
        for (size_t i = 0; i < event->bytes.len; i++)
            write_printf(out, "%02x", event->bytes.ptr[i]);
        return true;
    }
    write_printf(out, "%c", marks[event->kind]);
    if (event->kind == EVENT_ELEMENT || event->kind == EVENT_SEQUENCE || event->kind == EVENT_FRAGMENTS)
        write_printf(out, "%u(%08X,%s)", event->depth, event->element->tag, vr_name(event->element->vr));
    return true;
}

static bool parse(const char *syntax, bool tolerant, struct span bytes, size_t piece, struct writer *out,
                  struct error *err)
{
    struct data_set_parser p;

    data_set_parser_init(&p, transfer_syntax_find(span_str(syntax)), tolerant, describe, out);
    for (size_t at = 0; at < bytes.len; at += piece)
        if (!data_set_feed(&p, span_part(bytes, at, piece), err))
            return false;
    return data_set_finish(&p, err);
}

#define IMPLICIT "1.2.840.10008.1.2"
#define EXPLICIT "1.2.840.10008.1.2.1"
#define BIG      "1.2.840.10008.1.2.2"

TEST(encodings_are_told_apart)
{
    const struct {
        const char *name;
        const char *syntax;
        const char *bytes;
        const char *want;
    } rows[] = {
        { "explicit, short header", EXPLICIT, "1000 1000 504e 0400 415e4220", "E0(00100010,PN)415e4220." },
        { "explicit, long header", EXPLICIT, "4200 1100 4f42 0000 02000000 2550", "E0(00420011,OB)2550." },
        { "implicit", IMPLICIT, "1000 1000 04000000 415e4220", "E0(00100010,PN)415e4220." },
        { "big endian", BIG, "0028 0010 5553 0002 0200", "E0(00280010,US)0200." },
        { "no value", EXPLICIT, "0800 5000 5348 0000", "E0(00080050,SH)." },
        { "an odd length", EXPLICIT, "0800 5000 5348 0300 414243", "E0(00080050,SH)414243." },
        { "tags that do not ascend", EXPLICIT, "0800 5000 5348 0000 0800 0500 4353 0000",
          "E0(00080050,SH).E0(00080005,CS)." },
        { "group length", EXPLICIT, "0800 0000 554c 0400 08000000", "E0(00080000,UL)08000000." },
        { "trailing padding", EXPLICIT, "fcff fcff 4f42 0000 02000000 0000", "E0(FFFCFFFC,OB)0000." },
        { "sent as UN, read by the dictionary", EXPLICIT, "1000 1000 554e 0000 02000000 4142", "E0(00100010,PN)4142." },
        { "private creator and value, implicit", IMPLICIT, "0900 1000 02000000 4142 0900 0110 01000000 41",
          "E0(00090010,LO)4142.E0(00091001,UN)41." },
        { "letters that are no VR: short form", EXPLICIT, "2800 2001 2020 0200 0100", "E0(00280120,US/SS)0100." },
        { "capitals that are no VR: long form", EXPLICIT, "2800 2001 5a5a 0000 02000000 0100",
          "E0(00280120,US/SS)0100." },
        { "sequence and item with lengths", EXPLICIT,
          "0800 1511 5351 0000 10000000 feff 00e0 08000000 0800 5011 5549 0000", "S0(00081115,SQ)IE1(00081150,UI).i." },
        { "sequence and item with delimiters", EXPLICIT,
          "0800 1511 5351 0000 ffffffff feff 00e0 ffffffff 0800 5011 5549 0000 feff 0de0 00000000 feff dde0 00000000",
          "S0(00081115,SQ)IE1(00081150,UI).i." },
        { "two items, one empty", EXPLICIT, "0800 1511 5351 0000 10000000 feff 00e0 00000000 feff 00e0 00000000",
          "S0(00081115,SQ)IiIi." },
        { "empty sequence with delimiter", IMPLICIT, "0800 1511 ffffffff feff dde0 00000000", "S0(00081115,SQ)." },
        { "big endian items", BIG, "0008 1115 5351 0000 ffffffff fffe e000 00000000 fffe e0dd 00000000",
          "S0(00081115,SQ)Ii." },
        { "UN of undefined length is implicit inside (CP-246)", EXPLICIT,
          "0900 0110 554e 0000 ffffffff feff 00e0 ffffffff 0800 5000 02000000 4142 feff 0de0 00000000 feff dde0 "
          "00000000",
          "S0(00091001,SQ)IE1(00080050,SH)4142.i." },
        { "and little endian inside of big endian", BIG,
          "0009 1001 554e 0000 ffffffff feff 00e0 08000000 0800 5000 00000000 feff dde0 00000000",
          "S0(00091001,SQ)IE1(00080050,SH).i." },
        { "UN with a length that the dictionary calls a sequence", EXPLICIT,
          "0800 1511 554e 0000 10000000 feff 00e0 08000000 0800 5000 00000000", "S0(00081115,SQ)IE1(00080050,SH).i." },
        { "the same, and it is none", EXPLICIT, "0800 1511 554e 0000 0a000000 01020304050607080910",
          "E0(00081115,UN)01020304050607080910." },
        { "fragments", EXPLICIT,
          "e07f 1000 4f42 0000 ffffffff feff 00e0 00000000 feff 00e0 04000000 ffd8ffd9 feff dde0 00000000",
          "F0(7FE00010,OB)ffffd8ffd9." },
        { "a superfluous item delimiter", EXPLICIT,
          "0800 1511 5351 0000 ffffffff feff 00e0 00000000 feff 0de0 00000000 feff dde0 00000000",
          "S0(00081115,SQ)Ii." },
        { "a missing item delimiter", EXPLICIT, "0800 1511 5351 0000 ffffffff feff 00e0 ffffffff feff dde0 00000000",
          "S0(00081115,SQ)Ii." },
        { "a superfluous sequence delimiter", EXPLICIT,
          "0800 1511 5351 0000 00000000 feff dde0 00000000 0800 5000 5348 0000", "S0(00081115,SQ).E0(00080050,SH)." },
        { "nothing", EXPLICIT, "", "" },
    };

    EACH(row, rows)
    for (size_t piece = 1; piece < 40; piece += 3) {
        struct writer out = writer_new(4096);
        struct error err = { 0 };

        CHECK_ROW(row->name, parse(row->syntax, true, HEX(row->bytes), piece, &out, &err));
        CHECK_ROW(row->name, span_equal(writer_span(&out), span_str(row->want)));
        writer_done(&out);
    }
}

TEST(lies_are_refused)
{
    const struct {
        const char *name;
        const char *syntax;
        const char *bytes;
        enum error_code want;
    } rows[] = {
        { "ends in a tag", EXPLICIT, "1000", ERR_TRUNCATED },
        { "ends in a long header", EXPLICIT, "4200 1100 4f42 0000 0200", ERR_TRUNCATED },
        { "ends in a value", EXPLICIT, "1000 1000 504e 0400 4142", ERR_TRUNCATED },
        { "ends in a sequence", EXPLICIT, "0800 1511 5351 0000 ffffffff", ERR_TRUNCATED },
        { "ends in a sequence with a length", EXPLICIT, "0800 1511 5351 0000 10000000 feff 00e0 00000000",
          ERR_TRUNCATED },
        { "ends in an item", EXPLICIT, "0800 1511 5351 0000 ffffffff feff 00e0 ffffffff", ERR_TRUNCATED },
        { "ends in fragments", EXPLICIT, "e07f 1000 4f42 0000 ffffffff feff 00e0 00000000", ERR_TRUNCATED },
        { "an element longer than its item", EXPLICIT,
          "0800 1511 5351 0000 12000000 feff 00e0 0a000000 0800 5011 5549 0400 31", ERR_TRUNCATED },
        { "an item longer than its sequence", EXPLICIT, "0800 1511 5351 0000 08000000 feff 00e0 08000000",
          ERR_TRUNCATED },
        { "a sequence longer than its item", EXPLICIT,
          "0800 1511 5351 0000 14000000 feff 00e0 0c000000 0800 1511 5351 0000 01000000", ERR_TRUNCATED },
        { "a header that does not fit its item", EXPLICIT, "0800 1511 5351 0000 0c000000 feff 00e0 04000000 0800 5011",
          ERR_TRUNCATED },
        { "an element where items belong", EXPLICIT, "0800 1511 5351 0000 08000000 0800 5011 5549 0000",
          ERR_MALFORMED },
        { "an item outside of a sequence", EXPLICIT, "feff 00e0 00000000", ERR_MALFORMED },
        { "a delimiter with a length", EXPLICIT, "feff 0de0 02000000 0000", ERR_MALFORMED },
        { "an element where fragments belong", EXPLICIT, "e07f 1000 4f42 0000 ffffffff 0800 5011 5549 0000",
          ERR_MALFORMED },
        { "a fragment of undefined length", EXPLICIT, "e07f 1000 4f42 0000 ffffffff feff 00e0 ffffffff",
          ERR_MALFORMED },
        { "a length of 4 GiB", IMPLICIT, "1000 1000 feffffff 41", ERR_TRUNCATED },
    };

    EACH(row, rows)
    for (size_t piece = 1; piece < 40; piece += 13) {
        struct writer out = writer_new(4096);
        struct error err = { 0 };

        CHECK_ROW(row->name, !parse(row->syntax, true, HEX(row->bytes), piece, &out, &err));
        CHECK_ROW(row->name, err.code == row->want);
        writer_done(&out);
    }
}

/* Sequences of undefined length, one in another. */
static struct span nested(struct writer *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        write_span(out, HEX("0800 1511 5351 0000 ffffffff feff 00e0 ffffffff"));
    for (unsigned i = 0; i < depth; i++)
        write_span(out, HEX("feff 0de0 00000000 feff dde0 00000000"));
    return writer_span(out);
}

TEST(sequences_nest_to_the_limit)
{
    struct writer at = writer_new(8192), past = writer_new(8192), out = writer_new(8192);
    struct error err = { 0 };

    CHECK(parse(EXPLICIT, true, nested(&at, DATA_SET_DEPTH_MAX), 5, &out, &err));
    CHECK(!parse(EXPLICIT, true, nested(&past, DATA_SET_DEPTH_MAX + 1), 5, &out, &err) && err.code == ERR_LIMIT);
    writer_done(&at);
    writer_done(&past);
    writer_done(&out);
}

/* (0008,1115) as UN: begins as a sequence, but its item holds something that is longer than it. */
#define HALF_A_SEQUENCE                                                                                                \
    "0800 1511 554e 0000 14000000 feff 00e0 0c000000 0800 5000 ff000000 41424344 0800 5000 5348 0200 4142"

TEST(what_only_looks_like_a_sequence_is_stepped_over)
{
    for (size_t piece = 1; piece < 60; piece++) {
        struct writer out = writer_new(4096);
        struct error err = { 0 };

        CHECK(parse(EXPLICIT, true, HEX(HALF_A_SEQUENCE), piece, &out, &err));
        CHECK(span_equal(writer_span(&out), span_str("S0(00081115,SQ)Ii.E0(00080050,SH)4142.")));
        CHECK(!parse(EXPLICIT, false, HEX(HALF_A_SEQUENCE), piece, &out, &err) && err.code == ERR_TRUNCATED);
        writer_done(&out);
    }
}

TEST(private_sequences_are_looked_at_where_asked)
{
    const char *bytes = "0900 0110 10000000 feff 00e0 08000000 0800 5000 00000000";
    struct writer tolerant = writer_new(4096), strict = writer_new(4096);
    struct error err = { 0 };

    CHECK(parse(IMPLICIT, true, HEX(bytes), 100, &tolerant, &err));
    CHECK(span_starts(writer_span(&tolerant), span_str("E0(00091001,UN)feff")));
    CHECK(parse(IMPLICIT, false, HEX(bytes), 100, &strict, &err));
    CHECK(span_equal(writer_span(&strict), span_str("S0(00091001,SQ)IE1(00080050,SH).i.")));
    writer_done(&tolerant);
    writer_done(&strict);
}

TESTS(T(encodings_are_told_apart), T(lies_are_refused), T(sequences_nest_to_the_limit),
      T(what_only_looks_like_a_sequence_is_stepped_over), T(private_sequences_are_looked_at_where_asked))
