/*
 * Signed notes, checkpoints and cosignatures (C2SP signed-note, tlog-checkpoint, tlog-cosignature).
 */
#ifndef VERIFY_NOTE_H
#define VERIFY_NOTE_H

#include "tree.h"

#define NOTE_BYTES_MAX      16384
#define NOTE_SIGNATURES_MAX 64
#define NAME_BYTES_MAX      256

enum key_type {
    KEY_ED25519 = 0x01,     /* signs the text */
    KEY_COSIGNATURE = 0x04, /* signs the text with the time before it */
};

struct key {
    struct bytes name;
    enum key_type type;
    uint8_t id[4];
    uint8_t public_key[32];
};

/* The key ID is SHA-256(name || 0x0A || type || public key), its first 4 bytes. */
void key_of(struct bytes name, enum key_type type, const uint8_t public_key[32], struct key *out);
/* "name+keyid+base64(type || key)", a line end behind it allowed; the name borrows. */
bool key_parse(struct bytes text, struct key *out, struct why *why);

struct note {
    struct bytes text;       /* what is signed: with the LF at its end */
    struct bytes signatures; /* lines */
};
bool note_parse(struct bytes bytes, struct note *out, struct why *why);

/* A signature of the key over the note. time_s: of a cosignature, seconds since 1970. */
bool note_signed(const struct note *n, const struct key *k, uint64_t *time_s, struct why *why);
/* Is there a line of that key at all? */
bool note_names(const struct note *n, const struct key *k);

struct checkpoint {
    struct bytes origin;
    uint64_t size;
    struct hash root;
};
bool checkpoint_parse(struct bytes text, struct checkpoint *out, struct why *why);

#endif
