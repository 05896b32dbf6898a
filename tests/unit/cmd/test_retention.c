/*
 * What the rules of retention make due, and the body files that go with it. A vault whose records came over two years,
 * one a week, so that the time was lived through.
 */
#include "../vault/store_test.h"
#include "cmd/room/selection.h"
#include "vault/vault.h"

#define DAY  ((uint64_t)86400 * 1000000)
#define T0   (UINT64_C(1577836800) * 1000000) /* 2020-01-01 */
#define WEEKS 104

struct archive {
    char dir[TEST_DIR_SIZE];
    struct vault *v;
    struct error err;
    uint64_t position; /* of the newest record */
    uint64_t held;
};

static struct vault *open_archive(const char *dir, struct error *err)
{
    struct vault_options o = { .store = test_options() };

    return vault_open(dir, &o, err);
}

static void put(struct archive *t, enum record_kind kind, const char *unit, const char *patient, uint64_t at, size_t bytes)
{
    struct writer facts = writer_new(4096);
    struct append a = { .kind = kind, .unit = span_str(unit), .received_us = at };
    struct completion done;

    field_put_str(&facts, FIELD_ISSUER, "H");
    field_put_str(&facts, FIELD_PATIENT_ID, patient);
    a.facts = writer_span(&facts);
    if (bytes > 0) {
        uint8_t *data = malloc(bytes);

        test_fill(data, bytes, 3);
        a.body = body_new(vault_store(t->v), kind == RECORD_HL7 ? BODY_RESULTS : BODY_IMAGES, a.unit, &t->err);
        _assert_true(a.body != NULL && body_add(a.body, span_of(data, bytes), &t->err), unit, __FILE__, __LINE__);
        free(data);
    }
    _assert_true(vault_append(t->v, &a, &t->position, &t->err), t->err.text, __FILE__, __LINE__);
    store_kick(vault_store(t->v));
    while (vault_completed(t->v, &done, 1) == 0) {
        struct pollfd p = { .fd = store_event_fd(vault_store(t->v)), .events = POLLIN };

        (void)poll(&p, 1, 10000);
    }
    _assert_true(done.committed, unit, __FILE__, __LINE__);
    writer_done(&facts);
}

static void put_rule(struct archive *t, const char *fact, uint64_t request, const struct selection *units, const char *patient)
{
    struct writer w = writer_new((size_t)1 << 20);
    struct append a = { .kind = RECORD_RULE, .unit = SPAN_LIT("rules"), .received_us = T0 + WEEKS * 7 * DAY };
    struct completion done;
    uint8_t tag[KEYRING_TAG_BYTES];

    field_put_str(&w, FIELD_FACT, fact);
    field_put_str(&w, FIELD_ACTOR, "somebody");
    field_put_uint(&w, FIELD_REQUEST, request);
    for (size_t i = 0; units != NULL && i < units->unit_count; i++)
        erasure_unit_put(&w, &units->units[i]);
    if (patient != NULL) {
        patient_tag(vault_store(t->v), SPAN_LIT("H"), span_str(patient), tag);
        field_put_bytes(&w, FIELD_PATIENT_TAG, span_of(tag, sizeof tag));
    }
    a.facts = writer_span(&w);
    _assert_true(vault_append(t->v, &a, &t->position, &t->err), t->err.text, __FILE__, __LINE__);
    store_kick(vault_store(t->v));
    while (vault_completed(t->v, &done, 1) == 0) {
        struct pollfd p = { .fd = store_event_fd(vault_store(t->v)), .events = POLLIN };

        (void)poll(&p, 1, 10000);
    }
    writer_done(&w);
}

/* Positions of the first records. */
enum { A1, A2, LARGE, RESULT };

static void archive_init(struct archive *t)
{
    struct store_options plain = test_options();

    *t = (struct archive){ .position = 0 };
    test_dir(t->dir);
    _assert_true(store_create(t->dir, &plain, &t->err) && (t->v = open_archive(t->dir, &t->err)) != NULL, t->err.text, __FILE__,
                 __LINE__);
    put(t, RECORD_DICOM, "study:A", "1", T0 + 1, 5000);
    put(t, RECORD_DICOM, "study:A", "1", T0 + 2, 5000);
    put(t, RECORD_DICOM, "study:L", "1", T0 + 3, BODY_BUFFERED_MAX + 1);
    put(t, RECORD_HL7, "results:H:1", "1", T0 + 4, 500);
    for (uint64_t week = 1; week < WEEKS; week++) {
        put(t, RECORD_EVENT, "events:2020-02", "", T0 + week * 7 * DAY, 0);
        if (week == 5) { /* February: a file of its own */
            put(t, RECORD_DICOM, "study:HELD", "2", T0 + week * 7 * DAY + 1, 5000);
            t->held = t->position;
        }
    }
    put(t, RECORD_DICOM, "study:YOUNG", "3", T0 + WEEKS * 7 * DAY, 5000);
}

