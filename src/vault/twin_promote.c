/*
 * A twin becomes a first machine (docs/twin.md, "Promotion").
 *
 * What could not be checked without the secret is checked now: HMACs of segment headers and markers. What is broken is
 * told and stays where it is; the way back to light does not depend on it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "vault/scan.h"
#include "vault/twin_internal.h"

#define LARGE_NAMES_MAX ((size_t)LARGE_NAME_BYTES << 24) /* bytes: 16 million large bodies, of 1 MiB and more each */

struct promotion {
    struct twin *t;
    struct twin_promotion *out;
    verify_report *report;
    void *context;
    struct writer clear;
    struct writer large; /* names of large bodies, LARGE_NAME_BYTES each */
};

static void find(struct promotion *p, const char *what, address where)
{
    char text[FINDING_MAX];

    (void)snprintf(text, sizeof text, "log/%08u.seg at %u: %s", address_segment(where), address_offset(where), what);
    p->out->findings++;
    p->report(p->context, text);
}

/* Which unit has the slot: the keyring's copy may be older than the entry. */
static bool learn_slot(struct promotion *p, const struct scan_item *item, struct error *err)
{
    struct store *s = p->t->store;
    struct record_keys keys;
    struct span unit, facts;
    struct error why = { 0 };
    bool ok = true;

    if (entry_open(s, &p->t->seal, &item->entry, item->bytes, &p->clear, &unit, &facts, &keys, &why)) {
        ok = keyring_assign(s->keyring, unit, item->entry.slot, err);
    } else if (error_is_want(why.code)) { /* or else the slot of an entry that is whole would be given up */
        ok = error_set(err, why.code, "%s", why.text);
    } else {
        keyring_burn(s->keyring, item->entry.slot);
        if (why.code == ERR_DAMAGED)
            find(p, "an entry does not open", item->where);
    }
    seal_wipe(&keys, sizeof keys);
    return ok;
}

static bool walk(struct promotion *p, struct error *err)
{
    struct store *s = p->t->store;
    struct scan_item item;
    struct scan scan;
    bool ok;

    scan_init(&scan, s, 0, address_of(s->end.segment, s->end.offset));
    while ((ok = scan_next(&scan, &item, err)) && item.type != SCAN_END) {
        if (item.type == SCAN_ENTRY) {
            if (item.entry.has_body && item.entry.large)
                write_span(&p->large, span_of(item.entry.name, LARGE_NAME_BYTES));
            ok = learn_slot(p, &item, err);
        }
        if (item.type == SCAN_GAP)
            find(p, "bytes that are no record of this vault", item.where);
        else if (item.type == SCAN_SEGMENT && item.broken)
            find(p, "the segment's head fails its check", item.where);
        if (!ok)
            break;
    }
    scan_done(&scan);
    return ok;
}

/* The segment in use ends where the twin's log ends. */
static bool cut_segment(struct store *s, struct error *err)
{
    char name[NAME_BYTES_MAX];
    uint64_t size;
    bool ok;
    int fd;

    if (!segment_size(s, s->end.segment, &size, err))
        return false;
    if (size <= s->end.offset)
        return true;
    segment_name(s->end.segment, name);
    fd = disk_open(&s->disk, name, O_RDWR, err);
    ok = fd >= 0 && disk_truncate(&s->disk, fd, s->end.offset, err) && disk_sync(&s->disk, fd, err);
    disk_close(&s->disk, &fd);
    return ok;
}

/*
 * Cuts what a step that did not end left behind the log's end: the power may have taken bodies and parts of it, and a
 * recovery, which knows nothing of steps, would take it for commits of its own and then for damage. Body files need
 * nothing: recovery cuts what no commit names.
 */
static bool cut_log(struct store *s, struct error *err)
{
    char path[DISK_PATH_MAX], name[NAME_BYTES_MAX];
    struct dirent *e;
    bool ok = true;
    DIR *d;

    disk_path(&s->disk, "log", path);
    d = opendir(path);
    if (d == NULL)
        return error_errno(err, "%s", path);
    while (ok && (errno = 0, e = readdir(d)) != NULL) {
        unsigned segment;

        if (sscanf(e->d_name, "%8u.seg", &segment) != 1 || segment <= s->end.segment)
            continue;
        segment_name(segment, name);
        if (strcmp(name + strlen("log/"), e->d_name) == 0)
            ok = disk_unlink(&s->disk, name, err);
    }
    if (ok && errno != 0)
        ok = error_errno(err, "%s", path);
    (void)closedir(d);
    return ok && disk_sync_dir(&s->disk, "log", err) && cut_segment(s, err);
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, LARGE_NAME_BYTES);
}

