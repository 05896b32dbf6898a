/* Character sets to UTF-8. See charset.h. */
#include "dicom/charset.h"

struct gb18030_range {
    uint16_t first_index; /* of the four-byte codes that map to the BMP, in order */
    uint16_t first_code;
};

#include "charset_tables.inc"

#define ESC         0x1B
#define REPLACEMENT 0xFFFD
#define UNMAPPED    0 /* in the tables: no character there */

/* PS3.3 Tables C.12-2 to C.12-5, without punctuation: devices differ in it. */
static const struct {
    const char *term;
    enum code_set g0, g1;
} terms[] = {
    { "", CODE_ASCII, CODE_NONE },
    { "ISOIR6", CODE_ASCII, CODE_NONE },
    { "ISOIR100", CODE_ASCII, CODE_LATIN_1 },
    { "ISOIR101", CODE_ASCII, CODE_LATIN_2 },
    { "ISOIR109", CODE_ASCII, CODE_LATIN_3 },
    { "ISOIR110", CODE_ASCII, CODE_LATIN_4 },
    { "ISOIR144", CODE_ASCII, CODE_CYRILLIC },
    { "ISOIR127", CODE_ASCII, CODE_ARABIC },
    { "ISOIR126", CODE_ASCII, CODE_GREEK },
    { "ISOIR138", CODE_ASCII, CODE_HEBREW },
    { "ISOIR148", CODE_ASCII, CODE_LATIN_5 },
    { "ISOIR203", CODE_ASCII, CODE_LATIN_9 },
    { "ISOIR166", CODE_ASCII, CODE_THAI },
    { "ISOIR13", CODE_JIS_ROMAJI, CODE_JIS_KATAKANA },
    { "ISOIR192", CODE_UTF_8, CODE_NONE },
    { "GB18030", CODE_GB18030, CODE_NONE },
    { "GBK", CODE_GB18030, CODE_NONE },
    { "ISO2022IR6", CODE_ASCII, CODE_NONE },
    { "ISO2022IR100", CODE_ASCII, CODE_LATIN_1 },
    { "ISO2022IR101", CODE_ASCII, CODE_LATIN_2 },
    { "ISO2022IR109", CODE_ASCII, CODE_LATIN_3 },
    { "ISO2022IR110", CODE_ASCII, CODE_LATIN_4 },
    { "ISO2022IR144", CODE_ASCII, CODE_CYRILLIC },
    { "ISO2022IR127", CODE_ASCII, CODE_ARABIC },
    { "ISO2022IR126", CODE_ASCII, CODE_GREEK },
    { "ISO2022IR138", CODE_ASCII, CODE_HEBREW },
    { "ISO2022IR148", CODE_ASCII, CODE_LATIN_5 },
    { "ISO2022IR203", CODE_ASCII, CODE_LATIN_9 },
    { "ISO2022IR166", CODE_ASCII, CODE_THAI },
    { "ISO2022IR13", CODE_JIS_ROMAJI, CODE_JIS_KATAKANA },
    { "ISO2022IR87", CODE_ASCII, CODE_NONE }, /* not allowed first, and yet seen: with its escapes */
    { "ISO2022IR159", CODE_ASCII, CODE_NONE },
    { "ISO2022IR149", CODE_ASCII, CODE_KS_X_1001 },
    { "ISO2022IR58", CODE_ASCII, CODE_GB_2312 },
};

/* PS3.3 Tables C.12-3 and C.12-4. */
static const struct {
    const char *bytes; /* behind ESC */
    enum code_set set;
    bool g1;
} escapes[] = {
    { "(B", CODE_ASCII, false },       { ")I", CODE_JIS_KATAKANA, true }, { "(J", CODE_JIS_ROMAJI, false },
    { "$B", CODE_JIS_X_0208, false },  { "$@", CODE_JIS_X_0208, false }, /* its edition of 1978 */
    { "$(D", CODE_JIS_X_0212, false }, { "$)C", CODE_KS_X_1001, true },   { "$)A", CODE_GB_2312, true },
    { "-A", CODE_LATIN_1, true },      { "-B", CODE_LATIN_2, true },      { "-C", CODE_LATIN_3, true },
    { "-D", CODE_LATIN_4, true },      { "-L", CODE_CYRILLIC, true },     { "-G", CODE_ARABIC, true },
    { "-F", CODE_GREEK, true },        { "-H", CODE_HEBREW, true },       { "-M", CODE_LATIN_5, true },
    { "-b", CODE_LATIN_9, true },      { "-T", CODE_THAI, true },
};

