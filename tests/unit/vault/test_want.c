/*
 * A want of ours (no descriptor left, no memory) says nothing of what is stored. Every open of a read, a walk, a verify
 * and a start is made to fail in turn with EMFILE, every read with ENOMEM: it then fails with that, or does all it would
 * have done; nothing is called damaged, nothing is passed over.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>

#include "vault/follow.h"
#include "vault/format.h"
#include "vault/store_internal.h"

#include "store_test.h"

/* ---- the linker hands us open(2) and pread(2) first, as the C library names them ---- */

static struct {
    size_t seen, fail_at; /* calls; the one that fails, from 1; 0: none */
    bool all_behind;      /* … and all that come behind it */
    int why;
} opens, reads;

/* Counts the call; true where it is to fail. */
static bool fails(size_t *seen, size_t fail_at, bool all_behind, int why)
{
    ++*seen;
    if (fail_at == 0 || (all_behind ? *seen < fail_at : *seen != fail_at))
        return false;
    errno = why;
    return true;
}

ssize_t __real_pread64(int fd, void *out, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *out, size_t len, off_t offset);
ssize_t __wrap___pread64_chk(int fd, void *out, size_t len, off_t offset, size_t room);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

/* The keyring reads two copies and judges them itself (keyring.c): its reads are left alone here. */
static bool is_of_the_keyring(int fd)
{
    char link[64], path[200];
    ssize_t n;

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    return strstr(path, "/keyring") != NULL;
}

ssize_t __wrap_pread64(int fd, void *out, size_t len, off_t offset)
{
    return !is_of_the_keyring(fd) && fails(&reads.seen, reads.fail_at, reads.all_behind, reads.why) ? -1 : __real_pread64(fd, out, len, offset);
}

ssize_t __wrap___pread64_chk(int fd, void *out, size_t len, off_t offset, size_t room)
{
    return len <= room ? __wrap_pread64(fd, out, len, offset) : (abort(), -1);
}

int __wrap_open64(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fails(&opens.seen, opens.fail_at, opens.all_behind, opens.why) ? -1 : __real_open64(path, flags, mode);
}

static void none_fails(void)
{
    memset(&opens, 0, sizeof opens);
    memset(&reads, 0, sizeof reads);
}

/* ---- a store with rules in many segments ---- */

#define RECORDS 24u
#define RULES   (RECORDS / 4)

static const struct tuning tuning = { .files = &file_ops_system,
                                      .segment_bytes = 2000,
                                      .body_file_bytes = 300000,
                                      .confirm_entries = 1,
                                      .no_idle_confirm = true };

static enum record_kind kind_of(unsigned i)
{
    return i % 4 == 3 ? RECORD_RULE : i % 3 == 0 ? RECORD_DICOM : RECORD_HL7;
}

static size_t length_of(unsigned i)
{
    return kind_of(i) == RECORD_RULE ? SIZE_MAX : 300u + 1000u * i;
}

static struct store *open_it(const char *dir, struct error *err)
{
    struct store_options o = test_options();

    o.tuning = &tuning;
    o.read_only = true;
    return store_open(dir, &o, err);
}

static void must(const struct error *err, bool held)
{
    if (!held)
        print_error("%s\n", err->text);
    assert_true(held);
}

static void make(const char *dir)
{
    struct store_options o = test_options();
    struct error err = { 0 };
    struct store *s;
    uint64_t at;

    none_fails();
    must(&err, store_create(dir, &o, &err));
    o.tuning = &tuning;
    s = store_open(dir, &o, &err);
    must(&err, s != NULL);
    for (unsigned i = 0; i < RECORDS; i++) {
        must(&err, test_append(s, kind_of(i), kind_of(i) == RECORD_RULE ? "rules" : "unit:1", i, length_of(i), &at, &err));
        assert_int_equal(test_wait(s, 1), 1);
    }
    store_close(s);
}

/* ---- what is done with it ---- */

struct seen {
    size_t rules, units, findings;
};

