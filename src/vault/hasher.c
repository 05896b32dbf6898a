/* Hashing beside encrypting. See hasher.h. */
#include "vault/hasher.h"

#include <signal.h>

#include "vault/store_internal.h"

/* The next chunk of b into its tree; the lock is not held. */
static bool hash_chunk(struct hasher *h, struct body *b, size_t len, struct error *err)
{
    const struct span memory = span_of(b->stored.ptr, b->stored.cap); /* its length is the owner's, who adds to it */
    const struct span chunk = span_part(memory, (size_t)(b->hashed - b->stored_from), len);
    struct hash leaf;

    return merkle_leaf(&h->seal, &chunk, 1, &leaf, err) && merkle_append(&b->tree, &h->seal, &leaf, err);
}

static void hash_body(struct hasher *h, struct body *b)
{
    while (b->hashed < b->sealed) {
        uint64_t left = b->sealed - b->hashed;
        size_t len = left < CHUNK_STORED_BYTES ? (size_t)left : CHUNK_STORED_BYTES;
        struct error err = { .code = ERR_NONE };
        bool ok;

        (void)pthread_mutex_unlock(&h->lock);
        ok = hash_chunk(h, b, len, &err);
        (void)pthread_mutex_lock(&h->lock);
        if (!ok)
            b->hash_error = err;
        b->hashed += len;
    }
}

static void *hash_all(void *context)
{
    struct hasher *h = context;

    (void)pthread_mutex_lock(&h->lock);
    while (!h->stop) {
        struct body *b = h->first;

        if (b == NULL) {
            (void)pthread_cond_wait(&h->work, &h->lock);
            continue;
        }
        hash_body(h, b);
        h->first = b->hash_next;
        if (h->first == NULL)
            h->end = &h->first;
        b->hashing = false;
        (void)pthread_cond_signal(&h->done); /* only the owner waits */
    }
    (void)pthread_mutex_unlock(&h->lock);
    return NULL;
}

bool hasher_start(struct hasher *h, const struct seal_suite *suite, struct error *err)
{
    sigset_t all, before;

    if (!seal_init(&h->seal, suite, err))
        return false;
    h->end = &h->first;
    (void)pthread_mutex_init(&h->lock, NULL);
    (void)pthread_cond_init(&h->work, NULL);
    (void)pthread_cond_init(&h->done, NULL);
    (void)sigfillset(&all); /* signals are the owner's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    h->started = pthread_create(&h->thread, NULL, hash_all, h) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (h->started)
        return true;
    seal_done(&h->seal);
    return error_set(err, ERR_MEMORY, "no hashing thread");
}

void hasher_done(struct hasher *h)
{
    if (!h->started)
        return;
    (void)pthread_mutex_lock(&h->lock);
    h->stop = true;
    (void)pthread_cond_signal(&h->work);
    (void)pthread_mutex_unlock(&h->lock);
    (void)pthread_join(h->thread, NULL);
    (void)pthread_cond_destroy(&h->work);
    (void)pthread_cond_destroy(&h->done);
    (void)pthread_mutex_destroy(&h->lock);
    seal_done(&h->seal);
    h->started = false;
}

void hasher_add(struct hasher *h, struct body *b, size_t len)
{
    (void)pthread_mutex_lock(&h->lock);
    b->sealed += len;
    if (!b->hashing) {
        b->hashing = true;
        b->hash_next = NULL;
        *h->end = b;
        h->end = &b->hash_next;
        (void)pthread_cond_signal(&h->work);
    }
    (void)pthread_mutex_unlock(&h->lock);
}

bool hasher_wait(struct hasher *h, struct body *b, struct error *err)
{
    bool ok;

    (void)pthread_mutex_lock(&h->lock);
    while (b->hashing)
        (void)pthread_cond_wait(&h->done, &h->lock);
    ok = b->hash_error.code == ERR_NONE;
    if (!ok && err != NULL)
        *err = b->hash_error;
    (void)pthread_mutex_unlock(&h->lock);
    return ok;
}
