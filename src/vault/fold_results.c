/*
 * HL7 messages: patients, encounters, links, reports and observations (docs/views.md, "Results").
 *
 * An observation is patient + order + code + sub-id; each message that speaks of it is a version. The newest by
 * OBR-22, then MSH-7, then receipt is the current one: a message that comes late replaces nothing newer.
 */
#include "vault/folding.h"

/* ---- telling repeated observations apart ---- */

/* Open addressing; sized for twice the observations of one message. */
struct observation_counter {
    size_t mask;
    struct counted {
        struct digest key;
        uint64_t count; /* 0: empty */
    } slots[];
};

struct observation_counter *observation_counter_new(struct folder *f, size_t observations)
{
    struct observation_counter *c;
    size_t slots = 16;

    while (slots < 2 * observations)
        slots *= 2;
    c = arena_alloc(&f->arena, sizeof *c + slots * sizeof c->slots[0]);
    if (c != NULL)
        c->mask = slots - 1;
    return c;
}

/* How often key came before in this message. */
static uint64_t counted_before(struct observation_counter *c, const struct digest *key)
{
    size_t at = (size_t)(key->bytes[0] | key->bytes[1] << 8 | key->bytes[2] << 16);

    for (;; at++) {
        struct counted *slot = &c->slots[at & c->mask];

        if (slot->count == 0)
            slot->key = *key;
        if (memcmp(&slot->key, key, sizeof *key) == 0)
            return slot->count++;
    }
}

/* ---- observations ---- */

struct report {
    int64_t id, patient, reported, collected;
    struct digest order;
    struct span group; /* its fields */
};

/* When a version was said: the order of versions. */
struct said {
    int64_t reported, sent, position;
};

static bool is_newer(const struct said *a, const struct said *b)
{
    if (a->reported != b->reported)
        return a->reported > b->reported;
    if (a->sent != b->sent)
        return a->sent > b->sent;
    return a->position >= b->position;
}

static struct said said_now(const struct record *r, const struct message_times *times, int64_t reported)
{
    return (struct said){ reported, times->sent, (int64_t)r->entry->position };
}

/* Ids are given in log order, as SQLite would give them. */
static int64_t next_version(struct folder *f)
{
    struct sql_call q;

    if (f->next_version == 0) {
        q = sql_begin(&f->sql, NEXT_VERSION);
        f->next_version = sql_row(&q) ? sql_get_int(&q, 0) : 0;
        sql_end(&q);
    }
    return f->next_version++;
}

/* An observation as one message says it. */
struct version {
    int64_t id, taken;
    struct said said;
    struct span status, facts; /* its group */
};

static int64_t add_observation(struct folder *f, const struct record *r, const struct report *report,
                               const struct digest *identity, const struct version *v)
{
    struct sql_call q = sql_begin(&f->sql, ADD_OBSERVATION);

    sql_int(&q, r->patient);
    sql_int(&q, report->id);
    sql_blob(&q, span_of(identity, sizeof *identity));
    sql_text(&q, fields_text(v->facts, FIELD_CODE));
    sql_text(&q, fields_text(v->facts, FIELD_CODE_SYSTEM));
    sql_int(&q, v->taken);
    sql_text(&q, v->status);
    sql_int(&q, v->id);
    sql_run(&q);
    return sqlite3_last_insert_rowid(f->sql.db);
}

/* The observation's row with v as its current version, unless it has a newer one; made where new. */
static int64_t set_observation(struct folder *f, const struct record *r, const struct report *report,
                               const struct digest *identity, const struct version *v)
{
    struct sql_call q = sql_begin(&f->sql, OBSERVATION_OF);
    struct said current = { -1, -1, -1 };
    int64_t id = 0;

    sql_int(&q, r->patient);
    sql_blob(&q, span_of(identity, sizeof *identity));
    if (sql_row(&q)) {
        id = sql_get_int(&q, 0);
        current = (struct said){ sql_get_int(&q, 1), sql_get_int(&q, 2), sql_get_int(&q, 3) };
    }
    sql_end(&q);
    if (id == 0)
        return add_observation(f, r, report, identity, v);
    if (!is_newer(&v->said, &current))
        return id;
    q = sql_begin(&f->sql, SET_OBSERVATION);
    sql_int(&q, id);
    sql_int(&q, report->id);
    sql_int(&q, v->taken);
    sql_text(&q, v->status);
    sql_int(&q, v->id);
    sql_run(&q);
    return id;
}

