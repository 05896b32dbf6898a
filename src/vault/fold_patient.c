/*
 * Patients and their identity (docs/views.md, "Patients").
 *
 * The key is issuer + identifier. Names, birth dates and sexes are what somebody said of that key: all are kept,
 * the newest of the highest rank is shown. Links join keys under a root and can be undone.
 */
#include <sodium.h>

#include "record/fold.h"
#include "vault/folding.h"

#define VALUES_MAX 16 /* distinct values of one kind of one patient: all pairs are indexed; objects keep every other */
#define RANK_SHIFT 60 /* above any time in µs */
#define GROUP_MAX 256 /* patients linked together; a merge beyond it is kept and not applied */

int64_t folder_patient(struct folder *f, struct span patient_id, struct span issuer, struct span seed)
{
    struct digest d = patient_id.len > 0 ? DIGEST_OF(f, SPAN_LIT("identifier"), issuer, patient_id)
                                         : DIGEST_OF(f, SPAN_LIT("provisional"), issuer, seed);
    struct cache_slot *slot = cache_slot_of(&f->patients, &d);
    char key[2 * DIGEST_BYTES + 1];
    struct sql_call q;

    if (slot->id != 0)
        return slot->id;
    (void)sodium_bin2hex(key, sizeof key, d.bytes, sizeof d.bytes);
    q = sql_begin(&f->sql, PATIENT_OF);
    sql_text(&q, span_str(key));
    if (sql_row(&q))
        slot->id = sql_get_int(&q, 0);
    sql_end(&q);
    if (slot->id != 0)
        return slot->id;
    q = sql_begin(&f->sql, PATIENT_NEXT);
    slot->id = sql_row(&q) ? sql_get_int(&q, 0) : 0;
    sql_end(&q);
    q = sql_begin(&f->sql, ADD_PATIENT);
    sql_int(&q, slot->id);
    sql_text(&q, span_str(key));
    sql_text(&q, patient_id);
    sql_text(&q, issuer);
    sql_run(&q);
    folder_count(f, "patients");
    if (patient_id.len == 0)
        return slot->id;
    q = sql_begin(&f->sql, ADD_IDENTIFIER);
    sql_text(&q, patient_id);
    sql_text(&q, issuer);
    sql_int(&q, slot->id);
    sql_text(&q, span_of(NULL, 0));
    sql_int(&q, 1);
    sql_run(&q);
    return slot->id;
}

void folder_patient_other_id(struct folder *f, int64_t patient, struct span group)
{
    const struct span id = span_trim(fields_text(group, FIELD_PATIENT_ID), " ");
    struct sql_call q;

    if (id.len == 0)
        return;
    q = sql_begin(&f->sql, ADD_IDENTIFIER);
    sql_text(&q, id);
    sql_text(&q, span_trim(fields_text(group, FIELD_ISSUER), " "));
    sql_int(&q, patient);
    sql_text(&q, fields_text(group, FIELD_ID_TYPE));
    sql_int(&q, 0);
    sql_run(&q);
}

/* ---- what is said of a patient ---- */

/*
 * Two names are the same person's where family and given name fold to the same: senders differ in case, accents,
 * prefixes, and in which of the groups of PS3.5 §6.2.1 they fill.
 */
static struct span name_core(struct span name)
{
    size_t carets = 0, end = 0;

    for (; end < name.len && name.ptr[end] != '='; end++)
        if (name.ptr[end] == '^' && ++carets == 2)
            break;
    if (end == 0)
        return name;
    return span_trim(span_part(name, 0, end), " ^");
}

/* YYYYMMDD as far as given: PID-7 may carry a time, some modalities put dots. */
#define DATE_DIGITS 8

static struct span date_digits(struct span date, uint8_t out[DATE_DIGITS])
{
    size_t len = 0;

    for (size_t i = 0; i < date.len && len < DATE_DIGITS; i++)
        if (date.ptr[i] >= '0' && date.ptr[i] <= '9')
            out[len++] = date.ptr[i];
    return span_of(out, len);
}

