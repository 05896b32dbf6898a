/* How far sealing and scrubbing have come: the file `scrub` (docs/format.md, "The scrub file"). */
#ifndef FANAL_VAULT_SCRUB_STATE_H
#define FANAL_VAULT_SCRUB_STATE_H

#include "vault/sidecar.h"

#define SCRUB_STATE_CLASSES 8u /* places in the file; more than there are classes */

/* Of a class: the file that was not full yet, and the position of the first entry in it. number 0: none seen. */
struct class_state {
    uint32_t month, number;
    uint64_t first;
};

#define SCRUB_DAMAGED_MAX 256u /* damaged files that are remembered and told; status names no more */

/* A file that was told as damaged and not yet as whole. */
struct damaged_file {
    char name[SIDECAR_NAME_BYTES + 1];
    bool told; /* in the life of this process */
    bool seen; /* damaged in this round */
};

struct scrub_state {
    uint32_t segments; /* below: sealed */
    uint64_t cursor;   /* entries below: looked at */
    struct class_state classes[BODY_CLASS_COUNT];
    uint64_t rounds;
    uint64_t ended_us, began_us; /* 0: never */
    char last[SIDECAR_NAME_BYTES + 1];
    struct damaged_file damaged[SCRUB_DAMAGED_MAX];
    size_t damaged_count;
};

enum scrub_state_read { SCRUB_STATE_WHOLE, SCRUB_STATE_MISSING, SCRUB_STATE_DAMAGED };

enum scrub_state_read scrub_state_read(struct store *s, struct scrub_state *out);
bool scrub_state_write(struct store *s, const struct scrub_state *st, struct error *err);

#endif
