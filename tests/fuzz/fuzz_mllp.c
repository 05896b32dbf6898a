/* MLLP: the same frames must come out however the bytes are cut; the first byte says how. */
#include <assert.h>

#include "base/reader.h"
#include "hl7/mllp.h"

#define FUZZ_MESSAGE_MAX 300

static void frames(struct span bytes, size_t step, struct writer *out)
{
    struct mllp p = mllp_new(FUZZ_MESSAGE_MAX);

    for (size_t at = 0; at < bytes.len; at += step) {
        struct span input = span_part(bytes, at, step);

        while (input.len > 0) {
            enum mllp_event e = mllp_take(&p, &input);

            assert(mllp_message(&p).len <= FUZZ_MESSAGE_MAX);
            if (e == MLLP_MORE)
                continue;
            write_u8(out, (uint8_t)e);
            write_u32be(out, (uint32_t)mllp_message(&p).len);
            write_span(out, mllp_message(&p));
        }
    }
    mllp_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct reader r = reader_over(span_of(bytes, len));
    size_t step = (size_t)read_u8(&r) + 1, room = len * 8 + 100;
    struct writer one = writer_new(room), many = writer_new(room);

    frames(span_part(r.bytes, r.at, len), step, &one);
    frames(span_part(r.bytes, r.at, len), len + 1, &many);
    assert(span_equal(writer_span(&one), writer_span(&many)));
    writer_done(&one);
    writer_done(&many);
    return 0;
}
