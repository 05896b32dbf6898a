/* Where the multi-buffer library is not: OpenSSL does it all. See bulk.h. */
#include "vault/bulk.h"

#include <assert.h>

struct bulk *bulk_new(void)
{
    return NULL;
}

void bulk_free(struct bulk *b)
{
    assert(b == NULL);
}

void bulk_encrypt(const struct bulk *b, const uint8_t key[32], const uint8_t nonce[12], struct span associated,
                  struct span clear, uint8_t *out)
{
    (void)key, (void)nonce, (void)associated, (void)clear, (void)out;
    assert(b != NULL); /* there is none to call it with */
}

void bulk_decrypt(const struct bulk *b, const uint8_t key[32], const uint8_t nonce[12], struct span associated,
                  struct span sealed, uint8_t *out, uint8_t tag[16])
{
    (void)key, (void)nonce, (void)associated, (void)sealed, (void)out, (void)tag;
    assert(b != NULL);
}

bool bulk_hash(struct bulk *b, const struct span *messages, size_t count, uint8_t (*out)[32])
{
    (void)messages, (void)count, (void)out;
    assert(b != NULL);
    return false;
}
