/*
 * Putting a keyring back (docs/operations.md, "Fire drill"). See store_backup.h.
 *
 * The keyring of the back-up may be older than the log: a slot that was ready then may have been given to a unit since.
 * Its key is the same, so nothing is lost; but it must not be given away again. So the log is read once, and every slot
 * that it uses is assigned to the unit that uses it; of the others that the back-up knows none is given away either: a
 * record that cannot be read today may use it. Until that is on disk a file says that it is not (RESTORING_NAME), and no
 * store opens beside it: interrupted anywhere, the command is given again.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/keyring_header.h"
#include "vault/locked.h"
#include "vault/store_backup.h"
#include "vault/store_internal.h"

/* A slot that the log uses, and whose. */
struct used {
    uint32_t slot;
    uint32_t unit_len;
    uint8_t unit[UNIT_TEXT_MAX];
};

struct uses {
    uint8_t *seen; /* a bit a slot */
    uint32_t seen_bits;
    struct used *list;
    size_t count, cap;
};

/* ---- is it ours, whole, and not too old? ---- */

static bool mac_fits(const struct vault_keys *keys, struct span file)
{
    uint8_t key[KEY_BYTES];
    bool fits;

    seal_derive(keys->root, "purpose/back-up", key);
    fits = seal_mac_fits(key, span_part(file, 0, file.len - HASH_BYTES), file.ptr + file.len - HASH_BYTES, HASH_BYTES);
    seal_wipe(key, sizeof key);
    return fits;
}

static bool open_conf(struct seal *s, const struct vault_keys *keys, struct span file, const struct backup_info *info,
                      struct writer *out, struct error *err)
{
    uint8_t key[KEY_BYTES];
    uint8_t *clear = write_room(out, info->conf.len - NONCE_BYTES - TAG_BYTES);
    bool ok = writer_ok(out, err, "configuration");

    seal_derive(keys->root, "purpose/back-up/conf", key);
    ok = ok
         && seal_decrypt(s, key, info->conf.ptr, span_part(file, 0, BACKUP_HEADER_BYTES),
                         span_part(info->conf, NONCE_BYTES, info->conf.len), clear, err);
    seal_wipe(key, sizeof key);
    return ok;
}

static bool authenticate(const struct seal_suite *suite, struct span secret, struct span file,
                         const struct backup_info *info, struct vault_keys *keys, struct writer *conf, struct error *err)
{
    struct seal s;
    bool ok = false;

    if (seal_init(&s, suite, err)) {
        ok = header_open(&s, info->keyring.ptr, secret, keys, NULL, err);
        if (ok && !mac_fits(keys, file))
            ok = error_set(err, ERR_DAMAGED, "the back-up is damaged, or not made by this vault");
        ok = ok && open_conf(&s, keys, file, info, conf, err);
        seal_done(&s);
    }
    return ok;
}

/* A twin's keys come from its first; a promotion has its own way to its end. */
static bool is_plain(const struct disk *d, struct error *err)
{
    if (disk_exists(d, "twin") || disk_exists(d, "promoting"))
        return error_set(err, ERR_USAGE, "%s is a twin, or was being promoted: fanal promote makes it a first machine",
                         d->root);
    return true;
}

/* The vault id of segment 0, in clear at 32: whose log is this? Without one there is nothing to compare. */
static bool log_is_of(const struct disk *d, const uint8_t vault_id[VAULT_ID_BYTES], struct error *err)
{
    uint8_t id[VAULT_ID_BYTES];
    char name[NAME_BYTES_MAX];
    int fd;
    bool same;

    segment_name(0, name);
    fd = disk_open(d, name, O_RDONLY, err);
    if (fd < 0)
        return error_within(err, "no log to restore keys for");
    same = file_read_at(fd, id, sizeof id, 32, err) && memcmp(id, vault_id, VAULT_ID_BYTES) == 0;
    disk_close(d, &fd);
    return same || error_set(err, ERR_REFUSED, "the back-up is of another vault than this log");
}

