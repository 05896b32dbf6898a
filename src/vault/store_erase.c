/*
 * Erasing at the store: which records use a unit's data key, closing it, destroying it (docs/erasure.md). Who may and
 * why is decided above; here a key goes, in both copies of the keyring, and everything in memory that held it.
 */
#include <stdlib.h>

#include "vault/store_internal.h"

bool store_walk(struct store *s, uint64_t from, uint64_t to, store_visit *visit, void *context, struct error *err)
{
    struct writer facts = writer_new(FACTS_BYTES_MAX);
    bool ok = true, go_on = true;

    for (uint64_t position = from; ok && go_on && position < to; position++) {
        struct record_seen seen = { .position = position };
        struct error why = { 0 };

        writer_reset(&facts);
        seen.readable = store_read_record(s, position, &seen, &facts, &why);
        seen.why = why.code;
        ok = seen.readable || why.code == ERR_DAMAGED || why.code == ERR_ERASED
             || error_set(err, why.code, "%s", why.text);
        if (ok)
            go_on = visit(context, &seen, writer_span(&facts));
    }
    if (facts.ptr != NULL)
        seal_wipe(facts.ptr, facts.cap);
    writer_done(&facts);
    return ok;
}

bool store_unit_slot(struct store *s, struct span unit, uint32_t *slot)
{
    return keyring_find(s->keyring, unit, slot);
}

void store_tag(struct store *s, struct span text, uint8_t out[KEYRING_TAG_BYTES])
{
    keyring_unit_tag(s->keyring, text, out);
}

bool store_close_units(struct store *s, const struct slot_erasure *units, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!keyring_close_slot(s->keyring, units[i].slot, units[i].tag, err)) {
            store_reopen_units(s, units, i);
            return false;
        }
    return true;
}

void store_reopen_units(struct store *s, const struct slot_erasure *units, size_t count)
{
    for (size_t i = 0; i < count; i++)
        keyring_reopen_slot(s->keyring, units[i].slot, units[i].tag);
}

bool store_erase_units(struct store *s, struct slot_erasure *units, size_t count, struct error *err)
{
    bool ok;

    if (s->read_only && !s->twin) /* on a twin the log comes from its first, tombstones too */
        return error_set(err, ERR_REFUSED, "the store is open for reading");
    (void)pthread_mutex_lock(&s->confirm_lock); /* the keyring is written by one at a time */
    if (s->twin)
        keyring_recount(s->keyring);
    ok = keyring_erase(s->keyring, units, count, err);
    (void)pthread_mutex_unlock(&s->confirm_lock);
    return ok;
}
