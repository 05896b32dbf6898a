/* Queries that list records as they came: list, attention, journal; and sources, status. */
#include "vault/querying.h"

#define REPAIRED_SHOWN_US ((uint64_t)30 * 24 * 3600 * 1000000) /* what was repaired is listed for a month */

static const enum field list_fields[] = {
    FIELD_STUDY_UID,    FIELD_SERIES_UID,   FIELD_SOP_UID,      FIELD_SOP_CLASS, FIELD_TRANSFER_SYNTAX,
    FIELD_PATIENT_ID,   FIELD_ISSUER,       FIELD_PATIENT_NAME, FIELD_SOURCE,    FIELD_ADDRESS,
    FIELD_REASON,       FIELD_MESSAGE_TYPE, FIELD_TRIGGER,      FIELD_CONTROL_ID, FIELD_ACK_CODE,
    FIELD_ERROR_LOCATION, FIELD_ERROR_CODE, FIELD_CALLING_AE,
    FIELD_COMMAND_SOP_UID,
};

/* Columns: LISTED. */
static void give_objects(struct query *q, struct sql_call *c)
{
    while (!q->ended && sql_row(c)) {
        query_row(q);
        query_put_number(q, FIELD_POSITION, c, 0);
        query_put_column(q, FIELD_KIND, c, 1);
        query_put_column(q, FIELD_STATE, c, 2);
        query_put_number(q, FIELD_RECEIVED, c, 3);
        if (sqlite3_column_type(c->statement, 5) != SQLITE_NULL)
            query_put_number(q, FIELD_FIRST_POSITION, c, 5);
        QUERY_COPY(q, sql_get(c, 4), list_fields);
        query_put_column(q, FIELD_DIFFERENCE, c, 6);
        (void)query_give(q);
    }
    sql_end(c);
}

/* Positions begin at 0: without `after` the list begins before it. */
static int64_t after_of(const struct query *q)
{
    return (int64_t)fields_uint(q->request, FIELD_AFTER, UINT64_MAX);
}

bool query_list(struct query *q, struct error *err)
{
    const struct span state = query_text(q, FIELD_STATE);
    /* Nearly all are stored: those are found by walking, the others by the index of what is not. */
    struct sql_call c =
        sql_begin(&q->sql, state.len == 0 || span_equal(state, SPAN_LIT("stored")) ? Q_LIST : Q_LIST_ODD);

    (void)err;
    sql_int(&c, after_of(q));
    sql_text(&c, query_text(q, FIELD_STATE));
    sql_text(&c, query_text(q, FIELD_KIND));
    sql_int(&c, query_limit(q));
    give_objects(q, &c);
    return true;
}

/* Damage that stays, newest first, then what was repaired lately. How many rows were given. */
static int64_t give_damage(struct query *q)
{
    struct sql_call c = sql_begin(&q->sql, Q_DAMAGE);
    struct store_status s;
    int64_t given = 0;

    store_status(q->store, &s);
    sql_int(&c, s.now_us > REPAIRED_SHOWN_US ? (int64_t)(s.now_us - REPAIRED_SHOWN_US) : 0);
    sql_int(&c, query_limit(q));
    while (!q->ended && sql_row(&c)) {
        query_row(q);
        query_put_number(q, FIELD_POSITION, &c, 2);
        field_put_str(&q->row, FIELD_KIND, "file");
        query_put_column(q, FIELD_STATE, &c, 1);
        query_put_number(q, FIELD_RECEIVED, &c, 4);
        query_put_number(q, FIELD_SINCE, &c, 3);
        query_put_column(q, FIELD_FILE, &c, 0);
        query_put_column(q, FIELD_DETAIL, &c, 5);
        (void)query_give(q);
        given++;
    }
    sql_end(&c);
    return given;
}

/* Damage first: where there is more than the limit, it must not be what is left out. */
bool query_attention(struct query *q, struct error *err)
{
    const int64_t given = give_damage(q);
    struct sql_call c = sql_begin(&q->sql, Q_ATTENTION);

    (void)err;
    sql_int(&c, query_limit(q) - given);
    give_objects(q, &c);
    return true;
}

