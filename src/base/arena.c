/* Scoped memory. See arena.h. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES ((size_t)16 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t cap;
    size_t used;
    alignas(max_align_t) uint8_t bytes[];
};

void arena_done(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){ .limit = a->limit };
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = a->blocks;

    if (keep != NULL) {
        struct arena rest = { .blocks = keep->next };

        arena_done(&rest);
        keep->next = NULL;
        keep->used = 0;
    }
    a->used = 0;
}

static struct arena_block *block_new(size_t cap)
{
    struct arena_block *b;
    size_t total;

    if (!size_add(sizeof *b, cap, &total))
        return NULL;
    b = malloc(total);
    if (b == NULL)
        return NULL;
    *b = (struct arena_block){ .cap = cap };
    return b;
}

void *arena_alloc(struct arena *a, size_t len)
{
    const size_t unit = alignof(max_align_t);
    size_t rounded, total;
    struct arena_block *b = a->blocks;
    void *at;

    if (!size_add(len, unit - 1, &rounded))
        return NULL;
    rounded -= rounded % unit;
    if (!size_add(a->used, rounded, &total) || total > a->limit)
        return NULL;
    if (b == NULL || rounded > b->cap - b->used) {
        b = block_new(rounded > ARENA_BLOCK_BYTES ? rounded : ARENA_BLOCK_BYTES);
        if (b == NULL)
            return NULL;
        b->next = a->blocks;
        a->blocks = b;
    }
    at = b->bytes + b->used;
    b->used += rounded;
    a->used = total;
    return memset(at, 0, len);
}

bool arena_failed(const struct arena *a, size_t len, struct error *err, const char *what)
{
    size_t total;

    if (!size_add(len, alignof(max_align_t) - 1, &total) || !size_add(a->used, total, &total) || total > a->limit)
        return error_set(err, ERR_LIMIT, "%s: more than %zu bytes", what, a->limit);
    return error_set(err, ERR_MEMORY, "no memory for %s", what);
}

struct span arena_copy(struct arena *a, struct span s)
{
    uint8_t *p = arena_alloc(a, s.len + 1);

    if (p == NULL)
        return (struct span){ NULL, 0 };
    if (s.len > 0)
        memcpy(p, s.ptr, s.len);
    return span_of(p, s.len);
}
