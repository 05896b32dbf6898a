/* One request of a lens's conversation, answered. */
#ifndef FANAL_LENS_SERVE_H
#define FANAL_LENS_SERVE_H

#include "channel/channel.h"

/*
 * Answers DECODE or DIGEST; anything else is ERR_MALFORMED. False where the conversation is to be closed (it is broken or
 * gone); a request that cannot be done is answered, and true. Takes the message's descriptors.
 */
bool lens_serve(struct channel *c, struct message *m, struct error *err);

#endif
