/* Slots, secrets, the two copies. */
#include "vault/keyring.h"

#include "store_test.h"

static char findings[2000];

static void note(void *context, const char *text)
{
    (void)context;
    strncat(findings, text, sizeof findings - strlen(findings) - 1);
    strncat(findings, "\n", sizeof findings - strlen(findings) - 1);
}

struct ring {
    struct disk disk;
    struct seal_suite suite;
    struct seal seal;
    char dir[64];
};

static void ring_init(struct ring *r)
{
    test_dir(r->dir);
    r->disk.ops = &file_ops_system;
    snprintf(r->disk.root, sizeof r->disk.root, "%s", r->dir);
    findings[0] = '\0';
    if (!seal_suite_init(&r->suite, NULL) || !seal_init(&r->seal, &r->suite, NULL)
        || !keyring_create(&r->disk, &r->suite, TEST_SECRET, 1, NULL))
        abort();
}

static void ring_done(struct ring *r)
{
    seal_done(&r->seal);
    seal_suite_done(&r->suite);
    test_remove(r->dir);
}

static struct keyring *ring_open(struct ring *r, struct span secret, struct error *err)
{
    return keyring_open(&r->disk, &r->suite, secret, false, note, NULL, err);
}

static struct span unit_of(unsigned i, char *text)
{
    snprintf(text, 32, "study:1.2.%u", i);
    return span_str(text);
}

TEST(a_wrong_secret_does_not_open)
{
    const struct {
        const char *name;
        struct span secret;
    } rows[] = {
        { "another key file", SPAN_LIT("key:0123456789abcdef0123456789abcdeF") },
        { "a passphrase", SPAN_LIT("0123456789abcdef0123456789abcdef") },
        { "nothing", SPAN_LIT("") },
        { "a short key file", SPAN_LIT("key:0123") },
    };
    struct ring r;

    ring_init(&r);
    EACH(row, rows)
    {
        struct error err = { 0 };

        CHECK_ROW(row->name, ring_open(&r, row->secret, &err) == NULL && err.code == ERR_SEALED);
    }
    ring_done(&r);
}

TEST(a_passphrase_opens_what_it_made)
{
    struct ring r;
    struct keyring *k;
    struct error err = { 0 };

    ring_init(&r);
    CHECK(keyring_create(&r.disk, &r.suite, SPAN_LIT("correct horse"), 1, &err));
    CHECK(ring_open(&r, SPAN_LIT("correct house"), &err) == NULL && err.code == ERR_SEALED);
    k = ring_open(&r, SPAN_LIT("correct horse"), &err);
    CHECK_OK(err, k != NULL);
    keyring_close(k);
    ring_done(&r);
}

TEST(a_unit_keeps_its_slot_and_key)
{
    uint32_t slots[400], again;
    uint8_t keys[2][KEY_BYTES];
    struct error err = { 0 };
    struct keyring *k;
    struct ring r;
    char text[32];

    ring_init(&r);
    k = ring_open(&r, TEST_SECRET, &err);
    CHECK_OK(err, k != NULL);
    for (unsigned i = 0; i < COUNT_OF(slots); i++) {
        while (!keyring_slot_of(k, unit_of(i, text), &slots[i], &err)) {
            CHECK(err.code == ERR_BUSY && keyring_wants_growth(k));
            CHECK_OK(err, keyring_grow(k, &err));
        }
        CHECK(slots[i] == i + 1);
    }
    CHECK(keyring_data_key(k, &r.seal, slots[3], keys[0], &err) && keyring_flush(k, &err));
    for (int restart = 0; restart < 2; restart++) {
        keyring_close(k);
        k = ring_open(&r, TEST_SECRET, &err);
        CHECK_OK(err, k != NULL);
        for (unsigned i = 0; i < COUNT_OF(slots); i++)
            CHECK(keyring_slot_of(k, unit_of(i, text), &again, &err) && again == slots[i]);
        CHECK(keyring_data_key(k, &r.seal, slots[3], keys[1], &err) && memcmp(keys[0], keys[1], KEY_BYTES) == 0);
    }
    CHECK(keyring_check(k, note, NULL, &err));
    CHECK_ROW(findings, findings[0] == '\0');
    keyring_close(k);
    ring_done(&r);
}

