/*
 * How long each kind of record is kept: RECORD_RULE facts (docs/erasure.md, "Retention"), folded in memory from the log at
 * each start. Without a rule everything is kept.
 */
#ifndef FANAL_VAULT_RETENTION_H
#define FANAL_VAULT_RETENTION_H

#include "base/error.h"
#include "base/span.h"

#define RETENTION_MONTHS_MAX 1200u
/* A twelfth of 365.25 days. */
#define RETENTION_MONTH_US ((uint64_t)2629800 * 1000000)
/* What a recording of an emergency call is kept where somebody asks for the usual period. */
#define RETENTION_RECORDINGS_MONTHS 60u

enum retained { RETAINED_IMAGES, RETAINED_RESULTS, RETAINED_EVENTS, RETAINED_RECORDINGS, RETAINED_COUNT };

extern const char *const retained_names[RETAINED_COUNT];

/* The kind of that name; RETAINED_COUNT for none. */
enum retained retained_of(struct span name);

/* Of one kind. */
struct retention {
    uint32_t months;   /* 0: always */
    uint64_t position; /* of the rule in force; 0: none was set */
    char actor[65];    /* who asked for it */
    char approved_by[65];
    struct {
        uint64_t position; /* of the newest request that is open; 0: none */
        uint64_t until_us;
        uint32_t months;
        char actor[65];
    } asked;
};

/* One fact, newer than all before it. A fact it does not know changes nothing. */
bool retention_apply(struct retention kinds[RETAINED_COUNT], uint64_t position, struct span facts, struct error *err);

/* Whether a rule keeps less than another: what one person may not decide. 0 months is longest. */
bool retention_is_shorter(uint32_t months, uint32_t than);

#endif
