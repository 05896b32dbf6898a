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

#include "base/writer.h"
#include "vault/disk.h"
#include "vault/format.h"

#define KEYRING_VERSION      2u
#define KEYRING_BATCH        256u /* slots made at once */
#define KEYRING_LOW_WATER    128u /* ready slots below which the next batch is made */
#define KEYRING_SLOT_BYTES   128u
#define KEYRING_HEADER_BYTES 2048u
#define KEYRING_UNLOCKERS    4u
#define CUSTODIANS_MIN       2u  /* one custodian alone is a key file */
#define CUSTODIANS_MAX       16u /* people in one room */

enum slot_state { SLOT_READY = 1, SLOT_ASSIGNED = 2, SLOT_ERASED = 3, SLOT_SIGNING = 4 };

enum unlocker_kind {
    UNLOCKER_NONE = 0,
    UNLOCKER_PASSPHRASE = 1,
    UNLOCKER_KEY_FILE = 2,
    UNLOCKER_CUSTODIANS = 3,
    UNLOCKER_CREDENTIAL = 4,
};

/* How a secret says what it is; without one of them, or with something else behind it than belongs there, it is a
 * passphrase. */
#define SECRET_KEY_FILE_PREFIX   "key:"        /* at least 32 bytes follow */
#define SECRET_SHARES_PREFIX     "shares:"     /* 64 hex digits follow */
#define SECRET_CREDENTIAL_PREFIX "credential:" /* the same */

/* "passphrase", "key file", "custodians", "credential". */
const char *unlocker_kind_name(enum unlocker_kind kind);

/* What the keyring says of an unlocker in clear. */
struct unlocker {
    enum unlocker_kind kind;    /* UNLOCKER_NONE: the place is empty */
    unsigned threshold, shares; /* custodians: k of n */
    uint32_t added;             /* the keyring's generation that added it */
    uint64_t added_us;
    uint8_t public_key[KEY_BYTES];
};

struct keyring_info {
    uint8_t vault_id[VAULT_ID_BYTES];
    uint64_t created_us;
    uint32_t generation;        /* changes of the header */
    uint32_t master_generation; /* the change that made the master key */
    struct unlocker unlockers[KEYRING_UNLOCKERS];
};

/* A secret that is to open the keyring from now on. */
struct new_unlocker {
    struct span secret;
    unsigned threshold, shares; /* custodians: k of n; else 0 */
    uint64_t now_us;
};

