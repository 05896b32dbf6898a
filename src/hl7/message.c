/*
 * HL7 v2 messages: see message.h. Section numbers are those of HL7 v2.5.1 chapter 2.
 */
#include "hl7/message.h"

/* An escape sequence longer than this is text with a stray escape character in it, unless it is \X…\ data. */
#define ESCAPE_MAX 64
#define BLANKS " \t\r\n"

static const struct hl7_delimiters usual = { '|', '^', '~', '\\', '&', '#' };

/* ---- MSH-1, MSH-2 ---- */

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/*
 * MSH-2 place by place. A character that repeats an earlier one is skipped: ^~\\& is a backslash that went
 * through a programming language once too often. One that is not ASCII stands for the usual one of its place:
 * published French examples carry a typographic tilde, two or three bytes long.
 */
static bool take_encoding_characters(struct span msh_2, struct hl7_delimiters *d)
{
    const uint8_t usual_places[] = { usual.component, usual.repetition, usual.escape, usual.subcomponent,
                                     usual.truncation };
    uint8_t places[COUNT_OF(usual_places)] = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < msh_2.len && n < COUNT_OF(places); i++) {
        uint8_t c = msh_2.ptr[i];

        if (c >= 0x80 && c < 0xc0)
            continue; /* rest of a multi-byte character */
        if (c >= 0xc0)
            c = usual_places[n];
        if (c <= ' ' || is_letter_or_digit(c))
            return false;
        if (c != d->field && memchr(places, c, n) == NULL)
            places[n++] = c;
    }
    if (n == 0)
        return false;
    d->component = places[0];
    d->repetition = places[1];
    d->escape = places[2];
    d->subcomponent = places[3];
    d->truncation = places[4];
    return true;
}

static bool take_delimiters(struct span line, struct hl7_delimiters *d, struct error *err)
{
    struct span msh_2;

    if (!span_starts(line, SPAN_LIT("MSH")) || line.len < 5)
        return error_set(err, ERR_MALFORMED, "does not begin with MSH");
    d->field = line.ptr[3];
    if (d->field <= ' ' || d->field >= 0x7f || is_letter_or_digit(d->field))
        return error_set(err, ERR_MALFORMED, "MSH-1 is no field separator");
    msh_2 = span_part(line, 4, line.len - 4);
    msh_2 = span_part(msh_2, 0, span_index(msh_2, d->field));
    if (!take_encoding_characters(msh_2, d))
        return error_set(err, ERR_MALFORMED, "MSH-2 is missing or unusable");
    return true;
}

/* ---- lines ---- */

/* Takes the next line that is not blank off *rest; false after the last. */
static bool next_line(struct span *rest, struct span *line)
{
    while (rest->len > 0) {
        size_t end = 0;

        while (end < rest->len && rest->ptr[end] != '\r' && rest->ptr[end] != '\n')
            end++;
        *line = span_part(*rest, 0, end);
        *rest = span_part(*rest, end + 1, rest->len);
        if (span_trim(*line, BLANKS "\x1c").len > 0)
            return true;
    }
    return false;
}

static bool take_segments(struct arena *arena, struct hl7_message *m, struct error *err)
{
    struct span rest = m->text;
    struct span line;
    size_t count = 0;
    struct hl7_segment *segments;

    while (next_line(&rest, &line))
        if (++count > HL7_SEGMENTS_MAX)
            return error_set(err, ERR_LIMIT, "more than %d segments", HL7_SEGMENTS_MAX);
    segments = arena_alloc(arena, count * sizeof *segments);
    if (segments == NULL)
        return error_set(err, ERR_MEMORY, "%zu segments", count);
    rest = m->text;
    for (size_t i = 0; i < count && next_line(&rest, &line); i++)
        segments[i].text = line;
    m->segments = segments;
    m->segment_count = count;
    return true;
}

/* ---- UTF-16 (MSH-18 "UNICODE", or said by its byte order mark) ---- */

static bool utf16_leads(struct span bytes, bool *big_endian)
{
    static const uint8_t mark_be[] = { 0xfe, 0xff }, mark_le[] = { 0xff, 0xfe };

    *big_endian = span_starts(bytes, span_of(mark_be, 2)) || span_starts(bytes, SPAN_LIT("\0M\0S\0H"));
    return *big_endian || span_starts(bytes, span_of(mark_le, 2)) || span_starts(bytes, SPAN_LIT("M\0S\0H\0"));
}

