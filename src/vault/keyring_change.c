/*
 * Changes of a keyring's header: an unlocker more or less, a new master key (docs/format.md, "Keyring"). See keyring.h.
 *
 * Both files are written anew beside the old ones, whole and synced, before the first is renamed: up to there a failure
 * or a cut changes nothing, from there on the higher generation wins at the next opening.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/keyring_header.h"
#include "vault/keyring_internal.h"
#include "vault/locked.h"

#define SLOTS_WRITTEN 512u /* at once */

/* The keyring as it is to become. */
struct change {
    struct vault_keys *keys; /* in locked memory */
    uint8_t header[KEYRING_HEADER_BYTES];
    struct slot_binding binding;
};

static bool change_begin(struct keyring *k, struct change *c, struct error *err)
{
    c->keys = locked_new(sizeof *c->keys, err);
    if (c->keys == NULL)
        return false;
    *c->keys = k->secrets->keys;
    memcpy(c->header, k->header, KEYRING_HEADER_BYTES);
    return true;
}

static void change_end(struct change *c)
{
    locked_free(c->keys);
}

/* One slot for the new file. What both copies have lost stays lost, and named: its bytes are taken as they are. */
static bool slot_carry(struct keyring *k, const struct change *c, uint32_t number, uint8_t out[KEYRING_SLOT_BYTES],
                       struct error *err)
{
    struct error lost;

    if (!keyring_slot_read(k, number, out, &lost)) {
        for (int i = 0; i < KEYRING_COPIES; i++)
            if (k->fd[i] >= 0 && file_read_at(k->fd[i], out, KEYRING_SLOT_BYTES, keyring_slot_offset(number), NULL))
                return true;
        memset(out, 0xff, KEYRING_SLOT_BYTES); /* no zeros: a slot of zeros is one that was never made */
        return true;
    }
    return c->binding.master_generation == k->binding.master_generation
           || slot_rewrap(&k->seal, &k->binding, &c->binding, out, err);
}

static bool write_slots(struct keyring *k, const struct change *c, int fd, struct error *err)
{
    uint8_t *slots = malloc((size_t)SLOTS_WRITTEN * KEYRING_SLOT_BYTES);
    bool ok = slots != NULL || error_set(err, ERR_MEMORY, "no memory for keyring slots");

    for (uint32_t first = 0, n; ok && first < k->count; first += n) {
        n = k->count - first < SLOTS_WRITTEN ? k->count - first : SLOTS_WRITTEN;
        for (uint32_t i = 0; ok && i < n; i++)
            ok = slot_carry(k, c, first + i, slots + (size_t)i * KEYRING_SLOT_BYTES, err);
        ok = ok
             && disk_write_at(k->disk, fd, span_of(slots, (size_t)n * KEYRING_SLOT_BYTES), keyring_slot_offset(first),
                              err);
    }
    free(slots);
    return ok;
}

/* Both new files, complete and synced under the names they have until they are renamed. */
static bool write_fresh(struct keyring *k, const struct change *c, struct error *err)
{
    char fresh[KEYRING_COPIES][32];
    bool ok;
    int fd;

    for (int i = 0; i < KEYRING_COPIES; i++)
        keyring_fresh_name(i, fresh[i]);
    fd = disk_open(k->disk, fresh[0], O_RDWR | O_CREAT | O_TRUNC, err);
    ok = fd >= 0 && disk_write_at(k->disk, fd, span_of(c->header, KEYRING_HEADER_BYTES), 0, err)
         && write_slots(k, c, fd, err) && disk_sync(k->disk, fd, err) && keyring_file_copy(k->disk, fd, fresh[1], err);
    disk_close(k->disk, &fd);
    for (int i = 0; !ok && i < KEYRING_COPIES; i++)
        if (disk_exists(k->disk, fresh[i]))
            (void)disk_unlink(k->disk, fresh[i], NULL);
    return ok;
}

/* From the first rename on, what is on disk is ahead of us: an error now is ERR_IO, whatever the call said. */
static bool rename_fresh(struct keyring *k, int fd[KEYRING_COPIES], struct error *err)
{
    char fresh[32];

    for (int i = 0; i < KEYRING_COPIES; i++) {
        keyring_fresh_name(i, fresh);
        if (!disk_rename(k->disk, fresh, keyring_copy_names[i], err) || !disk_sync_dir(k->disk, ".", err)
            || (fd[i] = disk_open(k->disk, keyring_copy_names[i], O_RDWR, err)) < 0) {
            if (err != NULL)
                err->code = ERR_IO;
            return false;
        }
    }
    return true;
}

static bool publish(struct keyring *k, struct change *c, struct error *err)
{
    int fd[KEYRING_COPIES] = { -1, -1 };
    struct keyring_info info;

    if (!header_finish(&k->seal, c->keys, c->header, err))
        return false;
    header_info(c->header, &info);
    c->binding = (struct slot_binding){ .keys = c->keys, .master_generation = info.master_generation };
    memcpy(c->binding.vault_id, info.vault_id, VAULT_ID_BYTES);
    if (!write_fresh(k, c, err))
        return error_within(err, "keyring");
    if (!rename_fresh(k, fd, err)) {
        for (int i = 0; i < KEYRING_COPIES; i++)
            disk_close(k->disk, &fd[i]);
        return error_within(err, "keyring");
    }
    (void)pthread_mutex_lock(&k->lock);
    for (int i = 0; i < KEYRING_COPIES; i++) {
        int before = k->fd[i];

        k->fd[i] = fd[i];
        fd[i] = before;
    }
    k->secrets->keys = *c->keys;
    memcpy(k->header, c->header, KEYRING_HEADER_BYTES);
    keyring_bind(k);
    (void)pthread_mutex_unlock(&k->lock);
    for (int i = 0; i < KEYRING_COPIES; i++) { /* what the old secrets open */
        disk_wipe(k->disk, fd[i]);
        disk_close(k->disk, &fd[i]);
    }
    return true;
}

