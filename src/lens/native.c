/*
 * Uncompressed pixel cells (PS3.5 §8.1, §8.2, Annex D) to interleaved little-endian samples.
 *
 * Lengths are compared once, before the loops; the loops index below them.
 */
#include "lens/codec.h"

/* Where the sample of a pixel lies among the encoded ones. */
static size_t cell_of(const struct frame_description *d, size_t pixel, size_t sample)
{
    size_t pixels = (size_t)d->rows * d->columns;

    return d->planar ? sample * pixels + pixel : pixel * d->samples_per_pixel + sample;
}

static void copy_cells(const struct frame_description *d, struct span in, struct samples out)
{
    size_t width = frame_sample_bytes(d), pixels = (size_t)d->rows * d->columns;
    size_t at = 0;

    for (size_t pixel = 0; pixel < pixels; pixel++)
        for (size_t sample = 0; sample < d->samples_per_pixel; sample++) {
            size_t from = cell_of(d, pixel, sample) * width;

            for (size_t byte = 0; byte < width; byte++)
                out.ptr[at++] = in.ptr[from + (d->big_endian ? width - 1 - byte : byte)];
        }
}

/* PS3.5 §8.1.1: bits are packed from the least significant one on. */
static void unpack_bits(struct span in, struct samples out)
{
    for (size_t i = 0; i < out.len; i++)
        out.ptr[i] = in.ptr[i / 8] >> (i % 8) & 1;
}

/* PS3.3 C.7.6.3.1.2, YBR_FULL_422: Y Y Cb Cr for each two pixels of a row. */
static bool unpack_422(const struct frame_description *d, struct span in, struct samples out, struct error *err)
{
    size_t pixels = (size_t)d->rows * d->columns;

    if (d->columns % 2 != 0 || d->bits_allocated != 8 || d->samples_per_pixel != 3)
        return error_set(err, ERR_UNSUPPORTED, "YBR_FULL_422 of odd width or not 8 bits");
    if (in.len < pixels * 2)
        return error_set(err, ERR_TRUNCATED, "frame: %zu bytes where %zu belong", in.len, pixels * 2);
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        size_t group = pixel / 2 * 4;

        out.ptr[pixel * 3] = in.ptr[group + pixel % 2];
        out.ptr[pixel * 3 + 1] = in.ptr[group + 2];
        out.ptr[pixel * 3 + 2] = in.ptr[group + 3];
    }
    return true;
}

/*
 * In big endian an OW of 8-bit cells arrives with the two bytes of each word swapped (PS3.5 Annex D, §8.1.2). A
 * frame of an odd number of bytes borrows its last from a word that it shares; we see the frame only.
 */
static void copy_swapped_bytes(const struct frame_description *d, struct span in, struct samples out)
{
    size_t at = 0, pixels = (size_t)d->rows * d->columns;

    for (size_t pixel = 0; pixel < pixels; pixel++)
        for (size_t sample = 0; sample < d->samples_per_pixel; sample++) {
            size_t from = cell_of(d, pixel, sample) ^ 1;

            out.ptr[at++] = from < in.len ? in.ptr[from] : 0;
        }
}

bool native_decode(const struct frame_description *d, struct span encoded, struct samples out, struct error *err)
{
    size_t want = d->bits_allocated == 1 ? out.len / 8 + (out.len % 8 != 0) : out.len;

    if (d->photometric == PHOTOMETRIC_YBR_FULL_422)
        return unpack_422(d, encoded, out, err);
    if (encoded.len < want)
        return error_set(err, ERR_TRUNCATED, "frame: %zu bytes where %zu belong", encoded.len, want);
    if (d->bits_allocated == 1)
        unpack_bits(encoded, out);
    else if (d->bits_allocated == 8 && d->big_endian)
        copy_swapped_bytes(d, encoded, out);
    else if (d->big_endian || d->planar)
        copy_cells(d, encoded, out);
    else
        memcpy(out.ptr, encoded.ptr, out.len);
    return true;
}
