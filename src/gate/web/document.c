/* ED data of HL7 to a file. See document.h. */
#include "gate/web/document.h"

#include <ctype.h>

/* The length of what follows the last byte b of s; s.len where there is none. */
static size_t behind_last(struct span s, uint8_t b)
{
    size_t len = 0;

    while (len < s.len && s.ptr[s.len - 1 - len] != b)
        len++;
    return len;
}

static bool equals_ignoring_case(struct span s, const char *word)
{
    if (s.len != strlen(word))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (tolower(s.ptr[i]) != word[i])
            return false;
    return true;
}

static bool encoding_of(struct span word, enum document_encoding *out)
{
    if (equals_ignoring_case(word, "base64"))
        *out = DOCUMENT_BASE64;
    else if (equals_ignoring_case(word, "hex"))
        *out = DOCUMENT_HEX;
    else if (equals_ignoring_case(word, "a"))
        *out = DOCUMENT_PLAIN;
    else
        return false;
    return true;
}

bool document_describe(struct span head, struct span before, struct document *out, struct error *err)
{
    struct span name = span_part(head, 0, 3), field, component[4];
    struct document d = { 0 };
    uint8_t separator;

    if (head.len < 8 || !span_equal(name, SPAN_LIT("MSH")) || before.len == 0)
        return error_set(err, ERR_MALFORMED, "no HL7 message");
    d.delimiters = span_part(head, 3, 5); /* | ^ ~ \ & */
    d.escape = head.ptr[6];
    separator = head.ptr[4];
    if (before.ptr[before.len - 1] != separator)
        return error_set(err, ERR_MALFORMED, "no component begins there");
    field = span_part(before, 0, before.len - 1);
    for (size_t i = 4; i-- > 0;) { /* encoding, subtype, type, source: from the last one back */
        size_t len = behind_last(field, i == 0 ? head.ptr[3] : separator);

        component[i] = span_part(field, field.len - len, len);
        field = span_part(field, 0, field.len - len > 0 ? field.len - len - 1 : 0);
    }
    if (!encoding_of(component[3], &d.encoding))
        return error_set(err, ERR_MALFORMED, "the document's encoding is not one of A, Hex, Base64");
    d.is_pdf = equals_ignoring_case(component[2], "pdf");
    *out = d;
    return true;
}

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (uint8_t)tolower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Adds `width` bits; whole bytes go out. */
static void push(struct document_decoder *d, int value, unsigned width)
{
    d->bits = d->bits << width | (uint32_t)value;
    d->count += width;
    if (d->count >= 8) {
        d->count -= 8;
        write_u8(d->out, (uint8_t)(d->bits >> d->count));
        d->bits &= (1u << d->count) - 1;
    }
}

static bool decode_character(struct document_decoder *d, uint8_t c, struct error *err)
{
    int value;

    if (d->document->encoding == DOCUMENT_PLAIN) {
        write_u8(d->out, c);
        return true;
    }
    if (c == ' ' || c == '\n' || c == '\t' || c == '=')
        return true;
    value = d->document->encoding == DOCUMENT_HEX ? hex_value(c) : base64_value(c);
    if (value < 0)
        return error_set(err, ERR_MALFORMED, "the document is not in the encoding that it names");
    push(d, value, d->document->encoding == DOCUMENT_HEX ? 4 : 6);
    return true;
}

bool document_decode(struct document_decoder *d, struct span bytes, struct error *err)
{
    bool plain = d->document->encoding == DOCUMENT_PLAIN;

    for (size_t i = 0; i < bytes.len && !d->ended; i++) {
        uint8_t c = bytes.ptr[i];

        if (c == d->document->escape && !plain)
            d->escaped = !d->escaped;
        else if (c == '\r'
                 || (c != d->document->escape && span_index(d->document->delimiters, c) < d->document->delimiters.len))
            d->ended = true;
        else if (!d->escaped && !decode_character(d, c, err))
            return false;
    }
    return writer_ok(d->out, err, "document");
}
