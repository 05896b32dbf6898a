/*
 * Scrubbing: every file is looked at once a round, against its seal or, where it is not full yet, against the log; what
 * is damaged is mended where it can be, and told. See sealer.h.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/scrub.h"

/* The directories of a round, in order; after them what lies in none. */
const char *scrub_directory(size_t n)
{
    if (n == 0)
        return "log";
    if (n <= BODY_CLASS_COUNT)
        return body_class_dirs[n];
    return n == BODY_CLASS_COUNT + 1 ? "body/large" : NULL;
}

/* ---- names ---- */

/* The name of a data file, or of the one that a seal is of: it may be lost while its seal is not. */
static bool data_name_of(const char *dir, const char *entry, char out[SIDECAR_NAME_BYTES + 1])
{
    size_t len = strlen(entry), suffix = strlen(SIDECAR_SUFFIX);

    if (len > suffix && strcmp(entry + len - suffix, SIDECAR_SUFFIX) == 0)
        len -= suffix;
    if (entry[0] == '.' || len < 6 || len > 46
        || (memcmp(entry + len - 4, ".seg", 4) != 0 && memcmp(entry + len - 5, ".body", 5) != 0))
        return false;
    (void)snprintf(out, SIDECAR_NAME_BYTES + 1, "%.15s/%.*s", dir, (int)len, entry);
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void sort(struct name_list *l)
{
    size_t kept = 0;

    qsort(l->names, l->count, sizeof *l->names, by_name);
    for (size_t i = 0; i < l->count; i++)
        if (kept == 0 || strcmp(l->names[i], l->names[kept - 1]) != 0)
            memmove(l->names[kept++], l->names[i], sizeof *l->names);
    l->count = kept;
}

/* No more than SCRUB_NAMES_MAX, the smaller ones: the others come later. */
static void shorten(struct name_list *l)
{
    sort(l);
    if (l->count <= SCRUB_NAMES_MAX)
        return;
    l->count = SCRUB_NAMES_MAX;
    l->more = true;
}

bool names_load(struct name_list *l, struct store *s, const char *dir, const char *after, struct error *err)
{
    return names_load_below(l, s->disk.root, dir, after, err);
}

bool names_load_below(struct name_list *l, const char *root, const char *dir, const char *after, struct error *err)
{
    size_t cap = 2 * (size_t)SCRUB_NAMES_MAX;
    char path[DISK_PATH_MAX];
    struct dirent *e;
    DIR *d;

    l->count = l->at = 0;
    l->more = false;
    if (l->names == NULL && (l->names = malloc(cap * sizeof *l->names)) == NULL)
        return error_set(err, ERR_MEMORY, "no memory for the names of files");
    if (!path_join(path, sizeof path, root, dir, err))
        return false;
    d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL) {
        char name[SIDECAR_NAME_BYTES + 1];

        if (!data_name_of(dir, e->d_name, name) || strcmp(name, after) <= 0)
            continue;
        if (l->count == cap)
            shorten(l);
        memcpy(l->names[l->count++], name, sizeof name);
    }
    if (d != NULL)
        (void)closedir(d);
    shorten(l);
    return true;
}

/* ---- a sealed file ---- */

static struct damaged_file *known_damage(struct sealer *sl, const char *file)
{
    for (size_t i = 0; i < sl->state.damaged_count; i++)
        if (strcmp(sl->state.damaged[i].name, file) == 0)
            return &sl->state.damaged[i];
    return NULL;
}

void scrub_report(struct sealer *sl, const char *file, const char *what)
{
    struct damaged_file *d = known_damage(sl, file);

    if (d == NULL && (sl->state.damaged_count == SCRUB_DAMAGED_MAX || strlen(file) > SIDECAR_NAME_BYTES))
        return; /* a round must not fill the log with what cannot be helped */
    if (d == NULL) {
        d = &sl->state.damaged[sl->state.damaged_count++];
        *d = (struct damaged_file){ 0 };
        (void)snprintf(d->name, sizeof d->name, "%s", file);
        sl->state_changed = true;
        atomic_store(&sl->s->damaged_files, sl->state.damaged_count);
    }
    d->seen = true;
    if (!d->told)
        sealer_tell(sl, "scrub.damaged", "failed", file, "%s: %s", file, what);
    d->told = true;
}

void scrub_whole(struct sealer *sl, const char *file, const char *how)
{
    struct damaged_file *d = known_damage(sl, file);

    if (how != NULL || d != NULL)
        sealer_tell(sl, "scrub.repaired", "success", file, "%s: %s", file, how != NULL ? how : "it is whole again");
    if (d == NULL)
        return;
    memmove(d, &sl->state.damaged[--sl->state.damaged_count], sizeof *d);
    sl->state_changed = true;
    atomic_store(&sl->s->damaged_files, sl->state.damaged_count);
}

