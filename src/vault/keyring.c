/* The keyring. See keyring.h. */
#include "vault/keyring.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/reader.h"
#include "vault/keyring_header.h"
#include "vault/keyring_internal.h"
#include "vault/locked.h"

#define SLOTS_READ 512u /* slots read at once while opening */

const char *const keyring_copy_names[KEYRING_COPIES] = { "keyring.0", "keyring.1" };

/* `count` fresh ready slots from `first` on; the caller frees. NULL without memory. */
static uint8_t *slots_make(struct seal *s, const struct slot_binding *b, uint32_t first, uint32_t count,
                           struct error *err)
{
    uint8_t *slots = malloc((size_t)count * KEYRING_SLOT_BYTES);

    if (slots == NULL) {
        (void)error_set(err, ERR_MEMORY, "no memory for keyring slots");
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!slot_make(s, b, first + i, first + i == 0 ? SLOT_SIGNING : SLOT_READY,
                       slots + (size_t)i * KEYRING_SLOT_BYTES, err)) {
            free(slots);
            return NULL;
        }
    return slots;
}

void keyring_fresh_name(int copy, char out[32])
{
    (void)snprintf(out, 32, "%s.new", keyring_copy_names[copy]);
}

/* Header and the first slots, as both files will hold them. */
static bool make_file(struct seal *s, struct vault_keys *keys, struct span secret, uint64_t now_us, struct writer *file,
                      struct error *err)
{
    struct slot_binding binding = { .keys = keys };
    struct new_unlocker first = { .secret = secret, .now_us = now_us };
    struct keyring_info info;
    uint8_t header[KEYRING_HEADER_BYTES];
    uint8_t *slots;
    unsigned place;

    seal_random(keys->master, KEY_BYTES);
    seal_random(keys->root, KEY_BYTES);
    vault_keys_derive(keys);
    header_start(header, now_us);
    if (!header_add(s, keys, header, &first, &place, err) || !header_finish(s, keys, header, err))
        return false;
    header_info(header, &info);
    memcpy(binding.vault_id, info.vault_id, VAULT_ID_BYTES);
    binding.master_generation = info.master_generation;
    slots = slots_make(s, &binding, 0, KEYRING_BATCH, err);
    if (slots == NULL)
        return false;
    write_span(file, span_of(header, sizeof header));
    write_span(file, span_of(slots, (size_t)KEYRING_BATCH * KEYRING_SLOT_BYTES));
    free(slots);
    return writer_ok(file, err, "keyring");
}

bool keyring_create(const struct disk *d, const struct seal_suite *suite, struct span secret, uint64_t now_us,
                    struct error *err)
{
    struct seal s;
    struct vault_keys *keys = locked_new(sizeof *keys, err);
    struct writer file = writer_new(KEYRING_HEADER_BYTES + KEYRING_BATCH * KEYRING_SLOT_BYTES);
    bool ok = false;

    if (keys == NULL)
        return false;
    if (seal_init(&s, suite, err)) {
        ok = make_file(&s, keys, secret, now_us, &file, err);
        for (int i = 0; ok && i < KEYRING_COPIES; i++)
            ok = disk_replace(d, keyring_copy_names[i], writer_span(&file), err);
        seal_done(&s);
    }
    writer_done(&file);
    locked_free(keys);
    return ok;
}

/* ---- opening ---- */

void keyring_bind(struct keyring *k)
{
    struct keyring_info info;

    header_info(k->header, &info);
    k->binding = (struct slot_binding){ .keys = &k->secrets->keys, .master_generation = info.master_generation };
    memcpy(k->binding.vault_id, info.vault_id, VAULT_ID_BYTES);
}

/* Slots of the longer copy. */
static uint32_t slots_there(const struct keyring *k)
{
    uint64_t most = 0, size;

    for (int i = 0; i < KEYRING_COPIES; i++)
        if (k->fd[i] >= 0 && file_size(k->fd[i], &size, NULL) && size > most)
            most = size;
    return most <= KEYRING_HEADER_BYTES
               ? 0
               : (uint32_t)((most - KEYRING_HEADER_BYTES + KEYRING_SLOT_BYTES - 1) / KEYRING_SLOT_BYTES);
}

