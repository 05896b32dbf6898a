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

/*
 * Year, month and day of a day counted from 1970-01-01, by whole 400-year eras that begin on 1 March. gmtime_r() would
 * read /etc/localtime on its first call, which in a sandbox ends the process.
 */
static void civil_date(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    uint64_t shifted = days + 719468; /* days from 0000-03-01 to 1970-01-01 */
    uint64_t era = shifted / 146097, day_of_era = shifted % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;

    *day = (unsigned)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *month = (unsigned)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *year = (unsigned)(year_of_era + era * 400 + (*month <= 2 ? 1 : 0));
}

char *clock_rfc3339(uint64_t wall_us, char *out)
{
    uint64_t s = wall_us / 1000000;
    unsigned year, month, day;

    civil_date(s / 86400, &year, &month, &day);
    (void)snprintf(out, CLOCK_RFC3339_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", year % 10000, month % 100, day % 100,
                   (unsigned)(s % 86400 / 3600), (unsigned)(s % 3600 / 60), (unsigned)(s % 60),
                   (unsigned)(wall_us % 1000000));
    return out;
}
