/*
 * The cold twin: follows, resumes wherever it was interrupted, refuses what is not the first's history, is promoted.
 */
#include <sodium.h>

#include "twin_test.h"
#include "vault/store_internal.h"

TEST(follows_without_a_secret_and_opens_with_it)
{
    char dir[TEST_DIR_SIZE];
    struct first f;
    struct error err = { 0 };
    struct twin_figures figures;
    struct twin *t;

    first_make(&f);
    first_fill(&f, 60);
    twin_filled(dir, &f);
    t = twin_at(dir, true, &err);
    CHECK_OK(err, t != NULL);
    CHECK_OK(err, all_there(twin_store(t), &f, &err));
    twin_figures(t, &figures);
    CHECK(figures.size == f.count && figures.missing == 0 && figures.current_us == test_wall_us);
    twin_close(t);
    CHECK_OK(err, twin_figures_of(dir, &figures, &err));
    CHECK(figures.size == f.count);
    first_done(&f);
    test_remove(dir);
}

TEST(a_wrong_secret_opens_nothing)
{
    char dir[TEST_DIR_SIZE];
    struct first f;
    struct error err = { 0 };
    struct store_options o;

    first_make(&f);
    first_fill(&f, 3);
    twin_make(dir);
    CHECK(twin_at(dir, true, &err) == NULL && err.code == ERR_NOT_FOUND); /* it has no keyring yet */
    test_remove(dir);
    twin_filled(dir, &f);
    o = twin_options(true, NULL);
    o.secret = SPAN_LIT("key:another-secret-another-secret-another");
    CHECK(twin_open(dir, &o, &err) == NULL && err.code == ERR_SEALED);
    o = test_options();
    CHECK(store_open(dir, &o, &err) == NULL && err.code == ERR_USAGE); /* a twin is no first machine */
    first_done(&f);
    test_remove(dir);
}

TEST(follows_a_living_first_while_it_is_read)
{
    char dir[TEST_DIR_SIZE];
    struct first f;
    struct error err = { 0 };
    struct lie l;
    struct twin *t;

    first_make(&f);
    first_fill(&f, 5);
    twin_filled(dir, &f);
    l = (struct lie){ .store = f.store };
    t = twin_at(dir, true, &err);
    CHECK_OK(err, t != NULL);
    for (int i = 0; i < 12; i++) {
        first_fill(&f, 7);
        CHECK_OK(err, follow_all(t, &l, &err));
        CHECK_OK(err, all_there(twin_store(t), &f, &err));
    }
    twin_close(t);
    first_done(&f);
    test_remove(dir);
}

/* The link dies at its n-th call, for n = 1, 2, 3 …: what was a step's is kept, the rest comes later. */
TEST(resumes_wherever_the_link_died)
{
    struct first f;
    bool died = true;

    first_make(&f);
    first_fill(&f, 25);
    for (size_t n = 1; died; n++) {
        char dir[TEST_DIR_SIZE];
        struct error err = { 0 };
        struct lie l = { .store = f.store, .fail_at = n };
        uint64_t size;
        struct twin *t;

        twin_make(dir);
        t = twin_at(dir, false, &err);
        CHECK_OK(err, t != NULL);
        died = !follow_all(t, &l, &err);
        CHECK(!died || err.code == ERR_CLOSED);
        size = store_committed_size(twin_store(t));
        twin_close(t);
        if (size == 0) /* whatever of a keyring came: it is nobody's twin yet, and says so */
            CHECK(twin_at(dir, true, &err) == NULL && err.code == ERR_NOT_FOUND);
        err = (struct error){ 0 };
        l.fail_at = 0;
        t = twin_at(dir, false, &err);
        CHECK_OK(err, t != NULL && follow_all(t, &l, &err));
        twin_close(t);
        t = twin_at(dir, true, &err);
        CHECK_OK(err, t != NULL && all_there(twin_store(t), &f, &err));
        twin_close(t);
        test_remove(dir);
    }
    first_done(&f);
}

