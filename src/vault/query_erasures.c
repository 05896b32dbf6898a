/* Queries over the rules. See query_erasures.h. */
#include "vault/query_erasures.h"

#include <stdlib.h>

#include "record/field.h"
#include "vault/seal.h"

#define ROW_MAX ((size_t)64 * 1024)

static const char *const states[] = {
    [ERASURE_REQUESTED] = "requested",
    [ERASURE_APPROVED] = "approved",
    [ERASURE_WITHDRAWN] = "withdrawn",
    [ERASURE_DONE] = "erased",
};

/* Gives what was written, and begins the next row. False where the asker wants no more, or it failed. */
static bool give(struct writer *w, vault_row *row, void *context, bool *ok, struct error *err)
{
    *ok = writer_ok(w, err, "row");
    return *ok && row(context, writer_span(w));
}

static bool find_accounts(struct rules *r, struct store *s, struct span request, vault_row *row, void *context,
                          struct error *err)
{
    struct writer w = writer_new(ROW_MAX);
    struct account a;
    bool ok = true;

    (void)s;
    (void)request;
    for (size_t i = 0; rules_account_at(r, i, &a); i++) {
        writer_reset(&w);
        field_put_str(&w, FIELD_USER, a.user);
        field_put_str(&w, FIELD_DISPLAY_NAME, a.display_name);
        field_put_str(&w, FIELD_ROLE, a.role);
        field_put_str(&w, FIELD_STATE, a.password_hash[0] != '\0' ? "enabled" : "disabled");
        field_put_some(&w, FIELD_ACTOR, span_str(a.password_by));
        if (!give(&w, row, context, &ok, err))
            break;
    }
    seal_wipe(&a, sizeof a);
    writer_done(&w);
    return ok;
}

static bool find_erasures(struct rules *r, struct store *s, struct span request, vault_row *row, void *context,
                          struct error *err)
{
    struct writer w = writer_new(ROW_MAX), pending = writer_new(ROW_MAX / 2);
    struct erasure e;
    bool ok = true;

    (void)s;
    (void)request;
    for (size_t i = 0; rules_erasure_at(r, i, &e); i++) {
        writer_reset(&w);
        field_put_uint(&w, FIELD_REQUEST, e.position);
        field_put_str(&w, FIELD_STATE, states[e.state]);
        field_put_str(&w, FIELD_ACTOR, e.actor);
        field_put_some(&w, FIELD_APPROVED_BY, span_str(e.approved_by));
        field_put_some(&w, FIELD_REASON, e.reason);
        field_put_uint(&w, FIELD_UNTIL, e.until_us);
        field_put_uint(&w, FIELD_COUNT, e.unit_count);
        if (e.state == ERASURE_DONE) {
            field_put_uint(&w, FIELD_POSITION, e.tombstone);
            writer_reset(&pending);
            rules_pending(r, e.tombstone, fields_uint(request, FIELD_NOW, 0), &pending);
            field_put_some(&w, FIELD_PENDING, writer_span(&pending));
        }
        if (!give(&w, row, context, &ok, err))
            break;
    }
    writer_done(&pending);
    writer_done(&w);
    return ok;
}

/* What a unit is, from its first record; nothing of one that is erased. */
static void put_unit(struct writer *w, struct store *s, const struct erasure_unit *u)
{
    static const enum field kept[] = { FIELD_STUDY_UID, FIELD_PATIENT_ID, FIELD_ISSUER, FIELD_PATIENT_NAME };
    struct record_seen seen;
    struct writer facts = writer_new(SIZE_MAX / 2);
    struct error why = { 0 };
    bool readable = store_read_record(s, u->first_position, &seen, &facts, &why);

    field_put_str(w, FIELD_STATE, readable ? "readable" : error_name(why.code));
    if (readable) {
        field_put_str(w, FIELD_UNIT, seen.unit);
        for (size_t i = 0; i < COUNT_OF(kept); i++)
            field_put_some(w, kept[i], fields_text(writer_span(&facts), kept[i]));
    }
    field_put_uint(w, FIELD_SLOT, u->slot);
    field_put_uint(w, FIELD_COUNT, u->count);
    field_put_uint(w, FIELD_OTHER_COUNT, u->other_count);
    field_put_uint(w, FIELD_FIRST_POSITION, u->first_position);
    if (facts.ptr != NULL)
        seal_wipe(facts.ptr, facts.cap);
    writer_done(&facts);
}