static void archive_done(struct archive *t)
{
    vault_close(t->v);
    test_remove(t->dir);
}

static size_t due(struct archive *t, const struct retention *rules, uint64_t now, struct selection *out)
{
    t->err = (struct error){ 0 };
    _assert_true(selection_due(t->v, rules, now, out, &t->err), t->err.text, __FILE__, __LINE__);
    return out->unit_count;
}

TEST(what_is_due_by_kind_and_period)
{
    static const struct {
        const char *name;
        uint32_t images, results, events, recordings;
        uint64_t days_later;
        size_t units;
    } rows[] = {
        { "no rule: nothing", 0, 0, 0, 0, 0, 0 },
        { "images of more than a year", 12, 0, 0, 0, 0, 3 },
        { "results too", 12, 12, 0, 0, 0, 4 },
        { "a period that nothing has reached", 36, 36, 36, 36, 0, 0 },
        { "just not", 24, 0, 0, 0, 2, 0 },
        { "just so: 24 months after the second of A", 24, 0, 0, 0, 3, 2 },
        { "a kind of which there is none", 0, 0, 0, 1, 0, 0 },
        { "events are as old as their newest", 0, 0, 1, 0, 0, 0 },
        { "a clock ten years ahead makes nothing old", 36, 36, 36, 36, 3650, 0 },
    };
    struct archive t;

    archive_init(&t);
    EACH (row, rows) {
        struct retention rules[RETAINED_COUNT] = { { .months = row->images }, { .months = row->results },
                                                   { .months = row->events }, { .months = row->recordings } };
        struct selection got;

        size_t units = due(&t, rules, T0 + (WEEKS * 7 + row->days_later) * DAY, &got);

        CHECK_ROW(row->name, units == row->units);
        selection_done(&got);
    }
    archive_done(&t);
}

static void count_finding(void *context, const char *finding)
{
    (void)context;
    print_error("%s\n", finding);
}

static unsigned files_in(const char *dir, const char *below)
{
    char path[200];
    struct dirent *e;
    unsigned n = 0;
    DIR *d;

    (void)snprintf(path, sizeof path, "%s/vault/body/%s", dir, below);
    d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL)
        n += e->d_name[0] != '.';
    if (d != NULL)
        (void)closedir(d);
    return n;
}

/* A and the large object are gone with their files, the others are as they were, and nothing is damaged. */
static void check_after(struct archive *t)
{
    struct store *s = vault_store(t->v);
    uint64_t findings = 1;
    struct entry e;
    uint8_t byte;

    for (uint64_t n = A1; n <= RESULT + 1; n++) {
        uint64_t p = n <= RESULT ? n : t->held;
        bool gone = n <= LARGE;

        t->err = (struct error){ 0 };
        _assert_true(store_read_entry(s, p, &e, NULL, &t->err) == !gone && (!gone || t->err.code == ERR_ERASED), "entry", __FILE__, __LINE__);
        _assert_true(store_read_body(s, p, 0, &byte, 1, &t->err) == !gone && (!gone || t->err.code == ERR_ERASED), "body", __FILE__, __LINE__);
    }
    _assert_true(store_verify(s, count_finding, NULL, &findings, &t->err) && findings == 0, "verify", __FILE__, __LINE__);
}

TEST(files_go_when_nothing_in_them_can_be_read)
{
    struct retention rules[RETAINED_COUNT] = { [RETAINED_IMAGES] = { .months = 12 } };
    struct store_repair repaired;
    struct expired gone;
    struct selection got;
    struct erasure e;
    struct archive t;

    archive_init(&t);
    put_rule(&t, "hold-set", 0, NULL, "2");
    vault_close(t.v); /* confirms: only then is a file full */
    t.v = open_archive(t.dir, &t.err);
    CHECK_OK(t.err, t.v != NULL);
    CHECK_OK(t.err, store_repair(vault_store(t.v), NULL, count_finding, NULL, &repaired, &t.err)); /* seals what is full */
    CHECK(files_in(t.dir, "images") == 5 && files_in(t.dir, "large") == 2); /* three months, two of them sealed */
    CHECK(due(&t, rules, T0 + WEEKS * 7 * DAY, &got) == 2 && got.left_out == 1); /* of three, one is held */
    CHECK(got.received[0][0] == T0 + 1 && got.received[0][1] == T0 + 2 && got.received[1][0] == T0 + 3);
    CHECK_OK(t.err, store_remove_erased(vault_store(t.v), &gone, &t.err) && gone.files == 0);
    put_rule(&t, "erasure-requested", 0, &got, NULL);
    put_rule(&t, "units-erased", t.position, &got, NULL);
    selection_done(&got);
    CHECK(vault_erasure_at(t.v, 0, &e) && e.state == ERASURE_DONE);
    CHECK_OK(t.err, vault_erase(t.v, &e, &t.err));
    CHECK_OK(t.err, store_remove_erased(vault_store(t.v), &gone, &t.err));
    CHECK(gone.files == 2 && gone.bytes > BODY_BUFFERED_MAX);
    CHECK(files_in(t.dir, "images") == 3 && files_in(t.dir, "large") == 0 && files_in(t.dir, "results") == 1);
    check_after(&t);
    CHECK_OK(t.err, store_remove_erased(vault_store(t.v), &gone, &t.err) && gone.files == 0);
    vault_close(t.v);
    t.v = open_archive(t.dir, &t.err);
    CHECK_OK(t.err, t.v != NULL);
    check_after(&t);
    CHECK_OK(t.err, store_repair(vault_store(t.v), NULL, count_finding, NULL, &repaired, &t.err));
    CHECK(repaired.lost == 0 && files_in(t.dir, "images") == 3);
    put(&t, RECORD_DICOM, "study:A", "1", T0 + WEEKS * 7 * DAY, 5000); /* sent again: kept again */
    check_after(&t);
    archive_done(&t);
}

