/*
 * AES-256-GCM and SHA-256 of bulk on processors with AVX-512, by Intel's multi-buffer library: the same bytes as OpenSSL
 * 3.0 gives, three times as fast (one long message) and twice as fast (sixteen at once; docs/performance.md).
 *
 * Knows no OpenSSL, whose names the library's header takes. Whoever gets NULL from bulk_new() uses OpenSSL.
 */
#ifndef FANAL_VAULT_BULK_H
#define FANAL_VAULT_BULK_H

#include "base/span.h"

#define BULK_GCM_BYTES     4096u  /* below it the key schedule costs more than is won */
#define BULK_LANES         16u    /* messages hashed side by side */
#define BULK_LANES_WORTH   10u    /* fewer: one after the other is as fast */
#define BULK_MESSAGE_BYTES 65534u /* of one lane */

struct bulk;

/* NULL where the library or the processor does not have it, or where it fails its known answers. */
struct bulk *bulk_new(void);
void bulk_free(struct bulk *b); /* NULL allowed */

/* Writes clear.len bytes of ciphertext and 16 of tag to out. Any thread at any time. */
void bulk_encrypt(const struct bulk *b, const uint8_t key[32], const uint8_t nonce[12], struct span associated,
                  struct span clear, uint8_t *out);
/* Writes sealed.len bytes of clear text to out and the tag that belongs to them to tag: the caller compares. */
void bulk_decrypt(const struct bulk *b, const uint8_t key[32], const uint8_t nonce[12], struct span associated,
                  struct span sealed, uint8_t *out, uint8_t tag[16]);

/* SHA-256 of `count` (at most BULK_LANES) messages, each at most BULK_MESSAGE_BYTES long. One thread at a time. */
bool bulk_hash(struct bulk *b, const struct span *messages, size_t count, uint8_t (*out)[32]);

#endif
