/*
 * The thread that hashes bodies' chunks while the owner encrypts the next ones: SHA-256 costs more than AES does.
 *
 * A body is the owner's; what lies between hashed and sealed of its ciphertext, and its tree, are the hasher's until
 * hasher_wait() returns. The ciphertext does not move meanwhile: its memory is reserved whole. Where the processor
 * hashes BULK_LANES chunks at once as fast as two, the thread waits until so many are there, of whichever bodies, or
 * somebody waits for it. A body belongs to the owner until it is in a batch, then to the commit thread.
 */
#ifndef FANAL_VAULT_HASHER_H
#define FANAL_VAULT_HASHER_H

#include <pthread.h>

#include "vault/seal.h"

struct body;

struct hasher {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    struct body *first, **end; /* bodies with chunks to hash, in the order they came */
    size_t pending;            /* chunks of all of them */
    unsigned awaited;          /* how many stand in hasher_wait() */
    bool hurried;              /* until nothing is pending */
    bool stop, started;
    pthread_t thread;
    struct seal seal;  /* the thread's, as what follows */
    struct bulk *bulk; /* NULL: one chunk after the other */
    uint8_t *lanes;    /* BULK_LANES leaves of LANE_BYTES, where there is a bulk */
};

/* ERR_MEMORY where there is no thread. hasher_done() is called for every hasher that was zeroed, started or not. */
bool hasher_start(struct hasher *h, const struct seal_suite *suite, struct error *err);
void hasher_done(struct hasher *h);

/* len more bytes of b's ciphertext are there, one chunk. */
void hasher_add(struct hasher *h, struct body *b, size_t len);

/* What is there is hashed without waiting for full lanes. Any thread. */
void hasher_hurry(struct hasher *h);

/* Until everything added is in b's tree. False with what went wrong in the thread. Of the thread that has the body. */
bool hasher_wait(struct hasher *h, struct body *b, struct error *err);

#endif