/* Letters and digits of s in capitals equal term. */
static bool term_matches(struct span s, const char *term)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.ptr[i];

        if (c >= 'a' && c <= 'z')
            c = (uint8_t)(c - 'a' + 'A');
        if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
            continue;
        if (c != (uint8_t)*term)
            return false;
        term++;
    }
    return *term == '\0';
}

struct charset charset_of(struct span specific_character_set)
{
    struct span first = span_part(specific_character_set, 0, span_index(specific_character_set, '\\'));

    for (size_t i = 0; i < COUNT_OF(terms); i++)
        if (term_matches(first, terms[i].term))
            return (struct charset){ .g0 = terms[i].g0, .g1 = terms[i].g1, .known = true };
    return (struct charset){ .g0 = CODE_ASCII, .g1 = CODE_NONE, .known = false };
}

void charset_decoder_init(struct charset_decoder *d, struct charset charset, enum vr vr, bool exact)
{
    *d = (struct charset_decoder){
        .charset = charset,
        .g0 = charset.g0,
        .g1 = charset.g1,
        .multi_valued = vr_is_multi_valued(vr),
        .person_name = vr == VR_PN,
        .exact = exact,
    };
}

/* ---- out ---- */

static void write_utf8(struct writer *out, uint32_t c)
{
    if (c < 0x80) {
        write_u8(out, (uint8_t)c);
        return;
    }
    if (c < 0x800) {
        write_u8(out, (uint8_t)(0xC0 | c >> 6));
    } else if (c < 0x10000) {
        write_u8(out, (uint8_t)(0xE0 | c >> 12));
        write_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
    } else {
        write_u8(out, (uint8_t)(0xF0 | c >> 18));
        write_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3F)));
        write_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3F)));
    }
    write_u8(out, (uint8_t)(0x80 | (c & 0x3F)));
}

/* One byte without meaning. Every step below returns how many pending bytes it used; 0: it needs more. */
static size_t meaningless(struct charset_decoder *d, struct writer *out)
{
    d->damaged = true;
    if (d->exact) {
        write_u8(out, 0xFF);
        write_u8(out, d->pending[0]);
    } else {
        write_utf8(out, REPLACEMENT);
    }
    return 1;
}

static size_t character(struct charset_decoder *d, uint32_t c, size_t used, struct writer *out)
{
    if (c == UNMAPPED)
        return meaningless(d, out);
    write_utf8(out, c);
    return used;
}

/* ---- UTF-8 (RFC 3629) ---- */

static size_t step_utf8(struct charset_decoder *d, struct writer *out)
{
    uint8_t lead = d->pending[0];
    size_t len = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    uint32_t c = len == 1 ? lead : lead & (0xFFu >> (len + 1));

    if (len == 0 || lead == 0)
        return meaningless(d, out);
    for (size_t i = 1; i < len; i++) {
        if (i == d->pending_len)
            return 0;
        if ((d->pending[i] & 0xC0) != 0x80)
            return meaningless(d, out);
        c = c << 6 | (d->pending[i] & 0x3F);
    }
    if ((len == 3 && c < 0x800) || (len == 4 && (c < 0x10000 || c > 0x10FFFF)) || (c >= 0xD800 && c <= 0xDFFF))
        return meaningless(d, out); /* longer than needed, or a surrogate */
    return character(d, c, len, out);
}

/* ---- GB18030 ---- */

