/*
 * One RECHECK over a conversation (docs/channel.md, "The second walk"): the object's bytes come, its facts go.
 */
#ifndef FANAL_RECHECK_SERVE_H
#define FANAL_RECHECK_SERVE_H

#include "channel/channel.h"

#define RECHECK_PIECE_S  5           /* wall time of one piece; then the process ends */
#define RECHECK_SILENCE_MS (60 * 1000) /* of the vault within an object: its disk may be busy */

/* buffer: of CHANNEL_MESSAGE_MAX. False where the conversation is broken; a fault of the object is answered. */
bool recheck_serve(struct channel *c, struct message *m, uint8_t *buffer, struct error *err);

#endif