static bool rule_seen(void *context, const struct entry *e, struct span facts)
{
    struct seen *n = context;

    (void)facts;
    n->rules += e->kind == RECORD_RULE ? 1 : 0;
    return true;
}

static bool record_seen(void *context, const struct record_seen *r, struct span facts)
{
    struct seen *n = context;

    (void)facts;
    n->units += r->readable && strcmp(r->unit, "unit:1") == 0 ? 1 : 0;
    return true;
}

static void finding_told(void *context, const char *text)
{
    struct seen *n = context;

    n->findings++;
    print_error("told: %s\n", text);
}

/* Whole, where it says that it did its work. */
static bool walk_the_rules(struct store *s, struct error *err)
{
    struct seen n = { 0 };

    if (!store_walk_rules(s, rule_seen, NULL, &n, err))
        return false;
    assert_int_equal(n.rules, RULES);
    return true;
}

static bool walk_the_units(struct store *s, struct error *err)
{
    struct seen n = { 0 };

    if (!store_walk(s, 0, RECORDS, record_seen, &n, err))
        return false;
    assert_int_equal(n.units, RECORDS - RULES);
    return true;
}

static bool verify(struct store *s, struct error *err)
{
    struct seen n = { 0 };
    uint64_t findings = 0;
    bool ok = store_verify(s, finding_told, &n, &findings, err);

    assert_int_equal(n.findings, 0);
    assert_int_equal(findings, 0);
    return ok;
}

static bool read_all(struct store *s, struct error *err)
{
    for (unsigned i = 0; i < RECORDS; i++)
        if (!test_same(s, i, i, length_of(i), err))
            return false;
    return true;
}

static bool follow_the_log(struct store *s, struct error *err)
{
    uint8_t out[4096];
    size_t got;

    for (uint32_t n = 0; n < 3; n++) {
        struct follow_range r = { .part = FOLLOW_LOG, .segment = n };

        if (!store_follow_read(s, &r, out, sizeof out, &got, err))
            return false;
        assert_true(got > SEGMENT_HEADER_BYTES);
    }
    return true;
}

static const struct {
    const char *what;
    bool (*does)(struct store *s, struct error *err);
} works[] = {
    { "rules", walk_the_rules }, { "units", walk_the_units },      { "verify", verify },
    { "read", read_all },        { "a twin's read", follow_the_log },
};

/* A call of `which` fails: not damaged, and what is done is done in full. */
static bool holds_with(const char *dir, size_t work, size_t n, bool all_behind, bool memory, bool *more)
{
    struct store_status status = { 0 };
    struct error err = { 0 };
    struct store *s;
    bool ok;

    none_fails();
    s = open_it(dir, &err);
    must(&err, s != NULL);
    none_fails();
    opens.fail_at = memory ? 0 : n;
    reads.fail_at = memory ? n : 0;
    opens.all_behind = reads.all_behind = all_behind;
    opens.why = EMFILE;
    reads.why = ENOMEM;
    err = (struct error){ 0 };
    ok = works[work].does(s, &err);
    *more = memory ? reads.seen >= n : opens.seen >= n;
    none_fails();
    store_status(s, &status);
    if (!ok && err.code != (memory ? ERR_MEMORY : ERR_IO)) {
        print_error("%s, %s %zu: %s: %s\n", works[work].what, memory ? "read" : "open", n, error_name(err.code), err.text);
        store_close(s);
        assert_true(false);
    }
    assert_int_equal(status.damaged, 0);
    must(&err, works[work].does(s, &err)); /* it is over */
    store_close(s);
    return ok;
}

static void each_fails(bool memory)
{
    char dir[TEST_DIR_SIZE];

    test_dir(dir);
    make(dir);
    for (size_t work = 0; work < COUNT_OF(works); work++) {
        size_t refused = 0, tried = 0;

        for (int all = 0; all < 2; all++) {
            bool more = true;

            for (size_t n = 1; more; n++, tried++)
                refused += holds_with(dir, work, n, all == 1, memory, &more) ? 0 : 1;
        }
        print_message("# %s: %zu tried, %zu refused\n", works[work].what, tried, refused);
        assert_true(refused > 2);
    }
    test_remove(dir);
}