/* Up to SLOTS_READ slots of one copy from `first` on; returns how many there are. Missing bytes read as zeros. */
static uint32_t read_slots(int fd, uint32_t first, uint8_t *out)
{
    uint64_t size = 0;
    uint64_t from = keyring_slot_offset(first);
    size_t len;

    memset(out, 0, (size_t)SLOTS_READ * KEYRING_SLOT_BYTES);
    if (fd < 0 || !file_size(fd, &size, NULL) || size <= from)
        return 0;
    len = size - from < (uint64_t)SLOTS_READ * KEYRING_SLOT_BYTES ? (size_t)(size - from)
                                                                  : SLOTS_READ * KEYRING_SLOT_BYTES;
    if (!file_read_at(fd, out, len, from, NULL))
        memset(out, 0xff, len); /* not zeros: a slot that cannot be read is not one that was never made */
    return (uint32_t)((len + KEYRING_SLOT_BYTES - 1) / KEYRING_SLOT_BYTES);
}

static bool is_zero(const uint8_t *slot)
{
    return sodium_is_zero(slot, KEYRING_SLOT_BYTES);
}

enum slot_verdict { SLOT_SAME, SLOT_HEAL, SLOT_MAKE, SLOT_DAMAGED_0, SLOT_DAMAGED_1, SLOT_LOST };

/*
 * Compares the two copies of a slot; *best is the one to believe (NULL where lost). An unfinished growth or assignment
 * is to be healed from the believed one; what cannot have come from a cut between two writes is damage.
 */
static enum slot_verdict slot_judge(const struct keyring *k, uint32_t number, const uint8_t *a, const uint8_t *b,
                                    const uint8_t **best)
{
    bool a_valid = slot_is_valid(&k->binding, number, a);
    bool b_valid = slot_is_valid(&k->binding, number, b);

    *best = NULL;
    if (!a_valid && !b_valid)
        return number >= k->made && is_zero(a) && is_zero(b) ? SLOT_MAKE : SLOT_LOST;
    if (a_valid && b_valid) {
        *best = b[4] > a[4] ? b : a;
        return memcmp(a, b, KEYRING_SLOT_BYTES) == 0 ? SLOT_SAME : SLOT_HEAL;
    }
    *best = a_valid ? a : b;
    if ((*best)[4] == SLOT_READY && is_zero(a_valid ? b : a))
        return SLOT_HEAL;
    return a_valid ? SLOT_DAMAGED_1 : SLOT_DAMAGED_0;
}

static void report_slot(keyring_finding *report, void *context, enum slot_verdict v, uint32_t number)
{
    static const struct {
        const char *where, *what;
    } words[] = {
        [SLOT_DAMAGED_0] = { "keyring.0", "is damaged" },
        [SLOT_DAMAGED_1] = { "keyring.1", "is damaged" },
        [SLOT_LOST] = { "keyring", "is damaged in both copies, what it opens is lost" },
    };
    char text[120];

    (void)snprintf(text, sizeof text, "%s: slot %u %s", words[v].where, number, words[v].what);
    report(context, text);
}

static bool slot_heal(struct keyring *k, uint32_t number, const uint8_t *best, struct error *err)
{
    uint8_t fresh[KEYRING_SLOT_BYTES];

    if (best == NULL) {
        if (!slot_make(&k->seal, &k->binding, number, SLOT_READY, fresh, err))
            return false;
        best = fresh;
    }
    for (int i = 0; i < KEYRING_COPIES; i++)
        if (!disk_write_at(k->disk, k->fd[i], span_of(best, KEYRING_SLOT_BYTES), keyring_slot_offset(number), err)
            || !disk_sync(k->disk, k->fd[i], err))
            return error_within(err, "%s", keyring_copy_names[i]);
    return true;
}