/* What two values are compared by. */
static void fold_value(struct folder *f, enum patient_what what, struct span value)
{
    uint8_t digits[DATE_DIGITS];

    writer_reset(&f->scratch);
    switch (what) {
    case WHAT_NAME:
        fold_text(name_core(value), &f->scratch);
        break;
    case WHAT_BIRTH_DATE:
        write_span(&f->scratch, date_digits(value, digits));
        break;
    case WHAT_SEX:
        fold_text(value, &f->scratch);
        break;
    }
}

static void add_value(struct folder *f, const struct record *r, enum patient_what what, struct span value)
{
    struct sql_call q;
    int64_t count;

    if (value.len == 0)
        return;
    q = sql_begin(&f->sql, COUNT_VALUES);
    sql_int(&q, r->patient);
    sql_int(&q, what);
    count = sql_row(&q) ? sql_get_int(&q, 0) : VALUES_MAX;
    sql_end(&q);
    if (count >= VALUES_MAX)
        return;
    fold_value(f, what, value);
    q = sql_begin(&f->sql, ADD_VALUE);
    sql_int(&q, r->patient);
    sql_int(&q, what);
    sql_text(&q, value);
    sql_text(&q, writer_span(&f->scratch));
    sql_int(&q, (int64_t)r->entry->position);
    sql_text(&q, r->source);
    sql_run(&q);
}

/* The patient's values of a kind, copied into the record's arena. */
static size_t values_of(struct folder *f, int64_t patient, enum patient_what what, struct span out[VALUES_MAX])
{
    struct sql_call q = sql_begin(&f->sql, VALUES_OF);
    size_t count = 0;

    sql_int(&q, patient);
    sql_int(&q, what);
    while (count < VALUES_MAX && sql_row(&q)) {
        out[count] = arena_copy(&f->arena, sql_get(&q, 0));
        if (out[count].ptr == NULL)
            break;
        count++;
    }
    sql_end(&q);
    return count;
}

struct word_sink {
    struct folder *f;
    int64_t patient;
    struct span birth_date;
};

static void add_word(void *context, struct span word)
{
    struct word_sink *sink = context;
    struct sql_call q = sql_begin(&sink->f->sql, ADD_WORD);

    sql_text(&q, sink->birth_date);
    sql_text(&q, word);
    sql_int(&q, sink->patient);
    sql_run(&q);
}

/* Every name under every birth date (or none), so that a search by either value finds the patient. */
static void index_words(struct folder *f, int64_t patient)
{
    struct span names[VALUES_MAX], dates[VALUES_MAX];
    size_t name_count = values_of(f, patient, WHAT_NAME, names);
    size_t date_count = values_of(f, patient, WHAT_BIRTH_DATE, dates);

    if (date_count == 0)
        dates[date_count++] = span_of(NULL, 0);
    for (size_t d = 0; d < date_count; d++) {
        uint8_t digits[DATE_DIGITS];
        struct word_sink sink = { f, patient, date_digits(dates[d], digits) };

        for (size_t n = 0; n < name_count; n++)
            fold_name_words(names[n], &f->scratch, add_word, &sink);
        add_word(&sink, span_of(NULL, 0)); /* the birth date alone */
    }
}

void folder_patient_seen(struct folder *f, const struct record *r, enum patient_rank rank, int64_t time)
{
    const struct span name = span_trim(record_text(r, FIELD_PATIENT_NAME), " ");
    const struct span birth_date = span_trim(record_text(r, FIELD_BIRTH_DATE), " ");
    const struct span sent = span_trim(record_text(r, FIELD_SEX), " ");
    const struct span sex = span_equal(sent, SPAN_LIT("U")) ? span_of(NULL, 0) : sent; /* table 0001: unknown */
    const struct digest said = DIGEST_OF(f, span_of(&r->patient, sizeof r->patient), name, birth_date, sex);
    struct cache_slot *slot = cache_slot_of(&f->patients, &said); /* same table: the key says what it is */
    struct sql_call q = sql_begin(&f->sql, SEE_PATIENT);

    sql_int(&q, r->patient);
    sql_int(&q, r->received);
    sql_int(&q, ((int64_t)rank << RANK_SHIFT) + time);
    sql_text(&q, name);
    sql_text(&q, birth_date);
    sql_text(&q, sex);
    sql_run(&q);
    if (slot->id == r->patient)
        return; /* said before */
    add_value(f, r, WHAT_NAME, name);
    add_value(f, r, WHAT_BIRTH_DATE, birth_date);
    add_value(f, r, WHAT_SEX, sex);
    index_words(f, r->patient);
    slot->id = r->patient;
}

