/* See rot_fixture.h. */
#include "rot_fixture.h"

#include <errno.h>

#include "vault/format.h"
#include "vault/parity.h"

static void ignore(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static const size_t lengths[] = { 300000, SIZE_MAX, 30000, 150000, 70000, SIZE_MAX };

/* ---- file calls that fail ---- */

static bool fails(void *context)
{
    struct rot *r = context;

    if (r->calls_left == 0 || --r->calls_left > 0)
        return false;
    r->calls_left = 1; /* and so do the next */
    errno = r->fail_with;
    return true;
}

static int failing_open(void *c, const char *path, int flags)
{
    return (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0 && fails(c) ? -1 : file_ops_system.open(NULL, path, flags);
}

static ssize_t failing_pwrite(void *c, int fd, const void *bytes, size_t len, off_t offset)
{
    return fails(c) ? -1 : pwrite(fd, bytes, len, offset);
}

static int failing_fdatasync(void *c, int fd)
{
    (void)fd;
    return fails(c) ? -1 : 0;
}

static int failing_rename(void *c, const char *from, const char *to)
{
    return fails(c) ? -1 : rename(from, to);
}

static int failing_sync_dir(void *c, const char *path)
{
    (void)path;
    return fails(c) ? -1 : 0;
}

bool rot_repair_failing(struct rot *r, long n, int error)
{
    bool ok;

    r->fail_with = error;
    r->calls_left = n;
    ok = store_repair(r->store, NULL, ignore, NULL, &r->done, &(struct error){ 0 }) && r->calls_left > 1;
    r->calls_left = 0;
    return ok;
}

static void open_store(struct rot *r)
{
    struct store_options o = test_options();
    struct error err = { 0 };

    o.tuning = &r->tuning;
    o.reserve_bytes = 16u << 20;
    r->store = store_open(r->dir, &o, &err);
    if (r->store == NULL) {
        print_error("open: %s\n", err.text);
        abort();
    }
}

static void path_of(const char *dir, const char *name, const char *suffix, char out[300])
{
    (void)snprintf(out, 300, "%.80s/vault/%.80s%.20s", dir, name, suffix);
}

static void add(struct rot *r, unsigned seed)
{
    struct rot_record *n = &r->records[r->record_count++];
    struct error err = { 0 };
    char unit[460]; /* long, so that few records fill a segment */

    (void)snprintf(unit, sizeof unit, "study:%0450u", seed % 3);
    *n = (struct rot_record){ .seed = seed, .len = SIZE_MAX };
    if (seed < 60)
        n->len = seed == 8 ? 2600000 : lengths[seed % COUNT_OF(lengths)];
    if (r->record_count > ROT_RECORDS_MAX
        || !test_append(r->store, RECORD_DICOM, unit, seed, n->len, &n->position, &err)) {
        print_error("append: %s\n", err.text);
        abort();
    }
}

/* The first large body's file. */
static void find_large(struct rot *r, char out[80])
{
    char path[300];
    struct dirent *e;
    DIR *d;

    path_of(r->dir, "body/large", "", path);
    d = opendir(path);
    while ((e = readdir(d)) != NULL)
        if (strlen(e->d_name) == 37)
            (void)snprintf(out, 80, "body/large/%.40s", e->d_name);
    closedir(d);
}

void rot_make(struct rot *r)
{
    struct store_options o = test_options();

    memset(r, 0, sizeof *r);
    r->tuning = TUNING_DEFAULT;
    r->files_failing = file_ops_system;
    r->files_failing.open = failing_open;
    r->files_failing.pwrite = failing_pwrite;
    r->files_failing.fdatasync = failing_fdatasync;
    r->files_failing.rename = failing_rename;
    r->files_failing.sync_dir = failing_sync_dir;
    r->tuning.files = &r->files_failing;
    r->tuning.files_context = r;
    r->tuning.segment_bytes = 1200u << 10;
    r->tuning.body_file_bytes = 2500u << 10;
    test_dir(r->dir);
    o.tuning = &r->tuning;
    if (!store_create(r->dir, &o, NULL))
        abort();
    open_store(r);
    for (unsigned seed = 0; seed < 1900; seed++) {
        add(r, seed);
        if (seed % 50 == 49 && test_wait(r->store, 50) != 50)
            abort();
    }
    rot_reopen(r); /* confirmed, large bodies named */
    (void)snprintf(r->files[0], sizeof r->files[0], "log/00000000.seg");
    (void)snprintf(r->files[1], sizeof r->files[1], "body/images/202611-00000001.body");
    find_large(r, r->files[2]);
    for (size_t f = 0; f < ROT_FILES; f++) {
        struct writer w = writer_new(64u << 20);
        char path[300];

        path_of(r->dir, r->files[f], "", path);
        if (!file_slurp(path, &w, NULL))
            abort();
        r->made[f] = w.ptr;
        r->made_len[f] = w.len;
    }
}

void rot_done(struct rot *r)
{
    store_close(r->store);
    for (size_t f = 0; f < ROT_FILES; f++)
        free(r->made[f]);
    test_remove(r->dir);
    if (r->copy_dir[0] != '\0')
        test_remove(r->copy_dir);
}

void rot_reopen(struct rot *r)
{
    store_close(r->store);
    open_store(r);
}

bool rot_repair(struct rot *r, const char *copy)
{
    struct error err = { 0 };
    bool ok = store_repair(r->store, copy, ignore, NULL, &r->done, &err);

    if (!ok)
        print_error("repair: %s\n", err.text);
    return ok;
}

static void keep(void *context, const char *text)
{
    struct rot *r = context;

    r->named += strncmp(text, "record ", 7) == 0 ? 1 : 0;
    if (r->said_len + strlen(text) + 2 < sizeof r->said)
        r->said_len += (size_t)snprintf(r->said + r->said_len, sizeof r->said - r->said_len, "%s\n", text);
}

uint64_t rot_verify(struct rot *r)
{
    struct error err = { 0 };
    uint64_t findings = 0;

    r->said[0] = '\0';
    r->said_len = 0;
    r->named = 0;
    if (!store_verify(r->store, keep, r, &findings, &err)) {
        print_error("verify: %s\n", err.text);
        abort();
    }
    return findings;
}

uint64_t rot_all_serve(struct rot *r)
{
    uint64_t damaged = 0;

    for (size_t i = 0; i < r->record_count; i++) {
        const struct rot_record *n = &r->records[i];
        struct error err = { 0 };

        if (n->len == SIZE_MAX && i >= 60 && i % 17 != 0)
            continue; /* enough of these */
        if (test_same(r->store, n->position, n->seed, n->len, &err))
            continue;
        if (err.code != ERR_DAMAGED) {
            print_error("record %llu: other bytes, or %s\n", (unsigned long long)n->position, err.text);
            abort();
        }
        damaged++;
    }
    return damaged;
}

static size_t file_of(const struct rot *r, const char *name)
{
    for (size_t f = 0; f < ROT_FILES; f++)
        if (strcmp(r->files[f], name) == 0)
            return f;
    abort();
}

bool rot_is_as_made(struct rot *r, const char *name)
{
    struct writer w = writer_new(64u << 20);
    size_t f = file_of(r, name);
    char path[300];
    bool same;

    path_of(r->dir, name, "", path);
    same = file_slurp(path, &w, NULL) && w.len == r->made_len[f] && memcmp(w.ptr, r->made[f], w.len) == 0;
    writer_done(&w);
    return same;
}

bool rot_reseal(struct rot *r, const char *name)
{
    rot_drop(r, name, ".seal");
    rot_drop(r, "scrub", "");
    rot_reopen(r);
    return rot_repair(r, NULL);
}

bool rot_exists(struct rot *r, const char *name, const char *suffix)
{
    char path[300];

    path_of(r->dir, name, suffix, path);
    return access(path, F_OK) == 0;
}

uint64_t rot_size_of(struct rot *r, const char *name, const char *suffix)
{
    char path[300];
    struct stat st = { 0 };

    path_of(r->dir, name, suffix, path);
    if (stat(path, &st) != 0)
        abort();
    return (uint64_t)st.st_size;
}

uint64_t rot_size(struct rot *r, const char *name)
{
    return rot_size_of(r, name, "");
}

/* ---- doing harm ---- */

static int open_file(const char *dir, const char *name, const char *suffix)
{
    char path[300];
    int fd;

    path_of(dir, name, suffix, path);
    fd = open(path, O_RDWR);
    if (fd < 0)
        abort();
    return fd;
}

static void destroy(const char *dir, const char *name, const char *suffix, unsigned per_cent)
{
    int fd = open_file(dir, name, suffix);
    uint64_t size = (uint64_t)lseek(fd, 0, SEEK_END), done = 0;
    uint8_t bytes[SECTOR_BYTES];

    for (uint64_t at = 0; at < size; at += SECTOR_BYTES) {
        size_t n = size - at < SECTOR_BYTES ? (size_t)(size - at) : SECTOR_BYTES;

        if ((unsigned)random() % 100 >= per_cent && !(done == 0 && at + SECTOR_BYTES >= size))
            continue;
        done++;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)random();
        if (pwrite(fd, bytes, n, (off_t)at) != (ssize_t)n)
            abort();
    }
    close(fd);
}

void rot_destroy(struct rot *r, const char *name, const char *suffix, unsigned per_cent)
{
    destroy(r->dir, name, suffix, per_cent);
}

void rot_zero_of(struct rot *r, const char *name, const char *suffix, uint64_t from, uint64_t len)
{
    static const uint8_t zeros[SECTOR_BYTES];
    int fd = open_file(r->dir, name, suffix);
    uint64_t size = (uint64_t)lseek(fd, 0, SEEK_END);

    for (uint64_t at = from; at < from + len && at < size; at += SECTOR_BYTES) {
        uint64_t end = from + len < size ? from + len : size;
        size_t n = end - at < SECTOR_BYTES ? (size_t)(end - at) : SECTOR_BYTES;

        if (pwrite(fd, zeros, n, (off_t)at) != (ssize_t)n)
            abort();
    }
    close(fd);
}

void rot_zero(struct rot *r, const char *name, uint64_t from, uint64_t len)
{
    rot_zero_of(r, name, "", from, len);
}

void rot_flip(struct rot *r, const char *name, const char *suffix, uint64_t at)
{
    int fd = open_file(r->dir, name, suffix);
    uint8_t b;

    if (pread(fd, &b, 1, (off_t)at) != 1)
        abort();
    b ^= (uint8_t)(1u << (random() % 8));
    if (pwrite(fd, &b, 1, (off_t)at) != 1)
        abort();
    close(fd);
}

void rot_cut(struct rot *r, const char *name, const char *suffix, uint64_t len)
{
    int fd = open_file(r->dir, name, suffix);

    if (ftruncate(fd, (off_t)len) != 0)
        abort();
    close(fd);
}

void rot_append(struct rot *r, const char *name, size_t len)
{
    int fd = open_file(r->dir, name, "");
    uint8_t bytes[1000] = { 1 };

    if (len > sizeof bytes || pwrite(fd, bytes, len, lseek(fd, 0, SEEK_END)) != (ssize_t)len)
        abort();
    close(fd);
}

void rot_drop(struct rot *r, const char *name, const char *suffix)
{
    char path[300];

    path_of(r->dir, name, suffix, path);
    (void)unlink(path);
}

void rot_restore(struct rot *r, const char *name)
{
    size_t f = file_of(r, name);
    int fd = open_file(r->dir, name, "");

    if (ftruncate(fd, (off_t)r->made_len[f]) != 0
        || pwrite(fd, r->made[f], r->made_len[f], 0) != (ssize_t)r->made_len[f])
        abort();
    close(fd);
}

static uint64_t u64_at(int fd, off_t at)
{
    uint8_t b[8];
    uint64_t v = 0;

    if (pread(fd, b, sizeof b, at) != (ssize_t)sizeof b)
        abort();
    for (int i = 7; i >= 0; i--)
        v = v << 8 | b[i];
    return v;
}

uint64_t rot_blocks(struct rot *r, const char *name)
{
    int fd = open_file(r->dir, name, ".seal");
    uint64_t tables = u64_at(fd, 160); /* docs/format.md, "Seals" */

    close(fd);
    return (tables + 507) / 508;
}

static void put_u32(uint8_t *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(v >> (8 * i));
}

void rot_forge(struct rot *r, const char *name, uint64_t sector)
{
    int fd = open_file(r->dir, name, ""), seal = open_file(r->dir, name, ".seal");
    uint64_t size = (uint64_t)lseek(seal, 0, SEEK_END), blocks = rot_blocks(r, name);
    uint64_t in_tables = 32 + 4 * sector, block = in_tables / 508;
    uint8_t bytes[SECTOR_BYTES], tables[SECTOR_BYTES];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    if (pwrite(fd, bytes, sizeof bytes, (off_t)(sector * SECTOR_BYTES)) != (ssize_t)sizeof bytes)
        abort();
    for (int copy = 0; copy < 2; copy++) {
        off_t at = (off_t)(copy == 0 ? 512 * (1 + block) : size - 512 * (1 + blocks - block));

        if (pread(seal, tables, sizeof tables, at) != (ssize_t)sizeof tables)
            abort();
        put_u32(tables + in_tables % 508, crc32c(span_of(bytes, sizeof bytes)));
        put_u32(tables + 508, crc32c(span_of(tables, 508)));
        if (pwrite(seal, tables, sizeof tables, at) != (ssize_t)sizeof tables)
            abort();
    }
    close(fd);
    close(seal);
}

/* ---- the copy ---- */

void rot_copy(struct rot *r)
{
    char from[300];

    if (r->copy_dir[0] == '\0')
        test_dir(r->copy_dir);
    (void)snprintf(r->copy, sizeof r->copy, "%.60s/vault", r->copy_dir);
    test_remove(r->copy);
    (void)snprintf(from, sizeof from, "%.60s/vault", r->dir);
    test_copy(from, r->copy);
}

void rot_copy_destroy(struct rot *r, const char *name, unsigned per_cent)
{
    destroy(r->copy_dir, name, "", per_cent);
}
