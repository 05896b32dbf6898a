/* Names of PS3.5 Annexes H to K and one text for each character set. */
#include "dicom/charset.h"

#include "../test.h"

struct vector {
    const char *name;
    const char *character_set;
    enum vr vr;
    struct span text;
    const char *utf8;
    bool damaged;
};

#define ESC "\x1b"

static const struct vector vectors[] = {
    { "ASCII", "", VR_LO, SPAN_LIT("plain ~"), "plain ~", false },
    { "ASCII has no high bytes", "", VR_LO, SPAN_LIT("J\xe9r"), "J\xef\xbf\xbdr", true },
    { "Latin 1", "ISO_IR 100", VR_PN, SPAN_LIT("Buc^J\xe9r\xf4me"), "Buc^Jérôme", false },
    { "Latin 2", "ISO_IR 101", VR_PN, SPAN_LIT("W\xb3odzimierz"), "Włodzimierz", false },
    { "Latin 3", "ISO_IR 109", VR_LO, SPAN_LIT("\xa6"), "Ĥ", false },
    { "Latin 4", "ISO_IR 110", VR_LO, SPAN_LIT("\xf0"), "đ", false },
    { "Cyrillic, PS3.5 style", "ISO_IR 144", VR_PN, SPAN_LIT("\xbb\xee\xda\x63\x65\xdc\xd1"), "Люкceмб", false },
    { "Arabic", "ISO_IR 127", VR_PN, SPAN_LIT("\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1"), "قباني^لنزار", false },
    { "Greek", "ISO_IR 126", VR_PN, SPAN_LIT("\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"), "Διονυσιος", false },
    { "Hebrew", "ISO_IR 138", VR_PN, SPAN_LIT("\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4"), "שרון^דבורה", false },
    { "Latin 5", "ISO_IR 148", VR_PN, SPAN_LIT("Ta\xfe"), "Taş", false },
    { "Latin 9", "ISO_IR 203", VR_LO, SPAN_LIT("\xa4"), "€", false },
    { "Thai", "ISO_IR 166", VR_LO, SPAN_LIT("\xb9\xd2\xc1"), "นาม", false },
    { "katakana, half width", "ISO_IR 13", VR_PN, SPAN_LIT("\xd4\xcf\xc0\xde^\xc0\xdb\xb3"), "ﾔﾏﾀﾞ^ﾀﾛｳ", false },
    { "romaji: yen and overline", "ISO_IR 13", VR_ST, SPAN_LIT("\\~"), "¥‾", false },
    { "romaji: a backslash that parts values", "ISO_IR 13", VR_LO, SPAN_LIT("a\\b"), "a\\b", false },
    { "Shift-JIS that calls itself ISO_IR 13", "ISO_IR 13", VR_LO, SPAN_LIT("\x8e\x52\x93\x63\x83\x5c"), "山田ソ",
      false },
    { "UTF-8", "ISO_IR 192", VR_PN, SPAN_LIT("Wang^XiaoDong=王^小東="), "Wang^XiaoDong=王^小東=", false },
    { "UTF-8, longer than needed", "ISO_IR 192", VR_LO, SPAN_LIT("\xc0\xaf|\xe0\x80\xaf"),
      "\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", true },
    { "UTF-8, a surrogate", "ISO_IR 192", VR_LO, SPAN_LIT("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
      true },
    { "UTF-8, four bytes and past the end of Unicode", "ISO_IR 192", VR_LO,
      SPAN_LIT("\xf0\x9f\x98\x80\xf4\x90\x80\x80"), "😀\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", true },
    { "UTF-8, cut", "ISO_IR 192", VR_LO, SPAN_LIT("a\xe7\x8e"), "a\xef\xbf\xbd\xef\xbf\xbd", true },
    { "GB18030, two bytes (J.3)", "GB18030", VR_PN, SPAN_LIT("Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="),
      "Wang^XiaoDong=王^小东=", false },
    { "GB18030, a second byte that is a backslash", "GB18030", VR_LO, SPAN_LIT("\x81\x5c\\x"), "乗\\x", false },
    { "GB18030, four bytes", "GB18030", VR_LO, SPAN_LIT("\x81\x30\x81\x30\x90\x30\x81\x30"), "\xc2\x80\xf0\x90\x80\x80",
      false },
    { "GB18030, four bytes beyond Unicode", "GB18030", VR_LO, SPAN_LIT("\xe3\x32\x9a\x36"),
      "\xef\xbf\xbd"
      "2\xef\xbf\xbd"
      "6",
      true },
    { "GBK", "GBK", VR_PN, SPAN_LIT("Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="), "Wang^XiaoDong=王^小东=", false },
    { "Japanese, H.3 example 1", "\\ISO 2022 IR 87", VR_PN,
      SPAN_LIT("Yamada^Tarou=" ESC "$B;3ED" ESC "(B^" ESC "$BB@O:" ESC "(B=" ESC "$B$d$^$@" ESC "(B^" ESC "$B$?$m$&" ESC
               "(B"),
      "Yamada^Tarou=山田^太郎=やまだ^たろう", false },
    { "Japanese, H.3 example 2", "ISO 2022 IR 13\\ISO 2022 IR 87", VR_PN,
      SPAN_LIT("\xd4\xcf\xc0\xde^\xc0\xdb\xb3=" ESC "$B;3ED" ESC "(J^" ESC "$BB@O:" ESC "(J=" ESC "$B$d$^$@" ESC
               "(J^" ESC "$B$?$m$&" ESC "(J"),
      "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", false },
    { "JIS X 0212", "\\ISO 2022 IR 159", VR_LO, SPAN_LIT(ESC "$(D0!" ESC "(B"), "丂", false },
    { "a kanji whose second byte is a backslash", "\\ISO 2022 IR 87", VR_LO, SPAN_LIT(ESC "$B0\\" ESC "(B\\x"), "移\\x",
      false },
    { "Korean, I.2", "\\ISO 2022 IR 149", VR_PN,
      SPAN_LIT("Hong^Gildong=" ESC "$)C\xfb\xf3^" ESC "$)C\xd1\xce\xd4\xd7=" ESC "$)C\xc8\xab^" ESC
               "$)C\xb1\xe6\xb5\xbf"),
      "Hong^Gildong=洪^吉洞=홍^길동", false },
    { "Korean without a second escape", "\\ISO 2022 IR 149", VR_PN, SPAN_LIT(ESC "$)C\xfb\xf3^\xd1\xce\xd4\xd7"),
      "洪^吉洞", false },
    { "Chinese, K.2", "\\ISO 2022 IR 58", VR_PN,
      SPAN_LIT("Zhang^XiaoDong=" ESC "$)A\xd5\xc5^" ESC "$)A\xd0\xa1\xb6\xab="), "Zhang^XiaoDong=张^小东=", false },
    { "Latin 1 and Greek by escape", "ISO 2022 IR 100\\ISO 2022 IR 126", VR_LO, SPAN_LIT("\xe9" ESC "-F\xc4\\\xe9"),
      "éΔ\\é", false },
    { "a line's end restarts", "ISO 2022 IR 100\\ISO 2022 IR 126", VR_ST, SPAN_LIT(ESC "-F\xc4\r\n\xe9"), "Δ\r\né",
      false },
    { "no delimiter in a long text", "ISO 2022 IR 100\\ISO 2022 IR 126", VR_LT, SPAN_LIT(ESC "-F\xc4\\^=\xc4"),
      "Δ\\^=Δ", false },
    { "an escape nobody knows", "", VR_LO, SPAN_LIT("a" ESC "%Gb"), "a\xef\xbf\xbd%Gb", true },
    { "an escape that is cut", "", VR_LO, SPAN_LIT("a" ESC "$"), "a\xef\xbf\xbd$", true },
    { "half a kanji", "\\ISO 2022 IR 87", VR_LO, SPAN_LIT(ESC "$B;"), "\xef\xbf\xbd", true },
    { "no kanji there", "\\ISO 2022 IR 87", VR_LO, SPAN_LIT(ESC "$B~~"), "\xef\xbf\xbd\xef\xbf\xbd", true },
    { "spelling of devices", "iso-ir_100 \\junk", VR_LO, SPAN_LIT("\xe9"), "é", false },
    { "a NUL inside", "ISO_IR 192", VR_LO, SPAN_LIT("a\0b"),
      "a\xef\xbf\xbd"
      "b",
      true },
};

TEST(texts_become_utf8)
{
    EACH(v, vectors)
    {
        struct writer out = writer_new(4096);
        bool whole = charset_to_utf8(charset_of(span_str(v->character_set)), v->vr, v->text, &out);

        CHECK_ROW(v->name, span_equal(writer_span(&out), span_str(v->utf8)) && whole == !v->damaged);
        writer_done(&out);
    }
}

TEST(a_cut_changes_nothing)
{
    EACH(v, vectors)
    for (size_t cut = 0; cut <= v->text.len; cut++) {
        struct writer out = writer_new(4096);
        struct charset_decoder d;

        charset_decoder_init(&d, charset_of(span_str(v->character_set)), v->vr, false);
        charset_decode(&d, span_part(v->text, 0, cut), &out);
        charset_decode(&d, span_part(v->text, cut, v->text.len), &out);
        charset_decode_end(&d, &out);
        CHECK_ROW(v->name, span_equal(writer_span(&out), span_str(v->utf8)) && d.damaged == v->damaged);
        writer_done(&out);
    }
}

/* Every byte and every pair in every set: valid UTF-8 comes out, and exact decoding keeps different bytes apart. */
TEST(whatever_comes_ends_as_utf8)
{
    const char *const sets[] = { "",        "ISO_IR 100",      "ISO_IR 13",     "ISO_IR 192",
                                 "GB18030", "ISO 2022 IR 149", "ISO 2022 IR 58" };
    const struct charset utf8 = charset_of(span_str("ISO_IR 192"));

    EACH(set, sets)
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        const uint8_t bytes[2] = { (uint8_t)(pair >> 8), (uint8_t)pair };
        struct writer once = writer_new(64), twice = writer_new(64);

        (void)charset_to_utf8(charset_of(span_str(*set)), VR_LT, span_of(bytes, 2), &once);
        CHECK_ROW(*set, charset_to_utf8(utf8, VR_LT, writer_span(&once), &twice) || bytes[0] < ' ' || bytes[1] < ' '
                            || bytes[0] == 0x7F || bytes[1] == 0x7F);
        writer_done(&once);
        writer_done(&twice);
    }
}

TEST(what_has_no_meaning_stays_distinct_for_digests)
{
    struct charset_decoder d;
    struct writer out = writer_new(64);

    charset_decoder_init(&d, charset_of(span_str("")), VR_LO, true);
    charset_decode(&d, SPAN_LIT("a\xe9\xea"), &out);
    charset_decode_end(&d, &out);
    CHECK(d.damaged && span_equal(writer_span(&out), SPAN_LIT("a\xff\xe9\xff\xea")));
    writer_done(&out);
}

TEST(defined_terms_are_known)
{
    CHECK(charset_of(span_str("ISO 2022 IR 166")).known && charset_of(span_str("ISO_IR 203")).g1 == CODE_LATIN_9);
    CHECK(!charset_of(span_str("KOI8-R")).known && charset_of(span_str("KOI8-R")).g1 == CODE_NONE);
}

TESTS(T(texts_become_utf8), T(a_cut_changes_nothing), T(whatever_comes_ends_as_utf8),
      T(what_has_no_meaning_stays_distinct_for_digests), T(defined_terms_are_known))