/* Takes one believed slot into memory. */
static bool slot_load(struct keyring *k, uint32_t number, const uint8_t *best, struct error *err)
{
    if (best == NULL || best[4] == SLOT_SIGNING || best[4] == SLOT_READY)
        return true;
    k->next_ready = number + 1;
    if (best[4] == SLOT_ASSIGNED && !unit_map_put(&k->map, best + 8, number))
        return error_set(err, ERR_MEMORY, "no memory for %u units", number);
    return true;
}

/*
 * Where an unfinished growth may begin: behind the last slot that is in use, and among the last KEYRING_BATCH. Zeros
 * before that are not slots that were never made, but slots that are gone: a fresh key there would hide the loss.
 */
static uint32_t made_slots(struct keyring *k, uint8_t *a, uint8_t *b)
{
    uint32_t there = slots_there(k), from = there < KEYRING_BATCH ? 0 : there - KEYRING_BATCH;
    const uint8_t *best;

    if (from == 0)
        return there; /* the first batch is made whole, or not at all */
    (void)read_slots(k->fd[0], from, a);
    (void)read_slots(k->fd[1], from, b);
    for (uint32_t i = there - from; i-- > 0;) {
        (void)slot_judge(k, from + i, a + (size_t)i * KEYRING_SLOT_BYTES, b + (size_t)i * KEYRING_SLOT_BYTES, &best);
        if (best != NULL && best[4] != SLOT_READY)
            return from + i + 1;
    }
    return from;
}

bool keyring_mend_slots(struct keyring *k, uint32_t first, uint32_t *next, keyring_finding *report, void *context,
                        struct error *err)
{
    uint8_t *a = malloc((size_t)SLOTS_READ * KEYRING_SLOT_BYTES);
    uint8_t *b = malloc((size_t)SLOTS_READ * KEYRING_SLOT_BYTES);
    bool ok = (a != NULL && b != NULL) || error_set(err, ERR_MEMORY, "no memory to read the keyring");
    uint32_t got = 0;

    if (ok) {
        uint32_t in_a = read_slots(k->fd[0], first, a), in_b = read_slots(k->fd[1], first, b);

        got = in_a > in_b ? in_a : in_b;
        if (first + got > k->count) /* behind them is what a growth that failed has left */
            got = first < k->count ? k->count - first : 0;
    }
    for (uint32_t i = 0; ok && i < got; i++) {
        const uint8_t *best;
        enum slot_verdict v =
            slot_judge(k, first + i, a + (size_t)i * KEYRING_SLOT_BYTES, b + (size_t)i * KEYRING_SLOT_BYTES, &best);

        if (v >= SLOT_DAMAGED_0)
            report_slot(report, context, v, first + i);
        ok = (v != SLOT_DAMAGED_0 && v != SLOT_DAMAGED_1) || slot_heal(k, first + i, best, err);
    }
    *next = first + got;
    free(a);
    free(b);
    return ok;
}

/* Walks both copies: takes them into memory (load), completes what a cut left unfinished (heal), reports damage. */
static bool walk(struct keyring *k, bool load, bool heal, keyring_finding *report, void *context, struct error *err)
{
    uint8_t *a = malloc((size_t)SLOTS_READ * KEYRING_SLOT_BYTES);
    uint8_t *b = malloc((size_t)SLOTS_READ * KEYRING_SLOT_BYTES);
    bool ok = a != NULL && b != NULL;
    uint32_t first = 0, got = SLOTS_READ;

    if (!ok)
        (void)error_set(err, ERR_MEMORY, "no memory to read the keyring");
    if (ok && load)
        k->made = made_slots(k, a, b);
    for (; ok && got == SLOTS_READ; first += got) {
        uint32_t in_a = read_slots(k->fd[0], first, a);
        uint32_t in_b = read_slots(k->fd[1], first, b);

        got = in_a > in_b ? in_a : in_b;
        for (uint32_t i = 0; ok && i < got; i++) {
            const uint8_t *best;
            enum slot_verdict v =
                slot_judge(k, first + i, a + (size_t)i * KEYRING_SLOT_BYTES, b + (size_t)i * KEYRING_SLOT_BYTES, &best);

            if ((v == SLOT_HEAL || v == SLOT_MAKE) && heal)
                ok = slot_heal(k, first + i, best, err);
            else if (v >= SLOT_DAMAGED_0) /* a cut leaves no such slot */
                report_slot(report, context, v, first + i);
            ok = ok && (!load || slot_load(k, first + i, best, err));
        }
    }
    if (ok && load) {
        k->count = first;
        if (heal)
            k->made = first;
    }
    free(a);
    free(b);
    return ok;
}

