#include <poll.h>
#include <pthread.h>

#include "store_test.h"

TEST(store_keeps_what_it_is_given)
{
    const struct {
        const char *name;
        enum record_kind kind;
        const char *unit;
        size_t len;
    } rows[] = {
        { "event", RECORD_EVENT, "events:2026-11", SIZE_MAX },
        { "empty body", RECORD_HL7, "message", 0 },
        { "small body", RECORD_HL7, "results:H:1", 700 },
        { "one chunk", RECORD_DICOM, "study:1.2", 32768 },
        { "one chunk and a byte", RECORD_DICOM, "study:1.2", 32769 },
        { "two megabytes", RECORD_DICOM, "study:1.2", 2u << 20 },
        { "a byte more", RECORD_DICOM, "study:1.2", (2u << 20) + 1 },
        { "five megabytes", RECORD_DICOM, "study:1.3", 5000000 },
    };
    struct store_options o = test_options();
    struct error err = { 0 };
    struct store *s;
    char dir[64];

    test_dir(dir);
    CHECK_OK(err, store_create(dir, &o, &err));
    CHECK(!store_create(dir, &o, &err) && err.code == ERR_EXISTS);
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    EACH(row, rows)
    {
        uint64_t position;

        CHECK_ROW(row->name, test_append(s, row->kind, row->unit, (unsigned)i_, row->len, &position, &err));
        CHECK_ROW(row->name, position == i_ && test_wait(s, 1) == 1);
    }
    for (int again = 0; again < 3; again++) {
        EACH(row, rows)
        CHECK_OK(err, test_same(s, i_, (unsigned)i_, row->len, &err));
        store_close(s);
        s = store_open(dir, &o, &err);
        CHECK_OK(err, s != NULL);
        CHECK(store_committed_size(s) == COUNT_OF(rows));
    }
    store_close(s);
    test_remove(dir);
}

/* A store with `events` events and one image, confirmed and closed. */
static void make(char *dir, unsigned events)
{
    struct store_options o = test_options();
    struct store *s;
    uint64_t position;

    test_dir(dir);
    if (!store_create(dir, &o, NULL) || (s = store_open(dir, &o, NULL)) == NULL)
        abort();
    if (!test_append(s, RECORD_DICOM, "study:1", 0, 100000, &position, NULL) || test_wait(s, 1) != 1)
        abort();
    for (unsigned i = 1; i <= events; i++) {
        if (!test_append(s, i % 7 == 0 ? RECORD_RULE : RECORD_EVENT, "events:2026-11", i, SIZE_MAX, &position, NULL))
            abort();
        if (i % 10 == 0)
            (void)test_wait(s, 10);
    }
    (void)test_wait(s, events % 10);
    store_close(s);
}

static size_t rules_seen;
static uint64_t rule_before;

static bool see_rule(void *context, const struct entry *e, struct span facts)
{
    (void)context;
    if (e->position >= rule_before || fields_uint(facts, FIELD_COUNT, 0) != e->position)
        return false;
    rule_before = e->position;
    rules_seen++;
    return true;
}

TEST(rules_are_walked_newest_first)
{
    struct store_options o = test_options();
    struct store *s;
    char dir[64];

    make(dir, 50);
    for (int again = 0; again < 2; again++) {
        s = store_open(dir, &o, NULL);
        CHECK(s != NULL);
        rules_seen = 0;
        rule_before = UINT64_MAX;
        CHECK(store_walk_rules(s, see_rule, NULL, NULL, NULL) && rules_seen == 7);
        store_close(s);
        o.read_only = true;
    }
    test_remove(dir);
}

/* A segment that should not be there (an end of the log that was taken for its end too early) is not written over. */
TEST(a_segment_that_is_there_is_not_written_over)
{
    static const struct tuning small = { .files = &file_ops_system, .segment_bytes = 2000, .body_file_bytes = 300000,
                                         .confirm_entries = 100, .no_idle_confirm = true };
    struct store_options o = test_options();
    struct error err = { 0 };
    struct writer had = writer_new(8192);
    char dir[64], path[128];
    uint8_t precious[5000];
    uint64_t position;
    struct store *s;
    bool refused = false;
    int fd;

    make(dir, 3);
    o.tuning = &small;
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    test_fill(precious, sizeof precious, 1);
    (void)snprintf(path, sizeof path, "%s/vault/log/00000001.seg", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && file_write_all(fd, span_of(precious, sizeof precious), &err));
    file_close(&fd);
    for (unsigned i = 0; i < 20 && !refused; i++)
        refused = !test_append(s, RECORD_EVENT, "events:2026-11", i, SIZE_MAX, &position, &err) || test_wait(s, 1) == 0;
    CHECK(refused);
    CHECK_OK(err, file_slurp(path, &had, &err) && span_equal(writer_span(&had), span_of(precious, sizeof precious)));
    writer_done(&had);
    store_close(s);
    CHECK(unlink(path) == 0);
    s = store_open(dir, &o, &err); /* what was acknowledged is there, and it goes on */
    CHECK_OK(err, s != NULL && test_append(s, RECORD_EVENT, "events:2026-11", 99, SIZE_MAX, &position, &err));
    CHECK(test_wait(s, 1) == 1);
    store_close(s);
    test_remove(dir);
}

