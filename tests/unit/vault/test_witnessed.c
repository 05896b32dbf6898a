/* What a witness saw of other logs: kept as rules of its own, over restarts, without making starts slow. */
#include "vault/vault.h"

#include "store_test.h"

#include <openssl/crypto.h>
#include <stdatomic.h>

#include "record/note.h"
#include "vault/anchor.h"
#include "vault/merkle.h"
#include "vault/store_internal.h"

/* ---- OpenSSL asks us for memory ---- */

static atomic_bool starved;

static void *give(size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return atomic_load(&starved) ? NULL : malloc(len);
}

static void *give_more(void *p, size_t len, const char *file, int line)
{
    (void)file;
    (void)line;
    return atomic_load(&starved) ? NULL : realloc(p, len);
}

static void take_back(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    free(p);
}

__attribute__((constructor)) static void ask_us(void)
{
    if (CRYPTO_set_mem_functions(give, give_more, take_back) != 1)
        abort();
}

static struct vault *reopened(struct vault *v, const char *dir)
{
    struct vault_options options = { .store = test_options(), .timezone = "UTC" };
    struct error err = { 0 };

    vault_close(v);
    v = vault_open(dir, &options, &err);
    if (v == NULL)
        print_error("%s\n", err.text);
    return v;
}

static struct vault *begun(char *dir)
{
    struct vault_options options = { .store = test_options(), .timezone = "UTC" };

    test_dir(dir);
    if (!vault_create(dir, &options, NULL))
        abort();
    return reopened(NULL, dir);
}

static void settle(struct vault *v)
{
    struct completion c[16];

    store_kick(vault_store(v));
    while (vault_completed(v, c, 16) == 0) {
        struct pollfd p = { .fd = store_event_fd(vault_store(v)), .events = POLLIN };

        (void)poll(&p, 1, 10000);
    }
}

static bool see(struct vault *v, const char *origin, uint64_t size)
{
    uint8_t root[ROOT_BYTES] = { (uint8_t)size, (uint8_t)(size >> 8) };
    uint64_t position;

    if (!vault_witness(v, span_str(origin), size, root, test_wall_us, NULL, &position, NULL))
        return false;
    settle(v);
    return true;
}

static bool seen(struct vault *v, const char *origin, uint64_t size)
{
    uint8_t root[ROOT_BYTES] = { 0 };
    uint64_t got;
    bool found = vault_witnessed(v, span_str(origin), &got, root);

    return found == (size > 0) && got == size && root[0] == (uint8_t)size && root[1] == (uint8_t)(size >> 8);
}

static void add_account(struct vault *v, const char *user, bool wait)
{
    struct writer w = writer_new(4096);
    struct append a = { .kind = RECORD_RULE, .unit = SPAN_LIT("rules"), .received_us = test_wall_us };
    uint64_t position;

    field_put_str(&w, FIELD_FACT, "account-added");
    field_put_str(&w, FIELD_USER, user);
    a.facts = writer_span(&w);
    if (!vault_append(v, &a, &position, NULL))
        abort();
    writer_done(&w);
    if (wait)
        settle(v);
}

static bool count_rule(void *context, const struct entry *e, struct span facts)
{
    (void)e;
    (void)facts;
    ++*(unsigned *)context;
    return true;
}

static unsigned rules_walked(struct vault *v)
{
    unsigned count = 0;

    (void)store_walk_rules(vault_store(v), count_rule, NULL, &count, NULL);
    return count;
}

/* Turns a bit in the header of the n-th entry (from 0) of the first segment; again: as it was. */
static void rot(const char *dir, unsigned n)
{
    struct writer w = writer_new((size_t)16 << 20);
    char path[128];
    uint8_t byte;
    size_t at = 0;

    (void)snprintf(path, sizeof path, "%s/vault/log/00000000.seg", dir);
    CLEANUP(file_close) int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || !file_slurp(path, &w, NULL))
        abort();
    for (unsigned seen = 0; at + 4 < w.len && (memcmp(w.ptr + at, "FNLE", 4) != 0 || seen++ < n); at++)
        ;
    byte = w.ptr[at + 8] ^ 0x20;
    if (at + 4 >= w.len || !file_write_at(fd, span_of(&byte, 1), at + 8, NULL))
        abort();
    writer_done(&w);
}

/* A rule that could not be read once is not jumped over for ever by the chain that witnessing makes. */
TEST(a_rule_that_was_missed_once_is_not_passed_over_for_ever)
{
    char dir[TEST_DIR_SIZE];
    struct vault *v = begun(dir);
    struct account account;
    uint64_t at;

    add_account(v, "first", true);
    at = store_committed_size(vault_store(v));
    add_account(v, "second", true);
    CHECK(see(v, "a", 7) && !vault_would_know_more(v));
    vault_close(v);
    rot(dir, (unsigned)at);
    v = reopened(NULL, dir);
    CHECK(v != NULL && vault_account(v, SPAN_LIT("first"), &account) && !vault_account(v, SPAN_LIT("second"), &account));
    CHECK(!vault_would_know_more(v) && see(v, "a", 9) && see(v, "a", 11));
    rot(dir, (unsigned)at);
    CHECK(vault_would_know_more(v));
    v = reopened(v, dir);
    CHECK(v != NULL && vault_account(v, SPAN_LIT("first"), &account) && vault_account(v, SPAN_LIT("second"), &account));
    CHECK(seen(v, "a", 11) && !vault_would_know_more(v));
    vault_close(v);
    test_remove(dir);
}