TEST(want_of_descriptors_is_no_damage)
{
    (void)state_;
    each_fails(false);
}

TEST(want_of_memory_is_no_damage)
{
    (void)state_;
    each_fails(true);
}

/* A start that wants descriptors does not open, or opens with everything and nothing to tell. */
TEST(a_start_that_wants_descriptors_forgets_nothing)
{
    char dir[TEST_DIR_SIZE];
    size_t refused = 0;
    bool more = true;

    test_dir(dir);
    make(dir);
    for (size_t n = 1; more; n++) {
        struct error err = { 0 };
        struct store *s;

        none_fails();
        opens.fail_at = n;
        opens.why = EMFILE;
        s = open_it(dir, &err);
        more = opens.seen >= n;
        none_fails();
        refused += s == NULL ? 1 : 0;
        if (s != NULL)
            CHECK_OK(err, verify(s, &err) && read_all(s, &err) && walk_the_rules(s, &err));
        store_close(s);
    }
    print_message("# %zu refused\n", refused);
    CHECK(refused > 2);
    test_remove(dir);
}

/* What the disk does not give is damaged as before: parity may solve it, and verify names it. */
TEST(a_sector_that_cannot_be_read_is_damage)
{
    char dir[TEST_DIR_SIZE];
    struct error err = { 0 };
    struct writer facts = writer_new(4096);
    struct entry e;
    struct store *s;

    test_dir(dir);
    make(dir);
    s = open_it(dir, &err);
    CHECK_OK(err, s != NULL);
    reads.fail_at = reads.seen + 1;
    reads.all_behind = true;
    reads.why = EIO;
    CHECK(!store_read_entry(s, 0, &e, &facts, &err) && err.code == ERR_DAMAGED);
    none_fails();
    writer_done(&facts);
    store_close(s);
    test_remove(dir);
}

/* What a tile is made of again cannot be read just now: that is no damage, and the next repair makes it. */
TEST(a_tile_is_not_given_up_for_want_of_memory)
{
    struct store_options o = test_options();
    char dir[TEST_DIR_SIZE], name[TILE_NAME_MAX], path[200];
    struct store_repair done;
    struct error err = { 0 };
    struct store *s;
    size_t refused = 0;
    bool more = true;
    uint64_t at;

    none_fails();
    test_dir(dir);
    CHECK_OK(err, store_create(dir, &o, &err));
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    for (unsigned i = 0; i < 600; i++)
        CHECK_OK(err, test_append(s, RECORD_EVENT, "events:2026-11", i, SIZE_MAX, &at, &err));
    CHECK(test_wait(s, 600) == 600);
    store_close(s); /* the tiles are written */
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    tile_name(0, 0, name);
    (void)snprintf(path, sizeof path, "%s/vault/%s", dir, name);
    for (size_t n = 1; more; n += 1 + n / 8) {
        bool ok;

        CHECK(unlink(path) == 0);
        reads.seen = 0;
        reads.fail_at = n;
        reads.why = ENOMEM;
        ok = store_repair(s, NULL, finding_told, &(struct seen){ 0 }, &done, &err);
        more = reads.seen >= n;
        none_fails();
        refused += ok ? 0 : 1;
        CHECK_OK(err, ok || err.code == ERR_MEMORY);
        CHECK(atomic_load(&s->damaged_files) == 0);
        CHECK_OK(err, store_repair(s, NULL, finding_told, &(struct seen){ 0 }, &done, &err));
        CHECK(access(path, F_OK) == 0 && atomic_load(&s->damaged_files) == 0);
    }
    print_message("# %zu refused\n", refused);
    CHECK(refused > 4);
    store_close(s);
    test_remove(dir);
}

TESTS(T(a_tile_is_not_given_up_for_want_of_memory), T(want_of_descriptors_is_no_damage), T(want_of_memory_is_no_damage),
      T(a_start_that_wants_descriptors_forgets_nothing), T(a_sector_that_cannot_be_read_is_damage))
