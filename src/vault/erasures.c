/* Requests, tombstones, holds from the log. See erasures.h. */
#include "vault/erasures.h"

#include <stdlib.h>

#include "base/arena.h"
#include "record/field.h"
#include "vault/store.h"

#define ERASURES_MEMORY_MAX ((size_t)64 * 1024 * 1024)
#define LIST_MAX            1000000u

struct erasures {
    struct arena memory;
    struct erasure *list; /* owned */
    size_t count, cap;
    struct hold *holds; /* owned */
    size_t hold_count, hold_cap;
    uint64_t tombstones;
};

struct erasures *erasures_new(void)
{
    struct erasures *e = calloc(1, sizeof *e);

    if (e != NULL)
        e->memory = arena_new(ERASURES_MEMORY_MAX);
    return e;
}

void erasures_free(struct erasures *e)
{
    if (e == NULL)
        return;
    free(e->list);
    free(e->holds);
    arena_done(&e->memory);
    free(e);
}

void erasure_unit_put(struct writer *w, const struct erasure_unit *u)
{
    const size_t mark = field_group_begin(w, FIELD_ERASURE_UNIT);

    field_put_uint(w, FIELD_SLOT, u->slot);
    field_put_bytes(w, FIELD_UNIT_TAG, span_of(u->tag, sizeof u->tag));
    field_put_uint(w, FIELD_COUNT, u->count);
    field_put_uint(w, FIELD_OTHER_COUNT, u->other_count);
    field_put_uint(w, FIELD_FIRST_POSITION, u->first_position);
    field_group_end(w, mark);
}

static size_t fields_of(struct span facts, enum field f)
{
    struct fields_reader r = fields_over(facts);
    struct field_value v;
    size_t n = 0;

    while (fields_next(&r, &v))
        n += v.field == f;
    return n;
}

/* The units a fact names, copied. */
static bool take_units(struct erasures *e, struct span facts, const struct erasure_unit **out, size_t *count,
                       struct error *err)
{
    size_t n = fields_of(facts, FIELD_ERASURE_UNIT), i = 0;
    struct erasure_unit *units;
    struct fields_reader r = fields_over(facts);
    struct field_value v;

    if (n > ERASURE_UNITS_MAX)
        return error_set(err, ERR_LIMIT, "a rule that names %zu units", n);
    units = arena_alloc(&e->memory, (n + 1) * sizeof *units);
    if (units == NULL)
        return arena_failed(&e->memory, (n + 1) * sizeof *units, err, "units of erasures and holds");
    while (i < n && fields_next(&r, &v)) {
        struct span tag = v.field == FIELD_ERASURE_UNIT ? fields_text(v.value, FIELD_UNIT_TAG) : span_of(NULL, 0);
        uint64_t slot = fields_uint(v.value, FIELD_SLOT, 0);

        if (v.field != FIELD_ERASURE_UNIT)
            continue;
        if (tag.len != KEYRING_TAG_BYTES || slot == 0 || slot > UINT32_MAX)
            return error_set(err, ERR_MALFORMED, "a rule names a unit that cannot be");
        units[i] = (struct erasure_unit){ .slot = (uint32_t)slot,
                                          .count = fields_uint(v.value, FIELD_COUNT, 0),
                                          .other_count = fields_uint(v.value, FIELD_OTHER_COUNT, 0),
                                          .first_position = fields_uint(v.value, FIELD_FIRST_POSITION, 0) };
        memcpy(units[i++].tag, tag.ptr, KEYRING_TAG_BYTES);
    }
    *out = units;
    *count = n;
    return true;
}

