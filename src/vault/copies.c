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

static const struct {
    const char *fact;
    bool (*apply)(struct copies *c, uint64_t position, struct span facts, struct error *err);
} facts_known[] = {
    { "copy-added", apply_added },
    { "copy-applied", apply_applied },
    { "copy-removed", apply_removed },
    { "keys-backed-up", apply_backed_up },
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
