/*
 * From a description and encoded bytes to samples: which decoder, how much room, which colour. See decode.h.
 */
#include "lens/decode.h"

#include "lens/codec.h"
#include "record/field.h"

enum coding { CODING_NATIVE, CODING_RLE, CODING_JPEG };

/* PS3.5 Annex A: what we draw. JPEG's own header says which process it is. */
static const struct {
    const char *uid;
    enum coding coding;
} syntaxes[] = {
    { "1.2.840.10008.1.2", CODING_NATIVE },      /* implicit little endian */
    { "1.2.840.10008.1.2.1", CODING_NATIVE },    /* explicit little endian */
    { "1.2.840.10008.1.2.1.99", CODING_NATIVE }, /* deflated; whoever asks has inflated it */
    { "1.2.840.10008.1.2.2", CODING_NATIVE },    /* explicit big endian */
    { "1.2.840.10008.1.2.5", CODING_RLE },       { "1.2.840.10008.1.2.4.50", CODING_JPEG }, /* process 1 */
    { "1.2.840.10008.1.2.4.51", CODING_JPEG }, /* processes 2 and 4: 8 bits drawn, 12 refused by name */
    { "1.2.840.10008.1.2.4.57", CODING_JPEG }, /* process 14 */
    { "1.2.840.10008.1.2.4.70", CODING_JPEG }, /* process 14, selection value 1 */
};

static bool coding_of(struct span uid, enum coding *out)
{
    for (size_t i = 0; i < COUNT_OF(syntaxes); i++)
        if (span_equal(uid, span_str(syntaxes[i].uid))) {
            *out = syntaxes[i].coding;
            return true;
        }
    return false;
}

bool lens_knows(struct span transfer_syntax)
{
    enum coding coding;

    return coding_of(transfer_syntax, &coding);
}

static const struct {
    const char *term;
    enum photometric photometric;
} photometrics[] = {
    { "MONOCHROME1", PHOTOMETRIC_MONOCHROME1 },     { "MONOCHROME2", PHOTOMETRIC_MONOCHROME2 },
    { "PALETTE COLOR", PHOTOMETRIC_PALETTE_COLOR }, { "RGB", PHOTOMETRIC_RGB },
    { "YBR_FULL", PHOTOMETRIC_YBR_FULL },           { "YBR_FULL_422", PHOTOMETRIC_YBR_FULL_422 },
};

enum photometric photometric_of(struct span term)
{
    term = span_trim(term, " ");
    for (size_t i = 0; i < COUNT_OF(photometrics); i++)
        if (span_equal(term, span_str(photometrics[i].term)))
            return photometrics[i].photometric;
    return PHOTOMETRIC_OTHER;
}

const char *photometric_name(enum photometric p)
{
    for (size_t i = 0; i < COUNT_OF(photometrics); i++)
        if (photometrics[i].photometric == p)
            return photometrics[i].term;
    return "";
}

size_t frame_samples(const struct frame_description *d)
{
    return (size_t)d->rows * d->columns * d->samples_per_pixel;
}

size_t frame_sample_bytes(const struct frame_description *d)
{
    return d->bits_allocated <= 8 ? 1 : d->bits_allocated / 8;
}

bool frame_description_check(const struct frame_description *d, struct error *err)
{
    if (d->rows == 0 || d->columns == 0 || d->rows > UINT16_MAX || d->columns > UINT16_MAX)
        return error_set(err, ERR_MALFORMED, "frame of %u rows and %u columns", d->rows, d->columns);
    if (d->samples_per_pixel != 1 && d->samples_per_pixel != 3)
        return error_set(err, ERR_UNSUPPORTED, "%u samples per pixel", d->samples_per_pixel);
    if (d->bits_allocated != 1 && d->bits_allocated != 8 && d->bits_allocated != 16 && d->bits_allocated != 32)
        return error_set(err, ERR_UNSUPPORTED, "%u bits allocated", d->bits_allocated);
    if (d->bits_stored == 0 || d->bits_stored > d->bits_allocated || d->high_bit >= d->bits_allocated
        || d->high_bit + 1 < d->bits_stored)
        return error_set(err, ERR_MALFORMED, "%u bits stored with high bit %u in %u", d->bits_stored, d->high_bit,
                         d->bits_allocated);
    if (frame_samples(d) > LENS_FRAME_BYTES_MAX / frame_sample_bytes(d)) /* < 2^34: rows and columns are 16 bits */
        return error_set(err, ERR_LIMIT, "frame of more than %zu bytes", LENS_FRAME_BYTES_MAX);
    if (d->photometric == PHOTOMETRIC_OTHER)
        return error_set(err, ERR_UNSUPPORTED, "photometric interpretation");
    if ((d->samples_per_pixel == 3) != (d->photometric >= PHOTOMETRIC_RGB))
        return error_set(err, ERR_MALFORMED, "%s with %u samples per pixel", photometric_name(d->photometric),
                         d->samples_per_pixel);
    if (d->photometric == PHOTOMETRIC_PALETTE_COLOR && !d->has_palette)
        return error_set(err, ERR_UNSUPPORTED, "PALETTE COLOR without a plain palette");
    return true;
}

