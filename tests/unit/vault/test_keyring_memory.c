/*
 * What is left in memory: after a rotation no old key, after closing no key at all. The test reads its own memory as a
 * debugger would, and keeps what it looks for masked, so that it does not find itself.
 */
#include "vault/keyring.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "store_test.h"
#include "vault/custody.h"
#include "vault/locked.h"

#define MASK 0x5a

struct masked {
    uint8_t bytes[KEY_BYTES];
};

static struct masked mask_of(const uint8_t key[KEY_BYTES])
{
    struct masked m;

    for (size_t i = 0; i < KEY_BYTES; i++)
        ((volatile uint8_t *)m.bytes)[i] = key[i] ^ MASK;
    return m;
}

/* One byte at a time: a copy of the key on our own stack would be found. */
static bool is_at(const uint8_t *memory, const struct masked *m)
{
    for (size_t i = 0; i < KEY_BYTES; i++)
        if (((const volatile uint8_t *)memory)[i] != (m->bytes[i] ^ MASK))
            return false;
    return true;
}

/* How often the key is in one mapping, read in overlapping pieces. */
static unsigned count_in(int mem, unsigned long from, unsigned long to, const struct masked *m, uint8_t *piece, size_t cap)
{
    unsigned found = 0;

    for (unsigned long at = from; at + KEY_BYTES <= to; at += cap - KEY_BYTES + 1) {
        size_t len = to - at < cap ? to - at : cap;

        if (pread(mem, piece, len, (off_t)at) != (ssize_t)len)
            break;
        for (size_t i = 0; i + KEY_BYTES <= len; i++)
            found += is_at(piece + i, m);
    }
    return found;
}

static unsigned count(const struct masked *m)
{
    static uint8_t piece[1 << 20];
    FILE *maps = fopen("/proc/self/maps", "re");
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    unsigned long from, to;
    unsigned found = 0;
    char mode[8], line[512];

    if (maps == NULL || mem < 0)
        abort();
    while (fgets(line, sizeof line, maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) == 3 && mode[0] == 'r' && strstr(line, "[v") == NULL
            && to - from < 1ul << 30 && !((unsigned long)(uintptr_t)piece >= from && (unsigned long)(uintptr_t)piece < to))
            found += count_in(mem, from, to, m, piece, sizeof piece);
    fclose(maps);
    close(mem);
    return found;
}

static void ignore(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static struct keyring *open_new(struct disk *d, struct seal_suite *suite, char *dir)
{
    struct keyring *k;

    test_dir(dir);
    d->ops = &file_ops_system;
    snprintf(d->root, sizeof d->root, "%s", dir);
    if (!seal_suite_init(suite, NULL) || !keyring_create(d, suite, TEST_SECRET, 1, NULL))
        abort();
    k = keyring_open(d, suite, TEST_SECRET, false, ignore, NULL, NULL);
    if (k == NULL)
        abort();
    return k;
}

TEST(an_old_master_key_is_gone_after_a_rotation_and_all_keys_after_closing)
{
    struct masked old_master, old_wrap, master, wrap, root, data;
    uint8_t key[KEY_BYTES];
    struct seal_suite suite;
    struct keyring *k;
    struct seal s;
    struct disk d = { 0 };
    uint32_t slot;
    char dir[TEST_DIR_SIZE];

    k = open_new(&d, &suite, dir);
    old_master = mask_of(keyring_keys(k)->master);
    old_wrap = mask_of(keyring_keys(k)->wrap);
    CHECK(count(&old_master) > 0 && count(&old_wrap) > 0); /* it would be found */
    CHECK(keyring_rotate(k, NULL));
    CHECK(count(&old_master) == 0);
    CHECK(count(&old_wrap) == 0);
    CHECK(seal_init(&s, &suite, NULL));
    CHECK(keyring_slot_of(k, SPAN_LIT("study:1"), &slot, NULL) && keyring_data_key(k, &s, slot, key, NULL));
    master = mask_of(keyring_keys(k)->master);
    wrap = mask_of(keyring_keys(k)->wrap);
    root = mask_of(keyring_keys(k)->root);
    data = mask_of(key);
    seal_wipe(key, sizeof key);
    CHECK(count(&master) > 0 && count(&root) > 0 && count(&data) > 0);
    seal_done(&s);
    keyring_close(k);
    CHECK(count(&master) == 0 && count(&wrap) == 0 && count(&root) == 0 && count(&data) == 0);
    seal_suite_done(&suite);
    test_remove(dir);
}

TEST(shares_are_gone_once_they_are_put_together)
{
    const struct keyring_info info = { .unlockers = { { .kind = UNLOCKER_CUSTODIANS, .threshold = 2, .shares = 2, .added = 1 } } };
    uint8_t secret[CUSTODY_SECRET_BYTES];
    char text[SHARE_TEXT_SIZE];
    struct masked part, digits;
    struct share shares[2];
    struct custody *c = custody_new(&info, NULL);

    CHECK(c != NULL);
    custody_secret_new(secret);
    CHECK(custody_split(&info, 0, span_of(secret, sizeof secret), shares, NULL));
    part = mask_of(shares[1].bytes);
    digits = mask_of(secret + 7);
    for (int i = 0; i < 2; i++) {
        share_to_text(&shares[i], text);
        CHECK(custody_give(c, span_str(text), NULL));
    }
    CHECK(custody_secret(c, secret, NULL));
    seal_wipe(shares, sizeof shares);
    CHECK(count(&part) > 0 && count(&digits) > 0);
    custody_free(c);
    seal_wipe(secret, sizeof secret);
    seal_wipe(text, sizeof text);
    CHECK(count(&part) == 0);
    CHECK(count(&digits) == 0);
}

/* RLIMIT_MEMLOCK does not bind root: another user's process tries. */
TEST(keys_that_cannot_be_locked_are_refused)
{
    static const struct rlimit none = { 0, 0 };
    int status;
    pid_t child;

#ifdef __SANITIZE_ADDRESS__
    NOT_HERE("the sanitizer answers mlock() itself, and always with yes");
#endif
    child = fork();
    if (child == 0) {
        struct error err = { 0 };

        if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
            _exit(2);
        _exit(locked_new(64, &err) == NULL && err.code == ERR_MEMORY && strstr(err.text, "RLIMIT_MEMLOCK") != NULL ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TESTS(T(an_old_master_key_is_gone_after_a_rotation_and_all_keys_after_closing), T(shares_are_gone_once_they_are_put_together),
      T(keys_that_cannot_be_locked_are_refused))
