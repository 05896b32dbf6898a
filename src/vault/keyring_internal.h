/* What keyring.c (slots), keyring_open.c (headers and secrets) and keyring_change.c (changes of the header) share. */
#ifndef FANAL_VAULT_KEYRING_INTERNAL_H
#define FANAL_VAULT_KEYRING_INTERNAL_H

#include <pthread.h>

#include "vault/keyring_format.h"
#include "vault/unit_map.h"

#define KEYRING_COPIES 2
#define KEY_CACHE      256u /* data keys kept open; a power of two */

extern const char *const keyring_copy_names[KEYRING_COPIES];

/* What must not be swapped, dumped or left behind: in locked memory. */
struct keyring_secrets {
    struct vault_keys keys;
    struct {
        uint32_t slot; /* 0 is the signing key and is never cached: free place */
        uint8_t key[KEY_BYTES];
    } cache[KEY_CACHE];
};

struct keyring {
    const struct disk *disk;
    struct keyring_secrets *secrets;
    struct seal seal;                     /* of the thread that grows and changes */
    uint8_t header[KEYRING_HEADER_BYTES]; /* as on disk; that thread's */
    pthread_mutex_t lock;                 /* all below, and what is secret */
    struct slot_binding binding;
    int fd[KEYRING_COPIES];
    uint32_t count;      /* slots that both copies hold */
    uint32_t made;       /* slots before this one were made: zeros there are a loss, not an unfinished growth */
    uint32_t next_ready; /* every slot from here on is ready */
    struct unit_map map;
    struct dirty_slot {
        uint32_t slot;
        uint8_t tag[UNIT_TAG_BYTES];
    } * dirty; /* assigned and not yet written so */
    size_t dirty_count, dirty_cap;
    uint32_t *closed; /* slots that take nothing new: they are being erased, or are */
    size_t closed_count;
};

static inline uint64_t keyring_slot_offset(uint32_t number)
{
    return KEYRING_HEADER_BYTES + (uint64_t)number * KEYRING_SLOT_BYTES;
}

/* The slot as it is on disk, from the first copy that holds it whole. With the lock, or where nothing changes. */
bool keyring_slot_read(struct keyring *k, uint32_t number, uint8_t out[KEYRING_SLOT_BYTES], struct error *err);

/* The name under which copy 0 or 1 is made before it is renamed. */
void keyring_fresh_name(int copy, char out[32]);
/* What is on disk belongs to this header and these keys from now on. */
void keyring_bind(struct keyring *k);

/* ---- keyring_open.c ---- */
/* Opens with one of the headers; a copy of an older generation is made again. Reports a damaged header. */
bool keyring_unseal(struct keyring *k, struct span secret, bool read_only, keyring_finding *report, void *context,
                    struct error *err);
void keyring_headers_check(struct keyring *k, keyring_finding *report, void *context);
/* Makes one copy again from the other. */
bool keyring_copy_remake(struct keyring *k, int copy, struct error *err);
/* Copies a file of a keyring to a new one of that name: written, synced, not renamed. */
bool keyring_file_copy(const struct disk *d, int from, const char *to, struct error *err);

#endif
