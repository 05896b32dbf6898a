/* Which units a request means. See selection.h. */
#include "cmd/room/selection.h"

#include <stdlib.h>

#include "record/field.h"

/* Of one slot of the keyring. */
struct slot_sum {
    uint8_t tag[KEYRING_TAG_BYTES];
    uint64_t total, matched, first;
};

struct identity {
    struct span issuer, patient_id; /* borrow from the search's texts */
};

struct search {
    struct store *store;
    struct span study, unit;
    struct writer texts; /* a unit's name, then what identities borrow */
    struct identity identities[SELECTION_IDENTITIES_MAX];
    size_t identity_count;
    struct slot_sum *slots; /* owned, by slot */
    size_t slot_count;
    struct error *err;
};

void selection_done(struct selection *s)
{
    free(s->units);
    free(s->received);
    free(s->tags);
    *s = (struct selection){ .units = NULL };
}

void patient_tag(struct store *s, struct span issuer, struct span patient_id, uint8_t out[KEYRING_TAG_BYTES])
{
    struct writer w = writer_new(4096);

    write_str(&w, "patient:");
    write_span(&w, span_part(issuer, 0, 1024));
    write_u8(&w, '\n');
    write_span(&w, span_part(patient_id, 0, 1024));
    store_tag(s, writer_span(&w), out);
    writer_done(&w);
}

/* ---- who a patient is ---- */

static bool knows(const struct search *q, struct span issuer, struct span patient_id)
{
    for (size_t i = 0; i < q->identity_count; i++)
        if (span_equal(q->identities[i].issuer, issuer) && span_equal(q->identities[i].patient_id, patient_id))
            return true;
    return false;
}

static bool add_identity(struct search *q, struct span issuer, struct span patient_id)
{
    struct identity *id = &q->identities[q->identity_count];
    uint8_t *room;

    if (patient_id.len == 0 || knows(q, issuer, patient_id))
        return true;
    if (q->identity_count == SELECTION_IDENTITIES_MAX
        || (room = write_room(&q->texts, issuer.len + patient_id.len)) == NULL)
        return error_set(q->err, ERR_LIMIT, "a patient of more than %u identities", SELECTION_IDENTITIES_MAX);
    if (issuer.len > 0)
        memcpy(room, issuer.ptr, issuer.len);
    memcpy(room + issuer.len, patient_id.ptr, patient_id.len);
    *id = (struct identity){ span_of(room, issuer.len), span_of(room + issuer.len, patient_id.len) };
    q->identity_count++;
    return true;
}

/* A row of "patients", or of "patient" with the identities linked to it. */
static bool take_patient(void *context, struct span row)
{
    struct search *q = context;
    struct fields_reader r = fields_over(row);
    struct field_value v;
    bool ok = add_identity(q, fields_text(row, FIELD_ISSUER), fields_text(row, FIELD_PATIENT_ID));

    while (ok && fields_next(&r, &v))
        if (v.field == FIELD_OTHER_ID)
            ok = add_identity(q, fields_text(v.value, FIELD_ISSUER), fields_text(v.value, FIELD_PATIENT_ID));
    return ok;
}

static bool take_key(void *context, struct span row)
{
    struct writer *key = context;

    writer_reset(key);
    write_span(key, fields_text(row, FIELD_PATIENT_KEY));
    return true;
}

static bool find_identities(struct search *q, struct vault_reader *reader, struct span issuer, struct span patient_id,
                            struct error *err)
{
    struct writer request = writer_new(8192), key = writer_new(1024);
    bool ok = add_identity(q, issuer, patient_id);

    field_put_str(&request, FIELD_QUERY, "patients");
    field_put_text(&request, FIELD_PATIENT_ID, patient_id);
    field_put_text(&request, FIELD_ISSUER, issuer);
    ok = ok && vault_find(reader, writer_span(&request), take_key, &key, err);
    if (ok && key.len > 0) {
        writer_reset(&request);
        field_put_str(&request, FIELD_QUERY, "patient");
        field_put_text(&request, FIELD_PATIENT_KEY, writer_span(&key));
        ok = vault_find(reader, writer_span(&request), take_patient, q, err) && err->code == ERR_NONE;
    }
    writer_done(&request);
    writer_done(&key);
    return ok;
}

/* ---- the walk ---- */

static struct slot_sum *sum_of(struct search *q, uint32_t slot)
{
    size_t count = (size_t)slot + 1024;
    struct slot_sum *more;

    if (slot < q->slot_count)
        return &q->slots[slot];
    more = realloc(q->slots, count * sizeof *more);
    if (more == NULL)
        return NULL;
    memset(more + q->slot_count, 0, (count - q->slot_count) * sizeof *more);
    q->slots = more;
    q->slot_count = count;
    return &q->slots[slot];
}

static bool matches(const struct search *q, const struct record_seen *seen, struct span facts)
{
    if (q->unit.len > 0)
        return span_equal(q->unit, span_str(seen->unit));
    if (q->study.len > 0)
        return span_equal(q->study, fields_text(facts, FIELD_STUDY_UID));
    return knows(q, fields_text(facts, FIELD_ISSUER), span_trim(fields_text(facts, FIELD_PATIENT_ID), " "));
}

static bool look(void *context, const struct record_seen *seen, struct span facts)
{
    struct search *q = context;
    struct slot_sum *sum;

    if (!seen->readable || (seen->entry.kind != RECORD_DICOM && seen->entry.kind != RECORD_HL7))
        return true;
    sum = sum_of(q, seen->slot);
    if (sum == NULL)
        return error_set(q->err, ERR_MEMORY, "no memory to look for units");
    sum->total++;
    if (matches(q, seen, facts)) {
        if (sum->matched++ == 0)
            sum->first = seen->position;
        store_tag(q->store, span_str(seen->unit), sum->tag);
    }
    return true;
}

