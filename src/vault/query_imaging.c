/* Queries for studies, series and instances. */
#include "vault/querying.h"

static void put_modalities(struct query *q, int64_t study)
{
    struct sql_call c = sql_begin(&q->sql, Q_MODALITIES);

    sql_int(&c, study);
    while (sql_row(&c))
        query_put_column(q, FIELD_MODALITY, &c, 0);
    sql_end(&c);
}

bool query_studies(struct query *q, struct error *err)
{
    static const enum field shown[] = { FIELD_STUDY_UID, FIELD_STUDY_DATE, FIELD_STUDY_TIME, FIELD_STUDY_DESCRIPTION,
                                        FIELD_ACCESSION, FIELD_REFERRING_PHYSICIAN, FIELD_INSTITUTION };
    struct sql_call c;
    int64_t root;

    if (!query_patient_root(q, &root, err))
        return false;
    c = sql_begin(&q->sql, Q_STUDIES);
    sql_int(&c, root);
    while (!q->ended && sql_row(&c)) {
        query_row(q);
        for (size_t i = 0; i < COUNT_OF(shown); i++)
            query_put_column(q, shown[i], &c, (int)i + 1);
        put_modalities(q, sql_get_int(&c, 0));
        query_put_number(q, FIELD_COUNT, &c, 10);
        query_put_number(q, FIELD_RECEIVED, &c, 8);
        query_put_number(q, FIELD_LATEST, &c, 11);
        if (sql_get_int(&c, 12) > 0) /* other instances of it name somebody else: both see their own */
            field_put_str(&q->row, FIELD_DISCREPANCY, "patient_id");
        field_put_str(&q->row, FIELD_STATE, sql_get_int(&c, 13) > 0  ? "facts-differ"
                                            : sql_get_int(&c, 9) > 0 ? "conflict"
                                                                     : "stored");
        (void)query_give(q);
    }
    sql_end(&c);
    return true;
}

static void put_middle(struct query *q, int64_t series, int64_t count)
{
    static const enum field shown[] = { FIELD_ROWS, FIELD_COLUMNS };
    struct sql_call c = sql_begin(&q->sql, Q_MIDDLE);

    sql_int(&c, series);
    sql_int(&c, count / 2);
    if (sql_row(&c)) {
        query_put_number(q, FIELD_POSITION, &c, 0);
        QUERY_COPY(q, sql_get(&c, 1), shown);
    }
    sql_end(&c);
}

bool query_series(struct query *q, struct error *err)
{
    static const enum field shown[] = { FIELD_SERIES_UID, FIELD_MODALITY, FIELD_SERIES_NUMBER,
                                        FIELD_SERIES_DESCRIPTION, FIELD_BODY_PART, FIELD_LATERALITY };
    struct sql_call c = sql_begin(&q->sql, Q_SERIES);

    (void)err;
    sql_text(&c, query_text(q, FIELD_STUDY_UID));
    sql_text(&c, query_text(q, FIELD_PATIENT_KEY));
    while (!q->ended && sql_row(&c)) {
        query_row(q);
        for (size_t i = 0; i < COUNT_OF(shown); i++)
            query_put_column(q, shown[i], &c, (int)i + 1);
        query_put_number(q, FIELD_COUNT, &c, 7);
        query_put_number(q, FIELD_LATEST, &c, 8);
        put_middle(q, sql_get_int(&c, 0), sql_get_int(&c, 7));
        (void)query_give(q);
    }
    sql_end(&c);
    return true;
}

/* Every field of facts whose number lies in [first, last], but what the row says by itself. */
static void copy_block(struct query *q, struct span facts, enum field first, enum field last)
{
    struct fields_reader reader = fields_over(facts);
    struct field_value v;

    while (fields_next(&reader, &v))
        if (v.field >= first && v.field <= last && v.field != FIELD_PATIENT_KEY && v.field != FIELD_DISCREPANCY)
            field_put_bytes(&q->row, v.field, v.value);
}

/* Where the row named by `after` lies in the order; before everything where none is named. */
struct place {
    int64_t series, slice, number, position;
};

static struct place place_after(struct query *q, const struct place *start)
{
    const int64_t after = (int64_t)fields_uint(q->request, FIELD_AFTER, UINT64_MAX);
    struct place p = *start;
    struct sql_call c;

