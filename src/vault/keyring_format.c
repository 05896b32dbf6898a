/* Header and slots of a keyring file, as bytes. See keyring_format.h. */
#include "vault/keyring_format.h"

#include <sodium.h>

#include "base/reader.h"

#define ARGON2_PASSES      3u
#define ARGON2_KIB         65536u
#define KEY_FILE_PREFIX    SPAN_LIT("key:")
#define KEY_FILE_BYTES_MIN 32u

enum kdf { KDF_ARGON2ID = 1, KDF_KEY_FILE = 2 };

void vault_keys_derive(struct vault_keys *k)
{
    seal_derive(k->master, "wrap", k->wrap);
    seal_derive(k->master, "keyring", k->keyring);
    seal_derive(k->master, "unit", k->unit);
    seal_derive(k->master, "file", k->file);
    seal_derive(k->master, "marker", k->marker);
    seal_derive(k->master, "confirm", k->confirm);
}

static void put_u32(uint8_t *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t get_u32(const uint8_t *in)
{
    struct reader r = reader_over(span_of(in, 4));

    return read_u32le(&r);
}

/* ---- the header ---- */

static enum kdf kdf_of(struct span secret)
{
    return span_starts(secret, KEY_FILE_PREFIX) && secret.len >= KEY_FILE_PREFIX.len + KEY_FILE_BYTES_MIN
               ? KDF_KEY_FILE
               : KDF_ARGON2ID;
}

/* The key-encryption key for a header's salt and parameters. */
static bool kek_of(struct span secret, const uint8_t *header, uint8_t kek[KEY_BYTES], struct error *err)
{
    uint32_t kdf = get_u32(header + 12);
    uint64_t passes = get_u32(header + 32);
    uint64_t kib = get_u32(header + 36);
    uint8_t salt[KEY_BYTES] = { 0 };

    if (kdf != kdf_of(secret))
        return error_set(err, ERR_SEALED, "the keyring opens with a %s",
                         kdf == KDF_KEY_FILE ? "key file" : "passphrase");
    memcpy(salt, header + 16, 16);
    if (kdf == KDF_KEY_FILE) {
        seal_mac(salt, span_part(secret, KEY_FILE_PREFIX.len, secret.len), kek);
        return true;
    }
    if (passes != ARGON2_PASSES || kib != ARGON2_KIB)
        return error_set(err, ERR_DAMAGED, "keyring header: Argon2id parameters are not ours");
    if (crypto_pwhash(kek, KEY_BYTES, (const char *)secret.ptr, secret.len, salt, passes, kib * 1024,
                      crypto_pwhash_ALG_ARGON2ID13)
        != 0)
        return error_set(err, ERR_MEMORY, "Argon2id needs %llu KiB", (unsigned long long)kib);
    return true;
}

bool keyring_header_make(struct seal *s, struct vault_keys *keys, struct span secret, uint64_t now_us,
                         uint8_t out[KEYRING_HEADER_BYTES], struct error *err)
{
    uint8_t kek[KEY_BYTES];
    bool ok;

    memset(out, 0, KEYRING_HEADER_BYTES);
    memcpy(out, "FANALKEY", 8);
    put_u32(out + 8, 1);
    put_u32(out + 12, kdf_of(secret));
    seal_random(out + 16, 16);
    if (kdf_of(secret) == KDF_ARGON2ID) {
        put_u32(out + 32, ARGON2_PASSES);
        put_u32(out + 36, ARGON2_KIB);
    }
    seal_random(out + 40, VAULT_ID_BYTES);
    put_u32(out + 56, (uint32_t)now_us);
    put_u32(out + 60, (uint32_t)(now_us >> 32));
    seal_random(out + 64, NONCE_BYTES);
    if (!kek_of(secret, out, kek, err))
        return false;
    ok = seal_encrypt(s, kek, out + 64, span_of(out, 64), span_of(keys->master, KEY_BYTES), out + 76, err);
    seal_wipe(kek, sizeof kek);
    seal_mac(keys->keyring, span_of(out, 480), out + 480);
    return ok;
}

bool keyring_header_open(struct seal *s, const uint8_t header[KEYRING_HEADER_BYTES], struct span secret,
                         struct vault_keys *keys, struct error *err)
{
    uint8_t kek[KEY_BYTES];
    bool ok;

    if (memcmp(header, "FANALKEY", 8) != 0 || get_u32(header + 8) != 1)
        return error_set(err, ERR_DAMAGED, "keyring header is not ours");
    if (!kek_of(secret, header, kek, err))
        return false;
    ok = seal_decrypt(s, kek, header + 64, span_of(header, 64), span_of(header + 76, KEY_BYTES + TAG_BYTES),
                      keys->master, err);
    seal_wipe(kek, sizeof kek);
    if (!ok)
        return error_set(err, ERR_SEALED, "the secret does not open the keyring");
    vault_keys_derive(keys);
    if (!seal_mac_fits(keys->keyring, span_of(header, 480), header + 480, HASH_BYTES))
        return error_set(err, ERR_DAMAGED, "keyring header fails its HMAC");
    return true;
}

/* ---- slots ---- */

void slot_finish(const struct vault_keys *keys, uint8_t slot[KEYRING_SLOT_BYTES])
{
    uint8_t mac[HASH_BYTES];

    seal_mac(keys->keyring, span_of(slot, 112), mac);
    memcpy(slot + 112, mac, 16);
}

void slot_associated(uint32_t number, const uint8_t vault_id[VAULT_ID_BYTES], uint8_t out[4 + VAULT_ID_BYTES])
{
    put_u32(out, number);
    memcpy(out + 4, vault_id, VAULT_ID_BYTES);
}

bool slot_make(struct seal *s, const struct vault_keys *keys, const uint8_t *vault_id, uint32_t number,
               enum slot_state state, uint8_t out[KEYRING_SLOT_BYTES], struct error *err)
{
    uint8_t key[KEY_BYTES];
    uint8_t associated[4 + VAULT_ID_BYTES];
    bool ok;

    memset(out, 0, KEYRING_SLOT_BYTES);
    put_u32(out, number);
    out[4] = (uint8_t)state;
    seal_random(out + 24, NONCE_BYTES);
    seal_random(key, sizeof key);
    slot_associated(number, vault_id, associated);
    ok = seal_encrypt(s, keys->wrap, out + 24, span_of(associated, sizeof associated), span_of(key, sizeof key),
                      out + 36, err);
    seal_wipe(key, sizeof key);
    slot_finish(keys, out);
    return ok;
}

bool slot_is_valid(const struct vault_keys *keys, uint32_t number, const uint8_t slot[KEYRING_SLOT_BYTES])
{
    return get_u32(slot) == number && slot[4] >= SLOT_READY && slot[4] <= SLOT_SIGNING
           && seal_mac_fits(keys->keyring, span_of(slot, 112), slot + 112, 16);
}
