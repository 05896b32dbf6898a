/* Unlockers added and removed, keys rotated: what opens afterwards, and after a stop at every call in between. */
#include "vault/keyring.h"

#include <errno.h>

#include "store_test.h"

#define UNITS 300u /* more than a batch: the keyring has grown */

#define SECRET_B   SPAN_LIT("key:another key file of 32 bytes and more")
#define SHARES     SPAN_LIT("shares:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")
#define CREDENTIAL SPAN_LIT("credential:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")

static char findings[4000];

static void note(void *context, const char *text)
{
    (void)context;
    strncat(findings, text, sizeof findings - strlen(findings) - 1);
    strncat(findings, "\n", sizeof findings - strlen(findings) - 1);
}

/* File calls that work `left` times and never again: a process that was killed. */
struct mortal {
    long left;
    long calls;
};

static bool dead(struct mortal *m)
{
    m->calls++;
    errno = EIO;
    return m->left-- <= 0;
}

static int mortal_open(void *c, const char *path, int flags)
{
    return (flags & O_CREAT) != 0 && dead(c) ? -1 : file_ops_system.open(NULL, path, flags);
}

static ssize_t mortal_pwrite(void *c, int fd, const void *bytes, size_t len, off_t offset)
{
    if (!dead(c))
        return pwrite(fd, bytes, len, offset);
    (void)!pwrite(fd, bytes, len / 2 & ~(size_t)511, offset); /* whole sectors of it */
    errno = EIO;
    return -1;
}

static int mortal_sync(void *c, int fd)
{
    (void)fd;
    return dead(c) ? -1 : 0;
}

static int mortal_truncate(void *c, int fd, off_t len)
{
    return dead(c) ? -1 : ftruncate(fd, len);
}

static int mortal_rename(void *c, const char *from, const char *to)
{
    return dead(c) ? -1 : rename(from, to);
}

static int mortal_unlink(void *c, const char *path)
{
    return dead(c) ? -1 : unlink(path);
}

static int mortal_sync_dir(void *c, const char *path)
{
    (void)path;
    return dead(c) ? -1 : 0;
}

static int mortal_close(void *c, int fd)
{
    (void)c;
    return close(fd);
}

static const struct file_ops mortal_ops = { .open = mortal_open,
                                            .pwrite = mortal_pwrite,
                                            .fdatasync = mortal_sync,
                                            .ftruncate = mortal_truncate,
                                            .rename = mortal_rename,
                                            .unlink = mortal_unlink,
                                            .sync_dir = mortal_sync_dir,
                                            .close = mortal_close };

struct ring {
    struct disk disk, dying;
    struct mortal mortal;
    struct seal_suite suite;
    struct seal seal;
    struct keyring *k;
    char dir[TEST_DIR_SIZE];
    uint8_t keys[UNITS][KEY_BYTES];
};

static void ring_open(struct ring *r, const struct disk *d, struct span secret)
{
    struct error err = { 0 };

    findings[0] = '\0';
    r->k = keyring_open(d, &r->suite, secret, false, note, NULL, &err);
    if (r->k == NULL) {
        print_error("%s\n", err.text);
        abort();
    }
}

static struct span unit_of(unsigned i, char text[32])
{
    snprintf(text, 32, "study:1.2.%u", i);
    return span_str(text);
}

/* A keyring with UNITS units, closed. */
static void ring_init(struct ring *r)
{
    char text[32];
    uint32_t slot;

    memset(r, 0, sizeof *r);
    test_dir(r->dir);
    r->disk.ops = &file_ops_system;
    r->dying.ops = &mortal_ops;
    r->dying.context = &r->mortal;
    snprintf(r->disk.root, sizeof r->disk.root, "%s", r->dir);
    snprintf(r->dying.root, sizeof r->dying.root, "%s", r->dir);
    if (!seal_suite_init(&r->suite, NULL) || !seal_init(&r->seal, &r->suite, NULL)
        || !keyring_create(&r->disk, &r->suite, TEST_SECRET, 1, NULL))
        abort();
    ring_open(r, &r->disk, TEST_SECRET);
    for (unsigned i = 0; i < UNITS; i++) {
        while (!keyring_slot_of(r->k, unit_of(i, text), &slot, NULL))
            if (!keyring_grow(r->k, NULL))
                abort();
        if (!keyring_data_key(r->k, &r->seal, slot, r->keys[i], NULL))
            abort();
    }
    if (!keyring_flush(r->k, NULL))
        abort();
    keyring_close(r->k);
}

