/* What the tests of the twin share: a first machine in the same process, a source that reads from it and may lie. */
#ifndef FANAL_TWIN_TEST_H
#define FANAL_TWIN_TEST_H

#include "vault/twin.h"

#include "store_test.h"

#define NO_BODY SIZE_MAX

static const struct log twin_log = { .fd = -1, .least = LOG_ERROR, .clock = &test_clock };

/* The first machine: small segments and body files, so that a test crosses their borders. */
struct first {
    char dir[TEST_DIR_SIZE];
    struct tuning tuning;
    struct store *store;
    size_t count;      /* records appended */
    size_t lengths[512];
};

static inline struct store *first_open(struct first *f)
{
    struct store_options o = test_options();
    struct error err = { 0 };

    o.tuning = &f->tuning;
    f->store = store_open(f->dir, &o, &err);
    if (f->store == NULL)
        print_error("%s\n", err.text);
    return f->store;
}

static inline void first_make(struct first *f)
{
    struct store_options o = test_options();
    struct error err = { 0 };

    *f = (struct first){ .tuning = TUNING_DEFAULT };
    f->tuning.segment_bytes = 6000;
    f->tuning.body_file_bytes = 400000;
    test_dir(f->dir);
    if (!store_create(f->dir, &o, &err) || first_open(f) == NULL)
        abort();
}

static inline void first_append(struct first *f, size_t len)
{
    uint64_t position;
    struct error err = { 0 };
    char unit[32];

    snprintf(unit, sizeof unit, "study:%zu", f->count % 7);
    if (!test_append(f->store, len == NO_BODY ? RECORD_EVENT : f->count % 3 == 0 ? RECORD_HL7 : RECORD_DICOM, unit,
                     (unsigned)f->count, len, &position, &err))
        abort();
    f->lengths[f->count++] = len;
}

/* Records of every size, in commits of one to five. */
static inline void first_fill(struct first *f, size_t count)
{
    static const size_t lengths[] = { NO_BODY, 0, 100, 65536, 70000, 3 << 20, NO_BODY, 5000, 200000 };

    for (size_t i = 0; i < count;) {
        size_t batch = 1 + i % 5;

        for (size_t j = 0; j < batch; j++)
            first_append(f, lengths[(i + j) % COUNT_OF(lengths)]);
        if (test_wait(f->store, batch) != batch)
            abort();
        i += batch;
    }
}

static inline void first_done(struct first *f)
{
    store_close(f->store);
    test_remove(f->dir);
}

/* ---- the source ---- */

struct lie {
    struct store *store;
    size_t calls;
    size_t fail_at;  /* the call from which the link is gone; 0: never */
    size_t flip_at;  /* the call whose answer has a bit flipped; 0: none */
    size_t short_at; /* the call whose answer is cut in half */
    enum follow_part absent; /* a part that is not there any more; 0: none */
    size_t reads[FOLLOW_CONF + 1];
    uint64_t applied; /* as the twin said last */
};

static inline bool lie_head(void *context, address from, uint64_t position, uint64_t applied, struct follow_head *out,
                            struct error *err)
{
    struct lie *l = context;

    l->applied = applied;
    l->calls++;
    if (l->fail_at != 0 && l->calls >= l->fail_at)
        return error_set(err, ERR_CLOSED, "the link is gone");
    if (!store_follow_head(l->store, from, position, out, err))
        return false;
    if (l->flip_at == l->calls)
        out->note[70] ^= 1;
    return true;
}

static inline bool lie_read(void *context, const struct follow_range *range, uint8_t *out, size_t len, size_t *got,
                            struct error *err)
{
    struct lie *l = context;

    l->calls++;
    l->reads[range->part]++;
    if (l->fail_at != 0 && l->calls >= l->fail_at)
        return error_set(err, ERR_CLOSED, "the link is gone");
    if (l->absent == range->part)
        return error_set(err, ERR_NOT_FOUND, "it has expired");
    if (!store_follow_read(l->store, range, out, len, got, err))
        return false;
    if (l->flip_at == l->calls && *got > 0)
        out[*got / 2] ^= 0x10;
    if (l->short_at == l->calls)
        *got /= 2;
    return true;
}

static inline struct twin_source source_of(struct lie *l)
{
    return (struct twin_source){ l, lie_head, lie_read };
}

/* ---- the twin ---- */

static inline struct store_options twin_options(bool unsealed, const struct tuning *tuning)
{
    struct store_options o = test_options();

    o.log = &twin_log;
    o.tuning = tuning;
    if (!unsealed)
        o.secret = span_of(NULL, 0);
    return o;
}

/* Rounds until nothing is left. */
static inline bool follow_all(struct twin *t, struct lie *l, struct error *err)
{
    struct twin_source source = source_of(l);
    bool more = true;

    while (more)
        if (!twin_round(t, &source, &more, err))
            return false;
    return true;
}

/* Every record of the first is there, byte for byte. */
static inline bool all_there(struct store *s, const struct first *f, struct error *err)
{
    if (store_committed_size(s) < f->count)
        return error_set(err, ERR_NOT_FOUND, "%llu of %zu records", (unsigned long long)store_committed_size(s),
                         f->count);
    for (size_t i = 0; i < f->count; i++)
        if (!test_same(s, i, (unsigned)i, f->lengths[i], err))
            return err->code != ERR_NONE ? false : error_set(err, ERR_DAMAGED, "record %zu is another", i);
    return true;
}

static inline struct twin *twin_at(const char *dir, bool unsealed, struct error *err)
{
    struct store_options o = twin_options(unsealed, NULL);

    return twin_open(dir, &o, err);
}

static inline void twin_make(char *dir)
{
    struct store_options o = twin_options(false, NULL);
    struct error err = { 0 };

    test_dir(dir);
    if (!twin_create(dir, &o, &err))
        abort();
}

/* A twin that has everything of f, closed. */
static inline void twin_filled(char *dir, struct first *f)
{
    struct error err = { 0 };
    struct lie l = { .store = f->store };
    struct twin *t;

    twin_make(dir);
    t = twin_at(dir, false, &err);
    if (t == NULL || !follow_all(t, &l, &err)) {
        print_error("%s\n", err.text);
        abort();
    }
    twin_close(t);
}

#endif
