/* Sealed units. See page_cipher.h. */
#include "vault/page_cipher.h"

#include <sodium.h>

#define AAD_BYTES (PAGE_ID_BYTES + 1 + 8)

bool page_cipher_init(struct page_cipher *c, const uint8_t key[PAGE_KEY_BYTES], const uint8_t view_id[PAGE_ID_BYTES])
{
    *c = (struct page_cipher){ .seal = EVP_CIPHER_CTX_new(), .open = EVP_CIPHER_CTX_new() };
    memcpy(c->view_id, view_id, PAGE_ID_BYTES);
    if (c->seal == NULL || c->open == NULL || EVP_EncryptInit_ex(c->seal, EVP_aes_256_gcm(), NULL, key, NULL) != 1
        || EVP_DecryptInit_ex(c->open, EVP_aes_256_gcm(), NULL, key, NULL) != 1) {
        page_cipher_done(c);
        return false;
    }
    return true;
}

void page_cipher_done(struct page_cipher *c)
{
    EVP_CIPHER_CTX_free(c->seal); /* wipes the key schedule */
    EVP_CIPHER_CTX_free(c->open);
    c->seal = c->open = NULL;
}

static void aad_of(const struct page_cipher *c, enum page_unit unit, uint64_t number, uint8_t out[AAD_BYTES])
{
    memcpy(out, c->view_id, PAGE_ID_BYTES);
    out[PAGE_ID_BYTES] = (uint8_t)unit;
    for (size_t i = 0; i < 8; i++)
        out[PAGE_ID_BYTES + 1 + i] = (uint8_t)(number >> (8 * i));
}

bool page_cipher_seal(struct page_cipher *c, enum page_unit unit, uint64_t number, struct span plain, uint8_t *out,
                      uint8_t seal[PAGE_SEAL_BYTES])
{
    uint8_t aad[AAD_BYTES];
    int n, tail;

    aad_of(c, unit, number, aad);
    randombytes_buf(seal, PAGE_NONCE_BYTES);
    return EVP_EncryptInit_ex(c->seal, NULL, NULL, NULL, seal) == 1
           && EVP_EncryptUpdate(c->seal, NULL, &n, aad, AAD_BYTES) == 1
           && EVP_EncryptUpdate(c->seal, out, &n, plain.ptr, (int)plain.len) == 1
           && EVP_EncryptFinal_ex(c->seal, out + n, &tail) == 1
           && EVP_CIPHER_CTX_ctrl(c->seal, EVP_CTRL_GCM_GET_TAG, PAGE_TAG_BYTES, seal + PAGE_NONCE_BYTES) == 1;
}

bool page_cipher_open(struct page_cipher *c, enum page_unit unit, uint64_t number, struct span sealed, uint8_t *out,
                      const uint8_t seal[PAGE_SEAL_BYTES])
{
    uint8_t aad[AAD_BYTES], tag[PAGE_TAG_BYTES];
    int n, tail;

    aad_of(c, unit, number, aad);
    memcpy(tag, seal + PAGE_NONCE_BYTES, PAGE_TAG_BYTES);
    if (EVP_DecryptInit_ex(c->open, NULL, NULL, NULL, seal) == 1
        && EVP_DecryptUpdate(c->open, NULL, &n, aad, AAD_BYTES) == 1
        && EVP_DecryptUpdate(c->open, out, &n, sealed.ptr, (int)sealed.len) == 1
        && EVP_CIPHER_CTX_ctrl(c->open, EVP_CTRL_GCM_SET_TAG, PAGE_TAG_BYTES, tag) == 1
        && EVP_DecryptFinal_ex(c->open, out + n, &tail) == 1)
        return true;
    memset(out, 0, sealed.len);
    return false;
}
