/* Queries for reports and observations: the current version, what it replaced, what was before it. */
#include "vault/querying.h"

/* Every field of an observation that may be there; the rest of the row comes from columns. */
static const enum field observation_fields[] = {
    FIELD_CODE,           FIELD_CODE_TEXT,       FIELD_CODE_SYSTEM,     FIELD_SUB_ID,          FIELD_VALUE,
    FIELD_VALUE_TYPE,     FIELD_UNITS,           FIELD_REFERENCE_RANGE, FIELD_ABNORMAL_FLAGS,  FIELD_STATUS,
    FIELD_OBSERVED,       FIELD_COLLECTED,       FIELD_REPORTED,        FIELD_ZONE,            FIELD_NOTE,
    FIELD_SERVICE_TEXT,   FIELD_MIME_TYPE,       FIELD_DOCUMENT_TITLE,  FIELD_DOCUMENT_OFFSET, FIELD_DOCUMENT_LENGTH,
    FIELD_DOCUMENT_ENCODING, FIELD_METHOD,       FIELD_PRODUCER,        FIELD_SPECIMEN,
};
static const enum field previous_fields[] = { FIELD_VALUE, FIELD_UNITS, FIELD_STATUS, FIELD_OBSERVED, FIELD_COLLECTED,
                                              FIELD_ABNORMAL_FLAGS };
static const enum field replaced_fields[] = { FIELD_VALUE, FIELD_UNITS, FIELD_STATUS, FIELD_ABNORMAL_FLAGS };

/* What makes two versions of an observation say the same. */
static bool says_the_same(struct span a, struct span b)
{
    static const enum field compared[] = { FIELD_VALUE, FIELD_UNITS, FIELD_STATUS, FIELD_ABNORMAL_FLAGS,
                                           FIELD_REFERENCE_RANGE };
    for (size_t i = 0; i < COUNT_OF(compared); i++)
        if (!span_equal(fields_text(a, compared[i]), fields_text(b, compared[i])))
            return false;
    return true;
}

/* Versions the current one replaced, newest first; one that repeats the version after it (a resend) is no change. */
static void put_replaced(struct query *q, int64_t observation, int64_t current, struct span current_facts)
{
    struct sql_call c = sql_begin(&q->sql, Q_REPLACED);
    struct span after = current_facts;

    writer_reset(&q->scratch);
    sql_int(&c, observation);
    sql_int(&c, current);
    while (sql_row(&c)) {
        const struct span facts = sql_get(&c, 2);
        size_t mark;

        if (!says_the_same(after, facts)) {
            mark = field_group_begin(&q->row, FIELD_REPLACED);
            QUERY_COPY(q, facts, replaced_fields);
            query_put_number(q, FIELD_RECEIVED, &c, 1);
            field_group_end(&q->row, mark);
        }
        writer_reset(&q->scratch);
        write_span(&q->scratch, facts); /* outlives the row of the statement */
        after = writer_span(&q->scratch);
    }
    sql_end(&c);
}

/* ---- the value before ---- */

struct sought {
    int64_t patient, taken;
    struct span code, system;
};

/* Of one identity: its latest earlier value of that code, if later than *best_taken, into q->scratch as a group. */
static void look_before(struct query *q, const struct sought *s, int64_t *best_taken)
{
    struct sql_call c = sql_begin(&q->sql, Q_PREVIOUS);

    sql_int(&c, s->patient);
    sql_text(&c, s->code);
    sql_text(&c, s->system);
    sql_int(&c, s->taken);
    if (sql_row(&c) && sql_get_int(&c, 0) > *best_taken) {
        *best_taken = sql_get_int(&c, 0);
        writer_reset(&q->scratch);
        write_span(&q->scratch, sql_get(&c, 3));
        field_put_uint(&q->scratch, FIELD_RECEIVED, (uint64_t)sql_get_int(&c, 2));
    }
    sql_end(&c);
}

static void put_previous(struct query *q, int64_t root, struct sought *s)
{
    struct sql_call c;
    int64_t best_taken = -1;
    size_t mark;

    if (s->code.len == 0)
        return;
    c = sql_begin(&q->sql, Q_MEMBERS);
    sql_int(&c, root);
    while (sql_row(&c)) {
        s->patient = sql_get_int(&c, 0);
        look_before(q, s, &best_taken);
    }
    sql_end(&c);
    if (best_taken < 0)
        return;
    mark = field_group_begin(&q->row, FIELD_PREVIOUS);
    QUERY_COPY(q, writer_span(&q->scratch), previous_fields);
    field_put_uint(&q->row, FIELD_RECEIVED, fields_uint(writer_span(&q->scratch), FIELD_RECEIVED, 0));
    field_group_end(&q->row, mark);
}

static void put_observation(struct query *q, int64_t root, struct sql_call *c)
{
    struct sought s = { .code = sql_get(c, 2), .system = sql_get(c, 3), .taken = sql_get_int(c, 4) };
    const struct span facts = sql_get(c, 9);

    query_row(q);
    query_put_number(q, FIELD_OBSERVATION_ID, c, 0);
    query_put_number(q, FIELD_REPORT_ID, c, 1);
    QUERY_COPY(q, facts, observation_fields);
    query_put_number(q, FIELD_RECEIVED, c, 6);
    query_put_column(q, FIELD_SOURCE, c, 7);
    query_put_number(q, FIELD_POSITION, c, 8);
    put_previous(q, root, &s);
    put_replaced(q, sql_get_int(c, 0), sql_get_int(c, 10), facts);
}

bool query_observations(struct query *q, struct error *err)
{
    const int64_t after = (int64_t)fields_uint(q->request, FIELD_AFTER, 0);
    int64_t root, taken = INT64_MAX;
    struct sql_call c;

    if (!query_patient_root(q, &root, err))
        return false;
    if (after != 0) {
        c = sql_begin(&q->sql, Q_OBSERVATION_TIME);
        sql_int(&c, after);
        taken = sql_row(&c) ? sql_get_int(&c, 0) : -1;
        sql_end(&c);
    }
    c = sql_begin(&q->sql, Q_OBSERVATIONS);
    sql_int(&c, root);
    sql_int(&c, taken);
    sql_int(&c, after);
    sql_int(&c, query_limit(q));
    while (!q->ended && sql_row(&c)) {
        put_observation(q, root, &c);
        (void)query_give(q);
    }
    sql_end(&c);
    return true;
}

bool query_reports(struct query *q, struct error *err)
{
    static const enum field shown[] = { FIELD_SERVICE_CODE, FIELD_SERVICE_TEXT, FIELD_PLACER_ORDER, FIELD_FILLER_ORDER,
                                        FIELD_REPORT_STATUS, FIELD_COLLECTED, FIELD_REPORTED, FIELD_SPECIMEN,
                                        FIELD_NOTE, FIELD_ORDERING_PROVIDER };
    struct sql_call c;
    int64_t root;

    if (!query_patient_root(q, &root, err))
        return false;
    c = sql_begin(&q->sql, Q_REPORTS);
    sql_int(&c, root);
    while (!q->ended && sql_row(&c)) {
        query_row(q);
        query_put_number(q, FIELD_REPORT_ID, &c, 0);
        QUERY_COPY(q, sql_get(&c, 1), shown);
        query_put_number(q, FIELD_RECEIVED, &c, 2);
        query_put_column(q, FIELD_SOURCE, &c, 3);
        query_put_number(q, FIELD_POSITION, &c, 4);
        (void)query_give(q);
    }
    sql_end(&c);
    return true;
}