/* Opens both copies; one that is gone is made again from the other (read only: done without). */
static bool open_copies(struct keyring *k, bool read_only, keyring_finding *report, void *context, struct error *err)
{
    for (int i = 0; i < KEYRING_COPIES; i++) {
        struct error why = { 0 };

        k->fd[i] = disk_open(k->disk, keyring_copy_names[i], read_only ? O_RDONLY : O_RDWR, &why);
        if (k->fd[i] < 0 && why.code != ERR_NOT_FOUND)
            return error_set(err, why.code, "%s", why.text);
    }
    if (k->fd[0] < 0 && k->fd[1] < 0)
        return error_set(err, ERR_NOT_FOUND, "no keyring");
    for (int i = 0; !read_only && i < KEYRING_COPIES; i++) {
        if (k->fd[i] >= 0)
            continue;
        if (!keyring_copy_remake(k, i, err))
            return false;
        report(context, i == 0 ? "keyring.0 was missing and is made again" : "keyring.1 was missing and is made again");
    }
    return true;
}

struct keyring *keyring_open(const struct disk *d, const struct seal_suite *suite, struct span secret, bool read_only,
                             keyring_finding *report, void *context, struct error *err)
{
    struct keyring *k = calloc(1, sizeof *k);

    if (k == NULL) {
        (void)error_set(err, ERR_MEMORY, "no memory for the keyring");
        return NULL;
    }
    *k = (struct keyring){ .disk = d, .fd = { -1, -1 }, .next_ready = 1 };
    (void)pthread_mutex_init(&k->lock, NULL);
    k->secrets = locked_new(sizeof *k->secrets, err);
    if (k->secrets == NULL) {
        keyring_close(k);
        return NULL;
    }
    if (!open_copies(k, read_only, report, context, err) || !seal_init(&k->seal, suite, err)
        || !keyring_unseal(k, secret, read_only, report, context, err)
        || !walk(k, true, !read_only, report, context, err)) {
        keyring_close(k);
        return NULL;
    }
    return k;
}

void keyring_close(struct keyring *k)
{
    if (k == NULL)
        return;
    for (int i = 0; i < KEYRING_COPIES; i++)
        disk_close(k->disk, &k->fd[i]);
    seal_done(&k->seal);
    unit_map_done(&k->map);
    free(k->dirty);
    free(k->closed);
    locked_free(k->secrets);
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
}

const struct vault_keys *keyring_keys(const struct keyring *k)
{
    return &k->secrets->keys;
}

const uint8_t *keyring_vault_id(const struct keyring *k)
{
    return k->binding.vault_id;
}

void keyring_info(struct keyring *k, struct keyring_info *out)
{
    (void)pthread_mutex_lock(&k->lock);
    header_info(k->header, out);
    (void)pthread_mutex_unlock(&k->lock);
}

/* ---- units ---- */

