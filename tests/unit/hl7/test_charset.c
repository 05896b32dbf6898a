/* MSH-18 names and what their bytes become. */
#include "hl7/charset.h"

#include "../test.h"

TEST(a_name_finds_its_set_however_it_is_written)
{
    static const struct {
        const char *name;
        enum charset set;
    } rows[] = {
        { "UNICODE UTF-8", CHARSET_UTF_8 }, { "utf-8", CHARSET_UTF_8 },          { "8859/1", CHARSET_8859_1 },
        { "ISO 8859-1", CHARSET_8859_1 },   { "iso8859_15", CHARSET_8859_15 },   { "8859/9", CHARSET_8859_9 },
        { "CP1250", CHARSET_WINDOWS_1250 }, { "WINDOWS-1252", CHARSET_8859_1 },  { "8859/5", CHARSET_8859_5 },
    };

    EACH (row, rows)
        CHECK_ROW(row->name, hl7_charset_of(span_str(row->name), SPAN_LIT("\xe9")) == row->set);
}

TEST(without_a_known_name_valid_utf_8_is_utf_8_and_all_else_8859_1)
{
    static const char *const names[] = { "", "ASCII", "ISO IR 999", "a name longer than any name that there is" };

    EACH (name, names) {
        CHECK(hl7_charset_of(span_str(*name), SPAN_LIT("\xc3\xa9t\xc3\xa9")) == CHARSET_UTF_8);
        CHECK(hl7_charset_of(span_str(*name), SPAN_LIT("\xe9t\xe9")) == CHARSET_8859_1);
    }
}

TEST(bytes_become_utf_8)
{
    static const struct {
        const char *name;
        enum charset set;
        const char *bytes, *text;
    } rows[] = {
        { "8859-1", CHARSET_8859_1, "\xe9\xe8", "éè" },
        { "8859-1 as Windows 1252", CHARSET_8859_1, "c\x9cur \x92", "cœur ’" },
        { "undefined in 1252", CHARSET_8859_1, "\x81", "\xef\xbf\xbd" },
        { "8859-2", CHARSET_8859_2, "\xb3\xbf", "łż" },
        { "8859-5", CHARSET_8859_5, "\xb8\xd2\xd0\xdd", "Иван" },
        { "8859-6 has holes", CHARSET_8859_6, "\xa1\xc7", "\xef\xbf\xbdا" },
        { "8859-7", CHARSET_8859_7, "\xe1\xe2", "αβ" },
        { "8859-8", CHARSET_8859_8, "\xf9\xec", "של" },
        { "8859-15", CHARSET_8859_15, "\xa4", "€" },
        { "1250", CHARSET_WINDOWS_1250, "B\xb3""aszczyk", "Błaszczyk" },
        { "UTF-8", CHARSET_UTF_8, "é€😀", "é€😀" },
        { "broken UTF-8", CHARSET_UTF_8, "a\xc3(\xff", "a\xef\xbf\xbd(\xef\xbf\xbd" },
    };

    EACH (row, rows) {
        struct writer w = writer_new(1000);

        hl7_charset_decode(row->set, span_str(row->bytes), &w);
        CHECK_ROW(row->name, span_equal(writer_span(&w), span_str(row->text)));
        writer_done(&w);
    }
}

/* RFC 3629 and the table of well-formed sequences in the Unicode Standard, chapter 3. */
TEST(only_well_formed_utf_8_is_valid)
{
    static const struct {
        const char *name, *hex;
        bool valid;
    } rows[] = {
        { "empty", "", true },
        { "last of two bytes", "df bf", true },
        { "first and last of three", "e0 a0 80 ef bf bf", true },
        { "last of all", "f4 8f bf bf", true },
        { "overlong two", "c0 80", false },
        { "overlong three", "e0 9f bf", false },
        { "overlong four", "f0 8f bf bf", false },
        { "surrogate", "ed a0 80", false },
        { "past the last", "f4 90 80 80", false },
        { "five bytes", "f8 88 80 80 80", false },
        { "cut", "e2 82", false },
        { "lone continuation", "80", false },
    };

    EACH (row, rows)
        CHECK_ROW(row->name, utf8_is_valid(HEX(row->hex)) == row->valid);
}

TEST(utf_16_with_pairs_and_halves)
{
    static const struct {
        const char *name, *hex;
        bool big_endian;
        const char *text;
    } rows[] = {
        { "big", "00 e9 20 ac", true, "é€" },
        { "little", "e9 00 ac 20", false, "é€" },
        { "a pair", "d8 3d de 00", true, "😀" },
        { "a lone half", "d8 3d 00 41", true, "\xef\xbf\xbd""A" },
        { "an odd byte", "00 41 00", true, "A\xef\xbf\xbd" },
    };

    EACH (row, rows) {
        struct writer w = writer_new(1000);

        utf16_decode(HEX(row->hex), row->big_endian, &w);
        CHECK_ROW(row->name, span_equal(writer_span(&w), span_str(row->text)));
        writer_done(&w);
    }
}

TESTS(T(a_name_finds_its_set_however_it_is_written), T(without_a_known_name_valid_utf_8_is_utf_8_and_all_else_8859_1),
      T(bytes_become_utf_8), T(only_well_formed_utf_8_is_valid), T(utf_16_with_pairs_and_halves))