static bool gather(struct search *q, struct selection *out, struct error *err)
{
    size_t count = 0;

    for (size_t i = 1; i < q->slot_count; i++)
        count += q->slots[i].matched > 0;
    if (count > ERASURE_UNITS_MAX)
        return error_set(err, ERR_LIMIT, "%zu units at once, more than %u", count, ERASURE_UNITS_MAX);
    out->units = calloc(count + 1, sizeof *out->units);
    out->tags = calloc(q->identity_count + 1, sizeof *out->tags);
    if (out->units == NULL || out->tags == NULL)
        return error_set(err, ERR_MEMORY, "units");
    for (size_t i = 1; i < q->slot_count; i++) {
        const struct slot_sum *sum = &q->slots[i];
        struct erasure_unit *u = &out->units[out->unit_count];

        if (sum->matched == 0)
            continue;
        *u = (struct erasure_unit){ .slot = (uint32_t)i, .count = sum->total, .other_count = sum->total - sum->matched,
                                    .first_position = sum->first };
        memcpy(u->tag, sum->tag, sizeof u->tag);
        out->unit_count++;
    }
    for (size_t i = 0; i < q->identity_count; i++)
        patient_tag(q->store, q->identities[i].issuer, q->identities[i].patient_id, out->tags[out->tag_count++]);
    return true;
}

bool selection_make(struct vault *vault, struct vault_reader *reader, struct span request, struct selection *out,
                    struct error *err)
{
    struct search *q = calloc(1, sizeof *q);
    struct span patient_id = fields_text(request, FIELD_PATIENT_ID);
    bool ok = true;

    *out = (struct selection){ .units = NULL };
    if (q == NULL)
        return error_set(err, ERR_MEMORY, "selection");
    q->store = vault_store(vault);
    q->err = err;
    q->texts = writer_new((size_t)1 << 20);
    (void)write_room(&q->texts, (size_t)1 << 20); /* whole: identities borrow from it */
    writer_reset(&q->texts);
    q->study = fields_text(request, FIELD_STUDY_UID);
    q->unit = fields_text(request, FIELD_UNIT);
    if (q->study.len + q->unit.len + patient_id.len == 0)
        ok = error_set(err, ERR_USAGE, "a study, a patient or a unit has to be named");
    else if (patient_id.len > 0)
        ok = find_identities(q, reader, fields_text(request, FIELD_ISSUER), patient_id, err);
    out->walked = store_committed_size(q->store);
    ok = ok && store_walk(q->store, 0, out->walked, look, q, err) && err->code == ERR_NONE && gather(q, out, err);
    if (!ok)
        selection_done(out);
    free(q->slots);
    writer_done(&q->texts);
    free(q);
    return ok;
}

/* ---- looking again ---- */

struct check {
    struct vault *vault;
    const struct erasure_unit *units;
    size_t count;
    uint64_t since;
    struct still *out;
};

static bool is_held(struct vault *vault, const struct hold *h, const struct erasure_unit *u, struct span facts)
{
    uint8_t tag[KEYRING_TAG_BYTES];

    for (size_t i = 0; i < h->unit_count; i++)
        if (memcmp(h->units[i].tag, u->tag, KEYRING_TAG_BYTES) == 0)
            return true;
    if (h->tag_count == 0)
        return false;
    patient_tag(vault_store(vault), fields_text(facts, FIELD_ISSUER), span_trim(fields_text(facts, FIELD_PATIENT_ID), " "),
                tag);
    for (size_t i = 0; i < h->tag_count; i++)
        if (memcmp(h->tags[i], tag, KEYRING_TAG_BYTES) == 0)
            return true;
    return false;
}

uint64_t selection_hold(struct vault *vault, const struct erasure_unit *u, struct span facts)
{
    struct hold h;

    for (size_t i = 0; vault_hold_at(vault, i, &h); i++)
        if (!h.lifted && is_held(vault, &h, u, facts))
            return h.position;
    return UINT64_MAX;
}

static int by_slot(const void *slot, const void *unit)
{
    uint32_t a = *(const uint32_t *)slot, b = ((const struct erasure_unit *)unit)->slot;

    return a < b ? -1 : a > b;
}

size_t selection_unit(const struct erasure_unit *units, size_t count, uint32_t slot)
{
    const struct erasure_unit *u = count > 0 ? bsearch(&slot, units, count, sizeof *u, by_slot) : NULL;

    return u == NULL ? count : (size_t)(u - units);
}

static bool look_again(void *context, const struct record_seen *seen, struct span facts)
{
    struct check *c = context;
    size_t i = selection_unit(c->units, c->count, seen->slot);

    if (i == c->count || !seen->readable)
        return true;
    if (seen->position >= c->since && (seen->entry.kind == RECORD_DICOM || seen->entry.kind == RECORD_HL7))
        c->out->newcomers++;
    if (c->out->hold == UINT64_MAX)
        c->out->hold = selection_hold(c->vault, &c->units[i], facts);
    return true;
}

bool selection_check(struct vault *vault, const struct erasure_unit *units, size_t count, uint64_t since,
                     struct still *out, struct error *err)
{
    struct check c = { vault, units, count, since, out };

    *out = (struct still){ .hold = UINT64_MAX };
    return store_walk(vault_store(vault), 0, store_committed_size(vault_store(vault)), look_again, &c, err);
}
