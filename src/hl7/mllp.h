/*
 * MLLP framing (HL7 Minimal Lower Layer Protocol, release 1): <VT> message <FS><CR>, as an incremental parser.
 *
 * Bytes in, frames out; any number of messages per connection, any cut between reads. Tolerated, because devices do it:
 * NUL, CR and LF between frames, a missing CR behind FS, FS inside a message (only FS CR, or FS at the end of what
 * was sent, or FS VT ends one), a sender that gave up and begins again with VT MSH inside its frame (any other VT is
 * text). Bytes outside a frame are skipped and counted. A message past its limit is skipped to its end and reported once, so that the next one is found.
 */
#ifndef FANAL_HL7_MLLP_H
#define FANAL_HL7_MLLP_H

#include "base/span.h"
#include "base/writer.h"

#define MLLP_START 0x0b
#define MLLP_END 0x1c

enum mllp_state {
    MLLP_OUTSIDE, /* between frames */
    MLLP_INSIDE,
    MLLP_ENDING, /* behind an FS that may end the frame */
};

struct mllp {
    struct writer message; /* owned; what the frame holds so far, at most its limit */
    size_t from;           /* where the message begins in it: behind the last VT MSH */
    enum mllp_state state;
    bool too_long;      /* the frame in progress has passed the limit: what follows is skipped */
    uint64_t skipped;   /* bytes outside frames, NUL, CR and LF not counted */
};

enum mllp_event {
    MLLP_MORE,     /* everything consumed, no frame complete */
    MLLP_MESSAGE,  /* mllp_message() is a whole message */
    MLLP_TOO_LONG, /* a message passed the limit (or memory) and was skipped; mllp_message() is its beginning */
};

struct mllp mllp_new(size_t message_max);
void mllp_done(struct mllp *p);

/* Takes bytes off *input up to the next event. Call again with what is left. */
enum mllp_event mllp_take(struct mllp *p, struct span *input);

/*
 * No more bytes are waiting: an FS that was the last byte ends its frame (senders that forget the CR wait for
 * their answer). MLLP_MORE where there was none.
 */
enum mllp_event mllp_pause(struct mllp *p);

/* Borrowed until the next mllp_take(). */
static inline struct span mllp_message(const struct mllp *p)
{
    return span_part(writer_span(&p->message), p->from, p->message.len);
}

/* Whether a frame has begun and not ended. */
static inline bool mllp_is_inside(const struct mllp *p)
{
    return p->state != MLLP_OUTSIDE;
}

/* Appends message framed. */
void mllp_frame(struct span message, struct writer *w);

#endif
