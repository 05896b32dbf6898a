/*
 * The n-th call fails, for n = 1, 2, 3 … until none does: nothing acknowledged is lost, no space is survived, a failed
 * sync latches. Allocations too (the linker hands malloc, calloc and realloc to us first).
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "store_test.h"

enum fault_call { FAULT_OPEN, FAULT_WRITE, FAULT_SYNC, FAULT_RENAME, FAULT_SYNC_DIR, FAULT_TRUNCATE };

struct fault {
    _Atomic long countdown; /* the call that fails; below 0: none any more */
    enum fault_call call;
    int error;
    long lasting; /* how many fail from there on */
    _Atomic uint64_t free_bytes;
};

static bool fails(struct fault *f, enum fault_call call)
{
    long n;

    if (f->call != call)
        return false;
    n = atomic_fetch_sub(&f->countdown, 1);
    if (n > 0 || n <= -f->lasting)
        return false;
    errno = f->error;
    return true;
}

static int fault_open(void *c, const char *path, int flags)
{
    return fails(c, FAULT_OPEN) ? -1 : file_ops_system.open(NULL, path, flags);
}

static ssize_t fault_pwrite(void *c, int fd, const void *bytes, size_t len, off_t offset)
{
    if (fails(c, FAULT_WRITE)) {
        int error = errno;

        if (len > 200 && error == ENOSPC)
            (void)!pwrite(fd, bytes, len / 2, offset); /* some of it gets there */
        errno = error;
        return -1;
    }
    return pwrite(fd, bytes, len, offset);
}

static int fault_fdatasync(void *c, int fd)
{
    (void)fd;
    return fails(c, FAULT_SYNC) ? -1 : 0;
}

static int fault_ftruncate(void *c, int fd, off_t len)
{
    return fails(c, FAULT_TRUNCATE) ? -1 : ftruncate(fd, len);
}

static int fault_rename(void *c, const char *from, const char *to)
{
    return fails(c, FAULT_RENAME) ? -1 : rename(from, to);
}

static int fault_sync_dir(void *c, const char *path)
{
    (void)path;
    return fails(c, FAULT_SYNC_DIR) ? -1 : 0;
}

static int fault_free_bytes(void *c, const char *path, uint64_t *out)
{
    (void)path;
    *out = atomic_load(&((struct fault *)c)->free_bytes);
    return 0;
}

static int fault_unlink(void *c, const char *path)
{
    (void)c;
    return unlink(path);
}

static int fault_mkdir(void *c, const char *path)
{
    (void)c;
    return mkdir(path, 0700);
}

static int fault_close(void *c, int fd)
{
    (void)c;
    return close(fd);
}

static void fault_write_behind(void *c, int fd, off_t offset, off_t len)
{
    (void)c;
    (void)fd;
    (void)offset;
    (void)len;
}

static const struct file_ops fault_ops = {
    fault_open,  fault_pwrite,   fault_fdatasync, fault_ftruncate,    fault_rename,     fault_unlink,
    fault_mkdir, fault_sync_dir, fault_close,     fault_write_behind, fault_free_bytes,
};

/* ---- allocations ---- */

static _Atomic long allocation_countdown = LONG_MAX / 2;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t m);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t m);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);

static bool allocation_fails(void)
{
    return atomic_fetch_sub(&allocation_countdown, 1) == 0;
}

void *__wrap_malloc(size_t n)
{
    return allocation_fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t m)
{
    return allocation_fails() ? NULL : __real_calloc(n, m);
}

void *__wrap_realloc(void *p, size_t n)
{
    return allocation_fails() ? NULL : __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t alignment, size_t n)
{
    return allocation_fails() ? NULL : __real_aligned_alloc(alignment, n);
}

/* ---- the same work every time ---- */

#define WORK_RECORDS 8
#define WORK_MORE    140 /* units: the keyring grows */

static const size_t work_lengths[WORK_RECORDS] = { 300, SIZE_MAX, 70000, 2200000, 0, 5000, SIZE_MAX, 90000 };

struct worked {
    struct {
        uint64_t position;
        unsigned seed;
        size_t len;
    } kept[WORK_RECORDS + WORK_MORE];
    size_t kept_count;
    size_t refused;
    struct error last;
};

static void work_one(struct store *s, struct worked *w, unsigned i, const char *unit, size_t len)
{
    uint64_t position;
    enum record_kind kind = len == SIZE_MAX ? RECORD_EVENT : i % 2 == 0 ? RECORD_DICOM : RECORD_HL7;

    if (!test_append(s, kind, unit, i, len, &position, &w->last) || test_wait(s, 1) != 1) {
        w->refused++;
        return;
    }
    w->kept[w->kept_count].position = position;
    w->kept[w->kept_count].seed = i;
    w->kept[w->kept_count++].len = len;
}

static struct store *work(const char *dir, const struct store_options *o, struct worked *w, bool many)
{
    struct store *s = store_open(dir, o, &w->last);
    char unit[32];

