/* Refused objects that come again: what is remembered, for how long, and when it is said. */
#include "cmd/room/repeats.h"

#include <string.h>

#include "../test.h"

#define NOW UINT64_C(1795600000000000)

static const uint8_t *digest_of(unsigned n)
{
    static uint8_t digest[REPEAT_DIGEST_BYTES];

    memcpy(digest, &n, sizeof n);
    return digest;
}

TEST(the_same_bytes_of_the_same_source_are_known_for_a_day)
{
    struct repeats *r = repeats_new();

    assert_non_null(r);
    CHECK(repeats_find(r, "CT1", digest_of(1), NOW) == NULL);
    repeats_add(r, "CT1", digest_of(1), 17, NOW);
    CHECK(repeats_find(r, "CT1", digest_of(1), NOW)->position == 17);
    CHECK(repeats_find(r, "CT2", digest_of(1), NOW) == NULL);
    CHECK(repeats_find(r, "CT1", digest_of(2), NOW) == NULL);
    CHECK(repeats_find(r, "CT1", digest_of(1), NOW + REPEAT_LIFE_US) != NULL);
    CHECK(repeats_find(r, "CT1", digest_of(1), NOW + REPEAT_LIFE_US + 1) == NULL);
    repeats_add(r, "CT1", digest_of(1), 99, NOW + 5); /* two came at once */
    CHECK(repeats_find(r, "CT1", digest_of(1), NOW + 5)->position == 17);
    repeats_add(r, "CT1", digest_of(1), 99, NOW + REPEAT_LIFE_US + 1);
    CHECK(repeats_find(r, "CT1", digest_of(1), NOW + REPEAT_LIFE_US + 1)->position == 99);
    repeats_free(r);
}

TEST(coming_again_is_said_at_the_1st_10th_and_100th_time)
{
    struct repeats *r = repeats_new();
    unsigned said = 0;

    assert_non_null(r);
    CHECK(!repeats_count(r, "CT1", digest_of(1), NOW));
    repeats_add(r, "CT1", digest_of(1), 17, NOW);
    for (unsigned i = 1; i <= 150; i++) {
        const bool now = repeats_count(r, "CT1", digest_of(1), NOW + i);

        CHECK(now == (i == 1 || i == 10 || i == 100));
        said += now ? 1 : 0;
    }
    CHECK(said == 3 && repeats_find(r, "CT1", digest_of(1), NOW)->count == 150);
    repeats_free(r);
}

TEST(memory_is_bounded_and_the_quietest_makes_room)
{
    struct repeats *r = repeats_new();

    assert_non_null(r);
    for (unsigned i = 0; i < REPEATS_MAX; i++)
        repeats_add(r, "CT1", digest_of(i), i, NOW + i);
    (void)repeats_count(r, "CT1", digest_of(0), NOW + REPEATS_MAX); /* not quiet */
    repeats_add(r, "CT1", digest_of(5000), 5000, NOW + REPEATS_MAX + 1);
    CHECK(repeats_find(r, "CT1", digest_of(0), NOW) != NULL && repeats_find(r, "CT1", digest_of(1), NOW) == NULL);
    CHECK(repeats_find(r, "CT1", digest_of(5000), NOW) != NULL);
    repeats_free(r);
}

TESTS(T(the_same_bytes_of_the_same_source_are_known_for_a_day), T(coming_again_is_said_at_the_1st_10th_and_100th_time),
      T(memory_is_bounded_and_the_quietest_makes_room))