/* What an observation row shows of its report travels with each version. */
static struct span version_facts(struct folder *f, const struct message_times *times, const struct report *report,
                                 struct span group)
{
    static const enum field from_report[] = { FIELD_COLLECTED, FIELD_REPORTED, FIELD_SERVICE_TEXT, FIELD_SERVICE_CODE,
                                              FIELD_FILLER_ORDER, FIELD_PLACER_ORDER, FIELD_SPECIMEN };

    writer_reset(&f->head);
    write_span(&f->head, group);
    for (size_t i = 0; i < COUNT_OF(from_report); i++)
        field_put_some(&f->head, from_report[i], fields_text(report->group, from_report[i]));
    if (fields_text(group, FIELD_ZONE).len == 0)
        field_put_some(&f->head, FIELD_ZONE, times->zone);
    return writer_span(&f->head);
}

static void fold_observation(struct folder *f, const struct record *r, const struct message_times *times,
                             const struct report *report, struct span group, struct observation_counter *counter)
{
    struct digest identity = DIGEST_OF(f, span_of(&report->order, sizeof report->order),
                                       fields_text(group, FIELD_CODE), fields_text(group, FIELD_CODE_SYSTEM),
                                       fields_text(group, FIELD_SUB_ID));
    const uint64_t repeat = counted_before(counter, &identity);
    const struct version v = {
        .id = next_version(f),
        .taken = folder_moment(f, fields_text(group, FIELD_OBSERVED), times->zone, r->received, report->collected),
        .said = said_now(r, times, report->reported),
        .status = fields_text(group, FIELD_STATUS),
        .facts = group,
    };
    struct sql_call q;
    int64_t id;

    identity = DIGEST_OF(f, span_of(&identity, sizeof identity), span_of(&repeat, sizeof repeat));
    id = set_observation(f, r, report, &identity, &v);
    q = sql_begin(&f->sql, ADD_VERSION);
    sql_int(&q, v.id);
    sql_int(&q, id);
    sql_int(&q, v.said.reported);
    sql_int(&q, v.said.sent);
    sql_int(&q, v.said.position);
    sql_int(&q, r->received);
    sql_int(&q, v.taken);
    sql_text(&q, v.status);
    sql_text(&q, r->source);
    sql_blob(&q, version_facts(f, times, report, group));
    sql_run(&q);
}

/* ---- reports ---- */

/* Fields of a list without its groups of one kind (FIELD_NONE: without any group), into f->head. */
static struct span fields_without(struct folder *f, struct span list, enum field left_out)
{
    struct fields_reader reader = fields_over(list);
    struct field_value v;

    writer_reset(&f->head);
    while (fields_next(&reader, &v))
        if (left_out == FIELD_NONE ? field_type_of(v.field) != FIELD_TYPE_GROUP : v.field != left_out)
            field_put_bytes(&f->head, v.field, v.value);
    return writer_span(&f->head);
}

/* Filler order number, else placer's, else the message itself: then nothing later can be a version of it. */
static struct digest order_of(const struct folder *f, const struct record *r, struct span group, int64_t index)
{
    const struct span filler = fields_text(group, FIELD_FILLER_ORDER), placer = fields_text(group, FIELD_PLACER_ORDER);

    if (filler.len > 0)
        return DIGEST_OF(f, SPAN_LIT("filler"), filler);
    if (placer.len > 0)
        return DIGEST_OF(f, SPAN_LIT("placer"), placer);
    return DIGEST_OF(f, SPAN_LIT("message"), span_of(&r->entry->position, sizeof r->entry->position),
                     span_of(&index, sizeof index));
}

