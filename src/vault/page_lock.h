/*
 * Locks and the WAL index of one view file, in the memory of this process.
 *
 * The store's own lock keeps other processes away; what is left is to keep the connections of this one
 * apart. Safe for any number of threads.
 */
#ifndef FANAL_VAULT_PAGE_LOCK_H
#define FANAL_VAULT_PAGE_LOCK_H

#include <pthread.h>
#include <sqlite3.h>

#include "base/span.h"

/* SQLite's 2^32-page limit of a WAL needs far more; a view whose WAL grows to 32 GiB is refused instead. */
#define PAGE_REGIONS_MAX 2048

struct page_locks {
    pthread_mutex_t mutex;
    const void *reserved; /* the file that holds RESERVED or more */
    bool exclusive;
    size_t shared; /* files at SHARED or more */
    struct {
        size_t shared;
        bool exclusive;
    } slots[SQLITE_SHM_NLOCK];
    size_t mapped; /* files that use the index */
    void *regions[PAGE_REGIONS_MAX];
};

/* What one open file holds. */
struct page_holds {
    int level; /* SQLITE_LOCK_… */
    unsigned shared_slots, exclusive_slots;
    bool mapped;
};

bool page_locks_init(struct page_locks *l);
void page_locks_done(struct page_locks *l);

/* The xLock, xUnlock, xCheckReservedLock of a main database file; SQLite result codes. */
int page_lock(struct page_locks *l, struct page_holds *h, int level);
int page_unlock(struct page_locks *l, struct page_holds *h, int level);
bool page_is_reserved(struct page_locks *l);

/* The xShmMap, xShmLock, xShmUnmap. *out is NULL where the region does not exist and extend is false. */
int page_index_map(struct page_locks *l, struct page_holds *h, int region, int bytes, bool extend,
                   void volatile **out);
int page_index_lock(struct page_locks *l, struct page_holds *h, int first, int count, int flags);
void page_index_unmap(struct page_locks *l, struct page_holds *h);

#endif