/* The master key, the root key under it, and the keys that are derived from them; in locked memory. */
struct vault_keys {
    uint8_t master[KEY_BYTES];
    uint8_t wrap[KEY_BYTES]; /* from the master key; the others are the root key's and stay when keys are rotated */
    uint8_t root[KEY_BYTES];
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

/* What the keyring in d says in clear, without a secret. ERR_NOT_FOUND, ERR_DAMAGED where no copy has a whole header.
 */
bool keyring_info_read(const struct disk *d, struct keyring_info *out, struct error *err);
/* Does the secret open the keyring in d? Changes nothing. *place (NULL allowed): which unlocker it fits, from 0. */
bool keyring_opens(const struct disk *d, const struct seal_suite *suite, struct span secret, unsigned *place,
                   struct error *err);

/* Of the keys, master and wrap change while keyring_rotate() runs: they are the keyring's own business. */
const struct vault_keys *keyring_keys(const struct keyring *k);
void keyring_info(struct keyring *k, struct keyring_info *out);
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

/* Slots that both copies hold. */
uint32_t keyring_slot_count(struct keyring *k);
/* What a slot is on disk; 0 where it is damaged in both copies or not there. */
enum slot_state keyring_slot_state(struct keyring *k, uint32_t slot);
/* Appends a keyring file as it is now: the header, and each slot from the copy that holds it whole. */
bool keyring_export(struct keyring *k, struct writer *out, struct error *err);

bool keyring_wants_growth(struct keyring *k);
bool keyring_grow(struct keyring *k, struct error *err);
/* Writes the assignments made since last time into both copies, synced. */
bool keyring_flush(struct keyring *k, struct error *err);

/*
 * Changes of the header (docs/format.md): both files are made anew and renamed one after the other. Until the first
 * rename everything is as it was; an error after it (ERR_IO) leaves a keyring that must be opened again before it is
 * used. As for keyring_grow(), nobody else writes meanwhile; keyring_data_key() may be called.
 */
bool keyring_add(struct keyring *k, const struct new_unlocker *new, unsigned *place, struct error *err);
bool keyring_remove(struct keyring *k, unsigned place, struct error *err);
/* A new master key; every data key and every unlocker is wrapped again. */
bool keyring_rotate(struct keyring *k, struct error *err);

/*
 * Each slot that neither copy holds whole and that an older keyring file does, opened with `keys`, is wrapped anew and
 * written into both. One that was ready then stays ready, so that a tombstone of the unit that got it since still
 * finds it, and goes to no unit: nobody can say whether one has it. *filled and *lost count; the map of units does not
 * change: the keyring is to be opened again. As keyring_grow().
 */
bool keyring_fill(struct keyring *k, const struct vault_keys *keys, struct span older, uint32_t *filled, uint32_t *lost,
                  struct error *err);

/*
 * For a twin (vault/follow.h). Slots that both copies hold; the header; a slot as it is on
 * disk, wrapped, from the first copy that holds it whole (false where none does). Any thread.
 */
uint32_t keyring_count(struct keyring *k);
void keyring_read_header(struct keyring *k, uint8_t out[KEYRING_HEADER_BYTES]);
bool keyring_read_slot(struct keyring *k, uint32_t number, uint8_t out[KEYRING_SLOT_BYTES]);
/* Promotion: no slot that is ready now will be given to a unit. Written with the next keyring_flush(). */
bool keyring_burn_ready(struct keyring *k, struct error *err);
/* ---- erasing (keyring_erase.c) ---- */

#define KEYRING_TAG_BYTES 16

/* The unit's tag: what the keyring calls it. */
void keyring_unit_tag(const struct keyring *k, struct span unit, uint8_t out[KEYRING_TAG_BYTES]);
/* The unit's slot; false where it has none. Gives it none. */
bool keyring_find(struct keyring *k, struct span unit, uint32_t *slot);

/* From now on nothing new uses the slot: the unit gets another one. Until the keyring is closed, or reopened. */
bool keyring_close_slot(struct keyring *k, uint32_t slot, const uint8_t tag[KEYRING_TAG_BYTES], struct error *err);
void keyring_reopen_slot(struct keyring *k, uint32_t slot, const uint8_t tag[KEYRING_TAG_BYTES]);
bool keyring_is_closed(struct keyring *k, uint32_t slot);

struct slot_erasure {
    uint32_t slot;
    uint8_t tag[KEYRING_TAG_BYTES]; /* of the unit whose slot it is to be */
    bool due;                       /* out: it was not erased yet, and is now */
    bool its;                       /* out: the slot is the unit's, or was */
};

/*
 * Overwrites the slots in older keyrings that are kept beside, then in copy 0, syncs, then in copy 1, and forgets their
 * keys. A slot that belongs to another unit is left alone. As keyring_grow(): nobody else writes meanwhile. ERR_IO: some may be overwritten, the rest is not.
 */
bool keyring_erase(struct keyring *k, struct slot_erasure *e, size_t count, struct error *err);

/* On a twin slots come from its first, behind the ones that were there when the keyring was opened: takes note of them. */
void keyring_recount(struct keyring *k);
/* Pairs that a twin keeps when its first's header changes, keyring.0.N and keyring.1.N; then no more are taken. */
#define KEYRINGS_KEPT_MAX 8

/*
 * Mends a header that is not as it was, and up to 512 slots from `first` on that one copy holds whole, from the other
 * copy; what was wrong goes to report, what both copies lost is "lost". *next: the first slot not looked at; `first`: no
 * more. Of the thread that grows and changes, or with what keeps that one away.
 */
bool keyring_mend_headers(struct keyring *k, keyring_finding *report, void *context, struct error *err);
bool keyring_mend_slots(struct keyring *k, uint32_t first, uint32_t *next, keyring_finding *report, void *context,
                        struct error *err);

/* Compares both copies, byte by byte of meaning. Reads only. */
bool keyring_check(struct keyring *k, keyring_finding *report, void *context, struct error *err);

#endif
