/*
 * The end of a data key: closed, so that nothing new uses its slot, then overwritten in both copies
 * (docs/erasure.md, "Order of writing"). What orders it is a record of the log: erasure.c.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/format.h"
#include "vault/keyring_internal.h"

void keyring_unit_tag(const struct keyring *k, struct span unit, uint8_t out[UNIT_TAG_BYTES])
{
    uint8_t mac[HASH_BYTES];

    seal_mac(k->secrets->keys.unit, unit, mac);
    memcpy(out, mac, UNIT_TAG_BYTES);
}

bool keyring_find(struct keyring *k, struct span unit, uint32_t *slot)
{
    uint8_t tag[UNIT_TAG_BYTES];
    bool found;

    keyring_unit_tag(k, unit, tag);
    (void)pthread_mutex_lock(&k->lock);
    found = unit_map_get(&k->map, tag, slot);
    (void)pthread_mutex_unlock(&k->lock);
    return found;
}

/* ---- closing ---- */

static size_t closed_at(const struct keyring *k, uint32_t slot)
{
    size_t i = 0;

    while (i < k->closed_count && k->closed[i] != slot)
        i++;
    return i;
}

bool keyring_is_closed(struct keyring *k, uint32_t slot)
{
    bool closed;

    (void)pthread_mutex_lock(&k->lock);
    closed = k->closed_count > 0 && closed_at(k, slot) < k->closed_count;
    (void)pthread_mutex_unlock(&k->lock);
    return closed;
}

bool keyring_close_slot(struct keyring *k, uint32_t slot, const uint8_t tag[UNIT_TAG_BYTES], struct error *err)
{
    uint32_t now;
    bool ok = true;

    (void)pthread_mutex_lock(&k->lock);
    if (closed_at(k, slot) == k->closed_count) {
        uint32_t *more = realloc(k->closed, (k->closed_count + 1) * sizeof *more);

        ok = more != NULL || error_set(err, ERR_MEMORY, "no memory to close a slot");
        if (ok) {
            k->closed = more;
            k->closed[k->closed_count++] = slot;
        }
    }
    if (ok && unit_map_get(&k->map, tag, &now) && now == slot)
        unit_map_remove(&k->map, tag);
    (void)pthread_mutex_unlock(&k->lock);
    return ok;
}

void keyring_reopen_slot(struct keyring *k, uint32_t slot, const uint8_t tag[UNIT_TAG_BYTES])
{
    uint32_t other;
    size_t i;

    (void)pthread_mutex_lock(&k->lock);
    i = closed_at(k, slot);
    if (i < k->closed_count)
        k->closed[i] = k->closed[--k->closed_count];
    if (!unit_map_get(&k->map, tag, &other)) /* else the unit has begun another slot, and goes on there */
        (void)unit_map_put(&k->map, tag, slot);
    (void)pthread_mutex_unlock(&k->lock);
}

/* ---- overwriting ---- */

/* Slots are made until there is that one: a copy of the keyring that is older than the slot. */
static bool grow_to(struct keyring *k, uint32_t slot, struct error *err)
{
    while (k->count <= slot)
        if (!keyring_grow(k, err))
            return false;
    return true;
}

/* With the lock held: what memory holds of the key, and what would be written over the slot later. */
static void forget(struct keyring *k, uint32_t slot)
{
    size_t place = slot & (KEY_CACHE - 1), kept = 0;

    if (k->secrets->cache[place].slot == slot)
        sodium_memzero(&k->secrets->cache[place], sizeof k->secrets->cache[place]);
    for (size_t i = 0; i < k->dirty_count; i++)
        if (k->dirty[i].slot != slot)
            k->dirty[kept++] = k->dirty[i];
    k->dirty_count = kept;
    if (slot >= k->next_ready)
        k->next_ready = slot + 1;
}

/*
 * Is it this unit's slot, or nobody's yet (an older copy of the keyring, where the unit's assignment is missing)? A slot
 * that was made anew behind the end of an older copy and given to another unit is not what the tombstone meant.
 */
static bool is_meant(struct keyring *k, const struct slot_erasure *e, bool *erased)
{
    uint8_t slot[KEYRING_SLOT_BYTES];

    *erased = false;
    for (size_t i = 0; i < k->dirty_count; i++)
        if (k->dirty[i].slot == e->slot && memcmp(k->dirty[i].tag, e->tag, UNIT_TAG_BYTES) != 0)
            return false;
    if (!keyring_slot_read(k, e->slot, slot, NULL))
        return true; /* damaged in both copies: its bytes go all the same */
    *erased = slot[4] == SLOT_ERASED;
    return slot[4] == SLOT_READY || (slot[4] == SLOT_ASSIGNED && memcmp(slot + 8, e->tag, UNIT_TAG_BYTES) == 0);
}

