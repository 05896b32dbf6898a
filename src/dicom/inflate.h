/*
 * Inflates a deflated data set as its bytes arrive (PS3.5 §A.5, RFC 1951), in constant memory.
 */
#ifndef FANAL_DICOM_INFLATE_H
#define FANAL_DICOM_INFLATE_H

#include <zlib.h>

#include "base/error.h"
#include "base/span.h"

/*
 * What one object may inflate to. Deflate gains a factor of 1,032 at most, so a small object could keep a
 * process busy for long; no element of a data set is longer than 4 GiB, and few objects hold two such.
 */
#define INFLATE_OUTPUT_MAX  ((uint64_t)4 * 1024 * 1024 * 1024)
#define INFLATE_PIECE_BYTES ((size_t)16 * 1024)

struct inflate {
    z_stream stream;
    bool usable; /* inflateInit2() succeeded */
    bool ended;  /* the deflated stream said so; padding may follow (A.5) */
    uint64_t produced;
    uint64_t limit; /* INFLATE_OUTPUT_MAX, lower in tests */
    uint8_t piece[INFLATE_PIECE_BYTES];
};

/* Takes a piece of output, borrowed until it returns; false with *err ends the stream. */
typedef bool inflate_sink(void *context, struct span bytes, struct error *err);

/* z: zeroed, or used before. ERR_MEMORY. */
bool inflate_begin(struct inflate *z, struct error *err);
void inflate_done(struct inflate *z);

/* ERR_MALFORMED for what is no deflated stream, ERR_LIMIT past the limit, or the sink's own error. */
bool inflate_feed(struct inflate *z, struct span bytes, inflate_sink *sink, void *context, struct error *err);

/* ERR_TRUNCATED where the stream has not come to its end. */
bool inflate_finish(const struct inflate *z, struct error *err);

#endif