static void set_report(struct folder *f, const struct record *r, const struct said *now, struct report *report,
                       const struct digest *identity)
{
    struct sql_call q = sql_begin(&f->sql, report->id != 0 ? SET_REPORT : ADD_REPORT);

    if (report->id != 0) {
        sql_int(&q, report->id);
    } else {
        sql_int(&q, r->patient);
        sql_blob(&q, span_of(identity, sizeof *identity));
    }
    sql_int(&q, now->reported);
    sql_int(&q, now->sent);
    sql_int(&q, now->position);
    sql_int(&q, r->received);
    sql_int(&q, report->collected);
    sql_text(&q, r->source);
    sql_blob(&q, fields_without(f, report->group, FIELD_OBSERVATION));
    sql_run(&q);
    if (report->id == 0)
        report->id = sqlite3_last_insert_rowid(f->sql.db);
}

void folder_report(struct folder *f, const struct record *r, const struct message_times *times, struct span group,
                   int64_t index, struct observation_counter *counter)
{
    struct report report = { .patient = r->patient, .group = group, .order = order_of(f, r, group, index) };
    const struct digest identity = DIGEST_OF(f, span_of(&report.order, sizeof report.order),
                                             fields_text(group, FIELD_SERVICE_CODE),
                                             fields_text(group, FIELD_SERVICE_SYSTEM));
    struct said now, current = { -1, -1, -1 };
    struct fields_reader reader = fields_over(group);
    struct field_value v;
    struct sql_call q;

    report.reported = folder_moment(f, fields_text(group, FIELD_REPORTED), times->zone, r->received, times->sent);
    report.collected = folder_moment(f, fields_text(group, FIELD_COLLECTED), times->zone, r->received, times->sent);
    now = said_now(r, times, report.reported);
    q = sql_begin(&f->sql, REPORT_OF);
    sql_int(&q, r->patient);
    sql_blob(&q, span_of(&identity, sizeof identity));
    if (sql_row(&q)) {
        report.id = sql_get_int(&q, 0);
        current = (struct said){ sql_get_int(&q, 1), sql_get_int(&q, 2), sql_get_int(&q, 3) };
    }
    sql_end(&q);
    if (report.id == 0 || is_newer(&now, &current))
        set_report(f, r, &now, &report, &identity);
    while (fields_next(&reader, &v))
        if (v.field == FIELD_OBSERVATION)
            fold_observation(f, r, times, &report, v.value, counter);
}

/* ---- encounters ---- */

/* A newer word's fields stand before an older one's; what neither says is not there. */
static void fold_encounter(struct folder *f, const struct record *r, int64_t time, struct span group)
{
    static const enum field shown[] = { FIELD_VISIT_NUMBER, FIELD_PATIENT_CLASS, FIELD_LOCATION, FIELD_ADMITTED,
                                        FIELD_DISCHARGED };
    struct sql_call q = sql_begin(&f->sql, ENCOUNTER_OF);
    struct span before = { NULL, 0 };
    int64_t before_time = -1;

    sql_int(&q, r->patient);
    sql_text(&q, fields_text(group, FIELD_VISIT_NUMBER));
    if (sql_row(&q)) {
        before_time = sql_get_int(&q, 0);
        before = arena_copy(&f->arena, sql_get(&q, 1));
    }
    sql_end(&q);
    writer_reset(&f->head);
    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        const struct span old = fields_text(before, shown[i]), new = fields_text(group, shown[i]);
        const bool take_new = new.len > 0 && (time >= before_time || old.len == 0);

        field_put_some(&f->head, shown[i], take_new ? new : old);
    }
    q = sql_begin(&f->sql, SET_ENCOUNTER);
    sql_int(&q, r->patient);
    sql_text(&q, fields_text(group, FIELD_VISIT_NUMBER));
    sql_int(&q, time > before_time ? time : before_time);
    sql_int(&q, (int64_t)r->entry->position);
    sql_blob(&q, writer_span(&f->head));
    sql_run(&q);
}