static void *close_later(void *s)
{
    (void)poll(NULL, 0, 50);
    store_close(s);
    return NULL;
}

/* The vault of a serve that was killed may hold its lock a little longer than the next one needs to start. */
TEST(who_has_patience_gets_the_store_when_it_is_free)
{
    struct store_options o = test_options();
    struct error err = { 0 };
    struct store *s, *next;
    pthread_t other;
    char dir[64];

    make(dir, 3);
    s = store_open(dir, &o, NULL);
    o.lock_patience_ms = 60; /* and not for ever */
    CHECK(s != NULL && store_open(dir, &o, &err) == NULL && err.code == ERR_BUSY);
    o.lock_patience_ms = 60000;
    CHECK(pthread_create(&other, NULL, close_later, s) == 0);
    next = store_open(dir, &o, &err);
    CHECK_OK(err, next != NULL);
    CHECK(pthread_join(other, NULL) == 0);
    store_close(next);
    test_remove(dir);
}

TEST(one_writer_at_a_time)
{
    struct store_options o = test_options(), reading = test_options();
    struct error err = { 0 };
    struct store *s, *r;
    char dir[64];

    make(dir, 3);
    reading.read_only = true;
    s = store_open(dir, &o, NULL);
    CHECK(s != NULL);
    CHECK(store_open(dir, &o, &err) == NULL && err.code == ERR_BUSY);
    CHECK(store_open(dir, &reading, &err) == NULL && err.code == ERR_BUSY);
    store_close(s);
    s = store_open(dir, &reading, NULL);
    r = store_open(dir, &reading, NULL);
    CHECK(s != NULL && r != NULL);
    CHECK(body_new(s, BODY_IMAGES, SPAN_LIT("study:1"), &err) == NULL);
    store_close(s);
    store_close(r);
    o.secret = SPAN_LIT("key:another key, which is long enough for it");
    CHECK(store_open(dir, &o, &err) == NULL && err.code == ERR_SEALED);
    test_remove(dir);
    CHECK(store_open(dir, &o, &err) == NULL && err.code == ERR_NOT_FOUND);
}

TEST(a_body_can_be_looked_at_before_it_is_appended)
{
    static const size_t lengths[] = { 0, 100, 32768, 32769, 3000000 };
    struct store_options o = test_options();
    uint8_t *want = malloc(3000000), *got = malloc(3000000);
    struct error err = { 0 };
    struct store *s;
    char dir[64];

    make(dir, 0);
    s = store_open(dir, &o, NULL);
    CHECK(s != NULL && want != NULL && got != NULL);
    EACH(len, lengths)
    {
        struct body *b = body_new(s, BODY_IMAGES, SPAN_LIT("study:9"), &err);

        test_fill(want, *len, 5);
        CHECK_OK(err, b != NULL && body_add(b, span_of(want, *len), &err));
        CHECK(body_length(b) == *len);
        CHECK_OK(err, body_peek(b, 0, got, *len, &err));
        CHECK(memcmp(want, got, *len) == 0);
        if (*len > 10)
            CHECK(body_peek(b, *len - 7, got, 7, &err) && memcmp(want + *len - 7, got, 7) == 0);
        CHECK(!body_peek(b, *len, got, 1, &err) && err.code == ERR_NOT_FOUND);
        body_free(b);
    }
    store_close(s);
    free(want);
    free(got);
    test_remove(dir);
}

TEST(ranges_are_exactly_those_asked_for)
{
    const struct {
        uint64_t offset;
        size_t len;
        bool there;
    } rows[] = {
        { 0, 100000, true },      { 0, 0, true },         { 32767, 2, true },   { 32768, 67232, true },
        { 99999, 1, true },       { 100000, 0, true },    { 100000, 1, false }, { 0, 100001, false },
        { UINT64_MAX, 1, false }, { 1, SIZE_MAX, false },
    };
    struct store_options o = test_options();
    static uint8_t want[100000], got[100000];
    struct store *s;
    char dir[64];

    make(dir, 1);
    test_fill(want, sizeof want, 0);
    s = store_open(dir, &o, NULL);
    EACH(row, rows)
    {
        struct error err = { 0 };
        bool ok = store_read_body(s, 0, row->offset, got, row->len, &err);

        CHECK(ok == row->there);
        CHECK(ok ? memcmp(got, want + row->offset, row->len) == 0 : err.code == ERR_NOT_FOUND);
    }
    CHECK(!store_read_body(s, 1, 0, got, 1, NULL)); /* an event has none */
    CHECK(!store_read_body(s, 2, 0, got, 1, NULL)); /* past the end */
    store_close(s);
    test_remove(dir);
}

