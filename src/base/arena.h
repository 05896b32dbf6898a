/*
 * Memory that belongs to one association, message or request and goes with it at once.
 *
 * Never shared between threads. What arena_alloc() gives lives until arena_done() or arena_reset().
 */
#ifndef FANAL_BASE_ARENA_H
#define FANAL_BASE_ARENA_H

#include "base/error.h"
#include "base/span.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first; owned */
    size_t used;                /* bytes handed out, all blocks */
    size_t limit;               /* used never passes it */
};

static inline struct arena arena_new(size_t limit)
{
    return (struct arena){ .limit = limit };
}

void arena_done(struct arena *a);

/* Forgets everything, keeps one block for the next use. */
void arena_reset(struct arena *a);

/* len zeroed bytes, aligned for any type; NULL past the limit or without memory. */
void *arena_alloc(struct arena *a, size_t len);

/*
 * Why it gave no room for `len` bytes (of a copy: one more): ERR_LIMIT where they pass the limit, else ERR_MEMORY, of `what`.
 * Returns false.
 */
bool arena_failed(const struct arena *a, size_t len, struct error *err, const char *what);

/* A copy of s with a NUL behind it (not counted in .len); .ptr is NULL on failure. */
struct span arena_copy(struct arena *a, struct span s);

#endif
