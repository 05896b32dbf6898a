/* A set of 64-bit hashes that only grows. */
#ifndef FANAL_TORTURE_HASH_SET_H
#define FANAL_TORTURE_HASH_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct hash_set {
    uint64_t *slots; /* 0: free; owned */
    size_t count, cap;
};

static inline void hash_set_done(struct hash_set *s)
{
    free(s->slots);
    *s = (struct hash_set){ .count = 0 };
}

static inline bool hash_set_put(struct hash_set *s, uint64_t h)
{
    size_t at = (size_t)(h & (s->cap - 1));

    while (s->slots[at] != 0 && s->slots[at] != h)
        at = (at + 1) & (s->cap - 1);
    if (s->slots[at] == h)
        return false;
    s->slots[at] = h;
    s->count++;
    return true;
}

/* False where it is in already. */
static inline bool hash_set_add(struct hash_set *s, uint64_t h)
{
    if (s->count * 2 >= s->cap) {
        struct hash_set more = { .cap = s->cap == 0 ? 1024 : s->cap * 2 };

        more.slots = calloc(more.cap, sizeof *more.slots);
        if (more.slots == NULL)
            abort();
        for (size_t i = 0; i < s->cap; i++)
            if (s->slots[i] != 0)
                (void)hash_set_put(&more, s->slots[i]);
        free(s->slots);
        *s = more;
    }
    return hash_set_put(s, h == 0 ? 1 : h);
}

#endif