/* With the lock held. */
static bool assign(struct keyring *k, const uint8_t tag[UNIT_TAG_BYTES], uint32_t slot, struct error *err)
{
    if (k->dirty_count == k->dirty_cap) {
        size_t cap = k->dirty_cap == 0 ? 64 : k->dirty_cap * 2;
        struct dirty_slot *more = realloc(k->dirty, cap * sizeof *more);

        if (more == NULL)
            return error_set(err, ERR_MEMORY, "no memory for an assigned slot");
        k->dirty = more;
        k->dirty_cap = cap;
    }
    if (!unit_map_put(&k->map, tag, slot))
        return error_set(err, ERR_MEMORY, "no memory for a unit");
    k->dirty[k->dirty_count] = (struct dirty_slot){ .slot = slot };
    memcpy(k->dirty[k->dirty_count].tag, tag, UNIT_TAG_BYTES);
    k->dirty_count++;
    if (slot >= k->next_ready)
        k->next_ready = slot + 1;
    return true;
}

/* With the lock held: the next slot a unit may have. One that neither copy holds whole is passed over: it has no
 * key. */
static bool next_slot(struct keyring *k, uint32_t *slot)
{
    uint8_t bytes[KEYRING_SLOT_BYTES];

    for (; k->next_ready < k->count; k->next_ready++)
        if (keyring_slot_read(k, k->next_ready, bytes, NULL) && bytes[4] == SLOT_READY) {
            *slot = k->next_ready;
            return true;
        }
    return false;
}

bool keyring_slot_of(struct keyring *k, struct span unit, uint32_t *slot, struct error *err)
{
    uint8_t tag[UNIT_TAG_BYTES];
    bool ok = true;

    keyring_unit_tag(k, unit, tag);
    (void)pthread_mutex_lock(&k->lock);
    if (!unit_map_get(&k->map, tag, slot))
        ok = next_slot(k, slot) ? assign(k, tag, *slot, err) : error_set(err, ERR_BUSY, "no data key is ready");
    (void)pthread_mutex_unlock(&k->lock);
    return ok;
}

bool keyring_assign(struct keyring *k, struct span unit, uint32_t slot, struct error *err)
{
    uint8_t tag[UNIT_TAG_BYTES];
    uint32_t known;
    bool ok;

    keyring_unit_tag(k, unit, tag);
    (void)pthread_mutex_lock(&k->lock);
    ok = (unit_map_get(&k->map, tag, &known) && known == slot) || assign(k, tag, slot, err);
    (void)pthread_mutex_unlock(&k->lock);
    return ok;
}

void keyring_burn(struct keyring *k, uint32_t slot)
{
    (void)pthread_mutex_lock(&k->lock);
    if (slot >= k->next_ready && slot < k->count)
        k->next_ready = slot + 1;
    (void)pthread_mutex_unlock(&k->lock);
}

bool keyring_slot_read(struct keyring *k, uint32_t number, uint8_t out[KEYRING_SLOT_BYTES], struct error *err)
{
    for (int i = 0; i < KEYRING_COPIES; i++)
        if (k->fd[i] >= 0 && file_read_at(k->fd[i], out, KEYRING_SLOT_BYTES, keyring_slot_offset(number), err)
            && slot_is_valid(&k->binding, number, out))
            return true;
    return error_set(err, ERR_DAMAGED, "keyring: slot %u is damaged in both copies", number);
}

/* With the lock held, so that files and keys belong together also while keys are rotated. */
static bool data_key_read(struct keyring *k, struct seal *s, uint32_t slot, uint8_t out[KEY_BYTES], struct error *err)
{
    uint8_t bytes[KEYRING_SLOT_BYTES];
    uint32_t place = slot & (KEY_CACHE - 1);

    if (!keyring_slot_read(k, slot, bytes, err))
        return false;
    if (bytes[4] == SLOT_ERASED)
        return error_set(err, ERR_ERASED, "the data key in slot %u was erased", slot);
    if (!slot_open(s, &k->binding, bytes, out, err))
        return false;
    if (slot != 0) {
        k->secrets->cache[place].slot = slot;
        memcpy(k->secrets->cache[place].key, out, KEY_BYTES);
    }
    return true;
}

