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
#include "vault/keyring_format.h"
#include "vault/unit_map.h"

#define COPIES     2
#define KEY_CACHE  256u /* data keys kept open; a power of two */
#define SLOTS_READ 512u /* slots read at once while opening */

static const char *const copy_names[COPIES] = { "keyring.0", "keyring.1" };

/* What must not be swapped, dumped or left behind: sodium_malloc'ed. */
struct secrets {
    struct vault_keys keys;
    struct {
        uint32_t slot; /* 0 is the signing key and is never cached: free place */
        uint8_t key[KEY_BYTES];
    } cache[KEY_CACHE];
};

struct keyring {
    const struct disk *disk;
    struct secrets *secrets;
    struct seal seal; /* of the thread that grows */
    uint8_t vault_id[VAULT_ID_BYTES];
    int fd[COPIES];
    pthread_mutex_t lock; /* all below, and secrets->cache */
    uint32_t count;       /* slots that both copies hold */
    uint32_t next_ready;  /* every slot from here on is ready */
    struct unit_map map;
    struct dirty_slot {
        uint32_t slot;
        uint8_t tag[UNIT_TAG_BYTES];
    } * dirty; /* assigned and not yet written so */
    size_t dirty_count, dirty_cap;
};

static uint64_t slot_offset(uint32_t number)
{
    return KEYRING_HEADER_BYTES + (uint64_t)number * KEYRING_SLOT_BYTES;
}

/* `count` fresh ready slots from `first` on; the caller frees. NULL without memory. */
static uint8_t *slots_make(struct seal *s, const struct vault_keys *keys, const uint8_t *vault_id, uint32_t first,
                           uint32_t count, struct error *err)
{
    uint8_t *slots = malloc((size_t)count * KEYRING_SLOT_BYTES);

    if (slots == NULL) {
        (void)error_set(err, ERR_MEMORY, "no memory for keyring slots");
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!slot_make(s, keys, vault_id, first + i, first + i == 0 ? SLOT_SIGNING : SLOT_READY,
                       slots + (size_t)i * KEYRING_SLOT_BYTES, err)) {
            free(slots);
            return NULL;
        }
    return slots;
}

bool keyring_create(const struct disk *d, const struct seal_suite *suite, struct span secret, uint64_t now_us,
                    struct error *err)
{
    struct seal s;
    struct vault_keys *keys = sodium_malloc(sizeof *keys);
    uint8_t *slots = NULL;
    struct writer file = writer_new(KEYRING_HEADER_BYTES + KEYRING_BATCH * KEYRING_SLOT_BYTES);
    uint8_t header[KEYRING_HEADER_BYTES];
    bool ok = false;

    if (keys == NULL)
        return error_set(err, ERR_MEMORY, "no locked memory for keys");
    if (seal_init(&s, suite, err)) {
        seal_random(keys->master, KEY_BYTES);
        vault_keys_derive(keys);
        if (keyring_header_make(&s, keys, secret, now_us, header, err))
            slots = slots_make(&s, keys, header + 40, 0, KEYRING_BATCH, err);
        write_span(&file, span_of(header, sizeof header));
        if (slots != NULL) {
            write_span(&file, span_of(slots, KEYRING_BATCH * KEYRING_SLOT_BYTES));
            ok = writer_ok(&file, err, "keyring");
        }
        for (int i = 0; ok && i < COPIES; i++)
            ok = disk_replace(d, copy_names[i], writer_span(&file), err);
        seal_done(&s);
    }
    free(slots);
    writer_done(&file);
    sodium_free(keys);
    return ok;
}

/* ---- opening ---- */

