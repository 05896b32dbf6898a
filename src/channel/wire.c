/* Frames between two machines. See wire.h. */
#include "channel/wire.h"

#include "base/reader.h"

static const uint8_t magic[4] = { 'F', 'N', 'L', 'W' };

static void put(uint8_t *out, uint32_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

void wire_header_encode(const struct wire_header *h, uint8_t out[WIRE_HEADER_BYTES])
{
    memcpy(out, magic, sizeof magic);
    put(out + 4, (uint32_t)h->verb, 2);
    put(out + 6, 0, 2);
    put(out + 8, h->fields, 4);
    put(out + 12, h->bytes, 4);
}

bool wire_header_decode(struct span bytes, struct wire_header *out, struct error *err)
{
    struct reader r = reader_over(bytes);
    struct span start = read_span(&r, sizeof magic);
    uint16_t verb = read_u16le(&r), reserved = read_u16le(&r);
    struct wire_header h = { .fields = read_u32le(&r), .bytes = 0 };

    h.bytes = read_u32le(&r);
    if (!reader_complete(&r, err, "frame"))
        return false;
    if (memcmp(start.ptr, magic, sizeof magic) != 0 || reserved != 0
        || (verb != VERB_FOLLOW_STATE && verb != VERB_FOLLOW_READ && verb != VERB_REPLY))
        return error_set(err, ERR_MALFORMED, "not a frame of a twin");
    if (h.fields > WIRE_FIELDS_MAX || h.bytes > WIRE_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "a frame of %u and %u bytes", h.fields, h.bytes);
    h.verb = (enum verb)verb;
    *out = h;
    return true;
}

bool wire_fields_check(struct span fields, struct error *err)
{
    struct fields_reader r = fields_over(fields);
    struct field_value v;

    while (fields_next(&r, &v))
        ;
    return fields_complete(&r, NULL) || error_set(err, ERR_MALFORMED, "a frame with a broken field list");
}

bool wire_is_question(const struct wire_header *h)
{
    return (h->verb == VERB_FOLLOW_STATE || h->verb == VERB_FOLLOW_READ) && h->bytes == 0;
}
