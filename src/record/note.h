/*
 * Signed notes, checkpoints and what travels to a witness, as text: C2SP signed-note, tlog-checkpoint, tlog-cosignature
 * and tlog-witness (docs/anchors.md).
 *
 * Bytes in, values out, and back. Checks form only: who signed is looked at by vault/cosign.h. Whatever is parsed
 * borrows from its input.
 */
#ifndef FANAL_RECORD_NOTE_H
#define FANAL_RECORD_NOTE_H

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"

#define ROOT_BYTES 32

/* signed-note asks verifiers for a limit, and for at least 16 signatures within it. */
#define NOTE_BYTES_MAX      ((size_t)12 * 1024)
#define NOTE_SIGNATURES_MAX 64
#define NOTE_NAME_MAX       128 /* of a key; ours have 46 bytes */
/* key ID, time stamp, Ed25519 signature: the longest signature that is looked at. Others are of keys we do not know. */
#define NOTE_SIGNATURE_MAX (4 + 8 + 64)

/* Signature types of signed-note. */
#define NOTE_ED25519     1
#define NOTE_COSIGNATURE 4

/* Strict: padded, no other letters, no bits behind the end (RFC 4648 §4). */
bool base64_decode(struct span text, uint8_t *out, size_t cap, size_t *len);
void write_base64(struct writer *w, struct span bytes);

/* Decimal digits as the C2SP formats write sizes: none too many, no leading zero. */
bool decimal_parse(struct span text, uint64_t *out);

/* ---- the note ---- */

struct note {
    struct span text;       /* what is signed: to the newline of its last line */
    struct span signatures; /* whole lines, at least one */
};

/* ERR_LIMIT past NOTE_BYTES_MAX or NOTE_SIGNATURES_MAX; ERR_MALFORMED for what is no note. */
bool note_parse(struct span bytes, struct note *out, struct error *err);

struct note_signature {
    struct span name;
    uint8_t bytes[NOTE_SIGNATURE_MAX]; /* key ID first */
    size_t len;                        /* 0: longer than any we know */
};

/* The next line of *left; false at the end or at a line that is no signature. */
bool note_signature_next(struct span *left, struct note_signature *out);

/* ---- the checkpoint ---- */

struct checkpoint {
    struct span origin;
    uint64_t size;
    uint8_t root[ROOT_BYTES];
};

/* text: of a note. Extension lines are allowed and ignored. */
bool checkpoint_parse(struct span text, struct checkpoint *out, struct error *err);

/* ---- a verifier key: NAME+ID+KEY ---- */

struct vkey {
    char name[NOTE_NAME_MAX + 1];
    uint8_t id[4];
    uint8_t type; /* NOTE_ED25519 or NOTE_COSIGNATURE */
    uint8_t key[32];
};

/* Whether the ID is the key's own is looked at by cosign.h. */
bool vkey_parse(struct span text, struct vkey *out, struct error *err);
void vkey_write(const struct vkey *v, struct writer *w);

/* ---- add-checkpoint (tlog-witness) ---- */

#define WITNESS_PROOF_MAX 63 /* tlog-witness: no more lines */

struct witness_request {
    uint64_t old_size;
    uint8_t proof[WITNESS_PROOF_MAX][ROOT_BYTES];
    size_t proof_count;
    struct span note;
};

bool witness_request_parse(struct span body, struct witness_request *out, struct error *err);
void witness_request_write(const struct witness_request *r, struct writer *w);

#endif
