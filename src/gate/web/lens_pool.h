/*
 * The lenses that the gate may ask: each used by one thread at a time, a wait with an end, dead ones dropped.
 *
 * The supervisor's JOINs fill it; a lens that fails is closed, and the next JOIN of its number brings a fresh one.
 */
#ifndef FANAL_GATE_WEB_LENS_POOL_H
#define FANAL_GATE_WEB_LENS_POOL_H

#include <pthread.h>

#include "channel/channel.h"

#define LENSES_MAX     8
#define LENS_WAIT_MS   10000 /* for a free one: a page asks for six thumbnails at a time */
#define LENS_ANSWER_MS 6000  /* a second more than a lens gives itself */

struct lens_slot {
    bool present, busy, replaced; /* replaced: `fresh` is to be used once the busy one is given back */
    struct channel channel, fresh;
};

struct lens_pool {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct lens_slot slots[LENSES_MAX];
    uint32_t next_id;
};

void lens_pool_init(struct lens_pool *p);
/* No thread may be using it. */
void lens_pool_done(struct lens_pool *p);

/* Takes over channel: lens `number` of the supervisor. */
void lens_pool_join(struct lens_pool *p, unsigned number, struct channel channel);

/*
 * Asks a free lens: request is a DECODE, input and output its descriptors (kept by the caller). The answer's fields
 * lie in buffer (CHANNEL_MESSAGE_MAX) and *reply borrows from it. The lens's own code and text where it said no;
 * ERR_BUSY: none was free in time; ERR_TIMEOUT, ERR_CLOSED: it hung or died, and is dropped.
 */
bool lens_pool_decode(struct lens_pool *p, struct span request, int input, int output, uint8_t *buffer,
                      struct span *reply, struct error *err);

#endif