static bool take_tags(struct erasures *e, struct span facts, struct hold *h, struct error *err)
{
    size_t n = fields_of(facts, FIELD_PATIENT_TAG), i = 0;
    uint8_t(*tags)[KEYRING_TAG_BYTES] = arena_alloc(&e->memory, (n + 1) * sizeof *tags);
    struct fields_reader r = fields_over(facts);
    struct field_value v;

    if (tags == NULL)
        return arena_failed(&e->memory, (n + 1) * sizeof *tags, err, "patients of holds");
    while (i < n && fields_next(&r, &v))
        if (v.field == FIELD_PATIENT_TAG && v.value.len == KEYRING_TAG_BYTES)
            memcpy(tags[i++], v.value.ptr, KEYRING_TAG_BYTES);
    h->tags = (const uint8_t(*)[KEYRING_TAG_BYTES])tags;
    h->tag_count = i;
    return true;
}

static struct erasure *erasure_of(struct erasures *e, struct span facts)
{
    uint64_t position = fields_uint(facts, FIELD_REQUEST, UINT64_MAX);

    for (size_t i = 0; i < e->count; i++)
        if (e->list[i].position == position)
            return &e->list[i];
    return NULL;
}

static struct hold *hold_of(struct erasures *e, struct span facts)
{
    uint64_t position = fields_uint(facts, FIELD_HOLD, UINT64_MAX);

    for (size_t i = 0; i < e->hold_count; i++)
        if (e->holds[i].position == position)
            return &e->holds[i];
    return NULL;
}

static bool room_for_one(void **list, size_t size, size_t count, size_t *cap, struct error *err)
{
    size_t more_cap = *cap == 0 ? 16 : 2 * *cap;
    void *more;

    if (count < *cap)
        return true;
    if (count >= LIST_MAX)
        return error_set(err, ERR_LIMIT, "more than %u erasures or holds", LIST_MAX);
    if ((more = realloc(*list, more_cap * size)) == NULL)
        return error_set(err, ERR_MEMORY, "no memory for erasures");
    *list = more;
    *cap = more_cap;
    return true;
}

static bool apply_requested(struct erasures *e, uint64_t position, struct span facts, struct error *err)
{
    struct erasure new = { .position = position, .until_us = fields_uint(facts, FIELD_UNTIL, 0),
                           .walked = fields_uint(facts, FIELD_AFTER, 0) };
    void *list = e->list;

    if (!span_to_str(fields_text(facts, FIELD_ACTOR), new.actor, sizeof new.actor)
        || !take_units(e, facts, &new.units, &new.unit_count, err)
        || !room_for_one(&list, sizeof new, e->count, &e->cap, err))
        return err->code != ERR_NONE ? false : error_set(err, ERR_MALFORMED, "a request for erasure without its actor");
    e->list = list;
    new.reason = arena_copy(&e->memory, fields_text(facts, FIELD_REASON));
    if (new.reason.ptr == NULL)
        return arena_failed(&e->memory, fields_text(facts, FIELD_REASON).len + 1, err, "reasons of erasures and holds");
    e->list[e->count++] = new;
    return true;
}

static bool apply_state(struct erasures *e, struct span facts, enum erasure_state state, uint64_t position,
                        struct error *err)
{
    struct erasure *r = erasure_of(e, facts);

    if (r == NULL)
        return error_set(err, ERR_NOT_FOUND, "a rule about a request that is not there");
    r->state = state;
    if (state == ERASURE_APPROVED)
        (void)span_to_str(fields_text(facts, FIELD_ACTOR), r->approved_by, sizeof r->approved_by);
    if (state == ERASURE_DONE)
        r->tombstone = position;
    return true;
}

static bool apply_approved(struct erasures *e, uint64_t position, struct span facts, struct error *err)
{
    return apply_state(e, facts, ERASURE_APPROVED, position, err);
}

static bool apply_withdrawn(struct erasures *e, uint64_t position, struct span facts, struct error *err)
{
    return apply_state(e, facts, ERASURE_WITHDRAWN, position, err);
}

/* The tombstone counts whether its request can be read or not: what it names is taken as one that is done. */
static bool apply_erased(struct erasures *e, uint64_t position, struct span facts, struct error *err)
{
    struct erasure *r;

    e->tombstones++;
    if (erasure_of(e, facts) == NULL && !apply_requested(e, fields_uint(facts, FIELD_REQUEST, 0), facts, err))
        return false;
    r = erasure_of(e, facts);
    return r != NULL && take_units(e, facts, &r->units, &r->unit_count, err)
           && apply_state(e, facts, ERASURE_DONE, position, err);
}

