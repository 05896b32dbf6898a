/*
 * Header and slots of a keyring file, as bytes (docs/format.md, "Keyring"). Knows no file: keyring.c does.
 */
#ifndef FANAL_VAULT_KEYRING_FORMAT_H
#define FANAL_VAULT_KEYRING_FORMAT_H

#include "vault/keyring.h"

/* All keys below the master key. */
void vault_keys_derive(struct vault_keys *k);

/* A header for a master key that is in keys already. */
bool keyring_header_make(struct seal *s, struct vault_keys *keys, struct span secret, uint64_t now_us,
                         uint8_t out[KEYRING_HEADER_BYTES], struct error *err);
/* Opens the master key with one copy's header, and derives the others. ERR_SEALED where it does not open. */
bool keyring_header_open(struct seal *s, const uint8_t header[KEYRING_HEADER_BYTES], struct span secret,
                         struct vault_keys *keys, struct error *err);

/* A slot with a fresh key. */
bool slot_make(struct seal *s, const struct vault_keys *keys, const uint8_t *vault_id, uint32_t number,
               enum slot_state state, uint8_t out[KEYRING_SLOT_BYTES], struct error *err);
/* Its HMAC, after a change. */
void slot_finish(const struct vault_keys *keys, uint8_t slot[KEYRING_SLOT_BYTES]);
bool slot_is_valid(const struct vault_keys *keys, uint32_t number, const uint8_t slot[KEYRING_SLOT_BYTES]);
/* Associated data of a slot's key. */
void slot_associated(uint32_t number, const uint8_t vault_id[VAULT_ID_BYTES], uint8_t out[4 + VAULT_ID_BYTES]);

#endif
