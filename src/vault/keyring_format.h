/*
 * Slots of a keyring file, as bytes (docs/format.md, "Keyring"), and the numbers and locked memory that its files
 * share. Knows no file: keyring.c does.
 */
#ifndef FANAL_VAULT_KEYRING_FORMAT_H
#define FANAL_VAULT_KEYRING_FORMAT_H

#include "vault/keyring.h"

void put_u32(uint8_t *out, uint32_t v);
void put_u64(uint8_t *out, uint64_t v);
uint32_t get_u32(const uint8_t *in);
uint64_t get_u64(const uint8_t *in);

/* What every slot of one keyring is bound to. */
struct slot_binding {
    const struct vault_keys *keys; /* borrowed */
    uint8_t vault_id[VAULT_ID_BYTES];
    uint32_t master_generation;
};

/* A slot with a fresh key. */
bool slot_make(struct seal *s, const struct slot_binding *b, uint32_t number, enum slot_state state,
               uint8_t out[KEYRING_SLOT_BYTES], struct error *err);
/* One whose key was erased: number, state and HMAC, nothing else. */
void slot_erased_make(const struct slot_binding *b, uint32_t number, uint8_t out[KEYRING_SLOT_BYTES]);
/* Neither a key nor a unit is in it, whatever its HMAC says. */
bool slot_holds_nothing(const uint8_t slot[KEYRING_SLOT_BYTES]);
/* Its HMAC, after a change. */
void slot_finish(const struct slot_binding *b, uint8_t slot[KEYRING_SLOT_BYTES]);
bool slot_is_valid(const struct slot_binding *b, uint32_t number, const uint8_t slot[KEYRING_SLOT_BYTES]);
/* The data key of a valid slot that is not erased. ERR_DAMAGED. */
bool slot_open(struct seal *s, const struct slot_binding *b, const uint8_t slot[KEYRING_SLOT_BYTES],
               uint8_t key[KEY_BYTES], struct error *err);
/* The same data key under the master key of `to`; a slot without one is only bound to it. */
bool slot_rewrap(struct seal *s, const struct slot_binding *from, const struct slot_binding *to,
                 uint8_t slot[KEYRING_SLOT_BYTES], struct error *err);

#endif
