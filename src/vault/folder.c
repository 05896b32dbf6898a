/* Batches, counters and the kinds of records. See folder.h. */
#include "vault/ahead.h"
#include "vault/folding.h"
#include "vault/space.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define FACTS_MAX ((size_t)64 * 1024 * 1024) /* more than the largest message a gate takes */
#define RECORD_MEMORY_MAX ((size_t)64 * 1024 * 1024)
#define FUTURE_MAX_US ((int64_t)24 * 3600 * 1000000) /* a sender's clock or zone may be off; a year is a lie */

#define ENTRY_OVERHEAD_BYTES 320 /* header, tag, padding, its leaf in marker and ledger, its place in the index */

static const char *const texts[] = {
#define S(name, text) text,
    FOLD_STATEMENTS(S)
#undef S
};

struct folder *folder_new(struct views *views, const uint8_t secret[FOLDER_SECRET_BYTES], const struct zone *zone,
                          struct error *err)
{
    struct folder *f = calloc(1, sizeof *f);

    if (f == NULL || sodium_init() < 0 || !sql_init(&f->sql, views_writer(views), texts, COUNT_OF(texts), err)) {
        free(f);
        error_set(err, ERR_MEMORY, "folder");
        return NULL;
    }
    f->views = views;
    f->zone = *zone;
    memcpy(f->secret, secret, sizeof f->secret);
    f->entry = writer_new(FACTS_MAX);
    f->head = writer_new(FACTS_MAX);
    f->scratch = writer_new(3 * FACTS_MAX);
    f->news = writer_new(FACTS_MAX);
    f->arena = arena_new(RECORD_MEMORY_MAX);
    return f;
}

void folder_free(struct folder *f)
{
    if (f == NULL)
        return;
    sql_done(&f->sql);
    writer_done(&f->entry);
    writer_done(&f->head);
    writer_done(&f->scratch);
    writer_done(&f->news);
    arena_done(&f->arena);
    sodium_memzero(f->secret, sizeof f->secret);
    free(f);
}

/* ---- what the kinds share ---- */

struct digest folder_digest_of(const struct folder *f, const struct span *parts, size_t count)
{
    crypto_generichash_state state;
    struct digest d;

    (void)crypto_generichash_init(&state, f->secret, sizeof f->secret, DIGEST_BYTES);
    for (size_t i = 0; i < count; i++) {
        const uint64_t len = parts[i].len;

        (void)crypto_generichash_update(&state, (const uint8_t *)&len, sizeof len);
        if (len > 0)
            (void)crypto_generichash_update(&state, parts[i].ptr, len);
    }
    (void)crypto_generichash_final(&state, d.bytes, sizeof d.bytes);
    return d;
}

/* The slot of key: emptied where another key held it. */
struct cache_slot *cache_slot_of(struct cache *c, const struct digest *key)
{
    struct cache_slot *slot = &c->slots[(key->bytes[0] | key->bytes[1] << 8) % CACHE_SLOTS];

    if (memcmp(&slot->key, key, sizeof *key) != 0)
        *slot = (struct cache_slot){ .key = *key };
    return slot;
}

int64_t folder_moment(const struct folder *f, struct span text, struct span zone_text, int64_t received,
                      int64_t fallback)
{
    int64_t us;

    if (!moment_parse(text, zone_text, &f->zone, &us))
        return fallback;
    if (us > received + FUTURE_MAX_US)
        return received;
    return us > 0 ? us : 0;
}

static void write_day(struct folder *f)
{
    struct sql_call q;

    if (f->today.count > 0) {
        q = sql_begin(&f->sql, ADD_DAY);
        sql_int(&q, f->today.day);
        sql_int(&q, f->today.bytes);
        sql_int(&q, f->today.count);
        sql_run(&q);
    }
    f->today.bytes = f->today.count = 0;
}

/* Bytes that an entry takes in log and bodies, near enough for a rate. */
static void count_bytes(struct folder *f, const struct entry *e, struct span facts)
{
    const int64_t day = (int64_t)(e->received_us / SPACE_DAY_US);

    if (day != f->today.day)
        write_day(f);
    f->today.day = day;
    f->today.bytes += (int64_t)(e->body_bytes + facts.len + ENTRY_OVERHEAD_BYTES);
    f->today.count++;
}

