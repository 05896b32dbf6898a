/* Rules of retention from the log. See retention.h. */
#include "vault/retention.h"

#include "record/field.h"

const char *const retained_names[RETAINED_COUNT] = { "images", "results", "events", "recordings" };

enum retained retained_of(struct span name)
{
    enum retained k = RETAINED_IMAGES;

    while (k < RETAINED_COUNT && !span_equal(name, span_str(retained_names[k])))
        k++;
    return k;
}

bool retention_is_shorter(uint32_t months, uint32_t than)
{
    return months != 0 && (than == 0 || months < than);
}

static bool read_rule(struct span facts, enum retained *kind, uint32_t *months, char actor[65], struct error *err)
{
    uint64_t n = fields_uint(facts, FIELD_MONTHS, UINT64_MAX);

    *kind = retained_of(fields_text(facts, FIELD_CLASS));
    if (*kind == RETAINED_COUNT || n > RETENTION_MONTHS_MAX
        || !span_to_str(fields_text(facts, FIELD_ACTOR), actor, 65))
        return error_set(err, ERR_MALFORMED, "a rule of retention that cannot be");
    *months = (uint32_t)n;
    return true;
}

static bool apply_asked(struct retention *kinds, uint64_t position, struct span facts, struct error *err)
{
    enum retained kind;
    uint32_t months;
    char actor[65];

    if (!read_rule(facts, &kind, &months, actor, err))
        return false;
    kinds[kind].asked.position = position;
    kinds[kind].asked.months = months;
    kinds[kind].asked.until_us = fields_uint(facts, FIELD_UNTIL, 0);
    memcpy(kinds[kind].asked.actor, actor, sizeof actor);
    return true;
}

/* Whoever signs a rule that was asked for is its second person. */
static bool apply_set(struct retention *kinds, uint64_t position, struct span facts, struct error *err)
{
    uint64_t request = fields_uint(facts, FIELD_REQUEST, 0);
    enum retained kind;
    uint32_t months;
    char actor[65];
    struct retention *r;

    if (!read_rule(facts, &kind, &months, actor, err))
        return false;
    r = &kinds[kind];
    if (request != 0 && request != r->asked.position)
        return error_set(err, ERR_NOT_FOUND, "a rule of retention that nobody asked for");
    r->months = months;
    r->position = position;
    memcpy(r->actor, request != 0 ? r->asked.actor : actor, sizeof r->actor);
    memcpy(r->approved_by, request != 0 ? actor : "", request != 0 ? sizeof actor : 1);
    r->asked.position = 0;
    return true;
}

bool retention_apply(struct retention kinds[RETAINED_COUNT], uint64_t position, struct span facts, struct error *err)
{
    const struct span name = fields_text(facts, FIELD_FACT);
    struct error own = { 0 };

    err = err == NULL ? &own : err;
    if (span_equal(name, SPAN_LIT("retention-asked")))
        return apply_asked(kinds, position, facts, err);
    if (span_equal(name, SPAN_LIT("retention-set")))
        return apply_set(kinds, position, facts, err);
    return true;
}
