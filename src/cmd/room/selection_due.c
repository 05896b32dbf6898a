/* Which units have been kept long enough. See selection.h. */
#include <stdlib.h>

#include "cmd/room/selection.h"
#include "record/field.h"

/* Of one slot of the keyring. */
struct slot_age {
    uint8_t tag[KEYRING_TAG_BYTES];
    uint64_t count; /* records that could be read */
    uint64_t first;
    uint64_t newest; /* the time lived through when its newest record came */
    uint64_t received[2]; /* by the clock, of its oldest and newest record */
    uint32_t months; /* the longest period of the kinds in it */
    bool always;     /* one of them is kept always */
};

struct ages {
    struct store *store;
    const struct retention *rules;
    uint64_t last_us, lived_us;
    struct slot_age *slots; /* owned, by slot */
    size_t slot_count;
    struct error *err;
};

static void live_on(struct ages *a, uint64_t until_us)
{
    if (a->last_us != 0 && until_us > a->last_us)
        a->lived_us += until_us - a->last_us < SELECTION_GAP_US ? until_us - a->last_us : SELECTION_GAP_US;
    if (until_us > a->last_us)
        a->last_us = until_us;
}

/* RETAINED_COUNT: a kind that no rule is about. */
static enum retained kind_of(const struct entry *e)
{
    switch (e->kind) {
    case RECORD_DICOM:
        return e->has_body && e->body_class == BODY_RECORDINGS ? RETAINED_RECORDINGS : RETAINED_IMAGES;
    case RECORD_HL7:
        return RETAINED_RESULTS;
    case RECORD_EVENT:
        return RETAINED_EVENTS;
    default:
        return RETAINED_COUNT;
    }
}

static struct slot_age *age_of(struct ages *a, uint32_t slot)
{
    size_t count = (size_t)slot + 1024;
    struct slot_age *more;

    if (slot < a->slot_count)
        return &a->slots[slot];
    more = realloc(a->slots, count * sizeof *more);
    if (more == NULL)
        return NULL;
    memset(more + a->slot_count, 0, (count - a->slot_count) * sizeof *more);
    a->slots = more;
    a->slot_count = count;
    return &a->slots[slot];
}

static bool look(void *context, const struct record_seen *seen, struct span facts)
{
    struct ages *a = context;
    struct slot_age *age;
    enum retained kind;

    (void)facts;
    if (seen->slot == 0) /* its header is lost */
        return true;
    live_on(a, seen->entry.received_us);
    if (seen->why == ERR_ERASED)
        return true;
    age = age_of(a, seen->slot);
    if (age == NULL)
        return error_set(a->err, ERR_MEMORY, "no memory to look for what is old");
    kind = kind_of(&seen->entry);
    age->newest = a->lived_us;
    age->received[1] = seen->entry.received_us;
    if (age->received[0] == 0)
        age->received[0] = seen->entry.received_us;
    if (kind == RETAINED_COUNT || a->rules[kind].months == 0)
        age->always = true;
    else if (a->rules[kind].months > age->months)
        age->months = a->rules[kind].months;
    if (seen->readable && age->count++ == 0) {
        age->first = seen->position;
        store_tag(a->store, span_str(seen->unit), age->tag);
    }
    return true;
}

static bool is_due(const struct ages *a, const struct slot_age *age)
{
    return age->count > 0 && !age->always && a->lived_us - age->newest >= age->months * RETENTION_MONTH_US;
}

static bool gather(const struct ages *a, struct selection *out, struct error *err)
{
    out->units = calloc(ERASURE_UNITS_MAX, sizeof *out->units);
    out->received = calloc(ERASURE_UNITS_MAX, sizeof *out->received);
    if (out->units == NULL || out->received == NULL)
        return error_set(err, ERR_MEMORY, "units");
    for (size_t i = 1; i < a->slot_count; i++) {
        const struct slot_age *age = &a->slots[i];
        struct erasure_unit *u = &out->units[out->unit_count];

        if (!is_due(a, age))
            continue;
        if (out->unit_count == ERASURE_UNITS_MAX) {
            out->left_out++;
            continue;
        }
        memcpy(out->received[out->unit_count], age->received, sizeof age->received);
        *u = (struct erasure_unit){ .slot = (uint32_t)i, .count = age->count, .first_position = age->first };
        memcpy(u->tag, age->tag, sizeof u->tag);
        out->unit_count++;
    }
    return true;
}

struct held {
    struct vault *vault;
    const struct selection *selection;
    bool *units; /* of each of the selection's */
};

static bool look_for_holds(void *context, const struct record_seen *seen, struct span facts)
{
    struct held *h = context;
    size_t i = selection_unit(h->selection->units, h->selection->unit_count, seen->slot);

    if (i < h->selection->unit_count && !h->units[i] && seen->readable)
        h->units[i] = selection_hold(h->vault, &h->selection->units[i], facts) != UINT64_MAX;
    return true;
}

static bool leave_held(struct vault *vault, struct selection *out, struct error *err)
{
    struct held h = { vault, out, calloc(ERASURE_UNITS_MAX, sizeof *h.units) };
    size_t kept = 0;
    bool ok = h.units != NULL;

    if (!ok)
        return error_set(err, ERR_MEMORY, "units");
    ok = store_walk(vault_store(vault), 0, out->walked, look_for_holds, &h, err);
    for (size_t i = 0; i < out->unit_count; i++) {
        if (h.units[i])
            continue;
        memmove(out->received[kept], out->received[i], sizeof out->received[i]);
        out->units[kept++] = out->units[i];
    }
    out->left_out += out->unit_count - kept;
    out->unit_count = kept;
    free(h.units);
    return ok;
}

bool selection_due(struct vault *vault, const struct retention rules[RETAINED_COUNT], uint64_t now_us,
                   struct selection *out, struct error *err)
{
    struct ages a = { .store = vault_store(vault), .rules = rules, .err = err };
    bool ok;

    *out = (struct selection){ .walked = store_committed_size(a.store) };
    ok = store_walk(a.store, 0, out->walked, look, &a, err) && err->code == ERR_NONE;
    live_on(&a, now_us);
    ok = ok && gather(&a, out, err) && (out->unit_count == 0 || leave_held(vault, out, err));
    if (!ok)
        selection_done(out);
    free(a.slots);
    return ok;
}