TEST(the_file_in_use_and_one_beside_a_lost_entry_stay)
{
    struct retention rules[RETAINED_COUNT] = { [RETAINED_IMAGES] = { .months = 1 } };
    struct expired gone;
    struct selection got;
    struct erasure e;
    struct archive t;
    char path[200];

    archive_init(&t);
    for (unsigned i = 1; i < 8; i++) /* so that the newest image, too, is old */
        put(&t, RECORD_EVENT, "events:2022-01", "", T0 + (WEEKS + i) * 7 * DAY, 0);
    CHECK(due(&t, rules, T0 + (WEEKS + 7) * 7 * DAY, &got) == 4);
    put_rule(&t, "erasure-requested", 0, &got, NULL);
    put_rule(&t, "units-erased", t.position, &got, NULL);
    selection_done(&got);
    CHECK(vault_erasure_at(t.v, 0, &e));
    CHECK_OK(t.err, vault_erase(t.v, &e, &t.err));
    vault_close(t.v);
    (void)snprintf(path, sizeof path, "%s/vault/log/00000000.seg", t.dir);
    {
        CLEANUP(file_close) int fd = open(path, O_RDWR);
        uint8_t bytes[4096], *at;

        CHECK(fd >= 0 && pread(fd, bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
        at = memmem(bytes, sizeof bytes, "FNLE", 4); /* the first entry, of A */
        CHECK(at != NULL && pwrite(fd, "XXXX", 4, at - bytes) == 4);
    }
    t.v = open_archive(t.dir, &t.err);
    CHECK_OK(t.err, t.v != NULL);
    CHECK_OK(t.err, store_remove_erased(vault_store(t.v), &gone, &t.err));
    CHECK(gone.files == 2); /* the large one and February's; January's holds what was lost, the last is in use */
    archive_done(&t);
}

TEST(rules_of_retention_from_the_log)
{
    static const struct {
        const char *name, *fact, *class;
        uint64_t months, request;
        bool ok;
        uint32_t then; /* months of images afterwards */
    } rows[] = {
        { "asked: nothing changes", "retention-asked", "images", 12, 0, true, 0 },
        { "approved", "retention-set", "images", 12, 1, true, 12 },
        { "an approval of nothing", "retention-set", "images", 6, 77, false, 12 },
        { "no such class", "retention-set", "letters", 6, 0, false, 12 },
        { "too long", "retention-set", "images", 1201, 0, false, 12 },
        { "always again", "retention-set", "images", 0, 0, true, 0 },
        { "another fact", "hold-set", "images", 5, 0, true, 0 },
    };
    struct retention kinds[RETAINED_COUNT] = { { .months = 0 } };
    uint64_t position = 0;

    EACH (row, rows) {
        struct writer w = writer_new(1024);
        struct error err = { 0 };

        field_put_str(&w, FIELD_FACT, row->fact);
        field_put_str(&w, FIELD_ACTOR, "somebody");
        field_put_str(&w, FIELD_CLASS, row->class);
        field_put_uint(&w, FIELD_MONTHS, row->months);
        field_put_uint(&w, FIELD_REQUEST, row->request);
        CHECK(retention_apply(kinds, ++position, writer_span(&w), &err) == row->ok);
        CHECK(kinds[RETAINED_IMAGES].months == row->then);
        writer_done(&w);
    }
    CHECK(retention_is_shorter(6, 12) && retention_is_shorter(6, 0) && !retention_is_shorter(0, 6)
          && !retention_is_shorter(12, 12) && !retention_is_shorter(0, 0));
}

TESTS(T(what_is_due_by_kind_and_period), T(files_go_when_nothing_in_them_can_be_read),
      T(the_file_in_use_and_one_beside_a_lost_entry_stay), T(rules_of_retention_from_the_log))
