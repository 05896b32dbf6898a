/*
 * A twin that is open with its secret seals what is full, as any vault does: rot on it is found, repaired from its own parity
 * and served right meanwhile; seals are made while it follows, and hold after promotion.
 */
#include "twin_test.h"
#include "vault/store_internal.h"

#define MUST(claim) _assert_true((claim), #claim, __FILE__, __LINE__)

struct sealing {
    char dir[TEST_DIR_SIZE];
    struct first f;
    struct lie lie;
    struct scrub_options scrub;
    struct twin *t;
    struct error err;
};

static void twin_again(struct sealing *x)
{
    struct store_options o = twin_options(true, NULL);

    o.scrub = &x->scrub;
    x->t = twin_open(x->dir, &o, &x->err);
    MUST(x->t != NULL);
}

static void sealing_init(struct sealing *x)
{
    struct store_options o = twin_options(false, NULL);
    struct twin *sealed;

    *x = (struct sealing){ .scrub = { .rate = 0 } };
    first_make(&x->f);
    first_fill(&x->f, 60);
    x->lie = (struct lie){ .store = x->f.store };
    test_dir(x->dir);
    MUST(twin_create(x->dir, &o, &x->err));
    sealed = twin_open(x->dir, &o, &x->err);
    MUST(sealed != NULL && follow_all(sealed, &x->lie, &x->err));
    twin_close(sealed);
}

static void sealing_done(struct sealing *x)
{
    twin_close(x->t);
    first_done(&x->f);
    test_remove(x->dir);
}

static struct store_status status_of(const struct sealing *x)
{
    struct store_status st;

    store_status(twin_store(x->t), &st);
    return st;
}

/* Files with a seal beside them. */
static size_t seals_below(const char *dir, const char *below, char name[300])
{
    char path[300];
    struct dirent *e;
    size_t count = 0;
    DIR *d;

    (void)snprintf(path, sizeof path, "%.80s/vault/%.80s", dir, below);
    d = opendir(path);
    MUST(d != NULL);
    while ((e = readdir(d)) != NULL) {
        size_t n = strlen(e->d_name);

        if (n < 5 || strcmp(e->d_name + n - 5, ".seal") != 0)
            continue;
        count++;
        if (name != NULL)
            (void)snprintf(name, 300, "%.160s/%.*s", path, (int)n - 5, e->d_name);
    }
    (void)closedir(d);
    return count;
}

static bool waits_for_seals(const struct sealing *x, size_t images)
{
    for (int i = 0; i < 6000; i++) {
        if (seals_below(x->dir, "body/images", NULL) >= images && seals_below(x->dir, "log", NULL) > 0
            && seals_below(x->dir, "body/large", NULL) > 0)
            return true;
        (void)usleep(5000);
    }
    return false;
}

static struct writer slurp(const char *path)
{
    struct writer w = writer_new((size_t)1 << 26);

    MUST(file_slurp(path, &w, NULL));
    return w;
}

static void rot(const char *path, uint64_t from, size_t len)
{
    uint8_t zeros[8192] = { 0 };
    CLEANUP(file_close) int fd = open(path, O_WRONLY);

    MUST(fd >= 0 && len <= sizeof zeros && file_write_at(fd, span_of(zeros, len), from, NULL));
}

static bool is_again(const char *path, const struct writer *as_made)
{
    bool same = false;

    for (int i = 0; i < 6000 && !same; i++) {
        struct writer now = slurp(path);

        same = span_equal(writer_span(&now), writer_span(as_made));
        writer_done(&now);
        if (!same)
            (void)usleep(5000);
    }
    return same;
}