static void tell_result(struct sealer *sl, const char *name, const struct mend_result *r, bool seal_mended)
{
    bool damaged = r->forged || r->lost > 0, mended = r->repaired > 0 || seal_mended;
    char what[100];

    atomic_fetch_add(&sl->s->repaired_sectors, r->repaired);
    (void)snprintf(what, sizeof what, "%llu sectors%s", (unsigned long long)r->repaired, seal_mended ? ", and its seal" : "");
    if (!damaged && !r->was_damaged) {
        scrub_whole(sl, name, mended ? what : NULL);
        return;
    }
    if (mended)
        sealer_tell(sl, "scrub.repaired", "success", "", "%s: %s", name, what); /* not all of it: no word that it is whole */
    if (!damaged)
        return; /* as it was sealed: told then */
    (void)snprintf(what, sizeof what, r->forged ? "it is not what was sealed, though its checksums fit"
                                                : "%llu sectors cannot be repaired here",
                   (unsigned long long)r->lost);
    scrub_report(sl, name, what);
}

static uint32_t segment_of(const char *name)
{
    return (uint32_t)strtoul(name + strlen("log/"), NULL, 10);
}

static bool scrub_index_of(struct sealer *sl, const char *name, struct error *err);

bool scrub_file(struct sealer *sl, const char *name, const char *copy, verify_report *report, void *context,
                struct mend_result *out, struct error *err)
{
    struct mend_order order = { .name = name,
                                .copy = copy,
                                .write = true,
                                .report = report,
                                .report_context = context,
                                .pace = sealer_pace,
                                .pace_context = sl };
    struct mend_result r;
    struct error why = { 0 };
    bool seal_mended = false;

    if (!mend_file(sl->mender, &order, &r, err))
        return false;
    if (r.bad_seal > 0 && r.lost == 0 && !r.forged) {
        seal_mended = mend_seal(sl->mender, name, sealer_pace, sl, &why);
        if (!seal_mended && why.code != ERR_BUSY)
            log_warn(sl->s->log, "seal.failed", f_err(&why));
        if (seal_mended)
            r.bad_seal = 0;
    }
    if (r.bad > 0)
        mend_forget(sl->s);
    tell_result(sl, name, &r, seal_mended);
    *out = r;
    return strncmp(name, "log/", 4) != 0 || scrub_index_of(sl, name, err);
}

/* A sealed segment says where its entries are: the ledger's index is checked, and mended, from that. */
static bool scrub_index_of(struct sealer *sl, const char *name, struct error *err)
{
    struct writer contents = writer_new((size_t)64 << 20);
    struct sidecar sc;
    bool ok = true;

    if (!sidecar_open(sl->s, sl->s->disk.root, name, &sc, NULL))
        return true;
    if (sidecar_contents(&sc, &contents, NULL))
        ok = scrub_index(sl, segment_of(name), sc.h.first, writer_span(&contents), err);
    sidecar_close(&sc);
    writer_done(&contents);
    return ok;
}

/* ---- a file that has no seal ---- */

/* The number of a shared body file; 0: another name. */
static uint32_t number_of(enum body_class c, const char *name)
{
    struct body_file f = { 0 };

    return sscanf(name + strlen(body_class_dirs[c]) + 1, "%6u-%8u", &f.month, &f.number) == 2 ? f.number : 0;
}

/* The seal of a file is lost: where it had one, sealing goes back to it. */
static void scrub_seal_lost(struct sealer *sl, size_t directory, const char *name)
{
    char beside[NAME_BYTES_MAX];

    if (directory == 0 ? segment_of(name) >= sl->state.segments
        : directory <= BODY_CLASS_COUNT
            ? sl->begun_again
                  || number_of((enum body_class)directory, name) >= sl->state.classes[directory - 1].number
            : sl->begun_again || sl->state.cursor < atomic_load(&sl->s->confirmed_size))
        return; /* it is not full, or sealing will come to it */
    if (directory == 0) {
        sl->state.segments = segment_of(name);
    } else {
        sl->state.cursor = 0;
        memset(sl->state.classes, 0, sizeof sl->state.classes);
        sl->begun_again = true; /* once a round: a file that no entry names is never sealed */
    }
    sl->state_changed = true;
    sidecar_name(name, beside);
    scrub_report(sl, beside, "the seal is lost and is made again");
}

static bool live_segment(struct sealer *sl, const char *name, bool *damaged, struct error *err)
{
    uint32_t number = segment_of(name);
    struct segment_check c;
    address end;
    bool ok;

    (void)pthread_mutex_lock(&sl->s->lock);
    end = address_of(sl->s->told.segment, sl->s->told.offset);
    (void)pthread_mutex_unlock(&sl->s->lock);
    if (number > address_segment(end))
        return true;
    if (!sealing_check_segment(sl, number, number == address_segment(end) ? end : address_of(number + 1, 0), &c, err))
        return false;
    *damaged = c.damaged;
    ok = scrub_index(sl, number, c.first, writer_span(&c.contents), err);
    writer_done(&c.contents);
    return ok;
}

