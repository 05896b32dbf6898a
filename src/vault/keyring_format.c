/* Slots of a keyring file, as bytes. See keyring_format.h. */
#include "vault/keyring_format.h"

#include <sodium.h>

#include "base/reader.h"

enum {
    AT_STATE = 4,
    AT_NONCE = 24,
    AT_KEY = 36,
    AT_MASTER_GENERATION = 84,
    AT_MAC = 112,
    MAC_BYTES = 16,
};

void put_u32(uint8_t *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

void put_u64(uint8_t *out, uint64_t v)
{
    put_u32(out, (uint32_t)v);
    put_u32(out + 4, (uint32_t)(v >> 32));
}

uint32_t get_u32(const uint8_t *in)
{
    struct reader r = reader_over(span_of(in, 4));

    return read_u32le(&r);
}

uint64_t get_u64(const uint8_t *in)
{
    return get_u32(in) | (uint64_t)get_u32(in + 4) << 32;
}

void slot_finish(const struct slot_binding *b, uint8_t slot[KEYRING_SLOT_BYTES])
{
    uint8_t mac[HASH_BYTES];

    put_u32(slot + AT_MASTER_GENERATION, b->master_generation);
    seal_mac(b->keys->keyring, span_of(slot, AT_MAC), mac);
    memcpy(slot + AT_MAC, mac, MAC_BYTES);
}

static void associated_of(uint32_t number, const uint8_t vault_id[VAULT_ID_BYTES], uint8_t out[4 + VAULT_ID_BYTES])
{
    put_u32(out, number);
    memcpy(out + 4, vault_id, VAULT_ID_BYTES);
}

static bool wrap(struct seal *s, const struct slot_binding *b, const uint8_t key[KEY_BYTES], uint8_t *slot,
                 struct error *err)
{
    uint8_t associated[4 + VAULT_ID_BYTES];
    bool ok;

    seal_random(slot + AT_NONCE, NONCE_BYTES);
    associated_of(get_u32(slot), b->vault_id, associated);
    ok = seal_encrypt(s, b->keys->wrap, slot + AT_NONCE, span_of(associated, sizeof associated),
                      span_of(key, KEY_BYTES), slot + AT_KEY, err);
    slot_finish(b, slot);
    return ok;
}

bool slot_make(struct seal *s, const struct slot_binding *b, uint32_t number, enum slot_state state,
               uint8_t out[KEYRING_SLOT_BYTES], struct error *err)
{
    uint8_t key[KEY_BYTES];
    bool ok;

    memset(out, 0, KEYRING_SLOT_BYTES);
    put_u32(out, number);
    out[AT_STATE] = (uint8_t)state;
    seal_random(key, sizeof key);
    ok = wrap(s, b, key, out, err);
    seal_wipe(key, sizeof key);
    return ok;
}

void slot_erased_make(const struct slot_binding *b, uint32_t number, uint8_t out[KEYRING_SLOT_BYTES])
{
    memset(out, 0, KEYRING_SLOT_BYTES);
    put_u32(out, number);
    out[AT_STATE] = SLOT_ERASED;
    slot_finish(b, out);
}

bool slot_holds_nothing(const uint8_t slot[KEYRING_SLOT_BYTES])
{
    return slot[AT_STATE] == SLOT_ERASED && sodium_is_zero(slot + AT_STATE + 1, AT_MASTER_GENERATION - AT_STATE - 1);
}

bool slot_is_valid(const struct slot_binding *b, uint32_t number, const uint8_t slot[KEYRING_SLOT_BYTES])
{
    return get_u32(slot) == number && slot[AT_STATE] >= SLOT_READY && slot[AT_STATE] <= SLOT_SIGNING
           && get_u32(slot + AT_MASTER_GENERATION) == b->master_generation
           && seal_mac_fits(b->keys->keyring, span_of(slot, AT_MAC), slot + AT_MAC, MAC_BYTES);
}

bool slot_open(struct seal *s, const struct slot_binding *b, const uint8_t slot[KEYRING_SLOT_BYTES],
               uint8_t key[KEY_BYTES], struct error *err)
{
    uint8_t associated[4 + VAULT_ID_BYTES];

    associated_of(get_u32(slot), b->vault_id, associated);
    return seal_decrypt(s, b->keys->wrap, slot + AT_NONCE, span_of(associated, sizeof associated),
                        span_of(slot + AT_KEY, KEY_BYTES + TAG_BYTES), key, err)
           || error_within(err, "keyring slot %u", get_u32(slot));
}

bool slot_rewrap(struct seal *s, const struct slot_binding *from, const struct slot_binding *to,
                 uint8_t slot[KEYRING_SLOT_BYTES], struct error *err)
{
    uint8_t key[KEY_BYTES];
    bool ok;

    if (slot[AT_STATE] == SLOT_ERASED) {
        slot_finish(to, slot);
        return true;
    }
    ok = slot_open(s, from, slot, key, err) && wrap(s, to, key, slot, err);
    seal_wipe(key, sizeof key);
    return ok;
}
