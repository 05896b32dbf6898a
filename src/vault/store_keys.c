/* Unlockers and the master key of a store. See store_keys.h. */
#include "vault/store_keys.h"

#include <sys/stat.h>

#include "base/file.h"
#include "vault/keyring_header.h"
#include "vault/store_backup.h"
#include "vault/store_internal.h"

static bool disk_of(const char *dir, struct disk *d, struct error *err)
{
    *d = (struct disk){ .ops = &file_ops_system };
    return path_join(d->root, sizeof d->root, dir, "vault", err);
}

static bool peek_backup(const char *path, struct keyring_info *out, struct error *err)
{
    struct writer file = writer_new(BACKUP_BYTES_MAX);
    struct backup_info info;
    bool ok = file_slurp(path, &file, err) && backup_parse(writer_span(&file), &info, err);

    if (ok)
        header_info(info.keyring.ptr, out);
    writer_done(&file);
    return ok || error_within(err, "%s", path);
}

bool store_keys_peek(const char *dir, struct keyring_info *out, struct error *err)
{
    struct disk d;
    struct stat st;

    if (stat(dir, &st) == 0 && S_ISREG(st.st_mode))
        return peek_backup(dir, out, err);
    return disk_of(dir, &d, err) && (keyring_info_read(&d, out, err) || error_within(err, "%s", dir));
}

bool store_keys_try(const char *dir, struct span secret, unsigned *place, struct error *err)
{
    struct seal_suite suite;
    struct disk d;
    bool ok;

    if (!disk_of(dir, &d, err) || !seal_suite_init(&suite, err))
        return false;
    ok = keyring_opens(&d, &suite, secret, place, err);
    seal_suite_done(&suite);
    return ok;
}

void store_keys(struct store *s, struct keyring_info *out)
{
    keyring_info(s->keyring, out);
}

/* The keyring's files are ours alone while confirm_lock is held, and nothing is changed behind a failed sync. */
static bool change_begin(struct store *s, struct error *err)
{
    bool latched;

    if (s->read_only)
        return error_set(err, ERR_USAGE, "the store is open for reading only");
    (void)pthread_mutex_lock(&s->confirm_lock);
    latched = store_has_failed(s);
    if (!latched)
        return true;
    (void)pthread_mutex_unlock(&s->confirm_lock);
    return error_set(err, ERR_IO, "the store takes nothing until it is opened again");
}

/* Of what can fail, only a file call leaves it open what is on disk. */
static bool change_end(struct store *s, bool ok, const struct error *err)
{
    if (!ok && err->code == ERR_IO)
        (void)sync_error_latches(s, err);
    (void)pthread_mutex_unlock(&s->confirm_lock); /* a confirm that waits for it has to find the latch */
    return ok;
}

bool store_keys_add(struct store *s, const struct new_unlocker *new, unsigned *place, struct error *err)
{
    return change_begin(s, err) && change_end(s, keyring_add(s->keyring, new, place, err), err);
}

bool store_keys_remove(struct store *s, unsigned place, struct error *err)
{
    return change_begin(s, err) && change_end(s, keyring_remove(s->keyring, place, err), err);
}

bool store_keys_rotate(struct store *s, struct error *err)
{
    return change_begin(s, err) && change_end(s, keyring_rotate(s->keyring, err), err);
}
