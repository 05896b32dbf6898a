/* HMAC-SHA-256. See mac.h. */
#include "vault/mac.h"

#include <openssl/crypto.h>

#define BLOCK_BYTES 64

static void pad_hash(SHA256_CTX *c, const uint8_t key[MAC_BYTES], uint8_t with)
{
    uint8_t pad[BLOCK_BYTES];

    memset(pad, with, sizeof pad);
    for (size_t i = 0; i < MAC_BYTES; i++)
        pad[i] ^= key[i];
    (void)SHA256_Init(c);
    (void)SHA256_Update(c, pad, sizeof pad);
    OPENSSL_cleanse(pad, sizeof pad);
}

void mac_key_init(struct mac_key *k, const uint8_t key[MAC_BYTES])
{
    pad_hash(&k->inner, key, 0x36);
    pad_hash(&k->outer, key, 0x5c);
}

void mac(const struct mac_key *k, const struct span *pieces, size_t count, uint8_t out[MAC_BYTES])
{
    SHA256_CTX c = k->inner;
    uint8_t hash[MAC_BYTES];

    for (size_t i = 0; i < count; i++)
        if (pieces[i].len > 0)
            (void)SHA256_Update(&c, pieces[i].ptr, pieces[i].len);
    (void)SHA256_Final(hash, &c);
    c = k->outer;
    (void)SHA256_Update(&c, hash, sizeof hash);
    (void)SHA256_Final(out, &c); /* which wipes nothing of the key: c is a copy */
    OPENSSL_cleanse(&c, sizeof c);
    OPENSSL_cleanse(hash, sizeof hash);
}
