/*
 * Bytes being put together, in memory the writer owns and grows up to a limit.
 *
 * Like a reader, a writer that fails (limit, memory) stays failed and remembers: write a whole
 * structure, then ask writer_ok() once.
 */
#ifndef FANAL_BASE_WRITER_H
#define FANAL_BASE_WRITER_H

#include "base/error.h"
#include "base/span.h"

struct writer {
    uint8_t *ptr; /* owned; NULL until the first write */
    size_t len;
    size_t cap;
    size_t limit; /* len never passes it */
    bool failed;
};

/* An empty writer that may grow to limit bytes. writer_done() frees what it holds. */
static inline struct writer writer_new(size_t limit)
{
    return (struct writer){ .limit = limit };
}

void writer_done(struct writer *w);

/* Forgets what was written (and a failure), keeps the memory. */
void writer_reset(struct writer *w);

/* What was written so far; borrowed until the next write. */
static inline struct span writer_span(const struct writer *w)
{
    return span_of(w->ptr, w->len);
}

void write_span(struct writer *w, struct span s);
void write_str(struct writer *w, const char *s);
void write_fill(struct writer *w, uint8_t b, size_t count);
void write_u8(struct writer *w, uint8_t v);
void write_u16be(struct writer *w, uint16_t v);
void write_u16le(struct writer *w, uint16_t v);
void write_u32be(struct writer *w, uint32_t v);
void write_u32le(struct writer *w, uint32_t v);
void write_u64be(struct writer *w, uint64_t v);
void write_u64le(struct writer *w, uint64_t v);
void write_printf(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Room for len bytes at the end, counted as written, for the caller to fill at once; NULL where the
 * writer failed. Valid until the next write.
 */
uint8_t *write_room(struct writer *w, size_t len);

/* Overwrites 2 or 4 bytes at an offset already written: lengths that are known afterwards. */
void write_patch_u16be(struct writer *w, size_t at, uint16_t v);
void write_patch_u32be(struct writer *w, size_t at, uint32_t v);
void write_patch_u32le(struct writer *w, size_t at, uint32_t v);

/* False with ERR_LIMIT or ERR_MEMORY naming `what` where a write did not fit. */
bool writer_ok(const struct writer *w, struct error *err, const char *what);

#endif