    for (unsigned i = 0; s != NULL && i < WORK_RECORDS; i++) {
        snprintf(unit, sizeof unit, "study:%u", i);
        work_one(s, w, i, unit, work_lengths[i]);
    }
    for (unsigned i = 0; s != NULL && many && i < WORK_MORE; i++) {
        snprintf(unit, sizeof unit, "unit:%u", i);
        work_one(s, w, 100 + i, unit, SIZE_MAX);
    }
    return s;
}

static bool all_there(struct store *s, const struct worked *w, struct error *err)
{
    for (size_t i = 0; i < w->kept_count; i++)
        if (!test_same(s, w->kept[i].position, w->kept[i].seed, w->kept[i].len, err))
            return false;
    return true;
}

static void say(void *context, const char *text)
{
    (void)context;
    print_error("finding: %s\n", text);
}

/* One run with a fault, then a run without: what was acknowledged is there. Returns false when the fault was never
 * reached. */
static bool run(void **state_, struct fault *f, bool many, struct worked *w)
{
    struct tuning tuning = { .files = &fault_ops,
                             .files_context = f,
                             .segment_bytes = 3000,
                             .body_file_bytes = 100000,
                             .confirm_entries = 5,
                             .no_idle_confirm = true };
    struct store_options o = test_options();
    struct error err = { 0 };
    uint64_t findings = 0;
    struct store *s;
    bool reached, same;
    char dir[64];

    *w = (struct worked){ 0 };
    test_dir(dir);
    CHECK(store_create(dir, &o, NULL));
    o.tuning = &tuning;
    s = work(dir, &o, w, many);
    same = s == NULL || all_there(s, w, &err);
    store_close(s);
    reached = atomic_load(&f->countdown) < 0;
    o.tuning = NULL;
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    CHECK_OK(err, same && all_there(s, w, &err));
    CHECK_OK(err, store_verify(s, say, NULL, &findings, &err) && findings == 0);
    store_close(s);
    test_remove(dir);
    return reached;
}

TEST(the_nth_call_may_fail)
{
    static const struct {
        const char *name;
        enum fault_call call;
        int error;
        bool goes_on;
    } rows[] = {
        { "write, no space", FAULT_WRITE, ENOSPC, true }, { "write, i/o error", FAULT_WRITE, EIO, false },
        { "sync, i/o error", FAULT_SYNC, EIO, false },    { "sync, no space", FAULT_SYNC, ENOSPC, false },
        { "open, no space", FAULT_OPEN, ENOSPC, true },   { "rename, no space", FAULT_RENAME, ENOSPC, true },
        { "directory sync", FAULT_SYNC_DIR, EIO, false },
    };
    EACH(row, rows)
    {
        for (long n = 1;; n += n < 30 ? 1 : 9) {
            struct fault f = {
                .countdown = n, .call = row->call, .error = row->error, .lasting = 1, .free_bytes = 1ull << 40
            };
            struct worked w;

            if (!run(state_, &f, false, &w))
                break;
            if (row->goes_on && w.kept_count != 0 && w.kept_count + 2 < WORK_RECORDS)
                print_error("call %ld: %zu kept, %s\n", n, w.kept_count, w.last.text);
            if (row->goes_on)
                CHECK_ROW(row->name, w.kept_count == 0 || w.kept_count + 2 >= WORK_RECORDS);
        }
    }
}

TEST(the_keyring_grows_or_says_why_not)
{
    for (long n = 100; n < 420; n += 16) {
        struct fault f = {
            .countdown = n, .call = FAULT_WRITE, .error = ENOSPC, .lasting = 1, .free_bytes = 1ull << 40
        };
        struct worked w;

        (void)run(state_, &f, true, &w);
        CHECK(w.refused <= 2);
    }
}

TEST(a_full_disk_refuses_objects_and_takes_events)
{
    struct fault f = { .call = FAULT_WRITE, .countdown = LONG_MAX / 2, .free_bytes = 11ull << 20 };
    struct tuning tuning = TUNING_DEFAULT;
    struct store_options o = test_options();
    struct error err = { 0 };
    uint64_t position;
    struct store *s;
    char dir[64];

    test_dir(dir);
    CHECK(store_create(dir, &o, NULL));
    tuning.files = &fault_ops;
    tuning.files_context = &f;
    o.tuning = &tuning;
    o.reserve_bytes = 32 << 20; /* of it 4 MiB for what confirms */
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    CHECK(!test_append(s, RECORD_DICOM, "study:1", 1, 100, &position, &err) && err.code == ERR_NO_SPACE);
    CHECK(test_append(s, RECORD_EVENT, "events", 2, SIZE_MAX, &position, &err) && test_wait(s, 1) == 1);
    atomic_store(&f.free_bytes, 4000000);
    CHECK(!test_append(s, RECORD_EVENT, "events", 2, SIZE_MAX, &position, &err) && err.code == ERR_NO_SPACE);
    CHECK_OK(err, test_same(s, position, 2, SIZE_MAX, &err)); /* reading goes on */
    atomic_store(&f.free_bytes, 1ull << 40);
    CHECK(test_append(s, RECORD_DICOM, "study:1", 3, 100, &position, &err) && test_wait(s, 1) == 1);
    CHECK_OK(err, test_same(s, position, 3, 100, &err));
    store_close(s);
    test_remove(dir);
}

