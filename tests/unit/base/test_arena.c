/* Arenas: zeroed, aligned, bounded, released at once. */
#include "base/arena.h"

#include <stdalign.h>

#include "../test.h"

TEST(memory_is_zeroed_and_aligned)
{
    struct arena a = arena_new(1 << 20);

    for (size_t n = 1; n < 5000; n += 77) {
        uint8_t *p = arena_alloc(&a, n);

        CHECK(p != NULL && (uintptr_t)p % alignof(max_align_t) == 0);
        for (size_t i = 0; i < n; i++)
            CHECK(p[i] == 0);
        memset(p, 0xff, n);
    }
    arena_reset(&a);
    CHECK(a.used == 0 && *(uint8_t *)arena_alloc(&a, 1) == 0);
    arena_done(&a);
}

TEST(an_arena_never_passes_its_limit)
{
    struct arena a = arena_new(100);

    CHECK(arena_alloc(&a, 64) != NULL);
    CHECK(arena_alloc(&a, 64) == NULL);
    CHECK(arena_alloc(&a, SIZE_MAX) == NULL);
    CHECK(arena_copy(&a, SPAN_LIT("abc")).len == 3);
    arena_done(&a);
}

TESTS(T(memory_is_zeroed_and_aligned), T(an_arena_never_passes_its_limit))
