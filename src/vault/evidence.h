/*
 * What an evidence pack takes from the store: entries and bodies as stored, record keys, the log's signatures
 * (docs/evidence.md). Any thread; whoever calls has recorded who asked.
 */
#ifndef FANAL_VAULT_EVIDENCE_H
#define FANAL_VAULT_EVIDENCE_H

#include "base/error.h"
#include "base/writer.h"
#include "record/kind.h"
#include "record/note.h"

struct store;
struct hash;

/* The entry's bytes as the log has them; *entry is replaced. ERR_DAMAGED, ERR_NOT_FOUND. */
bool evidence_entry(struct store *s, uint64_t position, struct writer *entry, struct error *err);
/* As many of len bytes from offset of the body as stored (ciphertext and tags) as there are, into out. */
bool evidence_body(struct store *s, uint64_t position, uint64_t offset, uint8_t *out, size_t len, size_t *got,
                   struct error *err);

/* The body is there as it was stored: its chunks have the root that the entry names. Reads all of it. */
bool evidence_body_whole(struct store *s, uint64_t position, struct error *err);

struct evidence_record {
    enum record_kind kind;
    uint64_t received_us;
    bool has_body;
    bool opened;     /* key and facts are there: its unit's key is not destroyed */
    uint8_t key[32]; /* wiped by the caller */
};
/* Header and record key of an entry whose leaf is `leaf`; its facts are appended to *facts. ERR_DAMAGED. */
bool evidence_record(struct store *s, uint64_t position, const struct hash *leaf, struct evidence_record *out,
                     struct writer *facts, struct error *err);

/*
 * Facts (RECORD_FACT) below `until`, from the newest on, among at most `count` records; damaged ones are passed over. False
 * from visit() ends it.
 */
typedef bool evidence_visit(void *context, struct span facts);
bool evidence_walk_facts(struct store *s, uint64_t until, uint64_t count, evidence_visit *visit, void *context,
                         struct error *err);

/* The log's public key, named after its origin. */
bool evidence_log_key(struct store *s, struct vkey *out, struct error *err);
/* A checkpoint of the log for a tree of that size and root, signed now. */
bool evidence_checkpoint(struct store *s, uint64_t size, const struct hash *root, struct writer *note,
                         struct error *err);
/* SIGN: over the SHA-256 of a pack. */
bool evidence_sign(struct store *s, const uint8_t digest[32], struct writer *note, struct error *err);

#endif
