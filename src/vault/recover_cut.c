/*
 * What a recovery cuts: everything behind the end that it found, copied to cut/ first and told (docs/format.md, "Recovery").
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/scan.h"
#include "vault/sidecar.h"

/* Copies what is to be cut to cut/, as far as CUT_SAVED_BYTES_MAX. */
static bool save_cut(struct store *s, const char *name, uint64_t from, uint64_t to, struct error *err)
{
    static const char hex[] = "0123456789abcdef";
    char path[DISK_PATH_MAX], target[NAME_BYTES_MAX];
    uint8_t random[8];
    uint8_t piece[16384];
    int at = snprintf(target, sizeof target, "cut/");
    bool ok = true;
    int out;

    seal_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        target[at++] = hex[random[i] >> 4];
        target[at++] = hex[random[i] & 15];
    }
    target[at] = '\0';
    disk_path(&s->disk, name, path);
    CLEANUP(file_close) int in = open(path, O_RDONLY | O_CLOEXEC);
    if (in < 0 || !disk_make_dir(&s->disk, "cut", err))
        return error_within(err, "cut of %s", name);
    out = disk_open(&s->disk, target, O_WRONLY | O_CREAT | O_EXCL, err);
    if (out < 0)
        return false;
    if (to - from > CUT_SAVED_BYTES_MAX)
        to = from + CUT_SAVED_BYTES_MAX;
    for (uint64_t done = from; ok && done < to;) {
        size_t n = to - done < sizeof piece ? (size_t)(to - done) : sizeof piece;

        ok = file_read_at(in, piece, n, done, err) && disk_write_at(&s->disk, out, span_of(piece, n), done - from, err);
        done += n;
    }
    ok = ok && disk_sync(&s->disk, out, err);
    disk_close(&s->disk, &out);
    return ok && disk_sync_dir(&s->disk, "cut", err);
}

/* Cuts a file at `keep`; with keep 0 the file goes. Tells, unless nothing but a header was in it. */
static bool cut_file(struct store *s, const char *name, uint64_t size, uint64_t keep, uint64_t header,
                     struct error *err)
{
    char detail[160];
    bool worth = size > (keep > header ? keep : header);
    struct error why = { 0 };
    bool ok;
    int fd;

    if (worth && !save_cut(s, name, keep, size, &why)) /* a full disk must not keep us from opening */
        log_warn(s->log, "recovery.cut-not-saved", f_err(&why));
    if (!sidecar_drop(s, name, err)) /* it could only be of a log that was longer */
        return error_within(err, "cut of %s", name);
    if (keep == 0) {
        ok = disk_unlink(&s->disk, name, err);
    } else {
        fd = disk_open(&s->disk, name, O_RDWR, err);
        ok = fd >= 0 && disk_truncate(&s->disk, fd, keep, err) && disk_sync(&s->disk, fd, err);
        disk_close(&s->disk, &fd);
    }
    if (!ok)
        return error_within(err, "cut of %s", name);
    if (worth) {
        (void)snprintf(detail, sizeof detail, "%s: %llu bytes behind %llu, never confirmed", name,
                       (unsigned long long)(size - keep), (unsigned long long)keep);
        start_event(s, "recovery.cut", "", detail);
    }
    return true;
}

static bool cut_log(struct store *s, struct error *err)
{
    char name[NAME_BYTES_MAX];
    uint64_t size, behind;

    if (!segment_size(s, s->end.segment, &size, err))
        return false;
    segment_name(s->end.segment, name);
    if (size > s->end.offset && !cut_file(s, name, size, s->end.offset, 0, err))
        return false;
    if (size < s->end.offset)
        start_finding(s, "%s ends at %llu, %llu bytes early", name, (unsigned long long)size,
                      (unsigned long long)(s->end.offset - size));
    for (uint32_t n = segments_from(s, s->end.segment); n > s->end.segment + 1; n--) {
        segment_name(n - 1, name);
        if (!segment_size(s, n - 1, &behind, err) || !cut_file(s, name, behind, 0, SEGMENT_HEADER_BYTES, err))
            return false;
        (void)pthread_mutex_lock(&s->segment_lock);
        file_close(&s->segment_fds[n - 1]);
        (void)pthread_mutex_unlock(&s->segment_lock);
    }
    return true;
}

