/*
 * DICOM objects: studies, series, instances (docs/views.md, "Imaging").
 *
 * Only the served version of an instance makes a patient, a study or a series, and is counted in them. An
 * alternate, a conflict, what was refused or not understood is kept as an object row and shown from there.
 */
#include <math.h>
#include <stdlib.h>

#include "vault/folding.h"

#define NO_SLICE INT64_MIN

/* ---- where in a series ---- */

/* The n-th decimal of a multi-valued DS (PS3.5 §6.2); false where there is none. */
static bool decimal_at(struct span text, size_t n, double *out)
{
    char digits[33]; /* DS is at most 16 characters; what senders pad fits too */
    char *end;
    double v;

    for (; n > 0; n--) {
        const size_t at = span_index(text, '\\');

        if (at == text.len)
            return false;
        text = span_part(text, at + 1, text.len);
    }
    text = span_trim(span_part(text, 0, span_index(text, '\\')), " ");
    if (text.len == 0 || !span_to_str(text, digits, sizeof digits))
        return false;
    v = strtod(digits, &end);
    if (*end != '\0' || !isfinite(v))
        return false;
    *out = v;
    return true;
}

/* mm to whole µm, so that rounding noise of senders does not put a slice before its twin. */
static int64_t micrometres(double mm)
{
    return fabs(mm) < 1e9 ? llround(mm * 1000) : NO_SLICE;
}

/*
 * Distance of the image plane along its normal (PS3.3 C.7.6.2.1.1), else Slice Location, in µm. NO_SLICE where
 * neither is there.
 */
static int64_t slice_of(const struct record *r)
{
    const struct span orientation = record_text(r, FIELD_IMAGE_ORIENTATION);
    const struct span position = record_text(r, FIELD_IMAGE_POSITION);
    double o[6], p[3], location;
    bool plane = true;

    for (size_t i = 0; i < 6; i++)
        plane = plane && decimal_at(orientation, i, &o[i]);
    for (size_t i = 0; i < 3; i++)
        plane = plane && decimal_at(position, i, &p[i]);
    if (plane)
        return micrometres((o[1] * o[5] - o[2] * o[4]) * p[0] + (o[2] * o[3] - o[0] * o[5]) * p[1]
                           + (o[0] * o[4] - o[1] * o[3]) * p[2]);
    if (decimal_at(record_text(r, FIELD_SLICE_LOCATION), 0, &location))
        return micrometres(location);
    return NO_SLICE;
}

static int64_t number_of(const struct record *r)
{
    double v;

    if (!decimal_at(record_text(r, FIELD_INSTANCE_NUMBER), 0, &v) || fabs(v) > 2147483647.0)
        return 0;
    return (int64_t)v;
}

/* ---- study and series ---- */

static const enum field study_fields[] = { FIELD_STUDY_DATE, FIELD_STUDY_TIME, FIELD_STUDY_DESCRIPTION,
                                           FIELD_ACCESSION, FIELD_REFERRING_PHYSICIAN, FIELD_INSTITUTION };
static const enum field series_fields[] = { FIELD_MODALITY, FIELD_SERIES_NUMBER, FIELD_SERIES_DESCRIPTION,
                                            FIELD_BODY_PART, FIELD_LATERALITY };

static struct digest contents_of(const struct folder *f, const struct record *r, const enum field *fields, size_t count)
{
    struct span parts[8];

    for (size_t i = 0; i < count; i++)
        parts[i] = record_text(r, fields[i]);
    return folder_digest_of(f, parts, count);
}

static void bind_fields(struct sql_call *q, const struct record *r, const enum field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sql_text(q, record_text(r, fields[i]));
}

/* How a study or a series is found, made and completed: the first value that is not empty stays. */
struct level {
    const char *name; /* of its tally */
    enum fold_statement find, add, fill;
    const enum field *fields;
    size_t field_count;
};

static const struct level study_level = { "studies", STUDY_OF, ADD_STUDY, FILL_STUDY, study_fields, COUNT_OF(study_fields) };
static const struct level series_level = { "series", SERIES_OF, ADD_SERIES, FILL_SERIES, series_fields,
                                           COUNT_OF(series_fields) };

static int64_t level_row(struct folder *f, const struct record *r, const struct level *level, struct cache *cache,
                         struct span uid, int64_t parent)
{
    const struct digest key = DIGEST_OF(f, uid, span_of(&parent, sizeof parent));
    const struct digest contents = contents_of(f, r, level->fields, level->field_count);
    struct cache_slot *slot = cache_slot_of(cache, &key);
    struct sql_call q;

