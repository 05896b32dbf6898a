/* Back-ups of the keyring: what is refused, and that a restored keyring gives no slot away twice. */
#include "vault/store_backup.h"

#include "store_test.h"

#define CONF SPAN_LIT("[site]\ntimezone = UTC\n")
#define DAY  UINT64_C(86400000000)

struct fixture {
    char dir[TEST_DIR_SIZE];
    struct writer file;
    struct key_backup made;
};

static void append(struct store *s, const char *unit)
{
    struct writer facts = writer_new(200);
    struct append a = { .kind = RECORD_EVENT, .unit = span_str(unit), .received_us = test_wall_us };
    struct error err = { 0 };
    uint64_t position;

    field_put_str(&facts, FIELD_EVENT, unit);
    a.facts = writer_span(&facts);
    if (!store_append(s, &a, &position, &err))
        abort();
    store_kick(s);
    writer_done(&facts);
}

static struct store *open_store(struct fixture *f)
{
    struct store_options o = test_options();
    struct error err = { 0 };
    struct store *s = store_open(f->dir, &o, &err);

    if (s == NULL) {
        print_error("%s\n", err.text);
        abort();
    }
    return s;
}

static void fixture_init(struct fixture *f, uint64_t expires_us)
{
    struct store_options o = test_options();
    struct store *s;

    *f = (struct fixture){ .file = writer_new(BACKUP_BYTES_MAX) };
    test_dir(f->dir);
    if (!store_create(f->dir, &o, NULL))
        abort();
    s = open_store(f);
    append(s, "study:1");
    append(s, "study:2");
    if (!store_backup(s, CONF, expires_us, &f->made, &f->file, NULL))
        abort();
    append(s, "study:3"); /* a slot that was ready then */
    append(s, "study:1");
    store_close(s);
}

static void fixture_done(struct fixture *f)
{
    writer_done(&f->file);
    test_remove(f->dir);
}

static void lose_keyring(struct fixture *f)
{
    char path[128];

    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/vault/keyring.%d", f->dir, i);
        unlink(path);
    }
}

static bool restore(struct fixture *f, struct span secret, bool force, struct error *err)
{
    struct store_options o = test_options();
    struct restored r;

    o.secret = secret;
    if (!store_restore(f->dir, &o, writer_span(&f->file), force, &r, err))
        return false;
    if (!span_equal(writer_span(&r.conf), CONF) || r.checkpoint.len == 0 || r.lost != 0)
        abort();
    writer_done(&r.conf);
    writer_done(&r.checkpoint);
    return true;
}

static void count_finding(void *context, const char *text)
{
    (void)context;
    print_error("%s\n", text);
}

/* Every record opens, and verify finds nothing. */
static bool all_is_whole(struct store *s, struct error *err)
{
    uint64_t findings = 0;
    bool ok = true;

    for (uint64_t i = 0; ok && i < store_committed_size(s); i++) {
        struct writer facts = writer_new(1000);
        struct entry e;

        ok = store_read_entry(s, i, &e, &facts, err);
        writer_done(&facts);
    }
    return ok && store_verify(s, count_finding, NULL, &findings, err)
           && (findings == 0 || error_set(err, ERR_DAMAGED, "verify has findings"));
}

TEST(a_restored_keyring_opens_all_and_gives_no_slot_to_two_units)
{
    struct error err = { 0 };
    struct fixture f;
    struct store *s;

    fixture_init(&f, 0);
    lose_keyring(&f);
    CHECK_OK(err, restore(&f, TEST_SECRET, false, &err));
    s = open_store(&f);
    append(s, "study:4");
    append(s, "study:3");
    store_close(s);
    s = open_store(&f);
    CHECK(store_committed_size(s) == 6);
    CHECK_OK(err, all_is_whole(s, &err));
    store_close(s);
    fixture_done(&f);
}

/* Both copies of a slot, gone. */
static void lose_slot(struct fixture *f, uint32_t number)
{
    static const uint8_t zeros[KEYRING_SLOT_BYTES];
    char path[128];

    for (int i = 0; i < 2; i++) {
        int fd;

        snprintf(path, sizeof path, "%s/vault/keyring.%d", f->dir, i);
        fd = open(path, O_RDWR);
        if (fd < 0
            || pwrite(fd, zeros, sizeof zeros, KEYRING_HEADER_BYTES + (off_t)number * KEYRING_SLOT_BYTES) != sizeof zeros)
            abort();
        close(fd);
    }
}

