/*
 * A sandboxed process that reads an object for the vault: handed over by the supervisor, asked by one thread
 * (docs/channel.md, "The lens", "The second walk").
 */
#ifndef FANAL_CMD_ROOM_LENS_SLOT_H
#define FANAL_CMD_ROOM_LENS_SLOT_H

#include <pthread.h>

#include "channel/channel.h"
#include "channel/shared_buffer.h"
#include "vault/store.h"

#define LENS_SLOT_WAIT_MS 10000 /* the longest silence between two of its words */

struct lens_slot {
    pthread_mutex_t lock;   /* of `offered` alone, so that who offers never waits for an answer */
    int offered;            /* a process not taken up yet; -1: none */
    struct channel channel; /* the asking thread's; fd -1: none */
    bool broken;            /* it may be in the middle of a word */
    uint8_t message[CHANNEL_MESSAGE_MAX];
};

struct lens_slot *lens_slot_new(void);
void lens_slot_free(struct lens_slot *slot);
/* A (new) process: takes over fd. Any thread. */
void lens_slot_offer(struct lens_slot *slot, int fd);

/* ---- the asking thread's ---- */

/* The newest process there is. False: none. */
bool lens_slot_take_up(struct lens_slot *slot);
/* Gives up one that broke the conversation: the supervisor replaces it, and it is offered again. */
void lens_slot_settle(struct lens_slot *slot);

/* Where the bytes of one object come from: the store, or a body not appended yet. */
struct source {
    struct store *store;
    uint64_t position;
    struct body *body; /* NULL: the stored one */
    uint64_t length;
};

/*
 * Asks `verb` with `fields` and hands over the object. *reply is its REPLY, good until the next call; `buffer` is one
 * made for this call, which the process may have written to. False with ERR_CLOSED, ERR_TIMEOUT, ERR_MALFORMED where the
 * process is of no more use (settle), ERR_DAMAGED and the like where the object cannot be read.
 */
bool lens_slot_ask(struct lens_slot *slot, enum verb verb, uint32_t id, struct span fields, const struct source *s,
                   struct shared_buffer *buffer, struct message *reply, struct error *err);

#endif
