/*
 * Free space: who may still use it, how long it lasts, when that is said. The file system's figures are a test's own.
 */
#include <errno.h>

#include "store_test.h"
#include "vault/space.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

TEST(the_reserve_follows_the_disk_where_nobody_chose)
{
    static const struct {
        const char *name;
        uint64_t reserve, total, objects, records;
    } rows[] = {
        { "a large disk", 0, 4000 * GIB, 2 * GIB, 64 * MIB },
        { "a small disk: a twentieth", 0, 20 * GIB, GIB, 64 * MIB },
        { "a tiny one", 0, 160 * MIB, 8 * MIB, MIB },
        { "as configured", 100 * GIB, 4000 * GIB, 100 * GIB, 64 * MIB },
        { "configured beyond half of the disk", 100 * GIB, 20 * GIB, 10 * GIB, 64 * MIB },
        { "the least", 16 * MIB, 20 * GIB, 16 * MIB, 2 * MIB },
    };
    EACH(row, rows)
    {
        struct space_floors f = space_floors_of(row->reserve, row->total);

        CHECK_ROW(row->name, f.objects == row->objects && f.records == row->records);
    }
}

/* ---- grants ---- */

struct gauge {
    uint64_t free_bytes;
    unsigned asked;
    int error;
};

static int gauge_free_bytes(void *context, const char *path, uint64_t *out)
{
    struct gauge *g = context;

    (void)path;
    g->asked++;
    *out = g->free_bytes;
    errno = g->error;
    return g->error == 0 ? 0 : -1;
}

static uint64_t now_ms;

static uint64_t turned_monotonic(const struct clock *c)
{
    (void)c;
    return now_ms;
}

static const struct clock turned_clock = { test_wall, turned_monotonic };
static const struct file_ops gauge_ops = { .free_bytes = gauge_free_bytes };

static void space_of(struct space *s, struct disk *d, struct gauge *g)
{
    *d = (struct disk){ .ops = &gauge_ops, .context = g };
    *s = (struct space){ .disk = d,
                         .clock = &turned_clock,
                         .floors = { .objects = 100 * MIB, .records = 10 * MIB } };
}

TEST(objects_stop_at_the_reserve_and_records_at_their_floor)
{
    static const struct {
        const char *name;
        uint64_t free_bytes, bytes, waiting;
        bool objects, records;
    } rows[] = {
        { "plenty", GIB, MIB, 0, true, true },
        { "the reserve exactly", 100 * MIB, 0, 0, true, true },
        { "a byte below it", 100 * MIB - 1, 0, 0, false, true },
        { "an object that would reach into it", 100 * MIB + 5, 6, 0, false, true },
        { "what waits counts", 101 * MIB, 0, 2 * MIB, false, true },
        { "the floor of records exactly", 10 * MIB, 0, 0, false, true },
        { "below it", 10 * MIB - 1, 0, 0, false, false },
        { "nothing at all", 0, 1, 0, false, false },
    };
    EACH(row, rows)
    {
        struct gauge g = { .free_bytes = row->free_bytes };
        struct error err = { 0 };
        struct space s;
        struct disk d;

        space_of(&s, &d, &g);
        atomic_store(&s.waiting, row->waiting);
        CHECK_ROW(row->name, space_grant(&s, SPACE_RECORDS, row->bytes, &err) == row->records);
        CHECK_ROW(row->name, space_grant(&s, SPACE_OBJECTS, row->bytes, &err) == row->objects);
        CHECK_ROW(row->name, row->objects || err.code == ERR_NO_SPACE);
    }
}

TEST(the_system_is_asked_now_and_then_and_near_the_floor_always)
{
    struct gauge g = { .free_bytes = GIB };
    struct error err = { 0 };
    struct space s;
    struct disk d;

    space_of(&s, &d, &g);
    now_ms = 1000;
    for (unsigned i = 0; i < 64; i++) /* 4 MiB */
        CHECK(space_grant(&s, SPACE_OBJECTS, 65536, &err));
    CHECK(g.asked == 1);
    for (unsigned i = 0; i < 256; i++) /* 16 MiB more */
        CHECK(space_grant(&s, SPACE_OBJECTS, 65536, &err));
    CHECK(g.asked == 3);
    now_ms += SPACE_ASK_MS + 1;
    CHECK(space_grant(&s, SPACE_OBJECTS, 1, &err) && g.asked == 4);
    g.free_bytes = 101 * MIB;
    now_ms += SPACE_ASK_MS + 1;
    CHECK(space_grant(&s, SPACE_OBJECTS, 1, &err) && g.asked == 5);
    g.free_bytes = 0; /* somebody else took it */
    CHECK(!space_grant(&s, SPACE_OBJECTS, 1, &err) && err.code == ERR_NO_SPACE);
    g.free_bytes = GIB; /* and gave it back: taken at once */
    CHECK(space_grant(&s, SPACE_OBJECTS, 1, &err));
    g.error = EIO;
    now_ms += SPACE_ASK_MS + 1;
    CHECK(!space_grant(&s, SPACE_OBJECTS, 1, &err) && err.code == ERR_IO);
}

