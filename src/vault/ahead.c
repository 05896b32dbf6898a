/* Entries read ahead. See ahead.h. */
#include "vault/ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#define BLOCKS 4 /* handed over whole: a lock a block, not a lock an entry */

struct item {
    struct entry entry;
    size_t from, len; /* of its facts */
    struct error err; /* code ERR_NONE: read */
};

struct block {
    struct item items[AHEAD_BLOCK];
    size_t count;
    struct writer facts;
};

struct ahead {
    struct store *store;
    uint64_t next, end; /* the reading thread's */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    uint64_t filled_count, emptied_count; /* blocks, for ever; under lock */
    bool stop;
    struct block blocks[BLOCKS];
    size_t at; /* in the block that is being taken; the taker's */
};

static void read_one(struct ahead *a, struct block *b)
{
    struct item *i = &b->items[b->count++];

    *i = (struct item){ .from = b->facts.len };
    if (!store_read_entry(a->store, a->next++, &i->entry, &b->facts, &i->err))
        b->facts.len = i->from;
    i->len = b->facts.len - i->from;
}

static void *read_main(void *context)
{
    struct ahead *a = context;

    (void)pthread_mutex_lock(&a->lock);
    while (!a->stop && a->next < a->end) {
        struct block *b = &a->blocks[a->filled_count % BLOCKS];

        if (a->filled_count - a->emptied_count == BLOCKS) {
            (void)pthread_cond_wait(&a->emptied, &a->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&a->lock);
        b->count = 0;
        writer_reset(&b->facts);
        while (b->count < AHEAD_BLOCK && a->next < a->end)
            read_one(a, b);
        (void)pthread_mutex_lock(&a->lock);
        a->filled_count++;
        (void)pthread_cond_signal(&a->filled);
    }
    (void)pthread_mutex_unlock(&a->lock);
    return NULL;
}

struct ahead *ahead_new(struct store *s, uint64_t from, uint64_t end)
{
    struct ahead *a = calloc(1, sizeof *a);
    sigset_t all, before;
    bool ok;

    if (a == NULL)
        return NULL;
    a->store = s;
    a->next = from;
    a->end = end;
    for (size_t i = 0; i < BLOCKS; i++)
        a->blocks[i].facts = writer_new(SIZE_MAX / 2);
    (void)pthread_mutex_init(&a->lock, NULL);
    (void)pthread_cond_init(&a->filled, NULL);
    (void)pthread_cond_init(&a->emptied, NULL);
    (void)sigfillset(&all); /* signals are the owner's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    ok = pthread_create(&a->thread, NULL, read_main, a) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ok)
        return a;
    free(a);
    return NULL;
}

void ahead_free(struct ahead *a)
{
    if (a == NULL)
        return;
    (void)pthread_mutex_lock(&a->lock);
    a->stop = true;
    (void)pthread_cond_signal(&a->emptied);
    (void)pthread_mutex_unlock(&a->lock);
    (void)pthread_join(a->thread, NULL);
    for (size_t i = 0; i < BLOCKS; i++)
        writer_done(&a->blocks[i].facts);
    (void)pthread_cond_destroy(&a->filled);
    (void)pthread_cond_destroy(&a->emptied);
    (void)pthread_mutex_destroy(&a->lock);
    free(a);
}

/* The block that is being taken, once it is filled. */
static struct block *taken(struct ahead *a)
{
    struct block *b;

    (void)pthread_mutex_lock(&a->lock);
    if (a->at > 0 && a->at == a->blocks[a->emptied_count % BLOCKS].count) {
        a->emptied_count++;
        a->at = 0;
        (void)pthread_cond_signal(&a->emptied);
    }
    while (a->filled_count == a->emptied_count)
        (void)pthread_cond_wait(&a->filled, &a->lock);
    b = &a->blocks[a->emptied_count % BLOCKS];
    (void)pthread_mutex_unlock(&a->lock);
    return b;
}

bool ahead_next(struct ahead *a, struct entry *out, struct span *facts, struct error *err)
{
    struct block *b = a->at > 0 && a->at < a->blocks[a->emptied_count % BLOCKS].count
                          ? &a->blocks[a->emptied_count % BLOCKS]
                          : taken(a);
    const struct item *i = &b->items[a->at++];

    if (i->err.code != ERR_NONE)
        return error_set(err, i->err.code, "%s", i->err.text);
    *out = i->entry;
    *facts = span_of(b->facts.ptr == NULL ? NULL : b->facts.ptr + i->from, i->len);
    return true;
}
