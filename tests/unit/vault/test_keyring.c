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

TESTS(T(a_wrong_secret_does_not_open), T(a_passphrase_opens_what_it_made), T(a_unit_keeps_its_slot_and_key),
      T(an_assignment_that_was_not_written_comes_back_from_the_log), T(one_copy_is_enough_and_the_other_is_named))
