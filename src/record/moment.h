/*
 * Moments as sent (DICOM DA, TM, DT; HL7 DTM) as a number, for putting them in order.
 *
 * What is shown is always the text as sent; the number decides only what came before what. A time without a
 * zone is taken in the zone given.
 */
#ifndef FANAL_RECORD_MOMENT_H
#define FANAL_RECORD_MOMENT_H

#include "base/error.h"
#include "base/span.h"

#define ZONE_DIRECTORY "/usr/share/zoneinfo" /* what zone_load() reads */

/* A time zone: UTC offsets by moment, from the machine's zoneinfo (RFC 8536). A plain value. */
#define ZONE_CHANGES_MAX 512

struct zone {
    size_t count;
    int64_t from_s[ZONE_CHANGES_MAX];    /* UTC seconds */
    int32_t offset_s[ZONE_CHANGES_MAX];  /* in force from then on */
    int32_t first_offset_s;              /* before */
};

/* UTC for ever. */
static inline struct zone zone_utc(void)
{
    return (struct zone){ .count = 0 };
}

/* A name such as "Europe/Paris". ERR_NOT_FOUND, ERR_MALFORMED. */
bool zone_load(const char *name, struct zone *out, struct error *err);

/* Offset of local time of that zone at a UTC moment, and the moment of a local time (the earlier of two). */
int32_t zone_offset(const struct zone *z, int64_t utc_s);
int64_t zone_to_utc(const struct zone *z, int64_t local_s);

/*
 * YYYY[MM[DD[HH[MM[SS[.F…]]]]]][+HHMM|-HHMM] to µs since 1970 UTC; parts not given are the first possible.
 * zone_text: an offset (+HHMM) that applies where the text has none, else empty. False where the text is none
 * of this (then *out is untouched): nothing is put in order by it.
 */
bool moment_parse(struct span text, struct span zone_text, const struct zone *zone, int64_t *out_us);

#endif