TEST(an_assignment_that_was_not_written_comes_back_from_the_log)
{
    struct error err = { 0 };
    uint32_t slot, other;
    struct keyring *k;
    struct ring r;

    ring_init(&r);
    k = ring_open(&r, TEST_SECRET, &err);
    CHECK(keyring_slot_of(k, SPAN_LIT("study:1"), &slot, &err));
    keyring_close(k); /* never flushed */
    k = ring_open(&r, TEST_SECRET, &err);
    CHECK(keyring_assign(k, SPAN_LIT("study:1"), slot, &err)); /* what an entry behind the confirmed point says */
    CHECK(keyring_slot_of(k, SPAN_LIT("study:2"), &other, &err) && other != slot);
    keyring_burn(k, other + 5);
    CHECK(keyring_slot_of(k, SPAN_LIT("study:3"), &slot, &err) && slot == other + 6);
    keyring_close(k);
    ring_done(&r);
}

TEST(one_copy_is_enough_and_the_other_is_named)
{
    const struct {
        const char *name;
        const char *file;
        off_t at;
        const char *want;
    } rows[] = {
        { "header of copy 0", "keyring.0", 20, "keyring.0: header is damaged or missing\n" },
        { "header of copy 1", "keyring.1", 300, "keyring.1: header is damaged or missing\n" },
        { "slot of copy 0", "keyring.0", 2048 + 128 * 1 + 40, "keyring.0: slot 1 is damaged\n" },
        { "slot of copy 1", "keyring.1", 2048 + 128 * 1 + 9, "keyring.1: slot 1 is damaged\n" },
    };
    EACH(row, rows)
    {
        struct error err = { 0 };
        struct keyring *k;
        struct ring r;
        uint8_t key[KEY_BYTES];
        uint32_t slot;
        char path[128];
        uint8_t byte = 0;
        int fd;

        ring_init(&r);
        k = ring_open(&r, TEST_SECRET, &err);
        CHECK(keyring_slot_of(k, SPAN_LIT("study:1"), &slot, &err) && slot == 1 && keyring_flush(k, &err));
        keyring_close(k);
        snprintf(path, sizeof path, "%s/%s", r.dir, row->file);
        fd = open(path, O_RDWR);
        CHECK(fd >= 0 && pread(fd, &byte, 1, row->at) == 1);
        byte ^= 4;
        CHECK(pwrite(fd, &byte, 1, row->at) == 1);
        close(fd);
        k = ring_open(&r, TEST_SECRET, &err);
        CHECK_OK(err, k != NULL);
        CHECK_ROW(row->name, strcmp(findings, row->want) == 0);
        CHECK(keyring_slot_of(k, SPAN_LIT("study:1"), &slot, &err) && slot == 1);
        CHECK_OK(err, keyring_data_key(k, &r.seal, slot, key, &err));
        keyring_close(k);
        ring_done(&r);
    }
}

/* Writes `len` bytes of `value` at `at` into both copies. */
static void spoil(struct ring *r, off_t at, size_t len, int value)
{
    uint8_t bytes[KEYRING_SLOT_BYTES * 4];
    char path[128];

    memset(bytes, value, sizeof bytes);
    for (int copy = 0; copy < 2; copy++) {
        int fd;

        snprintf(path, sizeof path, "%s/keyring.%d", r->dir, copy);
        fd = open(path, O_RDWR);
        if (fd < 0 || pwrite(fd, bytes, len, at) != (ssize_t)len)
            abort();
        close(fd);
    }
}

#define SLOT_AT(n) (KEYRING_HEADER_BYTES + (off_t)(n)*KEYRING_SLOT_BYTES)

