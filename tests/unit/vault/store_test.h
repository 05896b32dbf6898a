/*
 * What the tests of the store share: a directory of their own, a clock that is turned by hand, a key-file secret (no
 * Argon2).
 */
#ifndef FANAL_STORE_TEST_H
#define FANAL_STORE_TEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "record/field.h"
#include "vault/store.h"
#include "vault/tuning.h"

#include "../test.h"

static uint64_t test_wall_us = UINT64_C(1795600000000000); /* 2026-11-25 */

static inline uint64_t test_wall(const struct clock *c)
{
    (void)c;
    return test_wall_us;
}

static inline uint64_t test_monotonic(const struct clock *c)
{
    (void)c;
    return 0;
}

static const struct clock test_clock = { test_wall, test_monotonic };
static const struct log test_log = { .fd = -1, .least = LOG_ERROR, .clock = &test_clock };

#define TEST_SECRET SPAN_LIT("key:0123456789abcdef0123456789abcdef")

static inline struct store_options test_options(void)
{
    return (struct store_options){ .clock = &test_clock, .log = &test_log, .secret = TEST_SECRET };
}

/* Says why, where a claim does not hold. */
#define CHECK_OK(err, claim)                                                                                           \
    do {                                                                                                               \
        bool held_ = (claim);                                                                                          \
        if (!held_)                                                                                                    \
            print_error("%s: ", (err).text);                                                                           \
        (void)state_;                                                                                                  \
        _assert_true(held_, #claim, __FILE__, __LINE__);                                                               \
    } while (0)

#define TEST_DIR_SIZE 64

/* A fresh directory below /dev/shm, else /tmp; out[TEST_DIR_SIZE]. */
static inline void test_dir(char *out)
{
    (void)snprintf(out, TEST_DIR_SIZE, "%s/fanal-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(out) == NULL)
        abort();
}

static inline void test_remove(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    char below[600];

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%.300s/%.255s", path, e->d_name);
        if (unlink(below) != 0)
            test_remove(below);
    }
    if (d != NULL)
        closedir(d);
    rmdir(path);
}

/* A copy of a file of at most 256 MiB. */
static inline void test_copy_file(const char *from, const char *to)
{
    struct error err;
    struct writer w = writer_new((size_t)1 << 28);
    CLEANUP(file_close) int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || !file_slurp(from, &w, &err) || !file_write_all(fd, writer_span(&w), &err))
        abort();
    writer_done(&w);
}

/* Everything below `from` into `to`, which is made where it is not there; names that begin with a dot stay behind. */
static inline void test_copy(const char *from, const char *to)
{
    DIR *d = opendir(from);
    char a[600], b[600];
    struct dirent *e;
    struct stat st;

    if (d == NULL || (mkdir(to, 0700) != 0 && errno != EEXIST))
        abort();
    while ((e = readdir(d)) != NULL) {
        (void)snprintf(a, sizeof a, "%.300s/%.255s", from, e->d_name);
        (void)snprintf(b, sizeof b, "%.300s/%.255s", to, e->d_name);
        if (e->d_name[0] == '.' || stat(a, &st) != 0) /* the views' files come and go meanwhile */
            continue;
        if (S_ISDIR(st.st_mode))
            test_copy(a, b);
        else
            test_copy_file(a, b);
    }
    (void)closedir(d);
}

/* A pattern that tells records and places apart. */
static inline void test_fill(uint8_t *out, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)((i * 31 + i / 251 + seed * 97) & 0xff);
}

/* Appends a record of `len` body bytes (SIZE_MAX: none); false as store_append. */
static inline bool test_append(struct store *s, enum record_kind kind, const char *unit, unsigned seed, size_t len,
                               uint64_t *position, struct error *err)
{
    struct writer facts = writer_new(4096);
    struct append a = {
        .kind = kind, .unit = span_str(unit), .received_us = test_wall_us, .cookie = (void *)(uintptr_t)(seed + 1)
    };
    bool ok = true;

    field_put_str(&facts, FIELD_DETAIL, "what was sent");
    field_put_uint(&facts, FIELD_COUNT, seed);
    a.facts = writer_span(&facts);
    if (len != SIZE_MAX) {
        uint8_t *bytes = malloc(len + 1);

        if (bytes == NULL)
            abort();
        test_fill(bytes, len, seed);
        a.body = body_new(s, kind == RECORD_HL7 ? BODY_RESULTS : BODY_IMAGES, a.unit, err);
        ok = a.body != NULL;
        for (size_t at = 0; ok && at < len;) { /* in odd pieces */
            size_t n = len - at < 70001 ? len - at : 70001;

            ok = body_add(a.body, span_of(bytes + at, n), err);
            at += n;
        }
        if (!ok)
            body_free(a.body);
        free(bytes);
    }
    ok = ok && store_append(s, &a, position, err);
    writer_done(&facts);
    return ok;
}

/* Kicks and waits until n completions came; how many of them are committed. */
static inline size_t test_wait(struct store *s, size_t n)
{
    size_t committed = 0;

    store_kick(s);
    while (n > 0) {
        struct completion c[16];
        size_t got = store_completed(s, c, n < 16 ? n : 16);

        for (size_t i = 0; i < got; i++)
            committed += c[i].committed ? 1 : 0;
        n -= got;
        if (got == 0) {
            struct pollfd p = { .fd = store_event_fd(s), .events = POLLIN };

            (void)poll(&p, 1, 10000);
            store_kick(s);
        }
    }
    return committed;
}

/* The record at position is the one that test_append() made with seed and len. */
static inline bool test_same(struct store *s, uint64_t position, unsigned seed, size_t len, struct error *err)
{
    struct writer facts = writer_new(1 << 20);
    struct entry e;
    uint8_t *want = malloc(len == SIZE_MAX ? 1 : len + 1);
    uint8_t *got = malloc(len == SIZE_MAX ? 1 : len + 1);
    bool ok = want != NULL && got != NULL && store_read_entry(s, position, &e, &facts, err);

    ok = ok && fields_uint(writer_span(&facts), FIELD_COUNT, 0) == seed && e.position == position
         && e.has_body == (len != SIZE_MAX);
    if (ok && len != SIZE_MAX) {
        test_fill(want, len, seed);
        ok = e.body_bytes == len && store_read_body(s, position, 0, got, len, err) && memcmp(got, want, len) == 0;
    }
    writer_done(&facts);
    free(want);
    free(got);
    return ok;
}

#endif