/* ---- links ---- */

struct group {
    int64_t id[GROUP_MAX], parent[GROUP_MAX];
    size_t count;
};

static size_t member(const struct group *g, int64_t id)
{
    size_t i = 0;

    while (i < g->count && g->id[i] != id)
        i++;
    return i;
}

static int64_t top(const struct group *g, int64_t id)
{
    for (size_t i; (i = member(g, id)) < g->count && g->parent[i] != id;)
        id = g->parent[i];
    return id;
}

/*
 * prior ends in survivor, wherever it ended before. Where the survivor itself had ended in prior, the newer word
 * turns them round: the survivor becomes a root first, so no cycle can arise.
 */
static void join(struct group *g, int64_t prior, int64_t survivor)
{
    const size_t p = member(g, prior), s = member(g, survivor);

    if (p == g->count || s == g->count || p == s)
        return;
    for (size_t i = s; g->parent[i] != g->id[i];) {
        i = member(g, g->parent[i]);
        if (i == p) {
            g->parent[s] = survivor;
            break;
        }
    }
    g->parent[p] = survivor;
}

static bool load_group(struct folder *f, int64_t a, int64_t b, struct group *g)
{
    struct sql_call q = sql_begin(&f->sql, GROUP_OF);
    bool fits = true;

    g->count = 0;
    sql_int(&q, a);
    sql_int(&q, b);
    while (fits && sql_row(&q)) {
        fits = g->count < GROUP_MAX;
        if (fits)
            g->id[g->count] = g->parent[g->count] = sql_get_int(&q, 0), g->count++;
    }
    sql_end(&q);
    return fits;
}

/* A link that was undone later does not count; the pairs of one group are few, so each asks the rest. */
struct link {
    int64_t prior, survivor;
    bool linked;
};

#define LINKS_MAX 1024

static size_t load_links(struct folder *f, int64_t a, int64_t b, struct link out[LINKS_MAX])
{
    struct sql_call q = sql_begin(&f->sql, LINKS_OF);
    size_t count = 0;

    sql_int(&q, a);
    sql_int(&q, b);
    while (count < LINKS_MAX && sql_row(&q))
        out[count++] = (struct link){ sql_get_int(&q, 0), sql_get_int(&q, 1), sql_get_int(&q, 2) != 0 };
    sql_end(&q);
    return count;
}

static bool is_undone(const struct link *links, size_t count, size_t at)
{
    for (size_t i = at + 1; i < count; i++)
        if (!links[i].linked && links[i].prior == links[at].prior && links[i].survivor == links[at].survivor)
            return true;
    return false;
}

void folder_link(struct folder *f, const struct record *r, int64_t item, int64_t time, int64_t prior,
                 int64_t survivor, bool linked)
{
    struct group *g = arena_alloc(&f->arena, sizeof *g);
    struct link *links = arena_alloc(&f->arena, LINKS_MAX * sizeof *links);
    struct sql_call q = sql_begin(&f->sql, ADD_LINK);
    size_t count;

    sql_int(&q, (int64_t)r->entry->position);
    sql_int(&q, item);
    sql_int(&q, time);
    sql_int(&q, prior);
    sql_int(&q, survivor);
    sql_int(&q, linked);
    sql_run(&q);
    if (g == NULL || links == NULL || prior == survivor || !load_group(f, prior, survivor, g))
        return;
    count = load_links(f, prior, survivor, links);
    for (size_t i = 0; i < count; i++)
        if (links[i].linked && !is_undone(links, count, i))
            join(g, links[i].prior, links[i].survivor);
    for (size_t i = 0; i < g->count; i++) {
        q = sql_begin(&f->sql, SET_ROOT);
        sql_int(&q, g->id[i]);
        sql_int(&q, top(g, g->id[i]));
        sql_run(&q);
    }
}
