/*
 * Time, passed in so that a test can hold it.
 *
 * Ages and receipt times use the wall clock; timers use the monotonic one.
 */
#ifndef FANAL_BASE_CLOCK_H
#define FANAL_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    /* microseconds since 1970-01-01T00:00:00Z */
    uint64_t (*wall_us)(const struct clock *self);
    /* milliseconds since some fixed moment; never goes back */
    uint64_t (*monotonic_ms)(const struct clock *self);
};

/* The machine's clocks. */
extern const struct clock clock_system;

static inline uint64_t clock_wall_us(const struct clock *c)
{
    return c->wall_us(c);
}

static inline uint64_t clock_monotonic_ms(const struct clock *c)
{
    return c->monotonic_ms(c);
}

#define CLOCK_RFC3339_SIZE 28 /* "2026-11-23T19:18:24.123456Z" and a NUL */

/* RFC 3339 in UTC with microseconds, into out[CLOCK_RFC3339_SIZE]; returns out. */
char *clock_rfc3339(uint64_t wall_us, char *out);

#endif
