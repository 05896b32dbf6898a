/*
 * The views' n-th write, sync, truncate, open or allocation fails, for n = 1, 2, 3 … until none does: whatever became of
 * them, the next opening has views that say what the log says. And a disk without space is answered from what there is.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/file.h"
#include "vault_fixture.h"

/* ---- file calls, and SQLite's memory ---- */

enum fault_call { FAULT_WRITE, FAULT_SYNC, FAULT_TRUNCATE, FAULT_OPEN, FAULT_RENAME, FAULT_MEMORY };

static struct {
    _Atomic long countdown; /* the call that fails; below 0: none any more */
    _Atomic long lasting;   /* how many fail from there on */
    _Atomic int call, error;
} fault = { .countdown = LONG_MAX / 2 };

static bool fails(enum fault_call call)
{
    long n;

    if ((int)call != atomic_load(&fault.call))
        return false;
    n = atomic_fetch_sub(&fault.countdown, 1);
    if (n > 0 || n <= -atomic_load(&fault.lasting))
        return false;
    errno = atomic_load(&fault.error);
    return true;
}

static int fault_open(void *c, const char *path, int flags)
{
    return fails(FAULT_OPEN) ? -1 : file_ops_system.open(c, path, flags);
}

static ssize_t fault_pwrite(void *c, int fd, const void *bytes, size_t len, off_t offset)
{
    return fails(FAULT_WRITE) ? -1 : file_ops_system.pwrite(c, fd, bytes, len, offset);
}

static int fault_fdatasync(void *c, int fd)
{
    return fails(FAULT_SYNC) ? -1 : file_ops_system.fdatasync(c, fd);
}

static int fault_sync_dir(void *c, const char *path)
{
    return fails(FAULT_SYNC) ? -1 : file_ops_system.sync_dir(c, path);
}

static int fault_ftruncate(void *c, int fd, off_t len)
{
    return fails(FAULT_TRUNCATE) ? -1 : file_ops_system.ftruncate(c, fd, len);
}

static int fault_rename(void *c, const char *from, const char *to)
{
    return fails(FAULT_RENAME) ? -1 : file_ops_system.rename(c, from, to);
}

static sqlite3_mem_methods memory;

static void *fault_malloc(int n)
{
    return fails(FAULT_MEMORY) ? NULL : memory.xMalloc(n);
}

static void *fault_realloc(void *p, int n)
{
    return fails(FAULT_MEMORY) ? NULL : memory.xRealloc(p, n);
}

/* Once: SQLite takes other memory only before it begins. */
static void take_over(void)
{
    static bool done;
    sqlite3_mem_methods ours;

    if (done)
        return;
    done = true;
    (void)sqlite3_shutdown();
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory), SQLITE_OK);
    ours = memory;
    ours.xMalloc = fault_malloc;
    ours.xRealloc = fault_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
    assert_int_equal(sqlite3_initialize(), SQLITE_OK);
}

static bool open_now(struct fixture *f)
{
    f->vault = vault_open(f->dir, &f->options, &f->err);
    f->reader = f->vault != NULL ? vault_reader_new(f->vault, &f->err) : NULL;
    return f->reader != NULL;
}

/* The views of f lie on a disk that can fail. */
static void fixture_on_faults(struct fixture *f)
{
    static struct file_ops ops;

    ops = file_ops_system;
    ops.open = fault_open;
    ops.pwrite = fault_pwrite;
    ops.fdatasync = fault_fdatasync;
    ops.sync_dir = fault_sync_dir;
    ops.ftruncate = fault_ftruncate;
    ops.rename = fault_rename;
    fixture_init(f);
    fixture_close(f);
    fake_store_files(f->dir, &ops);
    if (!open_now(f))
        fail_msg("%s", f->err.text);
}

static void arm(enum fault_call call, int error, long n, long lasting)
{
    atomic_store(&fault.call, call);
    atomic_store(&fault.error, error);
    atomic_store(&fault.lasting, lasting);
    atomic_store(&fault.countdown, n);
}

/* Whether the armed call was reached. */
static bool disarm(void)
{
    return atomic_exchange(&fault.countdown, LONG_MAX / 2) < 0;
}

/* ---- the same work every time ---- */

static void put_some(struct store *s, unsigned from, unsigned count)
{
    char facts[400];

    for (unsigned i = from; i < from + count; i++) {
        (void)snprintf(facts, sizeof facts,
                       i % 4 == 3 ? "source=LIS;message_type=ORU;patient_id=P%u;issuer=H;report{filler_order=F%u;"
                                    "observation{code=K;value=%u;status=F}}"
                                  : "source=CT1;state=stored;patient_id=P%u;issuer=H;patient_name=N^M;study_uid=1.2;"
                                    "series_uid=1.2.3;sop_uid=1.9.%u;modality=CT;instance_number=%u",
                       i % 7, i, i);
        (void)fake_store_put(s, i % 4 == 3 ? RECORD_HL7 : RECORD_DICOM, 1700000000000000 + i, fields_of(facts));
    }
}

