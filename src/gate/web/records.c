/* What is found: patients, results, studies, series, instances, journal; each a FIND turned into JSON. */
#include "base/cleanup.h"
#include "gate/web/gate.h"
#include "gate/web/json_out.h"

#define PATIENTS_LIMIT     100
#define OBSERVATIONS_LIMIT 500
#define INSTANCES_LIMIT    1000
#define RECORDS_LIMIT      200

/* Fields that docs/channel.md marks as repeated (*) or names as groups, query by query. */
static const enum field of_patient[] = { FIELD_DISCREPANCY, FIELD_NONE };
static const enum field of_one_patient[] = { FIELD_DISCREPANCY, FIELD_ENCOUNTER, FIELD_OTHER_ID, FIELD_NONE };
static const enum field of_study[] = { FIELD_MODALITY, FIELD_DISCREPANCY, FIELD_NONE };
static const enum field of_report[] = { FIELD_NOTE, FIELD_NONE };
static const enum field of_observation[] = { FIELD_REPLACED, FIELD_NOTE, FIELD_NONE };

struct rows {
    struct json *json;
    const enum field *repeated;
    bool bare; /* members only, without brackets: the first row becomes part of an object */
    size_t count;
};

static bool write_row(void *context, struct span row)
{
    struct rows *rows = context;

    if (!rows->bare)
        json_begin(rows->json, '{');
    else if (rows->count > 0)
        return true;
    json_fields(rows->json, row, rows->repeated);
    if (!rows->bare)
        json_end(rows->json, '}');
    rows->count++;
    return !rows->json->out->failed;
}

static bool find(struct call *c, struct writer *request, struct rows *rows, struct error *err)
{
    return writer_ok(request, err, "request")
           && session_find(c->connection->session, writer_span(request), write_row, rows, err);
}

/* A query with one key, its rows as an array. */
static bool find_array(struct call *c, struct json *j, const char *query, enum field key, struct span value,
                       const enum field *repeated, uint64_t limit, struct error *err)
{
    CLEANUP(writer_done) struct writer request = call_request(c);
    struct rows rows = { .json = j, .repeated = repeated };
    uint64_t after = call_number(c, "after", UINT64_MAX);

    field_put_str(&request, FIELD_QUERY, query);
    if (key != FIELD_NONE)
        field_put_text(&request, key, value);
    if (key == FIELD_STUDY_UID || key == FIELD_SERIES_UID) /* of a study that names two patients, this one's */
        field_put_some(&request, FIELD_PATIENT_KEY, call_text(c, "patient"));
    if (limit > 0)
        field_put_uint(&request, FIELD_LIMIT, limit);
    if (limit > 0 && after != UINT64_MAX)
        field_put_uint(&request, FIELD_AFTER, after);
    json_begin(j, '[');
    if (!find(c, &request, &rows, err))
        return false;
    json_end(j, ']');
    return true;
}

static bool answer_array(struct call *c, const char *query, enum field key, struct span value,
                         const enum field *repeated, uint64_t limit, struct error *err)
{
    struct json j = call_json(c, 200);

    return find_array(c, &j, query, key, value, repeated, limit, err);
}

bool handle_sources(struct call *c, struct error *err)
{
    return answer_array(c, "sources", FIELD_NONE, (struct span){ 0 }, NULL, 0, err);
}

bool handle_attention(struct call *c, struct error *err)
{
    return answer_array(c, "attention", FIELD_NONE, (struct span){ 0 }, NULL, RECORDS_LIMIT, err);
}

bool handle_journal(struct call *c, struct error *err)
{
    return answer_array(c, "journal", FIELD_NONE, (struct span){ 0 }, NULL, RECORDS_LIMIT, err);
}

bool handle_series(struct call *c, struct error *err)
{
    return answer_array(c, "series", FIELD_STUDY_UID, c->parts[0], NULL, 0, err);
}

