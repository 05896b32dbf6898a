/*
 * Back-up and restore of the keyring and the configuration (docs/format.md, "Back-up of the keyring"). The file is of no
 * use without a secret that opens the keyring in it.
 */
#ifndef FANAL_VAULT_STORE_BACKUP_H
#define FANAL_VAULT_STORE_BACKUP_H

#include "vault/rules_keys.h"
#include "vault/store_keys.h"

#define BACKUP_HEADER_BYTES 96u
#define BACKUP_BYTES_MAX    ((size_t)1 << 31)
#define BACKUP_CONF_MAX     ((size_t)64 * 1024)
#define BACKUP_NOTE_MAX     ((size_t)4096) /* of a checkpoint */
#define BACKUP_LOST_MAX     16             /* slots named as lost; the others are counted */

#define RESTORING_NAME "restoring" /* in the vault's directory: keys are being put back */

/* What a back-up says of itself in clear. */
struct backup_info {
    struct key_backup backup; /* id, made, expires, generation */
    uint8_t vault_id[VAULT_ID_BYTES];
    uint32_t slots;
    struct span keyring, conf, checkpoint; /* borrowed from the file; conf is sealed */
};

/* ERR_MALFORMED, ERR_UNSUPPORTED for a later version, ERR_DAMAGED where the keyring in it has no whole header. */
bool backup_parse(struct span file, struct backup_info *out, struct error *err);

/* Appends a back-up of the store's keyring as it is now, with conf, good until expires_us (0: for ever). */
bool store_backup(struct store *s, struct span conf, uint64_t expires_us, struct key_backup *made, struct writer *out,
                  struct error *err);

struct restored {
    struct key_backup backup;
    uint32_t found; /* slots that were given to a unit since: known again from the log */
    bool kept;      /* the keyring was there and stays … */
    uint32_t filled; /* … with slots that it had lost and has again */
    uint32_t lost;  /* slots made since, or that the back-up has lost too: what they open is lost */
    uint32_t lost_slots[BACKUP_LOST_MAX];
    struct writer conf, checkpoint; /* owned by the caller */
};

/*
 * Puts the keyring of a back-up into dir/vault, whose own has no whole header any more; with force in place of a whole
 * one, and from an expired back-up. Without force, of a keyring that is there, the slots are filled that neither copy holds
 * whole (both keyrings open with the secret); nothing else of it is touched. Then the log is walked, so that no slot that it uses is given away again. From the
 * first change until that is done vault/RESTORING_NAME is there and no store opens (ERR_USAGE): after an error or a power
 * cut the call is made again, with this back-up or another.
 * ERR_SEALED for a wrong secret, ERR_REFUSED for a back-up of another vault or one that has expired, ERR_EXISTS where the
 * keyring is there and has lost nothing, ERR_BUSY where the store is open, ERR_USAGE for a twin, ERR_DAMAGED.
 */
bool store_restore(const char *dir, const struct store_options *options, struct span file, bool force,
                   struct restored *out, struct error *err);

#endif
