/* One request of a lens's conversation, answered. */
#ifndef FANAL_LENS_SERVE_H
#define FANAL_LENS_SERVE_H

#include "channel/channel.h"
#include "lens/digest.h"

#define LENS_FRAME_S  5           /* wall time of one DECODE, and of one piece of a DIGEST; then the process ends */
#define LENS_PIECE_MS (60 * 1000) /* the vault's silence within a DIGEST: its disk may be busy */

/*
 * Answers DECODE or DIGEST; anything else is ERR_MALFORMED. buffer: CHANNEL_MESSAGE_MAX, where further messages of a
 * DIGEST are received; *m borrows from it and is used no more then. False where the conversation is to be closed (it is
 * broken or gone); a request that cannot be done is answered, and true. Takes the message's descriptors.
 */
bool lens_serve(struct channel *c, struct message *m, uint8_t *buffer, struct digest *digest, struct error *err);

#endif
