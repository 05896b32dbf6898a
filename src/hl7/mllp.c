/*
 * MLLP framing: see mllp.h.
 */
#include "hl7/mllp.h"

struct mllp mllp_new(size_t message_max)
{
    return (struct mllp){ .message = writer_new(message_max) };
}

void mllp_done(struct mllp *p)
{
    writer_done(&p->message);
}

static void begin(struct mllp *p)
{
    writer_reset(&p->message);
    p->from = 0;
    p->too_long = false;
    p->state = MLLP_INSIDE;
}

/* What no longer fits makes the message too long; its beginning stays. */
static void add(struct mllp *p, struct span bytes)
{
    size_t room = p->message.limit - p->message.len;

    if (p->too_long)
        return;
    if (bytes.len > room) {
        bytes = span_part(bytes, 0, room);
        p->too_long = true;
    }
    write_span(&p->message, bytes);
    if (p->message.failed)
        p->too_long = true;
}

/* A sender that gave up half way and began again in the same frame: only the last beginning counts. */
static void drop_abandoned(struct mllp *p)
{
    struct span left = writer_span(&p->message);

    while (left.len > 0) {
        size_t start = span_index(left, MLLP_START);

        left = span_part(left, start + 1, left.len);
        if (span_starts(left, SPAN_LIT("MSH")))
            p->from = p->message.len - left.len;
    }
}

static enum mllp_event end(struct mllp *p)
{
    drop_abandoned(p);
    p->state = MLLP_OUTSIDE;
    return p->too_long ? MLLP_TOO_LONG : MLLP_MESSAGE;
}

static void take_outside(struct mllp *p, struct span *input)
{
    size_t start = span_index(*input, MLLP_START);

    for (size_t i = 0; i < start; i++)
        p->skipped += input->ptr[i] != 0 && input->ptr[i] != '\r' && input->ptr[i] != '\n';
    if (start < input->len)
        begin(p);
    *input = span_part(*input, start + 1, input->len);
}

static void take_inside(struct mllp *p, struct span *input)
{
    size_t plain = span_index(*input, MLLP_END);

    add(p, span_part(*input, 0, plain));
    if (plain < input->len)
        p->state = MLLP_ENDING;
    *input = span_part(*input, plain + 1, input->len);
}

/* Behind FS: CR ends the frame, and so does the VT of the next one; anything else was part of the message. */
static enum mllp_event take_ending(struct mllp *p, struct span *input)
{
    static const uint8_t fs = MLLP_END;
    uint8_t next = input->ptr[0];

    if (next == MLLP_START)
        return end(p); /* not consumed */
    if (next == '\r') {
        *input = span_part(*input, 1, input->len);
        return end(p);
    }
    add(p, span_of(&fs, 1));
    p->state = MLLP_INSIDE;
    return MLLP_MORE;
}

enum mllp_event mllp_take(struct mllp *p, struct span *input)
{
    enum mllp_event event = MLLP_MORE;

    while (event == MLLP_MORE && input->len > 0) {
        switch (p->state) {
        case MLLP_OUTSIDE:
            take_outside(p, input);
            break;
        case MLLP_INSIDE:
            take_inside(p, input);
            break;
        case MLLP_ENDING:
            event = take_ending(p, input);
            break;
        }
    }
    return event;
}

enum mllp_event mllp_pause(struct mllp *p)
{
    return p->state == MLLP_ENDING ? end(p) : MLLP_MORE;
}

void mllp_frame(struct span message, struct writer *w)
{
    write_u8(w, MLLP_START);
    write_span(w, message);
    write_u8(w, MLLP_END);
    write_u8(w, '\r');
}
