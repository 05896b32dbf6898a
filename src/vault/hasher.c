/* Hashing beside encrypting. See hasher.h. */
#include "vault/hasher.h"

#include <signal.h>
#include <stdlib.h>

#include "vault/store_internal.h"

#define LANE_BYTES ((size_t)CHUNK_STORED_BYTES + 64) /* a leaf: 0x00 and the chunk (RFC 9162 §2.1.1) */
_Static_assert(1 + CHUNK_STORED_BYTES <= BULK_MESSAGE_BYTES, "a chunk fits a lane");

/* Chunks that are hashed together, in order of their bodies. */
struct group {
    struct body *bodies[BULK_LANES];
    struct span chunks[BULK_LANES];
    struct hash leaves[BULK_LANES];
    size_t count;
};

/* With the lock held: the next chunks, of as many bodies as it takes. */
static void gather(struct hasher *h, struct group *g)
{
    g->count = 0;
    for (struct body *b = h->first; b != NULL && g->count < BULK_LANES; b = b->hash_next) {
        const struct span memory = span_of(b->stored.ptr, b->stored.cap); /* its length is the owner's, who adds to it */

        for (uint64_t at = b->hashed; at < b->sealed && g->count < BULK_LANES; g->count++) {
            uint64_t left = b->sealed - at;
            size_t len = left < CHUNK_STORED_BYTES ? (size_t)left : CHUNK_STORED_BYTES;

            g->bodies[g->count] = b;
            g->chunks[g->count] = span_part(memory, (size_t)(at - b->stored_from), len);
            at += len;
        }
    }
}

static bool hash_side_by_side(struct hasher *h, struct group *g)
{
    struct span messages[BULK_LANES];
    uint8_t out[BULK_LANES][HASH_BYTES];

    for (size_t i = 0; i < g->count; i++) {
        uint8_t *lane = h->lanes + i * LANE_BYTES;

        lane[0] = 0;
        memcpy(lane + 1, g->chunks[i].ptr, g->chunks[i].len);
        messages[i] = span_of(lane, 1 + g->chunks[i].len);
    }
    if (!bulk_hash(h->bulk, messages, g->count, out))
        return false;
    for (size_t i = 0; i < g->count; i++)
        memcpy(g->leaves[i].bytes, out[i], HASH_BYTES);
    return true;
}

/* The lock is not held. */
static bool hash_group(struct hasher *h, struct group *g, struct error *err)
{
    bool ok = true;

    if (h->bulk == NULL || g->count < BULK_LANES_WORTH || !hash_side_by_side(h, g))
        for (size_t i = 0; ok && i < g->count; i++)
            ok = merkle_leaf(&h->seal, &g->chunks[i], 1, &g->leaves[i], err);
    for (size_t i = 0; ok && i < g->count; i++)
        ok = merkle_append(&g->bodies[i]->tree, &h->seal, &g->leaves[i], err);
    return ok;
}

/* With the lock held: what was hashed is told, and bodies that are done leave the queue. */
static void settle(struct hasher *h, const struct group *g, const struct error *err)
{
    for (size_t i = 0; i < g->count; i++) {
        if (err->code != ERR_NONE)
            g->bodies[i]->hash_error = *err;
        g->bodies[i]->hashed += g->chunks[i].len;
    }
    h->pending -= g->count;
    while (h->first != NULL && h->first->hashed == h->first->sealed) {
        struct body *b = h->first;

        h->first = b->hash_next;
        if (h->first == NULL)
            h->end = &h->first;
        b->hashing = false;
        (void)pthread_cond_broadcast(&h->done);
    }
}

static void *hash_all(void *context)
{
    struct hasher *h = context;
    struct group g;

    (void)pthread_mutex_lock(&h->lock);
    while (!h->stop) {
        struct error err = { .code = ERR_NONE };

        h->hurried = h->hurried && h->pending > 0;
        if (h->pending == 0 || (h->bulk != NULL && h->pending < BULK_LANES && h->awaited == 0 && !h->hurried)) {
            (void)pthread_cond_wait(&h->work, &h->lock);
            continue;
        }
        gather(h, &g);
        (void)pthread_mutex_unlock(&h->lock);
        (void)hash_group(h, &g, &err);
        (void)pthread_mutex_lock(&h->lock);
        settle(h, &g, &err);
    }
    (void)pthread_mutex_unlock(&h->lock);
    return NULL;
}

static void tools_done(struct hasher *h)
{
    bulk_free(h->bulk);
    free(h->lanes);
    seal_done(&h->seal);
    h->bulk = NULL;
    h->lanes = NULL;
}

bool hasher_start(struct hasher *h, const struct seal_suite *suite, struct error *err)
{
    sigset_t all, before;

    if (!seal_init(&h->seal, suite, err))
        return false;
    if (suite->bulk != NULL && (h->lanes = malloc(BULK_LANES * LANE_BYTES)) != NULL)
        h->bulk = bulk_new(); /* its own: hashing changes it */
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
    tools_done(h);
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
    tools_done(h);
    h->started = false;
}

void hasher_add(struct hasher *h, struct body *b, size_t len)
{
    (void)pthread_mutex_lock(&h->lock);
    b->sealed += len;
    h->pending++;
    if (!b->hashing) {
        b->hashing = true;
        b->hash_next = NULL;
        *h->end = b;
        h->end = &b->hash_next;
    }
    if (h->bulk == NULL || h->pending >= BULK_LANES)
        (void)pthread_cond_signal(&h->work);
    (void)pthread_mutex_unlock(&h->lock);
}

void hasher_hurry(struct hasher *h)
{
    (void)pthread_mutex_lock(&h->lock);
    h->hurried = h->pending > 0;
    if (h->hurried)
        (void)pthread_cond_signal(&h->work);
    (void)pthread_mutex_unlock(&h->lock);
}

bool hasher_wait(struct hasher *h, struct body *b, struct error *err)
{
    bool ok;

    (void)pthread_mutex_lock(&h->lock);
    h->awaited++;
    if (b->hashing)
        (void)pthread_cond_signal(&h->work);
    while (b->hashing)
        (void)pthread_cond_wait(&h->done, &h->lock);
    h->awaited--;
    ok = b->hash_error.code == ERR_NONE;
    if (!ok && err != NULL)
        *err = b->hash_error;
    (void)pthread_mutex_unlock(&h->lock);
    return ok;
}
