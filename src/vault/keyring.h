/*
 * The keyring: two copies of a file of fixed slots, one data key each, wrapped by the master key (docs/format.md,
 * "Keyring").
 *
 * Opens with the operator's secret, gives data keys to units, remembers which unit has which. Nothing outside sees the
 * master key. keyring_data_key() and keyring_assign() may be called from any thread; the rest belongs to one thread at
 * a time.
 */
#ifndef FANAL_VAULT_KEYRING_H
#define FANAL_VAULT_KEYRING_H

#include "vault/disk.h"
#include "vault/format.h"

#define KEYRING_BATCH        256u /* slots made at once */
#define KEYRING_LOW_WATER    128u /* ready slots below which the next batch is made */
#define KEYRING_SLOT_BYTES   128u
#define KEYRING_HEADER_BYTES 512u

enum slot_state { SLOT_READY = 1, SLOT_ASSIGNED = 2, SLOT_ERASED = 3, SLOT_SIGNING = 4 };

/* Keys derived once from the master key; in locked memory. */
struct vault_keys {
    uint8_t master[KEY_BYTES];
    uint8_t wrap[KEY_BYTES];
    uint8_t keyring[KEY_BYTES];
    uint8_t unit[KEY_BYTES];
    uint8_t file[KEY_BYTES];
    uint8_t marker[KEY_BYTES];
    uint8_t confirm[KEY_BYTES];
};

struct keyring;

/* What a check of the copies found: a sentence without patient data. */
typedef void keyring_finding(void *context, const char *text);

bool keyring_create(const struct disk *d, const struct seal_suite *suite, struct span secret, uint64_t now_us,
                    struct error *err);

/*
 * Opens; d, suite are borrowed for its life. Unfinished growths are completed unless read_only. What is damaged goes to
 * report. ERR_SEALED for a wrong secret, ERR_DAMAGED where neither copy has a usable header.
 */
struct keyring *keyring_open(const struct disk *d, const struct seal_suite *suite, struct span secret, bool read_only,
                             keyring_finding *report, void *context, struct error *err);
void keyring_close(struct keyring *k);

const struct vault_keys *keyring_keys(const struct keyring *k);
const uint8_t *keyring_vault_id(const struct keyring *k);

/* The unit's slot, or the next ready one, which becomes the unit's. ERR_BUSY where none is ready: keyring_grow() first.
 */
bool keyring_slot_of(struct keyring *k, struct span unit, uint32_t *slot, struct error *err);
/* What an entry behind the confirmed point says: `slot` is that unit's. */
bool keyring_assign(struct keyring *k, struct span unit, uint32_t slot, struct error *err);
/* An entry uses the slot, but its unit cannot be read: the slot goes to nobody else. */
void keyring_burn(struct keyring *k, uint32_t slot);

/* The data key of a slot, to be wiped by the caller. ERR_DAMAGED, ERR_NOT_FOUND, ERR_REFUSED for one erased. */
bool keyring_data_key(struct keyring *k, struct seal *s, uint32_t slot, uint8_t out[KEY_BYTES], struct error *err);

bool keyring_wants_growth(struct keyring *k);
bool keyring_grow(struct keyring *k, struct error *err);
/* Writes the assignments made since last time into both copies, synced. */
bool keyring_flush(struct keyring *k, struct error *err);

/* Compares both copies, byte by byte of meaning. Reads only. */
bool keyring_check(struct keyring *k, keyring_finding *report, void *context, struct error *err);

#endif
