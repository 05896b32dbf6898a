/*
 * What has no seal because it is doubled, or can be made again: keyring copies, confirm files, ledger. See scrub.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/scrub.h"

#define KEYRING_SLOT_PREFIX "keyring: "

/* ---- keyring ---- */

/* "keyring.0: slot 7 is damaged", "keyring: slot 7 is damaged in both copies, what it opens is lost". */
static void keyring_told(void *context, const char *text)
{
    struct sealer *sl = context;
    const char *is = strstr(text, " is "), *colon = strchr(text, ':');
    char file[SIDECAR_NAME_BYTES + 1];

    if (strstr(text, "lost") != NULL && is != NULL) {
        (void)snprintf(file, sizeof file, "%.*s", (int)(is - text), text);
        scrub_report(sl, file, is + 1);
        return;
    }
    (void)snprintf(file, sizeof file, "%.*s", (int)(colon != NULL ? colon - text : 0), text);
    sealer_tell(sl, "scrub.repaired", "success", file, "%s, and is mended from the other copy", text);
}

static bool of_keyring(const struct damaged_file *d)
{
    return strncmp(d->name, KEYRING_SLOT_PREFIX, strlen(KEYRING_SLOT_PREFIX)) == 0;
}

/* Slots that were lost and are not any more: filled from a back-up, or erased. */
static void keyring_whole_again(struct sealer *sl)
{
    struct scrub_state *st = &sl->state;
    char file[SIDECAR_NAME_BYTES + 1];

    for (size_t i = st->damaged_count; i-- > 0;) /* the last takes the place of one that goes */
        if (of_keyring(&st->damaged[i]) && !st->damaged[i].seen) {
            memcpy(file, st->damaged[i].name, sizeof file);
            scrub_whole(sl, file, NULL);
        }
}

/* Piece by piece: the lock keeps a confirm, and with it every commit, waiting. */
static bool scrub_keyring(struct sealer *sl, struct error *err)
{
    uint32_t first = 0, next = 0;
    bool ok, more = true;

    for (size_t i = 0; i < sl->state.damaged_count; i++)
        sl->state.damaged[i].seen = false;
    (void)pthread_mutex_lock(&sl->s->confirm_lock);
    ok = keyring_mend_headers(sl->s->keyring, keyring_told, sl, err);
    (void)pthread_mutex_unlock(&sl->s->confirm_lock);
    while (ok && more) {
        (void)pthread_mutex_lock(&sl->s->confirm_lock);
        ok = keyring_mend_slots(sl->s->keyring, first, &next, keyring_told, sl, err);
        (void)pthread_mutex_unlock(&sl->s->confirm_lock);
        more = next > first;
        if (ok && !sealer_pace(sl, (uint64_t)(next - first) * KEYRING_SLOT_BYTES * 2))
            ok = error_set(err, ERR_BUSY, "interrupted");
        first = next;
    }
    if (ok)
        keyring_whole_again(sl);
    return ok;
}

/* ---- confirm files and checkpoint ---- */

static void confirm_told(void *context, const char *text)
{
    char file[SIDECAR_NAME_BYTES + 1];

    (void)snprintf(file, sizeof file, "%.*s", (int)strcspn(text, " "), text);
    sealer_tell(context, "scrub.repaired", "success", file, "%s, and is written again", text);
}

static bool scrub_confirm(struct sealer *sl, struct error *err)
{
    struct store *s = sl->s;
    uint64_t findings = 0, size;
    struct hash root;
    bool whole, ok;

    (void)pthread_mutex_lock(&s->confirm_lock);
    ok = confirm_check(s, confirm_told, sl, &findings, err) && checkpoint_read(s, &sl->seal, &whole, &size, &root, err);
    if (ok && !whole) {
        confirm_told(sl, "checkpoint is damaged or missing");
        findings++;
    }
    (void)pthread_mutex_unlock(&s->confirm_lock);
    if (findings == 0)
        return ok;
    (void)pthread_mutex_lock(&s->lock);
    s->want_confirm = true;
    (void)pthread_cond_signal(&s->work);
    (void)pthread_mutex_unlock(&s->lock);
    return ok;
}

/* ---- tiles ---- */

static uint64_t full_tiles(const struct ledger *l, unsigned level)
{
    return l->tree.size >> (8 * (level + 1));
}

static bool tile_root(struct sealer *sl, const struct hash hashes[TILE_HASHES], struct hash *out, struct error *err)
{
    struct merkle whole = { 0 };

    for (unsigned i = 0; i < TILE_HASHES; i++)
        if (!merkle_append(&whole, &sl->seal, &hashes[i], err))
            return false;
    *out = whole.edge[0];
    return true;
}

/* What the tile above, or the confirm file's edge, says of a tile; ERR_DAMAGED where the tile above is. */
static bool tile_parent(struct sealer *sl, const struct ledger *l, unsigned level, uint64_t number, struct hash *out,
                        struct error *err)
{
    uint64_t full = full_tiles(l, level + 1) * TILE_HASHES;
    struct hash above[TILE_HASHES];

