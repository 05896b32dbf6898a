/* Unit tag → slot. See unit_map.h. */
#include "vault/unit_map.h"

#include <stdlib.h>
#include <string.h>

struct unit_place {
    uint8_t tag[UNIT_TAG_BYTES];
    uint32_t slot; /* 0: free */
};

void unit_map_done(struct unit_map *m)
{
    free(m->places);
    *m = (struct unit_map){ 0 };
}

/* The place of the tag, or the free one where it belongs. Tags are HMACs: their bytes are hash enough. */
static struct unit_place *place_of(struct unit_place *places, size_t cap, const uint8_t tag[UNIT_TAG_BYTES])
{
    uint64_t hash;
    size_t i;

    memcpy(&hash, tag, sizeof hash);
    for (i = (size_t)hash & (cap - 1); places[i].slot != 0; i = (i + 1) & (cap - 1))
        if (memcmp(places[i].tag, tag, UNIT_TAG_BYTES) == 0)
            break;
    return &places[i];
}

bool unit_map_get(const struct unit_map *m, const uint8_t tag[UNIT_TAG_BYTES], uint32_t *slot)
{
    const struct unit_place *p = m->cap == 0 ? NULL : place_of(m->places, m->cap, tag);

    if (p == NULL || p->slot == 0)
        return false;
    *slot = p->slot;
    return true;
}

static bool grow(struct unit_map *m)
{
    size_t cap = m->cap == 0 ? 256 : m->cap * 2;
    struct unit_place *places = calloc(cap, sizeof *places);

    if (places == NULL)
        return false;
    for (size_t i = 0; i < m->cap; i++)
        if (m->places[i].slot != 0)
            *place_of(places, cap, m->places[i].tag) = m->places[i];
    free(m->places);
    m->places = places;
    m->cap = cap;
    return true;
}

bool unit_map_put(struct unit_map *m, const uint8_t tag[UNIT_TAG_BYTES], uint32_t slot)
{
    struct unit_place *p;

    if (m->count + 1 > m->cap / 4 * 3 && !grow(m))
        return false;
    p = place_of(m->places, m->cap, tag);
    if (p->slot == 0)
        m->count++;
    memcpy(p->tag, tag, UNIT_TAG_BYTES);
    p->slot = slot;
    return true;
}

/* Those behind it move up, so that no search ends at the hole (Knuth, TAOCP 3, 6.4, algorithm R). */
void unit_map_remove(struct unit_map *m, const uint8_t tag[UNIT_TAG_BYTES])
{
    struct unit_place *p = m->cap == 0 ? NULL : place_of(m->places, m->cap, tag);
    size_t hole, i;

    if (p == NULL || p->slot == 0)
        return;
    hole = (size_t)(p - m->places);
    for (i = (hole + 1) & (m->cap - 1); m->places[i].slot != 0; i = (i + 1) & (m->cap - 1)) {
        uint64_t hash;
        size_t home;

        memcpy(&hash, m->places[i].tag, sizeof hash);
        home = (size_t)hash & (m->cap - 1);
        if (((i - home) & (m->cap - 1)) < ((i - hole) & (m->cap - 1)))
            continue; /* it stands between its home and itself: the hole is before its home */
        m->places[hole] = m->places[i];
        hole = i;
    }
    m->places[hole] = (struct unit_place){ .slot = 0 };
    m->count--;
}
