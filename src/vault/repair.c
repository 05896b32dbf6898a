/*
 * Repairing by hand: everything at once, at full speed, and with another copy of the vault to take from (store_repair()).
 *
 * The copy is believed for nothing: its seal only if it is of this vault's key and, before it replaces ours, only if its
 * file holds what our own log says; its sectors only if a seal's checksum and hash fit.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/scrub.h"

#define COPY_BYTES ((size_t)64 << 10)

struct repair {
    struct sealer *sl;
    const char *copy;
    verify_report *report;
    void *context;
    struct store_repair done;
};

static void say(struct repair *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct repair *r, const char *format, ...)
{
    char text[FINDING_MAX];
    va_list args;

    if (r->report == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->report(r->context, text);
}

/* ---- taking the copy's seal ---- */

static bool copy_bytes(struct store *s, int in, int out, uint64_t size, struct error *err)
{
    uint8_t *piece = malloc(COPY_BYTES);
    bool ok = piece != NULL || error_set(err, ERR_MEMORY, "no memory to copy a seal");

    for (uint64_t at = 0; ok && at < size;) {
        size_t n = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;

        ok = file_read_at(in, piece, n, at, err) && disk_write_at(&s->disk, out, span_of(piece, n), at, err);
        at += n;
    }
    free(piece);
    return ok;
}

static bool take_seal(struct repair *r, const struct sidecar *theirs, struct error *err)
{
    struct store *s = r->sl->s;
    char beside[NAME_BYTES_MAX], fresh[NAME_BYTES_MAX], dir[NAME_BYTES_MAX];
    bool ok;
    int out;

    sidecar_name(theirs->h.name, beside);
    (void)snprintf(fresh, sizeof fresh, "%.88s.new", beside);
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(beside, '/') - beside), beside);
    out = disk_open(&s->disk, fresh, O_RDWR | O_CREAT | O_TRUNC, err);
    if (out < 0)
        return false;
    ok = copy_bytes(s, theirs->fd, out, theirs->l.size, err) && disk_sync(&s->disk, out, err);
    disk_close(&s->disk, &out);
    if (!ok)
        (void)disk_unlink(&s->disk, fresh, NULL);
    return ok && disk_rename(&s->disk, fresh, beside, err) && disk_sync_dir(&s->disk, dir, err);
}

/* ---- is the copy's file ours? ---- */

/* The next segment's header says what the last marker of this one is: the copy's must be that. */
static bool copy_continues(struct repair *r, int fd, uint32_t number, uint64_t length)
{
    struct store *s = r->sl->s;
    uint8_t next[SEGMENT_HEADER_BYTES];
    struct segment_header h;
    struct hash hash;
    uint8_t *tail;
    size_t n = length < MARKER_BYTES_MAX ? (size_t)length : MARKER_BYTES_MAX;
    bool fits = false;
    int after = segment_fd(s, number + 1, NULL);

    if (after < 0 || !file_read_at(after, next, sizeof next, 0, NULL)
        || !segment_header_decode(span_of(next, sizeof next), keyring_keys(s->keyring)->file, &h, NULL)
        || (tail = malloc(n)) == NULL)
        return false;
    if (file_read_at(fd, tail, n, length - n, NULL))
        for (size_t len = marker_length(0); !fits && len <= n; len += HASH_BYTES) {
            struct span marker = span_of(tail + n - len, len);

            fits = memcmp(marker.ptr, "FNLM", 4) == 0 && seal_hash(&r->sl->seal, &marker, 1, hash.bytes, NULL)
                   && memcmp(hash.bytes, h.previous.bytes, HASH_BYTES) == 0;
        }
    free(tail);
    return fits;
}

/* Every body that our log puts into the file has its root in the copy's. */
static bool copy_has_bodies(struct repair *r, int fd, const struct sidecar *theirs, const char *name)
{
    struct store *s = r->sl->s;
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    uint64_t until = atomic_load(&s->confirmed_size), named = 0;
    bool fits = theirs->h.behind > theirs->h.first && theirs->h.behind <= until;
    char own[NAME_BYTES_MAX];

    for (uint64_t p = theirs->h.first; fits && p < theirs->h.behind; p++) {
        struct entry_header h;

        struct error why = { 0 };

        if (!entry_find(s, p, &h, &entry, &why)) {
            fits = !error_is_want(why.code); /* what could not be looked at vouches for nothing */
            continue;
        }
        if (!h.has_body)
            continue;
        if (h.large)
            large_name(h.name, true, own);
        else
            body_name(h.body_class, &h.place, own);
        if (strcmp(own, name) != 0)
            continue;
        named++;
        fits = body_check_at(&r->sl->seal, &h, fd, h.large ? 0 : h.place.length, NULL);
    }
    writer_done(&entry);
    return fits && named > 0;
}