    if (slot->id != 0 && memcmp(&slot->contents, &contents, sizeof contents) == 0)
        return slot->id;
    if (slot->id == 0) {
        q = sql_begin(&f->sql, level->find);
        sql_text(&q, uid);
        sql_int(&q, parent);
        slot->id = sql_row(&q) ? sql_get_int(&q, 0) : 0;
        sql_end(&q);
    }
    if (slot->id != 0) {
        q = sql_begin(&f->sql, level->fill);
        sql_int(&q, slot->id);
        bind_fields(&q, r, level->fields, level->field_count);
        sql_run(&q);
    } else {
        q = sql_begin(&f->sql, level->add);
        sql_text(&q, uid);
        sql_int(&q, parent);
        if (level == &study_level)
            sql_int(&q, r->received);
        bind_fields(&q, r, level->fields, level->field_count);
        sql_run(&q);
        slot->id = sqlite3_last_insert_rowid(f->sql.db);
        folder_count(f, level->name);
    }
    slot->contents = contents;
    return slot->id;
}

static void write_change(struct folder *f, struct series_change *c)
{
    struct sql_call q;

    if (c->series == 0)
        return;
    q = sql_begin(&f->sql, COUNT_SERIES);
    sql_int(&q, c->series);
    sql_int(&q, c->count);
    sql_int(&q, c->latest);
    sql_run(&q);
    *c = (struct series_change){ .series = 0 };
}

void folder_count_series(struct folder *f, int64_t series, int64_t count, int64_t latest)
{
    struct series_change *c = &f->series_changes[(uint64_t)series % DEFERRED_SLOTS];

    if (c->series != series)
        write_change(f, c);
    c->series = series;
    c->count += count;
    c->latest = latest > c->latest ? latest : c->latest;
}

void folder_write_series(struct folder *f)
{
    for (size_t i = 0; i < DEFERRED_SLOTS; i++)
        write_change(f, &f->series_changes[i]);
}

/* ---- instances ---- */

struct served {
    int64_t position, series, study; /* position -1: none */
};

static struct served served_of(struct folder *f, struct span sop_uid)
{
    struct served s = { .position = -1 };
    struct sql_call q = sql_begin(&f->sql, SERVED_OF);

    sql_text(&q, sop_uid);
    if (sql_row(&q))
        s = (struct served){ sql_get_int(&q, 0), sql_get_int(&q, 1), sql_get_int(&q, 2) };
    sql_end(&q);
    return s;
}

static void add_object(struct folder *f, const struct record *r, int64_t series, bool is_served, int64_t first)
{
    struct sql_call q = sql_begin(&f->sql, ADD_OBJECT);

    sql_int(&q, (int64_t)r->entry->position);
    sql_text(&q, SPAN_LIT("dicom"));
    sql_text(&q, r->state);
    sql_int(&q, r->received);
    sql_int(&q, is_served);
    sql_int(&q, r->patient);
    sql_int(&q, series);
    sql_text(&q, record_text(r, FIELD_SOP_UID));
    sql_int(&q, first);
    sql_int(&q, is_served ? slice_of(r) : 0);
    sql_int(&q, is_served ? number_of(r) : 0);
    sql_blob(&q, r->facts);
    sql_run(&q);
}

/* A version that is served: the first one under its UID, or one that names the damaged or expired it replaces. */
static void add_served(struct folder *f, struct record *r, const struct served *before)
{
    int64_t study, series;
    struct sql_call q;

    r->patient = folder_patient(f, r->patient_id, r->issuer, r->study_uid);
    folder_patient_seen(f, r, RANK_MODALITY, r->received);
    study = level_row(f, r, &study_level, &f->studies, r->study_uid, r->patient);
    series = level_row(f, r, &series_level, &f->series, r->series_uid, study);
    if (before->position >= 0) {
        q = sql_begin(&f->sql, UNSERVE);
        sql_int(&q, before->position);
        sql_run(&q);
        folder_count_series(f, before->series, -1, 0);
    }
    add_object(f, r, series, true, -1);
    folder_count_series(f, series, 1, r->received);
}

void folder_dicom(struct folder *f, struct record *r)
{
    const struct span sop_uid = record_text(r, FIELD_SOP_UID);
    const bool stored = span_equal(r->state, SPAN_LIT("stored"));
    struct served before = { .position = -1 };
    struct sql_call q;

    r->study_uid = record_text(r, FIELD_STUDY_UID);
    r->series_uid = record_text(r, FIELD_SERIES_UID);
    if (sop_uid.len > 0)
        before = served_of(f, sop_uid);
    if (stored && sop_uid.len > 0 && r->study_uid.len > 0
        && (before.position < 0 || record_text(r, FIELD_FIRST_POSITION).len > 0)) {
        add_served(f, r, &before);
        return;
    }
    add_object(f, r, before.position >= 0 ? before.series : 0, false, before.position);
    if (before.position >= 0 && span_equal(r->state, SPAN_LIT("conflict"))) {
        q = sql_begin(&f->sql, STUDY_CONFLICT);
        sql_int(&q, before.study);
        if (sql_row(&q))
            r->patient = sql_get_int(&q, 0); /* for the news: whose page now shows a conflict */
        sql_end(&q);
    }
}