static void count_text(void *context, const char *text)
{
    (void)text;
    ++*(unsigned *)context;
}

/* Index, tiles, confirm files and a keyring copy are made again from what is left. */
TEST(what_can_be_made_again_is)
{
    static const struct {
        const char *name;
        const char *files[2];
    } rows[] = {
        { "index", { "ledger/index", NULL } },
        { "tile", { "ledger/tile/0/000", NULL } },
        { "confirm files", { "confirm.0", "confirm.1" } },
        { "one confirm file", { "confirm.1", NULL } },
        { "checkpoint", { "checkpoint", NULL } },
        { "a keyring", { "keyring.1", NULL } },
    };
    EACH(row, rows)
    {
        struct store_options o = test_options();
        struct error err = { 0 };
        uint64_t findings, position;
        unsigned said = 0;
        struct store *s;
        char dir[64], path[200];

        make(dir, 300);
        for (int i = 0; i < 2 && row->files[i] != NULL; i++) {
            snprintf(path, sizeof path, "%s/vault/%s", dir, row->files[i]);
            CHECK_ROW(row->name, unlink(path) == 0);
        }
        s = store_open(dir, &o, &err);
        CHECK_OK(err, s != NULL);
        CHECK_ROW(row->name, store_committed_size(s) >= 301);
        CHECK_ROW(row->name,
                  store_verify(s, count_text, &said, &findings, &err) && findings > 0); /* said once: it was missing */
        CHECK_OK(err, test_same(s, 0, 0, 100000, &err) && test_same(s, 300, 300, SIZE_MAX, &err));
        CHECK_OK(err,
                 test_append(s, RECORD_EVENT, "events:2026-11", 1, SIZE_MAX, &position, &err) && test_wait(s, 1) == 1);
        store_close(s);
        s = store_open(dir, &o, &err);
        CHECK_OK(err, s != NULL);
        CHECK_OK(err, test_same(s, 300, 300, SIZE_MAX, &err) && test_same(s, position, 1, SIZE_MAX, &err));
        CHECK_ROW(row->name, store_verify(s, count_text, &said, &findings, &err) && findings == 0);
        store_close(s);
        test_remove(dir);
    }
}

/* Bytes behind the confirmed end that are no commit are cut, kept beside, and told. */
TEST(a_torn_tail_is_cut_and_told)
{
    static const char tail[] = "FNLEthis never became an entry, because the power went";
    struct store_options o = test_options();
    struct writer facts = writer_new(1 << 16);
    struct error err = { 0 };
    uint64_t findings = 0;
    unsigned said = 0;
    struct store *s;
    struct entry e;
    struct span text;
    char dir[64], path[200];
    int fd;

    make(dir, 5);
    snprintf(path, sizeof path, "%s/vault/log/00000000.seg", dir);
    fd = open(path, O_WRONLY | O_APPEND);
    CHECK(fd >= 0 && write(fd, tail, sizeof tail) == sizeof tail);
    close(fd);
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    CHECK(store_committed_size(s) == 7 && store_read_entry(s, 6, &e, &facts, &err) && e.kind == RECORD_EVENT);
    CHECK(fields_find(writer_span(&facts), FIELD_EVENT, &text) && span_equal(text, SPAN_LIT("recovery.cut")));
    CHECK(store_verify(s, count_text, &said, &findings, &err) && findings == 0);
    store_close(s);
    snprintf(path, sizeof path, "%s/vault/cut", dir);
    CHECK(rmdir(path) != 0); /* something was kept */
    writer_done(&facts);
    test_remove(dir);
}

/* Bodies of images begin on blocks; the zeros that a power cut took from behind the last one are no damage. */
TEST(zeros_behind_the_last_body_are_made_again)
{
    struct store_options o = test_options();
    struct error err = { 0 };
    uint64_t findings = 0, position;
    unsigned said = 0;
    struct store *s;
    char dir[64], path[200];
    struct stat st;

    make(dir, 5);
    snprintf(path, sizeof path, "%s/vault/body/images/202611-00000001.body", dir);
    CHECK(stat(path, &st) == 0 && st.st_size == 4096 + 102400);
    CHECK(truncate(path, 4096 + 100000 + 4 * 16) == 0);
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    CHECK(stat(path, &st) == 0 && st.st_size == 4096 + 102400);
    CHECK(store_verify(s, count_text, &said, &findings, &err) && findings == 0);
    CHECK_OK(err, test_append(s, RECORD_DICOM, "study:2", 9, 300000, &position, &err) && test_wait(s, 1) == 1);
    CHECK_OK(err, test_same(s, 0, 0, 100000, &err) && test_same(s, position, 9, 300000, &err));
    store_close(s);
    test_remove(dir);
}