/* The signing key, a unit's slot, one that a unit got since, a ready one; after a rotation the back-up's master key is another. */
TEST(slots_that_both_copies_lost_are_filled_from_a_back_up)
{
    for (int rotated = 0; rotated < 2; rotated++) {
        const uint32_t lost[] = { 0, 1, 3, 4, 200 };
        struct slot_erasure unit = { .slot = 4 };
        struct store_options o = test_options();
        struct error err = { 0 };
        struct restored r;
        struct entry e;
        struct fixture f;
        uint32_t slot;
        struct store *s;

        fixture_init(&f, 0);
        s = open_store(&f);
        append(s, "study:4"); /* slot 4: the back-up knows it as ready */
        CHECK(!rotated || store_keys_rotate(s, &err));
        store_close(s);
        EACH(n, lost)
        {
            lose_slot(&f, *n);
        }
        CHECK_OK(err, store_restore(f.dir, &o, writer_span(&f.file), false, &r, &err));
        CHECK(r.kept && r.filled == COUNT_OF(lost) && r.lost == 0);
        writer_done(&r.conf);
        writer_done(&r.checkpoint);
        CHECK(!restore(&f, TEST_SECRET, false, &err) && err.code == ERR_EXISTS); /* nothing is left to fill */
        s = open_store(&f);
        append(s, "study:5");
        CHECK(store_unit_slot(s, SPAN_LIT("study:5"), &slot) && slot >= KEYRING_BATCH);
        CHECK_OK(err, all_is_whole(s, &err));
        store_tag(s, SPAN_LIT("study:4"), unit.tag); /* a tombstone that the back-up does not know of finds its slot */
        CHECK_OK(err, store_erase_units(s, &unit, 1, &err));
        CHECK(unit.its && !store_read_entry(s, 4, &e, NULL, &err) && err.code == ERR_ERASED);
        store_close(s);
        fixture_done(&f);
    }
}

static void make_file(struct fixture *f, const char *name)
{
    char path[128];
    int fd;

    snprintf(path, sizeof path, "%s/vault/%s", f->dir, name);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0)
        abort();
    close(fd);
}

/* What tests/torture does at every write, in short. */
TEST(a_restore_that_did_not_end_keeps_the_store_closed_until_it_is_given_again)
{
    struct store_options o = test_options();
    struct error err = { 0 };
    struct fixture f;
    uint32_t slot;
    struct store *s;

    fixture_init(&f, 0);
    make_file(&f, RESTORING_NAME);
    CHECK(store_open(f.dir, &o, &err) == NULL && err.code == ERR_USAGE && strstr(err.text, "restore-keys") != NULL);
    o.read_only = true;
    CHECK(store_open(f.dir, &o, &err) == NULL && err.code == ERR_USAGE);
    CHECK_OK(err, restore(&f, TEST_SECRET, false, &err)); /* the keyring is there, and is not to be believed */
    s = open_store(&f);
    append(s, "study:5"); /* a ready slot of the back-up may be what an unreadable record uses */
    CHECK(store_unit_slot(s, SPAN_LIT("study:5"), &slot) && slot >= KEYRING_BATCH);
    CHECK(!restore(&f, TEST_SECRET, true, &err) && err.code == ERR_BUSY);
    store_close(s);
    make_file(&f, "twin");
    CHECK(!restore(&f, TEST_SECRET, true, &err) && err.code == ERR_USAGE);
    fixture_done(&f);
}

static void swap_files(struct fixture *a, struct fixture *b)
{
    struct writer file = a->file;

    a->file = b->file;
    b->file = file;
}

TEST(what_must_not_be_restored_is_refused)
{
    struct error err = { 0 };
    struct fixture f, other;
    uint64_t wall = test_wall_us;

    fixture_init(&f, test_wall_us + 30 * DAY);
    CHECK(!restore(&f, TEST_SECRET, false, &err) && err.code == ERR_EXISTS);
    lose_keyring(&f);
    CHECK(!restore(&f, SPAN_LIT("key:0123456789abcdef0123456789abcdeF"), false, &err) && err.code == ERR_SEALED);
    test_wall_us += 31 * DAY;
    CHECK(!restore(&f, TEST_SECRET, false, &err) && err.code == ERR_REFUSED && strstr(err.text, "expired") != NULL);
    fixture_init(&other, 0);
    lose_keyring(&other);
    swap_files(&f, &other);
    CHECK(!restore(&f, TEST_SECRET, true, &err) && err.code == ERR_REFUSED && strstr(err.text, "another vault") != NULL);
    swap_files(&f, &other);
    CHECK_OK(err, restore(&f, TEST_SECRET, true, &err));
    test_wall_us = wall;
    fixture_done(&f);
    fixture_done(&other);
}

/* Any length, any flipped bit: refused, and nothing is put in place. */
TEST(a_cut_or_altered_back_up_is_refused)
{
    struct error err = { 0 };
    struct fixture f;
    size_t len;
    char path[128];

    fixture_init(&f, 0);
    lose_keyring(&f);
    len = f.file.len;
    snprintf(path, sizeof path, "%s/vault/keyring.0", f.dir);
    for (size_t cut = 0; cut < len; cut += cut < 200 ? 1 : 997) {
        f.file.len = cut;
        CHECK(!restore(&f, TEST_SECRET, true, &err));
    }
    f.file.len = len;
    for (size_t at = 0; at < len; at += at < 100 ? 1 : 1013) {
        f.file.ptr[at] ^= 0x20;
        CHECK(!restore(&f, TEST_SECRET, true, &err) && access(path, F_OK) != 0);
        f.file.ptr[at] ^= 0x20;
    }
    CHECK_OK(err, restore(&f, TEST_SECRET, false, &err));
    fixture_done(&f);
}

TESTS(T(a_restored_keyring_opens_all_and_gives_no_slot_to_two_units),
      T(slots_that_both_copies_lost_are_filled_from_a_back_up),
      T(a_restore_that_did_not_end_keeps_the_store_closed_until_it_is_given_again),
      T(what_must_not_be_restored_is_refused),
      T(a_cut_or_altered_back_up_is_refused))