/* A bit flips, or an answer is cut, in the n-th answer: nothing of that step is taken, and the next try is clean. */
TEST(takes_nothing_that_does_not_verify)
{
    struct first f;
    size_t refused = 0;

    first_make(&f);
    first_fill(&f, 25);
    for (int cut = 0; cut < 2; cut++) {
        bool lied = true;

        for (size_t n = 1; lied; n++) {
            char dir[TEST_DIR_SIZE];
            struct error err = { 0 };
            struct lie l = { .store = f.store, .flip_at = cut ? 0 : n, .short_at = cut ? n : 0 };
            struct twin *t;

            twin_make(dir);
            t = twin_at(dir, false, &err);
            CHECK_OK(err, t != NULL);
            if (!follow_all(t, &l, &err)) {
                refused++;
                CHECK(err.code == ERR_DAMAGED || err.code == ERR_REFUSED || err.code == ERR_MALFORMED);
                CHECK(store_committed_size(twin_store(t)) == 0);
            }
            lied = l.calls >= n;
            l.flip_at = l.short_at = 0;
            CHECK_OK(err, follow_all(t, &l, &err));
            twin_close(t);
            t = twin_at(dir, true, &err);
            /* A flipped keyring slot cannot be seen without the secret: the record behind it is then named. */
            CHECK_OK(err, t != NULL);
            twin_close(t);
            test_remove(dir);
        }
    }
    CHECK(refused > 10);
    first_done(&f);
}

/* A source between an honest first and its twin: no key, but everything passes through its hands. */
struct between {
    struct lie l;
    uint32_t segment, offset; /* of the log: here it puts in… */
    struct writer marker;     /* … an empty commit */
    bool forge_keyring;       /* another header, and the log does not come */
    uint8_t header[KEYRING_HEADER_BYTES];
};

static bool between_head(void *context, address from, uint64_t position, uint64_t applied, struct follow_head *out,
                         struct error *err)
{
    struct between *b = context;

    if (!lie_head(&b->l, from, position, applied, out, err))
        return false;
    if (b->forge_keyring)
        (void)crypto_hash_sha256(out->keyring_digest, b->header, sizeof b->header);
    return true;
}

static bool between_read(void *context, const struct follow_range *range, uint8_t *out, size_t len, size_t *got,
                         struct error *err)
{
    struct between *b = context;

    if (b->forge_keyring && range->part == FOLLOW_LOG)
        return error_set(err, ERR_CLOSED, "the link is gone");
    if (b->forge_keyring && range->part == FOLLOW_KEYRING && range->offset == 0) {
        memcpy(out, b->header, sizeof b->header);
        *got = sizeof b->header;
        return true;
    }
    if (range->part == FOLLOW_LOG && b->marker.len > 0 && range->segment == b->segment && range->offset >= b->offset
        && range->offset < b->offset + b->marker.len) {
        struct span left = span_part(writer_span(&b->marker), (size_t)(range->offset - b->offset), b->marker.len);

        *got = left.len < len ? left.len : len;
        memcpy(out, left.ptr, *got);
        return true;
    }
    return lie_read(&b->l, range, out, len, got, err);
}

/* Empty commits could go on for ever: offsets of a segment would wrap, and what was accepted be written over. */
TEST(empty_commits_of_a_liar_are_not_taken)
{
    char dir[TEST_DIR_SIZE];
    struct first f;
    struct error err = { 0 };
    struct between b = { .marker = writer_new(4096) };
    struct twin_source source = { &b, between_head, between_read };
    struct log_end *told;
    struct twin *t;
    struct marker m;
    bool more;

    first_make(&f);
    f.tuning.segment_bytes = 1 << 20;
    first_fill(&f, 5);
    twin_filled(dir, &f);
    told = &f.store->told;
    m = told->marker;
    m.previous = told->marker_hash;
    m.batch = address_of(told->segment, told->offset);
    m.commit++;
    m.count = 0;
    b.segment = told->segment;
    b.offset = told->offset;
    marker_encode(&m, NULL, (const uint8_t[KEY_BYTES]){ 0 }, &b.marker);
    first_fill(&f, 3);
    b.l.store = f.store;
    t = twin_at(dir, false, &err);
    CHECK_OK(err, t != NULL);
    CHECK(!twin_round(t, &source, &more, &err) && err.code == ERR_DAMAGED && strstr(err.text, "is empty") != NULL);
    writer_reset(&b.marker);
    CHECK_OK(err, twin_round(t, &source, &more, &err));
    twin_close(t);
    t = twin_at(dir, true, &err);
    CHECK_OK(err, t != NULL && all_there(twin_store(t), &f, &err));
    twin_close(t);
    writer_done(&b.marker);
    first_done(&f);
    test_remove(dir);
}

