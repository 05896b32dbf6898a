/* Which copies are pending for an erasure: those that were there before it and have not applied it. */
#include "vault/copies.h"

#include "record/field.h"

#include "../test.h"

static bool say(struct copies *c, uint64_t at, const char *fact, const char *name, uint64_t position, uint64_t expires)
{
    struct writer w = writer_new(1024);
    struct error err = { 0 };
    bool ok;

    field_put_str(&w, FIELD_FACT, fact);
    field_put_str(&w, FIELD_NAME, name);
    field_put_uint(&w, FIELD_POSITION, position);
    field_put_uint(&w, (enum field)512, expires);
    ok = copies_apply(c, at, writer_span(&w), &err);
    writer_done(&w);
    return ok;
}

static bool pending_is(const struct copies *c, uint64_t tombstone, uint64_t now, const char *want)
{
    struct writer w = writer_new(4096);
    bool same;

    copies_pending(c, tombstone, now, &w);
    same = span_equal(writer_span(&w), span_str(want));
    if (!same)
        print_error("%.*s instead of %s\n", (int)w.len, (const char *)w.ptr, want);
    writer_done(&w);
    return same;
}

TEST(a_copy_is_pending_from_its_declaration_until_it_has_applied)
{
    struct copies *c = calloc(1, sizeof *c);

    CHECK(c != NULL && say(c, 10, "copy-added", "tape", 0, 0) && !say(c, 11, "copy-added", "tape", 0, 0));
    CHECK(say(c, 20, "copy-added", "disk", 0, 0) && !say(c, 21, "copy-added", "", 0, 0));
    CHECK(pending_is(c, 5, 0, "") && pending_is(c, 15, 0, "tape") && pending_is(c, 30, 0, "tape, disk"));
    CHECK(say(c, 31, "copy-applied", "tape", 30, 0) && pending_is(c, 30, 0, "tape, disk")); /* below 30 */
    CHECK(say(c, 32, "copy-applied", "tape", 31, 0) && pending_is(c, 30, 0, "disk"));
    CHECK(say(c, 33, "copy-applied", "tape", 3, 0) && pending_is(c, 30, 0, "disk")); /* it never goes back */
    CHECK(say(c, 34, "copy-removed", "disk", 0, 0) && pending_is(c, 30, 0, "") && pending_is(c, 40, 0, "tape"));
    CHECK(!say(c, 35, "copy-removed", "disk", 0, 0) && !say(c, 36, "copy-applied", "disk", 9, 0));
    free(c);
}

TEST(a_back_up_of_the_keyring_is_pending_until_it_expires)
{
    struct copies *c = calloc(1, sizeof *c);

    CHECK(c != NULL && say(c, 10, "keys-backed-up", "", 0, 1000000) && say(c, 11, "keys-backed-up", "", 0, 0));
    CHECK(pending_is(c, 9, 0, ""));
    CHECK(pending_is(c, 20, 999999,
                     "keyring back-up 10 until 1970-01-01, keyring back-up 11 until it is destroyed"));
    CHECK(pending_is(c, 20, 1000000, "keyring back-up 11 until it is destroyed"));
    for (uint64_t i = 0; i < 3 * COPIES_MAX; i++) /* more than are kept: those that never expire stay */
        CHECK(say(c, 100 + i, "keys-backed-up", "", 0, 1 + i));
    CHECK(c->backup_count == COPIES_MAX && pending_is(c, 99, UINT64_MAX, "keyring back-up 11 until it is destroyed"));
    for (uint64_t i = 0; i < 2 * COPIES_MAX; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "c%u", (unsigned)i);
        CHECK(say(c, 5000 + i, "copy-added", name, 0, 0) == (i < COPIES_MAX));
    }
    free(c);
}

TESTS(T(a_copy_is_pending_from_its_declaration_until_it_has_applied), T(a_back_up_of_the_keyring_is_pending_until_it_expires))
