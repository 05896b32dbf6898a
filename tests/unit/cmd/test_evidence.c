/*
 * What the vault answers to "evidence": the checkpoint, what others have said of earlier ones, the records with their proofs; and
 * what it does not. Whole packs are checked by tests/e2e/t_evidence.py.
 */
#include "cmd/room/evidence.h"

#include "../vault/store_test.h"
#include "vault/cosign.h"
#include "vault/evidence.h"
#include "vault/proof.h"
#include "vault/store_internal.h"
#include "vault/vault.h"

#define STUDY "1.2.826.0.1"

struct rows {
    struct writer bytes; /* each behind its length */
    size_t count;
};

struct opened {
    char dir[TEST_DIR_SIZE];
    struct vault *vault;
    struct store *store;
    struct vault_reader *reader;
    struct error err;
};

static struct opened *open_one(void)
{
    struct vault_options options = { .store = test_options(), .timezone = "UTC" };
    struct opened *o = calloc(1, sizeof *o);

    options.store.clock = &clock_system;
    if (o == NULL)
        abort();
    test_dir(o->dir);
    if (!vault_create(o->dir, &options, &o->err) || (o->vault = vault_open(o->dir, &options, &o->err)) == NULL
        || (o->reader = vault_reader_new(o->vault, &o->err)) == NULL)
        abort();
    o->store = vault_store(o->vault);
    return o;
}

static void close_one(struct opened *o)
{
    vault_reader_free(o->reader);
    vault_close(o->vault);
    test_remove(o->dir);
    free(o);
}

static bool append(struct opened *o, enum record_kind kind, struct span unit, struct span facts, bool body)
{
    struct append a = { .kind = kind, .unit = unit, .facts = facts, .received_us = test_wall_us };
    struct completion done;
    uint64_t position;

    if (body) {
        a.body = body_new(o->store, BODY_IMAGES, unit, &o->err);
        if (a.body == NULL || !body_add(a.body, SPAN_LIT("pixels"), &o->err))
            return false;
    }
    if (!vault_append(o->vault, &a, &position, &o->err))
        return false;
    store_kick(o->store);
    while (vault_completed(o->vault, &done, 1) == 0) {
        struct pollfd p = { .fd = store_event_fd(o->store), .events = POLLIN };

        if (poll(&p, 1, 10000) != 1)
            return false;
    }
    return done.committed;
}

static bool append_image(struct opened *o, const char *uid)
{
    struct writer w = writer_new(4096);
    bool ok;

    field_put_str(&w, FIELD_PATIENT_ID, "IPP1");
    field_put_str(&w, FIELD_ISSUER, "HOSPITAL");
    field_put_str(&w, FIELD_STUDY_UID, STUDY);
    field_put_str(&w, FIELD_SERIES_UID, STUDY ".1");
    field_put_str(&w, FIELD_SOP_UID, uid);
    field_put_str(&w, FIELD_STATE, "stored");
    ok = append(o, RECORD_DICOM, SPAN_LIT("study:" STUDY), writer_span(&w), true);
    writer_done(&w);
    return ok;
}

static bool append_event(struct opened *o, const char *event)
{
    struct writer w = writer_new(512);
    bool ok;

    field_put_str(&w, FIELD_EVENT, event);
    field_put_str(&w, FIELD_ACTOR, "dr.house");
    ok = append(o, RECORD_EVENT, SPAN_LIT("events:2026-11"), writer_span(&w), false);
    writer_done(&w);
    return ok;
}

static bool take(void *context, struct span row)
{
    struct rows *r = context;

    write_u32le(&r->bytes, (uint32_t)row.len);
    write_span(&r->bytes, row);
    r->count++;
    return true;
}

static struct span nth(const struct rows *r, size_t n)
{
    struct reader all = reader_over(writer_span(&r->bytes));
    struct span row = { NULL, 0 };

    for (size_t i = 0; i <= n; i++)
        row = read_span(&all, read_u32le(&all));
    return row;
}

