/* Refused objects that come again. See repeats.h. */
#include "cmd/room/repeats.h"

#include <stdlib.h>

#include "cmd/conf.h"

struct kept {
    bool used;
    char source[CONF_NAME_SIZE];
    uint8_t digest[REPEAT_DIGEST_BYTES];
    uint64_t since_us, last_us;
    struct repeat seen;
    uint64_t recorded_at; /* the next count that is recorded */
};

struct repeats {
    struct kept kept[REPEATS_MAX];
};

struct repeats *repeats_new(void)
{
    return calloc(1, sizeof(struct repeats));
}

void repeats_free(struct repeats *r)
{
    free(r);
}

/* A clock that went back makes nothing younger than it is. */
static bool is_old(const struct kept *k, uint64_t now_us)
{
    return now_us > k->since_us + REPEAT_LIFE_US;
}

static struct kept *find(struct repeats *r, const char *source, const uint8_t *digest, uint64_t now_us)
{
    for (size_t i = 0; i < REPEATS_MAX; i++) {
        struct kept *k = &r->kept[i];

        if (k->used && memcmp(k->digest, digest, REPEAT_DIGEST_BYTES) == 0 && strcmp(k->source, source) == 0
            && !is_old(k, now_us))
            return k;
    }
    return NULL;
}

void repeats_add(struct repeats *r, const char *source, const uint8_t digest[REPEAT_DIGEST_BYTES], uint64_t position,
                 uint64_t now_us)
{
    struct kept *place = &r->kept[0];

    if (find(r, source, digest, now_us) != NULL)
        return; /* two came at once: both are kept, the first counts */
    for (size_t i = 0; i < REPEATS_MAX; i++) {
        struct kept *k = &r->kept[i];

        if (!k->used || is_old(k, now_us)) {
            place = k;
            break;
        }
        if (k->last_us < place->last_us)
            place = k;
    }
    *place = (struct kept){ .used = true, .since_us = now_us, .last_us = now_us, .seen = { position, 0 }, .recorded_at = 1 };
    (void)span_to_str(span_str(source), place->source, sizeof place->source);
    memcpy(place->digest, digest, REPEAT_DIGEST_BYTES);
}

const struct repeat *repeats_find(struct repeats *r, const char *source, const uint8_t digest[REPEAT_DIGEST_BYTES],
                                  uint64_t now_us)
{
    const struct kept *k = find(r, source, digest, now_us);

    return k != NULL ? &k->seen : NULL;
}

bool repeats_count(struct repeats *r, const char *source, const uint8_t digest[REPEAT_DIGEST_BYTES], uint64_t now_us)
{
    struct kept *k = find(r, source, digest, now_us);

    if (k == NULL)
        return false;
    k->last_us = now_us;
    if (++k->seen.count < k->recorded_at)
        return false;
    k->recorded_at *= 10;
    return true;
}
