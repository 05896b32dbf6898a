/*
 * rebuild [RECORDS [DIR]]: how fast `fanal rebuild` makes the views again from the log alone, of a store of its own below
 * DIR (default /tmp): four CT instances to a message of three observations, a key to a study. Beside it, in the same run
 * on the same rows, what the machine can do: SQLite inserting the same facts into one table without journal, sync,
 * encryption or index; and reading and decrypting the entries alone.
 */
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "record/field.h"
#include "vault/vault.h"

#define OBJECTS_A_STUDY 200
#define COMMIT_EVERY    1000

static const struct log no_log = { .fd = -1, .least = LOG_ERROR, .clock = &clock_system };

static void die(const char *what, const struct error *err)
{
    (void)fprintf(stderr, "rebuild: %s: %s\n", what, err != NULL ? err->text : "");
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put_number(struct writer *w, enum field f, const char *before, unsigned n, const char *behind)
{
    char text[64];

    (void)snprintf(text, sizeof text, "%s%u%s", before, n, behind);
    field_put_str(w, f, text);
}

static void image(struct writer *w, unsigned i)
{
    static const struct {
        enum field field;
        const char *text;
    } same[] = { { FIELD_SOURCE, "CT1" },          { FIELD_ADDRESS, "10.0.0.1" }, { FIELD_ISSUER, "HOSPITAL" },
                 { FIELD_SEX, "M" },               { FIELD_MODALITY, "CT" },      { FIELD_STUDY_DATE, "20231110" },
                 { FIELD_STUDY_TIME, "101500" },   { FIELD_KIND, "dicom" },       { FIELD_STATE, "stored" },
                 { FIELD_STUDY_DESCRIPTION, "Abdomen" },
                 { FIELD_SOP_CLASS, "1.2.840.10008.5.1.4.1.1.2" },
                 { FIELD_TRANSFER_SYNTAX, "1.2.840.10008.1.2.1" },
                 { FIELD_PHOTOMETRIC, "MONOCHROME2" },
                 { FIELD_WINDOW_CENTER, "40" },    { FIELD_WINDOW_WIDTH, "400" }, { FIELD_RESCALE_INTERCEPT, "-1024" },
                 { FIELD_RESCALE_SLOPE, "1" },     { FIELD_IMAGE_ORIENTATION, "1\\0\\0\\0\\1\\0" },
                 { FIELD_PIXEL_SPACING, "0.9\\0.9" } };
    static const struct {
        enum field field;
        uint64_t value;
    } numbers[] = { { FIELD_ROWS, 512 },          { FIELD_COLUMNS, 512 },     { FIELD_SAMPLES_PER_PIXEL, 1 },
                    { FIELD_BITS_ALLOCATED, 16 }, { FIELD_BITS_STORED, 12 },  { FIELD_HIGH_BIT, 11 },
                    { FIELD_PIXEL_OFFSET, 1500 }, { FIELD_PIXEL_LENGTH, 524288 } };
    const unsigned study = i / OBJECTS_A_STUDY;

    for (size_t n = 0; n < sizeof same / sizeof same[0]; n++)
        field_put_str(w, same[n].field, same[n].text);
    for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++)
        field_put_uint(w, numbers[n].field, numbers[n].value);
    put_number(w, FIELD_PATIENT_ID, "P", study, "");
    put_number(w, FIELD_PATIENT_NAME, "NAME", study, "^FIRST");
    put_number(w, FIELD_BIRTH_DATE, "19", 10 + study % 90, "0615");
    put_number(w, FIELD_STUDY_UID, "1.2.840.99999.", study, "");
    put_number(w, FIELD_SERIES_UID, "1.2.840.99999.1.", i / 50, "");
    put_number(w, FIELD_SOP_UID, "1.2.840.99999.1.1.", i, "");
    put_number(w, FIELD_INSTANCE_NUMBER, "", i % 50, "");
    put_number(w, FIELD_IMAGE_POSITION, "-250\\-250\\", i % 50, ".5");
}

static void observation(struct writer *w, const char *code, unsigned value)
{
    const size_t mark = field_group_begin(w, FIELD_OBSERVATION);

    field_put_str(w, FIELD_CODE, code);
    field_put_str(w, FIELD_CODE_SYSTEM, "LN");
    field_put_str(w, FIELD_UNITS, "mmol/L");
    field_put_str(w, FIELD_STATUS, "F");
    put_number(w, FIELD_VALUE, "", value, "");
    field_group_end(w, mark);
}

static void result(struct writer *w, unsigned i)
{
    size_t mark;

    field_put_str(w, FIELD_SOURCE, "LIS");
    field_put_str(w, FIELD_KIND, "hl7");
    field_put_str(w, FIELD_STATE, "stored");
    field_put_str(w, FIELD_MESSAGE_TYPE, "ORU");
    field_put_str(w, FIELD_TRIGGER, "R01");
    field_put_str(w, FIELD_MESSAGE_TIME, "20231110101500");
    field_put_str(w, FIELD_ISSUER, "HOSPITAL");
    put_number(w, FIELD_PATIENT_ID, "P", i / 20, "");
    put_number(w, FIELD_PATIENT_NAME, "NAME", i / 20, "^FIRST");
    mark = field_group_begin(w, FIELD_REPORT);
    put_number(w, FIELD_FILLER_ORDER, "F", i, "");
    field_put_str(w, FIELD_COLLECTED, "20231110080000");
    observation(w, "2823-3", i % 10);
    observation(w, "2951-2", i % 10);
    observation(w, "2160-0", i % 10);
    field_group_end(w, mark);
}

