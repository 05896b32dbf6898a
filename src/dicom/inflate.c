/* Deflated data sets. See inflate.h. */
#include "dicom/inflate.h"

#define RAW_DEFLATE (-15) /* zlib: a window of 32 KiB, no zlib header (PS3.5 §A.5) */

bool inflate_begin(struct inflate *z, struct error *err)
{
    int result;

    z->ended = false;
    z->produced = 0;
    z->limit = INFLATE_OUTPUT_MAX;
    if (z->usable) {
        result = inflateReset2(&z->stream, RAW_DEFLATE);
    } else {
        memset(&z->stream, 0, sizeof z->stream);
        result = inflateInit2(&z->stream, RAW_DEFLATE);
        z->usable = result == Z_OK;
    }
    return result == Z_OK || error_set(err, ERR_MEMORY, "no memory for a deflated data set");
}

void inflate_done(struct inflate *z)
{
    if (z->usable)
        (void)inflateEnd(&z->stream);
    z->usable = false;
}

static bool hand_on(struct inflate *z, size_t made, inflate_sink *sink, void *context, struct error *err)
{
    z->produced += made;
    if (z->produced > z->limit)
        return error_set(err, ERR_LIMIT, "the data set inflates to more than %llu bytes", (unsigned long long)z->limit);
    return made == 0 || sink(context, span_of(z->piece, made), err);
}

/* One call of zlib. What it gave goes on even where it then failed: a verdict must not depend on where input was cut. */
static bool step(struct inflate *z, inflate_sink *sink, void *context, struct error *err)
{
    int result;

    z->stream.next_out = z->piece;
    z->stream.avail_out = sizeof z->piece;
    result = inflate(&z->stream, Z_NO_FLUSH);
    z->ended = result == Z_STREAM_END;
    if (!hand_on(z, sizeof z->piece - z->stream.avail_out, sink, context, err))
        return false;
    if (result == Z_MEM_ERROR)
        return error_set(err, ERR_MEMORY, "no memory for a deflated data set");
    return result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR
           || error_set(err, ERR_MALFORMED, "the data set is not a deflated stream");
}

bool inflate_feed(struct inflate *z, struct span bytes, inflate_sink *sink, void *context, struct error *err)
{
    while (bytes.len > 0 && !z->ended) {
        size_t some = bytes.len < UINT32_MAX ? bytes.len : UINT32_MAX; /* zlib counts in unsigned int */

        z->stream.next_in = (z_const Bytef *)bytes.ptr;
        z->stream.avail_in = (unsigned)some;
        do { /* until zlib has nothing more to give for this input */
            if (!step(z, sink, context, err))
                return false;
        } while (!z->ended && (z->stream.avail_in > 0 || z->stream.avail_out == 0));
        bytes = span_part(bytes, some - z->stream.avail_in, bytes.len);
    }
    return true;
}

bool inflate_finish(const struct inflate *z, struct error *err)
{
    return z->ended || error_set(err, ERR_TRUNCATED, "the deflated data set has no end");
}