bool handle_instances(struct call *c, struct error *err)
{
    return answer_array(c, "instances", FIELD_SERIES_UID, c->parts[0], NULL, INSTANCES_LIMIT, err);
}

bool handle_observations(struct call *c, struct error *err)
{
    return answer_array(c, "observations", FIELD_PATIENT_KEY, c->parts[0], of_observation, OBSERVATIONS_LIMIT, err);
}

/* birth_date with letters, or name, or identifier with issuer. */
bool handle_patients(struct call *c, struct error *err)
{
    CLEANUP(writer_done) struct writer request = call_request(c);
    struct json j = call_json(c, 200);
    struct rows rows = { .json = &j, .repeated = of_patient };
    struct span birth_date = call_text(c, "birth_date"), name = call_text(c, "name");
    struct span identifier = call_text(c, "identifier");

    field_put_str(&request, FIELD_QUERY, "patients");
    field_put_uint(&request, FIELD_LIMIT, PATIENTS_LIMIT);
    if (birth_date.len > 0) {
        field_put_text(&request, FIELD_BIRTH_DATE, birth_date);
        field_put_some(&request, FIELD_TEXT_QUERY, call_text(c, "letters"));
    } else if (name.len > 0) {
        field_put_text(&request, FIELD_PATIENT_NAME, name);
    } else if (identifier.len > 0) {
        field_put_text(&request, FIELD_PATIENT_ID, identifier);
        field_put_some(&request, FIELD_ISSUER, call_text(c, "issuer"));
    } else {
        return error_set(err, ERR_USAGE, "a birth date, a name or an identifier is needed");
    }
    json_begin(&j, '[');
    if (!find(c, &request, &rows, err))
        return false;
    json_end(&j, ']');
    return true;
}

/* The members of the only row of a query; ERR_NOT_FOUND without one. */
static bool find_one(struct call *c, struct json *j, struct writer *request, const enum field *repeated,
                     struct error *err)
{
    struct rows rows = { .json = j, .repeated = repeated, .bare = true };

    if (!find(c, request, &rows, err))
        return false;
    return rows.count > 0 || error_set(err, ERR_NOT_FOUND, "there is none under this name");
}

bool handle_patient(struct call *c, struct error *err)
{
    CLEANUP(writer_done) struct writer request = call_request(c);
    struct json j = call_json(c, 200);

    field_put_str(&request, FIELD_QUERY, "patient");
    field_put_text(&request, FIELD_PATIENT_KEY, c->parts[0]);
    json_begin(&j, '{');
    if (!find_one(c, &j, &request, of_one_patient, err))
        return false;
    json_key(&j, "studies");
    if (!find_array(c, &j, "studies", FIELD_PATIENT_KEY, c->parts[0], of_study, 0, err))
        return false;
    json_key(&j, "reports");
    if (!find_array(c, &j, "reports", FIELD_PATIENT_KEY, c->parts[0], of_report, 0, err))
        return false;
    json_end(&j, '}');
    return true;
}

bool handle_instance(struct call *c, struct error *err)
{
    CLEANUP(writer_done) struct writer request = call_request(c);
    struct json j = call_json(c, 200);
    uint64_t position;

    if (!number_of(c->parts[0], &position))
        return error_set(err, ERR_NOT_FOUND, "a position is a number");
    field_put_str(&request, FIELD_QUERY, "instance");
    field_put_uint(&request, FIELD_POSITION, position);
    json_begin(&j, '{');
    if (!find_one(c, &j, &request, NULL, err))
        return false;
    json_end(&j, '}');
    return true;
}

bool handle_status(struct call *c, struct error *err)
{
    CLEANUP(writer_done) struct writer request = call_request(c);
    struct json j = call_json(c, 200);

    field_put_str(&request, FIELD_QUERY, "status");
    json_begin(&j, '{');
    if (!find_one(c, &j, &request, NULL, err))
        return false;
    json_end(&j, '}');
    return true;
}