static void write_counts(struct folder *f)
{
    write_day(f);
    for (size_t i = 0; i < f->tally_count; i++) {
        struct sql_call q = sql_begin(&f->sql, ADD_TALLY);

        sql_text(&q, span_str(f->tallies[i].name));
        sql_int(&q, f->tallies[i].count);
        sql_run(&q);
    }
    for (size_t i = 0; i < f->source_count; i++) {
        struct sql_call q = sql_begin(&f->sql, ADD_SOURCE);

        sql_text(&q, span_str(f->sources[i].name));
        sql_text(&q, span_str(f->sources[i].kind));
        sql_int(&q, (int64_t)f->sources[i].latest);
        sql_int(&q, f->sources[i].count);
        sql_run(&q);
    }
    f->tally_count = f->source_count = 0;
}

/* The counter of that name, written out and started again where there is no room. */
static struct pending_count *counter(struct folder *f, struct pending_count *counts, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(counts[i].name, name) == 0)
            return &counts[i];
    if (*count == PENDING_COUNTS_MAX)
        write_counts(f);
    counts[*count] = (struct pending_count){ .count = 0 };
    memcpy(counts[*count].name, name, strlen(name) + 1);
    return &counts[(*count)++];
}

void folder_count(struct folder *f, const char *name)
{
    counter(f, f->tallies, &f->tally_count, name)->count++;
}

void folder_tally(struct folder *f, const char *kind, struct span state)
{
    char name[sizeof f->tallies[0].name];
    int n = snprintf(name, sizeof name, "%s.%.*s", kind, (int)(state.len < 32 ? state.len : 32),
                     state.len > 0 ? (const char *)state.ptr : "");

    if (n > 0 && (size_t)n < sizeof name)
        folder_count(f, name);
}

static void count_source(struct folder *f, const struct record *r, const char *kind)
{
    char name[sizeof f->sources[0].name];
    struct pending_count *c;

    if (r->source.len == 0 || !span_to_str(r->source, name, sizeof name))
        return;
    c = counter(f, f->sources, &f->source_count, name);
    memcpy(c->kind, kind, strlen(kind) + 1);
    c->count++;
    if (r->entry->received_us > c->latest)
        c->latest = r->entry->received_us;
}

/* ---- kinds ---- */

/* A cosignature or a time stamp that was kept: where to find the newest of each anchor (docs/anchors.md). */
static bool fold_anchor(struct folder *f, const struct record *r, struct span name)
{
    const bool stamp = span_equal(name, SPAN_LIT("checkpoint-stamped"));
    struct sql_call q;

    if (!stamp && !span_equal(name, SPAN_LIT("checkpoint-cosigned")))
        return false;
    q = sql_begin(&f->sql, ADD_ANCHOR);
    sql_int(&q, (int64_t)r->entry->position);
    sql_text(&q, stamp ? SPAN_LIT("timestamp") : SPAN_LIT("witness"));
    sql_text(&q, record_text(r, FIELD_NAME));
    sql_int(&q, (int64_t)fields_uint(r->facts, FIELD_TREE_SIZE, 0));
    sql_int(&q, (int64_t)fields_uint(r->facts, FIELD_STAMPED, 0));
    sql_int(&q, r->received);
    sql_run(&q);
    return true;
}

/* An identity fact: {patient_id, issuer} survives, each PRIOR group ends in it or stands alone again. */
void folder_fact(struct folder *f, struct record *r)
{
    const struct span name = record_text(r, FIELD_FACT);
    const bool linked = span_equal(name, SPAN_LIT("identities-linked"));
    struct fields_reader reader = fields_over(r->facts);
    struct field_value v;
    int64_t survivor, item = 0;

    if (fold_anchor(f, r, name))
        return;
    if ((!linked && !span_equal(name, SPAN_LIT("identities-unlinked"))) || r->patient_id.len == 0)
        return;
    survivor = folder_patient(f, r->patient_id, r->issuer, r->patient_id);
    while (fields_next(&reader, &v)) {
        const struct span prior = v.value;

        if (v.field != FIELD_PRIOR || fields_text(prior, FIELD_PATIENT_ID).len == 0)
            continue;
        folder_link(f, r, item++, r->received,
                    folder_patient(f, fields_text(prior, FIELD_PATIENT_ID), fields_text(prior, FIELD_ISSUER),
                                   r->patient_id),
                    survivor, linked);
    }
}

