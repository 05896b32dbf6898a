#include "record/moment.h"

#include "../test.h"

#define S INT64_C(1000000)

TEST(moments_are_put_in_order)
{
    static const struct {
        const char *name, *text, *zone;
        bool ok;
        int64_t us;
    } rows[] = {
        { "with offset", "20231110101500+0000", "", true, 1699611300 * S },
        { "west", "20231110051500-0500", "", true, 1699611300 * S },
        { "fraction", "20231110101500.25+0000", "", true, 1699611300 * S + 250000 },
        { "zone beside", "20231110111500", "+0100", true, 1699611300 * S },
        { "its own zone wins", "20231110101500+0000", "+0100", true, 1699611300 * S },
        { "site's winter", "20231110111500", "", true, 1699611300 * S },
        { "site's summer", "20230710121500", "", true, 1688984100 * S },
        { "an hour that comes twice is the first", "20231029023000", "", true, 1698539400 * S },
        { "an hour that never comes", "20230326023000", "", true, 1679794200 * S },
        { "minutes", "202311101115", "", true, 1699611300 * S },
        { "day", "20231110", "+0000", true, 1699574400 * S },
        { "year", "2023", "+0000", true, 1672531200 * S },
        { "leap day", "20240229", "+0000", true, 1709164800 * S },
        { "before 1970", "19570203", "+0000", true, -407376000 * S },
        { "spaces around", " 20231110 ", "+0000", true, 1699574400 * S },
        { "empty", "", "", false, 0 },
        { "letters", "yesterday", "", false, 0 },
        { "month 13", "20231301", "", false, 0 },
        { "hour 25", "2023111025", "", false, 0 },
        { "odd digits", "202311101", "", false, 0 },
        { "something behind", "20231110Z", "", false, 0 },
        { "offset out of range", "20231110+9900", "", false, 0 },
    };
    struct zone paris;
    struct error err;

    CHECK(zone_load("Europe/Paris", &paris, &err));
    EACH (row, rows) {
        int64_t us = 0;

        CHECK_ROW(row->name, moment_parse(span_str(row->text), span_str(row->zone), &paris, &us) == row->ok);
        CHECK_ROW(row->name, us == row->us);
    }
}

TEST(a_zone_has_a_plain_name)
{
    static const struct {
        const char *name;
        enum error_code want;
    } rows[] = {
        { "", ERR_MALFORMED },          { "/etc/passwd", ERR_MALFORMED },      { "../../../etc/passwd", ERR_MALFORMED },
        { "Europe/Nowhere", ERR_NOT_FOUND }, { "Europe/Paris\n", ERR_MALFORMED }, { "tzdata.zi", ERR_MALFORMED },
    };

    EACH (row, rows) {
        struct zone z;
        struct error err = { 0 };

        CHECK_ROW(row->name, !zone_load(row->name, &z, &err) && err.code == row->want);
    }
}

TESTS(T(moments_are_put_in_order), T(a_zone_has_a_plain_name))