static bool may_restore(const struct disk *d, const struct backup_info *info, uint64_t now_us, bool force,
                        struct error *err)
{
    if (!is_plain(d, err) || !log_is_of(d, info->vault_id, err))
        return false;
    if (force)
        return true;
    if (info->backup.expires_us != 0 && info->backup.expires_us <= now_us)
        return error_set(err, ERR_REFUSED,
                         "the back-up has expired: what was erased since it was made could come back (--force)");
    return true;
}

/* ---- whose is each slot? ---- */

static bool take_use(struct uses *u, uint32_t slot, struct span unit, struct error *err)
{
    struct used *more;

    if (u->count == u->cap) {
        size_t cap = u->cap == 0 ? 256 : 2 * u->cap;

        more = realloc(u->list, cap * sizeof *more);
        if (more == NULL)
            return error_set(err, ERR_MEMORY, "no memory for %zu units", cap);
        u->list = more;
        u->cap = cap;
    }
    u->list[u->count] = (struct used){ .slot = slot, .unit_len = (uint32_t)unit.len };
    if (unit.len > 0)
        memcpy(u->list[u->count].unit, unit.ptr, unit.len);
    u->count++;
    return true;
}

static bool first_seen(struct uses *u, uint32_t slot, struct error *err)
{
    if (slot >= u->seen_bits) {
        uint32_t bits = (slot / 65536 + 1) * 65536;
        uint8_t *more = bits > slot ? realloc(u->seen, bits / 8) : NULL;

        if (more == NULL)
            return error_set(err, ERR_MEMORY, "no memory for slot %u", slot);
        memset(more + u->seen_bits / 8, 0, (bits - u->seen_bits) / 8);
        u->seen = more;
        u->seen_bits = bits;
    }
    if ((u->seen[slot / 8] >> slot % 8 & 1) != 0)
        return false;
    u->seen[slot / 8] |= (uint8_t)(1u << slot % 8);
    return true;
}

/* A slot whose entry does not open keeps its number all the same: nobody else gets it. */
static bool look_at(struct store *s, uint64_t position, struct uses *u, struct writer *entry, struct writer *clear,
                    struct error *err)
{
    struct error why = { 0 };
    struct entry_header h;
    struct record_keys keys;
    struct span unit = { NULL, 0 }, facts;
    bool opened;

    if (!entry_find(s, position, &h, entry, &why))
        return !error_is_want(why.code) || error_set(err, why.code, "%s", why.text); /* damaged: verify names it */
    if (!first_seen(u, h.slot, &why))
        return why.code == ERR_NONE || error_set(err, why.code, "%s", why.text);
    writer_reset(clear);
    opened = entry_open(s, &s->owner_seal, &h, writer_span(entry), clear, &unit, &facts, &keys, &why);
    seal_wipe(&keys, sizeof keys);
    if (!opened && error_is_want(why.code))
        return error_set(err, why.code, "%s", why.text);
    return take_use(u, h.slot, opened && unit.len <= UNIT_TEXT_MAX ? unit : (struct span){ NULL, 0 }, err);
}

static bool walk_log(const char *dir, const struct store_options *options, struct uses *u, struct error *err)
{
    struct store_options reading = *options;
    struct writer entry = writer_new((size_t)1 << 24), clear = writer_new((size_t)1 << 24);
    struct store *s;
    bool ok = true;

    reading.read_only = reading.restoring = true;
    s = store_open(dir, &reading, err);
    if (s == NULL)
        return false;
    for (uint64_t position = 0; ok && position < store_committed_size(s); position++)
        ok = look_at(s, position, u, &entry, &clear, err);
    if (clear.ptr != NULL)
        seal_wipe(clear.ptr, clear.cap);
    writer_done(&entry);
    writer_done(&clear);
    store_close(s);
    return ok;
}

