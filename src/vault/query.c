/* The table of queries. See query.h. */
#include "vault/querying.h"

#include <stdlib.h>

static const char *const texts[] = {
#define S(name, text) text,
    QUERY_STATEMENTS(S)
#undef S
};

static const struct {
    const char *name;
    query_function *run;
} queries[] = {
    { "patients", query_patients },
    { "patient", query_patient },
    { "observations", query_observations },
    { "reports", query_reports },
    { "studies", query_studies },
    { "series", query_series },
    { "instances", query_instances },
    { "instance", query_instance },
    { "list", query_list },
    { "study-objects", query_study_objects },
    { "anchored", query_anchored },
    { "sources", query_sources },
    { "attention", query_attention },
    { "journal", query_journal },
    { "status", query_status },
    { "evidence-positions", query_evidence }, /* for room_evidence.c; nobody else may ask it */
};

struct query *query_new(sqlite3 *db, struct store *store, struct error *err)
{
    struct query *q = calloc(1, sizeof *q);

    if (q == NULL || !sql_init(&q->sql, db, texts, COUNT_OF(texts), err)) {
        free(q);
        error_set(err, ERR_MEMORY, "query");
        return NULL;
    }
    q->store = store;
    q->row = writer_new(QUERY_ROW_MAX);
    q->scratch = writer_new(QUERY_ROW_MAX);
    return q;
}

void query_free(struct query *q)
{
    if (q == NULL)
        return;
    sql_done(&q->sql);
    writer_done(&q->row);
    writer_done(&q->scratch);
    free(q);
}

void query_row(struct query *q)
{
    writer_reset(&q->row);
}

bool query_give(struct query *q)
{
    if (!q->ended && (q->row.failed || q->sql.rc != SQLITE_OK || !q->give(q->context, writer_span(&q->row))))
        q->ended = true;
    return !q->ended;
}

struct span query_text(const struct query *q, enum field f)
{
    return fields_text(q->request, f);
}

int64_t query_limit(const struct query *q)
{
    const uint64_t limit = fields_uint(q->request, FIELD_LIMIT, QUERY_LIMIT_DEFAULT);

    return (int64_t)(limit < QUERY_LIMIT_MAX ? limit : QUERY_LIMIT_MAX);
}

void query_copy(struct query *q, struct span facts, const enum field *fields, size_t count)
{
    struct fields_reader reader = fields_over(facts);
    struct field_value v;

    while (fields_next(&reader, &v))
        for (size_t i = 0; i < count; i++)
            if (v.field == fields[i]) {
                field_put_bytes(&q->row, v.field, v.value);
                break;
            }
}

void query_put_column(struct query *q, enum field f, struct sql_call *c, int column)
{
    field_put_some(&q->row, f, sql_get(c, column));
}

void query_put_number(struct query *q, enum field f, struct sql_call *c, int column)
{
    field_put_uint(&q->row, f, (uint64_t)sql_get_int(c, column));
}

static query_function *function_of(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(queries); i++)
        if (span_equal(name, span_str(queries[i].name)))
            return queries[i].run;
    return NULL;
}

static void run_statement(struct query *q, enum query_statement statement)
{
    struct sql_call c = sql_begin(&q->sql, statement);

    sql_run(&c);
}

bool query_run(struct query *q, struct span request, bool enrolled, vault_row *row, void *context, struct error *err)
{
    query_function *run = function_of(fields_text(request, FIELD_QUERY));
    bool ok;

    if (run == NULL)
        return error_set(err, ERR_NOT_FOUND, "no such query");
    q->request = request;
    q->enrolled = enrolled;
    q->give = row;
    q->context = context;
    q->ended = false;
    sql_forget_failure(&q->sql);
    run_statement(q, Q_BEGIN); /* all of a query sees the same views */
    ok = run(q, err) && sql_ok(&q->sql, err);
    sql_forget_failure(&q->sql);
    run_statement(q, Q_END);
    if (ok && q->row.failed)
        ok = error_set(err, ERR_LIMIT, "a row is too large");
    writer_reset(&q->row);
    return ok;
}

size_t query_versions(struct query *q, struct span sop_uid, uint64_t *out, size_t max, struct error *err)
{
    struct sql_call c;
    size_t count = 0;

    sql_forget_failure(&q->sql);
    c = sql_begin(&q->sql, Q_VERSIONS);
    sql_text(&c, sop_uid);
    sql_int(&c, (int64_t)max);
    while (count < max && sql_row(&c))
        out[count++] = (uint64_t)sql_get_int(&c, 0);
    sql_end(&c);
    return sql_ok(&q->sql, err) ? count : 0;
}
