/* Remembering nonces. See nonces.h. */
#include "nonces.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sodium.h>

#include "hash_set.h"
#include "vault/bulk.h"

#define CONTEXTS_MAX 4096 /* alive at once, whose key is remembered; a power of two */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hash_set pairs;
static uint64_t repeats;
static struct {
    const EVP_CIPHER_CTX *context;
    uint64_t key;
} keys[CONTEXTS_MAX];

int __real_EVP_EncryptInit_ex(EVP_CIPHER_CTX *c, const EVP_CIPHER *type, ENGINE *e, const uint8_t *key,
                              const uint8_t *iv);
int __real_EVP_EncryptInit_ex2(EVP_CIPHER_CTX *c, const EVP_CIPHER *type, const uint8_t *key, const uint8_t *iv,
                               const OSSL_PARAM params[]);
int __wrap_EVP_EncryptInit_ex(EVP_CIPHER_CTX *c, const EVP_CIPHER *type, ENGINE *e, const uint8_t *key,
                              const uint8_t *iv);
int __wrap_EVP_EncryptInit_ex2(EVP_CIPHER_CTX *c, const EVP_CIPHER *type, const uint8_t *key, const uint8_t *iv,
                               const OSSL_PARAM params[]);
void __real_EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *c);
void __wrap_EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *c);

static uint64_t short_hash(const void *a, size_t a_len, const void *b, size_t b_len)
{
    crypto_generichash_state state;
    uint8_t out[16];
    uint64_t h;

    (void)crypto_generichash_init(&state, NULL, 0, sizeof out);
    (void)crypto_generichash_update(&state, a, a_len);
    (void)crypto_generichash_update(&state, b, b_len);
    (void)crypto_generichash_final(&state, out, sizeof out);
    memcpy(&h, out, sizeof h);
    return h;
}

static size_t home_of(const EVP_CIPHER_CTX *c)
{
    return ((uintptr_t)c >> 4) & (CONTEXTS_MAX - 1);
}

static size_t behind(size_t at)
{
    return (at + 1) & (CONTEXTS_MAX - 1);
}

/* With the lock held: where the context's key is kept. */
static uint64_t *key_of(const EVP_CIPHER_CTX *c)
{
    size_t at = home_of(c);

    for (size_t i = 0; i < CONTEXTS_MAX; i++, at = behind(at)) {
        if (keys[at].context == NULL)
            keys[at].context = c;
        if (keys[at].context == c)
            return &keys[at].key;
    }
    abort();
}

/* With the lock held: the context is gone. Those behind that were pushed along by it move up. */
static void forget(const EVP_CIPHER_CTX *c)
{
    size_t hole = home_of(c);

    while (keys[hole].context != c) {
        if (keys[hole].context == NULL)
            return; /* it never had a key */
        hole = behind(hole);
    }
    for (size_t at = behind(hole); keys[at].context != NULL; at = behind(at)) {
        size_t from_home = (at - home_of(keys[at].context)) & (CONTEXTS_MAX - 1);

        if (from_home < ((at - hole) & (CONTEXTS_MAX - 1)))
            continue; /* it is nearer to its home than the hole is */
        keys[hole] = keys[at];
        hole = at;
    }
    keys[hole].context = NULL;
}

static void remember_pair(uint64_t key, const uint8_t nonce[12])
{
    pthread_mutex_lock(&lock);
    repeats += hash_set_add(&pairs, short_hash(&key, sizeof key, nonce, 12)) ? 0 : 1;
    pthread_mutex_unlock(&lock);
}

static void remember(const EVP_CIPHER_CTX *c, const uint8_t *key, const uint8_t *iv)
{
    uint64_t *known, of_context;

    pthread_mutex_lock(&lock);
    known = key_of(c);
    if (key != NULL)
        *known = short_hash(key, 32, NULL, 0);
    of_context = *known;
    pthread_mutex_unlock(&lock);
    if (iv != NULL)
        remember_pair(of_context, iv);
}

int __wrap_EVP_EncryptInit_ex(EVP_CIPHER_CTX *c, const EVP_CIPHER *type, ENGINE *e, const uint8_t *key,
                              const uint8_t *iv)
{
    remember(c, key, iv);
    return __real_EVP_EncryptInit_ex(c, type, e, key, iv);
}

int __wrap_EVP_EncryptInit_ex2(EVP_CIPHER_CTX *c, const EVP_CIPHER *type, const uint8_t *key, const uint8_t *iv,
                               const OSSL_PARAM params[])
{
    remember(c, key, iv);
    return __real_EVP_EncryptInit_ex2(c, type, key, iv, params);
}

void __wrap_EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *c)
{
    if (c != NULL) {
        pthread_mutex_lock(&lock);
        forget(c);
        pthread_mutex_unlock(&lock);
    }
    __real_EVP_CIPHER_CTX_free(c);
}

/* … and Intel's library, which the store uses for what is long. */
void __real_bulk_encrypt(const struct bulk *b, const uint8_t key[32], const uint8_t nonce[12], struct span associated,
                         struct span clear, uint8_t *out);
void __wrap_bulk_encrypt(const struct bulk *b, const uint8_t key[32], const uint8_t nonce[12], struct span associated,
                         struct span clear, uint8_t *out);

void __wrap_bulk_encrypt(const struct bulk *b, const uint8_t key[32], const uint8_t nonce[12], struct span associated,
                         struct span clear, uint8_t *out)
{
    uint64_t known = short_hash(key, 32, NULL, 0);

    remember_pair(known, nonce);
    __real_bulk_encrypt(b, key, nonce, associated, clear, out);
}

struct nonces nonces_seen(void)
{
    struct nonces n;

    pthread_mutex_lock(&lock);
    n = (struct nonces){ .pairs = pairs.count, .repeats = repeats };
    pthread_mutex_unlock(&lock);
    return n;
}
