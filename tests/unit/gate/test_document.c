/* Documents of OBX-5 (ED): what they say of themselves, Base64, Hex and plain data, cut anywhere. */
#include "gate/web/document.h"

#include "../test.h"

#define HEAD SPAN_LIT("MSH|^~\\&")

TEST(an_ed_says_what_its_data_is)
{
    const struct {
        const char *name;
        struct span head, before;
        bool ok, is_pdf;
        enum document_encoding encoding;
    } rows[] = {
        { "Base64 PDF", HEAD, SPAN_LIT("OBX|1|ED|x||LAB^application^pdf^Base64^"), true, true, DOCUMENT_BASE64 },
        { "table 0191", HEAD, SPAN_LIT("|^AP^PDF^BASE64^"), true, true, DOCUMENT_BASE64 },
        { "hex image", HEAD, SPAN_LIT("|^IM^JPEG^Hex^"), true, false, DOCUMENT_HEX },
        { "plain text", HEAD, SPAN_LIT("|^TEXT^PLAIN^A^"), true, false, DOCUMENT_PLAIN },
        { "other delimiters", SPAN_LIT("MSH$%~\\&"), SPAN_LIT("$%application%PDF%Base64%"), true, true, DOCUMENT_BASE64 },
        { "cut before", HEAD, SPAN_LIT("tion^PDF^Base64^"), true, true, DOCUMENT_BASE64 },
        { "no component begins", HEAD, SPAN_LIT("|^AP^PDF^Base64"), false, false, DOCUMENT_PLAIN },
        { "another encoding", HEAD, SPAN_LIT("|^AP^PDF^uuencode^"), false, false, DOCUMENT_PLAIN },
        { "nothing", HEAD, SPAN_LIT(""), false, false, DOCUMENT_PLAIN },
        { "only a separator", HEAD, SPAN_LIT("^"), false, false, DOCUMENT_PLAIN },
        { "a DICOM object", SPAN_LIT("\x08\0\x05\0CS\2\0"), SPAN_LIT("|^AP^PDF^Base64^"), false, false, DOCUMENT_PLAIN },
    };

    EACH (row, rows) {
        struct document d;
        struct error err = { 0 };

        CHECK_ROW(row->name, document_describe(row->head, row->before, &d, &err) == row->ok);
        CHECK_ROW(row->name, row->ok ? d.is_pdf == row->is_pdf && d.encoding == row->encoding : err.code == ERR_MALFORMED);
    }
}

static bool decodes(enum document_encoding encoding, struct span data, size_t step, struct span want)
{
    struct document document = { .encoding = encoding, .delimiters = span_part(HEAD, 3, 5), .escape = '\\' };
    struct writer out = writer_new(1000);
    struct document_decoder d = { .document = &document, .out = &out };
    struct error err;
    bool ok = true;

    for (size_t at = 0; ok && at < data.len; at += step)
        ok = document_decode(&d, span_part(data, at, step), &err);
    ok = ok && span_equal(writer_span(&out), want);
    writer_done(&out);
    return ok;
}

TEST(data_is_decoded_wherever_it_is_cut)
{
    const struct {
        const char *name;
        enum document_encoding encoding;
        struct span data, want;
        bool ok;
    } rows[] = {
        { "RFC 4648 §10", DOCUMENT_BASE64, SPAN_LIT("Zm9vYmFy|F\r"), SPAN_LIT("foobar"), true },
        { "padding", DOCUMENT_BASE64, SPAN_LIT("Zm9vYg==\rOBX|2"), SPAN_LIT("foob"), true },
        { "line breaks in it", DOCUMENT_BASE64, SPAN_LIT("Zm9v\\.br\\YmFy"), SPAN_LIT("foobar"), true },
        { "the next repetition ends it", DOCUMENT_BASE64, SPAN_LIT("Zm9v~YmFy"), SPAN_LIT("foo"), true },
        { "hex", DOCUMENT_HEX, SPAN_LIT("25 50 44 4F\n||"), SPAN_LIT("%PDO"), true },
        { "plain", DOCUMENT_PLAIN, SPAN_LIT("a text = here|x"), SPAN_LIT("a text = here"), true },
        { "no Base64", DOCUMENT_BASE64, SPAN_LIT("Zm9v*"), SPAN_LIT("foo"), false },
        { "no hex", DOCUMENT_HEX, SPAN_LIT("4g"), SPAN_LIT(""), false },
    };

    EACH (row, rows)
        for (size_t step = 1; step < 12; step++)
            CHECK_ROW(row->name, decodes(row->encoding, row->data, step, row->want) == row->ok);
}

TESTS(T(an_ed_says_what_its_data_is), T(data_is_decoded_wherever_it_is_cut))