static void ignore_finding(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static bool assign_one(struct keyring *k, const struct used *use, uint32_t held, struct restored *out, struct error *err)
{
    char name[32];

    if (use->slot < held && use->unit_len > 0) {
        out->found++;
        return keyring_assign(k, span_of(use->unit, use->unit_len), use->slot, err);
    }
    if (use->slot < held && keyring_slot_state(k, use->slot) != SLOT_READY)
        return true; /* it is somebody's already, or erased */
    if (use->slot >= held) {
        if (out->lost < BACKUP_LOST_MAX)
            out->lost_slots[out->lost] = use->slot;
        out->lost++;
    }
    (void)snprintf(name, sizeof name, "lost:%u", use->slot);
    return keyring_assign(k, span_str(name), use->slot, err);
}

static bool assign_used(const struct disk *d, const struct seal_suite *suite, struct span secret, const struct uses *u,
                        struct restored *out, struct error *err)
{
    struct keyring *k = keyring_open(d, suite, secret, false, ignore_finding, NULL, err);
    uint32_t held = k != NULL ? keyring_slot_count(k) : 0;
    bool ok = k != NULL;

    for (size_t i = 0; ok && i < u->count; i++) {
        while (ok && keyring_slot_count(k) <= u->list[i].slot) /* its number is taken, whoever could open it */
            ok = keyring_grow(k, err);
        if (u->list[i].slot != 0)
            ok = ok && assign_one(k, &u->list[i], held, out, err);
    }
    ok = ok && keyring_burn_ready(k, err) && keyring_flush(k, err);
    keyring_close(k);
    return ok;
}

/* ---- the whole of it ---- */

/* The keyring is there, and no restore has begun: it stays, but for what both its copies have lost. */
static bool fill(const struct disk *d, const struct seal_suite *suite, struct span secret, const struct vault_keys *then,
                 struct span older, struct restored *out, struct error *err)
{
    struct keyring *k = keyring_open(d, suite, secret, false, ignore_finding, NULL, err);
    bool ok = k != NULL && keyring_fill(k, then, older, &out->filled, &out->lost, err);

    keyring_close(k);
    out->kept = true;
    if (ok && out->filled == 0 && out->lost == 0)
        ok = error_set(err, ERR_EXISTS, "the keyring is there: a back-up would put an older one in its place (--force)");
    return ok;
}

static bool put_back(const struct disk *d, struct span keyring, struct error *err)
{
    return disk_replace(d, RESTORING_NAME, (struct span){ NULL, 0 }, err) && disk_replace(d, "keyring.0", keyring, err)
           && disk_replace(d, "keyring.1", keyring, err);
}

static bool finish(const struct disk *d, struct error *err)
{
    return disk_unlink(d, RESTORING_NAME, err) && disk_sync_dir(d, ".", err);
}

bool store_restore(const char *dir, const struct store_options *options, struct span file, bool force,
                   struct restored *out, struct error *err)
{
    const struct tuning plain = TUNING_DEFAULT;
    struct disk d;
    struct restored r = { .conf = writer_new(BACKUP_CONF_MAX), .checkpoint = writer_new(BACKUP_NOTE_MAX) };
    struct uses uses = { .count = 0 };
    struct vault_keys *keys = NULL;
    struct keyring_info there;
    struct backup_info info;
    struct seal_suite suite;
    int lock = -1;
    bool ok;

    if (!store_files(&d, options->tuning != NULL ? options->tuning : &plain, dir, err) || !backup_parse(file, &info, err)
        || !seal_suite_init(&suite, err))
        return false;
    r.backup = info.backup;
    write_span(&r.checkpoint, info.checkpoint);
    ok = (keys = locked_new(sizeof *keys, err)) != NULL
         && authenticate(&suite, options->secret, file, &info, keys, &r.conf, err)
         && store_lock(&d, false, 0, &lock, err) && may_restore(&d, &info, clock_wall_us(options->clock), force, err)
         && writer_ok(&r.checkpoint, err, "checkpoint");
    if (ok && !force && !disk_exists(&d, RESTORING_NAME) && keyring_info_read(&d, &there, NULL))
        ok = fill(&d, &suite, options->secret, keys, info.keyring, &r, err);
    else
        ok = ok && put_back(&d, info.keyring, err) && walk_log(dir, options, &uses, err)
             && assign_used(&d, &suite, options->secret, &uses, &r, err) && finish(&d, err);
    locked_free(keys);
    file_close(&lock);
    free(uses.seen);
    free(uses.list);
    seal_suite_done(&suite);
    if (ok) {
        *out = r;
        return true;
    }
    writer_done(&r.conf);
    writer_done(&r.checkpoint);
    return false;
}
