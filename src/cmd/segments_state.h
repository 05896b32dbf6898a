/*
 * How far `fanal segments` has come: one small file, replaced as a whole once what it speaks of lies durable in the folder
 * (docs/twin.md, "One way").
 */
#ifndef FANAL_CMD_SEGMENTS_STATE_H
#define FANAL_CMD_SEGMENTS_STATE_H

#include "vault/follow.h"

struct segments_state {
    bool begun; /* something was written: vault_id holds */
    uint8_t vault_id[VAULT_ID_BYTES];
    uint64_t records; /* written so far */
    address end;      /* where their log ends */
    struct body_file in_use[BODY_CLASS_COUNT];
    uint32_t keyring_slots;
    uint8_t keyring_digest[HASH_BYTES];
};

/* A file that is not there is an empty state. ERR_DAMAGED. */
bool segments_state_read(const char *path, struct segments_state *out, struct error *err);
/* Written beside, synced, renamed, the directory synced. */
bool segments_state_write(const char *path, const struct segments_state *s, struct error *err);

#endif