/* Record i: every fifth is a message. */
static enum record_kind record(struct writer *w, unsigned i)
{
    writer_reset(w);
    if (i % 5 == 4) {
        result(w, i / 5);
        return RECORD_HL7;
    }
    image(w, i / 5 * 4 + i % 5);
    return RECORD_DICOM;
}

static void settle(struct store *s)
{
    struct completion done[64];

    store_kick(s);
    while (store_completed(s, done, 64) > 0)
        ;
}

static void fill(const char *dir, const struct store_options *o, unsigned count)
{
    struct error err = { 0 };
    struct store *s = store_open(dir, o, &err);
    struct writer w = writer_new(1 << 20);

    if (s == NULL)
        die("store", &err);
    for (unsigned i = 0; i < count; i++) {
        char unit[64];
        struct append a = { .kind = record(&w, i), .received_us = 1700000000000000 + (uint64_t)i * 1000 };
        uint64_t position;

        (void)snprintf(unit, sizeof unit, "%s%u", a.kind == RECORD_HL7 ? "results:H:P" : "study:", i / OBJECTS_A_STUDY);
        a.unit = span_str(unit);
        a.facts = writer_span(&w);
        if (!store_append(s, &a, &position, &err))
            die("append", &err);
        if (i % COMMIT_EVERY == 0)
            settle(s);
    }
    settle(s);
    store_close(s);
    writer_done(&w);
}

/* The floor: the same facts into one table. */
static double insert_raw(const char *dir, unsigned count)
{
    char path[512];
    sqlite3 *db;
    sqlite3_stmt *st;
    struct writer w = writer_new(1 << 20);
    double begin;

    (void)snprintf(path, sizeof path, "%s/raw.db", dir);
    if (sqlite3_open(path, &db) != SQLITE_OK
        || sqlite3_exec(db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
                            " CREATE TABLE r (position INTEGER PRIMARY KEY, facts BLOB NOT NULL) STRICT; BEGIN",
                        NULL, NULL, NULL) != SQLITE_OK
        || sqlite3_prepare_v2(db, "INSERT INTO r VALUES (?1, ?2)", -1, &st, NULL) != SQLITE_OK)
        die("sqlite", NULL);
    begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned i = 0; i < count; i++) {
        (void)record(&w, i);
        (void)sqlite3_bind_int64(st, 1, i);
        (void)sqlite3_bind_blob64(st, 2, w.ptr, w.len, SQLITE_STATIC);
        if (sqlite3_step(st) != SQLITE_DONE || sqlite3_reset(st) != SQLITE_OK)
            die("insert", NULL);
    }
    (void)sqlite3_finalize(st);
    (void)sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    (void)sqlite3_close(db);
    (void)unlink(path);
    writer_done(&w);
    return seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
}

static double read_all(const char *dir, const struct store_options *o, unsigned count)
{
    struct error err = { 0 };
    struct store *s = store_open(dir, o, &err);
    struct writer facts = writer_new(1 << 20);
    double begin = seconds(CLOCK_PROCESS_CPUTIME_ID);

    for (unsigned i = 0; s != NULL && i < count; i++) {
        struct entry e;

        writer_reset(&facts);
        if (!store_read_entry(s, i, &e, &facts, &err))
            die("read", &err);
    }
    begin = seconds(CLOCK_PROCESS_CPUTIME_ID) - begin;
    store_close(s);
    writer_done(&facts);
    return begin;
}

int main(int argc, char **argv)
{
    const unsigned count = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    const struct vault_options options = {
        .store = { .clock = &clock_system, .log = &no_log, .secret = SPAN_LIT("key:0123456789abcdef0123456789abcdef") },
        .timezone = "UTC",
    };
    char dir[256];
    struct error err = { 0 };
    double wall, cpu;

    (void)snprintf(dir, sizeof dir, "%s/fanal-rebuild-XXXXXX", argc > 2 ? argv[2] : "/tmp");
    if (count == 0 || sodium_init() < 0 || mkdtemp(dir) == NULL || !vault_create(dir, &options, &err))
        die("vault", &err);
    fill(dir, &options.store, count);
    wall = seconds(CLOCK_MONOTONIC);
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    if (!vault_rebuild(dir, &options, &err))
        die("rebuild", &err);
    wall = seconds(CLOCK_MONOTONIC) - wall;
    cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    (void)printf("%9u records (4 instances to a message of 3 observations)\n", count);
    (void)printf("%9.0f records/s rebuilt, by the clock; %.0f by processor time of both threads\n", count / wall,
                 count / cpu);
    (void)printf("%9.0f records/s read and decrypted alone, processor time\n", count / read_all(dir, &options.store, count));
    (void)printf("%9.0f rows/s inserted raw by SQLite, processor time (the machine's limit)\n",
                 count / insert_raw(dir, count));
    (void)fflush(stdout);
    (void)execlp("rm", "rm", "-rf", dir, (char *)NULL);
    return 0;
}