bool query_journal(struct query *q, struct error *err)
{
    static const enum field shown[] = { FIELD_EVENT, FIELD_ACTOR, FIELD_ADDRESS, FIELD_OUTCOME, FIELD_REASON,
                                        FIELD_DETAIL };
    struct sql_call c = sql_begin(&q->sql, Q_JOURNAL);

    (void)err;
    sql_int(&c, after_of(q));
    sql_int(&c, query_limit(q));
    while (!q->ended && sql_row(&c)) {
        query_row(q);
        query_put_number(q, FIELD_POSITION, &c, 0);
        query_put_number(q, FIELD_RECEIVED, &c, 1);
        QUERY_COPY(q, sql_get(&c, 2), shown);
        (void)query_give(q);
    }
    sql_end(&c);
    return true;
}

bool query_sources(struct query *q, struct error *err)
{
    struct sql_call c = sql_begin(&q->sql, Q_SOURCES);

    (void)err;
    while (!q->ended && sql_row(&c)) {
        query_row(q);
        query_put_column(q, FIELD_SOURCE, &c, 0);
        query_put_column(q, FIELD_KIND, &c, 1);
        query_put_number(q, FIELD_LATEST, &c, 2);
        query_put_number(q, FIELD_COUNT, &c, 3);
        (void)query_give(q);
    }
    sql_end(&c);
    return true;
}

/* The newest of each anchor; the fact at `position` holds all of it. */
bool query_anchored(struct query *q, struct error *err)
{
    struct sql_call c = sql_begin(&q->sql, Q_ANCHORED);

    (void)err;
    while (!q->ended && sql_row(&c)) {
        query_row(q);
        query_put_column(q, FIELD_KIND, &c, 0);
        query_put_column(q, FIELD_NAME, &c, 1);
        query_put_number(q, FIELD_POSITION, &c, 2);
        query_put_number(q, FIELD_TREE_SIZE, &c, 3);
        query_put_number(q, FIELD_STAMPED, &c, 4);
        query_put_number(q, FIELD_RECEIVED, &c, 5);
        (void)query_give(q);
    }
    sql_end(&c);
    return true;
}

/* ---- status: one row; figures are groups {name, count} ---- */

static void put_figure(struct query *q, struct span name, uint64_t count)
{
    const size_t mark = field_group_begin(&q->row, FIELD_ROW);

    field_put_text(&q->row, FIELD_NAME, name);
    field_put_uint(&q->row, FIELD_COUNT, count);
    field_group_end(&q->row, mark);
}

static void put_tallies(struct query *q)
{
    struct sql_call c = sql_begin(&q->sql, Q_TALLY);

    while (sql_row(&c))
        put_figure(q, sql_get(&c, 0), (uint64_t)sql_get_int(&c, 1));
    sql_end(&c);
}

static void put_store(struct query *q)
{
    struct store_status s;

    store_status(q->store, &s);
    field_put_uint(&q->row, FIELD_COUNT, s.size);
    field_put_bytes(&q->row, FIELD_DIGEST, span_of(s.root, sizeof s.root)); /* the tree head's */
    put_figure(q, SPAN_LIT("log_bytes"), s.log_bytes);
    put_figure(q, SPAN_LIT("body_bytes"), s.body_bytes);
    put_figure(q, SPAN_LIT("free_bytes"), s.free_bytes);
    put_figure(q, SPAN_LIT("damaged"), s.damaged);
    put_figure(q, SPAN_LIT("commits"), s.commits);
    put_figure(q, SPAN_LIT("syncs"), s.syncs);
    put_figure(q, SPAN_LIT("sealed_files"), s.sealed_files);
    put_figure(q, SPAN_LIT("unsealed_files"), s.data_files > s.sealed_files ? s.data_files - s.sealed_files : 0);
    put_figure(q, SPAN_LIT("seal_bytes"), s.seal_bytes);
    put_figure(q, SPAN_LIT("last_full_scrub"), s.scrub_ended_us);
    put_figure(q, SPAN_LIT("repaired_sectors"), s.repaired_sectors);
    put_figure(q, SPAN_LIT("damaged_files"), s.damaged_files);
    query_put_space(q, &s);
}

bool query_status(struct query *q, struct error *err)
{
    struct sql_call c;

    (void)err;
    query_row(q);
    field_put_str(&q->row, FIELD_STATE, q->enrolled ? "enrolled" : "new");
    c = sql_begin(&q->sql, Q_FOLDED);
    if (sql_row(&c))
        query_put_number(q, FIELD_POSITION, &c, 0);
    sql_end(&c);
    c = sql_begin(&q->sql, Q_CHECKED);
    if (sql_row(&c))
        query_put_number(q, FIELD_CHECKED, &c, 0);
    sql_end(&c);
    put_store(q);
    put_tallies(q);
    (void)query_give(q);
    return true;
}