TEST(rot_on_a_twin_is_repaired_from_its_own_seals)
{
    static const char *const kinds[] = { "body/images", "log", "body/large" };
    struct sealing x;
    uint64_t findings = 0;

    sealing_init(&x);
    CHECK(seals_below(x.dir, "body/images", NULL) == 0); /* sealed nobody could make one */
    twin_again(&x);
    CHECK(waits_for_seals(&x, 1));
    for (size_t k = 0; k < COUNT_OF(kinds); k++) {
        char path[300];
        struct writer made;

        (void)seals_below(x.dir, kinds[k], path);
        made = slurp(path);
        rot(path, made.len / 2, made.len / 2 < 6000 ? made.len / 4 : 6000);
        CHECK_OK(x.err, all_there(twin_store(x.t), &x.f, &x.err)); /* what readers meet is served right */
        CHECK(is_again(path, &made)); /* and mended behind them */
        writer_done(&made);
    }
    CHECK(status_of(&x).repaired_sectors > 0 && status_of(&x).damaged_files == 0);
    CHECK_OK(x.err, store_verify(twin_store(x.t), NULL, NULL, &findings, &x.err) && findings == 0);
    sealing_done(&x);
}

/* Nobody reads it: scrubbing finds it. */
TEST(scrubbing_goes_round_on_a_twin)
{
    struct sealing x;
    char path[300];
    struct writer made;

    sealing_init(&x);
    twin_again(&x);
    CHECK(waits_for_seals(&x, 1));
    twin_close(x.t);
    (void)seals_below(x.dir, "body/images", path);
    made = slurp(path);
    rot(path, 4096, 4096);
    x.scrub = (struct scrub_options){ .rate = UINT64_C(1) << 30 };
    twin_again(&x);
    CHECK(is_again(path, &made));
    for (int i = 0; i < 6000 && status_of(&x).scrub_ended_us == 0; i++)
        (void)usleep(5000);
    CHECK(status_of(&x).scrub_ended_us > 0);
    writer_done(&made);
    sealing_done(&x);
}

/* Files become full while rounds go on; steps, seals and readers do not disturb each other; status counts both. */
TEST(what_comes_while_it_is_open_is_sealed_too)
{
    struct sealing x;
    struct store_status st;
    size_t before;

    sealing_init(&x);
    twin_again(&x);
    CHECK(waits_for_seals(&x, 1));
    before = seals_below(x.dir, "body/images", NULL);
    for (int i = 0; i < 8; i++) {
        first_fill(&x.f, 30);
        CHECK_OK(x.err, follow_all(x.t, &x.lie, &x.err));
        CHECK_OK(x.err, all_there(twin_store(x.t), &x.f, &x.err));
    }
    CHECK(waits_for_seals(&x, before + 2));
    st = status_of(&x);
    CHECK(st.sealed_files > 0 && st.sealed_files <= st.data_files);
    sealing_done(&x);
}

static void say(void *context, const char *finding)
{
    print_error("%s\n", finding);
    ++*(size_t *)context;
}

TEST(seals_of_a_twin_hold_after_promotion)
{
    struct store_options o = test_options();
    struct twin_promotion found;
    struct sealing x;
    struct store *s;
    uint64_t findings = 0;
    size_t said = 0, seals;

    sealing_init(&x);
    twin_again(&x);
    CHECK(waits_for_seals(&x, 1));
    twin_close(x.t);
    x.t = NULL;
    seals = seals_below(x.dir, "body/images", NULL) + seals_below(x.dir, "log", NULL);
    CHECK_OK(x.err, twin_promote(x.dir, &o, say, &said, &found, &x.err));
    o.promoting = true;
    s = store_open(x.dir, &o, &x.err);
    CHECK_OK(x.err, s != NULL);
    store_close(s);
    o.promoting = false;
    CHECK_OK(x.err, twin_promoted(x.dir, &o, &x.err));
    s = store_open(x.dir, &o, &x.err);
    CHECK_OK(x.err, s != NULL);
    CHECK_OK(x.err, store_verify(s, say, &said, &findings, &x.err));
    CHECK(findings == 0 && said == 0);
    CHECK(seals_below(x.dir, "body/images", NULL) + seals_below(x.dir, "log", NULL) == seals);
    store_close(s);
    sealing_done(&x);
}

TESTS(T(rot_on_a_twin_is_repaired_from_its_own_seals), T(scrubbing_goes_round_on_a_twin),
      T(what_comes_while_it_is_open_is_sealed_too), T(seals_of_a_twin_hold_after_promotion))
