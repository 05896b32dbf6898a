/* Claims against bytes. See facts_differ.h. */
#include "cmd/room/facts_differ.h"

#define FIELDS_MAX 600 /* above the numbers of field_list.h */

bool field_is_the_vaults(enum field f)
{
    switch ((int)f) {
    case FIELD_POSITION:
    case FIELD_KIND:
    case FIELD_RECEIVED:
    case FIELD_BODY_BYTES:
    case FIELD_SOURCE:
    case FIELD_ADDRESS:
    case FIELD_FIRST_POSITION:
    case FIELD_BODY_CLASS:
    case FIELD_UNIT:
    case FIELD_FACT:
    case FIELD_EVENT:
    case FIELD_ACTOR:
    case FIELD_OUTCOME:
    case FIELD_PATIENT_KEY:
        return true;
    default:
        return false;
    }
}

/* What the association and the answer to it said: no bytes of the object can tell. STATE is looked at by itself. */
static bool is_of_the_association(enum field f)
{
    switch ((int)f) {
    case FIELD_STATE:
    case FIELD_REASON:
    case FIELD_COMMAND_SOP_UID:
    case FIELD_CALLING_AE:
    case FIELD_CALLED_AE:
    case FIELD_ACK_CODE:
    case FIELD_ERROR_LOCATION:
    case FIELD_ERROR_CODE:
        return true;
    default:
        return false;
    }
}

static bool next_of(struct fields_reader *r, enum field f, struct span *out)
{
    struct field_value v;

    while (fields_next(r, &v))
        if (v.field == f) {
            *out = v.value;
            return true;
        }
    return false;
}

static size_t count_of(struct span list, enum field f)
{
    struct fields_reader r = fields_over(list);
    struct span value;
    size_t n = 0;

    while (next_of(&r, f, &value))
        n++;
    return n;
}

/* All values of a field, in order; `less` of the last of a are left out. */
static bool same_values(struct span a, struct span b, enum field f, size_t less)
{
    struct fields_reader in_a = fields_over(a), in_b = fields_over(b);
    size_t n = count_of(a, f);
    struct span x, y;

    n -= n < less ? n : less;
    if (count_of(b, f) != n)
        return false;
    while (n-- > 0)
        if (!next_of(&in_a, f, &x) || !next_of(&in_b, f, &y) || !span_equal(x, y))
            return false;
    return true;
}

/* An issuer that the object does not name is the vault's: the source's own. */
static bool same_issuer(struct span stored, struct span walked, struct span source_issuer)
{
    struct span claimed = fields_text(stored, FIELD_ISSUER);

    if (fields_text(walked, FIELD_ISSUER).len > 0)
        return same_values(stored, walked, FIELD_ISSUER, 0);
    return claimed.len == 0 || source_issuer.len == 0 || span_equal(claimed, source_issuer);
}

static bool same_field(struct span stored, struct span walked, struct span source_issuer, bool is_message, enum field f)
{
    if (f == FIELD_ISSUER)
        return same_issuer(stored, walked, source_issuer);
    if (f == FIELD_ZONE && is_message)
        return same_values(stored, walked, f, 1);
    /* A data set without a SOP Class UID is what its command calls it (PS3.7 9.1.1.1.3). */
    if (f == FIELD_SOP_CLASS && fields_text(walked, f).len == 0)
        return true;
    return same_values(stored, walked, f, 0);
}

static bool was_kept_as_good(struct span stored)
{
    const struct span state = fields_text(stored, FIELD_STATE);

    return !span_equal(state, SPAN_LIT("refused")) && !span_equal(state, SPAN_LIT("not-understood"));
}

size_t facts_differ(struct span stored, const struct walked *walked, struct span source_issuer, bool is_message,
                    enum field out[DIFFERENCES_MAX])
{
    const struct span lists[] = { stored, walked->facts };
    bool seen[FIELDS_MAX] = { false };
    size_t count = 0;

    if (!walked->understood && was_kept_as_good(stored))
        out[count++] = FIELD_STATE;
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct fields_reader r = fields_over(lists[i]);
        struct field_value v;

        while (fields_next(&r, &v)) {
            if ((size_t)v.field >= FIELDS_MAX || seen[v.field] || field_is_the_vaults(v.field)
                || is_of_the_association(v.field))
                continue;
            seen[v.field] = true;
            if (count < DIFFERENCES_MAX && !same_field(stored, walked->facts, source_issuer, is_message, v.field))
                out[count++] = v.field;
        }
    }
    return count;
}

struct span facts_zone(struct span stored)
{
    struct fields_reader r = fields_over(stored);
    struct span value, zone = { NULL, 0 };

    while (next_of(&r, FIELD_ZONE, &value))
        zone = value;
    return zone;
}
