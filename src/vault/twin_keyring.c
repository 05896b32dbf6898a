/*
 * A twin's keyring: wrapped slots that come before any entry that uses them (docs/twin.md, "The twin's side", 3).
 *
 * A slot that is here is never written again, so that a first machine that has been taken over cannot take away a
 * keyring that worked.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/twin_internal.h"

#define COPIES 2

static const char *const copy_names[COPIES] = { "keyring.0", "keyring.1" };

/* Slots [first, head) of the first, appended to *out. */
static bool fetch_slots(struct twin_round *r, uint32_t first, struct writer *out, struct error *err)
{
    struct follow_range range = { .part = FOLLOW_KEYRING };

    for (uint32_t n = first; n < r->head.keyring_slots;) {
        size_t got = 0, want = (size_t)(r->head.keyring_slots - n) * KEYRING_SLOT_BYTES;

        range.offset = KEYRING_HEADER_BYTES + (uint64_t)n * KEYRING_SLOT_BYTES;
        if (!r->source->read(r->source->context, &range, r->piece, TWIN_READ_MAX, &got, err))
            return false;
        got = got < want ? got : want;
        if (got == 0 || got % KEYRING_SLOT_BYTES != 0)
            return error_set(err, ERR_DAMAGED, "the first's keyring ends early");
        write_span(out, span_of(r->piece, got));
        n += (uint32_t)(got / KEYRING_SLOT_BYTES);
    }
    return writer_ok(out, err, "keyring");
}

/* Slots [known, head) of the first, into both copies. */
static bool append_slots(struct twin_round *r, struct error *err)
{
    struct store *s = r->t->store;
    struct writer slots = writer_new((size_t)TWIN_KEYRING_SLOTS_MAX * KEYRING_SLOT_BYTES);
    uint64_t at = KEYRING_HEADER_BYTES + (uint64_t)r->known.keyring_slots * KEYRING_SLOT_BYTES;
    bool ok = fetch_slots(r, r->known.keyring_slots, &slots, err);

    /* Erasing writes these files, too, and verify compares them. */
    (void)pthread_mutex_lock(&s->confirm_lock);
    for (int i = 0; ok && i < COPIES; i++) {
        int fd = disk_open(&s->disk, copy_names[i], O_RDWR, err);

        ok = fd >= 0 && disk_write_at(&s->disk, fd, writer_span(&slots), at, err) && disk_sync(&s->disk, fd, err);
        disk_close(&s->disk, &fd);
    }
    (void)pthread_mutex_unlock(&s->confirm_lock);
    writer_done(&slots);
    if (ok)
        r->known.keyring_slots = r->head.keyring_slots;
    return ok;
}

/* The pair that we have goes aside under a name that nothing overwrites. */
static bool keep_old(struct twin_round *r, struct error *err)
{
    struct store *s = r->t->store;

    if (r->known.keyrings_kept >= KEYRINGS_KEPT_MAX)
        return error_set(err, ERR_REFUSED, "the first's keyring was changed more than %d times", KEYRINGS_KEPT_MAX);
    for (int i = 0; i < COPIES; i++) {
        char kept[NAME_BYTES_MAX], path[DISK_PATH_MAX];
        struct writer w = writer_new(KEYRING_HEADER_BYTES + (size_t)TWIN_KEYRING_SLOTS_MAX * KEYRING_SLOT_BYTES);
        bool ok;

        (void)snprintf(kept, sizeof kept, "%s.%u", copy_names[i], r->known.keyrings_kept);
        disk_path(&s->disk, copy_names[i], path);
        ok = disk_exists(&s->disk, kept) || (file_slurp(path, &w, err) && disk_replace(&s->disk, kept, writer_span(&w), err));
        writer_done(&w);
        if (!ok)
            return false;
    }
    r->known.keyrings_kept++;
    return true;
}

