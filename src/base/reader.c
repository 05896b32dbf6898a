/* A checking cursor. See reader.h. */
#include "base/reader.h"

struct span read_span(struct reader *r, size_t len)
{
    struct span part;

    if (r->dry || len > reader_left(r)) {
        r->dry = true;
        r->at = r->bytes.len;
        return (struct span){ NULL, 0 };
    }
    part = span_part(r->bytes, r->at, len);
    r->at += len;
    return part;
}

static uint64_t read_be(struct reader *r, size_t n)
{
    struct span s = read_span(r, n);
    uint64_t v = 0;

    for (size_t i = 0; i < s.len; i++)
        v = v << 8 | s.ptr[i];
    return v;
}

static uint64_t read_le(struct reader *r, size_t n)
{
    struct span s = read_span(r, n);
    uint64_t v = 0;

    for (size_t i = s.len; i > 0; i--)
        v = v << 8 | s.ptr[i - 1];
    return v;
}

uint8_t read_u8(struct reader *r)
{
    return (uint8_t)read_be(r, 1);
}

uint16_t read_u16be(struct reader *r)
{
    return (uint16_t)read_be(r, 2);
}

uint16_t read_u16le(struct reader *r)
{
    return (uint16_t)read_le(r, 2);
}

uint32_t read_u32be(struct reader *r)
{
    return (uint32_t)read_be(r, 4);
}

uint32_t read_u32le(struct reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t read_u64be(struct reader *r)
{
    return read_be(r, 8);
}

uint64_t read_u64le(struct reader *r)
{
    return read_le(r, 8);
}

void read_skip(struct reader *r, size_t len)
{
    (void)read_span(r, len);
}

bool reader_complete(const struct reader *r, struct error *err, const char *what)
{
    if (!r->dry)
        return true;
    return error_set(err, ERR_TRUNCATED, "%s ends after %zu bytes", what, r->bytes.len);
}
