/* Frames of an encapsulated object that lies: two bytes of frames and number, the rest is the body. */
#include "base/reader.h"
#include "gate/web/frame_locate.h"
#include "record/field.h"

static bool read_body(void *context, uint64_t offset, size_t len, struct span *out, struct error *err)
{
    const struct span *body = context;

    (void)err;
    *out = offset > body->len ? span_of(NULL, 0) : span_part(*body, (size_t)offset, len);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct frame_place place;
    struct reader r = reader_over(span_of(bytes, len));
    uint8_t frames = read_u8(&r), number = read_u8(&r);
    struct span object = span_part(r.bytes, r.at, len);
    struct body body = { read_body, &object };
    struct writer fields = writer_new(1000);
    struct error err;

    field_put_uint(&fields, FIELD_PIXEL_OFFSET, 0);
    field_put_uint(&fields, FIELD_PIXEL_ENCAPSULATED, 1);
    field_put_uint(&fields, FIELD_FRAMES, frames);
    (void)frame_locate(&body, writer_span(&fields), number, &place, &err);
    writer_done(&fields);
    return 0;
}