/* Zeros are no excuse: only where a growth can have been cut is a slot made that neither copy holds. */
TEST(zeros_in_both_copies_are_a_loss_and_are_not_made_anew)
{
    const struct {
        const char *name;
        unsigned units, slot;
        bool lost;
    } rows[] = {
        { "the signing key", 3, 0, true },
        { "a slot in use", 3, 2, true },
        { "a ready slot of the first batch", 3, 100, true },
        { "a slot in use of an older batch", 300, 7, true },
        { "a slot in use of the last batch", 300, 290, true },
        { "a ready slot of the last batch", 300, 400, false },
    };
    EACH(row, rows)
    {
        struct error err = { 0 };
        struct keyring *k;
        struct ring r;
        char text[32], want[100];
        uint8_t key[KEY_BYTES];
        uint32_t slot;

        ring_init(&r);
        k = ring_open(&r, TEST_SECRET, &err);
        for (unsigned i = 0; i < row->units; i++)
            while (!keyring_slot_of(k, unit_of(i, text), &slot, &err))
                CHECK_OK(err, keyring_grow(k, &err));
        CHECK(keyring_flush(k, &err));
        keyring_close(k);
        spoil(&r, SLOT_AT(row->slot), KEYRING_SLOT_BYTES, 0);
        snprintf(want, sizeof want, "keyring: slot %u is damaged in both copies, what it opens is lost\n", row->slot);
        k = ring_open(&r, TEST_SECRET, &err);
        CHECK_OK(err, k != NULL);
        CHECK_ROW(row->name, strcmp(findings, row->lost ? want : "") == 0);
        CHECK_ROW(row->name, keyring_data_key(k, &r.seal, row->slot, key, &err) == !row->lost);
        findings[0] = '\0';
        CHECK(keyring_check(k, note, NULL, &err));
        CHECK_ROW(row->name, strcmp(findings, row->lost ? want : "") == 0);
        keyring_close(k);
        ring_done(&r);
    }
}

TEST(a_lost_slot_is_given_to_no_unit)
{
    struct error err = { 0 };
    struct keyring *k;
    struct ring r;
    uint8_t key[KEY_BYTES];
    uint32_t slot;

    ring_init(&r);
    spoil(&r, SLOT_AT(1), 2 * KEYRING_SLOT_BYTES, 0x5a);
    k = ring_open(&r, TEST_SECRET, &err);
    CHECK(keyring_slot_of(k, SPAN_LIT("study:1"), &slot, &err) && slot == 3);
    CHECK_OK(err, keyring_data_key(k, &r.seal, slot, key, &err));
    spoil(&r, SLOT_AT(4), KEYRING_SLOT_BYTES, 0); /* while it is open */
    CHECK(keyring_slot_of(k, SPAN_LIT("study:2"), &slot, &err) && slot == 5);
    keyring_close(k);
    ring_done(&r);
}

static bool refused;

static ssize_t write_or_refuse(void *context, int fd, const void *bytes, size_t len, off_t at)
{
    (void)context;
    if (refused) {
        errno = ENOSPC;
        return -1;
    }
    return pwrite(fd, bytes, len, at);
}

/* A unit whose slot was closed goes on in another one, also where writing them failed in between. */
TEST(a_flush_that_fails_brings_no_closed_slot_back)
{
    struct file_ops ops = file_ops_system;
    uint8_t tag[KEYRING_TAG_BYTES];
    struct error err = { 0 };
    uint32_t old, now, again;
    struct keyring *k;
    struct ring r;

    ring_init(&r);
    ops.pwrite = write_or_refuse;
    r.disk.ops = &ops;
    k = ring_open(&r, TEST_SECRET, &err);
    CHECK(keyring_slot_of(k, SPAN_LIT("study:1"), &old, &err));
    keyring_unit_tag(k, SPAN_LIT("study:1"), tag);
    CHECK(keyring_close_slot(k, old, tag, &err));
    CHECK(keyring_slot_of(k, SPAN_LIT("study:1"), &now, &err) && now != old);
    refused = true;
    CHECK(!keyring_flush(k, &err) && err.code == ERR_NO_SPACE);
    refused = false;
    CHECK(keyring_slot_of(k, SPAN_LIT("study:1"), &again, &err) && again == now);
    CHECK_OK(err, keyring_flush(k, &err)); /* nothing was forgotten */
    CHECK(keyring_slot_state(k, old) == SLOT_ASSIGNED && keyring_slot_state(k, now) == SLOT_ASSIGNED);
    keyring_close(k);
    ring_done(&r);
}

TESTS(T(a_wrong_secret_does_not_open), T(a_passphrase_opens_what_it_made), T(a_unit_keeps_its_slot_and_key),
      T(an_assignment_that_was_not_written_comes_back_from_the_log), T(one_copy_is_enough_and_the_other_is_named),
      T(zeros_in_both_copies_are_a_loss_and_are_not_made_anew), T(a_lost_slot_is_given_to_no_unit),
      T(a_flush_that_fails_brings_no_closed_slot_back))
