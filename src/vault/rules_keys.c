/* Facts about the keyring. See rules_keys.h. */
#include "vault/rules_keys.h"

#include "record/field.h"

bool keys_said_rotated(struct keys_said *k, struct span facts, struct error *err)
{
    uint64_t generation = fields_uint(facts, FIELD_MASTER_GENERATION, 0);

    if (generation <= k->master_generation)
        return error_set(err, ERR_MALFORMED, "a rotation to an older master key");
    k->master_generation = generation;
    k->generation = fields_uint(facts, FIELD_GENERATION, 0);
    return true;
}

bool keys_said_changed(struct keys_said *k, struct span facts, struct error *err)
{
    uint64_t generation = fields_uint(facts, FIELD_GENERATION, 0);

    if (generation == 0)
        return error_set(err, ERR_MALFORMED, "a change of the keyring without its generation");
    k->generation = generation; /* lower than the last after a back-up was put back */
    return true;
}

static uint64_t until(const struct key_backup *b)
{
    return b->expires_us == 0 ? UINT64_MAX : b->expires_us;
}

bool keys_said_backed_up(struct keys_said *k, struct span facts, struct error *err)
{
    struct span id = fields_text(facts, FIELD_BACKUP_ID);
    struct key_backup b = { .made_us = fields_uint(facts, FIELD_MADE, 0),
                            .expires_us = fields_uint(facts, FIELD_EXPIRES, 0),
                            .generation = fields_uint(facts, FIELD_GENERATION, 0) };
    size_t place = k->backup_count;

    if (id.len != BACKUP_ID_BYTES)
        return error_set(err, ERR_MALFORMED, "a back-up without its id");
    memcpy(b.id, id.ptr, BACKUP_ID_BYTES);
    if (place == KEY_BACKUPS_MAX) {
        place = 0;
        for (size_t i = 1; i < KEY_BACKUPS_MAX; i++)
            if (until(&k->backups[i]) < until(&k->backups[place]))
                place = i;
    } else {
        k->backup_count++;
    }
    k->backups[place] = b;
    return true;
}