uint32_t keyring_slot_count(struct keyring *k)
{
    uint32_t count;

    (void)pthread_mutex_lock(&k->lock);
    count = k->count;
    (void)pthread_mutex_unlock(&k->lock);
    return count;
}

enum slot_state keyring_slot_state(struct keyring *k, uint32_t slot)
{
    uint8_t bytes[KEYRING_SLOT_BYTES];
    struct error lost;
    bool whole;

    (void)pthread_mutex_lock(&k->lock);
    whole = keyring_slot_read(k, slot, bytes, &lost);
    (void)pthread_mutex_unlock(&k->lock);
    return whole ? (enum slot_state)bytes[4] : (enum slot_state)0;
}

bool keyring_export(struct keyring *k, struct writer *out, struct error *err)
{
    struct change same = { .binding = k->binding }; /* nothing is wrapped anew */
    uint32_t count = keyring_slot_count(k);
    uint8_t *place;

    write_span(out, span_of(k->header, KEYRING_HEADER_BYTES));
    place = write_room(out, (size_t)count * KEYRING_SLOT_BYTES);
    if (place == NULL)
        return writer_ok(out, err, "keyring");
    for (uint32_t i = 0; i < count; i++)
        if (!slot_carry(k, &same, i, place + (size_t)i * KEYRING_SLOT_BYTES, err))
            return false;
    return true;
}

bool keyring_add(struct keyring *k, const struct new_unlocker *new, unsigned *place, struct error *err)
{
    struct change c;
    unsigned at;
    bool ok;

    if (!change_begin(k, &c, err))
        return false;
    ok = header_add(&k->seal, c.keys, c.header, new, &at, err) && publish(k, &c, err);
    change_end(&c);
    if (ok)
        *place = at;
    return ok;
}

bool keyring_remove(struct keyring *k, unsigned place, struct error *err)
{
    struct change c;
    bool ok;

    if (!change_begin(k, &c, err))
        return false;
    ok = header_remove(c.header, place, err) && publish(k, &c, err);
    change_end(&c);
    return ok;
}

bool keyring_rotate(struct keyring *k, struct error *err)
{
    struct change c;
    bool ok;

    if (!change_begin(k, &c, err))
        return false;
    seal_random(c.keys->master, KEY_BYTES);
    vault_keys_derive(c.keys);
    ok = header_rewrap(&k->seal, c.keys, c.header, err) && publish(k, &c, err);
    change_end(&c);
    return ok;
}

static uint32_t count_lost(struct keyring *k)
{
    uint8_t slot[KEYRING_SLOT_BYTES];
    uint32_t lost = 0;

    for (uint32_t n = 0; n < k->count; n++)
        lost += keyring_slot_read(k, n, slot, NULL) ? 0 : 1;
    return lost;
}

/* One lost slot, as the older keyring has it, wrapped anew, in both copies. False without an error: it has not. */
static bool fill_slot(struct keyring *k, const struct slot_binding *then, struct span older, uint32_t number,
                      struct error *err)
{
    uint64_t at = keyring_slot_offset(number);
    uint8_t slot[KEYRING_SLOT_BYTES];
    struct error why = { 0 };

    if (at + sizeof slot > older.len)
        return false;
    memcpy(slot, older.ptr + at, sizeof slot);
    if (!slot_is_valid(then, number, slot))
        return false;
    if (!slot_rewrap(&k->seal, then, &k->binding, slot, &why))
        return error_is_want(why.code) && error_set(err, why.code, "%s", why.text);
    for (int i = 0; i < KEYRING_COPIES; i++)
        if (!disk_write_at(k->disk, k->fd[i], span_of(slot, sizeof slot), at, err)
            || !disk_sync(k->disk, k->fd[i], err))
            return error_within(err, "%s", keyring_copy_names[i]);
    return true;
}

bool keyring_fill(struct keyring *k, const struct vault_keys *keys, struct span older, uint32_t *filled, uint32_t *lost,
                  struct error *err)
{
    struct slot_binding then = { .keys = keys };
    uint32_t there = k->count;
    struct keyring_info info;
    uint8_t slot[KEYRING_SLOT_BYTES];
    struct error why = { 0 };

    header_info(older.ptr, &info);
    then.master_generation = info.master_generation;
    memcpy(then.vault_id, info.vault_id, VAULT_ID_BYTES);
    *filled = 0;
    *lost = count_lost(k);
    if (*lost == 0)
        return true;
    /* Before any is there again: none that was ready then goes to a unit. Of a fresh batch, whose last slot is whole. */
    if (!keyring_grow(k, err) || !keyring_burn_ready(k, err) || !keyring_flush(k, err))
        return false;
    for (uint32_t n = 0; n < there; n++) {
        if (keyring_slot_read(k, n, slot, NULL) || !fill_slot(k, &then, older, n, &why)) {
            if (why.code != ERR_NONE)
                return error_set(err, why.code, "%s", why.text);
            continue;
        }
        ++*filled;
        --*lost;
    }
    return true;
}
