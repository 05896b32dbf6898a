/*
 * The encrypting VFS under real SQLite: nothing readable on disk at any moment, no file but database and WAL, damage
 * noticed, torn WALs cut.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"
#include "base/file.h"
#include "vault/views.h"

static const uint8_t key[PAGE_KEY_BYTES] = { 1, 2, 3 };

/* ---- a directory ---- */

struct place {
    char dir[64], vault[80], views[96];
    struct disk disk;
};

static struct place place_new(void)
{
    struct place p = { .dir = "/tmp/fanal-vfs-XXXXXX" };

    if (mkdtemp(p.dir) == NULL)
        abort();
    (void)snprintf(p.vault, sizeof p.vault, "%s/vault", p.dir);
    (void)snprintf(p.views, sizeof p.views, "%s/views", p.vault);
    if (mkdir(p.vault, 0700) != 0)
        abort();
    p.disk.ops = &file_ops_system;
    (void)snprintf(p.disk.root, sizeof p.disk.root, "%s", p.vault);
    return p;
}

/* Calls visit() with the whole of each file; returns how many there are. */
static size_t each_file(const char *dir, void (*visit)(const char *path, struct span bytes, void *context),
                        void *context)
{
    DIR *d = opendir(dir);
    size_t count = 0;

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        struct writer w = writer_new((size_t)1 << 28);
        struct error err;
        char path[512];

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (!file_slurp(path, &w, &err))
            abort();
        visit(path, writer_span(&w), context);
        writer_done(&w);
        count++;
    }
    if (d != NULL)
        (void)closedir(d);
    return count;
}

static void remove_file(const char *path, struct span bytes, void *context)
{
    (void)bytes;
    (void)context;
    (void)unlink(path);
}

static void place_done(struct place *p)
{
    (void)each_file(p->views, remove_file, NULL);
    (void)rmdir(p->views);
    (void)rmdir(p->vault);
    (void)rmdir(p->dir);
}

/* ---- what must not be there ---- */

#define SECRET "DUPONT^Jean-Baptiste"

static void look_for(const char *path, struct span bytes, void *context)
{
    static const char *const words[] = { SECRET, "dupont", "SQLite format", "patient_value", "CREATE TABLE" };
    size_t *found = context;

    for (size_t i = 0; i < COUNT_OF(words) && bytes.ptr != NULL; i++) {
        const size_t len = strlen(words[i]);
        uint8_t wide[2][128];

        for (size_t k = 0; k < len; k++) {
            wide[0][2 * k] = wide[1][2 * k + 1] = (uint8_t)words[i][k];
            wide[0][2 * k + 1] = wide[1][2 * k] = 0;
        }
        if (memmem(bytes.ptr, bytes.len, words[i], len) != NULL
            || memmem(bytes.ptr, bytes.len, wide[0], 2 * len) != NULL
            || memmem(bytes.ptr, bytes.len, wide[1], 2 * len) != NULL) {
            print_error("%s holds \"%s\"\n", path, words[i]);
            ++*found;
        }
    }
    if (strstr(path, "journal") != NULL || strstr(path, "shm") != NULL) {
        print_error("%s should not be there\n", path);
        ++*found;
    }
}

static size_t leaks(const struct place *p)
{
    size_t found = 0;

    (void)each_file(p->views, look_for, &found);
    return found;
}

static bool run(sqlite3 *db, const char *text)
{
    char *why = NULL;
    int rc = sqlite3_exec(db, text, NULL, NULL, &why);

    if (rc != SQLITE_OK)
        print_message("# %s: %s (%d)\n", text, why != NULL ? why : "", sqlite3_extended_errcode(db));
    sqlite3_free(why);
    return rc == SQLITE_OK;
}

