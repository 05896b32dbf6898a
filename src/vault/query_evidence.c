/*
 * Which records an evidence pack is about (docs/evidence.md): "evidence-positions", a row {position} each, ascending. Of a
 * period one row {from_position, until_position}.
 */
#include "vault/querying.h"

static void give_positions(struct query *q, struct sql_call *c)
{
    while (!q->ended && sql_row(c)) {
        query_row(q);
        query_put_number(q, FIELD_POSITION, c, 0);
        (void)query_give(q);
    }
    sql_end(c);
}

/* Every version of every instance of the study: what is not served is part of the truth, too. */
static bool of_study(struct query *q, struct error *err)
{
    struct sql_call c = sql_begin(&q->sql, Q_EVIDENCE_STUDY);

    (void)err;
    sql_text(&c, query_text(q, FIELD_STUDY_UID));
    give_positions(q, &c);
    return true;
}

/* ---- who has seen a patient's data ---- */

/* Does a statement of (root, value) have a row? */
static bool has(struct query *q, enum query_statement statement, int64_t root, struct span value)
{
    struct sql_call c;
    bool found;

    if (value.len == 0)
        return false;
    c = sql_begin(&q->sql, statement);
    sql_int(&c, root);
    sql_text(&c, value);
    found = sql_row(&c);
    sql_end(&c);
    return found;
}

static bool has_object(struct query *q, int64_t root, struct span facts)
{
    struct span position;
    struct sql_call c;
    bool found;

    if (!fields_find(facts, FIELD_POSITION, &position))
        return false;
    c = sql_begin(&q->sql, Q_EVIDENCE_OBJECT);
    sql_int(&c, root);
    sql_int(&c, (int64_t)field_uint(position));
    found = sql_row(&c);
    sql_end(&c);
    return found;
}

/* Without an issuer it may be he whom they looked for; with another's it is not. */
static bool has_identifier(struct query *q, int64_t root, struct span facts)
{
    struct span id = fields_text(facts, FIELD_PATIENT_ID);
    struct sql_call c;
    bool found;

    if (id.len == 0)
        return false;
    c = sql_begin(&q->sql, Q_EVIDENCE_ID);
    sql_int(&c, root);
    sql_text(&c, id);
    sql_text(&c, fields_text(facts, FIELD_ISSUER));
    found = sql_row(&c);
    sql_end(&c);
    return found;
}

/* An event names the patient: a key or identifier of his, or a study, a series, a record that is his. */
static bool names_patient(struct query *q, int64_t root, struct span facts)
{
    return has(q, Q_EVIDENCE_KEY, root, fields_text(facts, FIELD_PATIENT_KEY))
           || has_identifier(q, root, facts)
           || has(q, Q_EVIDENCE_OF_STUDY, root, fields_text(facts, FIELD_STUDY_UID))
           || has(q, Q_EVIDENCE_OF_SERIES, root, fields_text(facts, FIELD_SERIES_UID)) || has_object(q, root, facts);
}

static bool of_access(struct query *q, struct error *err)
{
    struct sql_call c = sql_begin(&q->sql, Q_BY_IDENTIFIER);
    int64_t root = 0;
    bool found;

    sql_text(&c, query_text(q, FIELD_PATIENT_ID));
    sql_int(&c, 1);
    sql_text(&c, query_text(q, FIELD_ISSUER));
    sql_int(&c, 1);
    found = sql_row(&c);
    if (found)
        root = sql_get_int(&c, 0);
    sql_end(&c);
    if (!found)
        return sql_ok(&q->sql, err) && error_set(err, ERR_NOT_FOUND, "no such patient");
    c = sql_begin(&q->sql, Q_EVIDENCE_EVENTS);
    while (!q->ended && sql_row(&c)) {
        if (!names_patient(q, root, sql_get(&c, 1)))
            continue;
        query_row(q);
        query_put_number(q, FIELD_POSITION, &c, 0);
        (void)query_give(q);
    }
    sql_end(&c);
    return true;
}

/* From the first to the last event received in that time: everything between belongs to it. */
static bool of_period(struct query *q, struct error *err)
{
    struct sql_call c = sql_begin(&q->sql, Q_EVIDENCE_PERIOD);
    bool found;

    sql_int(&c, (int64_t)fields_uint(q->request, FIELD_PERIOD_FROM, 0));
    sql_int(&c, (int64_t)fields_uint(q->request, FIELD_PERIOD_UNTIL, 0));
    found = sql_row(&c) && sql_get_int(&c, 1) > sql_get_int(&c, 0);
    if (found) {
        query_row(q);
        query_put_number(q, FIELD_FROM_POSITION, &c, 0);
        query_put_number(q, FIELD_UNTIL_POSITION, &c, 1);
        (void)query_give(q);
    }
    sql_end(&c);
    return found || (sql_ok(&q->sql, err) && error_set(err, ERR_NOT_FOUND, "no event was recorded in that time"));
}

bool query_evidence(struct query *q, struct error *err)
{
    struct span asked = query_text(q, FIELD_EVIDENCE);

    if (span_equal(asked, SPAN_LIT("study")))
        return of_study(q, err);
    if (span_equal(asked, SPAN_LIT("access")))
        return of_access(q, err);
    if (span_equal(asked, SPAN_LIT("period")))
        return of_period(q, err);
    return error_set(err, ERR_USAGE, "no such evidence");
}