static bool ask(struct opened *o, struct rows *rows, void (*put)(struct writer *), const char *asked)
{
    struct writer request = writer_new(8192);
    bool ok;

    rows->bytes = writer_new((size_t)1 << 20);
    rows->count = 0;
    field_put_str(&request, FIELD_QUERY, "evidence");
    field_put_str(&request, FIELD_EVIDENCE, asked);
    put(&request);
    o->err.code = ERR_NONE;
    ok = evidence_find(o->store, o->reader, writer_span(&request), take, rows, &o->err);
    writer_done(&request);
    return ok;
}

static void put_study(struct writer *w)
{
    field_put_str(w, FIELD_STUDY_UID, STUDY);
}

static void put_all(struct writer *w)
{
    field_put_uint(w, FIELD_FROM_POSITION, 0);
    field_put_uint(w, FIELD_UNTIL_POSITION, 4);
}

/* The root of a confirmed size, once it is. */
static struct hash root_of(struct opened *o, uint64_t size)
{
    struct proof_tree *t = NULL;
    struct hash root;

    for (int i = 0; i < 1000; i++) {
        t = proof_tree_open(o->store, &o->err);
        if (t == NULL)
            abort();
        if (proof_tree_source(t)->size >= size)
            break;
        proof_tree_close(t);
        (void)usleep(10000);
    }
    if (!proof_root(proof_tree_source(t), size, &root, &o->err))
        abort();
    proof_tree_close(t);
    return root;
}

TEST(a_study_has_its_versions_keys_and_proofs)
{
    struct opened *o = open_one();
    struct rows rows;

    CHECK(append_event(o, "vault.started") && append_image(o, STUDY ".1.1") && append_event(o, "object.read")
          && append_image(o, STUDY ".1.2"));
    CHECK_OK(o->err, ask(o, &rows, put_study, "study"));
    CHECK(rows.count == 3 && fields_uint(nth(&rows, 0), FIELD_TREE_SIZE, 0) == 4);
    CHECK(fields_uint(nth(&rows, 1), FIELD_POSITION, 9) == 1 && fields_uint(nth(&rows, 2), FIELD_POSITION, 9) == 3);
    for (size_t i = 1; i < 3; i++) {
        CHECK(fields_uint(nth(&rows, i), FIELD_SHAPE, 0) == 1);
        CHECK(fields_text(nth(&rows, i), FIELD_RECORD_KEY).len == 32);
        CHECK(fields_text(nth(&rows, i), FIELD_INCLUSION).len == 64);
    }
    CHECK(!span_equal(fields_text(nth(&rows, 1), FIELD_RECORD_KEY), fields_text(nth(&rows, 2), FIELD_RECORD_KEY)));
    writer_done(&rows.bytes);
    close_one(o);
}

TEST(a_period_opens_events_and_seals_the_rest)
{
    const uint64_t shapes[] = { 1, 2, 1, 2 };
    struct opened *o = open_one();
    struct rows rows;

    CHECK(append_event(o, "vault.started") && append_image(o, STUDY ".1.1") && append_event(o, "object.read")
          && append_image(o, STUDY ".1.2"));
    CHECK_OK(o->err, ask(o, &rows, put_all, "period"));
    CHECK(rows.count == 5);
    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        CHECK(fields_uint(nth(&rows, i + 1), FIELD_SHAPE, 0) == shapes[i]);
        CHECK((fields_text(nth(&rows, i + 1), FIELD_RECORD_KEY).len == 32) == (shapes[i] == 1));
    }
    writer_done(&rows.bytes);
    close_one(o);
}

static void put_hashes(struct writer *w)
{
    put_all(w);
    field_put_str(w, FIELD_FORM, "hashes");
}

TEST(hashes_only_gives_no_key)
{
    struct opened *o = open_one();
    struct rows rows;

    CHECK(append_event(o, "a") && append_event(o, "b") && append_event(o, "c") && append_image(o, STUDY ".1.1"));
    CHECK_OK(o->err, ask(o, &rows, put_hashes, "period"));
    for (size_t i = 1; i < rows.count; i++) {
        CHECK(fields_text(nth(&rows, i), FIELD_RECORD_KEY).len == 0 && fields_text(nth(&rows, i), FIELD_ACTOR).len == 0);
        CHECK(fields_uint(nth(&rows, i), FIELD_SHAPE, 0) == 3 && fields_text(nth(&rows, i), FIELD_LEAF).len == 32);
    }
    writer_done(&rows.bytes);
    close_one(o);
}