static bool take_utf16(struct arena *arena, struct hl7_message *m, bool big_endian, struct error *err)
{
    struct writer w = writer_new(HL7_ARENA_MAX);

    utf16_decode(m->bytes, big_endian, &w);
    m->text = w.failed ? (struct span){ 0 } : arena_copy(arena, writer_span(&w));
    writer_done(&w);
    m->transcoded = true;
    if (m->text.ptr == NULL)
        return error_set(err, ERR_MEMORY, "UTF-16 message");
    return true;
}

static struct span without_lead(struct span text)
{
    static const struct span mark = { (const uint8_t *)"\xef\xbb\xbf", 3 };
    struct span left = span_trim(text, BLANKS "\x0b");

    if (span_starts(left, mark))
        left = span_trim(span_part(left, mark.len, left.len), BLANKS "\x0b");
    return left;
}

bool hl7_message_parse(struct arena *arena, struct span bytes, struct hl7_message *out, struct error *err)
{
    struct hl7_message m = { .bytes = bytes, .text = bytes };
    struct span first, rest;
    bool big_endian;

    if (bytes.len > HL7_MESSAGE_MAX)
        return error_set(err, ERR_LIMIT, "more than %zu bytes", HL7_MESSAGE_MAX);
    if (utf16_leads(bytes, &big_endian) && !take_utf16(arena, &m, big_endian, err))
        return false;
    m.text = without_lead(m.text);
    rest = m.text;
    if (!next_line(&rest, &first))
        return error_set(err, ERR_MALFORMED, "does not begin with MSH");
    if (!take_delimiters(first, &m.delimiters, err) || !take_segments(arena, &m, err))
        return false;
    m.charset = m.transcoded ? CHARSET_UTF_8 : hl7_charset_of(hl7_value(&m, &m.segments[0], 18, 1), m.text);
    *out = m;
    return true;
}

/* ---- segments and their parts ---- */

struct span hl7_segment_id(const struct hl7_message *m, const struct hl7_segment *s)
{
    struct span id = span_part(s->text, 0, 3);

    if (id.len < 3 || (s->text.len > 3 && s->text.ptr[3] != m->delimiters.field))
        return (struct span){ 0 };
    for (size_t i = 0; i < 3; i++)
        if (!is_letter_or_digit(id.ptr[i]) || id.ptr[i] >= 'a' || (i == 0 && id.ptr[i] <= '9'))
            return (struct span){ 0 };
    return id;
}

bool hl7_segment_is(const struct hl7_message *m, const struct hl7_segment *s, const char *id)
{
    return span_equal(hl7_segment_id(m, s), span_str(id));
}

size_t hl7_segment_find(const struct hl7_message *m, const char *id, size_t from)
{
    while (from < m->segment_count && !hl7_segment_is(m, &m->segments[from], id))
        from++;
    return from < m->segment_count ? from : m->segment_count;
}

/* Part n (1 …) of what the delimiter cuts; without a delimiter there is one part. */
static struct span part(struct span text, uint8_t delimiter, unsigned n)
{
    if (delimiter == 0)
        return n == 1 ? text : (struct span){ 0 };
    for (; n > 1; n--) {
        size_t at = span_index(text, delimiter);

        if (at == text.len)
            return (struct span){ 0 };
        text = span_part(text, at + 1, text.len);
    }
    return span_part(text, 0, span_index(text, delimiter));
}

struct span hl7_field(const struct hl7_message *m, const struct hl7_segment *s, unsigned n)
{
    /* MSH-1 is the separator itself, so MSH-n is what follows the (n - 1)th one. */
    bool is_header = s == &m->segments[0];

    if (is_header && n == 1)
        return span_part(s->text, 3, 1);
    return span_trim(part(s->text, m->delimiters.field, is_header ? n : n + 1), BLANKS);
}

bool hl7_next_repetition(const struct hl7_message *m, struct span *rest, struct span *repetition)
{
    if (rest->ptr == NULL || rest->len == 0)
        return false;
    *repetition = part(*rest, m->delimiters.repetition, 1);
    /* "a~" has two: the last one is empty, and told apart from the end by its pointer only; it says nothing. */
    *rest = span_part(*rest, repetition->len + 1, rest->len);
    return true;
}

struct span hl7_component(const struct hl7_message *m, struct span repetition, unsigned n)
{
    return span_trim(part(repetition, m->delimiters.component, n), BLANKS);
}

struct span hl7_subcomponent(const struct hl7_message *m, struct span component, unsigned n)
{
    return span_trim(part(component, m->delimiters.subcomponent, n), BLANKS);
}

