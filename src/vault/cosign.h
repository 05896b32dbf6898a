/*
 * Who signed a checkpoint: Ed25519 over C2SP signed notes and cosignatures (docs/anchors.md).
 *
 * note.h takes the text apart; here keys are applied to it.
 */
#ifndef FANAL_VAULT_COSIGN_H
#define FANAL_VAULT_COSIGN_H

#include "record/note.h"

/* signed-note: SHA-256(name || LF || type || key), its first 4 bytes. */
void vkey_id(const char *name, uint8_t type, const uint8_t key[32], uint8_t out[4]);
/* vkey_parse(), and the ID is the key's own. */
bool vkey_read(struct span text, struct vkey *out, struct error *err);

/*
 * Whether a note is signed by the key (type NOTE_ED25519). ERR_REFUSED where no signature is of that key, ERR_DAMAGED
 * where one is and does not fit.
 */
bool note_signed_by(const struct note *n, const struct vkey *key, struct error *err);

/* The time stamps of a cosignature are POSIX seconds; one that lies further in the future than this is not believed. */
#define COSIGNATURE_FUTURE_MAX_S 300

/*
 * Finds among the lines a witness answered the one of its key (type NOTE_COSIGNATURE) and checks it against the text of the
 * checkpoint. *line borrows from lines (with its newline). now_s: our clock. Errors as note_signed_by().
 */
bool cosignature_read(struct span lines, const struct vkey *key, struct span text, uint64_t now_s, struct span *line,
                      uint64_t *time_s, struct error *err);

/* Signs the text of a checkpoint as a witness: one signature line. seed: of the Ed25519 key. */
void cosignature_write(const struct vkey *key, const uint8_t seed[32], struct span text, uint64_t time_s,
                       struct writer *w);

/* The public half of a seed as a verifier key. */
void vkey_of_seed(const char *name, uint8_t type, const uint8_t seed[32], struct vkey *out);

#endif
