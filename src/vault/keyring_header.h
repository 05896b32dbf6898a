/*
 * The header of a keyring file, version 2, as bytes (docs/format.md, "Keyring"): the master key, wrapped for up to four
 * unlockers, and the root key under it. Knows no file and no slot.
 */
#ifndef FANAL_VAULT_KEYRING_HEADER_H
#define FANAL_VAULT_KEYRING_HEADER_H

#include "vault/keyring.h"

#define SECRET_KINDS 4

/* Which kind of unlocker this secret is for. */
enum unlocker_kind secret_kind(struct span secret);

/* All keys below master and root key. */
void vault_keys_derive(struct vault_keys *k);

/* True where magic, version and SHA-256 are right: a secret that does not open such a header is a wrong one. */
bool header_is_whole(const uint8_t header[KEYRING_HEADER_BYTES]);
uint32_t header_generation(const uint8_t header[KEYRING_HEADER_BYTES]);
uint32_t header_master_generation(const uint8_t header[KEYRING_HEADER_BYTES]);
/* What a whole header says in clear. */
void header_info(const uint8_t header[KEYRING_HEADER_BYTES], struct keyring_info *out);

/* A header of generation 0 with a new vault id and no unlocker. */
void header_start(uint8_t header[KEYRING_HEADER_BYTES], uint64_t now_us);

/*
 * Wraps the master key of keys for a new secret, in an empty place, as added by the generation that header_finish()
 * will make. ERR_LIMIT where all places are taken, ERR_USAGE for a threshold that does not fit the kind of secret.
 */
bool header_add(struct seal *s, const struct vault_keys *keys, uint8_t header[KEYRING_HEADER_BYTES],
                const struct new_unlocker *new, unsigned *place, struct error *err);
/* Empties place (0 to 3). ERR_NOT_FOUND where it is empty, ERR_REFUSED where it is the last. */
bool header_remove(uint8_t header[KEYRING_HEADER_BYTES], unsigned place, struct error *err);
/* Wraps the (new) master key of keys for every unlocker, and says that this generation made it. */
bool header_rewrap(struct seal *s, const struct vault_keys *keys, uint8_t header[KEYRING_HEADER_BYTES],
                   struct error *err);
/* The next generation: root key, SHA-256, HMAC. ERR_LIMIT after 2^32 - 2 of them. */
bool header_finish(struct seal *s, const struct vault_keys *keys, uint8_t header[KEYRING_HEADER_BYTES],
                   struct error *err);

/*
 * Opens master and root key with the secret, and derives the others; *place (NULL allowed) is the unlocker it fits.
 * ERR_SEALED where no unlocker fits, ERR_DAMAGED where one does and what it wraps does not open.
 */
bool header_open(struct seal *s, const uint8_t header[KEYRING_HEADER_BYTES], struct span secret,
                 struct vault_keys *keys, unsigned *place, struct error *err);

#endif