TEST(a_round_that_comes_to_nothing_leaves_the_keyring)
{
    char dir[TEST_DIR_SIZE], path[TEST_DIR_SIZE + 32];
    struct writer before = writer_new(1 << 22), after = writer_new(1 << 22);
    struct first f;
    struct error err = { 0 };
    struct between b = { .forge_keyring = true };
    struct twin_source source = { &b, between_head, between_read };
    struct twin_figures figures;
    struct twin *t;
    bool more;

    first_make(&f);
    first_fill(&f, 5);
    twin_filled(dir, &f);
    first_fill(&f, 5);
    b.l.store = f.store;
    snprintf(path, sizeof path, "%s/vault/keyring.0", dir);
    CHECK_OK(err, file_slurp(path, &before, &err));
    t = twin_at(dir, false, &err);
    CHECK_OK(err, t != NULL);
    CHECK(!twin_round(t, &source, &more, &err) && err.code == ERR_CLOSED);
    CHECK(file_slurp(path, &after, NULL) && span_equal(writer_span(&before), writer_span(&after)));
    CHECK(pwrite(open(path, O_WRONLY | O_CLOEXEC), b.header, sizeof b.header, 0) == (ssize_t)sizeof b.header);
    b.forge_keyring = false; /* a keyring that vault/twin does not speak of, as a cut may leave it: it is taken again */
    CHECK_OK(err, twin_round(t, &source, &more, &err));
    twin_figures(t, &figures);
    CHECK(figures.size == f.count);
    twin_close(t);
    t = twin_at(dir, true, &err);
    CHECK_OK(err, t != NULL && all_there(twin_store(t), &f, &err));
    twin_close(t);
    writer_done(&before);
    writer_done(&after);
    first_done(&f);
    test_remove(dir);
}

TEST(refuses_a_first_that_was_rolled_back_or_shows_another_history)
{
    char dir[TEST_DIR_SIZE], old[TEST_DIR_SIZE];
    struct first f, g;
    struct error err = { 0 };
    struct lie l;
    struct twin *t;

    first_make(&f);
    first_fill(&f, 12);
    store_close(f.store);
    test_dir(old);
    test_copy(f.dir, old); /* yesterday's disk image */
    CHECK(first_open(&f) != NULL);
    first_fill(&f, 12);
    twin_filled(dir, &f);
    t = twin_at(dir, false, &err);
    CHECK_OK(err, t != NULL);

    g = f;
    memcpy(g.dir, old, sizeof old);
    g.count = 12;
    CHECK(first_open(&g) != NULL);
    l = (struct lie){ .store = g.store };
    CHECK(!follow_all(t, &l, &err) && err.code == ERR_REFUSED && strstr(err.text, "rolled back") != NULL);
    first_fill(&g, 12); /* as many records, others */
    CHECK(!follow_all(t, &l, &err) && err.code == ERR_REFUSED && strstr(err.text, "split view") != NULL);
    first_fill(&g, 12); /* and more */
    CHECK(!follow_all(t, &l, &err) && err.code == ERR_REFUSED);
    CHECK(store_committed_size(twin_store(t)) == f.count);

    l.store = f.store; /* the true one is still followed */
    first_fill(&f, 3);
    CHECK_OK(err, follow_all(t, &l, &err));
    twin_close(t);
    t = twin_at(dir, true, &err);
    CHECK_OK(err, t != NULL && all_there(twin_store(t), &f, &err));
    twin_close(t);
    first_done(&g);
    first_done(&f);
    test_remove(dir);
}

