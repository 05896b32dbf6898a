/* The disk, in a status: what the reserve is, how fast it fills, how long it lasts. See space.h. */
#include "vault/querying.h"
#include "vault/space.h"

/* Below this the overhead of an almost empty vault would be taken for a rule. */
#define OVERHEAD_FROM_BYTES ((uint64_t)256 << 20)

/* Bytes of log and bodies that came in the days that count, and the first day of all; false where there was none. */
static bool read_days(struct query *q, uint64_t now_us, uint64_t *bytes, uint64_t *first_day)
{
    const int64_t today = (int64_t)(now_us / SPACE_DAY_US);
    struct sql_call c = sql_begin(&q->sql, Q_DAYS);
    bool any;

    sql_int(&c, today - SPACE_RATE_DAYS);
    sql_int(&c, today); /* what came with a clock that was ahead waits for its day */
    any = sql_row(&c) && sqlite3_column_type(c.statement, 1) != SQLITE_NULL;
    if (any) {
        *bytes = (uint64_t)sql_get_int(&c, 0);
        *first_day = (uint64_t)sql_get_int(&c, 1);
    }
    sql_end(&c);
    return any;
}

/* What the disk really gives for that many bytes: views, ledger and whatever lies beside the data take their part. */
static uint64_t with_overhead(uint64_t bytes, const struct store_status *s)
{
    const uint64_t data = s->log_bytes + s->body_bytes;

    if (data < OVERHEAD_FROM_BYTES || s->disk_bytes <= data)
        return bytes;
    return bytes + (uint64_t)((double)bytes * (double)(s->disk_bytes - data) / (double)data);
}

static enum space_level recorded_level(struct query *q)
{
    struct sql_call c = sql_begin(&q->sql, Q_SPACE_LEVEL);
    int64_t level = sql_row(&c) ? sql_get_int(&c, 0) : SPACE_FINE;

    sql_end(&c);
    return level >= SPACE_FINE && level <= SPACE_FULL ? (enum space_level)level : SPACE_FINE;
}

void query_put_space(struct query *q, const struct store_status *s)
{
    struct space_figures f = { .free_bytes = s->free_bytes, .reserve_bytes = s->reserve_bytes };
    const enum space_level recorded = recorded_level(q);
    uint64_t bytes, first_day;

    if (read_days(q, s->now_us, &bytes, &first_day))
        f.bytes_per_day = with_overhead(space_rate(bytes, first_day, s->now_us), s);
    field_put_uint(&q->row, FIELD_TOTAL_BYTES, s->total_bytes);
    field_put_uint(&q->row, FIELD_RESERVE_BYTES, s->reserve_bytes);
    field_put_uint(&q->row, FIELD_BYTES_PER_DAY, f.bytes_per_day);
    if (space_days_left(&f) != SPACE_DAYS_UNKNOWN)
        field_put_uint(&q->row, FIELD_DAYS_LEFT, space_days_left(&f));
    field_put_uint(&q->row, FIELD_SPACE_LEVEL, recorded);
    field_put_str(&q->row, FIELD_SPACE_STATE, space_level_name(space_level_next(recorded, &f)));
}
