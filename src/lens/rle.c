/*
 * RLE Lossless (PS3.5 Annex G).
 *
 * A header of sixteen words, then one PackBits segment per byte of a composite pixel code: sample by sample,
 * most significant byte first (§G.2).
 */
#include "base/reader.h"
#include "lens/codec.h"

#define RLE_SEGMENTS_MAX 15 /* §G.5: fifteen offsets fit the header */
#define RLE_HEADER_BYTES 64

/* Where the bytes of one segment go: every stride-th byte of out from `at` on. */
struct plane {
    struct samples out;
    size_t at, stride;
};

static bool plane_full(const struct plane *p)
{
    return p->at >= p->out.len;
}

static void plane_put(struct plane *p, uint8_t byte)
{
    p->out.ptr[p->at] = byte;
    p->at += p->stride;
}

/* §G.3.2. Some encoders pad the last run beyond the segment's last pixel: what is too much is left out. */
static bool segment_decode(struct span segment, struct plane *p, unsigned number, struct error *err)
{
    struct reader r = reader_over(segment);

    while (!plane_full(p)) {
        unsigned n = read_u8(&r);

        if (n <= 127) {
            struct span literal = read_span(&r, n + 1);

            for (size_t i = 0; i < literal.len && !plane_full(p); i++)
                plane_put(p, literal.ptr[i]);
        } else if (n >= 129) {
            uint8_t byte = read_u8(&r);

            for (size_t i = 0; i < 257 - n && !plane_full(p); i++)
                plane_put(p, byte);
        } /* 128: no operation */
        if (r.dry)
            return error_set(err, ERR_TRUNCATED, "RLE segment %u ends before its last pixel", number);
    }
    return true;
}

bool rle_decode(const struct frame_description *d, struct span encoded, struct samples out, struct error *err)
{
    struct reader r = reader_over(encoded);
    size_t bytes = frame_sample_bytes(d), count = d->samples_per_pixel * bytes;
    uint32_t segments = read_u32le(&r);
    uint32_t offsets[RLE_SEGMENTS_MAX + 1];

    for (unsigned i = 0; i < RLE_SEGMENTS_MAX; i++)
        offsets[i] = read_u32le(&r);
    if (!reader_complete(&r, err, "RLE header"))
        return false;
    if (d->bits_allocated == 1)
        return error_set(err, ERR_UNSUPPORTED, "RLE of single bits");
    if (segments != count || segments > RLE_SEGMENTS_MAX)
        return error_set(err, ERR_MALFORMED, "RLE header: %u segments where %zu belong", segments, count);
    for (unsigned i = 0; i < segments; i++) {
        size_t end = i + 1 < segments ? offsets[i + 1] : encoded.len;
        struct plane p = {
            .out = out,
            .at = i / bytes * bytes + (bytes - 1 - i % bytes),
            .stride = count,
        };

        if (offsets[i] < RLE_HEADER_BYTES || end < offsets[i] || end > encoded.len)
            return error_set(err, ERR_MALFORMED, "RLE header: segment %u lies outside", i + 1);
        if (!segment_decode(span_part(encoded, offsets[i], end - offsets[i]), &p, i + 1, err))
            return false;
    }
    return true;
}