/* The newest memory does not read: an older one would let a fork be cosigned. Nothing is, until it reads again. */
TEST(in_doubt_nothing_is_witnessed)
{
    uint8_t root[ROOT_BYTES] = { 8 };
    char dir[TEST_DIR_SIZE];
    struct vault *v = begun(dir);
    struct error err = { 0 };
    uint64_t newest, position;

    CHECK(!vault_witness_in_doubt(v) && see(v, "a", 7));
    newest = store_committed_size(vault_store(v));
    CHECK(see(v, "a", 9));
    vault_close(v);
    rot(dir, (unsigned)newest);
    v = reopened(NULL, dir);
    CHECK(v != NULL && seen(v, "a", 7) && vault_witness_in_doubt(v)); /* 8 would be a fork of 9 */
    CHECK(!vault_witness(v, SPAN_LIT("a"), 8, root, test_wall_us, NULL, &position, &err) && err.code == ERR_BUSY);
    add_account(v, "later", true); /* which says nothing of the logs */
    CHECK(vault_witness_in_doubt(v) && !vault_would_know_more(v));
    rot(dir, (unsigned)newest);
    CHECK(vault_would_know_more(v));
    v = reopened(v, dir);
    CHECK(v != NULL && seen(v, "a", 9) && !vault_witness_in_doubt(v) && see(v, "a", 11));
    vault_close(v);
    test_remove(dir);
}

/* A log that grew from one record to two proves it; without memory nobody can say whether it did. */
TEST(want_of_memory_is_no_proof_that_fails)
{
    struct hash leaves[2] = { { { 1 } }, { { 2 } } }, root;
    struct witness_request r = { .old_size = 1, .proof_count = 1 };
    struct checkpoint grown = { .size = 2 };
    char dir[TEST_DIR_SIZE];
    struct vault *v = begun(dir);
    struct store *s = vault_store(v);
    struct error err = { 0 };
    struct seal seal;

    CHECK_OK(err, seal_init(&seal, &s->suite, &err) && merkle_node(&seal, &leaves[0], &leaves[1], &root, &err));
    memcpy(r.proof[0], leaves[1].bytes, ROOT_BYTES);
    memcpy(grown.root, root.bytes, ROOT_BYTES);
    CHECK_OK(err, anchor_extends(s, &r, leaves[0].bytes, &grown, &err));
    atomic_store(&starved, true);
    CHECK(!anchor_extends(s, &r, leaves[0].bytes, &grown, &err));
    atomic_store(&starved, false);
    CHECK(err.code == ERR_MEMORY);
    grown.root[0] ^= 1;
    CHECK(!anchor_extends(s, &r, leaves[0].bytes, &grown, &err) && err.code == ERR_REFUSED);
    seal_done(&seal);
    vault_close(v);
    test_remove(dir);
}

TEST(what_was_seen_is_kept_over_restarts)
{
    char dir[TEST_DIR_SIZE];
    struct vault *v = begun(dir);

    CHECK(seen(v, "a", 0) && see(v, "a", 7) && seen(v, "a", 7) && seen(v, "b", 0));
    CHECK(see(v, "b", 300) && see(v, "a", 9) && seen(v, "a", 9) && seen(v, "b", 300));
    v = reopened(v, dir);
    CHECK(v != NULL && seen(v, "a", 9) && seen(v, "b", 300) && seen(v, "c", 0));
    CHECK(see(v, "c", 1));
    v = reopened(v, dir);
    CHECK(v != NULL && seen(v, "a", 9) && seen(v, "b", 300) && seen(v, "c", 1));
    vault_close(v);
    test_remove(dir);
}

TEST(a_start_does_not_read_them_all_and_loses_no_other_rule)
{
    char dir[TEST_DIR_SIZE], user[16];
    struct vault *v = begun(dir);
    struct account account;

    for (unsigned round = 0; round < 10; round++) {
        (void)snprintf(user, sizeof user, "user%u", round);
        add_account(v, user, round % 2 == 0); /* every other one is still on its way when the next is seen */
        for (unsigned i = 1; i <= 40; i++)
            CHECK(see(v, i % 2 == 0 ? "a" : "b", round * 40 + i));
    }
    v = reopened(v, dir);
    CHECK(v != NULL && seen(v, "a", 400) && seen(v, "b", 399) && vault_account_count(v) == 10);
    for (unsigned round = 0; round < 10; round++) {
        (void)snprintf(user, sizeof user, "user%u", round);
        CHECK_ROW(user, vault_account(v, span_str(user), &account));
    }
    CHECK(rules_walked(v) <= 10 + 2 * 10); /* of 410 */
    vault_close(v);
    test_remove(dir);
}

TEST(one_log_too_many_is_not_witnessed)
{
    char dir[TEST_DIR_SIZE], origin[16];
    struct vault *v = begun(dir);

    for (unsigned i = 0; i < 64; i++) {
        (void)snprintf(origin, sizeof origin, "log%u", i);
        CHECK(see(v, origin, i + 1));
    }
    CHECK(!see(v, "another", 1) && see(v, "log63", 900));
    v = reopened(v, dir);
    CHECK(v != NULL && seen(v, "log0", 1) && seen(v, "log63", 900) && seen(v, "another", 0));
    vault_close(v);
    test_remove(dir);
}

TESTS(T(want_of_memory_is_no_proof_that_fails), T(in_doubt_nothing_is_witnessed), T(a_rule_that_was_missed_once_is_not_passed_over_for_ever),
      T(what_was_seen_is_kept_over_restarts), T(a_start_does_not_read_them_all_and_loses_no_other_rule),
      T(one_log_too_many_is_not_witnessed))