/* Through a descriptor of its own: a twin's keyring is open for reading. */
static bool overwrite(struct keyring *k, int copy, const struct slot_erasure *e, size_t count, struct error *err)
{
    int fd = disk_open(k->disk, keyring_copy_names[copy], O_RDWR, err);
    bool ok = fd >= 0;

    for (size_t i = 0; ok && i < count; i++) {
        uint8_t slot[KEYRING_SLOT_BYTES] = { 0 };

        if (!e[i].due)
            continue;
        slot_erased_make(&k->binding, e[i].slot, slot);
        ok = disk_write_at(k->disk, fd, span_of(slot, sizeof slot), keyring_slot_offset(e[i].slot), err);
    }
    ok = ok && disk_sync(k->disk, fd, err);
    disk_close(k->disk, &fd);
    return ok || error_within(err, "%s", keyring_copy_names[copy]);
}

/* Overwrites what a kept file has of them; one that is not there, or has no such slot, holds no key. */
static bool overwrite_kept(struct keyring *k, const char *name, const struct slot_erasure *e, size_t count, struct error *err)
{
    uint64_t size = 0;
    int fd = disk_open(k->disk, name, O_RDWR, err);
    bool ok = fd >= 0 && file_size(fd, &size, err), some = false;

    for (size_t i = 0; ok && i < count; i++) {
        uint64_t at = keyring_slot_offset(e[i].slot);
        uint8_t slot[KEYRING_SLOT_BYTES];

        if (!e[i].its || at + sizeof slot > size
            || (file_read_at(fd, slot, sizeof slot, at, NULL) && slot_holds_nothing(slot)))
            continue;
        slot_erased_make(&k->binding, e[i].slot, slot); /* after a rotation the HMAC does not fit: no key is there either */
        ok = disk_write_at(k->disk, fd, span_of(slot, sizeof slot), at, err);
        some = true;
    }
    ok = ok && (!some || disk_sync(k->disk, fd, err));
    disk_close(k->disk, &fd);
    return ok || error_within(err, "%s", name);
}

static bool overwrite_all_kept(struct keyring *k, const struct slot_erasure *e, size_t count, struct error *err)
{
    char name[NAME_BYTES_MAX];
    bool ok = true;

    for (int n = 0; ok && n < KEYRINGS_KEPT_MAX * KEYRING_COPIES; n++) {
        (void)snprintf(name, sizeof name, "%s.%d", keyring_copy_names[n % KEYRING_COPIES], n / KEYRING_COPIES);
        ok = !disk_exists(k->disk, name) || overwrite_kept(k, name, e, count, err);
    }
    return ok;
}

/* One copy holds the key still, where the other was overwritten and the power went. */
static bool both_erased(struct keyring *k, uint32_t number)
{
    uint8_t slot[KEYRING_SLOT_BYTES];
    bool erased = true;

    for (int i = 0; erased && i < KEYRING_COPIES; i++)
        erased = file_read_at(k->fd[i], slot, sizeof slot, keyring_slot_offset(number), NULL)
                 && slot_is_valid(&k->binding, number, slot) && slot[4] == SLOT_ERASED;
    return erased;
}

void keyring_recount(struct keyring *k)
{
    uint64_t least = UINT64_MAX, size = 0;

    (void)pthread_mutex_lock(&k->lock);
    for (int i = 0; i < KEYRING_COPIES; i++) {
        if (k->fd[i] >= 0 && file_size(k->fd[i], &size, NULL) && size < least)
            least = size;
    }
    if (least != UINT64_MAX && least >= keyring_slot_offset(k->count))
        k->count = (uint32_t)((least - KEYRING_HEADER_BYTES) / KEYRING_SLOT_BYTES);
    (void)pthread_mutex_unlock(&k->lock);
}

bool keyring_erase(struct keyring *k, struct slot_erasure *e, size_t count, struct error *err)
{
    size_t due = 0;
    bool erased, ok = true;

    for (size_t i = 0; i < count; i++) {
        e[i].due = e[i].its = false;
        if (e[i].slot == 0 || !grow_to(k, e[i].slot, err))
            return e[i].slot == 0 ? error_set(err, ERR_REFUSED, "slot 0 is no unit's") : false;
    }
    (void)pthread_mutex_lock(&k->lock);
    for (size_t i = 0; i < count; i++) {
        bool meant = is_meant(k, &e[i], &erased);

        e[i].due = erased ? !both_erased(k, e[i].slot) : meant;
        e[i].its = meant || erased;
        due += e[i].due;
        if (meant || erased) {
            uint32_t now;

            forget(k, e[i].slot);
            if (unit_map_get(&k->map, e[i].tag, &now) && now == e[i].slot)
                unit_map_remove(&k->map, e[i].tag);
        }
    }
    ok = overwrite_all_kept(k, e, count, err);
    for (int copy = 0; ok && due > 0 && copy < KEYRING_COPIES; copy++)
        ok = overwrite(k, copy, e, count, err);
    (void)pthread_mutex_unlock(&k->lock);
    return ok;
}
