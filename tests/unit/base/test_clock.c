/* Dates from microseconds, without the C library's time zones. */
#include "base/clock.h"

#include "../test.h"

TEST(rfc_3339_in_utc)
{
    static const struct {
        uint64_t s, us;
        const char *text;
    } rows[] = {
        { 0, 0, "1970-01-01T00:00:00.000000Z" },
        { 68169599, 999999, "1972-02-28T23:59:59.999999Z" },
        { 68169600, 0, "1972-02-29T00:00:00.000000Z" },
        { 951782400, 1, "2000-02-29T00:00:00.000001Z" },
        { 951868800, 0, "2000-03-01T00:00:00.000000Z" },
        { 1700000000, 123456, "2023-11-14T22:13:20.123456Z" },
        { 4107542399, 0, "2100-02-28T23:59:59.000000Z" },
        { 4107542400, 0, "2100-03-01T00:00:00.000000Z" }, /* 2100 is no leap year */
        { 253402300799, 999999, "9999-12-31T23:59:59.999999Z" },
    };

    EACH (row, rows) {
        char out[CLOCK_RFC3339_SIZE];

        CHECK_ROW(row->text, strcmp(clock_rfc3339(row->s * 1000000 + row->us, out), row->text) == 0);
    }
}

TESTS(T(rfc_3339_in_utc))