static bool give_units(struct store *s, const struct erasure_unit *units, size_t count, vault_row *row, void *context,
                       struct error *err)
{
    struct writer w = writer_new(ROW_MAX);
    bool ok = true;

    for (size_t i = 0; i < count; i++) {
        writer_reset(&w);
        put_unit(&w, s, &units[i]);
        if (!give(&w, row, context, &ok, err))
            break;
    }
    writer_done(&w);
    return ok;
}

/* The units of one request or one hold. */
static bool find_units(struct rules *r, struct store *s, struct span request, vault_row *row, void *context,
                       struct error *err)
{
    uint64_t erasure = fields_uint(request, FIELD_REQUEST, UINT64_MAX);
    uint64_t hold = fields_uint(request, FIELD_HOLD, UINT64_MAX);
    struct erasure e;
    struct hold h;

    for (size_t i = 0; rules_erasure_at(r, i, &e); i++)
        if (e.position == erasure)
            return give_units(s, e.units, e.unit_count, row, context, err);
    for (size_t i = 0; rules_hold_at(r, i, &h); i++)
        if (h.position == hold)
            return give_units(s, h.units, h.unit_count, row, context, err);
    return error_set(err, ERR_NOT_FOUND, "there is no request or hold of that number");
}

static bool find_copies(struct rules *r, struct store *s, struct span request, vault_row *row, void *context,
                        struct error *err)
{
    struct writer w = writer_new(ROW_MAX);
    struct copy c;
    bool ok = true;

    (void)s;
    (void)request;
    for (size_t i = 0; rules_copy_at(r, i, &c); i++) {
        writer_reset(&w);
        field_put_str(&w, FIELD_NAME, c.name);
        field_put_uint(&w, FIELD_POSITION, c.applied);
        if (!give(&w, row, context, &ok, err))
            break;
    }
    writer_done(&w);
    return ok;
}

static bool find_holds(struct rules *r, struct store *s, struct span request, vault_row *row, void *context,
                       struct error *err)
{
    struct writer w = writer_new(ROW_MAX);
    struct hold h;
    bool ok = true;

    (void)s;
    (void)request;
    for (size_t i = 0; rules_hold_at(r, i, &h); i++) {
        writer_reset(&w);
        field_put_uint(&w, FIELD_HOLD, h.position);
        field_put_str(&w, FIELD_STATE, h.lifted ? "lifted" : h.lift_asked_at != 0 ? "lift-asked" : "held");
        field_put_str(&w, FIELD_ACTOR, h.actor);
        field_put_some(&w, FIELD_APPROVED_BY, span_str(h.lift_asked_by));
        field_put_some(&w, FIELD_REASON, h.reason);
        field_put_uint(&w, FIELD_COUNT, h.unit_count);
        if (!give(&w, row, context, &ok, err))
            break;
    }
    writer_done(&w);
    return ok;
}

static bool find_retention(struct rules *r, struct store *s, struct span request, vault_row *row, void *context,
                           struct error *err)
{
    struct retention kinds[RETAINED_COUNT];
    struct writer w = writer_new(ROW_MAX);
    bool ok = true;

    (void)s;
    (void)request;
    rules_retention(r, kinds);
    for (size_t i = 0; i < RETAINED_COUNT; i++) {
        const struct retention *k = &kinds[i];

        writer_reset(&w);
        field_put_str(&w, FIELD_CLASS, retained_names[i]);
        field_put_uint(&w, FIELD_MONTHS, k->months);
        field_put_some(&w, FIELD_ACTOR, span_str(k->actor));
        field_put_some(&w, FIELD_APPROVED_BY, span_str(k->approved_by));
        if (k->asked.position != 0) {
            field_put_uint(&w, FIELD_REQUEST, k->asked.position);
            field_put_uint(&w, FIELD_ASKED_MONTHS, k->asked.months);
        }
        if (!give(&w, row, context, &ok, err))
            break;
    }
    writer_done(&w);
    return ok;
}

static const struct {
    const char *name;
    rules_query *run;
} queries[] = {
    { "accounts", find_accounts },
    { "erasures", find_erasures },
    { "erasure-units", find_units },
    { "holds", find_holds },
    { "retention", find_retention },
    { "copies", find_copies },
};

rules_query *rules_query_of(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(queries); i++)
        if (span_equal(name, span_str(queries[i].name)))
            return queries[i].run;
    return NULL;
}