/* ---- messages ---- */

static void add_message(struct folder *f, const struct record *r)
{
    struct sql_call q = sql_begin(&f->sql, ADD_OBJECT);

    sql_int(&q, (int64_t)r->entry->position);
    sql_text(&q, SPAN_LIT("hl7"));
    sql_text(&q, r->state);
    sql_int(&q, r->received);
    sql_int(&q, 0);
    sql_int(&q, r->patient);
    sql_int(&q, 0);
    sql_text(&q, span_of(NULL, 0));
    sql_int(&q, -1);
    sql_int(&q, 0);
    sql_int(&q, 0);
    sql_blob(&q, fields_without(f, r->facts, FIELD_NONE));
    sql_run(&q);
}

static size_t count_observations(struct span facts)
{
    struct fields_reader reports = fields_over(facts);
    struct field_value report, observation;
    size_t count = 0;

    while (fields_next(&reports, &report)) {
        struct fields_reader observations = fields_over(report.value);

        while (report.field == FIELD_REPORT && fields_next(&observations, &observation))
            count += observation.field == FIELD_OBSERVATION;
    }
    return count;
}

/* ADT^A40 has one MRG a patient; each link looks at all that is linked already. */
#define PRIORS_MAX 16

/* PID says who, MRG who ended in it (ADT^A40): each PRIOR group. */
static void fold_prior(struct folder *f, const struct record *r, int64_t item, int64_t time, struct span group)
{
    const struct span id = span_trim(fields_text(group, FIELD_PATIENT_ID), " ");
    struct span issuer = span_trim(fields_text(group, FIELD_ISSUER), " ");

    if (issuer.len == 0)
        issuer = r->issuer; /* one assigning authority is named once in many a message */
    if (id.len > 0 && r->patient_id.len > 0)
        folder_link(f, r, item, time, folder_patient(f, id, issuer, id), r->patient, true);
}

static void fold_groups(struct folder *f, const struct record *r, const struct message_times *times, int64_t time)
{
    struct observation_counter *counter = observation_counter_new(f, count_observations(r->facts));
    struct fields_reader reader = fields_over(r->facts);
    struct field_value v;
    int64_t index = 0;
    size_t priors = 0;

    while (fields_next(&reader, &v)) {
        index++;
        if (v.field == FIELD_OTHER_ID)
            folder_patient_other_id(f, r->patient, v.value);
        else if (v.field == FIELD_ENCOUNTER)
            fold_encounter(f, r, time, v.value);
        else if (v.field == FIELD_PRIOR && priors++ < PRIORS_MAX)
            fold_prior(f, r, index, time, v.value);
        else if (v.field == FIELD_REPORT && counter != NULL)
            folder_report(f, r, times, v.value, index, counter);
    }
}

void folder_message(struct folder *f, struct record *r)
{
    const struct span zone = record_text(r, FIELD_ZONE);
    const struct message_times times = {
        .sent = folder_moment(f, record_text(r, FIELD_MESSAGE_TIME), zone, r->received, r->received),
        .zone = zone,
    };
    /* EVN-2 tells when it was so; MSH-7 when it was said. */
    const int64_t time = folder_moment(f, record_text(r, FIELD_EVENT_TIME), zone, r->received, times.sent);
    struct span group;
    const bool speaks = r->patient_id.len > 0 || record_text(r, FIELD_PATIENT_NAME).len > 0
                        || fields_find(r->facts, FIELD_REPORT, &group);

    if (span_equal(r->state, SPAN_LIT("stored")) && speaks) {
        r->patient = folder_patient(f, r->patient_id, r->issuer,
                                    span_of(&r->entry->position, sizeof r->entry->position));
        folder_patient_seen(f, r, RANK_ADMINISTRATION, time);
        fold_groups(f, r, &times, time);
    }
    add_message(f, r);
}
