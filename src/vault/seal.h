/*
 * The cryptography of the store, in one small place: keys of a record, AES-256-GCM, SHA-256, HMAC (docs/format.md,
 * "Keys").
 *
 * Stands on OpenSSL (AES-GCM, SHA-256 of bulk) and libsodium (HMAC of short things, random, Ed25519, wiping). A struct
 * seal is used by one thread at a time; everything else is a plain function.
 */
#ifndef FANAL_VAULT_SEAL_H
#define FANAL_VAULT_SEAL_H

#include <openssl/evp.h>

#include "base/error.h"
#include "base/span.h"
#include "vault/bulk.h"

#define HASH_BYTES  32
#define KEY_BYTES   32
#define TAG_BYTES   16
#define NONCE_BYTES 12

/* The ciphers, fetched once a store; shared by all its threads. */
struct seal_suite {
    EVP_CIPHER *gcm;
    EVP_MD *sha256;
    struct bulk *bulk; /* NULL: OpenSSL does it all */
};

bool seal_suite_init(struct seal_suite *suite, struct error *err);
void seal_suite_done(struct seal_suite *suite);

/* Contexts of one thread, reused from call to call. */
struct seal {
    const struct seal_suite *suite;
    EVP_CIPHER_CTX *cipher;
    EVP_MD_CTX *digest;
};

bool seal_init(struct seal *s, const struct seal_suite *suite, struct error *err);
void seal_done(struct seal *s);

/* Writes clear.len bytes of ciphertext and 16 of tag to out. Aborts nothing, fails only where OpenSSL does
 * (ERR_MEMORY). */
bool seal_encrypt(struct seal *s, const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
                  struct span associated, struct span clear, uint8_t *out, struct error *err);

/* sealed: ciphertext and tag. Writes sealed.len - 16 bytes to out. ERR_DAMAGED where the tag does not fit. */
bool seal_decrypt(struct seal *s, const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES],
                  struct span associated, struct span sealed, uint8_t *out, struct error *err);

/* SHA-256 over the pieces one after the other. */
bool seal_hash(struct seal *s, const struct span *pieces, size_t count, uint8_t out[HASH_BYTES], struct error *err);

/* HMAC-SHA-256. */
void seal_mac(const uint8_t key[KEY_BYTES], struct span bytes, uint8_t out[HASH_BYTES]);
bool seal_mac_fits(const uint8_t key[KEY_BYTES], struct span bytes, const uint8_t *mac, size_t mac_bytes);

/* HMAC(master, "fanal/1/" + label): the keys of the store itself. */
void seal_derive(const uint8_t master[KEY_BYTES], const char *label, uint8_t out[KEY_BYTES]);

/* Keys of one record. Whoever holds one wipes it with seal_wipe(). */
struct record_keys {
    uint8_t facts[KEY_BYTES];
    uint8_t body[KEY_BYTES];
    uint8_t commitment[HASH_BYTES];
};

void seal_record_keys(const uint8_t data_key[KEY_BYTES], const uint8_t salt[32], struct record_keys *out);
/* The key these three hang from, which an evidence pack carries. */
void seal_record_key(const uint8_t data_key[KEY_BYTES], const uint8_t salt[32], uint8_t out[KEY_BYTES]);

/* STREAM nonce of chunk `index`. */
void seal_chunk_nonce(uint32_t index, bool last, uint8_t out[NONCE_BYTES]);

void seal_random(void *out, size_t len);
void seal_wipe(void *bytes, size_t len);
bool seal_equal(const void *a, const void *b, size_t len); /* in constant time */

#endif