/* 0x81..0xFE, 0x30..0x39, 0x81..0xFE, 0x30..0x39 count up; see the standard's annex on four-byte codes. */
static uint32_t gb18030_four(const uint8_t *b)
{
    uint32_t index = (((uint32_t)b[0] - 0x81) * 10 + (b[1] - 0x30u)) * 1260 + (b[2] - 0x81u) * 10 + (b[3] - 0x30u);
    size_t i = COUNT_OF(gb18030_ranges);

    if (index >= 189000)
        return index - 189000 < 0x100000 ? 0x10000 + index - 189000 : UNMAPPED;
    if (index >= GB18030_BMP_CODES)
        return UNMAPPED;
    while (gb18030_ranges[i - 1].first_index > index) /* the first row is 0 */
        i--;
    return gb18030_ranges[i - 1].first_code + (index - gb18030_ranges[i - 1].first_index);
}

static size_t step_gb18030(struct charset_decoder *d, struct writer *out)
{
    const uint8_t *b = d->pending;

    if (b[0] < 0x80)
        return character(d, b[0], 1, out);
    if (b[0] == 0x80 || b[0] == 0xFF)
        return meaningless(d, out);
    if (d->pending_len < 2)
        return 0;
    if (b[1] >= 0x40 && b[1] != 0x7F && b[1] != 0xFF)
        return character(d, gb18030_two[b[0] - 0x81][b[1] - 0x40 - (b[1] > 0x7F)], 2, out);
    if (b[1] < 0x30 || b[1] > 0x39)
        return meaningless(d, out);
    if (d->pending_len < 4)
        return 0;
    if (b[2] < 0x81 || b[2] == 0xFF || b[3] < 0x30 || b[3] > 0x39)
        return meaningless(d, out);
    return character(d, gb18030_four(b), 4, out);
}

/* ---- ISO 2022 ---- */

/*
 * After a delimiter value 1 is active again (PS3.5 §6.1.2.5.3). Where value 1 has no G1, the last one stays:
 * some devices do not repeat the escape, and nothing else could be meant by a byte above 7F.
 */
static void restart(struct charset_decoder *d)
{
    d->g0 = d->charset.g0;
    if (d->charset.g1 != CODE_NONE)
        d->g1 = d->charset.g1;
}

static size_t step_escape(struct charset_decoder *d, struct writer *out)
{
    struct span seen = span_of(d->pending, d->pending_len);
    bool prefix = seen.len == 1;

    for (size_t i = 0; i < COUNT_OF(escapes); i++) {
        struct span bytes = span_str(escapes[i].bytes);
        struct span behind = span_part(seen, 1, bytes.len);

        if (span_equal(behind, bytes)) {
            if (escapes[i].g1)
                d->g1 = escapes[i].set;
            else
                d->g0 = escapes[i].set;
            return 1 + bytes.len;
        }
        prefix = prefix || span_starts(bytes, behind);
    }
    return prefix ? 0 : meaningless(d, out);
}

/* Row and column of a set of 94 × 94; each by itself, because gcc 12's sanitizer miscounts an array chosen by ?: . */
static uint32_t cell(enum code_set code, size_t row, size_t column)
{
    if (code == CODE_JIS_X_0208)
        return jis_x_0208[row][column];
    if (code == CODE_JIS_X_0212)
        return jis_x_0212[row][column];
    if (code == CODE_KS_X_1001)
        return ks_x_1001[row][column];
    return gb_2312[row][column];
}

static size_t step_g0(struct charset_decoder *d, struct writer *out)
{
    uint8_t b = d->pending[0];
    bool two_bytes = d->g0 == CODE_JIS_X_0208 || d->g0 == CODE_JIS_X_0212;

    if (b == '\t' || b == '\n' || b == '\f' || b == '\r') {
        restart(d);
        return character(d, b, 1, out);
    }
    if (b < 0x20 || b == 0x7F)
        return meaningless(d, out);
    if (two_bytes && b != ' ') {
        if (d->pending_len < 2)
            return 0;
        if (d->pending[1] < 0x21 || d->pending[1] > 0x7E)
            return meaningless(d, out);
        return character(d, cell(d->g0, b - 0x21, d->pending[1] - 0x21), 2, out);
    }
    if ((b == '\\' && d->multi_valued) || ((b == '^' || b == '=') && d->person_name)) {
        restart(d);
        return character(d, b, 1, out);
    }
    if (d->g0 == CODE_JIS_ROMAJI && b == '\\')
        return character(d, 0xA5, 1, out); /* yen */
    if (d->g0 == CODE_JIS_ROMAJI && b == '~')
        return character(d, 0x203E, 1, out); /* overline */
    return character(d, b, 1, out);
}

