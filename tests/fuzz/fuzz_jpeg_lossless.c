/* JPEG lossless: the description is what the header says, so that every path behind it is reached. */
#include "lens/codec.h"

#define FUZZ_FRAME_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct frame_description d = { 0 };
    struct span encoded = span_of(bytes, len);
    struct jpeg_header h;
    struct error err;
    struct writer out = writer_new(FUZZ_FRAME_BYTES_MAX);
    size_t size;
    uint8_t *room;

    if (!jpeg_header_read(encoded, &h, &err) || h.components > 4)
        return 0;
    d.rows = h.rows;
    d.columns = h.columns;
    d.samples_per_pixel = h.components;
    d.bits_allocated = h.precision <= 8 ? 8 : 16;
    size = frame_samples(&d) * frame_sample_bytes(&d);
    room = size > 0 ? write_room(&out, size) : NULL;
    if (room != NULL)
        (void)jpeg_lossless_decode(&d, encoded, (struct samples){ room, size }, &err);
    writer_done(&out);
    return 0;
}