/* ---- how long it lasts ---- */

#define DAY(n)     ((uint64_t)(n) * SPACE_DAY_US)
#define HOURS(n)   ((uint64_t)(n) * 3600 * 1000000)
#define FIRST_DAY  UINT64_C(20000)

TEST(the_rate_is_a_weeks_mean_and_a_first_hour_is_no_day)
{
    static const struct {
        const char *name;
        uint64_t bytes, first_day, now_us, want;
    } rows[] = {
        { "the first hour counts as a day", GIB, FIRST_DAY, DAY(FIRST_DAY) + HOURS(1), GIB },
        { "the first midnight", GIB, FIRST_DAY, DAY(FIRST_DAY), GIB },
        { "a day and a half", 3 * GIB, FIRST_DAY, DAY(FIRST_DAY) + HOURS(36), 2 * GIB },
        { "a week and more: the last seven days and today", 15 * GIB, FIRST_DAY, DAY(FIRST_DAY + 40) + HOURS(12),
          2 * GIB },
        { "nothing lately", 0, FIRST_DAY, DAY(FIRST_DAY + 40), 0 },
        { "a clock that went back", GIB, FIRST_DAY + 3, DAY(FIRST_DAY), GIB },
        { "more than any disk", UINT64_MAX, FIRST_DAY, DAY(FIRST_DAY) + HOURS(24), UINT64_MAX - UINT64_MAX % 86400 },
    };
    EACH(row, rows)
    {
        uint64_t got = space_rate(row->bytes, row->first_day, row->now_us);

        CHECK_ROW(row->name, got == row->want || (row->bytes == UINT64_MAX && got >= UINT64_MAX - 86400));
    }
}

/* free: days at 1 GiB a day above a reserve of 1 GiB. */
static enum space_level level_at(enum space_level now, uint64_t days)
{
    const struct space_figures f = { .free_bytes = (days + 1) * GIB, .reserve_bytes = GIB, .bytes_per_day = GIB };

    return space_level_next(now, &f);
}

TEST(levels_get_worse_at_once_and_better_with_a_fifth_to_spare)
{
    static const struct {
        uint64_t days;
        enum space_level want;
    } rows[] = { { 100, SPACE_FINE },    { 31, SPACE_FINE },    { 30, SPACE_30_DAYS }, { 35, SPACE_30_DAYS },
                 { 29, SPACE_30_DAYS },  { 36, SPACE_30_DAYS }, { 37, SPACE_FINE },    { 15, SPACE_15_DAYS },
                 { 18, SPACE_15_DAYS },  { 19, SPACE_30_DAYS }, { 5, SPACE_5_DAYS },   { 6, SPACE_5_DAYS },
                 { 7, SPACE_15_DAYS },   { 0, SPACE_5_DAYS },   { 200, SPACE_FINE },   { 3, SPACE_5_DAYS } };
    enum space_level level = SPACE_FINE;

    EACH(row, rows)
    {
        level = level_at(level, row->days);
        CHECK(level == row->want);
    }
}

TEST(full_is_said_until_there_is_room_to_speak_of)
{
    struct space_figures f = { .free_bytes = GIB - 1, .reserve_bytes = GIB, .bytes_per_day = GIB };

    CHECK(space_level_next(SPACE_FINE, &f) == SPACE_FULL && space_days_left(&f) == 0);
    f.free_bytes = GIB + MIB;
    CHECK(space_level_next(SPACE_FULL, &f) == SPACE_FULL);
    f.free_bytes = GIB + GIB / 16;
    CHECK(space_level_next(SPACE_FULL, &f) == SPACE_5_DAYS);
    f.bytes_per_day = 0; /* nothing came for a week */
    CHECK(space_days_left(&f) == SPACE_DAYS_UNKNOWN && space_level_next(SPACE_FULL, &f) == SPACE_FINE);
}

TESTS(T(the_reserve_follows_the_disk_where_nobody_chose), T(objects_stop_at_the_reserve_and_records_at_their_floor),
      T(the_system_is_asked_now_and_then_and_near_the_floor_always),
      T(the_rate_is_a_weeks_mean_and_a_first_hour_is_no_day), T(levels_get_worse_at_once_and_better_with_a_fifth_to_spare),
      T(full_is_said_until_there_is_room_to_speak_of))