static bool append_cosigned(struct opened *o, uint64_t size, struct span token)
{
    static const uint8_t seed[32] = { 7 };
    struct writer w = writer_new(8192), note = writer_new(4096), line = writer_new(512);
    struct hash root = root_of(o, size);
    struct vkey witness;
    struct note parsed;
    bool ok;

    vkey_of_seed("witness.example", NOTE_COSIGNATURE, seed, &witness);
    ok = evidence_checkpoint(o->store, size, &root, &note, &o->err) && note_parse(writer_span(&note), &parsed, &o->err);
    if (ok)
        cosignature_write(&witness, seed, parsed.text, 1795600000, &line);
    field_put_str(&w, FIELD_FACT, token.len > 0 ? "checkpoint-stamped" : "checkpoint-cosigned");
    field_put_text(&w, FIELD_SIGNED_NOTE, writer_span(&note));
    if (token.len > 0)
        field_put_bytes(&w, FIELD_STAMP_TOKEN, token);
    else
        field_put_text(&w, FIELD_COSIGNATURE, writer_span(&line));
    ok = ok && append(o, RECORD_FACT, SPAN_LIT("anchors"), writer_span(&w), false);
    writer_done(&w);
    writer_done(&note);
    writer_done(&line);
    return ok;
}

TEST(what_others_have_said_of_the_log_goes_with_it)
{
    struct opened *o = open_one();
    struct rows rows;
    struct note n;

    CHECK(append_image(o, STUDY ".1.1") && append_event(o, "b") && append_event(o, "c"));
    CHECK_OK(o->err, append_cosigned(o, 2, (struct span){ NULL, 0 }));
    CHECK_OK(o->err, append_cosigned(o, 3, SPAN_LIT("0-token")));
    CHECK_OK(o->err, ask(o, &rows, put_study, "study"));
    CHECK(rows.count == 4); /* head, two checkpoints, newest first, a record */
    CHECK(fields_uint(nth(&rows, 1), FIELD_TREE_SIZE, 0) == 3
          && span_equal(fields_text(nth(&rows, 1), FIELD_STAMP_TOKEN), SPAN_LIT("0-token")));
    CHECK(fields_uint(nth(&rows, 2), FIELD_TREE_SIZE, 0) == 2 && fields_text(nth(&rows, 2), FIELD_CONSISTENCY).len > 0);
    CHECK(note_parse(fields_text(nth(&rows, 2), FIELD_SIGNED_NOTE), &n, &o->err));
    CHECK(memmem(n.signatures.ptr, n.signatures.len, "witness.example ", 16) != NULL);
    writer_done(&rows.bytes);
    close_one(o);
}

static struct writer outside;

static void put_outside(struct writer *w)
{
    put_study(w);
    field_put_text(w, FIELD_SIGNED_NOTE, writer_span(&outside));
}

TEST(a_checkpoint_from_outside_is_of_this_history_or_refused)
{
    const struct { const char *name; uint64_t size; bool wrong; enum error_code want; const char *words; } rows_[] = {
        { "ours", 2, false, ERR_NONE, NULL },
        { "another root", 2, true, ERR_REFUSED, "another history" },
        { "larger", 99, true, ERR_REFUSED, "rolled back" },
    };
    struct opened *o = open_one();

    CHECK(append_image(o, STUDY ".1.1") && append_event(o, "b") && append_event(o, "c"));
    EACH (row, rows_) {
        struct hash root = row->wrong ? (struct hash){ { 1 } } : root_of(o, row->size);
        struct rows rows;
        bool ok;

        outside = writer_new(4096);
        CHECK(evidence_checkpoint(o->store, row->size, &root, &outside, &o->err));
        ok = ask(o, &rows, put_outside, "study");
        CHECK_ROW(row->name, ok == (row->want == ERR_NONE) && o->err.code == row->want);
        CHECK_ROW(row->name, row->words == NULL || strstr(o->err.text, row->words) != NULL);
        CHECK_ROW(row->name, !ok || fields_uint(nth(&rows, 1), FIELD_TREE_SIZE, 0) == 2);
        writer_done(&outside);
        writer_done(&rows.bytes);
    }
    close_one(o);
}

