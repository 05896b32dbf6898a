/*
 * Sealing of the units a view's files are made of (docs/views.md, "Pages").
 *
 * A unit is a database page, a WAL header, a WAL frame's header or a WAL frame's page: AES-256-GCM with a
 * random nonce, bound to the view, the kind of unit and its number. Not shared between threads.
 */
#ifndef FANAL_VAULT_PAGE_CIPHER_H
#define FANAL_VAULT_PAGE_CIPHER_H

#include <openssl/evp.h>

#include "base/error.h"
#include "base/span.h"

#define PAGE_KEY_BYTES 32
#define PAGE_ID_BYTES 16
#define PAGE_NONCE_BYTES 12
#define PAGE_TAG_BYTES 16
#define PAGE_SEAL_BYTES (PAGE_NONCE_BYTES + PAGE_TAG_BYTES)

enum page_unit { UNIT_PAGE = 1, UNIT_WAL_HEADER = 2, UNIT_FRAME_HEADER = 3, UNIT_FRAME_PAGE = 4 };

struct page_cipher {
    EVP_CIPHER_CTX *seal; /* owned, keyed once */
    EVP_CIPHER_CTX *open;
    uint8_t view_id[PAGE_ID_BYTES];
};

bool page_cipher_init(struct page_cipher *c, const uint8_t key[PAGE_KEY_BYTES], const uint8_t view_id[PAGE_ID_BYTES]);
void page_cipher_done(struct page_cipher *c);

/* Encrypts plain into out (plain.len bytes) and writes nonce and tag to seal. False: the library failed. */
bool page_cipher_seal(struct page_cipher *c, enum page_unit unit, uint64_t number, struct span plain, uint8_t *out,
                      uint8_t seal[PAGE_SEAL_BYTES]);

/* Decrypts sealed into out; false, with out zeroed, where the tag does not match. out may be sealed.ptr. */
bool page_cipher_open(struct page_cipher *c, enum page_unit unit, uint64_t number, struct span sealed, uint8_t *out,
                      const uint8_t seal[PAGE_SEAL_BYTES]);

#endif