/* The disk is full although it said that it is not: the batch fails as such, and the store goes on by itself. */
TEST(a_commit_that_finds_no_space_says_so)
{
    struct fault f = { .call = FAULT_WRITE, .countdown = LONG_MAX / 2, .error = ENOSPC, .lasting = LONG_MAX / 4,
                       .free_bytes = 1ull << 40 };
    struct tuning tuning = TUNING_DEFAULT;
    struct store_options o = test_options();
    struct error err = { 0 };
    struct completion c;
    uint64_t position;
    struct store *s;
    char dir[64];

    test_dir(dir);
    CHECK(store_create(dir, &o, NULL));
    tuning.files = &fault_ops;
    tuning.files_context = &f;
    o.tuning = &tuning;
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    CHECK(test_append(s, RECORD_EVENT, "events", 1, SIZE_MAX, &position, &err) && test_wait(s, 1) == 1);
    atomic_store(&f.countdown, 0);
    CHECK(test_append(s, RECORD_DICOM, "study:1", 2, 5000, &position, &err));
    store_kick(s);
    while (store_completed(s, &c, 1) == 0) {
        struct pollfd p = { .fd = store_event_fd(s), .events = POLLIN };

        (void)poll(&p, 1, 10000);
    }
    CHECK(!c.committed && c.why == ERR_NO_SPACE);
    atomic_store(&f.countdown, LONG_MAX / 2);
    CHECK(test_append(s, RECORD_DICOM, "study:1", 3, 5000, &position, &err) && test_wait(s, 1) == 1);
    CHECK_OK(err, test_same(s, position, 3, 5000, &err) && position == 1);
    store_close(s);
    test_remove(dir);
}

TEST(after_a_failed_sync_nothing_is_acknowledged)
{
    struct fault f = { .call = FAULT_SYNC, .countdown = LONG_MAX / 2, .error = EIO, .lasting = 1, .free_bytes = 1ull << 40 };
    struct tuning tuning = TUNING_DEFAULT;
    struct store_options o = test_options();
    struct error err = { 0 };
    uint64_t position;
    struct store *s;
    char dir[64];

    test_dir(dir);
    CHECK(store_create(dir, &o, NULL));
    tuning.files = &fault_ops;
    tuning.files_context = &f;
    o.tuning = &tuning;
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    atomic_store(&f.countdown, 1); /* the second sync from now on */
    CHECK(test_append(s, RECORD_EVENT, "events", 1, SIZE_MAX, &position, &err) && test_wait(s, 1) == 1);
    CHECK(test_append(s, RECORD_EVENT, "events", 2, SIZE_MAX, &position, &err) && test_wait(s, 1) == 0);
    CHECK(!test_append(s, RECORD_EVENT, "events", 3, SIZE_MAX, &position, &err) && err.code == ERR_IO);
    CHECK(store_committed_size(s) == 1);
    store_close(s);
    test_remove(dir);
}

TEST(the_nth_allocation_may_fail)
{
    struct store_options o = test_options();
    bool reached = true;

    for (long n = 1; reached; n += n < 60 ? 1 : 5) {
        struct error err = { 0 };
        struct worked w = { 0 };
        struct store *s;
        char dir[64];

        test_dir(dir);
        CHECK(store_create(dir, &o, NULL));
        s = store_open(dir, &o, NULL);
        CHECK(s != NULL);
        work_one(s, &w, 1, "study:1", 90000);
        store_close(s);
        atomic_store(&allocation_countdown, n);
        s = store_open(dir, &o, &err);
        if (s != NULL) {
            struct append a = { .kind = RECORD_EVENT, .unit = SPAN_LIT("events"), .facts = SPAN_LIT("") };
            struct completion c;
            uint64_t position;

            a.body = body_new(s, BODY_IMAGES, a.unit, &err);
            if (a.body != NULL && body_add(a.body, SPAN_LIT("some bytes"), &err)
                && store_append(s, &a, &position, &err)) {
                store_kick(s);
                while (store_completed(s, &c, 1) == 0) {
                    struct pollfd p = { .fd = store_event_fd(s), .events = POLLIN };

                    (void)poll(&p, 1, 1000);
                }
            }
            (void)store_read_body(s, 0, 0, (uint8_t[10]){ 0 }, 10, &err);
            store_close(s);
        }
        reached = atomic_exchange(&allocation_countdown, LONG_MAX / 2) < 0;
        s = store_open(dir, &o, &err);
        CHECK_OK(err, s != NULL);
        CHECK_OK(err, all_there(s, &w, &err));
        store_close(s);
        test_remove(dir);
    }
}

TESTS(T(the_nth_call_may_fail), T(the_keyring_grows_or_says_why_not), T(a_full_disk_refuses_objects_and_takes_events),
      T(a_commit_that_finds_no_space_says_so), T(after_a_failed_sync_nothing_is_acknowledged), T(the_nth_allocation_may_fail))