static void ring_done(struct ring *r)
{
    seal_done(&r->seal);
    seal_suite_done(&r->suite);
    test_remove(r->dir);
}

/* Every unit has the key it had, and both copies are clean. */
static bool ring_is_whole(struct ring *r)
{
    uint8_t key[KEY_BYTES];
    char text[32];
    uint32_t slot;

    for (unsigned i = 0; i < UNITS; i++)
        if (!keyring_slot_of(r->k, unit_of(i, text), &slot, NULL) || slot != i + 1
            || !keyring_data_key(r->k, &r->seal, slot, key, NULL) || memcmp(key, r->keys[i], KEY_BYTES) != 0)
            return false;
    findings[0] = '\0';
    return keyring_check(r->k, note, NULL, NULL) && findings[0] == '\0';
}

static bool opens(struct ring *r, struct span secret)
{
    struct error err = { 0 };

    return keyring_opens(&r->disk, &r->suite, secret, NULL, &err);
}

static struct span slurp(struct ring *r, const char *name, struct writer *w)
{
    char path[DISK_PATH_MAX];

    *w = writer_new((size_t)1 << 30);
    disk_path(&r->disk, name, path);
    if (!file_slurp(path, w, NULL))
        abort();
    return writer_span(w);
}

TEST(four_unlockers_open_the_same_keys_and_a_fifth_has_no_place)
{
    const struct new_unlocker more[] = {
        { .secret = SPAN_LIT("a passphrase"), .now_us = 2 },
        { .secret = SHARES, .threshold = 3, .shares = 5, .now_us = 3 },
        { .secret = CREDENTIAL, .now_us = 4 },
    };
    struct error err = { 0 };
    struct keyring_info info;
    unsigned place = 9;
    struct ring r;

    ring_init(&r);
    ring_open(&r, &r.disk, TEST_SECRET);
    for (unsigned i = 0; i < COUNT_OF(more); i++) {
        CHECK_OK(err, keyring_add(r.k, &more[i], &place, &err));
        CHECK(place == i + 1);
    }
    CHECK(!keyring_add(r.k, &(struct new_unlocker){ .secret = SECRET_B }, &place, &err) && err.code == ERR_LIMIT);
    CHECK(ring_is_whole(&r));
    keyring_close(r.k);
    CHECK_OK(err, keyring_info_read(&r.disk, &info, &err));
    CHECK(info.generation == 4 && info.master_generation == 1);
    CHECK(info.unlockers[2].kind == UNLOCKER_CUSTODIANS && info.unlockers[2].threshold == 3
          && info.unlockers[2].shares == 5 && info.unlockers[2].added == 3 && info.unlockers[2].added_us == 3);
    for (unsigned i = 0; i < COUNT_OF(more); i++) {
        ring_open(&r, &r.disk, more[i].secret);
        CHECK(ring_is_whole(&r));
        keyring_close(r.k);
        CHECK(keyring_opens(&r.disk, &r.suite, more[i].secret, &place, &err) && place == i + 1);
    }
    CHECK(!opens(&r, SECRET_B) && !opens(&r, SPAN_LIT("A passphrase")));
    ring_done(&r);
}

