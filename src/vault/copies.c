/* Declared copies and back-ups of the keyring. See copies.h. */
#include "vault/copies.h"

#include <string.h>

#include "base/clock.h"
#include "record/field.h"

/* `expires` of the fact `keys-backed-up`; a field of its own block of field_list.h. */
#define EXPIRES ((enum field)512)

static size_t place_of(const struct copies *c, struct span name)
{
    size_t i = 0;

    while (i < c->count && !span_equal(span_str(c->list[i].name), name))
        i++;
    return i;
}

const struct copy *copies_find(const struct copies *c, struct span name)
{
    size_t i = place_of(c, name);

    return i < c->count ? &c->list[i] : NULL;
}

static bool apply_added(struct copies *c, uint64_t position, struct span facts, struct error *err)
{
    struct span name = fields_text(facts, FIELD_NAME);
    struct copy new = { .added = position };

    if (place_of(c, name) < c->count)
        return error_set(err, ERR_EXISTS, "there is a copy of that name");
    if (c->count == COPIES_MAX || name.len == 0 || !span_to_str(name, new.name, sizeof new.name))
        return error_set(err, ERR_LIMIT, "a copy too many, or of a name that cannot be");
    c->list[c->count++] = new;
    return true;
}

/* How far a copy is only grows: an older word about it changes nothing. */
static bool apply_applied(struct copies *c, uint64_t position, struct span facts, struct error *err)
{
    size_t i = place_of(c, fields_text(facts, FIELD_NAME));
    uint64_t applied = fields_uint(facts, FIELD_POSITION, 0);

    (void)position;
    if (i == c->count)
        return error_set(err, ERR_NOT_FOUND, "there is no copy of that name");
    if (applied > c->list[i].applied)
        c->list[i].applied = applied;
    return true;
}

static bool apply_removed(struct copies *c, uint64_t position, struct span facts, struct error *err)
{
    size_t i = place_of(c, fields_text(facts, FIELD_NAME));

    (void)position;
    if (i == c->count)
        return error_set(err, ERR_NOT_FOUND, "there is no copy of that name");
    memmove(&c->list[i], &c->list[i + 1], (c->count - i - 1) * sizeof c->list[0]);
    c->count--;
    return true;
}

/* Past COPIES_MAX the one that ends first makes room. */
static bool apply_backed_up(struct copies *c, uint64_t position, struct span facts, struct error *err)
{
    struct keyring_backup new = { position, fields_uint(facts, EXPIRES, 0) };
    size_t place = c->backup_count;

    (void)err;
    if (place == COPIES_MAX) {
        place = 0;
        for (size_t i = 1; i < COPIES_MAX; i++)
            if (c->backups[i].expires_us - 1 < c->backups[place].expires_us - 1) /* 0, never, is the largest */
                place = i;
    } else {
        c->backup_count++;
    }
    c->backups[place] = new;
    return true;
}

static size_t place_of_said(const struct copies *c, struct span certificate)
{
    size_t i = 0;

    while (i < c->said_count && !span_equal(span_str(c->said[i].certificate), certificate))
        i++;
    return i;
}

static bool apply_twin(struct copies *c, uint64_t position, struct span facts, struct error *err)
{
    struct span certificate = fields_text(facts, FIELD_CERTIFICATE);
    struct twin_said new = { .applied = fields_uint(facts, FIELD_POSITION, 0) };
    size_t i = place_of_said(c, certificate);

    (void)position;
    if (certificate.len == 0 || !span_to_str(certificate, new.certificate, sizeof new.certificate))
        return error_set(err, ERR_MALFORMED, "a twin without a certificate that fits");
    if (i == TWINS_SAID_MAX) {
        i = 0;
        for (size_t j = 1; j < TWINS_SAID_MAX; j++)
            i = c->said[j].applied < c->said[i].applied ? j : i;
        c->said[i] = new;
    } else if (i == c->said_count) {
        c->said[c->said_count++] = new;
    } else if (new.applied > c->said[i].applied) {
        c->said[i].applied = new.applied;
    }
    return true;
}

bool copies_list_twin(struct copies *c, const char *name, const char *certificate, struct error *err)
{
    struct twin_listed *t = &c->twins[c->twin_count];

    if (c->twin_count == TWINS_LISTED_MAX || !span_to_str(span_str(name), t->name, sizeof t->name)
        || !span_to_str(span_str(certificate), t->certificate, sizeof t->certificate))
        return error_set(err, ERR_LIMIT, "a twin too many, or of a name that cannot be");
    c->twin_count++;
    return true;
}

uint64_t copies_twin_applied(const struct copies *c, struct span certificate)
{
    size_t i = place_of_said(c, certificate);

    return i < c->said_count ? c->said[i].applied : 0;
}

static const struct {
    const char *fact;
    bool (*apply)(struct copies *c, uint64_t position, struct span facts, struct error *err);
} facts_known[] = {
    { "copy-added", apply_added },
    { "copy-applied", apply_applied },
    { "copy-removed", apply_removed },
    { "keys-backed-up", apply_backed_up },
    { "twin-applied", apply_twin },
};

bool copies_apply(struct copies *c, uint64_t position, struct span facts, struct error *err)
{
    const struct span name = fields_text(facts, FIELD_FACT);

    for (size_t i = 0; i < COUNT_OF(facts_known); i++)
        if (span_equal(name, span_str(facts_known[i].fact)))
            return facts_known[i].apply(c, position, facts, err);
    return true;
}

void copies_pending(const struct copies *c, uint64_t tombstone, uint64_t now_us, struct writer *out)
{
    const char *between = "";
    char time[CLOCK_RFC3339_SIZE];

    for (size_t i = 0; i < c->twin_count; i++) {
        if (copies_twin_applied(c, span_str(c->twins[i].certificate)) > tombstone)
            continue;
        write_printf(out, "%stwin %s", between, c->twins[i].name);
        between = ", ";
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->list[i].added > tombstone || c->list[i].applied > tombstone)
            continue;
        write_printf(out, "%s%s", between, c->list[i].name);
        between = ", ";
    }
    for (size_t i = 0; i < c->backup_count; i++) {
        const struct keyring_backup *b = &c->backups[i];

        if (b->position > tombstone || (b->expires_us != 0 && b->expires_us <= now_us))
            continue;
        write_printf(out, "%skeyring back-up %llu until ", between, (unsigned long long)b->position);
        if (b->expires_us == 0)
            write_str(out, "it is destroyed");
        else
            write_printf(out, "%.10s", clock_rfc3339(b->expires_us, time)); /* the day */
        between = ", ";
    }
}