bool keyring_data_key(struct keyring *k, struct seal *s, uint32_t slot, uint8_t out[KEY_BYTES], struct error *err)
{
    uint32_t place = slot & (KEY_CACHE - 1);
    bool ok = true;

    (void)pthread_mutex_lock(&k->lock);
    if (slot != 0 && k->secrets->cache[place].slot == slot)
        memcpy(out, k->secrets->cache[place].key, KEY_BYTES);
    else
        ok = data_key_read(k, s, slot, out, err);
    (void)pthread_mutex_unlock(&k->lock);
    return ok;
}

/* ---- growing and flushing ---- */

bool keyring_wants_growth(struct keyring *k)
{
    bool wants;

    (void)pthread_mutex_lock(&k->lock);
    wants = k->count - k->next_ready < KEYRING_LOW_WATER;
    (void)pthread_mutex_unlock(&k->lock);
    return wants;
}

bool keyring_grow(struct keyring *k, struct error *err)
{
    uint32_t first = k->count; /* only this thread changes it */
    uint8_t *slots;
    bool ok = true;

    if (first > UINT32_MAX - KEYRING_BATCH)
        return error_set(err, ERR_LIMIT, "the keyring is full");
    slots = slots_make(&k->seal, &k->binding, first, KEYRING_BATCH, err);
    if (slots == NULL)
        return false;
    for (int i = 0; ok && i < KEYRING_COPIES; i++)
        ok = disk_write_at(k->disk, k->fd[i], span_of(slots, (size_t)KEYRING_BATCH * KEYRING_SLOT_BYTES),
                           keyring_slot_offset(first), err)
             && disk_sync(k->disk, k->fd[i], err);
    free(slots);
    if (!ok)
        return error_within(err, "keyring");
    (void)pthread_mutex_lock(&k->lock);
    k->count = k->made = first + KEYRING_BATCH;
    (void)pthread_mutex_unlock(&k->lock);
    return true;
}

static bool write_assigned(struct keyring *k, int copy, const struct dirty_slot *d, struct error *err)
{
    uint8_t slot[KEYRING_SLOT_BYTES];

    if (!keyring_slot_read(k, d->slot, slot, err))
        return true; /* lost already, and named by verify; nothing to write */
    slot[4] = SLOT_ASSIGNED;
    memcpy(slot + 8, d->tag, UNIT_TAG_BYTES);
    slot_finish(&k->binding, slot);
    return disk_write_at(k->disk, k->fd[copy], span_of(slot, sizeof slot), keyring_slot_offset(d->slot), err);
}

/* The i-th assignment that waits to be written; more may be added behind it at any time. */
static struct dirty_slot dirty_at(struct keyring *k, size_t i)
{
    struct dirty_slot d;

    (void)pthread_mutex_lock(&k->lock);
    d = k->dirty[i];
    (void)pthread_mutex_unlock(&k->lock);
    return d;
}

/* They leave the list once both copies hold them: after a failure all of them are still there. */
bool keyring_flush(struct keyring *k, struct error *err)
{
    size_t count;
    bool ok = true;

    (void)pthread_mutex_lock(&k->lock);
    count = k->dirty_count;
    (void)pthread_mutex_unlock(&k->lock);
    for (int copy = 0; ok && count > 0 && copy < KEYRING_COPIES; copy++) {
        for (size_t i = 0; ok && i < count; i++) {
            struct dirty_slot d = dirty_at(k, i);

            ok = write_assigned(k, copy, &d, err);
        }
        ok = ok && disk_sync(k->disk, k->fd[copy], err);
    }
    if (!ok || count == 0)
        return ok;
    (void)pthread_mutex_lock(&k->lock);
    k->dirty_count -= count;
    memmove(k->dirty, k->dirty + count, k->dirty_count * sizeof *k->dirty);
    (void)pthread_mutex_unlock(&k->lock);
    return true;
}

bool keyring_check(struct keyring *k, keyring_finding *report, void *context, struct error *err)
{
    keyring_headers_check(k, report, context);
    return walk(k, false, false, report, context, err);
}
