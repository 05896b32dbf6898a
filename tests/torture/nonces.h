/*
 * Every (key, nonce) pair that AES-GCM is given in this process, remembered: the linker hands us OpenSSL's calls first
 * (--wrap), so entries, chunks, keyring slots and pages of views are all seen, whatever seals them.
 *
 * Every disk that is judged is opened and written again in the same process: each is an older image of the directory,
 * restored. In the scenarios of a twin the first machine and each promotion of its twin are among them.
 */
#ifndef FANAL_TORTURE_NONCES_H
#define FANAL_TORTURE_NONCES_H

#include <stdint.h>

struct nonces {
    uint64_t pairs;   /* remembered */
    uint64_t repeats; /* of them that came before */
};

/* So far; after a fork the child goes on from its parent's. */
struct nonces nonces_seen(void);

#endif