static void fold_event(struct folder *f, const struct record *r)
{
    struct sql_call q = sql_begin(&f->sql, ADD_EVENT);

    sql_int(&q, (int64_t)r->entry->position);
    sql_int(&q, r->received);
    sql_blob(&q, r->facts);
    sql_run(&q);
    if (record_text(r, FIELD_SPACE_LEVEL).len > 0) { /* of the vault alone: no gate can tell it */
        q = sql_begin(&f->sql, SET_SPACE);
        sql_int(&q, (int64_t)field_uint(record_text(r, FIELD_SPACE_LEVEL)));
        sql_run(&q);
    }
}

/* {position, difference*}: what a gate said of that object is not what its bytes say. */
static void fold_difference(struct folder *f, struct record *r)
{
    const int64_t position = (int64_t)field_uint(record_text(r, FIELD_POSITION));
    struct sql_call q = sql_begin(&f->sql, ADD_DIFFERENCE);
    int64_t series = 0;

    sql_int(&q, position);
    sql_text(&q, record_text(r, FIELD_DETAIL));
    sql_run(&q);
    q = sql_begin(&f->sql, OBJECT_DIFFERS);
    sql_int(&q, position);
    while (sql_row(&q)) { /* at most one */
        r->patient = sql_get_int(&q, 0); /* for the news: whose page now says so */
        series = sql_get_int(&q, 1);
    }
    sql_end(&q);
    if (series == 0)
        return;
    q = sql_begin(&f->sql, STUDY_DIFFERS);
    sql_int(&q, series);
    sql_run(&q);
}

/* Of the second walk: how far it came, what it found. The vault alone says CHECKED. */
static bool fold_walk(struct folder *f, struct record *r)
{
    struct sql_call q;

    if (record_text(r, FIELD_CHECKED).len == 0)
        return false;
    q = sql_begin(&f->sql, SET_CHECKED);
    sql_int(&q, (int64_t)field_uint(record_text(r, FIELD_CHECKED)));
    sql_run(&q);
    if (!span_equal(record_text(r, FIELD_EVENT), SPAN_LIT("facts.differ")))
        return false;
    fold_difference(f, r);
    return true;
}

/* {file}: found damaged, or repaired. The vault alone says FILE. */
static bool fold_damage(struct folder *f, const struct record *r)
{
    const struct span event = record_text(r, FIELD_EVENT), file = record_text(r, FIELD_FILE);
    const bool damaged = span_equal(event, SPAN_LIT("scrub.damaged"));
    struct sql_call q;

    if (file.len == 0 || (!damaged && !span_equal(event, SPAN_LIT("scrub.repaired"))))
        return false;
    q = sql_begin(&f->sql, SET_DAMAGE);
    sql_text(&q, file);
    sql_text(&q, damaged ? SPAN_LIT("damaged") : SPAN_LIT("repaired"));
    sql_int(&q, (int64_t)r->entry->position);
    sql_int(&q, r->received);
    sql_text(&q, record_text(r, FIELD_DETAIL));
    sql_run(&q);
    return true;
}

static void fold_damaged(struct folder *f, uint64_t position)
{
    struct sql_call q = sql_begin(&f->sql, ADD_DAMAGED);

    sql_int(&q, (int64_t)position);
    sql_run(&q);
    folder_tally(f, "damaged", SPAN_LIT("entry"));
}

static void tell_news(struct folder *f, const struct record *r, const char *kind, folder_news *news, void *context)
{
    struct sql_call q;

    writer_reset(&f->news);
    field_put_uint(&f->news, FIELD_POSITION, r->entry->position);
    field_put_str(&f->news, FIELD_KIND, kind);
    if (r->patient != 0) {
        q = sql_begin(&f->sql, ROOT_KEY);
        sql_int(&q, r->patient);
        if (sql_row(&q))
            field_put_text(&f->news, FIELD_PATIENT_KEY, sql_get(&q, 0));
        sql_end(&q);
    }
    field_put_some(&f->news, FIELD_STUDY_UID, r->study_uid);
    field_put_some(&f->news, FIELD_SERIES_UID, r->series_uid);
    if (!f->news.failed)
        news(context, r->entry->position, writer_span(&f->news));
}