TEST(refuses_another_vault)
{
    char dir[TEST_DIR_SIZE];
    struct first f, g;
    struct error err = { 0 };
    struct lie l;
    struct twin *t;

    first_make(&f);
    first_fill(&f, 3);
    first_make(&g);
    first_fill(&g, 9);
    twin_filled(dir, &f);
    t = twin_at(dir, false, &err);
    CHECK_OK(err, t != NULL);
    l = (struct lie){ .store = g.store };
    CHECK(!follow_all(t, &l, &err) && err.code == ERR_REFUSED);
    twin_close(t);
    first_done(&f);
    first_done(&g);
    test_remove(dir);
}

TEST(a_body_that_expired_on_the_first_is_left_out_and_counted)
{
    char dir[TEST_DIR_SIZE];
    struct first f;
    struct error err = { 0 };
    struct lie l;
    struct twin_figures figures;
    struct twin *t;

    first_make(&f);
    first_append(&f, 3 << 20);
    first_append(&f, NO_BODY);
    CHECK(test_wait(f.store, 2) == 2);
    l = (struct lie){ .store = f.store, .absent = FOLLOW_LARGE };
    twin_make(dir);
    t = twin_at(dir, false, &err);
    CHECK_OK(err, t != NULL && follow_all(t, &l, &err));
    twin_figures(t, &figures);
    CHECK(figures.missing == 1 && figures.size == 2);
    twin_close(t);
    t = twin_at(dir, true, &err);
    CHECK_OK(err, t != NULL && test_same(twin_store(t), 1, 1, NO_BODY, &err));
    CHECK(!test_same(twin_store(t), 0, 0, 3 << 20, &err) && err.code == ERR_DAMAGED);
    twin_close(t);
    first_done(&f);
    test_remove(dir);
}

static void count_verify(void *context, const char *finding)
{
    print_error("%s\n", finding);
    ++*(size_t *)context;
}

/* ---- promotion ---- */

static void count_findings(void *context, const char *finding)
{
    (void)finding;
    ++*(size_t *)context;
}

static struct store *promote(const char *dir, struct twin_promotion *out, struct error *err)
{
    struct store_options o = test_options();
    size_t findings = 0;
    struct store *s;

    if (!twin_promote(dir, &o, count_findings, &findings, out, err))
        return NULL;
    if (store_open(dir, &o, err) != NULL || err->code != ERR_USAGE) /* not finished */
        abort();
    if (!twin_promote(dir, &o, count_findings, &findings, out, err)) /* and again, as after an interruption */
        return NULL;
    o.promoting = true;
    s = store_open(dir, &o, err);
    if (s != NULL)
        store_close(s);
    o.promoting = false;
    return s != NULL && twin_promoted(dir, &o, err) ? store_open(dir, &o, err) : NULL;
}

static bool is_event(struct store *s, uint64_t position, struct span name)
{
    struct writer facts = writer_new(FACTS_STORED_MAX);
    struct error err = { 0 };
    struct entry e;
    bool is = store_read_entry(s, position, &e, &facts, &err) && e.kind == RECORD_EVENT
              && span_equal(fields_text(writer_span(&facts), FIELD_EVENT), name);

    writer_done(&facts);
    return is;
}

/* A step that did not end is not taken up by the promotion: what the twin said it has is there, whole, and nothing else. */
TEST(promoted_wherever_the_link_died_it_has_whole_steps)
{
    bool died = true;

    for (size_t n = 1; died; n += 2) {
        char dir[TEST_DIR_SIZE];
        struct first f;
        struct error err = { 0 };
        struct lie l;
        struct twin_promotion p;
        uint64_t findings = 0;
        size_t said = 0, had;
        struct store *s;
        struct twin *t;

        first_make(&f);
        first_fill(&f, 10);
        twin_filled(dir, &f);
        first_fill(&f, 30);
        t = twin_at(dir, false, &err);
        l = (struct lie){ .store = f.store, .fail_at = n };
        died = !follow_all(t, &l, &err);
        had = (size_t)store_committed_size(twin_store(t));
        twin_close(t);
        s = promote(dir, &p, &err);
        CHECK_OK(err, s != NULL);
        CHECK(p.size == had);
        for (uint64_t i = had; i < store_committed_size(s); i++)
            CHECK(is_event(s, i, SPAN_LIT("recovery.cut"))); /* body files, for one */
        CHECK_OK(err, store_verify(s, count_verify, &said, &findings, &err));
        CHECK(findings == 0);
        store_close(s);
        first_done(&f);
        test_remove(dir);
    }
}

