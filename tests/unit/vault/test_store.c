#include "store_test.h"

TEST(store_keeps_what_it_is_given)
{
    const struct { const char *name; enum record_kind kind; const char *unit; size_t len; } rows[] = {
        { "event",                RECORD_EVENT, "events:2026-11", SIZE_MAX },
        { "empty body",           RECORD_HL7,   "message",        0 },
        { "small body",           RECORD_HL7,   "results:H:1",    700 },
        { "one chunk",            RECORD_DICOM, "study:1.2",      65536 },
        { "one chunk and a byte", RECORD_DICOM, "study:1.2",      65537 },
        { "two megabytes",        RECORD_DICOM, "study:1.2",      2u << 20 },
        { "a byte more",          RECORD_DICOM, "study:1.2",      (2u << 20) + 1 },
        { "five megabytes",       RECORD_DICOM, "study:1.3",      5000000 },
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
    EACH (row, rows) {
        uint64_t position;

        CHECK_ROW(row->name, test_append(s, row->kind, row->unit, (unsigned)i_, row->len, &position, &err));
        CHECK_ROW(row->name, position == i_ && test_wait(s, 1) == 1);
    }
    for (int again = 0; again < 3; again++) {
        EACH (row, rows)
            CHECK_OK(err, test_same(s, i_, (unsigned)i_, row->len, &err));
        store_close(s);
        s = store_open(dir, &o, &err);
        CHECK_OK(err, s != NULL);
        CHECK(store_committed_size(s) == COUNT_OF(rows));
    }
    store_close(s);
    test_remove(dir);
}

TESTS(T(store_keeps_what_it_is_given))
