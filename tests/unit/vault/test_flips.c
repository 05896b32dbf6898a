/*
 * One flipped bit anywhere in a store: verify names it, before and after a restart, what it hit is refused, and nothing
 * is cut for it but a last commit that was never confirmed. A sample; with FANAL_TORTURE=full every bit of a small store.
 */
#include "store_test.h"
#include "vault/format.h"

#define FILES_MAX 64

struct image {
    char path[256];
    uint8_t *bytes;
    size_t len;
};

struct images {
    struct image files[FILES_MAX];
    size_t count;
};

/* Every file below path, but the lock. */
static void gather(const char *path, struct images *all)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char below[600];

    while (d != NULL && (e = readdir(d)) != NULL) {
        struct writer w = writer_new(64u << 20);
        struct stat st;

        if (e->d_name[0] == '.' || strcmp(e->d_name, "lock") == 0)
            continue;
        snprintf(below, sizeof below, "%.300s/%.255s", path, e->d_name);
        if (stat(below, &st) == 0 && S_ISDIR(st.st_mode)) {
            gather(below, all);
            continue;
        }
        if (all->count == FILES_MAX || !file_slurp(below, &w, NULL))
            abort();
        snprintf(all->files[all->count].path, sizeof all->files[0].path, "%.250s", below);
        all->files[all->count].bytes = w.ptr;
        all->files[all->count++].len = w.len;
    }
    if (d != NULL)
        closedir(d);
}

static void poke(const struct image *f, size_t at, uint8_t value)
{
    int fd = open(f->path, O_WRONLY);

    if (fd < 0 || pwrite(fd, &value, 1, (off_t)at) != 1)
        abort();
    close(fd);
}

static char last_finding[400];

static void remember(void *context, const char *text)
{
    (void)context;
    snprintf(last_finding, sizeof last_finding, "%s", text);
}

/* Findings of a verify; UINT64_MAX where it cannot run. */
static uint64_t verify(const char *dir, bool read_only, uint64_t size, bool *cut)
{
    struct store_options o = test_options();
    struct error err = { 0 };
    uint64_t findings = 0;
    struct store *s;

    o.read_only = read_only;
    s = store_open(dir, &o, &err);
    if (s == NULL) {
        snprintf(last_finding, sizeof last_finding, "open: %s", err.text);
        return UINT64_MAX;
    }
    *cut = store_committed_size(s) != size;
    if (!store_verify(s, remember, NULL, &findings, &err))
        findings = UINT64_MAX;
    store_close(s);
    return findings;
}

static uint64_t make_store(const char *dir)
{
    struct store_options o = test_options();
    static const size_t lengths[] = { 0, 10, 65536, 70000, 3000, 2200000 };
    struct store *s;
    uint64_t position = 0;

    if (!store_create(dir, &o, NULL) || (s = store_open(dir, &o, NULL)) == NULL)
        abort();
    for (unsigned i = 0; i < COUNT_OF(lengths); i++)
        if (!test_append(s, i % 2 == 0 ? RECORD_DICOM : RECORD_HL7, "study:1", i, lengths[i], &position, NULL)
            || test_wait(s, 1) != 1)
            abort();
    for (unsigned i = 0; i < 256; i++) {
        if (!test_append(s, i % 50 == 0 ? RECORD_RULE : RECORD_EVENT, "events:2026-11", i, SIZE_MAX, &position, NULL))
            abort();
        if (i % 32 == 31 && test_wait(s, 32) != 32)
            abort();
    }
    store_close(s);
    return position + 1;
}

/* Flips one bit and puts it back. */
static void try_flip(void **state_, const char *dir, const struct image *f, size_t at, unsigned bit, uint64_t size)
{
    bool cut = false;
    uint64_t before, after;

    poke(f, at, f->bytes[at] ^ (uint8_t)(1u << bit));
    before = verify(dir, true, size, &cut);
    if (before != 0 && !cut)
        after = verify(dir, false, size, &cut);
    else
        after = 0;
    poke(f, at, f->bytes[at]);
    if (before == 0 || before == UINT64_MAX || after == 0 || after == UINT64_MAX || cut)
        print_error("%s at %zu bit %u: %llu, %llu findings, cut %d, last: %s\n", f->path, at, bit,
                    (unsigned long long)before, (unsigned long long)after, cut, last_finding);
    CHECK(before != 0 && before != UINT64_MAX && after != 0 && after != UINT64_MAX && !cut);
}