static bool unseal(struct keyring *k, struct span secret, keyring_finding *report, void *context, struct error *err)
{
    uint8_t header[COPIES][KEYRING_HEADER_BYTES];
    struct error why[COPIES] = { 0 };
    bool there[COPIES];
    int use = -1;

    for (int i = 0; i < COPIES; i++)
        there[i] = k->fd[i] >= 0 && file_read_at(k->fd[i], header[i], KEYRING_HEADER_BYTES, 0, &why[i]);
    for (int i = 0; i < COPIES && use < 0; i++) {
        if (i > 0 && there[0] && there[i] && memcmp(header[0], header[i], KEYRING_HEADER_BYTES) == 0)
            why[i] = why[0]; /* Argon2id is slow: not twice for the same bytes */
        else if (there[i] && keyring_header_open(&k->seal, header[i], secret, &k->secrets->keys, &why[i]))
            use = i;
    }
    if (use < 0) {
        bool sealed = why[0].code == ERR_SEALED || why[1].code == ERR_SEALED;

        return error_set(err, sealed ? ERR_SEALED : ERR_DAMAGED, "%s", why[why[0].code == ERR_SEALED ? 0 : 1].text);
    }
    memcpy(k->vault_id, header[use] + 40, VAULT_ID_BYTES);
    for (int i = 0; i < COPIES; i++)
        if (!there[i] || memcmp(header[i], header[use], KEYRING_HEADER_BYTES) != 0)
            report(context,
                   i == 0 ? "keyring.0: header is damaged or missing" : "keyring.1: header is damaged or missing");
    return true;
}