/* One walk instead of one for each field that is asked for: half the time of folding went into them. */
static void index_fields(struct folder *f, struct span facts)
{
    struct fields_reader reader = fields_over(facts);
    struct field_value v;

    memset(f->top, 0, sizeof f->top);
    while (fields_next(&reader, &v))
        if ((size_t)v.field < FIELDS_MAX && f->top[v.field].ptr == NULL)
            f->top[v.field] = v.value;
}

static void fold_entry(struct folder *f, const struct entry *e, struct span facts, folder_news *news, void *context)
{
    struct record r = { .entry = e, .facts = facts, .top = f->top, .received = (int64_t)e->received_us };
    const char *kind = e->kind == RECORD_DICOM ? "dicom" : "hl7";

    index_fields(f, facts);
    r.state = record_text(&r, FIELD_STATE);
    r.source = record_text(&r, FIELD_SOURCE);
    r.patient_id = span_trim(record_text(&r, FIELD_PATIENT_ID), " ");
    r.issuer = span_trim(record_text(&r, FIELD_ISSUER), " ");
    if (r.state.len == 0)
        r.state = SPAN_LIT("stored");
    arena_reset(&f->arena);
    switch (e->kind) {
    case RECORD_DICOM:
        folder_dicom(f, &r);
        break;
    case RECORD_HL7:
        folder_message(f, &r);
        break;
    case RECORD_FACT:
        folder_fact(f, &r);
        return;
    case RECORD_EVENT:
        fold_event(f, &r);
        if ((fold_walk(f, &r) || fold_damage(f, &r)) && news != NULL)
            tell_news(f, &r, "event", news, context);
        return;
    case RECORD_RULE: /* folded in memory at each start: rules.h */
        return;
    }
    if (e->kind != RECORD_DICOM && e->kind != RECORD_HL7)
        return; /* a kind of a later version */
    count_source(f, &r, kind);
    folder_tally(f, kind, r.state);
    if (news != NULL)
        tell_news(f, &r, kind, news, context);
}

/* ---- batches ---- */

bool folder_position(struct folder *f, uint64_t *position, uint8_t digest[FOLDER_DIGEST_BYTES], struct error *err)
{
    struct sql_call q = sql_begin(&f->sql, FOLD_READ);
    struct span bytes;

    *position = 0;
    memset(digest, 0, FOLDER_DIGEST_BYTES);
    if (sql_row(&q)) {
        *position = (uint64_t)sql_get_int(&q, 0);
        bytes = sql_get(&q, 1);
        if (bytes.len == FOLDER_DIGEST_BYTES)
            memcpy(digest, bytes.ptr, FOLDER_DIGEST_BYTES);
    }
    sql_end(&q);
    return sql_ok(&f->sql, err);
}

void folder_digest(const struct entry *e, struct span facts, uint8_t out[FOLDER_DIGEST_BYTES])
{
    const uint64_t head[] = { e->position, e->kind, e->received_us, e->body_bytes };
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, NULL, 0, FOLDER_DIGEST_BYTES);
    (void)crypto_generichash_update(&state, (const uint8_t *)head, sizeof head);
    if (facts.len > 0)
        (void)crypto_generichash_update(&state, facts.ptr, facts.len);
    (void)crypto_generichash_final(&state, out, FOLDER_DIGEST_BYTES);
}

static void write_position(struct folder *f, uint64_t position, const uint8_t digest[FOLDER_DIGEST_BYTES])
{
    struct sql_call q = sql_begin(&f->sql, FOLD_WRITE);

    sql_int(&q, (int64_t)position);
    sql_blob(&q, span_of(digest, FOLDER_DIGEST_BYTES));
    sql_run(&q);
}

