/* Cryptography of the store. See seal.h. */
#include "vault/seal.h"

#include <limits.h>
#include <sodium.h>

#include "vault/mac.h"

bool seal_suite_init(struct seal_suite *suite, struct error *err)
{
    *suite = (struct seal_suite){ .gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL),
                                  .sha256 = EVP_MD_fetch(NULL, "SHA-256", NULL),
                                  .bulk = bulk_new() };
    if (sodium_init() >= 0 && suite->gcm != NULL && suite->sha256 != NULL)
        return true;
    seal_suite_done(suite);
    return error_set(err, ERR_UNSUPPORTED, "AES-256-GCM or SHA-256 is missing from libcrypto");
}

void seal_suite_done(struct seal_suite *suite)
{
    EVP_CIPHER_free(suite->gcm);
    EVP_MD_free(suite->sha256);
    bulk_free(suite->bulk);
    *suite = (struct seal_suite){ 0 };
}

bool seal_init(struct seal *s, const struct seal_suite *suite, struct error *err)
{
    *s = (struct seal){ .suite = suite, .cipher = EVP_CIPHER_CTX_new(), .digest = EVP_MD_CTX_new() };
    if (s->cipher != NULL && s->digest != NULL)
        return true;
    seal_done(s);
    return error_set(err, ERR_MEMORY, "no memory for a cipher context");
}

void seal_done(struct seal *s)
{
    EVP_CIPHER_CTX_free(s->cipher); /* wipes the key schedule */
    EVP_MD_CTX_free(s->digest);
    *s = (struct seal){ 0 };
}

bool seal_encrypt(struct seal *s, const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
                  struct span associated, struct span clear, uint8_t *out, struct error *err)
{
    int n = 0;

    if (clear.len > INT_MAX || associated.len > INT_MAX)
        return error_set(err, ERR_LIMIT, "too much to encrypt at once");
    if (s->suite->bulk != NULL && clear.len >= BULK_GCM_BYTES) {
        bulk_encrypt(s->suite->bulk, key, nonce, associated, clear, out);
        return true;
    }
    if (EVP_EncryptInit_ex2(s->cipher, s->suite->gcm, key, nonce, NULL) != 1
        || (associated.len > 0 && EVP_EncryptUpdate(s->cipher, NULL, &n, associated.ptr, (int)associated.len) != 1)
        || (clear.len > 0 && EVP_EncryptUpdate(s->cipher, out, &n, clear.ptr, (int)clear.len) != 1)
        || EVP_EncryptFinal_ex(s->cipher, out + clear.len, &n) != 1
        || EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out + clear.len) != 1)
        return error_set(err, ERR_MEMORY, "AES-256-GCM failed");
    return true;
}

bool seal_decrypt(struct seal *s, const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
                  struct span associated, struct span sealed, uint8_t *out, struct error *err)
{
    uint8_t tag[TAG_BYTES];
    uint8_t nothing[TAG_BYTES];
    size_t len = sealed.len - TAG_BYTES;
    int n = 0;

    if (sealed.len < TAG_BYTES || len > INT_MAX || associated.len > INT_MAX)
        return error_set(err, ERR_DAMAGED, "ciphertext of %zu bytes", sealed.len);
    memcpy(tag, sealed.ptr + len, TAG_BYTES);
    if (s->suite->bulk != NULL && len >= BULK_GCM_BYTES) {
        bulk_decrypt(s->suite->bulk, key, nonce, associated, span_of(sealed.ptr, len), out, nothing);
        if (seal_equal(tag, nothing, TAG_BYTES))
            return true;
        seal_wipe(out, len);
        return error_set(err, ERR_DAMAGED, "the tag does not fit");
    }
    if (EVP_DecryptInit_ex2(s->cipher, s->suite->gcm, key, nonce, NULL) != 1
        || EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) != 1
        || (associated.len > 0 && EVP_DecryptUpdate(s->cipher, NULL, &n, associated.ptr, (int)associated.len) != 1))
        return error_set(err, ERR_MEMORY, "AES-256-GCM failed");
    if ((len > 0 && EVP_DecryptUpdate(s->cipher, out, &n, sealed.ptr, (int)len) != 1)
        || EVP_DecryptFinal_ex(s->cipher, nothing, &n) != 1) {
        seal_wipe(out, len);
        return error_set(err, ERR_DAMAGED, "the tag does not fit");
    }
    return true;
}

