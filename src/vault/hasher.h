/*
 * The thread that hashes bodies' chunks while the owner encrypts the next ones: SHA-256 costs twice what AES does.
 *
 * A body is the owner's; what lies between hashed and sealed of its ciphertext, and its tree, are the hasher's until
 * hasher_wait() returns. The ciphertext does not move meanwhile: its memory is reserved whole.
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
    bool stop, started;
    pthread_t thread;
    struct seal seal; /* the thread's */
};

/* ERR_MEMORY where there is no thread. hasher_done() is called for every hasher that was zeroed, started or not. */
bool hasher_start(struct hasher *h, const struct seal_suite *suite, struct error *err);
void hasher_done(struct hasher *h);

/* len more bytes of b's ciphertext are there, one chunk. */
void hasher_add(struct hasher *h, struct body *b, size_t len);

/* Until everything added is in b's tree. False with what went wrong in the thread. */
bool hasher_wait(struct hasher *h, struct body *b, struct error *err);

#endif