static void put_far(struct writer *w)
{
    field_put_uint(w, FIELD_FROM_POSITION, 0);
    field_put_uint(w, FIELD_UNTIL_POSITION, EVIDENCE_RECORDS_MAX + 1);
}

static void put_nobody(struct writer *w)
{
    field_put_str(w, FIELD_PATIENT_ID, "NOBODY");
    field_put_str(w, FIELD_ISSUER, "HOSPITAL");
}

static void put_beyond(struct writer *w)
{
    field_put_uint(w, FIELD_POSITION, 4711);
}

TEST(what_is_not_there_is_not_proven)
{
    const struct { const char *name; const char *asked; void (*put)(struct writer *); enum error_code want; } rows_[] = {
        { "a study nobody sent", "study", put_nobody, ERR_NOT_FOUND },
        { "a patient nobody is", "access", put_nobody, ERR_NOT_FOUND },
        { "a position behind the end", "object", put_beyond, ERR_NOT_FOUND },
        { "too long a period", "period", put_far, ERR_LIMIT },
        { "no such question", "everything", put_nobody, ERR_USAGE },
    };
    struct opened *o = open_one();

    CHECK(append_event(o, "a"));
    EACH (row, rows_) {
        struct rows rows;

        CHECK_ROW(row->name, !ask(o, &rows, row->put, row->asked) && o->err.code == row->want);
        writer_done(&rows.bytes);
    }
    close_one(o);
}

TEST(a_damaged_record_is_its_leaf)
{
    struct opened *o = open_one();
    char path[600];
    struct rows rows;
    uint8_t byte;
    int fd;

    CHECK(append_event(o, "a") && append_event(o, "b") && append_event(o, "c") && append_event(o, "d"));
    (void)root_of(o, 4); /* confirmed: its leaf is in the ledger */
    (void)snprintf(path, sizeof path, "%s/vault/log/00000000.seg", o->dir);
    fd = open(path, O_RDWR | O_CLOEXEC);
    /* behind the segment's header and the first marker: the first entry's facts */
    CHECK(fd >= 0 && lseek(fd, 0, SEEK_END) > 1000);
    for (off_t at = 0; at < 4096; at += 32) {
        char magic[4];

        if (pread(fd, magic, 4, at) == 4 && memcmp(magic, "FNLE", 4) == 0) {
            CHECK(pread(fd, &byte, 1, at + 200) == 1);
            byte ^= 1;
            CHECK(pwrite(fd, &byte, 1, at + 200) == 1);
            break;
        }
    }
    file_close(&fd);
    CHECK_OK(o->err, ask(o, &rows, put_all, "period"));
    CHECK(fields_uint(nth(&rows, 1), FIELD_SHAPE, 0) == 3 && fields_text(nth(&rows, 1), FIELD_LEAF).len == 32);
    CHECK(fields_uint(nth(&rows, 2), FIELD_SHAPE, 0) == 1);
    writer_done(&rows.bytes);
    close_one(o);
}

/* Flips a byte near the end of the newest file below a folder of the vault. */
static void flip_last(const char *dir, const char *folder)
{
    char path[600], name[300] = "";
    struct dirent *e;
    uint8_t byte;
    DIR *d;
    int fd;

    (void)snprintf(path, sizeof path, "%s/vault/%s", dir, folder);
    d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL)
        if (strstr(e->d_name, ".body") != NULL)
            (void)snprintf(name, sizeof name, "%s", e->d_name);
    (void)closedir(d);
    (void)snprintf(path, sizeof path, "%s/vault/%s/%s", dir, folder, name);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        abort();
    for (off_t at = lseek(fd, 0, SEEK_END) - 1; at >= 0; at--) /* a file may end with the rest of a block */
        if (pread(fd, &byte, 1, at) == 1 && byte != 0) {
            byte ^= 1;
            if (pwrite(fd, &byte, 1, at) != 1)
                abort();
            break;
        }
    file_close(&fd);
}