/* Damage behind the confirm files, but before the last marker, is damage: what follows it stays. */
TEST(damage_that_a_later_marker_confirms_is_never_cut)
{
    struct tuning tuning = TUNING_DEFAULT;
    struct store_options o = test_options();
    struct error err = { 0 };
    uint64_t position, findings = 0;
    unsigned said = 0;
    struct stat st[4];
    struct store *s;
    char dir[64], path[200], copy[200];

    make(dir, 0);
    tuning.no_idle_confirm = true;
    o.tuning = &tuning;
    s = store_open(dir, &o, NULL);
    CHECK(s != NULL);
    snprintf(path, sizeof path, "%s/vault/log/00000000.seg", dir);
    CHECK(stat(path, &st[0]) == 0);
    for (unsigned i = 1; i < 4; i++) {
        CHECK(test_append(s, RECORD_EVENT, "events:2026-11", i, SIZE_MAX, &position, &err) && test_wait(s, 1) == 1);
        CHECK(stat(path, &st[i]) == 0);
    }
    /* As after a kill: the log as it is now, the confirm files as they were. */
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/vault/confirm.%d", dir, i);
        snprintf(copy, sizeof copy, "%s/confirm.%d", dir, i);
        CHECK(link(path, copy) == 0);
    }
    store_close(s);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/vault/confirm.%d", dir, i);
        snprintf(copy, sizeof copy, "%s/confirm.%d", dir, i);
        CHECK(rename(copy, path) == 0);
    }
    snprintf(path, sizeof path, "%s/vault/checkpoint", dir);
    CHECK(unlink(path) == 0); /* it speaks of the future now */
    snprintf(path, sizeof path, "%s/vault/log/00000000.seg", dir);
    for (int which = 0; which < 2; which++) { /* the second commit's entry, then also its marker */
        off_t at = which == 0 ? st[1].st_size + 200 : st[2].st_size - 20;
        int fd = open(path, O_RDWR);
        uint8_t byte = 0;

        CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1);
        byte ^= 0x10;
        CHECK(pwrite(fd, &byte, 1, at) == 1);
        close(fd);
        o.tuning = NULL;
        o.read_only = true;
        s = store_open(dir, &o, &err);
        CHECK_OK(err, s != NULL);
        CHECK(store_committed_size(s) == 4);
        CHECK(test_same(s, 1, 1, SIZE_MAX, &err) && test_same(s, 3, 3, SIZE_MAX, &err));
        CHECK(!test_same(s, 2, 2, SIZE_MAX, &err) && err.code == ERR_DAMAGED);
        CHECK(store_verify(s, count_text, &said, &findings, &err) && findings > 0);
        store_close(s);
    }
    o.read_only = false;
    s = store_open(dir, &o, &err);
    CHECK_OK(err, s != NULL);
    CHECK(store_committed_size(s) == 5); /* and an event that tells it */
    CHECK(test_same(s, 3, 3, SIZE_MAX, &err));
    store_close(s);
    test_remove(dir);
}

TEST(an_idle_store_is_confirmed_by_itself)
{
    struct store_options o = test_options();
    struct stat before, after;
    uint64_t position;
    struct store *s;
    char dir[64], path[200];

    make(dir, 0);
    snprintf(path, sizeof path, "%s/vault/confirm.1", dir);
    s = store_open(dir, &o, NULL);
    CHECK(s != NULL && stat(path, &before) == 0);
    CHECK(test_append(s, RECORD_EVENT, "events:2026-11", 1, SIZE_MAX, &position, NULL) && test_wait(s, 1) == 1);
    for (int i = 0; i < 400;
         i++) { /* ends as soon as it happens; 100 ms are promised on a machine with nothing else to do */
        CHECK(stat(path, &after) == 0);
        if (after.st_ino != before.st_ino)
            break;
        (void)poll(NULL, 0, 10);
    }
    CHECK(after.st_ino != before.st_ino);
    store_close(s);
    test_remove(dir);
}

TESTS(T(store_keeps_what_it_is_given), T(rules_are_walked_newest_first), T(a_segment_that_is_there_is_not_written_over),
      T(one_writer_at_a_time), T(who_has_patience_gets_the_store_when_it_is_free),
      T(a_body_can_be_looked_at_before_it_is_appended), T(ranges_are_exactly_those_asked_for),
      T(what_can_be_made_again_is), T(a_torn_tail_is_cut_and_told), T(zeros_behind_the_last_body_are_made_again),
      T(damage_that_a_later_marker_confirms_is_never_cut), T(an_idle_store_is_confirmed_by_itself))