TEST(promoted_it_goes_on_and_shares_no_slot_with_the_old_first)
{
    char dir[TEST_DIR_SIZE];
    struct first f;
    struct error err = { 0 };
    struct twin_promotion p;
    uint64_t findings = 0, position;
    size_t said = 0;
    struct store *s;

    first_make(&f);
    first_fill(&f, 40);
    twin_filled(dir, &f);
    s = promote(dir, &p, &err);
    CHECK_OK(err, s != NULL);
    CHECK(p.size == f.count && p.findings == 0 && p.written_us == test_wall_us);
    CHECK_OK(err, all_there(s, &f, &err));

    /* Split brain: both go on with new units. What one erases must not be the other's. */
    CHECK_OK(err, test_append(s, RECORD_DICOM, "study:of-the-new", 1000, 500, &position, &err));
    CHECK(test_wait(s, 1) == 1);
    CHECK_OK(err, test_append(f.store, RECORD_DICOM, "study:of-the-old", 2000, 500, &position, &err));
    CHECK(test_wait(f.store, 1) == 1);
    CHECK(position == f.count);
    for (int i = 0; i < 2; i++) {
        struct store *x = i == 0 ? s : f.store;
        struct follow_range r = { .part = FOLLOW_LOG };
        struct entry_header h, last = { 0 };
        static uint8_t bytes[1 << 20];
        static uint32_t slots[2];
        size_t got;

        for (r.segment = 0; store_follow_read(x, &r, bytes, sizeof bytes, &got, &err); r.segment++)
            for (size_t at = SEGMENT_HEADER_BYTES; at + ENTRY_HEADER_BYTES <= got; at += RECORD_ALIGN)
                if (entry_header_decode(span_of(bytes + at, got - at), &h, NULL))
                    last = h;
        CHECK(last.position == f.count);
        slots[i] = last.slot;
        CHECK(i == 0 || slots[0] != slots[1]);
        CHECK(i == 1 || last.slot >= 256); /* beyond every slot that was ready on the first */
    }
    CHECK_OK(err, store_verify(s, count_verify, &said, &findings, &err));
    CHECK(findings == 0);
    store_close(s);
    first_done(&f);
    test_remove(dir);
}

TEST(a_promoted_one_can_be_followed_and_the_old_first_cannot_go_on_unnoticed)
{
    char dir[TEST_DIR_SIZE], second[TEST_DIR_SIZE];
    struct first f;
    struct error err = { 0 };
    struct twin_promotion p;
    struct lie l;
    struct twin *t;
    struct store *s;

    first_make(&f);
    first_fill(&f, 10);
    twin_filled(dir, &f);
    twin_filled(second, &f); /* another twin of the same first */
    s = promote(dir, &p, &err);
    CHECK_OK(err, s != NULL);
    struct first g = { .store = s };
    first_fill(&g, 9);
    first_fill(&f, 9); /* the old first has not noticed */
    t = twin_at(second, false, &err);
    CHECK_OK(err, t != NULL);
    l = (struct lie){ .store = s };
    CHECK_OK(err, follow_all(t, &l, &err));
    l.store = f.store;
    CHECK(!follow_all(t, &l, &err) && err.code == ERR_REFUSED);
    twin_close(t);
    store_close(s);
    first_done(&f);
    test_remove(dir);
    test_remove(second);
}

TESTS(T(follows_without_a_secret_and_opens_with_it), T(a_wrong_secret_opens_nothing),
      T(follows_a_living_first_while_it_is_read), T(resumes_wherever_the_link_died),
      T(promoted_wherever_the_link_died_it_has_whole_steps), T(takes_nothing_that_does_not_verify),
      T(empty_commits_of_a_liar_are_not_taken), T(a_round_that_comes_to_nothing_leaves_the_keyring),
      T(refuses_a_first_that_was_rolled_back_or_shows_another_history), T(refuses_another_vault),
      T(a_body_that_expired_on_the_first_is_left_out_and_counted),
      T(promoted_it_goes_on_and_shares_no_slot_with_the_old_first),
      T(a_promoted_one_can_be_followed_and_the_old_first_cannot_go_on_unnoticed))