static bool run_coding(enum coding coding, const struct frame_description *d, struct span encoded, struct samples s,
                       bool *colour_done, bool *lossless, struct error *err)
{
    struct jpeg_header h;

    switch (coding) {
    case CODING_NATIVE:
        return native_decode(d, encoded, s, err);
    case CODING_RLE:
        return rle_decode(d, encoded, s, err);
    case CODING_JPEG:
        if (!jpeg_header_read(encoded, &h, err))
            return false;
        if (h.sof == 0xc3)
            return jpeg_lossless_decode(d, encoded, s, err);
        if (h.sof > 0xc2 || h.precision != 8 || frame_sample_bytes(d) != 1)
            return error_set(err, ERR_UNSUPPORTED, "JPEG SOF%u with %u bits in %u", h.sof & 15, h.precision,
                             d->bits_allocated);
        *colour_done = h.components == 3;
        *lossless = false;
        return jpeg_dct_decode(d, &h, encoded, s, err);
    }
    return error_set(err, ERR_UNSUPPORTED, "coding");
}

/* Grey and RGB are done; indexes become colours behind them in the writer, then move to its front. */
static bool apply_palette(const struct frame_description *d, struct samples s, struct writer *out, size_t begin,
                          struct error *err)
{
    struct writer rgb = writer_new(frame_samples(d) * 3);
    uint8_t *room = write_room(&rgb, frame_samples(d) * 3);
    bool ok = room != NULL ? samples_palette_to_rgb(d, s, (struct samples){ room, rgb.len }, err)
                           : error_set(err, ERR_MEMORY, "palette picture");

    if (ok) {
        out->len = begin;
        write_span(out, writer_span(&rgb));
    }
    writer_done(&rgb);
    return ok;
}

bool lens_decode(const struct frame_description *d, struct span encoded, struct writer *out,
                 struct frame_result *result, struct error *err)
{
    struct frame_result r = { .rows = d->rows,
                              .columns = d->columns,
                              .samples_per_pixel = d->samples_per_pixel,
                              .bits_allocated = (uint32_t)(frame_sample_bytes(d) * 8),
                              .is_signed = d->is_signed,
                              .photometric = d->photometric,
                              .lossless = true };
    size_t begin = out->len;
    bool colour_done = false;
    enum coding coding;
    struct samples s;

    if (!coding_of(d->transfer_syntax, &coding))
        return error_set(err, ERR_UNSUPPORTED, "transfer syntax %.*s is not drawn", (int)d->transfer_syntax.len,
                         (const char *)d->transfer_syntax.ptr);
    if (!frame_description_check(d, err))
        return false;
    s.len = frame_samples(d) * frame_sample_bytes(d);
    s.ptr = write_room(out, s.len);
    if (s.ptr == NULL)
        return writer_ok(out, err, "decoded frame");
    if (!run_coding(coding, d, encoded, s, &colour_done, &r.lossless, err))
        return false;
    samples_mask(d, s);
    if (d->photometric == PHOTOMETRIC_PALETTE_COLOR) {
        if (!apply_palette(d, s, out, begin, err))
            return false;
        r.samples_per_pixel = 3;
        r.bits_allocated = 8;
        r.is_signed = false;
        r.photometric = PHOTOMETRIC_RGB;
    } else if (d->photometric >= PHOTOMETRIC_RGB) {
        if (d->photometric != PHOTOMETRIC_RGB && !colour_done) {
            if (r.bits_allocated != 8)
                return error_set(err, ERR_UNSUPPORTED, "YBR of %u bits", r.bits_allocated);
            samples_ybr_to_rgb(s);
        }
        r.photometric = PHOTOMETRIC_RGB;
    }
    if (!writer_ok(out, err, "decoded frame"))
        return false;
    *result = r;
    return true;
}
