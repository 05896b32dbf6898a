/* The vault over its own store: bodies, commits, views, accounts, a rebuild, and nothing readable on disk. */
#include "store_test.h"
#include "vault/vault.h"

static const struct clock *const real_clock = &clock_system;

struct opened {
    char dir[64];
    struct vault_options options;
    struct vault *vault;
    struct vault_reader *reader;
    struct error err;
};

static bool open_vault(struct opened *o)
{
    o->vault = vault_open(o->dir, &o->options, &o->err);
    o->reader = o->vault != NULL ? vault_reader_new(o->vault, &o->err) : NULL;
    return o->reader != NULL;
}

static void close_vault(struct opened *o)
{
    vault_reader_free(o->reader);
    vault_close(o->vault);
}

static bool wait_completed(struct opened *o, size_t count)
{
    struct completion done[8];

    for (size_t seen = 0, n; seen < count; seen += n) {
        struct pollfd p = { .fd = store_event_fd(vault_store(o->vault)), .events = POLLIN };

        store_kick(vault_store(o->vault));
        if (poll(&p, 1, 10000) != 1)
            return false;
        n = vault_completed(o->vault, done, COUNT_OF(done));
        for (size_t i = 0; i < n; i++)
            if (!done[i].committed)
                return false;
    }
    return true;
}

static bool put_image(struct opened *o, unsigned n, struct span name)
{
    struct writer w = writer_new(4096);
    struct append a = { .kind = RECORD_DICOM, .unit = SPAN_LIT("study:1.2.826.0.1"), .received_us = 1700000000000000 + n };
    char uid[64];
    uint64_t position;
    bool ok;

    (void)snprintf(uid, sizeof uid, "1.2.826.0.1.3680043.%u", n);
    field_put_str(&w, FIELD_PATIENT_ID, "IPP8123456");
    field_put_str(&w, FIELD_ISSUER, "HOSPITAL");
    field_put_text(&w, FIELD_PATIENT_NAME, name);
    field_put_str(&w, FIELD_BIRTH_DATE, "19570203");
    field_put_str(&w, FIELD_STUDY_UID, "1.2.826.0.1");
    field_put_str(&w, FIELD_SERIES_UID, "1.2.826.0.1.9");
    field_put_str(&w, FIELD_SOP_UID, uid);
    a.facts = writer_span(&w);
    a.body = body_new(vault_store(o->vault), BODY_IMAGES, a.unit, &o->err);
    ok = a.body != NULL && body_add(a.body, SPAN_LIT("the bytes of an image"), &o->err)
         && vault_append(o->vault, &a, &position, &o->err);
    writer_done(&w);
    return ok;
}

static bool count_rows(void *context, struct span row)
{
    (void)row;
    ++*(size_t *)context;
    return true;
}

static size_t found(struct opened *o, const char *query, enum field f, const char *value)
{
    struct writer w = writer_new(512);
    size_t rows = 0;

    field_put_str(&w, FIELD_QUERY, query);
    field_put_str(&w, f, value);
    if (!vault_find(o->reader, writer_span(&w), count_rows, &rows, &o->err))
        rows = SIZE_MAX;
    writer_done(&w);
    return rows;
}

/* Does any file below dir hold the word? */
static bool is_readable(const char *dir, const char *word)
{
    char command[256], line[256];
    FILE *p;
    bool any;

    (void)snprintf(command, sizeof command, "grep -rlaF '%s' %s", word, dir);
    p = popen(command, "r");
    any = p != NULL && fgets(line, sizeof line, p) != NULL;
    if (any)
        print_error("%s holds %s\n", line, word);
    (void)pclose(p);
    return any;
}

TEST(the_vault_keeps_finds_and_reopens)
{
    struct opened o = { .options = { .store = test_options(), .timezone = "Europe/Paris" } };
    uint8_t bytes[21];

    o.options.store.clock = real_clock;
    test_dir(o.dir);
    CHECK_OK(o.err, vault_create(o.dir, &o.options, &o.err));
    CHECK_OK(o.err, open_vault(&o));
    for (unsigned i = 0; i < 20; i++)
        CHECK_OK(o.err, put_image(&o, i, SPAN_LIT("MARCHANDEAU^Philomene")));
    CHECK(wait_completed(&o, 20));
    CHECK(found(&o, "patients", FIELD_PATIENT_NAME, "marchan") == 1);
    CHECK(found(&o, "instances", FIELD_SERIES_UID, "1.2.826.0.1.9") == 20);
    CHECK(store_read_body(vault_store(o.vault), 7, 0, bytes, sizeof bytes, &o.err) && memcmp(bytes, "the bytes", 9) == 0);
    CHECK(!is_readable(o.dir, "MARCHANDEAU") && !is_readable(o.dir, "IPP8123456") && !is_readable(o.dir, "3680043"));
    for (int again = 0; again < 2; again++) {
        close_vault(&o);
        CHECK(!is_readable(o.dir, "MARCHANDEAU") && !is_readable(o.dir, "IPP8123456"));
        if (again == 1)
            CHECK_OK(o.err, vault_rebuild(o.dir, &o.options, &o.err));
        CHECK_OK(o.err, open_vault(&o));
        CHECK(found(&o, "instances", FIELD_SERIES_UID, "1.2.826.0.1.9") == 20);
    }
    CHECK(!vault_rebuild(o.dir, &o.options, &o.err) && o.err.code == ERR_BUSY);
    close_vault(&o);
    test_remove(o.dir);
}

TESTS(T(the_vault_keeps_finds_and_reopens))
