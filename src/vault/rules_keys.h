/*
 * What the log says about the keyring: how often its master key was changed, and which back-ups of it are about
 * (docs/facts.md: `keys-rotated`, `keys-changed`, `keys-backed-up`). Part of the rules; whoever holds them holds their lock.
 */
#ifndef FANAL_VAULT_RULES_KEYS_H
#define FANAL_VAULT_RULES_KEYS_H

#include "base/error.h"
#include "base/span.h"

#define BACKUP_ID_BYTES 16
#define KEY_BACKUPS_MAX 256 /* remembered; beyond it the one that expires first makes room */

/* A copy of the keyring that was given away: it holds the data keys of its time until it expires. */
struct key_backup {
    uint8_t id[BACKUP_ID_BYTES];
    uint64_t made_us;
    uint64_t expires_us; /* 0: never */
    uint64_t generation; /* of the keyring then */
};

struct keys_said {
    uint64_t generation;        /* after the newest recorded change of any kind; 0: none is recorded */
    uint64_t master_generation; /* of the newest rotation; 0: none is recorded */
    struct key_backup backups[KEY_BACKUPS_MAX];
    size_t backup_count;
};

bool keys_said_rotated(struct keys_said *k, struct span facts, struct error *err);
bool keys_said_changed(struct keys_said *k, struct span facts, struct error *err);
bool keys_said_backed_up(struct keys_said *k, struct span facts, struct error *err);

#endif
