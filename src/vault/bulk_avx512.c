/* Bulk cryptography by Intel's multi-buffer library. See bulk.h. */
#include "vault/bulk.h"

#define NO_COMPAT_IMB_API_053 /* its old names are other libraries' too */
#include <intel-ipsec-mb.h>
#include <sodium.h>

#define NEEDED (IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ)

struct bulk {
    IMB_MGR *library; /* bulk_hash() changes it; the rest reads its table of functions */
};

/* Test case 14 of the GCM specification: key, nonce and one block of zeros; "abc" of FIPS 180-4. */
static bool known_answers(struct bulk *b)
{
    static const uint8_t zeros[32];
    static const uint8_t gcm[32] = { 0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5,
                                     0xd3, 0xba, 0xf3, 0x9d, 0x18, 0xd0, 0xd1, 0xc8, 0xa7, 0x99, 0x99,
                                     0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19 };
    static const uint8_t sha[32] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                     0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                     0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
    uint8_t sealed[32], clear[16], tag[16], hash[1][32];

    bulk_encrypt(b, zeros, zeros, span_of(NULL, 0), span_of(zeros, 16), sealed);
    bulk_decrypt(b, zeros, zeros, span_of(NULL, 0), span_of(sealed, 16), clear, tag);
    return memcmp(sealed, gcm, sizeof gcm) == 0 && memcmp(clear, zeros, sizeof clear) == 0
           && memcmp(tag, gcm + 16, sizeof tag) == 0 && bulk_hash(b, &SPAN_LIT("abc"), 1, hash)
           && memcmp(hash[0], sha, sizeof sha) == 0;
}

struct bulk *bulk_new(void)
{
    struct bulk *b = malloc(sizeof *b);

    if (b == NULL)
        return NULL;
    b->library = alloc_mb_mgr(0);
    if (b->library != NULL && (b->library->features & NEEDED) == NEEDED) {
        init_mb_mgr_auto(b->library, NULL);
        if (imb_get_errno(b->library) == 0 && known_answers(b))
            return b;
    }
    bulk_free(b);
    return NULL;
}

void bulk_free(struct bulk *b)
{
    if (b == NULL)
        return;
    if (b->library != NULL)
        free_mb_mgr(b->library);
    free(b);
}

void bulk_encrypt(const struct bulk *b, const uint8_t key[32], const uint8_t nonce[12], struct span associated,
                  struct span clear, uint8_t *out)
{
    struct gcm_key_data schedule;
    struct gcm_context_data context;

    IMB_AES256_GCM_PRE(b->library, key, &schedule);
    IMB_AES256_GCM_ENC(b->library, &schedule, &context, out, clear.ptr, clear.len, nonce, associated.ptr, associated.len,
                       out + clear.len, 16);
    sodium_memzero(&schedule, sizeof schedule);
    sodium_memzero(&context, sizeof context);
}

void bulk_decrypt(const struct bulk *b, const uint8_t key[32], const uint8_t nonce[12], struct span associated,
                  struct span sealed, uint8_t *out, uint8_t tag[16])
{
    struct gcm_key_data schedule;
    struct gcm_context_data context;

    IMB_AES256_GCM_PRE(b->library, key, &schedule);
    IMB_AES256_GCM_DEC(b->library, &schedule, &context, out, sealed.ptr, sealed.len, nonce, associated.ptr,
                       associated.len, tag, 16);
    sodium_memzero(&schedule, sizeof schedule);
    sodium_memzero(&context, sizeof context);
}

/* Counts a job that came back whole. */
static bool came_back(const IMB_JOB *job, size_t *done)
{
    (*done)++;
    return job->status == IMB_STATUS_COMPLETED;
}

bool bulk_hash(struct bulk *b, const struct span *messages, size_t count, uint8_t (*out)[32])
{
    size_t done = 0;
    bool ok = true;
    IMB_JOB *job;

    for (size_t i = 0; i < count; i++) {
        job = IMB_GET_NEXT_JOB(b->library);
        *job = (IMB_JOB){ .cipher_mode = IMB_CIPHER_NULL,
                          .cipher_direction = IMB_DIR_ENCRYPT,
                          .hash_alg = IMB_AUTH_SHA_256,
                          .chain_order = IMB_ORDER_HASH_CIPHER,
                          .src = messages[i].ptr,
                          .msg_len_to_hash_in_bytes = messages[i].len,
                          .auth_tag_output = out[i],
                          .auth_tag_output_len_in_bytes = 32 };
        for (job = IMB_SUBMIT_JOB(b->library); job != NULL; job = IMB_GET_COMPLETED_JOB(b->library))
            ok = came_back(job, &done) && ok;
    }
    while ((job = IMB_FLUSH_JOB(b->library)) != NULL)
        ok = came_back(job, &done) && ok;
    return ok && done == count;
}
