/*
 * HMAC-SHA-256 (RFC 2104, FIPS 198-1) under keys of 32 bytes, with the processor's SHA instructions and without memory:
 * every record derives its keys with it (docs/format.md, "Keys"), and libsodium's is portable C.
 */
#ifndef FANAL_VAULT_MAC_H
#define FANAL_VAULT_MAC_H

/* The short-lived contexts of libcrypto's EVP cost as much as the hash itself. SHA256_… is deprecated, not going. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include "base/span.h"

#define MAC_BYTES 32

/* A key with its pads hashed: for several messages under one key. Wiped by its owner with seal_wipe(). */
struct mac_key {
    SHA256_CTX inner, outer;
};

void mac_key_init(struct mac_key *k, const uint8_t key[MAC_BYTES]);
/* Over pieces, one behind the other. */
void mac(const struct mac_key *k, const struct span *pieces, size_t count, uint8_t out[MAC_BYTES]);

#endif
