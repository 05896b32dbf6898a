/*
 * What is left of the file system, and who may still use it (docs/format.md, "A disk that fills"); and how many days it
 * lasts at the rate that was measured (docs/operations.md, "The disk").
 *
 * Nothing here deletes anything: space that is short is refused, in two steps.
 */
#ifndef FANAL_VAULT_SPACE_H
#define FANAL_VAULT_SPACE_H

#include <stdatomic.h>

#include "base/clock.h"
#include "vault/disk.h"

#define SPACE_RESERVE_DEFAULT ((uint64_t)2 << 30)  /* free bytes that objects leave alone … */
#define SPACE_RESERVE_SHARE   20                   /* … at most this part of the file system */
#define SPACE_RESERVE_LEAST   ((uint64_t)16 << 20) /* what a configuration may say; less only where the disk is tiny */
#define SPACE_RESERVE_MOST    ((uint64_t)1 << 40)
#define SPACE_RECORDS_SHARE   8                    /* part of the reserve that even events leave alone … */
#define SPACE_RECORDS_MOST    ((uint64_t)64 << 20) /* … at most: keyring, confirm files, ledger, views fit many times */

enum space_use {
    SPACE_OBJECTS, /* bodies and their entries */
    SPACE_RECORDS, /* events, facts, rules; what confirms them and the views asks nobody */
};

struct space_floors {
    uint64_t objects; /* fewer free bytes: no object is taken */
    uint64_t records; /* fewer: no entry at all */
};

/* reserve: what was configured, 0 for the default; never more than half of the file system. */
struct space_floors space_floors_of(uint64_t reserve, uint64_t total_bytes);

/* Asks the file system now and then. The owner's, but for `waiting`. */
struct space {
    const struct disk *disk;
    const struct clock *clock;
    struct space_floors floors;
    uint64_t total_bytes;
    _Atomic uint64_t waiting; /* bytes accepted and not written yet */
    bool asked;
    uint64_t asked_ms;
    uint64_t free_bytes; /* as asked, less what was granted since */
    uint64_t granted;
};

bool space_init(struct space *s, const struct disk *disk, const struct clock *clock, uint64_t reserve, struct error *err);

/*
 * May `bytes` more be written for that use? ERR_NO_SPACE. Asks the system where more than SPACE_ASK_BYTES were granted, or
 * SPACE_ASK_MS have passed, or the floor is near.
 */
#define SPACE_ASK_BYTES ((uint64_t)8 << 20)
#define SPACE_ASK_MS    100
bool space_grant(struct space *s, enum space_use use, uint64_t bytes, struct error *err);

/* ---- how long it lasts ---- */

/* Alarms, in the order in which they get worse. */
enum space_level { SPACE_FINE, SPACE_30_DAYS, SPACE_15_DAYS, SPACE_5_DAYS, SPACE_FULL };
#define SPACE_LEVEL_COUNT 5

/* "ok", "days-30", "days-15", "days-5", "full": for programs. */
const char *space_level_name(enum space_level level);
unsigned space_level_days(enum space_level level); /* 30, 15, 5; 0 for the others */

#define SPACE_RATE_DAYS   7          /* a hospital's week: nights and Sundays are in the mean */
#define SPACE_DAYS_UNKNOWN UINT64_MAX /* nothing was stored lately: no forecast */
#define SPACE_DAY_US      ((uint64_t)86400 * 1000000)

/*
 * Bytes a day: what was received in the SPACE_RATE_DAYS before today and today, over the time since then or since the
 * first day there is, at least one day (a first hour's import is no day's rate times 24).
 */
uint64_t space_rate(uint64_t bytes, uint64_t first_day, uint64_t now_us);

struct space_figures {
    uint64_t free_bytes, reserve_bytes;
    uint64_t bytes_per_day; /* 0: unknown */
};

/* Whole days until the reserve is reached; SPACE_DAYS_UNKNOWN. */
uint64_t space_days_left(const struct space_figures *f);

/* The level after `now`: it gets worse at once and better only with a fifth to spare, so that it does not flutter. */
enum space_level space_level_next(enum space_level now, const struct space_figures *f);

#endif