static bool live_bodies(struct sealer *sl, enum body_class c, const char *name, bool *damaged, struct error *err)
{
    const struct class_state *now = &sl->state.classes[c - 1];
    uint32_t number = number_of(c, name);

    if (number == 0 || number != now->number)
        return true; /* full and about to be sealed, or nobody's yet */
    return sealing_check_bodies(sl, c, number, now->first, atomic_load(&sl->s->confirmed_size), damaged, err);
}

bool scrub_unsealed(struct sealer *sl, size_t directory, const char *name, bool *damaged, struct error *err)
{
    bool ok = true;

    *damaged = false;
    scrub_seal_lost(sl, directory, name);
    if (directory == 0)
        ok = segment_of(name) < sl->state.segments || live_segment(sl, name, damaged, err);
    else if (directory <= BODY_CLASS_COUNT)
        ok = live_bodies(sl, (enum body_class)directory, name, damaged, err);
    if (ok && *damaged)
        scrub_report(sl, name, "records in it are damaged, and it is not sealed yet");
    else if (ok)
        scrub_whole(sl, name, NULL);
    return ok;
}

void scrub_met(struct sealer *sl, const char *name)
{
    struct mend_result result;
    struct error err = { 0 };
    const struct damaged_file *known = known_damage(sl, name);
    size_t directory = 0;
    bool damaged;

    if (known != NULL && known->told)
        return; /* who reads it again and again must not make us read all of it each time */
    if (scrub_file(sl, name, NULL, NULL, NULL, &result, &err) || (err.code != ERR_NOT_FOUND && err.code != ERR_DAMAGED))
        return;
    while (scrub_directory(directory) != NULL
           && (strncmp(name, scrub_directory(directory), strlen(scrub_directory(directory))) != 0
               || name[strlen(scrub_directory(directory))] != '/'))
        directory++;
    if (scrub_directory(directory) != NULL && !scrub_unsealed(sl, directory, name, &damaged, &err) && err.code != ERR_BUSY)
        log_warn(sl->s->log, "scrub.failed", f_err(&err));
}

/* ---- the round ---- */

/* From the disk and not from the page cache, which does not rot with it. */
static void forget_pages(struct store *s, const char *name)
{
    char path[DISK_PATH_MAX];

    disk_path(&s->disk, name, path);
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0)
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

static bool scrub_one(struct sealer *sl, const char *name, struct error *err)
{
    char beside[NAME_BYTES_MAX];
    struct mend_result r;
    struct error why = { 0 };
    bool damaged;

    sidecar_name(name, beside);
    forget_pages(sl->s, name);
    forget_pages(sl->s, beside);
    if (scrub_file(sl, name, NULL, NULL, NULL, &r, &why))
        return true;
    if (why.code == ERR_NOT_FOUND || why.code == ERR_DAMAGED)
        return scrub_unsealed(sl, sl->directory, name, &damaged, err);
    *err = why;
    return false;
}

static bool begin_round(struct sealer *sl)
{
    uint64_t now = clock_wall_us(sl->s->clock);

    if (sl->state.began_us > sl->state.ended_us) { /* one is under way; after a start: where it was */
        if (sl->list.names == NULL)
            while (sl->directory <= BODY_CLASS_COUNT
                   && strncmp(sl->state.last, scrub_directory(sl->directory), strlen(scrub_directory(sl->directory))) != 0)
                sl->directory++;
        return true;
    }
    if (sl->state.began_us != 0 && now >= sl->state.began_us && now - sl->state.began_us < sl->options.interval_us)
        return false;
    sl->state.began_us = now > sl->state.ended_us ? now : sl->state.ended_us + 1;
    sl->state.last[0] = '\0';
    sl->state_changed = true;
    sl->directory = 0;
    sl->list.count = sl->list.at = 0;
    sl->list.more = true;
    sl->begun_again = false;
    return true;
}

static bool end_round(struct sealer *sl, struct error *err)
{
    if (!scrub_rest(sl, err))
        return false;
    sl->state.rounds++;
    sl->state.ended_us = clock_wall_us(sl->s->clock);
    if (sl->state.ended_us < sl->state.began_us)
        sl->state.ended_us = sl->state.began_us;
    sl->state.last[0] = '\0';
    sl->state_changed = true;
    sl->directory = 0;
    atomic_store(&sl->s->scrub_ended_us, sl->state.ended_us);
    sealer_save(sl, true);
    return true;
}

bool scrub_next(struct sealer *sl, bool *did, struct error *err)
{
    struct name_list *l = &sl->list;

    *did = false;
    if (!begin_round(sl))
        return true;
    *did = true;
    if (l->names == NULL || (l->at == l->count && l->more)) {
        return names_load(l, sl->s, scrub_directory(sl->directory), sl->state.last, err);
    }
    if (l->at < l->count) {
        if (!scrub_one(sl, l->names[l->at], err))
            return false;
        memcpy(sl->state.last, l->names[l->at++], sizeof sl->state.last);
        sl->state_changed = true;
        return true;
    }
    if (scrub_directory(++sl->directory) != NULL)
        return names_load(l, sl->s, scrub_directory(sl->directory), "", err);
    if (end_round(sl, err))
        return true;
    sl->directory--; /* the rest is tried again */
    return false;
}