/* Whether a file of body/large has a name that no entry knows. */
static bool is_stray(const struct promotion *p, const char *entry)
{
    uint8_t name[LARGE_NAME_BYTES];
    char again[NAME_BYTES_MAX];

    if (strlen(entry) != LARGE_NAME_BYTES * 2 + strlen(".body")
        || sodium_hex2bin(name, sizeof name, entry, LARGE_NAME_BYTES * 2, NULL, NULL, NULL) != 0)
        return false;
    large_name(name, true, again);
    return strcmp(again + strlen("body/large/"), entry) == 0
           && (p->large.len == 0
               || bsearch(name, p->large.ptr, p->large.len / LARGE_NAME_BYTES, LARGE_NAME_BYTES, compare_names) == NULL);
}

/*
 * Large bodies that got their names in a step that did not end. They stay where anything in the log is broken (their
 * entry may be what is lost), and where there was no memory for all names.
 */
static bool drop_strays(struct promotion *p, struct error *err)
{
    struct store *s = p->t->store;
    char path[DISK_PATH_MAX], name[NAME_BYTES_MAX];
    struct dirent *e;
    bool ok = true;
    DIR *d;

    if (p->out->findings > 0 || p->large.failed)
        return true;
    if (p->large.len > 0)
        qsort(p->large.ptr, p->large.len / LARGE_NAME_BYTES, LARGE_NAME_BYTES, compare_names);
    disk_path(&s->disk, "body/large", path);
    d = opendir(path);
    while (ok && d != NULL && (e = readdir(d)) != NULL) {
        if (!is_stray(p, e->d_name))
            continue;
        (void)snprintf(name, sizeof name, "body/large/%.60s", e->d_name);
        ok = disk_unlink(&s->disk, name, err);
    }
    if (d != NULL)
        (void)closedir(d);
    return ok;
}

/* Everything that a restart of an ordinary vault looks for. The rename is the moment. */
static bool make_first(struct twin *t, struct error *err)
{
    struct store *s = t->store;

    return cut_log(s, err) && keyring_burn_ready(s->keyring, err) && confirm_write(s, err)
           && disk_rename(&s->disk, TWIN_NAME, PROMOTING_NAME, err) && disk_sync_dir(&s->disk, ".", err);
}

static void fill(const struct twin *t, struct twin_promotion *out)
{
    out->size = t->store->end.marker.size;
    out->written_us = t->store->end.marker.written_us;
    out->current_us = t->known.current_us;
}

/* What an interrupted one knew. */
static bool promote_again(const char *dir, const struct store_options *options, struct twin_promotion *out,
                          struct error *err)
{
    struct twin *t = twin_alloc(dir, options, err);
    bool ok = t != NULL && ledger_open(&t->store->ledger, &t->store->disk, true, err)
              && twin_state_read(t->store, PROMOTING_NAME, &t->known, err);

    if (ok)
        fill(t, out);
    twin_close(t);
    return ok;
}

bool twin_promote(const char *dir, const struct store_options *options, verify_report *report, void *context,
                  struct twin_promotion *out, struct error *err)
{
    struct twin_promotion found = { .findings = 0 };
    struct promotion p = { .out = &found, .report = report, .context = context };
    bool ok;

    if (twin_is_promoting(dir))
        return promote_again(dir, options, out, err);
    p.t = twin_open(dir, options, err);
    if (p.t == NULL)
        return false;
    p.clear = writer_new(FACTS_STORED_MAX);
    p.large = writer_new(LARGE_NAMES_MAX);
    ok = p.t->unsealed || error_set(err, ERR_SEALED, "promotion needs the secret");
    ok = ok && twin_open_keyring(p.t, options->secret, false, err) && walk(&p, err);
    fill(p.t, &found);
    ok = ok && drop_strays(&p, err) && make_first(p.t, err);
    if (p.clear.ptr != NULL)
        seal_wipe(p.clear.ptr, p.clear.cap);
    writer_done(&p.clear);
    writer_done(&p.large);
    twin_close(p.t);
    if (ok)
        *out = found;
    return ok;
}

bool twin_promoted(const char *dir, const struct store_options *options, struct error *err)
{
    struct twin *t = twin_alloc(dir, options, err);
    bool ok = t != NULL && disk_unlink(&t->store->disk, PROMOTING_NAME, err)
              && disk_sync_dir(&t->store->disk, ".", err);

    twin_close(t);
    return ok;
}