TEST(every_flipped_bit_is_named)
{
    struct images *all = calloc(1, sizeof *all);
    unsigned long seed = (unsigned long)getpid();
    int per_file = getenv("FANAL_FLIPS") != NULL ? (int)strtol(getenv("FANAL_FLIPS"), NULL, 10) : 10;
    uint64_t size;
    bool cut = false;
    char dir[64];

    CHECK(all != NULL);
    print_message("# seed %lu\n", seed);
    srandom((unsigned)seed);
    test_dir(dir);
    size = make_store(dir);
    gather(dir, all);
    CHECK(all->count >= 10);
    if (verify(dir, true, size, &cut) != 0)
        print_error("%s\n", last_finding);
    CHECK(verify(dir, true, size, &cut) == 0 && !cut);
    CHECK(verify(dir, false, size, &cut) == 0 && !cut);
    for (size_t i = 0; i < all->count; i++) {
        const struct image *f = &all->files[i];
        size_t tail = f->len < 320 ? f->len : 320;

        for (size_t at = f->len - tail; at < f->len && strstr(f->path, "/log/") != NULL; at += 2)
            try_flip(state_, dir, f, at, (unsigned)random() % 8, size);
        for (int n = 0; n < per_file && f->len > 0; n++)
            try_flip(state_, dir, f, (size_t)random() % f->len, (unsigned)random() % 8, size);
        for (size_t at = 0; at < f->len && at < 128; at += 4) /* headers */
            try_flip(state_, dir, f, at, (unsigned)random() % 8, size);
    }
    CHECK(verify(dir, false, size, &cut) == 0 && !cut); /* and all is as it was */
    for (size_t i = 0; i < all->count; i++)
        free(all->files[i].bytes);
    free(all);
    test_remove(dir);
}

/* How far apart the bits lie that are tried: 1 in full. */
static size_t stride(void)
{
    const char *torture = getenv("FANAL_TORTURE");

    return torture != NULL && strcmp(torture, "full") == 0 ? 1 : 4001;
}

static const size_t small_lengths[] = { 0, 10, 300, SIZE_MAX, 700, SIZE_MAX };

/* Six commits of one record; confirmed at closing only. */
static struct store *make_small(const char *dir, struct tuning *t)
{
    struct store_options o = test_options();
    struct store *s;
    uint64_t position;

    *t = TUNING_DEFAULT;
    t->no_idle_confirm = true;
    o.tuning = t;
    if (!store_create(dir, &o, NULL) || (s = store_open(dir, &o, NULL)) == NULL)
        abort();
    for (unsigned i = 0; i < COUNT_OF(small_lengths); i++)
        if (!test_append(s, small_lengths[i] == SIZE_MAX ? RECORD_EVENT : i % 2 == 0 ? RECORD_DICOM : RECORD_HL7, "study:1",
                         i, small_lengths[i], &position, NULL)
            || test_wait(s, 1) != 1)
            abort();
    return s;
}

static bool is_segment(const struct image *f)
{
    return f->len > 0 && (strstr(f->path, "/log/") != NULL || strstr(f->path, "/body/") != NULL);
}

TEST(every_bit_of_a_small_store_is_named)
{
    struct images *all = calloc(1, sizeof *all);
    struct tuning t;
    char dir[64];
    size_t tried = 0, begin = (size_t)getpid() % stride();

    CHECK(all != NULL);
    test_dir(dir);
    store_close(make_small(dir, &t));
    gather(dir, all);
    for (size_t i = 0; i < all->count; i++)
        for (size_t bit = begin; is_segment(&all->files[i]) && bit < all->files[i].len * 8; bit += stride(), tried++)
            try_flip(state_, dir, &all->files[i], bit / 8, (unsigned)(bit % 8), COUNT_OF(small_lengths));
    print_message("# %zu bits of segments at rest\n", tried);
    CHECK(tried > 10);
    for (size_t i = 0; i < all->count; i++)
        free(all->files[i].bytes);
    free(all);
    test_remove(dir);
}

/* Each record is as it was, or refused; how many are refused. */
static size_t refused(void **state_, struct store *s, uint64_t size)
{
    size_t n = 0;

    for (unsigned i = 0; i < size; i++) {
        struct error err = { 0 };
        bool same = test_same(s, i, i, small_lengths[i], &err);

        CHECK(same || err.code == ERR_DAMAGED);
        n += same ? 0 : 1;
    }
    return n;
}

