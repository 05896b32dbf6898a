/* What travels between a first and its twin, as either side reads it: frames, questions, ranges, heads. */
#include <assert.h>

#include "channel/wire.h"
#include "cmd/room/follow_fields.h"

static void as_fields(struct span fields)
{
    struct follow_question q;
    struct follow_range range;
    struct follow_head head;
    size_t len = 0;

    if (!wire_fields_check(fields, NULL))
        return;
    follow_question_read(fields, &q);
    if (follow_range_read(fields, &range, &len, NULL))
        assert(range.part >= FOLLOW_LOG && range.part <= FOLLOW_CONF && len <= WIRE_BYTES_MAX);
    if (follow_head_read(fields, &head, NULL)) {
        struct writer w = writer_new(8192);
        struct follow_head again;

        assert(memchr(head.note, '\0', sizeof head.note) != NULL);
        follow_head_write(&head, 1, &w);
        assert(follow_head_read(writer_span(&w), &again, NULL) && again.size == head.size);
        writer_done(&w);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span input = span_of(bytes, len);
    struct wire_header h;
    uint8_t again[WIRE_HEADER_BYTES];

    as_fields(input);
    if (!wire_header_decode(span_part(input, 0, WIRE_HEADER_BYTES), &h, NULL))
        return 0;
    assert(h.fields <= WIRE_FIELDS_MAX && h.bytes <= WIRE_BYTES_MAX);
    wire_header_encode(&h, again);
    assert(memcmp(again, bytes, WIRE_HEADER_BYTES) == 0);
    as_fields(span_part(input, WIRE_HEADER_BYTES, h.fields));
    return 0;
}
