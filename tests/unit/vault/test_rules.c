/*
 * Rules folded for want of memory: every allocation of a load is made to fail in turn. It then fails with that, or knows
 * every rule; none is left out silently. And what passes a limit says which.
 */
#include <stdlib.h>

#include "base/arena.h"
#include "vault/rules.h"

#include "store_test.h"

/* ---- the linker hands us malloc(3) and kin first ---- */

static struct {
    size_t seen, fail_at; /* from 1; 0: none */
} memory;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);

static _Thread_local bool ours; /* not the store's own threads */

static bool fails(void)
{
    return ours && ++memory.seen == memory.fail_at;
}

void *__wrap_malloc(size_t len)
{
    return fails() ? NULL : __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
    return fails() ? NULL : __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
    return fails() ? NULL : __real_realloc(p, len);
}

/* ---- a store with a rule of each kind that takes memory ---- */

#define ACCOUNTS 20u /* more than room was made for at first */
#define HOLDS    20u

static void put(struct store *s, struct writer *facts)
{
    struct append a = { .kind = RECORD_RULE, .unit = SPAN_LIT("rules"), .facts = writer_span(facts), .received_us = test_wall_us };
    struct error err = { 0 };
    uint64_t position;

    if (!store_append(s, &a, &position, &err) || test_wait(s, 1) != 1)
        abort();
    writer_done(facts);
}

static void put_account(struct store *s, unsigned n)
{
    struct writer w = writer_new(4096);
    char user[16];

    (void)snprintf(user, sizeof user, "user%u", n);
    field_put_str(&w, FIELD_FACT, "account-added");
    field_put_str(&w, FIELD_USER, user);
    put(s, &w);
}

static void put_erasing(struct store *s, const char *fact)
{
    struct writer w = writer_new(4096);
    struct erasure_unit u = { .slot = 5, .count = 1 };

    field_put_str(&w, FIELD_FACT, fact);
    field_put_str(&w, FIELD_ACTOR, "somebody");
    field_put_str(&w, FIELD_REASON, "a reason");
    field_put_uint(&w, FIELD_REQUEST, 1000);
    erasure_unit_put(&w, &u);
    put(s, &w);
}

static void put_tls(struct store *s)
{
    struct writer w = writer_new(4096);

    field_put_str(&w, FIELD_FACT, "tls-key");
    field_put_str(&w, FIELD_TLS_KEY, "a key");
    field_put_str(&w, FIELD_TLS_CERTIFICATE, "a certificate");
    put(s, &w);
}

static bool knows_all(struct rules *r)
{
    struct span key, certificate;
    struct hold hold;
    struct erasure erasure;

    return rules_count(r) == ACCOUNTS && rules_hold_at(r, HOLDS - 1, &hold) && rules_tombstones(r) == 1
           && rules_erasure_at(r, 0, &erasure) && erasure.unit_count == 1 && rules_tls(r, &key, &certificate)
           && rules_missed_first(r) == UINT64_MAX;
}

TEST(no_rule_is_left_out_for_want_of_memory)
{
    struct store_options o = test_options();
    char dir[TEST_DIR_SIZE];
    struct error err = { 0 };
    struct store *s;
    size_t refused = 0;
    bool more = true;

    test_dir(dir);
    CHECK_OK(err, store_create(dir, &o, &err));
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    for (unsigned i = 0; i < ACCOUNTS; i++)
        put_account(s, i);
    for (unsigned i = 0; i < HOLDS; i++)
        put_erasing(s, "hold-set");
    put_erasing(s, "units-erased");
    put_tls(s);
    for (size_t n = 1; more; n++) {
        struct rules *r = rules_new();
        bool ok;

        CHECK(r != NULL);
        memory.seen = 0;
        memory.fail_at = n;
        ours = true;
        ok = rules_load(r, s, &test_log, &err);
        ours = false;
        more = memory.seen >= n;
        if (ok && !knows_all(r))
            print_error("allocation %zu: it says that it knows all\n", n);
        if (!ok && err.code != ERR_MEMORY)
            print_error("allocation %zu: %s: %s\n", n, error_name(err.code), err.text);
        CHECK(ok ? knows_all(r) : err.code == ERR_MEMORY);
        refused += ok ? 0 : 1;
        rules_free(r);
    }
    print_message("# %zu allocations refused\n", refused);
    CHECK(refused > 20);
    store_close(s);
    test_remove(dir);
}

TEST(a_limit_is_told_from_want)
{
    struct arena a = arena_new(100);
    struct error err = { 0 };

    CHECK(arena_alloc(&a, 60) != NULL && arena_alloc(&a, 50) == NULL);
    CHECK(!arena_failed(&a, 50, &err, "things") && err.code == ERR_LIMIT && strstr(err.text, "things: more than 100 bytes") != NULL);
    CHECK(!arena_failed(&a, 1, &err, "things") && err.code == ERR_MEMORY);
    arena_done(&a);
}

/* A fact's own failure is what is told, whatever the others make of it. */
TEST(what_fails_says_why)
{
    struct rules *r = rules_new();
    struct writer w = writer_new(4096);
    struct error err = { 0 };

    CHECK(r != NULL);
    field_put_str(&w, FIELD_FACT, "account-changed");
    field_put_str(&w, FIELD_USER, "nobody");
    CHECK(!rules_apply(r, 0, writer_span(&w), &err) && err.code == ERR_NOT_FOUND);
    writer_done(&w);
    rules_free(r);
}

/* A back-up of the keys is one of the keyring's, and a copy that an erasure waits for. */
TEST(a_fact_is_told_to_all_who_know_it)
{
    static const uint8_t id[BACKUP_ID_BYTES] = { 7 };
    struct keys_said *keys = calloc(1, sizeof *keys);
    struct writer w = writer_new(4096), pending = writer_new(4096);
    struct rules *r = rules_new();
    struct error err = { 0 };

    CHECK(r != NULL && keys != NULL);
    field_put_str(&w, FIELD_FACT, "keys-backed-up");
    field_put_bytes(&w, FIELD_BACKUP_ID, span_of(id, sizeof id));
    CHECK_OK(err, rules_apply(r, 5, writer_span(&w), &err));
    rules_keys(r, keys);
    rules_pending(r, 9, test_wall_us, &pending);
    CHECK(keys->backup_count == 1);
    CHECK(span_equal(writer_span(&pending), SPAN_LIT("keyring back-up 5 until it is destroyed")));
    writer_done(&w);
    writer_done(&pending);
    rules_free(r);
    free(keys);
}

TESTS(T(no_rule_is_left_out_for_want_of_memory), T(a_limit_is_told_from_want), T(what_fails_says_why),
      T(a_fact_is_told_to_all_who_know_it))
