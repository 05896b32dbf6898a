/*
 * What the store says to the outside about its history, and whether something from outside fits it (docs/anchors.md):
 * the newest confirmed checkpoint with a proof from an older one, a checkpoint kept on paper, cosignatures for other logs.
 *
 * Only what is confirmed is told: a recovery never cuts it, so an anchor can never have seen what did not stay.
 * Any thread; each call reads a confirm file and some tiles.
 */
#ifndef FANAL_VAULT_ANCHOR_H
#define FANAL_VAULT_ANCHOR_H

#include "record/note.h"
#include "vault/store.h"

#define STORE_ID_BYTES 16

/* "fanal/<vault id in hex>": origin of the checkpoints and name of the key that signs them. */
void store_origin(struct store *s, uint8_t id[STORE_ID_BYTES], char out[NOTE_NAME_MAX + 1]);
/* The keys that others are to know: of checkpoints, and of cosignatures that this Fanal gives as a witness. */
bool store_vkeys(struct store *s, struct vkey *checkpoints, struct vkey *witness, struct error *err);

struct anchor_head {
    uint64_t size;
    uint8_t root[ROOT_BYTES];
    struct witness_request request; /* old size, proof from it, note; the note borrows from … */
    struct writer note;             /* … this; owned, anchor_head_done() */
};

/* ERR_NOT_FOUND where old_size is more than there is. */
bool anchor_head_read(struct store *s, uint64_t old_size, struct anchor_head *out, struct error *err);
void anchor_head_done(struct anchor_head *h);

/* What a checkpoint that was kept elsewhere says about this log. */
enum anchor_verdict {
    ANCHOR_HOLDS,         /* this log holds it, and goes on from it */
    ANCHOR_ROLLED_BACK,   /* this log is shorter */
    ANCHOR_OTHER_HISTORY, /* as long or longer, and it was not what is here */
};
/* *size: of this log now. */
bool anchor_compare(struct store *s, uint64_t old_size, const uint8_t old_root[ROOT_BYTES], enum anchor_verdict *out,
                    uint64_t *size, struct error *err);

/* Whether a consistency proof (RFC 9162 §2.1.4.2) of another log holds. first > 0. */
bool anchor_extends(struct store *s, const struct witness_request *proof, const uint8_t first_root[ROOT_BYTES],
                    const struct checkpoint *second, struct error *err);
/* One cosignature line over the text of another log's checkpoint. Whoever calls has persisted what it promises. */
bool anchor_cosign(struct store *s, struct span text, uint64_t time_s, struct writer *line, struct error *err);

#endif