    if (after < 0)
        return p;
    c = sql_begin(&q->sql, Q_PLACE);
    sql_int(&c, after);
    if (sql_row(&c))
        p = (struct place){ sql_get_int(&c, 2), sql_get_int(&c, 0), sql_get_int(&c, 1), after };
    sql_end(&c);
    return p;
}

/* Instances of one series behind `from`; returns how many. */
static int64_t give_instances(struct query *q, int64_t series, const struct place *from, int64_t limit)
{
    struct sql_call c = sql_begin(&q->sql, Q_INSTANCES);
    int64_t count = 0;

    sql_int(&c, series);
    sql_int(&c, from->slice);
    sql_int(&c, from->number);
    sql_int(&c, from->position);
    sql_int(&c, limit);
    for (; !q->ended && sql_row(&c); count++) {
        query_row(q);
        query_put_number(q, FIELD_POSITION, &c, 0);
        query_put_column(q, FIELD_STATE, &c, 1);
        query_put_number(q, FIELD_RECEIVED, &c, 2);
        copy_block(q, sql_get(&c, 3), FIELD_SOP_UID, FIELD_CALLED_AE);
        (void)query_give(q);
    }
    sql_end(&c);
    return count;
}

/* A Series UID that came under two studies or patients has two rows, one after the other. */
bool query_instances(struct query *q, struct error *err)
{
    static const struct place start = { 0, INT64_MIN, INT64_MIN, -1 };
    const struct place from = place_after(q, &start);
    struct sql_call c = sql_begin(&q->sql, Q_SERIES_OF_UID);
    int64_t left = query_limit(q);

    (void)err;
    sql_text(&c, query_text(q, FIELD_SERIES_UID));
    sql_int(&c, from.series);
    sql_text(&c, query_text(q, FIELD_PATIENT_KEY));
    while (left > 0 && !q->ended && sql_row(&c)) {
        const int64_t series = sql_get_int(&c, 0);

        left -= give_instances(q, series, series == from.series ? &from : &start, left);
    }
    sql_end(&c);
    return true;
}

bool query_instance(struct query *q, struct error *err)
{
    struct sql_call c = sql_begin(&q->sql, Q_INSTANCE);
    bool found, erased;

    sql_int(&c, (int64_t)fields_uint(q->request, FIELD_POSITION, UINT64_MAX));
    found = sql_row(&c);
    erased = found && span_equal(sql_get(&c, 1), SPAN_LIT("erased"));
    if (found && !erased) {
        query_row(q);
        query_put_number(q, FIELD_POSITION, &c, 0);
        query_put_column(q, FIELD_STATE, &c, 1);
        query_put_number(q, FIELD_RECEIVED, &c, 2);
        if (sqlite3_column_type(c.statement, 4) != SQLITE_NULL)
            query_put_number(q, FIELD_FIRST_POSITION, &c, 4);
        query_put_column(q, FIELD_PATIENT_KEY, &c, 5);
        field_put_some(&q->row, FIELD_SOURCE, fields_text(sql_get(&c, 3), FIELD_SOURCE));
        copy_block(q, sql_get(&c, 3), FIELD_PATIENT_ID, FIELD_CALLED_AE);
        (void)query_give(q);
    }
    sql_end(&c);
    if (erased)
        return error_set(err, ERR_ERASED, "the object was erased");
    return found || (sql_ok(&q->sql, err) && error_set(err, ERR_NOT_FOUND, "no object at that position"));
}

bool query_study_objects(struct query *q, struct error *err)
{
    static const enum field shown[] = { FIELD_SOP_UID, FIELD_TRANSFER_SYNTAX, FIELD_SOP_CLASS };
    struct sql_call c = sql_begin(&q->sql, Q_STUDY_OBJECTS);

    (void)err;
    sql_text(&c, query_text(q, FIELD_STUDY_UID));
    sql_text(&c, query_text(q, FIELD_PATIENT_KEY));
    while (!q->ended && sql_row(&c)) {
        query_row(q);
        query_put_number(q, FIELD_POSITION, &c, 0);
        query_put_column(q, FIELD_STATE, &c, 1);
        QUERY_COPY(q, sql_get(&c, 2), shown);
        (void)query_give(q);
    }
    sql_end(&c);
    return true;
}