static int64_t number(sqlite3 *db, const char *text)
{
    sqlite3_stmt *st = NULL;
    int64_t n = -1;

    if (sqlite3_prepare_v2(db, text, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    (void)sqlite3_finalize(st);
    return n;
}

#define FILL(n)                                                                                             \
    "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < " #n ") INSERT INTO event" \
    " (position, received, facts) SELECT i + (SELECT coalesce(max(position), 0) FROM event), i,"           \
    " CAST('" SECRET "' || i || hex(randomblob(300)) AS BLOB) FROM n"

static struct views *new_views(const struct place *p)
{
    struct error err;
    struct views *v = views_create(&p->disk, key, 0, &err);

    if (v == NULL || !views_publish(v, &err)) {
        print_error("%s\n", err.text);
        abort();
    }
    return v;
}

/* ---- tests ---- */

TEST(nothing_readable_reaches_the_disk)
{
    struct place p = place_new();
    struct views *v = new_views(&p);
    struct error err;

    CHECK(run(views_writer(v), FILL(500)));
    CHECK(leaks(&p) == 0);
    CHECK(run(views_writer(v), "BEGIN") && run(views_writer(v), FILL(5000)));
    CHECK(run(views_writer(v), "SAVEPOINT a") && run(views_writer(v), "DELETE FROM event WHERE position % 3 = 0"));
    CHECK(run(views_writer(v), "ROLLBACK TO a") && leaks(&p) == 0);
    CHECK(run(views_writer(v), "COMMIT") && run(views_writer(v), "PRAGMA wal_checkpoint(TRUNCATE)"));
    CHECK(leaks(&p) == 0);
    CHECK(run(views_writer(v), "CREATE TEMP TABLE t AS SELECT * FROM event ORDER BY facts") && leaks(&p) == 0);
    CHECK(number(views_writer(v), "SELECT count(*) FROM event") == 5500);
    CHECK(number(views_writer(v), "PRAGMA page_size") == 4096);
    views_close(v);
    v = views_open(&p.disk, key, &err);
    CHECK(v != NULL && number(views_writer(v), "SELECT count(*) FROM event") == 5500);
    CHECK(number(views_writer(v), "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1);
    views_close(v);
    place_done(&p);
}

TEST(readers_see_commits_and_nothing_else)
{
    struct place p = place_new();
    struct views *v = new_views(&p);
    struct error err;
    sqlite3 *a = views_reader(v, &err), *b = views_reader(v, &err);

    CHECK(a != NULL && b != NULL);
    CHECK(run(a, "BEGIN") && number(a, "SELECT count(*) FROM event") == 0);
    CHECK(run(views_writer(v), "BEGIN") && run(views_writer(v), FILL(3000)));
    CHECK(number(b, "SELECT count(*) FROM event") == 0);
    CHECK(run(views_writer(v), "COMMIT"));
    CHECK(number(b, "SELECT count(*) FROM event") == 3000);
    CHECK(number(a, "SELECT count(*) FROM event") == 0); /* its snapshot stands */
    CHECK(run(views_writer(v), "PRAGMA wal_checkpoint(PASSIVE)"));
    CHECK(number(a, "SELECT count(*) FROM event") == 0 && run(a, "COMMIT"));
    CHECK(number(a, "SELECT count(*) FROM event") == 3000);
    CHECK(sqlite3_exec(a, "DELETE FROM event", NULL, NULL, NULL) == SQLITE_READONLY);
    (void)sqlite3_close(a);
    (void)sqlite3_close(b);
    views_close(v);
    place_done(&p);
}

TEST(pages_that_are_freed_and_used_again_read_back)
{
    struct place p = place_new();
    struct views *v = new_views(&p);

    for (int i = 0; i < 6; i++) {
        CHECK(run(views_writer(v), FILL(4000)));
        CHECK(run(views_writer(v), "DELETE FROM event WHERE position % 7 <> 0"));
        CHECK(run(views_writer(v), "PRAGMA wal_checkpoint(TRUNCATE)"));
    }
    CHECK(number(views_writer(v), "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'") == 1);
    views_close(v);
    place_done(&p);
}

TEST(another_key_opens_nothing)
{
    static const uint8_t other[PAGE_KEY_BYTES] = { 9 };
    struct place p = place_new();
    struct error err = { .code = ERR_NONE };

    views_close(new_views(&p));
    CHECK(views_open(&p.disk, other, &err) == NULL && err.code == ERR_DAMAGED);
    place_done(&p);
}

struct flip {
    const char *suffix;
    size_t at; /* SIZE_MAX: in the middle */
    bool cut;  /* truncate there instead */
};

static void flip_byte(const char *path, struct span bytes, void *context)
{
    const struct flip *f = context;
    size_t at = f->at == SIZE_MAX ? bytes.len / 2 : f->at;
    const size_t len = strlen(path), suffix = strlen(f->suffix);
    uint8_t b;
    int fd;

    if (len < suffix || strcmp(path + len - suffix, f->suffix) != 0 || at >= bytes.len)
        return;
    fd = open(path, O_RDWR);
    b = bytes.ptr[at] ^ 0x40;
    if (fd < 0 || (f->cut ? ftruncate(fd, (off_t)at) != 0 : pwrite(fd, &b, 1, (off_t)at) != 1))
        abort();
    (void)close(fd);
}

/* A child fills the views and is killed without closing them: the WAL stays. */
static void crash_after_filling(const struct place *p, bool in_transaction)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct views *v = new_views(p);
        bool ok = run(views_writer(v), "PRAGMA wal_autocheckpoint = 0") && run(views_writer(v), FILL(100))
                  && run(views_writer(v), FILL(100));

        if (in_transaction) /* more than the cache holds, so that uncommitted pages are in the WAL */
            ok = ok && run(views_writer(v), "PRAGMA cache_size = 10") && run(views_writer(v), "BEGIN")
                 && run(views_writer(v), FILL(3000));
        (void)kill(getpid(), ok ? SIGKILL : SIGABRT);
    }
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        abort();
}

TEST(a_crash_leaves_ciphertext_and_the_last_commit)
{
    struct place p = place_new();
    struct error err;
    struct views *v;

    crash_after_filling(&p, true);
    CHECK(leaks(&p) == 0);
    v = views_open(&p.disk, key, &err);
    CHECK(v != NULL && number(views_writer(v), "SELECT count(*) FROM event") == 200);
    CHECK(leaks(&p) == 0);
    views_close(v);
    place_done(&p);
}

TEST(a_damaged_wal_ends_where_it_is_damaged)
{
    static const struct {
        const char *name;
        struct flip flip;
        int64_t least, most; /* rows */
    } rows[] = {
        { "header", { "-wal", 5, false }, 0, 0 },
        { "header's tag", { "-wal", 50, false }, 0, 0 },
        { "first frame's header", { "-wal", 62, false }, 0, 0 },
        { "a page in the middle", { "-wal", SIZE_MAX, false }, 100, 200 },
        { "cut in the middle", { "-wal", SIZE_MAX, true }, 100, 200 },
        { "cut in the header", { "-wal", 20, true }, 0, 0 },
    };

    EACH (row, rows) {
        struct place p = place_new();
        struct flip flip = row->flip;
        struct error err;
        struct views *v;
        int64_t count;

        crash_after_filling(&p, false);
        (void)each_file(p.views, flip_byte, &flip);
        v = views_open(&p.disk, key, &err);
        CHECK_ROW(row->name, v != NULL);
        count = number(views_writer(v), "SELECT count(*) FROM event");
        CHECK_ROW(row->name, count >= row->least && count <= row->most && count % 100 == 0);
        views_close(v);
        place_done(&p);
    }
}

TEST(a_damaged_page_is_an_error)
{
    static const struct flip flips[] = { { ".db", 3 * PAGE_BYTES + 100, false },
                                         { ".db", 3 * PAGE_BYTES + PAGE_BYTES - 30, false } };

    EACH (flip, flips) {
        struct place p = place_new();
        struct views *v = new_views(&p);
        struct error err;

        CHECK(run(views_writer(v), FILL(2000)));
        views_close(v);
        (void)each_file(p.views, flip_byte, (void *)(uintptr_t)flip);
        v = views_open(&p.disk, key, &err);
        CHECK(v == NULL || number(views_writer(v), "SELECT count(*) FROM pragma_integrity_check") == -1);
        views_close(v);
        place_done(&p);
    }
}

TEST(pages_cannot_change_places)
{
    struct place p = place_new();
    struct views *v = new_views(&p);
    uint8_t pages[2][PAGE_BYTES];
    struct error err;
    char path[256] = "";
    DIR *d = opendir(p.views);
    int fd;

    CHECK(run(views_writer(v), FILL(2000)));
    views_close(v);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (strstr(e->d_name, ".db") != NULL)
            (void)snprintf(path, sizeof path, "%s/%.60s", p.views, e->d_name);
    (void)closedir(d);
    fd = open(path, O_RDWR);
    CHECK(pread(fd, pages, sizeof pages, 40 * PAGE_BYTES) == sizeof pages);
    CHECK(pwrite(fd, pages[1], PAGE_BYTES, 40 * PAGE_BYTES) == PAGE_BYTES);
    CHECK(pwrite(fd, pages[0], PAGE_BYTES, 41 * PAGE_BYTES) == PAGE_BYTES);
    (void)close(fd);
    v = views_open(&p.disk, key, &err);
    CHECK(v != NULL && number(views_writer(v), "SELECT count(*) FROM pragma_integrity_check") == -1);
    views_close(v);
    place_done(&p);
}

/* In a child: a directory reached only by the working directory, as for a user who may not pass its parents. */
static int open_below(const struct place *p)
{
    const struct disk disk = { .ops = &file_ops_system, .root = "./vault" };
    struct error err;
    struct views *v;
    char closed[96];
    bool ok;

    (void)snprintf(closed, sizeof closed, "%s/closed", p->dir);
    ok = mkdir(closed, 0700) == 0 && chdir(closed) == 0 && mkdir("open", 0755) == 0 && chdir("open") == 0
         && mkdir("vault", 0700) == 0 && chown("vault", 65534, 65534) == 0 && setgid(65534) == 0 && setuid(65534) == 0
         && access(closed, X_OK) != 0;
    v = ok ? views_create(&disk, key, 0, &err) : NULL;
    ok = v != NULL && views_publish(v, &err) && run(views_writer(v), FILL(100));
    views_close(v);
    v = ok ? views_open(&disk, key, &err) : NULL;
    ok = v != NULL && number(views_writer(v), "SELECT count(*) FROM event") == 100;
    views_close(v);
    return ok ? 0 : 1;
}

TEST(views_open_where_only_the_working_directory_leads)
{
    struct place p = place_new();
    int status = 0;
    pid_t child;
    char path[128];

    if (getuid() != 0) {
        print_message("# SKIP: only root may become somebody else\n");
        place_done(&p);
        return;
    }
    child = fork();
    if (child == 0)
        _exit(open_below(&p));
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    (void)snprintf(path, sizeof path, "%s/closed/open/vault/views", p.dir);
    (void)each_file(path, remove_file, NULL);
    for (int i = 0; i < 4; i++) {
        (void)rmdir(path);
        *strrchr(path, '/') = '\0';
    }
    place_done(&p);
}

TESTS(T(nothing_readable_reaches_the_disk), T(readers_see_commits_and_nothing_else),
      T(pages_that_are_freed_and_used_again_read_back), T(another_key_opens_nothing),
      T(a_crash_leaves_ciphertext_and_the_last_commit), T(a_damaged_wal_ends_where_it_is_damaged),
      T(a_damaged_page_is_an_error), T(pages_cannot_change_places),
      T(views_open_where_only_the_working_directory_leads))