static void copy_store(const struct images *all, const char *from, const char *to)
{
    static const char *const dirs[] = { "",        "/vault",        "/vault/log",         "/vault/body",
                                        "/vault/ledger", "/vault/ledger/tile", "/vault/cut" };
    char path[400];

    for (size_t i = 0; i < COUNT_OF(dirs); i++) {
        snprintf(path, sizeof path, "%s%s", to, dirs[i]);
        (void)mkdir(path, 0700);
    }
    for (unsigned c = 1; c <= BODY_CLASS_COUNT; c++) {
        snprintf(path, sizeof path, "%s/vault/%s", to, body_class_dirs[c]);
        (void)mkdir(path, 0700);
    }
    snprintf(path, sizeof path, "%s/vault/body/large", to);
    (void)mkdir(path, 0700);
    for (size_t i = 0; i < all->count; i++) {
        int fd;

        snprintf(path, sizeof path, "%s%s", to, all->files[i].path + strlen(from));
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0 || write(fd, all->files[i].bytes, all->files[i].len) != (ssize_t)all->files[i].len)
            abort();
        close(fd);
    }
}

/* After a restart of a store that was not closed: five commits are confirmed by the next one's marker, the last is not. */
static void restart_flipped(void **state_, const struct images *all, const char *dir, size_t file, size_t bit)
{
    struct store_options o = test_options();
    struct image f = all->files[file];
    struct error err = { 0 };
    uint64_t findings = 0, size;
    struct store *s;
    char after[64];

    test_dir(after);
    copy_store(all, dir, after);
    snprintf(f.path, sizeof f.path, "%s%s", after, all->files[file].path + strlen(dir));
    poke(&f, bit / 8, f.bytes[bit / 8] ^ (uint8_t)(1u << bit % 8));
    s = store_open(after, &o, &err);
    CHECK_OK(err, s != NULL);
    size = store_committed_size(s);
    CHECK(size >= COUNT_OF(small_lengths) - 1);
    CHECK(store_verify(s, remember, NULL, &findings, &err));
    if (findings == 0) { /* then it was in the last commit, which is cut and told */
        CHECK(refused(state_, s, COUNT_OF(small_lengths) - 1) == 0);
        CHECK(!test_same(s, COUNT_OF(small_lengths) - 1, COUNT_OF(small_lengths) - 1, SIZE_MAX, &err)
              || size > COUNT_OF(small_lengths));
    } else {
        CHECK(refused(state_, s, COUNT_OF(small_lengths) - 1) <= 1);
    }
    store_close(s);
    test_remove(after);
}

TEST(every_bit_of_a_live_tail_is_named)
{
    struct images *all = calloc(1, sizeof *all);
    struct tuning t;
    struct store *s;
    char dir[64];
    size_t tried = 0, begin = (size_t)getpid() % stride();

    CHECK(all != NULL);
    test_dir(dir);
    s = make_small(dir, &t);
    gather(dir, all);
    for (size_t i = 0; i < all->count; i++)
        for (size_t bit = begin; is_segment(&all->files[i]) && bit < all->files[i].len * 8; bit += stride(), tried++) {
            const struct image *f = &all->files[i];
            struct error err = { 0 };
            uint64_t findings = 0;

            poke(f, bit / 8, f->bytes[bit / 8] ^ (uint8_t)(1u << bit % 8));
            if (!store_verify(s, remember, NULL, &findings, &err) || findings == 0)
                print_error("%s bit %zu: %s\n", f->path, bit, err.text);
            CHECK(findings > 0);
            CHECK(refused(state_, s, COUNT_OF(small_lengths)) <= 1);
            poke(f, bit / 8, f->bytes[bit / 8]);
            restart_flipped(state_, all, dir, i, bit);
        }
    print_message("# %zu bits of a live tail\n", tried);
    CHECK(tried > 10);
    store_close(s);
    for (size_t i = 0; i < all->count; i++)
        free(all->files[i].bytes);
    free(all);
    test_remove(dir);
}

TESTS(T(every_flipped_bit_is_named), T(every_bit_of_a_small_store_is_named), T(every_bit_of_a_live_tail_is_named))