bool seal_hash(struct seal *s, const struct span *pieces, size_t count, uint8_t out[HASH_BYTES], struct error *err)
{
    bool ok = EVP_DigestInit_ex2(s->digest, s->suite->sha256, NULL) == 1;

    for (size_t i = 0; ok && i < count; i++)
        ok = EVP_DigestUpdate(s->digest, pieces[i].ptr, pieces[i].len) == 1;
    if (!ok || EVP_DigestFinal_ex(s->digest, out, NULL) != 1)
        return error_set(err, ERR_MEMORY, "SHA-256 failed");
    return true;
}

void seal_mac(const uint8_t key[KEY_BYTES], struct span bytes, uint8_t out[HASH_BYTES])
{
    struct mac_key k;

    mac_key_init(&k, key);
    mac(&k, &bytes, 1, out);
    seal_wipe(&k, sizeof k);
}

bool seal_mac_fits(const uint8_t key[KEY_BYTES], struct span bytes, const uint8_t *mac, size_t mac_bytes)
{
    uint8_t want[HASH_BYTES];

    seal_mac(key, bytes, want);
    return seal_equal(want, mac, mac_bytes);
}

void seal_derive(const uint8_t master[KEY_BYTES], const char *label, uint8_t out[KEY_BYTES])
{
    const struct span pieces[] = { SPAN_LIT("fanal/1/"), span_str(label) };
    struct mac_key k;

    mac_key_init(&k, master);
    mac(&k, pieces, 2, out);
    seal_wipe(&k, sizeof k);
}

/* HKDF-Expand of one block (RFC 5869 §2.3): T(1) = HMAC(PRK, info || 0x01). */
static void expand(const struct mac_key *prk, const char *info, uint8_t out[KEY_BYTES])
{
    const struct span pieces[] = { span_str(info), SPAN_LIT("\x01") };

    mac(prk, pieces, 2, out);
}

void seal_record_key(const uint8_t data_key[KEY_BYTES], const uint8_t salt[32], uint8_t out[KEY_BYTES])
{
    uint8_t prk[KEY_BYTES];
    struct mac_key k;

    seal_mac(salt, span_of(data_key, KEY_BYTES), prk); /* HKDF-Extract: HMAC(salt, key) */
    mac_key_init(&k, prk);
    expand(&k, "fanal/1/record", out);
    seal_wipe(&k, sizeof k);
    seal_wipe(prk, sizeof prk);
}

void seal_record_keys(const uint8_t data_key[KEY_BYTES], const uint8_t salt[32], struct record_keys *out)
{
    uint8_t record[KEY_BYTES];
    struct mac_key k;

    seal_record_key(data_key, salt, record);
    mac_key_init(&k, record);
    expand(&k, "facts", out->facts);
    expand(&k, "body", out->body);
    expand(&k, "commitment", out->commitment);
    seal_wipe(&k, sizeof k);
    seal_wipe(record, sizeof record);
}

void seal_chunk_nonce(uint32_t index, bool last, uint8_t out[NONCE_BYTES])
{
    memset(out, 0, NONCE_BYTES);
    out[7] = (uint8_t)(index >> 24);
    out[8] = (uint8_t)(index >> 16);
    out[9] = (uint8_t)(index >> 8);
    out[10] = (uint8_t)index;
    out[11] = last ? 1 : 0;
}

void seal_random(void *out, size_t len)
{
    randombytes_buf(out, len);
}

void seal_wipe(void *bytes, size_t len)
{
    sodium_memzero(bytes, len);
}

bool seal_equal(const void *a, const void *b, size_t len)
{
    return sodium_memcmp(a, b, len) == 0;
}