TEST(a_document_with_a_damaged_body_is_sealed)
{
    struct opened *o = open_one();
    struct rows rows;

    CHECK(append_image(o, STUDY ".1.1") && append_image(o, STUDY ".1.2"));
    (void)root_of(o, 2);
    flip_last(o->dir, "body/images");
    CHECK_OK(o->err, ask(o, &rows, put_study, "study"));
    CHECK(fields_uint(nth(&rows, 1), FIELD_SHAPE, 0) == 1);
    CHECK(fields_uint(nth(&rows, 2), FIELD_SHAPE, 0) == 2 && fields_text(nth(&rows, 2), FIELD_RECORD_KEY).len == 0);
    writer_done(&rows.bytes);
    close_one(o);
}

static void put_first(struct writer *w)
{
    field_put_uint(w, FIELD_POSITION, 0);
}

TEST(an_erased_record_is_sealed)
{
    struct opened *o = open_one();
    struct slot_erasure unit = { .due = false };
    struct rows rows;

    CHECK(append_image(o, STUDY ".1.1") && append_event(o, "object.read"));
    CHECK(store_unit_slot(o->store, SPAN_LIT("study:" STUDY), &unit.slot));
    keyring_unit_tag(o->store->keyring, SPAN_LIT("study:" STUDY), unit.tag);
    CHECK_OK(o->err, store_erase_units(o->store, &unit, 1, &o->err));
    CHECK_OK(o->err, ask(o, &rows, put_first, "object"));
    CHECK(fields_uint(nth(&rows, 1), FIELD_SHAPE, 0) == 2 && fields_text(nth(&rows, 1), FIELD_RECORD_KEY).len == 0);
    CHECK(fields_text(nth(&rows, 1), FIELD_STUDY_UID).len == 0 && fields_uint(nth(&rows, 1), FIELD_RECORD_KIND, 0) == RECORD_DICOM);
    writer_done(&rows.bytes);
    CHECK(!ask(o, &rows, put_first, "result") && o->err.code == ERR_NOT_FOUND);
    writer_done(&rows.bytes);
    close_one(o);
}

TEST(the_vault_signs_hashes_of_packs_and_nothing_else)
{
    struct opened *o = open_one();
    struct writer request = writer_new(512);
    struct rows rows = { .bytes = writer_new(8192) };
    struct checkpoint c;
    struct note n;

    CHECK(append_event(o, "a"));
    field_put_str(&request, FIELD_QUERY, "evidence-signature");
    field_put_bytes(&request, FIELD_DIGEST, HEX("0102"));
    CHECK(!evidence_find(o->store, o->reader, writer_span(&request), take, &rows, &o->err)
          && o->err.code == ERR_MALFORMED);
    writer_reset(&request);
    field_put_str(&request, FIELD_QUERY, "evidence-signature");
    field_put_bytes(&request, FIELD_DIGEST, span_of((uint8_t[32]){ 9 }, 32));
    CHECK_OK(o->err, evidence_find(o->store, o->reader, writer_span(&request), take, &rows, &o->err));
    CHECK(note_parse(fields_text(nth(&rows, 0), FIELD_SIGNED_NOTE), &n, &o->err));
    CHECK(!checkpoint_parse(n.text, &c, &o->err)); /* it can never pass for one */
    writer_done(&request);
    writer_done(&rows.bytes);
    close_one(o);
}

TESTS(T(a_study_has_its_versions_keys_and_proofs), T(a_period_opens_events_and_seals_the_rest), T(hashes_only_gives_no_key),
      T(what_others_have_said_of_the_log_goes_with_it), T(a_checkpoint_from_outside_is_of_this_history_or_refused),
      T(what_is_not_there_is_not_proven), T(a_damaged_record_is_its_leaf), T(a_document_with_a_damaged_body_is_sealed), T(an_erased_record_is_sealed),
      T(the_vault_signs_hashes_of_packs_and_nothing_else))