/* A power cut took the zeros behind the last body, whose bytes are there. */
static bool extend_file(struct store *s, const char *name, uint64_t length, struct error *err)
{
    int fd = disk_open(&s->disk, name, O_RDWR, err);
    bool ok = fd >= 0 && disk_truncate(&s->disk, fd, length, err) && disk_sync(&s->disk, fd, err);

    disk_close(&s->disk, &fd);
    return ok;
}

/* One file in a class's directory. */
static bool cut_body(struct store *s, enum body_class c, const char *entry, struct error *err)
{
    const struct body_file *end = &s->end.marker.in_use[c - 1];
    char name[NAME_BYTES_MAX], path[DISK_PATH_MAX], again[NAME_BYTES_MAX];
    struct body_file f = { 0 };
    struct stat st;

    if (sscanf(entry, "%6u-%8u", &f.month, &f.number) != 2)
        return true;
    body_name(c, &f, name);
    (void)snprintf(again, sizeof again, "%s/%.60s", body_class_dirs[c], entry);
    disk_path(&s->disk, name, path);
    if (strcmp(name, again) != 0 || stat(path, &st) != 0)
        return true; /* not a name of ours */
    if (f.number > end->number)
        return cut_file(s, name, (uint64_t)st.st_size, 0, BODY_HEADER_BYTES, err);
    if (f.number == end->number && (uint64_t)st.st_size > end->length)
        return cut_file(s, name, (uint64_t)st.st_size, end->length, 0, err);
    if (f.number == end->number && end->length - (uint64_t)st.st_size < body_alignment(c))
        return extend_file(s, name, end->length, err);
    return true;
}

/* A large body that never got as far as a commit. Kept where the log is broken: its entry may be what is lost. */
static bool drop_part(struct store *s, bool keep_parts, const char *entry, struct error *err)
{
    char name[NAME_BYTES_MAX], path[NAME_BYTES_MAX];

    if (strlen(entry) != LARGE_NAME_BYTES * 2 + 5 || strcmp(entry + LARGE_NAME_BYTES * 2, ".part") != 0 || keep_parts)
        return true;
    (void)snprintf(path, sizeof path, "body/large/%.60s", entry);
    for (size_t at = 0; at < s->large_names.len; at += LARGE_NAME_BYTES) {
        large_name(s->large_names.ptr + at, false, name);
        if (strcmp(name, path) == 0)
            return true;
    }
    return disk_unlink(&s->disk, path, err);
}

static bool each_file(struct store *s, int body_class, bool keep_parts, const char *dir, struct error *err)
{
    char path[DISK_PATH_MAX];
    struct dirent *e;
    bool ok = true;
    DIR *d;

    disk_path(&s->disk, dir, path);
    d = opendir(path);
    if (d == NULL)
        return error_errno(err, "%s", dir);
    while (ok && (e = readdir(d)) != NULL)
        ok = body_class != 0 ? cut_body(s, (enum body_class)body_class, e->d_name, err)
                             : drop_part(s, keep_parts, e->d_name, err);
    (void)closedir(d);
    return ok;
}

bool recovery_cut(struct store *s, bool keep_parts, struct error *err)
{
    if (!cut_log(s, err) || !each_file(s, 0, keep_parts, "body/large", err))
        return false;
    for (unsigned c = 1; c <= BODY_CLASS_COUNT; c++)
        if (!each_file(s, (int)c, keep_parts, body_class_dirs[c], err))
            return false;
    return true;
}