TEST(counts_of_custodians_have_limits)
{
    const struct {
        const char *name;
        struct new_unlocker new;
    } rows[] = {
        { "one of one", { .secret = SHARES, .threshold = 1, .shares = 1 } },
        { "more than there are", { .secret = SHARES, .threshold = 4, .shares = 3 } },
        { "a crowd", { .secret = SHARES, .threshold = 2, .shares = 17 } },
        { "none", { .secret = SHARES } },
        { "of a passphrase", { .secret = SPAN_LIT("x"), .threshold = 2, .shares = 3 } },
    };
    unsigned place;
    struct ring r;

    ring_init(&r);
    ring_open(&r, &r.disk, TEST_SECRET);
    EACH(row, rows)
    {
        struct error err = { 0 };

        CHECK_ROW(row->name, !keyring_add(r.k, &row->new, &place, &err) && err.code == ERR_USAGE);
    }
    keyring_close(r.k);
    ring_done(&r);
}

TEST(what_is_removed_opens_nothing_and_the_last_stays)
{
    struct error err = { 0 };
    unsigned place;
    struct ring r;

    ring_init(&r);
    ring_open(&r, &r.disk, TEST_SECRET);
    CHECK(!keyring_remove(r.k, 0, &err) && err.code == ERR_REFUSED);
    CHECK(!keyring_remove(r.k, 1, &err) && err.code == ERR_NOT_FOUND);
    CHECK(!keyring_remove(r.k, 4, &err) && err.code == ERR_NOT_FOUND);
    CHECK(keyring_add(r.k, &(struct new_unlocker){ .secret = SECRET_B }, &place, &err));
    CHECK(keyring_remove(r.k, 0, &err));
    CHECK(ring_is_whole(&r));
    keyring_close(r.k);
    CHECK(!opens(&r, TEST_SECRET) && opens(&r, SECRET_B));
    ring_done(&r);
}

/* Rotation by one holder wraps the new master key for the others, whose secrets nobody gave. */
TEST(rotation_keeps_every_unlocker_and_every_data_key)
{
    struct writer before, after;
    struct error err = { 0 };
    struct keyring_info info;
    unsigned place;
    struct ring r;
    char text[32];
    uint32_t slot;

    ring_init(&r);
    ring_open(&r, &r.disk, TEST_SECRET);
    CHECK(keyring_add(r.k, &(struct new_unlocker){ .secret = SECRET_B }, &place, &err));
    slurp(&r, "keyring.0", &before);
    CHECK(keyring_slot_of(r.k, unit_of(UNITS, text), &slot, &err)); /* assigned, not written yet */
    CHECK_OK(err, keyring_rotate(r.k, &err));
    CHECK(ring_is_whole(&r));
    CHECK(keyring_grow(r.k, &err) && keyring_flush(r.k, &err) && ring_is_whole(&r));
    keyring_close(r.k);
    slurp(&r, "keyring.0", &after);
    for (size_t at = KEYRING_HEADER_BYTES; at < before.len; at += KEYRING_SLOT_BYTES)
        CHECK(memcmp(before.ptr + at + 24, after.ptr + at + 24, 60) != 0); /* every slot is wrapped anew */
    ring_open(&r, &r.disk, SECRET_B);
    CHECK(ring_is_whole(&r) && keyring_slot_of(r.k, unit_of(UNITS, text), &slot, &err) && slot == UNITS + 1);
    keyring_info(r.k, &info);
    CHECK(info.generation == 3 && info.master_generation == 3);
    keyring_close(r.k);
    CHECK(opens(&r, TEST_SECRET));
    writer_done(&before);
    writer_done(&after);
    ring_done(&r);
}

enum deed { DEED_ADD, DEED_REMOVE, DEED_ROTATE, DEEDS };

static bool act(struct ring *r, enum deed deed)
{
    unsigned place;

    switch (deed) {
    case DEED_ADD:
        return keyring_add(r->k, &(struct new_unlocker){ .secret = SHARES, .threshold = 2, .shares = 3 }, &place, NULL);
    case DEED_REMOVE:
        return keyring_remove(r->k, 0, NULL);
    case DEED_ROTATE:
        return keyring_rotate(r->k, NULL);
    case DEEDS:
        break;
    }
    abort();
}

