/*
 * Which slot a unit has: a hash table from unit tag to slot number, 24 bytes a unit. One thread at a time.
 */
#ifndef FANAL_VAULT_UNIT_MAP_H
#define FANAL_VAULT_UNIT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNIT_TAG_BYTES 16

struct unit_map {
    struct unit_place *places; /* owned; cap of them, a power of two */
    size_t cap;
    size_t count;
};

void unit_map_done(struct unit_map *m);
bool unit_map_get(const struct unit_map *m, const uint8_t tag[UNIT_TAG_BYTES], uint32_t *slot);
/* Adds or replaces; slot is not 0. False without memory, and nothing changed. */
bool unit_map_put(struct unit_map *m, const uint8_t tag[UNIT_TAG_BYTES], uint32_t slot);
/* Forgets it; nothing where it is not there. */
void unit_map_remove(struct unit_map *m, const uint8_t tag[UNIT_TAG_BYTES]);

#endif
