/*
 * A disk that fails to read while a store recovers: what cannot be read is no torn tail. Every read of a start is made to
 * fail in turn, and all that overlap it; the store then does not open, or opens with everything, and once the disk reads
 * again, everything is there and nothing was cut.
 */
#include <errno.h>
#include <stdlib.h>

#include "store_test.h"

/* ---- the linker hands us pread(2) first, as the C library names it ---- */

static struct {
    size_t seen, fail_at; /* reads; the one that fails, from 1; 0: none */
    bool failing;
    ino_t inode; /* … of that file, at that place */
    off_t at;
} reads;

ssize_t __real_pread64(int fd, void *out, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *out, size_t len, off_t offset);
ssize_t __wrap___pread64_chk(int fd, void *out, size_t len, off_t offset, size_t room);

ssize_t __wrap_pread64(int fd, void *out, size_t len, off_t offset)
{
    struct stat st;

    reads.seen++;
    if (fstat(fd, &st) != 0)
        abort();
    if (reads.seen == reads.fail_at) {
        reads.failing = true;
        reads.inode = st.st_ino;
        reads.at = offset + (off_t)(len / 2);
    }
    if (reads.failing && st.st_ino == reads.inode && offset <= reads.at && offset + (off_t)len > reads.at) {
        errno = EIO;
        return -1;
    }
    return __real_pread64(fd, out, len, offset);
}

ssize_t __wrap___pread64_chk(int fd, void *out, size_t len, off_t offset, size_t room)
{
    return len <= room ? __wrap_pread64(fd, out, len, offset) : (abort(), -1);
}

static void reads_fail_at(size_t n)
{
    memset(&reads, 0, sizeof reads);
    reads.fail_at = n;
}

/* ---- a store that was killed ---- */

static const size_t lengths[] = { 300, SIZE_MAX, 70000, 0, SIZE_MAX, 1000, 200000, SIZE_MAX, 500 };
#define RECORDS (COUNT_OF(lengths) * 2)

static const struct tuning tuning = { .files = &file_ops_system,
                                      .segment_bytes = 3000,
                                      .body_file_bytes = 300000,
                                      .confirm_entries = 100,
                                      .no_idle_confirm = true };

static struct store *open_it(const char *dir, bool read_only, struct error *err)
{
    struct store_options o = test_options();

    o.tuning = &tuning;
    o.read_only = read_only;
    return store_open(dir, &o, err);
}

static void copy(const char *from, const char *to)
{
    char command[300];

    (void)snprintf(command, sizeof command, "rm -rf %s/vault && cp -a %s/vault %s/", to, from, to);
    assert_int_equal(system(command), 0);
}

static void must(const struct error *err, bool held)
{
    if (!held)
        print_error("%s\n", err->text);
    assert_true(held);
}

/* to/vault: acknowledged records in three commits, of which no confirm file knows. */
static void make_killed(const char *to)
{
    struct store_options o = test_options();
    struct error err = { 0 };
    char dir[TEST_DIR_SIZE];
    struct store *s;
    uint64_t at;

    test_dir(dir);
    must(&err, store_create(dir, &o, &err));
    s = open_it(dir, false, &err);
    must(&err, s != NULL);
    for (size_t i = 0; i < RECORDS; i++) {
        must(&err, test_append(s, i % 3 == 0 ? RECORD_DICOM : RECORD_HL7, "unit:1", (unsigned)i,
                                  lengths[i % COUNT_OF(lengths)], &at, &err));
        if (i % 6 == 5)
            assert_int_equal(test_wait(s, 6), 6);
    }
    copy(dir, to);
    store_close(s);
    test_remove(dir);
}

static bool all_are_there(struct store *s, struct error *err)
{
    if (store_committed_size(s) < RECORDS) /* a start may tell of damage behind them */
        return error_set(err, ERR_DAMAGED, "the log holds %llu records", (unsigned long long)store_committed_size(s));
    for (size_t i = 0; i < RECORDS; i++)
        if (!test_same(s, i, (unsigned)i, lengths[i % COUNT_OF(lengths)], err))
            return false;
    return true;
}

/* How many opened in spite of it, and how many did not. */
struct count {
    size_t opened, refused;
};

/* Its directory is empty, and gone behind this. */
static bool nothing_is_cut(const char *dir)
{
    char path[100];

    (void)snprintf(path, sizeof path, "%s/vault/cut", dir);
    return rmdir(path) == 0;
}

static void try_read(const char *killed, const char *dir, size_t n, struct count *count)
{
    struct error err = { 0 };
    struct store *s;

    copy(killed, dir);
    reads_fail_at(n);
    s = open_it(dir, false, &err);
    reads_fail_at(0);
    if (s != NULL)
        count->opened++;
    else
        count->refused++;
    store_close(s);
    err = (struct error){ 0 };
    s = open_it(dir, false, &err);
    must(&err, s != NULL);
    if (!nothing_is_cut(dir))
        (void)error_set(&err, ERR_DAMAGED, "something was cut");
    if (err.code != ERR_NONE || !all_are_there(s, &err)) {
        print_error("read %zu failed: %s\n", n, err.text);
        assert_true(false);
    }
    store_close(s);
}

TEST(a_read_error_is_no_torn_tail)
{
    char killed[TEST_DIR_SIZE], dir[TEST_DIR_SIZE];
    struct count count = { 0 };
    struct error err = { 0 };
    struct store *s;
    size_t all;

    test_dir(killed);
    test_dir(dir);
    make_killed(killed);
    copy(killed, dir);
    reads_fail_at(0);
    s = open_it(dir, false, &err);
    all = reads.seen;
    CHECK_OK(err, s != NULL && all_are_there(s, &err));
    store_close(s);
    for (size_t n = 1; n <= all; n++)
        try_read(killed, dir, n, &count);
    print_message("# %zu reads: %zu opened, %zu refused\n", all, count.opened, count.refused);
    CHECK(count.refused > 2);
    test_remove(dir);
    test_remove(killed);
}

/* … and where nothing is cut, the log is shorter, and that is said. */
TEST(a_store_that_is_only_read_opens)
{
    char dir[TEST_DIR_SIZE];
    struct error err = { 0 };
    struct store *s;
    size_t all;

    test_dir(dir);
    make_killed(dir);
    reads_fail_at(0);
    s = open_it(dir, true, &err);
    all = reads.seen;
    CHECK_OK(err, s != NULL && all_are_there(s, &err));
    store_close(s);
    for (size_t n = 1; n <= all; n++) {
        reads_fail_at(n);
        s = open_it(dir, true, &err);
        reads_fail_at(0);
        if (s == NULL)
            CHECK(err.code == ERR_IO || err.code == ERR_DAMAGED);
        store_close(s);
    }
    s = open_it(dir, true, &err);
    CHECK_OK(err, s != NULL && all_are_there(s, &err));
    store_close(s);
    test_remove(dir);
}

TESTS(T(a_read_error_is_no_torn_tail), T(a_store_that_is_only_read_opens))