/* Killed at every call: what was is there, or what was to be; never a mix, and both copies agree after one opening. */
TEST(a_stop_at_any_call_leaves_the_old_keyring_or_the_new_one)
{
    for (enum deed deed = 0; deed < DEEDS; deed++) {
        bool done = false;
        unsigned olds = 0, news = 0;

        for (long n = 0; !done; n++) {
            struct writer a, b;
            unsigned place;
            struct ring r;

            ring_init(&r);
            ring_open(&r, &r.disk, TEST_SECRET);
            CHECK(keyring_add(r.k, &(struct new_unlocker){ .secret = SECRET_B }, &place, NULL));
            keyring_close(r.k);
            r.mortal.left = LONG_MAX;
            ring_open(&r, &r.dying, TEST_SECRET);
            r.mortal.left = n;
            done = act(&r, deed);
            keyring_close(r.k);
            if (deed == DEED_REMOVE)
                news += !opens(&r, TEST_SECRET);
            else if (deed == DEED_ADD)
                news += opens(&r, SHARES);
            else
                CHECK(opens(&r, TEST_SECRET));
            CHECK(opens(&r, SECRET_B));
            ring_open(&r, &r.disk, SECRET_B);
            CHECK_ROW(findings, findings[0] == '\0');
            CHECK(ring_is_whole(&r));
            CHECK(!disk_exists(&r.disk, "keyring.0.new") && !disk_exists(&r.disk, "keyring.1.new"));
            keyring_close(r.k);
            CHECK(span_equal(slurp(&r, "keyring.0", &a), slurp(&r, "keyring.1", &b)));
            olds++;
            writer_done(&a);
            writer_done(&b);
            ring_done(&r);
        }
        CHECK(olds > 10 && (deed == DEED_ROTATE || (news > 1 && news < olds)));
    }
}

/* Copies of two generations, as a cut between the renames leaves them: the newer one decides who may open. */
TEST(the_higher_generation_decides_and_the_other_copy_is_healed_forward)
{
    for (int older = 0; older < 2; older++) {
        const char *name = older == 0 ? "keyring.0" : "keyring.1";
        struct error err = { 0 };
        struct writer old;
        unsigned place;
        struct ring r;

        ring_init(&r);
        slurp(&r, name, &old);
        ring_open(&r, &r.disk, TEST_SECRET);
        CHECK(keyring_add(r.k, &(struct new_unlocker){ .secret = SECRET_B }, &place, &err) && keyring_rotate(r.k, &err)
              && keyring_remove(r.k, 0, &err));
        keyring_close(r.k);
        CHECK(disk_replace(&r.disk, name, writer_span(&old), &err));
        CHECK(keyring_open(&r.disk, &r.suite, TEST_SECRET, false, note, NULL, &err) == NULL && err.code == ERR_SEALED);
        findings[0] = '\0';
        r.k =
            keyring_open(&r.disk, &r.suite, SECRET_B, true, note, NULL, &err); /* reading only: not healed, not named */
        CHECK_OK(err, r.k != NULL);
        CHECK_ROW(findings, findings[0] == '\0');
        CHECK(ring_is_whole(&r));
        keyring_close(r.k);
        ring_open(&r, &r.disk, SECRET_B);
        CHECK_ROW(findings, findings[0] == '\0');
        CHECK(ring_is_whole(&r));
        keyring_close(r.k);
        writer_done(&old);
        ring_done(&r);
    }
}

static void flip(struct ring *r, const char *name, off_t at)
{
    char path[DISK_PATH_MAX];
    uint8_t byte = 0;
    int fd;

    disk_path(&r->disk, name, path);
    fd = open(path, O_RDWR);
    if (fd < 0 || pread(fd, &byte, 1, at) != 1)
        abort();
    byte ^= 0x10;
    if (pwrite(fd, &byte, 1, at) != 1)
        abort();
    close(fd);
}

