/*
 * What a twin asks of the first machine: a signed head, and stored bytes as they lie there (docs/twin.md).
 *
 * Gives ciphertext only, and nothing behind the committed end. Any thread.
 */
#ifndef FANAL_VAULT_FOLLOW_H
#define FANAL_VAULT_FOLLOW_H

#include "record/note.h"
#include "vault/format.h"
#include "vault/store.h"

#define FOLLOW_PUBLIC_KEY_BYTES 32
#define FOLLOW_NOTE_MAX         512u
/* A head lies at most that far behind what the twin has, or one commit. */
#define FOLLOW_STEP_LOG_BYTES  ((uint64_t)16 << 20)
#define FOLLOW_STEP_BODY_BYTES ((uint64_t)256 << 20)

enum follow_part {
    FOLLOW_LOG = 1,   /* segment */
    FOLLOW_BODY_FILE, /* body_class, month, number */
    FOLLOW_LARGE,     /* position */
    FOLLOW_KEYRING,   /* offset 0: the header; else 2048 + 128 n: whole slots */
    FOLLOW_CONF,      /* the text of fanal.conf: not the store's, answered above it */
};

struct follow_range {
    enum follow_part part;
    uint32_t segment;
    enum body_class body_class;
    uint32_t month, number;
    uint64_t position;
    uint8_t name[LARGE_NAME_BYTES]; /* of a large body, for who has files and no index; else not looked at */
    uint64_t offset;
};

struct follow_head {
    uint8_t vault_id[VAULT_ID_BYTES];
    uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES];
    uint64_t size;      /* of the note */
    uint64_t committed; /* of all */
    uint32_t keyring_slots;
    uint8_t keyring_digest[HASH_BYTES];
    uint64_t written_us;
    char note[FOLLOW_NOTE_MAX]; /* C2SP signed note, a C string */
};

/* The next head for a twin whose log of `position` records ends at `from`. */
bool store_follow_head(struct store *s, address from, uint64_t position, struct follow_head *out, struct error *err);

/* At most len bytes; *got is less only at the end. ERR_NOT_FOUND for what is not there or not committed. */
bool store_follow_read(struct store *s, const struct follow_range *range, uint8_t *out, size_t len, size_t *got,
                       struct error *err);

/* The key that signs a vault's checkpoints. */
void follow_vkey(const uint8_t vault_id[VAULT_ID_BYTES], const uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES],
                 struct vkey *out);

/*
 * The size and root of a checkpoint that the key has signed for its vault. ERR_REFUSED where it has not, ERR_MALFORMED
 * where it is no checkpoint.
 */
bool follow_note_open(struct span note, const struct vkey *key, uint64_t *size, struct hash *root, struct error *err);

#endif
