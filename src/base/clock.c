/* The machine's clocks. See clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t system_wall_us(const struct clock *self)
{
    struct timespec t;

    (void)self;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t system_monotonic_ms(const struct clock *self)
{
    struct timespec t;

    (void)self;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

const struct clock clock_system = { system_wall_us, system_monotonic_ms };

char *clock_rfc3339(uint64_t wall_us, char *out)
{
    time_t s = (time_t)(wall_us / 1000000);
    struct tm tm = { 0 };

    (void)gmtime_r(&s, &tm);
    (void)snprintf(out, CLOCK_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ",
                   (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)(tm.tm_mon + 1) % 100,
                   (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
                   (unsigned)tm.tm_sec % 100, (unsigned)(wall_us % 1000000));
    return out;
}