/* Header and slots as the first has them, both of this head. */
static bool fetch_whole(struct twin_round *r, struct writer *out, struct error *err)
{
    struct follow_range range = { .part = FOLLOW_KEYRING };
    struct span header = span_of(r->piece, KEYRING_HEADER_BYTES);
    uint8_t digest[HASH_BYTES];
    size_t got = 0;

    if (!r->source->read(r->source->context, &range, r->piece, TWIN_READ_MAX, &got, err))
        return false;
    if (got != KEYRING_HEADER_BYTES || !seal_hash(&r->t->seal, &header, 1, digest, err)
        || memcmp(digest, r->head.keyring_digest, HASH_BYTES) != 0)
        return error_set(err, ERR_DAMAGED, "the first's keyring is not the one of its head");
    write_span(out, header);
    return fetch_slots(r, 0, out, err);
}

/* Keys that were destroyed here may be back with it: opening it destroys them again, and says so. */
static void begin_anew(struct twin_round *r)
{
    (void)pthread_mutex_lock(&r->t->lock);
    r->t->keyring_changed = true;
    r->t->erased = 0;
    (void)pthread_mutex_unlock(&r->t->lock);
    r->known.applied = 0;
}

/*
 * What lay there before is of no use any more, but the keys of then are in it: wiped, or, where this twin reads from it,
 * when it is closed.
 */
static bool replace_copy(struct twin_round *r, int copy, struct span file, struct error *err)
{
    const struct disk *d = &r->t->store->disk;
    int before = disk_open(d, copy_names[copy], O_RDWR, NULL);
    bool ok = disk_replace(d, copy_names[copy], file, err);

    if (ok && before >= 0 && r->t->unsealed && r->t->former[copy] < 0) {
        r->t->former[copy] = before;
        return true;
    }
    if (ok && before >= 0)
        disk_wipe(d, before);
    disk_close(d, &before);
    return ok;
}

/* Another header: the whole keyring, the first time or after a change of the secret. */
static bool take_whole(struct twin_round *r, struct error *err)
{
    struct writer file = writer_new(KEYRING_HEADER_BYTES + (size_t)TWIN_KEYRING_SLOTS_MAX * KEYRING_SLOT_BYTES);
    bool ok;

    if (r->head.keyring_slots < r->known.keyring_slots)
        return error_set(err, ERR_REFUSED, "the first's keyring has lost slots: %u of %u are left",
                         r->head.keyring_slots, r->known.keyring_slots);
    ok = fetch_whole(r, &file, err);
    (void)pthread_mutex_lock(&r->t->store->confirm_lock);
    ok = ok && (r->known.keyring_slots == 0 || keep_old(r, err));
    if (ok)
        begin_anew(r);
    for (int i = 0; ok && i < COPIES; i++)
        ok = replace_copy(r, i, writer_span(&file), err);
    (void)pthread_mutex_unlock(&r->t->store->confirm_lock);
    writer_done(&file);
    if (!ok)
        return false;
    r->known.keyring_slots = r->head.keyring_slots;
    memcpy(r->known.keyring_digest, r->head.keyring_digest, HASH_BYTES);
    return true;
}

/* A round that ended between the keyring and vault/twin left another one than this twin knows of. */
static bool is_on_disk(struct twin_round *r, const uint8_t digest[HASH_BYTES])
{
    struct span header = span_of(r->piece, KEYRING_HEADER_BYTES);
    char path[DISK_PATH_MAX];
    uint8_t got[HASH_BYTES];

    disk_path(&r->t->store->disk, copy_names[0], path);
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && file_read_at(fd, r->piece, KEYRING_HEADER_BYTES, 0, NULL)
           && seal_hash(&r->t->seal, &header, 1, got, NULL) && memcmp(got, digest, HASH_BYTES) == 0;
}

bool twin_take_keyring(struct twin_round *r, struct error *err)
{
    bool same = memcmp(r->known.keyring_digest, r->head.keyring_digest, HASH_BYTES) == 0
                && is_on_disk(r, r->head.keyring_digest);

    if (r->head.keyring_slots > TWIN_KEYRING_SLOTS_MAX || r->head.keyring_slots == 0)
        return error_set(err, ERR_REFUSED, "a keyring of %u slots", r->head.keyring_slots);
    if (!same)
        return take_whole(r, err);
    return r->known.keyring_slots >= r->head.keyring_slots || append_slots(r, err);
}
