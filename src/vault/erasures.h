/*
 * Requests for erasure, tombstones and legal holds: RECORD_RULE facts (docs/erasure.md), folded in memory from the log at
 * each start like the accounts, whose lock and life they share (rules.h). Units are known by slot and tag alone.
 */
#ifndef FANAL_VAULT_ERASURES_H
#define FANAL_VAULT_ERASURES_H

#include "vault/keyring.h"

#define ERASURE_UNITS_MAX  10000u /* of one request: a fact holds them all */
#define ERASURE_REASON_MAX 400u

struct erasure_unit {
    uint32_t slot;
    uint8_t tag[KEYRING_TAG_BYTES];
    uint64_t count;          /* objects and messages in it when it was asked */
    uint64_t other_count;    /* of these, what was not meant but shares the unit */
    uint64_t first_position; /* of its first record, from which what it is can be read until it is erased */
};

enum erasure_state { ERASURE_REQUESTED, ERASURE_APPROVED, ERASURE_WITHDRAWN, ERASURE_DONE };

/* Lists are owned by the struct erasures and stay until it is freed. */
struct erasure {
    uint64_t position; /* of the request: its number */
    uint64_t until_us;
    uint64_t walked; /* records below it were looked at for the request */
    enum erasure_state state;
    char actor[65], approved_by[65];
    struct span reason;
    uint64_t tombstone; /* position; 0: none yet */
    const struct erasure_unit *units;
    size_t unit_count;
};

struct hold {
    uint64_t position;
    char actor[65], lift_asked_by[65];
    uint64_t lift_asked_at; /* position, 0: nobody asked */
    struct span reason;
    bool lifted;
    const struct erasure_unit *units; /* slot, tag, first_position */
    size_t unit_count;
    const uint8_t (*tags)[KEYRING_TAG_BYTES]; /* of patients held: also what comes later */
    size_t tag_count;
};

struct erasures;

struct erasures *erasures_new(void); /* NULL without memory */
void erasures_free(struct erasures *e);

/* One fact, newer than all before it; whoever calls holds the rules' lock. A fact it does not know changes nothing. */
bool erasures_apply(struct erasures *e, uint64_t position, struct span facts, struct error *err);

size_t erasures_count(const struct erasures *e);
const struct erasure *erasures_at(const struct erasures *e, size_t n);
size_t holds_count(const struct erasures *e);
const struct hold *holds_at(const struct erasures *e, size_t n);
/* Tombstones so far: what views must have been made after. */
uint64_t erasures_tombstones(const struct erasures *e);

struct store;
/* Destroys the keys of its units. *due: how many were still there. */
bool erasure_apply(struct store *s, const struct erasure *e, size_t *due, struct error *err);

/* Writes a unit as a group. */
void erasure_unit_put(struct writer *w, const struct erasure_unit *u);

#endif