/* Our own seal is missing, broken or of a damaged file: the copy's takes its place where its file is ours. */
static bool consider_copy(struct repair *r, const char *name, struct error *err)
{
    struct sidecar own, theirs;
    char path[DISK_PATH_MAX];
    unsigned number;
    bool wanted = true, fits;

    if (sidecar_open(r->sl->s, r->sl->s->disk.root, name, &own, NULL)) {
        wanted = own.h.was_damaged;
        sidecar_close(&own);
    }
    if (!wanted || !sidecar_open(r->sl->s, r->copy, name, &theirs, NULL))
        return true;
    fits = !theirs.h.was_damaged && path_join(path, sizeof path, r->copy, name, NULL);
    if (fits) {
        CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

        fits = fd >= 0
               && (sscanf(name, "log/%8u.seg", &number) == 1 ? copy_continues(r, fd, number, theirs.h.length)
                                                             : copy_has_bodies(r, fd, &theirs, name));
    }
    if (fits) {
        fits = take_seal(r, &theirs, err);
        if (fits) {
            r->done.seals++;
            say(r, "%s: the copy's seal is taken", name);
        }
        sidecar_close(&theirs);
        return fits;
    }
    sidecar_close(&theirs);
    return true;
}

/* ---- everything ---- */

static bool repair_file(struct repair *r, size_t directory, const char *name, struct error *err)
{
    struct mend_result m;
    struct error why = { 0 };
    bool damaged;

    if (r->copy != NULL && !consider_copy(r, name, err))
        return false;
    if (!scrub_file(r->sl, name, r->copy, r->report, r->context, &m, &why)) {
        if (why.code != ERR_NOT_FOUND && why.code != ERR_DAMAGED) {
            *err = why;
            return false;
        }
        if (!scrub_unsealed(r->sl, directory, name, &damaged, err)) /* its seal is made below, if it is full */
            return false;
        r->done.lost += damaged ? 1 : 0;
        if (damaged)
            say(r, "%s: records in it are damaged, and it is not sealed yet", name);
        return true;
    }
    r->done.sectors += m.repaired;
    r->done.lost += m.lost;
    return true;
}

/* Names in a directory of ours, or of the copy's that we lost with their seals. */
static bool repair_directory(struct repair *r, const char *root, size_t directory, struct error *err)
{
    char after[SIDECAR_NAME_BYTES + 1] = "";
    struct name_list l = { .more = true };
    bool ok = true;

    while (ok && l.more) {
        ok = names_load_below(&l, root, scrub_directory(directory), after, err);
        for (; ok && l.at < l.count; l.at++)
            if (root == r->sl->s->disk.root || !disk_exists(&r->sl->s->disk, l.names[l.at]))
                ok = repair_file(r, directory, l.names[l.at], err);
        if (ok && l.count > 0)
            memcpy(after, l.names[l.count - 1], sizeof after);
    }
    free(l.names);
    return ok;
}

static bool seal_what_is_full(struct repair *r, struct error *err)
{
    struct error why = { 0 };
    bool did = true, ok = true;

    while (ok && did)
        ok = sealing_next(r->sl, &did, &why);
    if (!ok && why.code == ERR_NO_SPACE) { /* what is repaired stays repaired */
        say(r, "%s", why.text);
        ok = true;
    }
    if (!ok)
        *err = why;
    r->done.seals += r->sl->made;
    r->sl->made = 0;
    return ok;
}

/* Nobody else takes the events of a store that only this command has open. */
static bool record_events(struct store *s, struct error *err)
{
    struct store_event e;

    while (store_next_event(s, &e))
        start_event(s, e.event, e.file, e.detail);
    return start_events_record(s, err);
}

bool store_repair(struct store *s, const char *copy, verify_report *report, void *context, struct store_repair *out,
                  struct error *err)
{
    bool own = s->sealer == NULL, ok;
    struct repair r = { .copy = copy, .report = report, .context = context };

    if (s->read_only && !s->twin)
        return error_set(err, ERR_REFUSED, "the store is open for reading");
    if (own && !sealer_start(s, NULL, err)) {
        sealer_stop(s);
        return false;
    }
    r.sl = s->sealer;
    atomic_store(&r.sl->hurry, true);
    (void)pthread_mutex_lock(&r.sl->work);
    r.sl->rate = 0;
    r.sl->begun_again = false;
    ok = true;
    for (size_t n = 0; ok && scrub_directory(n) != NULL; n++)
        ok = repair_directory(&r, s->disk.root, n, err)
             && (copy == NULL || repair_directory(&r, copy, n, err));
    ok = ok && scrub_rest(r.sl, err) && seal_what_is_full(&r, err);
    sealer_save(r.sl, true);
    ok = ok && (!own || s->twin || record_events(s, err)); /* a twin's log is its first's */
    (void)pthread_mutex_unlock(&r.sl->work);
    atomic_store(&r.sl->hurry, false);
    sealer_wake(s);
    *out = r.done;
    if (own)
        sealer_stop(s);
    return ok;
}