static bool apply_hold(struct erasures *e, uint64_t position, struct span facts, struct error *err)
{
    struct hold new = { .position = position };
    void *list = e->holds;

    if (!span_to_str(fields_text(facts, FIELD_ACTOR), new.actor, sizeof new.actor))
        return error_set(err, ERR_MALFORMED, "a hold without its actor");
    if (!take_units(e, facts, &new.units, &new.unit_count, err) || !take_tags(e, facts, &new, err)
        || !room_for_one(&list, sizeof new, e->hold_count, &e->hold_cap, err))
        return false;
    e->holds = list;
    new.reason = arena_copy(&e->memory, fields_text(facts, FIELD_REASON));
    if (new.reason.ptr == NULL)
        return arena_failed(&e->memory, fields_text(facts, FIELD_REASON).len + 1, err, "reasons of erasures and holds");
    e->holds[e->hold_count++] = new;
    return true;
}

static bool apply_lift(struct erasures *e, uint64_t position, struct span facts, struct error *err)
{
    struct hold *h = hold_of(e, facts);

    if (h == NULL)
        return error_set(err, ERR_NOT_FOUND, "a rule about a hold that is not there");
    h->lift_asked_at = position;
    return span_to_str(fields_text(facts, FIELD_ACTOR), h->lift_asked_by, sizeof h->lift_asked_by)
           || error_set(err, ERR_MALFORMED, "a lift without its actor");
}

static bool apply_lifted(struct erasures *e, uint64_t position, struct span facts, struct error *err)
{
    struct hold *h = hold_of(e, facts);

    (void)position;
    if (h == NULL)
        return error_set(err, ERR_NOT_FOUND, "a rule about a hold that is not there");
    h->lifted = true;
    return true;
}

static const struct {
    const char *fact;
    bool (*apply)(struct erasures *e, uint64_t position, struct span facts, struct error *err);
} facts_known[] = {
    { "erasure-requested", apply_requested }, { "erasure-approved", apply_approved },
    { "erasure-withdrawn", apply_withdrawn }, { "units-erased", apply_erased },
    { "hold-set", apply_hold },               { "hold-lift-asked", apply_lift },
    { "hold-lifted", apply_lifted },
};

bool erasures_apply(struct erasures *e, uint64_t position, struct span facts, struct error *err)
{
    const struct span name = fields_text(facts, FIELD_FACT);
    struct error own = { 0 };

    err = err == NULL ? &own : err;
    err->code = ERR_NONE;
    for (size_t i = 0; i < COUNT_OF(facts_known); i++)
        if (span_equal(name, span_str(facts_known[i].fact)))
            return facts_known[i].apply(e, position, facts, err);
    return true;
}

size_t erasures_count(const struct erasures *e)
{
    return e->count;
}

const struct erasure *erasures_at(const struct erasures *e, size_t n)
{
    return &e->list[n];
}

size_t holds_count(const struct erasures *e)
{
    return e->hold_count;
}

const struct hold *holds_at(const struct erasures *e, size_t n)
{
    return &e->holds[n];
}

uint64_t erasures_tombstones(const struct erasures *e)
{
    return e->tombstones;
}

bool erasure_apply(struct store *s, const struct erasure *e, size_t *due, struct error *err)
{
    struct slot_erasure *slots = calloc(e->unit_count + 1, sizeof *slots);
    bool ok;

    *due = 0;
    if (slots == NULL)
        return error_set(err, ERR_MEMORY, "erasure");
    for (size_t i = 0; i < e->unit_count; i++) {
        slots[i].slot = e->units[i].slot;
        memcpy(slots[i].tag, e->units[i].tag, KEYRING_TAG_BYTES);
    }
    ok = store_erase_units(s, slots, e->unit_count, err);
    for (size_t i = 0; i < e->unit_count; i++)
        *due += slots[i].due;
    free(slots);
    return ok;
}
