/* Moments as sent. See moment.h. */
#include "record/moment.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reader.h"

#define ZONE_FILE_MAX ((size_t)64 * 1024)

int32_t zone_offset(const struct zone *z, int64_t utc_s)
{
    size_t low = 0, high = z->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (z->from_s[middle] <= utc_s)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? z->first_offset_s : z->offset_s[low - 1];
}

int64_t zone_to_utc(const struct zone *z, int64_t local_s)
{
    const int32_t day_s = 86400; /* no zone changes twice in two days */
    const int32_t before = zone_offset(z, local_s - day_s), after = zone_offset(z, local_s + day_s);

    /* In an hour that comes twice both fit: the one before the change. In one that never comes, neither: likewise. */
    if (zone_offset(z, local_s - before) == before || zone_offset(z, local_s - after) != after)
        return local_s - before;
    return local_s - after;
}

/* RFC 8536 §3.1: what follows the header, for times of `width` bytes. */
struct tzif_counts {
    uint32_t isut, isstd, leap, time, type, chars;
};

static bool tzif_header(struct reader *r, struct tzif_counts *out, uint8_t *version)
{
    const struct span magic = read_span(r, 4);

    *version = read_u8(r);
    read_skip(r, 15);
    *out = (struct tzif_counts){ .isut = read_u32be(r), .isstd = read_u32be(r), .leap = read_u32be(r),
                                 .time = read_u32be(r), .type = read_u32be(r), .chars = read_u32be(r) };
    return !r->dry && span_equal(magic, SPAN_LIT("TZif")) && out->time <= ZONE_FILE_MAX && out->type <= 256
           && out->chars <= ZONE_FILE_MAX && out->leap <= ZONE_FILE_MAX && out->isut <= 256 && out->isstd <= 256;
}

static bool tzif_body(struct reader *r, const struct tzif_counts *c, struct zone *out)
{
    struct reader times = reader_over(read_span(r, (size_t)c->time * 8));
    struct reader kinds = reader_over(read_span(r, c->time));
    int32_t offsets[256] = { 0 };
    size_t skip = c->time > ZONE_CHANGES_MAX ? c->time - ZONE_CHANGES_MAX : 0; /* the oldest */

    for (uint32_t i = 0; i < c->type; i++) {
        offsets[i] = (int32_t)read_u32be(r);
        read_skip(r, 2);
    }
    if (r->dry || c->type == 0)
        return false;
    *out = (struct zone){ .first_offset_s = offsets[0] };
    for (uint32_t i = 0; i < c->time; i++) {
        int64_t from = (int64_t)read_u64be(&times);
        uint8_t kind = read_u8(&kinds);

        if (kind >= c->type)
            return false;
        if (i < skip)
            continue;
        out->from_s[out->count] = from;
        out->offset_s[out->count++] = offsets[kind];
    }
    return true;
}

static bool zone_decode(struct span file, struct zone *out)
{
    struct reader r = reader_over(file);
    struct tzif_counts c;
    uint8_t version;

    if (!tzif_header(&r, &c, &version) || version < '2')
        return false;
    read_skip(&r, (size_t)c.time * 5 + (size_t)c.type * 6 + c.chars + (size_t)c.leap * 8 + c.isstd + c.isut);
    return tzif_header(&r, &c, &version) && tzif_body(&r, &c, out);
}

static bool name_is_plain(const char *name)
{
    if (name[0] == '/' || name[0] == '\0' || strstr(name, "..") != NULL)
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/") == strlen(name);
}

bool zone_load(const char *name, struct zone *out, struct error *err)
{
    char path[PATH_MAX];
    struct writer w = writer_new(ZONE_FILE_MAX);
    struct zone z;
    bool ok;

    if (!name_is_plain(name))
        return error_set(err, ERR_MALFORMED, "time zone \"%.40s\" is no name", name);
    if (!path_join(path, sizeof path, ZONE_DIRECTORY, name, err))
        return false;
    if (access(path, R_OK) != 0)
        return error_set(err, ERR_NOT_FOUND, "time zone \"%.40s\" is not known", name);
    ok = file_slurp(path, &w, err);
    if (ok && !zone_decode(writer_span(&w), &z))
        ok = error_set(err, ERR_MALFORMED, "time zone \"%.40s\" cannot be read", name);
    writer_done(&w);
    if (ok)
        *out = z;
    return ok;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
    const int64_t year = m <= 2 ? y - 1 : y, era = year / 400, year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static bool is_digit(struct span s, size_t at)
{
    return at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9';
}

/* `len` digits at *at, between low and high; false without moving where they are not there. */
static bool take_number(struct span s, size_t *at, size_t len, int64_t low, int64_t high, int64_t *out)
{
    int64_t v = 0;

    for (size_t i = 0; i < len; i++) {
        if (!is_digit(s, *at + i))
            return false;
        v = v * 10 + (s.ptr[*at + i] - '0');
    }
    if (v < low || v > high)
        return false;
    *at += len;
    *out = v;
    return true;
}

/* +HHMM or -HHMM at `at`, to the end. */
static bool take_offset(struct span s, size_t at, int64_t *out_s)
{
    int64_t h, m;
    const bool west = at < s.len && s.ptr[at] == '-';

    if (at >= s.len || (s.ptr[at] != '+' && s.ptr[at] != '-'))
        return false;
    at++;
    if (!take_number(s, &at, 2, 0, 14, &h) || !take_number(s, &at, 2, 0, 59, &m) || at != s.len)
        return false;
    *out_s = (west ? -1 : 1) * (h * 3600 + m * 60);
    return true;
}

static int64_t take_fraction_us(struct span s, size_t *at)
{
    int64_t us = 0, unit = 100000;

    if (*at >= s.len || s.ptr[*at] != '.')
        return 0;
    for (++*at; is_digit(s, *at); ++*at, unit /= 10)
        us += unit * (s.ptr[*at] - '0');
    return us;
}

bool moment_parse(struct span text, struct span zone_text, const struct zone *zone, int64_t *out_us)
{
    const struct {
        size_t len;
        int64_t low, high;
    } parts[] = { { 2, 1, 12 }, { 2, 1, 31 }, { 2, 0, 23 }, { 2, 0, 59 }, { 2, 0, 60 } };
    int64_t v[5] = { 1, 1, 0, 0, 0 }, year, local, fraction, offset;
    struct span s = span_trim(text, " ");
    size_t at = 0;

    if (!take_number(s, &at, 4, 1, 9999, &year))
        return false;
    for (size_t i = 0; i < COUNT_OF(parts) && is_digit(s, at); i++)
        if (!take_number(s, &at, parts[i].len, parts[i].low, parts[i].high, &v[i]))
            return false;
    local = days_of(year, v[0], v[1]) * 86400 + v[2] * 3600 + v[3] * 60 + v[4];
    fraction = take_fraction_us(s, &at);
    if (at < s.len ? take_offset(s, at, &offset) : take_offset(span_trim(zone_text, " "), 0, &offset))
        *out_us = (local - offset) * 1000000 + fraction;
    else if (at < s.len)
        return false;
    else
        *out_us = zone_to_utc(zone, local) * 1000000 + fraction;
    return true;
}