    if (number >= full) {
        *out = l->levels[level + 1].hashes[number - full];
        return true;
    }
    if (!tile_read(&sl->s->disk, level + 1, number / TILE_HASHES, above, err))
        return false;
    *out = above[number % TILE_HASHES];
    return true;
}

/* A tile from what is below it: entries, or the roots of tiles. ERR_DAMAGED where some of that is lost. */
static bool tile_again(struct sealer *sl, unsigned level, uint64_t number, struct hash out[TILE_HASHES],
                       struct error *err)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    bool ok = true;

    for (unsigned i = 0; ok && i < TILE_HASHES; i++) {
        uint64_t child = number * TILE_HASHES + i;
        struct hash below[TILE_HASHES];
        struct entry_header h;

        if (level == 0)
            ok = entry_find(sl->s, child, &h, &entry, err)
                 && merkle_leaf(&sl->seal, &(struct span){ entry.ptr, entry.len }, 1, &out[i], err);
        else
            ok = tile_read(&sl->s->disk, level - 1, child, below, err) && tile_root(sl, below, &out[i], err);
    }
    writer_done(&entry);
    return ok;
}

static bool scrub_tile(struct sealer *sl, const struct ledger *l, unsigned level, uint64_t number, struct error *err)
{
    struct hash hashes[TILE_HASHES], want, got;
    struct error why = { 0 };
    char name[TILE_NAME_MAX];

    tile_name(level, number, name);
    if (!tile_parent(sl, l, level, number, &want, &why)) /* damaged: said already */
        return !error_is_want(why.code) || error_set(err, why.code, "%s", why.text);
    if (tile_read(&sl->s->disk, level, number, hashes, &why)) {
        if (!tile_root(sl, hashes, &got, err))
            return false;
        if (memcmp(got.bytes, want.bytes, HASH_BYTES) == 0) {
            scrub_whole(sl, name, NULL);
            return true;
        }
    }
    if (error_is_want(why.code))
        return error_set(err, why.code, "%s", why.text);
    why = (struct error){ 0 };
    if (!tile_again(sl, level, number, hashes, &why) || !tile_root(sl, hashes, &got, &why)
        || memcmp(got.bytes, want.bytes, HASH_BYTES) != 0) {
        if (error_is_want(why.code)) /* that says nothing of what is below: the next round looks again */
            return error_set(err, why.code, "%s", why.text);
        scrub_report(sl, name, "it cannot be made again: what is below it is damaged");
        return true;
    }
    if (!tile_write(&sl->s->disk, level, number, hashes, err))
        return false;
    scrub_whole(sl, name, "made again from the log");
    return true;
}

/* From the top, so that a tile is judged by one that was judged before it; the topmost by the confirm files. */
static bool scrub_tiles(struct sealer *sl, struct error *err)
{
    struct ledger *l = calloc(1, sizeof *l);
    bool ok = l != NULL || error_set(err, ERR_MEMORY, "no memory for the ledger's edge");
    struct error why = { 0 };

    if (ok && !confirm_edge(sl->s, l, &why))
        ok = why.code == ERR_DAMAGED || error_set(err, why.code, "%s", why.text); /* damaged: said already */
    else if (ok)
        for (unsigned level = TILE_LEVELS - 1; ok && level-- > 0;)
            for (uint64_t n = 0; ok && n < full_tiles(l, level); n++) {
                ok = scrub_tile(sl, l, level, n, err);
                if (ok && !sealer_pace(sl, sizeof(struct hash) * TILE_HASHES))
                    ok = error_set(err, ERR_BUSY, "interrupted");
            }
    free(l);
    return ok;
}

/* ---- index ---- */

bool scrub_index(struct sealer *sl, uint32_t segment, uint64_t first, struct span contents, struct error *err)
{
    struct ledger *l = &sl->s->ledger;
    struct reader r = reader_over(contents);
    uint64_t indexed = ledger_indexed(l), wrong = 0;

    for (uint64_t p = first; reader_left(&r) >= 4 && p < indexed; p++) {
        uint32_t offset = read_u32le(&r);
        struct writer fresh = writer_new(8);
        bool ok;

        if (offset == 0 || ledger_address(l, p) == address_of(segment, offset))
            continue;
        write_u64le(&fresh, address_of(segment, offset));
        ok = disk_write_at(&sl->s->disk, l->index_fd, writer_span(&fresh), p * 8, err);
        writer_done(&fresh);
        if (!ok)
            return false;
        wrong++;
    }
    if (wrong == 0)
        return true;
    sealer_tell(sl, "scrub.repaired", "success", "ledger/index", "ledger/index: %llu places, from log/%08u.seg",
                (unsigned long long)wrong, segment);
    return disk_sync(&sl->s->disk, l->index_fd, err);
}

bool scrub_rest(struct sealer *sl, struct error *err)
{
    if (sl->s->twin) /* it has no confirm files, and its keyring is open for reading: promotion mends that */
        return true;
    return scrub_confirm(sl, err) && scrub_keyring(sl, err) && scrub_tiles(sl, err);
}
