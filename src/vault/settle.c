/*
 * What recovery reads is on the disk (docs/format.md, "Recovery").
 *
 * A process that was killed between its writes and their syncs leaves a commit that looks whole, and the page cache
 * holds all of it. Believing that, confirming it and then losing the power would lose it. So the end of the log and the
 * bodies of its last commit are synced before they are looked at; only the last one can be unsynced, for a commit
 * writes nothing before the one before it is synced.
 */
#include <fcntl.h>

#include "vault/store_internal.h"

/* A file that is not there is not our concern: its commit is not whole, and recovery finds that out. */
static bool settle_file(struct store *s, const char *name, struct error *err)
{
    bool ok;
    int fd;

    if (!disk_exists(&s->disk, name))
        return true;
    fd = disk_open(&s->disk, name, O_RDONLY, err);
    ok = fd >= 0 && disk_settle(&s->disk, fd, err);
    disk_close(&s->disk, &fd);
    return ok || error_within(err, "%s", name);
}

bool settle_log(struct store *s, uint32_t from, struct error *err)
{
    char name[NAME_BYTES_MAX];
    bool ok = true;

    for (uint32_t n = from; ok && n < segments_from(s, from); n++) {
        segment_name(n, name);
        ok = settle_file(s, name, err);
    }
    return ok;
}

bool settle_body(struct store *s, const struct entry_header *h, struct settled *files, struct error *err)
{
    char name[NAME_BYTES_MAX];

    if (!h->has_body)
        return true;
    if (!h->large) {
        if (files->number[h->body_class - 1] == h->place.number)
            return true;
        files->number[h->body_class - 1] = h->place.number;
        body_name(h->body_class, &h->place, name);
        return settle_file(s, name, err);
    }
    for (int confirmed = 0; confirmed < 2; confirmed++) {
        large_name(h->name, confirmed != 0, name);
        if (!settle_file(s, name, err))
            return false;
    }
    if (files->large_names)
        return true;
    files->large_names = true;
    return disk_sync_dir(&s->disk, "body/large", err);
}
