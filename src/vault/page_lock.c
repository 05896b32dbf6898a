/* Locks of connections in one process. See page_lock.h. */
#include "vault/page_lock.h"

#include <stdlib.h>

bool page_locks_init(struct page_locks *l)
{
    *l = (struct page_locks){ .shared = 0 };
    return pthread_mutex_init(&l->mutex, NULL) == 0;
}

static void regions_free(struct page_locks *l)
{
    for (size_t i = 0; i < PAGE_REGIONS_MAX; i++) {
        free(l->regions[i]);
        l->regions[i] = NULL;
    }
}

void page_locks_done(struct page_locks *l)
{
    regions_free(l);
    (void)pthread_mutex_destroy(&l->mutex);
}

static bool may_raise(const struct page_locks *l, const struct page_holds *h, int level)
{
    switch (level) {
    case SQLITE_LOCK_SHARED:
        return !l->exclusive;
    case SQLITE_LOCK_RESERVED:
        return l->reserved == NULL;
    default: /* PENDING and EXCLUSIVE: alone in the file */
        return (l->reserved == NULL || l->reserved == h) && l->shared == (h->level >= SQLITE_LOCK_SHARED ? 1 : 0);
    }
}

int page_lock(struct page_locks *l, struct page_holds *h, int level)
{
    int rc = SQLITE_OK;

    if (h->level >= level)
        return SQLITE_OK;
    (void)pthread_mutex_lock(&l->mutex);
    if (may_raise(l, h, level)) {
        if (h->level < SQLITE_LOCK_SHARED)
            l->shared++;
        if (level >= SQLITE_LOCK_RESERVED)
            l->reserved = h;
        if (level >= SQLITE_LOCK_PENDING)
            l->exclusive = true;
        h->level = level;
    } else {
        rc = SQLITE_BUSY;
    }
    (void)pthread_mutex_unlock(&l->mutex);
    return rc;
}

int page_unlock(struct page_locks *l, struct page_holds *h, int level)
{
    if (h->level <= level)
        return SQLITE_OK;
    (void)pthread_mutex_lock(&l->mutex);
    if (l->reserved == h) {
        l->reserved = NULL;
        l->exclusive = false;
    }
    if (level < SQLITE_LOCK_SHARED)
        l->shared--;
    h->level = level;
    (void)pthread_mutex_unlock(&l->mutex);
    return SQLITE_OK;
}

bool page_is_reserved(struct page_locks *l)
{
    bool held;

    (void)pthread_mutex_lock(&l->mutex);
    held = l->reserved != NULL;
    (void)pthread_mutex_unlock(&l->mutex);
    return held;
}

int page_index_map(struct page_locks *l, struct page_holds *h, int region, int bytes, bool extend,
                   void volatile **out)
{
    int rc = SQLITE_OK;

    *out = NULL;
    if (region < 0 || region >= PAGE_REGIONS_MAX || bytes <= 0)
        return SQLITE_IOERR_SHMMAP;
    (void)pthread_mutex_lock(&l->mutex);
    if (!h->mapped) {
        h->mapped = true;
        l->mapped++;
    }
    if (l->regions[region] == NULL && extend) {
        l->regions[region] = calloc(1, (size_t)bytes);
        if (l->regions[region] == NULL)
            rc = SQLITE_NOMEM;
    }
    *out = l->regions[region];
    (void)pthread_mutex_unlock(&l->mutex);
    return rc;
}

static bool slot_is_free(const struct page_locks *l, const struct page_holds *h, unsigned slot, bool exclusive)
{
    size_t mine = (h->shared_slots >> slot & 1u) != 0 ? 1 : 0;

    if (exclusive)
        return !l->slots[slot].exclusive && l->slots[slot].shared == mine;
    return !l->slots[slot].exclusive || (h->exclusive_slots >> slot & 1u) != 0;
}

static void slot_take(struct page_locks *l, struct page_holds *h, unsigned slot, bool exclusive)
{
    if (exclusive) {
        l->slots[slot].exclusive = true;
        h->exclusive_slots |= 1u << slot;
    } else if ((h->shared_slots >> slot & 1u) == 0) {
        l->slots[slot].shared++;
        h->shared_slots |= 1u << slot;
    }
}

static void slot_release(struct page_locks *l, struct page_holds *h, unsigned slot)
{
    if ((h->exclusive_slots >> slot & 1u) != 0)
        l->slots[slot].exclusive = false;
    if ((h->shared_slots >> slot & 1u) != 0)
        l->slots[slot].shared--;
    h->exclusive_slots &= ~(1u << slot);
    h->shared_slots &= ~(1u << slot);
}

int page_index_lock(struct page_locks *l, struct page_holds *h, int first, int count, int flags)
{
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    int rc = SQLITE_OK;

    if (first < 0 || count < 1 || first + count > SQLITE_SHM_NLOCK)
        return SQLITE_IOERR_SHMLOCK;
    (void)pthread_mutex_lock(&l->mutex);
    for (int i = first; i < first + count && (flags & SQLITE_SHM_LOCK) != 0; i++)
        if (!slot_is_free(l, h, (unsigned)i, exclusive))
            rc = SQLITE_BUSY;
    for (int i = first; i < first + count && rc == SQLITE_OK; i++) {
        if ((flags & SQLITE_SHM_LOCK) != 0)
            slot_take(l, h, (unsigned)i, exclusive);
        else
            slot_release(l, h, (unsigned)i);
    }
    (void)pthread_mutex_unlock(&l->mutex);
    return rc;
}

void page_index_unmap(struct page_locks *l, struct page_holds *h)
{
    (void)pthread_mutex_lock(&l->mutex);
    for (unsigned i = 0; i < SQLITE_SHM_NLOCK; i++)
        slot_release(l, h, i);
    if (h->mapped && --l->mapped == 0)
        regions_free(l); /* whoever comes next finds it zeroed and recovers the index from the WAL */
    h->mapped = false;
    (void)pthread_mutex_unlock(&l->mutex);
}
