/* RLE Lossless: two bytes for the size, one for the cells, the rest is the frame. */
#include "base/reader.h"
#include "lens/decode.h"

#define FUZZ_FRAME_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct reader r = reader_over(span_of(bytes, len));
    uint8_t rows = read_u8(&r), columns = read_u8(&r), cells = read_u8(&r);
    uint32_t bits = cells & 1 ? 16 : 8;
    struct frame_description d = {
        .transfer_syntax = SPAN_LIT("1.2.840.10008.1.2.5"),
        .rows = rows,
        .columns = columns,
        .samples_per_pixel = cells & 2 ? 3 : 1,
        .bits_allocated = bits,
        .bits_stored = bits,
        .high_bit = bits - 1,
        .photometric = cells & 2 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MONOCHROME2,
    };
    struct writer out = writer_new(FUZZ_FRAME_BYTES_MAX);
    struct frame_result result;
    struct error err;

    (void)lens_decode(&d, span_part(r.bytes, r.at, len), &out, &result, &err);
    writer_done(&out);
    return 0;
}