/*
 * Some devices say ISO_IR 13 and send Shift-JIS, which holds the same katakana and has its leading bytes
 * where JIS X 0201 has nothing: two rows of JIS X 0208 share one of them.
 */
static bool leads_shift_jis(const struct charset_decoder *d)
{
    uint8_t b = d->pending[0];

    return d->g1 == CODE_JIS_KATAKANA && ((b >= 0x81 && b <= 0x9F) || (b >= 0xE0 && b <= 0xEF));
}

static size_t step_shift_jis(struct charset_decoder *d, struct writer *out)
{
    unsigned lead = d->pending[0], trail, row;

    if (d->pending_len < 2)
        return 0;
    trail = d->pending[1];
    if (trail < 0x40 || trail == 0x7F || trail > 0xFC)
        return meaningless(d, out);
    row = (lead - (lead < 0xA0 ? 0x81 : 0xC1)) * 2 + (trail >= 0x9F);
    trail -= trail >= 0x9F ? 0x9F : trail > 0x7F ? 0x41 : 0x40;
    return character(d, jis_x_0208[row][trail], 2, out);
}

static size_t step_g1(struct charset_decoder *d, struct writer *out)
{
    uint8_t b = d->pending[0];

    if (leads_shift_jis(d))
        return step_shift_jis(d, out);
    if (b < 0xA0 || d->g1 == CODE_NONE)
        return meaningless(d, out);
    if (d->g1 >= CODE_LATIN_1)
        return character(d, single_byte[d->g1 - CODE_LATIN_1][b - 0xA0], 1, out);
    if (b == 0xA0 || b == 0xFF)
        return meaningless(d, out);
    if (d->g1 == CODE_JIS_KATAKANA)
        return b > 0xDF ? meaningless(d, out) : character(d, 0xFF61u + (b - 0xA1u), 1, out);
    if (d->pending_len < 2)
        return 0;
    if (d->pending[1] < 0xA1 || d->pending[1] == 0xFF)
        return meaningless(d, out);
    return character(d, cell(d->g1, b - 0xA1, d->pending[1] - 0xA1), 2, out);
}

/* ---- the stream ---- */

static size_t step(struct charset_decoder *d, struct writer *out)
{
    if (d->charset.g0 == CODE_UTF_8)
        return step_utf8(d, out);
    if (d->charset.g0 == CODE_GB18030)
        return step_gb18030(d, out);
    if (d->pending[0] == ESC)
        return step_escape(d, out);
    return d->pending[0] < 0x80 ? step_g0(d, out) : step_g1(d, out);
}

static void drop(struct charset_decoder *d, size_t used)
{
    d->pending_len -= used;
    memmove(d->pending, d->pending + used, d->pending_len);
}

static void settle(struct charset_decoder *d, struct writer *out)
{
    size_t used;

    while (d->pending_len > 0 && (used = step(d, out)) > 0)
        drop(d, used);
}

void charset_decode(struct charset_decoder *d, struct span text, struct writer *out)
{
    for (size_t i = 0; i < text.len; i++) {
        d->pending[d->pending_len++] = text.ptr[i]; /* settle() leaves less than a whole character */
        settle(d, out);
    }
}

void charset_decode_end(struct charset_decoder *d, struct writer *out)
{
    while (d->pending_len > 0) {
        drop(d, meaningless(d, out));
        settle(d, out);
    }
}

bool charset_to_utf8(struct charset charset, enum vr vr, struct span text, struct writer *out)
{
    struct charset_decoder d;

    charset_decoder_init(&d, charset, vr, false);
    charset_decode(&d, text, out);
    charset_decode_end(&d, out);
    return !d.damaged;
}