static bool dump(struct fixture *f, struct writer *out)
{
    char path[96];
    int fd;
    bool ok;

    (void)snprintf(path, sizeof path, "%s/dump", f->dir);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    writer_reset(out);
    ok = fd >= 0 && vault_dump(f->reader, fd, &f->err) && file_slurp(path, out, &f->err);
    (void)close(fd);
    return ok;
}

/* No view is left but the current one: what could not be finished does not stay to fill the disk. */
static unsigned files_of_views(const struct fixture *f)
{
    char path[96];
    unsigned count = 0;
    DIR *d;

    (void)snprintf(path, sizeof path, "%s/vault/views", f->dir);
    d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        count += strstr(e->d_name, ".db") != NULL && strstr(e->d_name, "-wal") == NULL;
    if (d != NULL)
        (void)closedir(d);
    return count;
}

#define RECORDS 120
#define MORE    30

/* One opening with a fault: views that are made (from nothing), or that catch up. False where it was not reached. */
static bool one_fault(void **state_, enum fault_call call, int error, long n, bool made)
{
    struct writer want = writer_new(1 << 24), got = writer_new(1 << 24);
    struct fixture f;
    struct store *s;
    bool reached;

    fixture_on_faults(&f);
    s = vault_store(f.vault);
    put_some(s, 0, RECORDS);
    fixture_reopen(&f);
    fixture_close(&f);
    put_some(s, RECORDS, MORE); /* nobody folds them before the fault is there */
    if (made) {
        char current[96];

        (void)snprintf(current, sizeof current, "%s/vault/views/current", f.dir);
        (void)unlink(current);
    }
    arm(call, error, n, 1);
    (void)open_now(&f);
    fixture_close(&f);
    reached = disarm();
    CHECK_ROW(f.err.text, open_now(&f));
    CHECK_ROW(f.err.text, dump(&f, &got));
    fixture_close(&f);
    CHECK(files_of_views(&f) == 1);
    CHECK_ROW(f.err.text, vault_rebuild(f.dir, &f.options, &f.err) && open_now(&f) && dump(&f, &want));
    CHECK(got.len == want.len && memcmp(got.ptr, want.ptr, want.len) == 0);
    fixture_done(&f);
    writer_done(&want);
    writer_done(&got);
    return reached;
}

TEST(the_nth_call_of_the_views_may_fail)
{
    static const struct {
        const char *name;
        enum fault_call call;
        int error;
    } rows[] = {
        { "write, no space", FAULT_WRITE, ENOSPC }, { "write, i/o error", FAULT_WRITE, EIO },
        { "sync", FAULT_SYNC, EIO },                { "truncate", FAULT_TRUNCATE, EIO },
        { "open", FAULT_OPEN, ENOSPC },             { "rename", FAULT_RENAME, EIO },
        { "memory", FAULT_MEMORY, ENOMEM },
    };

    take_over();
    EACH(row, rows)
    {
        for (int made = 0; made < 2; made++) {
            long n = 0, tried = 0;

            /* Allocations are some thousand: the first ones, then fewer and fewer. */
            while (one_fault(state_, row->call, row->error, n, made != 0)) {
                n += row->call == FAULT_MEMORY ? 1 + n : 1 + n / 10;
                tried++;
            }
            print_message("# %s, views that %s: %ld calls failed in turn, up to number %ld\n", row->name,
                          made != 0 ? "are made" : "catch up", tried, n);
        }
    }
}

TEST(without_space_what_was_folded_is_answered_and_the_rest_follows)
{
    struct fixture f;
    struct store *s;
    size_t before;

    take_over();
    fixture_on_faults(&f);
    s = vault_store(f.vault);
    put_some(s, 0, RECORDS);
    fixture_reopen(&f);
    before = find_count(&f, "query=instances;series_uid=1.2.3;limit=1000");
    CHECK(before == RECORDS / 4 * 3);
    fixture_close(&f);
    put_some(s, RECORDS, MORE);
    arm(FAULT_WRITE, ENOSPC, 0, LONG_MAX / 4);
    CHECK_ROW(f.err.text, open_now(&f));
    CHECK(find_count(&f, "query=instances;series_uid=1.2.3;limit=1000") == before);
    CHECK(find_count(&f, "query=patients;patient_id=P1") == 1);
    (void)disarm();
    for (unsigned i = 0; i < 200 && find_count(&f, "query=instances;series_uid=1.2.3;limit=1000") == before; i++)
        (void)usleep(50000); /* the folding thread tries again every half second */
    CHECK(find_count(&f, "query=instances;series_uid=1.2.3;limit=1000") > before);
    fixture_done(&f);
}

TESTS(T(the_nth_call_of_the_views_may_fail), T(without_space_what_was_folded_is_answered_and_the_rest_follows))