/* Its data key was destroyed: the row says that there was an object or message, and when; nothing else is known. */
static bool fold_erased(struct folder *f, const struct entry *e)
{
    const char *kind = e->kind == RECORD_DICOM ? "dicom" : "hl7";
    struct sql_call q;

    if (e->kind != RECORD_DICOM && e->kind != RECORD_HL7)
        return true;
    folder_tally(f, kind, SPAN_LIT("erased"));
    q = sql_begin(&f->sql, ADD_OBJECT);
    sql_int(&q, (int64_t)e->position);
    sql_text(&q, span_str(kind));
    sql_text(&q, SPAN_LIT("erased"));
    sql_int(&q, (int64_t)e->received_us);
    for (int i = 0; i < 3; i++) /* served, patient, series */
        sql_int(&q, 0);
    sql_text(&q, span_of(NULL, 0));
    sql_int(&q, -1);
    sql_int(&q, 0);
    sql_int(&q, 0);
    sql_blob(&q, span_of((const uint8_t *)"", 0));
    sql_run(&q);
    return true;
}

void folder_read_ahead(struct folder *f, struct ahead *ahead)
{
    f->ahead = ahead;
}

static bool read_entry(struct folder *f, struct store *s, uint64_t position, struct entry *e, struct span *facts,
                       struct error *err)
{
    if (f->ahead != NULL)
        return ahead_next(f->ahead, e, facts, err);
    writer_reset(&f->entry);
    if (!store_read_entry(s, position, e, &f->entry, err))
        return false;
    *facts = writer_span(&f->entry);
    return true;
}

/* The entry at position, read and folded; ERR_DAMAGED ones are listed and passed. digest: of the last of a batch. */
static bool fold_at(struct folder *f, struct store *s, uint64_t position, uint8_t *digest, folder_news *news,
                    void *context, struct error *err)
{
    struct entry e;
    struct span facts;
    struct error why = { .code = ERR_NONE };

    if (!read_entry(f, s, position, &e, &facts, &why)) {
        if (why.code == ERR_ERASED) {
            if (digest != NULL)
                memset(digest, 0, FOLDER_DIGEST_BYTES);
            return store_read_header(s, position, &e, err) && fold_erased(f, &e);
        }
        if (why.code != ERR_DAMAGED)
            return error_set(err, why.code, "entry %llu: %s", (unsigned long long)position, why.text);
        if (digest != NULL)
            memset(digest, 0, FOLDER_DIGEST_BYTES);
        fold_damaged(f, position);
        return true;
    }
    if (digest != NULL)
        folder_digest(&e, facts, digest);
    count_bytes(f, &e, facts);
    fold_entry(f, &e, facts, news, context);
    return true;
}

/* Forgets the open batch: its rows, its counters, what the caches learned in it. */
static void undo(struct folder *f)
{
    (void)sqlite3_exec(f->sql.db, "ROLLBACK", NULL, NULL, NULL);
    sql_forget_failure(&f->sql);
    f->tally_count = f->source_count = 0;
    f->today = (struct pending_day){ .count = 0 };
    f->next_version = 0;
    memset(f->series_changes, 0, sizeof f->series_changes);
    memset(&f->patients, 0, sizeof f->patients);
    memset(&f->studies, 0, sizeof f->studies);
    memset(&f->series, 0, sizeof f->series);
}

bool folder_batch(struct folder *f, struct store *s, uint64_t end, size_t max, folder_news *news, void *context,
                  size_t *folded, struct error *err)
{
    uint8_t digest[FOLDER_DIGEST_BYTES];
    uint64_t position, from;
    struct sql_call q;

    if (!folder_position(f, &position, digest, err)) {
        undo(f);
        return false;
    }
    from = position;
    q = sql_begin(&f->sql, FOLD_BEGIN);
    sql_run(&q);
    for (; position < end && position - from < max && sql_ok(&f->sql, err); position++)
        if (!fold_at(f, s, position, position + 1 == end || position + 1 - from == max ? digest : NULL, news, context,
                     err)) {
            undo(f);
            return false;
        }
    write_counts(f);
    folder_write_series(f);
    write_position(f, position, digest);
    q = sql_begin(&f->sql, FOLD_COMMIT);
    sql_run(&q);
    if (!sql_ok(&f->sql, err)) {
        undo(f);
        return error_within(err, "folding from %llu", (unsigned long long)from);
    }
    *folded = (size_t)(position - from);
    return true;
}
