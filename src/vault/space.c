/* Free space: floors, grants, forecast. See space.h. */
#include "vault/space.h"

#include <sys/statvfs.h>

static uint64_t least_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

struct space_floors space_floors_of(uint64_t reserve, uint64_t total_bytes)
{
    struct space_floors f;

    f.objects = reserve > 0 ? least_of(reserve, total_bytes / 2)
                            : least_of(SPACE_RESERVE_DEFAULT, total_bytes / SPACE_RESERVE_SHARE);
    f.records = least_of(f.objects / SPACE_RECORDS_SHARE, SPACE_RECORDS_MOST);
    return f;
}

bool space_init(struct space *s, const struct disk *disk, const struct clock *clock, uint64_t reserve, struct error *err)
{
    struct statvfs st;

    if (statvfs(disk->root, &st) != 0)
        return error_errno(err, "size of the file system");
    s->disk = disk;
    s->clock = clock;
    s->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    s->floors = space_floors_of(reserve, s->total_bytes);
    return true;
}

static bool ask(struct space *s, struct error *err)
{
    if (!disk_free_bytes(s->disk, &s->free_bytes, err))
        return false;
    s->asked = true;
    s->asked_ms = clock_monotonic_ms(s->clock);
    s->granted = 0;
    return true;
}

bool space_grant(struct space *s, enum space_use use, uint64_t bytes, struct error *err)
{
    const uint64_t need = (use == SPACE_OBJECTS ? s->floors.objects : s->floors.records) + bytes
                          + atomic_load(&s->waiting);

    if ((!s->asked || s->granted > SPACE_ASK_BYTES || clock_monotonic_ms(s->clock) - s->asked_ms > SPACE_ASK_MS
         || s->free_bytes < need + s->granted + SPACE_ASK_BYTES)
        && !ask(s, err))
        return false;
    if (s->free_bytes < need + s->granted)
        return error_set(err, ERR_NO_SPACE, "%s", use == SPACE_OBJECTS ? "less than the reserve is free"
                                                                        : "even the space of records is used up");
    s->granted += bytes;
    return true;
}

/* ---- how long it lasts ---- */

static const struct {
    const char *name;
    unsigned days;
} levels[SPACE_LEVEL_COUNT] = {
    [SPACE_FINE] = { "ok", 0 },         [SPACE_30_DAYS] = { "days-30", 30 }, [SPACE_15_DAYS] = { "days-15", 15 },
    [SPACE_5_DAYS] = { "days-5", 5 },   [SPACE_FULL] = { "full", 0 },
};

const char *space_level_name(enum space_level level)
{
    return levels[level].name;
}

unsigned space_level_days(enum space_level level)
{
    return levels[level].days;
}

uint64_t space_rate(uint64_t bytes, uint64_t first_day, uint64_t now_us)
{
    const uint64_t today = now_us / SPACE_DAY_US;
    const uint64_t from = first_day + SPACE_RATE_DAYS > today ? first_day : today - SPACE_RATE_DAYS;
    const uint64_t seconds = from < today ? (now_us - from * SPACE_DAY_US) / 1000000 : 86400;

    return bytes / seconds * 86400 + bytes % seconds * 86400 / seconds;
}

uint64_t space_days_left(const struct space_figures *f)
{
    if (f->free_bytes <= f->reserve_bytes)
        return 0;
    return f->bytes_per_day == 0 ? SPACE_DAYS_UNKNOWN : (f->free_bytes - f->reserve_bytes) / f->bytes_per_day;
}

/* The level of that many days where each threshold is stretched by stretch / 5. */
static enum space_level level_of(uint64_t days, unsigned stretch)
{
    enum space_level level = SPACE_FINE;

    for (unsigned l = SPACE_30_DAYS; l <= SPACE_5_DAYS; l++)
        if (days <= (uint64_t)levels[l].days * stretch / 5)
            level = (enum space_level)l;
    return level;
}

enum space_level space_level_next(enum space_level now, const struct space_figures *f)
{
    const uint64_t days = space_days_left(f);
    enum space_level worse = f->free_bytes < f->reserve_bytes ? SPACE_FULL : level_of(days, 5);
    enum space_level better = level_of(days, 6);

    if (worse >= now)
        return worse;
    if (now == SPACE_FULL && f->free_bytes < f->reserve_bytes + f->reserve_bytes / 16)
        return now;
    return better < now ? better : now;
}