struct span hl7_value(const struct hl7_message *m, const struct hl7_segment *s, unsigned f, unsigned n)
{
    return hl7_component(m, part(hl7_field(m, s, f), m->delimiters.repetition, 1), n);
}

bool hl7_is_null(struct span value)
{
    return span_equal(value, SPAN_LIT("\"\""));
}

/* ---- text ---- */

/* Text of one character set, CR and CR LF as LF, without other control characters. */
static void write_text(const struct hl7_message *m, struct span text, struct writer *w)
{
    size_t from = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];

        if (c >= ' ' && c != 0x7f)
            continue;
        hl7_charset_decode(m->charset, span_part(text, from, i - from), w);
        from = i + 1;
        if (c == '\n' || c == '\t')
            write_u8(w, c);
        else if (c == '\r')
            write_span(w, i + 1 < text.len && text.ptr[i + 1] == '\n' ? (struct span){ 0 } : SPAN_LIT("\n"));
        else
            write_str(w, "\xef\xbf\xbd");
    }
    hl7_charset_decode(m->charset, span_part(text, from, text.len), w);
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \Xhh…\: bytes of the message's character set. */
static bool write_hex(const struct hl7_message *m, struct span digits, struct writer *w)
{
    struct writer bytes = writer_new(digits.len);
    bool ok = digits.len > 0 && digits.len % 2 == 0;

    for (size_t i = 0; ok && i < digits.len; i += 2) {
        int high = hex_digit(digits.ptr[i]), low = hex_digit(digits.ptr[i + 1]);

        ok = high >= 0 && low >= 0;
        if (ok)
            write_u8(&bytes, (uint8_t)(high * 16 + low));
    }
    ok = ok && !bytes.failed;
    if (ok)
        write_text(m, writer_span(&bytes), w);
    writer_done(&bytes);
    return ok;
}

/* Formatting commands (2.7.6) by their two letters: what becomes of them in plain text. */
static const struct {
    const char *command;
    const char *text;
} formatting[] = {
    { ".br", "\n" }, { ".sp", "\n" }, { ".ce", "\n" }, { ".sk", " " }, { ".in", "" },
    { ".ti", "" },   { ".fi", "" },   { ".nf", "" },   { "H", "" },    { "N", "" },
};

static bool write_escape(const struct hl7_message *m, struct span body, struct writer *w)
{
    const struct hl7_delimiters *d = &m->delimiters;
    const struct { char letter; uint8_t delimiter; } letters[] = {
        { 'F', d->field }, { 'S', d->component }, { 'R', d->repetition }, { 'E', d->escape },
        { 'T', d->subcomponent }, { 'P', d->truncation != 0 ? d->truncation : usual.truncation },
    };

    for (size_t i = 0; body.len == 1 && i < COUNT_OF(letters); i++)
        if (body.ptr[0] == letters[i].letter && letters[i].delimiter != 0) {
            write_u8(w, letters[i].delimiter);
            return true;
        }
    if (body.len > 0 && body.ptr[0] == 'X')
        return write_hex(m, span_part(body, 1, body.len), w);
    for (size_t i = 0; i < COUNT_OF(formatting); i++) {
        struct span command = span_str(formatting[i].command);

        if (span_equal(body, command) || (command.len == 3 && span_starts(body, command))) {
            write_str(w, formatting[i].text);
            return true;
        }
    }
    return false;
}

/* Length of the escape sequence at the start of text, both escape characters counted; 0: a stray one. */
static size_t escape_length(struct span text, uint8_t escape)
{
    bool is_hex = text.len > 1 && text.ptr[1] == 'X';
    struct span body = span_part(text, 1, is_hex ? text.len : ESCAPE_MAX);
    size_t end = span_index(body, escape);

    return end == 0 || end == body.len ? 0 : end + 2;
}

void hl7_text(const struct hl7_message *m, struct span text, struct writer *w)
{
    uint8_t escape = m->delimiters.escape;

    while (text.len > 0) {
        size_t plain = escape != 0 ? span_index(text, escape) : text.len;
        size_t sequence;

        write_text(m, span_part(text, 0, plain), w);
        text = span_part(text, plain, text.len);
        if (text.len == 0)
            return;
        sequence = escape_length(text, escape);
        if (sequence == 0 || !write_escape(m, span_part(text, 1, sequence - 2), w)) {
            /* Unknown or stray: as sent, up to where a sequence may begin again. */
            sequence = sequence == 0 ? 1 : sequence - 1;
            write_text(m, span_part(text, 0, sequence), w);
        }
        text = span_part(text, sequence, text.len);
    }
}