/* Up to SLOTS_READ slots of one copy from `first` on; returns how many there are. Missing bytes read as zeros. */
static uint32_t read_slots(int fd, uint32_t first, uint8_t *out)
{
    uint64_t size = 0;
    uint64_t from = slot_offset(first);
    size_t len;

    memset(out, 0, (size_t)SLOTS_READ * KEYRING_SLOT_BYTES);
    if (fd < 0 || !file_size(fd, &size, NULL) || size <= from)
        return 0;
    len = size - from < (uint64_t)SLOTS_READ * KEYRING_SLOT_BYTES ? (size_t)(size - from)
                                                                  : SLOTS_READ * KEYRING_SLOT_BYTES;
    (void)file_read_at(fd, out, len, from, NULL);
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
static enum slot_verdict slot_judge(const struct vault_keys *keys, uint32_t number, const uint8_t *a, const uint8_t *b,
                                    const uint8_t **best)
{
    bool a_valid = slot_is_valid(keys, number, a);
    bool b_valid = slot_is_valid(keys, number, b);

    *best = NULL;
    if (!a_valid && !b_valid)
        return is_zero(a) && is_zero(b) ? SLOT_MAKE : SLOT_LOST;
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
        if (!slot_make(&k->seal, &k->secrets->keys, k->vault_id, number, SLOT_READY, fresh, err))
            return false;
        best = fresh;
    }
    for (int i = 0; i < COPIES; i++)
        if (!disk_write_at(k->disk, k->fd[i], span_of(best, KEYRING_SLOT_BYTES), slot_offset(number), err)
            || !disk_sync(k->disk, k->fd[i], err))
            return error_within(err, "%s", copy_names[i]);
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

/* Walks both copies: takes them into memory (load), completes what a cut left unfinished (heal), reports damage. */
static bool walk(struct keyring *k, bool load, bool heal, keyring_finding *report, void *context, struct error *err)
{
    uint8_t *a = malloc((size_t)SLOTS_READ * KEYRING_SLOT_BYTES);
    uint8_t *b = malloc((size_t)SLOTS_READ * KEYRING_SLOT_BYTES);
    bool ok = a != NULL && b != NULL;
    uint32_t first = 0, got = SLOTS_READ;

    if (!ok)
        (void)error_set(err, ERR_MEMORY, "no memory to read the keyring");
    for (; ok && got == SLOTS_READ; first += got) {
        uint32_t in_a = read_slots(k->fd[0], first, a);
        uint32_t in_b = read_slots(k->fd[1], first, b);

        got = in_a > in_b ? in_a : in_b;
        for (uint32_t i = 0; ok && i < got; i++) {
            const uint8_t *best;
            enum slot_verdict v = slot_judge(&k->secrets->keys, first + i, a + (size_t)i * KEYRING_SLOT_BYTES,
                                             b + (size_t)i * KEYRING_SLOT_BYTES, &best);

            if ((v == SLOT_HEAL || v == SLOT_MAKE) && heal)
                ok = slot_heal(k, first + i, best, err);
            else if (v >= SLOT_DAMAGED_0) /* a cut leaves no such slot */
                report_slot(report, context, v, first + i);
            ok = ok && (!load || slot_load(k, first + i, best, err));
        }
    }
    if (ok && load)
        k->count = first;
    free(a);
    free(b);
    return ok;
}

/* Opens both copies; one that is gone is made again from the other (read only: done without). */
static bool open_copies(struct keyring *k, bool read_only, keyring_finding *report, void *context, struct error *err)
{
    for (int i = 0; i < COPIES; i++) {
        struct writer whole = writer_new((size_t)1 << 31);
        struct error why = { 0 };
        char path[DISK_PATH_MAX];
        bool ok;

        k->fd[i] = disk_open(k->disk, copy_names[i], read_only ? O_RDONLY : O_RDWR, &why);
        if (k->fd[i] >= 0)
            continue;
        if (why.code != ERR_NOT_FOUND)
            return error_set(err, why.code, "%s", why.text);
        if (read_only)
            continue;
        disk_path(k->disk, copy_names[1 - i], path);
        ok = file_slurp(path, &whole, err) && disk_replace(k->disk, copy_names[i], writer_span(&whole), err);
        writer_done(&whole);
        k->fd[i] = ok ? disk_open(k->disk, copy_names[i], O_RDWR, err) : -1;
        if (k->fd[i] < 0)
            return false;
        report(context, i == 0 ? "keyring.0 was missing and is made again" : "keyring.1 was missing and is made again");
    }
    return k->fd[0] >= 0 || k->fd[1] >= 0 || error_set(err, ERR_NOT_FOUND, "no keyring");
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
    k->secrets = sodium_malloc(sizeof *k->secrets);
    if (k->secrets == NULL) {
        (void)error_set(err, ERR_MEMORY, "no locked memory for keys");
        keyring_close(k);
        return NULL;
    }
    memset(k->secrets, 0, sizeof *k->secrets);
    if (!open_copies(k, read_only, report, context, err) || !seal_init(&k->seal, suite, err)
        || !unseal(k, secret, report, context, err) || !walk(k, true, !read_only, report, context, err)) {
        keyring_close(k);
        return NULL;
    }
    return k;
}

void keyring_close(struct keyring *k)
{
    if (k == NULL)
        return;
    for (int i = 0; i < COPIES; i++)
        disk_close(k->disk, &k->fd[i]);
    seal_done(&k->seal);
    unit_map_done(&k->map);
    free(k->dirty);
    sodium_free(k->secrets); /* wipes */
    (void)pthread_mutex_destroy(&k->lock);
    free(k);
}

const struct vault_keys *keyring_keys(const struct keyring *k)
{
    return &k->secrets->keys;
}

const uint8_t *keyring_vault_id(const struct keyring *k)
{
    return k->vault_id;
}

/* ---- units ---- */

static void tag_of(const struct keyring *k, struct span unit, uint8_t out[UNIT_TAG_BYTES])
{
    uint8_t mac[HASH_BYTES];

    seal_mac(k->secrets->keys.unit, unit, mac);
    memcpy(out, mac, UNIT_TAG_BYTES);
}

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

bool keyring_slot_of(struct keyring *k, struct span unit, uint32_t *slot, struct error *err)
{
    uint8_t tag[UNIT_TAG_BYTES];
    bool ok = true;

    tag_of(k, unit, tag);
    (void)pthread_mutex_lock(&k->lock);
    if (!unit_map_get(&k->map, tag, slot)) {
        if (k->next_ready >= k->count)
            ok = error_set(err, ERR_BUSY, "no data key is ready");
        else if ((ok = assign(k, tag, k->next_ready, err)))
            *slot = k->next_ready - 1;
    }
    (void)pthread_mutex_unlock(&k->lock);
    return ok;
}

bool keyring_assign(struct keyring *k, struct span unit, uint32_t slot, struct error *err)
{
    uint8_t tag[UNIT_TAG_BYTES];
    uint32_t known;
    bool ok;

    tag_of(k, unit, tag);
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

/* The slot as it is on disk, from the first copy that holds it whole. */
static bool slot_read(struct keyring *k, uint32_t number, uint8_t out[KEYRING_SLOT_BYTES], struct error *err)
{
    for (int i = 0; i < COPIES; i++)
        if (k->fd[i] >= 0 && file_read_at(k->fd[i], out, KEYRING_SLOT_BYTES, slot_offset(number), err)
            && slot_is_valid(&k->secrets->keys, number, out))
            return true;
    return error_set(err, ERR_DAMAGED, "keyring: slot %u is damaged in both copies", number);
}

bool keyring_data_key(struct keyring *k, struct seal *s, uint32_t slot, uint8_t out[KEY_BYTES], struct error *err)
{
    uint8_t bytes[KEYRING_SLOT_BYTES];
    uint8_t associated[4 + VAULT_ID_BYTES];
    uint32_t place = slot & (KEY_CACHE - 1);
    bool hit;

    (void)pthread_mutex_lock(&k->lock);
    hit = slot != 0 && k->secrets->cache[place].slot == slot;
    if (hit)
        memcpy(out, k->secrets->cache[place].key, KEY_BYTES);
    (void)pthread_mutex_unlock(&k->lock);
    if (hit)
        return true;
    if (!slot_read(k, slot, bytes, err))
        return false;
    if (bytes[4] == SLOT_ERASED)
        return error_set(err, ERR_REFUSED, "the data key in slot %u was erased", slot);
    slot_associated(slot, k->vault_id, associated);
    if (!seal_decrypt(s, k->secrets->keys.wrap, bytes + 24, span_of(associated, sizeof associated),
                      span_of(bytes + 36, KEY_BYTES + TAG_BYTES), out, err))
        return error_within(err, "keyring slot %u", slot);
    if (slot != 0) {
        (void)pthread_mutex_lock(&k->lock);
        k->secrets->cache[place].slot = slot;
        memcpy(k->secrets->cache[place].key, out, KEY_BYTES);
        (void)pthread_mutex_unlock(&k->lock);
    }
    return true;
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
    slots = slots_make(&k->seal, &k->secrets->keys, k->vault_id, first, KEYRING_BATCH, err);
    if (slots == NULL)
        return false;
    for (int i = 0; ok && i < COPIES; i++)
        ok = disk_write_at(k->disk, k->fd[i], span_of(slots, (size_t)KEYRING_BATCH * KEYRING_SLOT_BYTES),
                           slot_offset(first), err)
             && disk_sync(k->disk, k->fd[i], err);
    free(slots);
    if (!ok)
        return error_within(err, "keyring");
    (void)pthread_mutex_lock(&k->lock);
    k->count = first + KEYRING_BATCH;
    (void)pthread_mutex_unlock(&k->lock);
    return true;
}

static bool write_assigned(struct keyring *k, int copy, const struct dirty_slot *d, struct error *err)
{
    uint8_t slot[KEYRING_SLOT_BYTES];

    if (!slot_read(k, d->slot, slot, err))
        return true; /* lost already, and named by verify; nothing to write */
    slot[4] = SLOT_ASSIGNED;
    memcpy(slot + 8, d->tag, UNIT_TAG_BYTES);
    slot_finish(&k->secrets->keys, slot);
    return disk_write_at(k->disk, k->fd[copy], span_of(slot, sizeof slot), slot_offset(d->slot), err);
}

bool keyring_flush(struct keyring *k, struct error *err)
{
    struct dirty_slot *work;
    size_t count;
    bool ok = true;

    (void)pthread_mutex_lock(&k->lock);
    work = k->dirty;
    count = k->dirty_count;
    k->dirty = NULL;
    k->dirty_count = k->dirty_cap = 0;
    (void)pthread_mutex_unlock(&k->lock);
    for (int copy = 0; ok && count > 0 && copy < COPIES; copy++) {
        for (size_t i = 0; ok && i < count; i++)
            ok = write_assigned(k, copy, &work[i], err);
        ok = ok && disk_sync(k->disk, k->fd[copy], err);
    }
    if (!ok) { /* they stay to be written: back in front of what came since */
        (void)pthread_mutex_lock(&k->lock);
        for (size_t i = 0; i < count; i++)
            (void)assign(k, work[i].tag, work[i].slot, NULL);
        (void)pthread_mutex_unlock(&k->lock);
    }
    free(work);
    return ok;
}

bool keyring_check(struct keyring *k, keyring_finding *report, void *context, struct error *err)
{
    uint8_t header[KEYRING_HEADER_BYTES];

    for (int i = 0; i < COPIES; i++)
        if (k->fd[i] < 0 || !file_read_at(k->fd[i], header, sizeof header, 0, NULL)
            || !seal_mac_fits(k->secrets->keys.keyring, span_of(header, 480), header + 480, HASH_BYTES))
            report(context,
                   i == 0 ? "keyring.0: header is damaged or missing" : "keyring.1: header is damaged or missing");
    return walk(k, false, false, report, context, err);
}
