/*
 * Character sets of HL7 v2 messages: see charset.h. The tables are made by tools/charset_tables.py.
 */
#include "hl7/charset.h"

#include "base/reader.h"
#include "hl7/charset_tables.h"

#define REPLACEMENT 0xfffd
#define NAME_MAX_BYTES 24 /* longer than any name below; a longer one is none of them */

/* Names without blanks and punctuation, upper case: "ISO 8859/1", "8859-1" and "iso8859_1" are one. */
static const struct {
    const char *name;
    enum charset set;
} names[] = {
    { "UNICODEUTF8", CHARSET_UTF_8 },     { "UTF8", CHARSET_UTF_8 },
    { "UNICODE", CHARSET_UTF_8 },         { "88591", CHARSET_8859_1 },
    { "88592", CHARSET_8859_2 },          { "88593", CHARSET_8859_3 },
    { "88594", CHARSET_8859_4 },          { "88595", CHARSET_8859_5 },
    { "88596", CHARSET_8859_6 },          { "88597", CHARSET_8859_7 },
    { "88598", CHARSET_8859_8 },          { "88599", CHARSET_8859_9 },
    { "885915", CHARSET_8859_15 },        { "CP1252", CHARSET_8859_1 },
    { "WINDOWS1252", CHARSET_8859_1 },    { "CP1250", CHARSET_WINDOWS_1250 },
    { "WINDOWS1250", CHARSET_WINDOWS_1250 },
};

/* Upper half (0x80 to 0xff) of each set. */
static const uint16_t *const tables[CHARSET_COUNT] = {
    [CHARSET_8859_1] = charset_table_cp1252,     [CHARSET_8859_2] = charset_table_iso8859_2,
    [CHARSET_8859_3] = charset_table_iso8859_3,  [CHARSET_8859_4] = charset_table_iso8859_4,
    [CHARSET_8859_5] = charset_table_iso8859_5,  [CHARSET_8859_6] = charset_table_iso8859_6,
    [CHARSET_8859_7] = charset_table_iso8859_7,  [CHARSET_8859_8] = charset_table_iso8859_8,
    [CHARSET_8859_9] = charset_table_iso8859_9,  [CHARSET_8859_15] = charset_table_iso8859_15,
    [CHARSET_WINDOWS_1250] = charset_table_cp1250,
};

static void write_code_point(struct writer *w, uint32_t c)
{
    if (c < 0x80) {
        write_u8(w, (uint8_t)c);
    } else if (c < 0x800) {
        write_u8(w, (uint8_t)(0xc0 | c >> 6));
        write_u8(w, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        write_u8(w, (uint8_t)(0xe0 | c >> 12));
        write_u8(w, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        write_u8(w, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        write_u8(w, (uint8_t)(0xf0 | c >> 18));
        write_u8(w, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        write_u8(w, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        write_u8(w, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

/* Bytes of the well-formed sequence at the start of s (RFC 3629); 0: there is none. s is not empty. */
static size_t utf8_sequence(struct span s)
{
    uint8_t lead = s.ptr[0];
    uint8_t low = 0x80, high = 0xbf; /* of the second byte: no overlong form, no surrogate, nothing past U+10FFFF */
    size_t len;

    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        len = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        len = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        len = 4;
    else
        return 0;
    low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : low;
    high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : high;
    if (s.len < len || s.ptr[1] < low || s.ptr[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s.ptr[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool utf8_is_valid(struct span text)
{
    for (size_t at = 0; at < text.len;) {
        size_t n = text.ptr[at] < 0x80 ? 1 : utf8_sequence(span_part(text, at, 4));

        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

enum charset hl7_charset_of(struct span name, struct span text)
{
    char key[NAME_MAX_BYTES] = { 0 };
    size_t len = 0;
    const char *known;

    for (size_t i = 0; i < name.len && len + 1 < sizeof key; i++) {
        uint8_t c = name.ptr[i];

        if (c >= 'a' && c <= 'z')
            c = (uint8_t)(c - 'a' + 'A');
        if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
            key[len++] = (char)c;
    }
    known = strncmp(key, "ISO", 3) == 0 ? &key[3] : key;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(known, names[i].name) == 0)
            return names[i].set;
    return utf8_is_valid(text) ? CHARSET_UTF_8 : CHARSET_8859_1;
}

static void decode_utf8(struct span text, struct writer *w)
{
    for (size_t at = 0; at < text.len;) {
        struct span left = span_part(text, at, 4);
        size_t n = utf8_sequence(left);

        if (n == 0)
            write_code_point(w, REPLACEMENT);
        else
            write_span(w, span_part(left, 0, n));
        at += n == 0 ? 1 : n;
    }
}

void hl7_charset_decode(enum charset set, struct span text, struct writer *w)
{
    const uint16_t *table = tables[set];

    if (table == NULL) {
        decode_utf8(text, w);
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];

        write_code_point(w, c < 0x80 ? c : table[c - 0x80]);
    }
}

void utf16_decode(struct span text, bool big_endian, struct writer *w)
{
    struct reader r = reader_over(text);

    while (reader_left(&r) >= 2) {
        uint32_t c = big_endian ? read_u16be(&r) : read_u16le(&r);

        if (c >= 0xd800 && c < 0xdc00 && reader_left(&r) >= 2) {
            struct reader ahead = r;
            uint32_t low = big_endian ? read_u16be(&ahead) : read_u16le(&ahead);

            if (low >= 0xdc00 && low < 0xe000) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                r = ahead;
            }
        }
        write_code_point(w, c >= 0xd800 && c < 0xe000 ? REPLACEMENT : c);
    }
    if (reader_left(&r) != 0)
        write_code_point(w, REPLACEMENT);
}
