/*
 * A cursor over untrusted bytes that checks every step.
 *
 * A reader that runs dry stays dry, yields zeros and remembers: a run of fields is read as the table
 * it comes from and questioned once with reader_complete(), before any value is used.
 */
#ifndef FANAL_BASE_READER_H
#define FANAL_BASE_READER_H

#include "base/error.h"
#include "base/span.h"

struct reader {
    struct span bytes;
    size_t at;
    bool dry;
};

static inline struct reader reader_over(struct span bytes)
{
    return (struct reader){ .bytes = bytes };
}

static inline size_t reader_left(const struct reader *r)
{
    return r->bytes.len - r->at;
}

/* The next len bytes, borrowed from what the reader lies over; empty and dry where fewer are left. */
struct span read_span(struct reader *r, size_t len);

uint8_t read_u8(struct reader *r);
uint16_t read_u16be(struct reader *r);
uint16_t read_u16le(struct reader *r);
uint32_t read_u32be(struct reader *r);
uint32_t read_u32le(struct reader *r);
uint64_t read_u64be(struct reader *r);
uint64_t read_u64le(struct reader *r);
void read_skip(struct reader *r, size_t len);

/* False with ERR_TRUNCATED naming `what` where any read so far ran past the end. */
bool reader_complete(const struct reader *r, struct error *err, const char *what);

#endif
