/* Any transfer syntax, any description: twelve bytes say which, the rest is the encoded frame. */
#include "base/reader.h"
#include "lens/decode.h"

#define FUZZ_FRAME_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char *const syntaxes[] = {
        "1.2.840.10008.1.2.1",    "1.2.840.10008.1.2.2",    "1.2.840.10008.1.2.5",    "1.2.840.10008.1.2.4.50",
        "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90",
    };
    static const uint32_t depths[] = { 1, 8, 16, 32, 12, 0 };
    struct reader r = reader_over(span_of(bytes, len));
    uint8_t which = read_u8(&r), flags = read_u8(&r);
    struct frame_description d = {
        .transfer_syntax = span_str(syntaxes[which % COUNT_OF(syntaxes)]),
        .rows = read_u16be(&r),
        .columns = read_u16be(&r),
        .samples_per_pixel = read_u8(&r),
        .bits_allocated = depths[read_u8(&r) % COUNT_OF(depths)],
        .bits_stored = read_u8(&r),
        .high_bit = read_u8(&r),
        .photometric = (enum photometric)(read_u8(&r) % (PHOTOMETRIC_YBR_FULL_422 + 1)),
        .is_signed = flags & 1,
        .planar = flags & 2,
        .big_endian = flags & 4,
        .has_palette = flags & 8,
    };
    struct writer out = writer_new(FUZZ_FRAME_BYTES_MAX);
    struct frame_result result;
    struct error err;

    for (unsigned c = 0; c < 3; c++)
        d.palette[c] = (struct palette_table){
            .entries = which + 1u, .first = flags - 20, .bits = 16, .data = span_of(bytes, len)
        };
    (void)lens_decode(&d, span_part(r.bytes, r.at, len), &out, &result, &err);
    writer_done(&out);
    return 0;
}
