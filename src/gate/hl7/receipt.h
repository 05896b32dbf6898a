/*
 * One message as bytes: judged, kept, answered. No socket here: bytes in, bytes out.
 *
 * The order is the promise: the answer is made after the vault has said that the message is committed.
 */
#ifndef FANAL_GATE_HL7_RECEIPT_H
#define FANAL_GATE_HL7_RECEIPT_H

#include "base/clock.h"
#include "base/log.h"
#include "gate/hl7/keeper.h"

/* Of a message's field list: it travels in one channel message, with PUT_END's own header. */
#define RECEIPT_FACTS_MAX (CHANNEL_MESSAGE_MAX - 1024)

struct receipt {
    struct hl7_keeper keeper;
    struct hl7_sender sender;
    const struct clock *clock; /* borrowed */
    const struct log *log;     /* borrowed */
    uint32_t process;          /* tells the control IDs of two connections apart */
    uint32_t count;            /* messages so far */
};

/*
 * message: without framing; is_whole false: only its beginning, the rest passed a limit. Appends the framed answer, or
 * nothing where none is due. False where nobody knows whether it was kept (ERR_CLOSED …): answer nothing and close,
 * so that the sender sends it again.
 */
bool receipt_take(struct receipt *r, struct span message, bool is_whole, struct writer *answer, struct error *err);

#endif