/* One flipped bit anywhere in one header never keeps the other from opening, and never lets an old secret in. */
TEST(a_flipped_bit_in_one_header_is_named_and_costs_nothing)
{
    struct error err = { 0 };
    struct ring r;

    ring_init(&r);
    for (off_t at = 0; at < (off_t)KEYRING_HEADER_BYTES; at += 37) {
        const char *name = at % 2 == 0 ? "keyring.0" : "keyring.1";

        flip(&r, name, at);
        findings[0] = '\0';
        r.k = keyring_open(&r.disk, &r.suite, TEST_SECRET, true, note, NULL, &err);
        CHECK_OK(err, r.k != NULL);
        CHECK_ROW(findings, strstr(findings, name) != NULL && strstr(findings, "header is damaged") != NULL);
        keyring_close(r.k);
        flip(&r, name, at);
    }
    flip(&r, "keyring.0", 12);
    flip(&r, "keyring.1", 500);
    CHECK(keyring_open(&r.disk, &r.suite, TEST_SECRET, true, note, NULL, &err) == NULL && err.code == ERR_DAMAGED);
    ring_done(&r);
}

TEST(rotation_heals_a_slot_that_one_copy_lost_and_keeps_a_lost_one_lost)
{
    struct error err = { 0 };
    uint8_t key[KEY_BYTES];
    struct ring r;

    ring_init(&r);
    flip(&r, "keyring.0", KEYRING_HEADER_BYTES + 5 * KEYRING_SLOT_BYTES + 40);
    flip(&r, "keyring.1", KEYRING_HEADER_BYTES + 6 * KEYRING_SLOT_BYTES + 60);
    flip(&r, "keyring.0", KEYRING_HEADER_BYTES + 9 * KEYRING_SLOT_BYTES + 60);
    flip(&r, "keyring.1", KEYRING_HEADER_BYTES + 9 * KEYRING_SLOT_BYTES + 60);
    ring_open(&r, &r.disk, TEST_SECRET);
    CHECK_OK(err, keyring_rotate(r.k, &err));
    findings[0] = '\0';
    CHECK(keyring_check(r.k, note, NULL, &err));
    CHECK_ROW(findings, strcmp(findings, "keyring: slot 9 is damaged in both copies, what it opens is lost\n") == 0);
    CHECK(!keyring_data_key(r.k, &r.seal, 9, key, &err) && err.code == ERR_DAMAGED);
    CHECK(keyring_data_key(r.k, &r.seal, 5, key, &err) && memcmp(key, r.keys[4], KEY_BYTES) == 0);
    CHECK(keyring_data_key(r.k, &r.seal, 6, key, &err) && memcmp(key, r.keys[5], KEY_BYTES) == 0);
    keyring_close(r.k);
    ring_done(&r);
}

TEST(a_hundred_thousand_slots_are_rotated)
{
    struct error err = { 0 };
    uint8_t before[KEY_BYTES], after[KEY_BYTES];
    struct ring r;

    ring_init(&r);
    ring_open(&r, &r.disk, TEST_SECRET);
    for (unsigned slots = 512; slots < 100000; slots += KEYRING_BATCH)
        CHECK(keyring_grow(r.k, &err));
    CHECK(keyring_data_key(r.k, &r.seal, 99999, before, &err));
    CHECK_OK(err, keyring_rotate(r.k, &err));
    keyring_close(r.k);
    ring_open(&r, &r.disk, TEST_SECRET);
    CHECK(keyring_data_key(r.k, &r.seal, 99999, after, &err) && memcmp(before, after, KEY_BYTES) == 0);
    CHECK(ring_is_whole(&r));
    keyring_close(r.k);
    ring_done(&r);
}

TESTS(T(four_unlockers_open_the_same_keys_and_a_fifth_has_no_place), T(counts_of_custodians_have_limits),
      T(what_is_removed_opens_nothing_and_the_last_stays), T(rotation_keeps_every_unlocker_and_every_data_key),
      T(a_stop_at_any_call_leaves_the_old_keyring_or_the_new_one),
      T(the_higher_generation_decides_and_the_other_copy_is_healed_forward),
      T(a_flipped_bit_in_one_header_is_named_and_costs_nothing),
      T(rotation_heals_a_slot_that_one_copy_lost_and_keeps_a_lost_one_lost), T(a_hundred_thousand_slots_are_rotated))
