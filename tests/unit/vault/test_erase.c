/*
 * A unit's data key goes, and nothing brings it back: not the keyring's slots, not any file, not a power cut between the
 * tombstone and the slots, not an older keyring. What is left is whole: tree, proofs, other units.
 */
#include <errno.h>
#include <pthread.h>

#include "store_test.h"
#include "vault/erasures.h"
#include "vault/store_internal.h"
#include "vault/unit_map.h"
#include "vault/vault.h"

/* As CHECK, in what the tests share. */
#define MUST(claim) _assert_true((claim), #claim, __FILE__, __LINE__)

#define SNAPSHOTS_MAX 400 /* views change the disk through the same calls */
#define RECORDS_A     3u /* positions 0, 1, 2 */
#define RECORDS_B     2u

/* ---- a copy of the directory before every write ---- */

struct camera {
    const char *dir;
    char shots[TEST_DIR_SIZE];
    pthread_mutex_t lock;
    bool armed;
    unsigned count;
};

static void shoot(struct camera *c)
{
    char to[TEST_DIR_SIZE + 20];

    (void)pthread_mutex_lock(&c->lock);
    if (c->armed && c->count < SNAPSHOTS_MAX) {
        (void)snprintf(to, sizeof to, "%s/%u", c->shots, c->count++);
        test_copy(c->dir, to);
    }
    (void)pthread_mutex_unlock(&c->lock);
}

static ssize_t camera_pwrite(void *context, int fd, const void *bytes, size_t len, off_t offset)
{
    shoot(context);
    return pwrite(fd, bytes, len, offset);
}

static int camera_rename(void *context, const char *from, const char *to)
{
    shoot(context);
    return file_ops_system.rename(NULL, from, to);
}

/* ---- a vault with two units ---- */

struct erased {
    char dir[TEST_DIR_SIZE];
    struct camera camera;
    struct file_ops ops;
    struct tuning tuning;
    struct vault *v;
    struct error err;
    uint8_t data_key[KEY_BYTES], wrapped[KEY_BYTES];
    uint32_t slot;
};

static struct vault *open_vault(const char *dir, const struct tuning *tuning, struct error *err)
{
    struct vault_options o = { .store = test_options() };

    o.store.tuning = tuning;
    return vault_open(dir, &o, err);
}

static void settle(struct vault *v, size_t n)
{
    struct completion c[16];

    store_kick(vault_store(v));
    while (n > 0) {
        struct pollfd p = { .fd = store_event_fd(vault_store(v)), .events = POLLIN };
        size_t got;

        (void)poll(&p, 1, -1);
        got = vault_completed(v, c, n < 16 ? n : 16);

        for (size_t i = 0; i < got; i++)
            MUST(c[i].committed);
        n -= got;
    }
}

static uint64_t put_record(struct erased *t, enum record_kind kind, const char *unit, struct span facts)
{
    struct append a = { .kind = kind, .unit = span_str(unit), .facts = facts, .received_us = test_wall_us };
    uint64_t position = 0;

    if (kind == RECORD_DICOM) {
        uint8_t bytes[5000];

        test_fill(bytes, sizeof bytes, 7);
        a.body = body_new(vault_store(t->v), BODY_IMAGES, a.unit, &t->err);
        MUST(a.body != NULL && body_add(a.body, span_of(bytes, sizeof bytes), &t->err));
    }
    MUST(vault_append(t->v, &a, &position, &t->err));
    settle(t->v, 1);
    return position;
}

static void put_rule(struct erased *t, const char *fact, bool units)
{
    struct writer w = writer_new(4096);
    struct erasure_unit u = { .slot = t->slot, .count = RECORDS_A };

    store_tag(vault_store(t->v), SPAN_LIT("study:A"), u.tag);
    field_put_str(&w, FIELD_FACT, fact);
    field_put_str(&w, FIELD_ACTOR, "somebody");
    field_put_uint(&w, FIELD_REQUEST, RECORDS_A + RECORDS_B);
    if (units)
        erasure_unit_put(&w, &u);
    (void)put_record(t, RECORD_RULE, "rules", writer_span(&w));
    writer_done(&w);
}

static void put_records(struct erased *t)
{
    struct seal seal;
    uint8_t slot[KEYRING_SLOT_BYTES];

    for (unsigned i = 0; i < RECORDS_A + RECORDS_B; i++)
        MUST(put_record(t, RECORD_DICOM, i < RECORDS_A ? "study:A" : "study:B", SPAN_LIT("")) == i);
    MUST(store_unit_slot(vault_store(t->v), SPAN_LIT("study:A"), &t->slot));
    MUST(seal_init(&seal, &vault_store(t->v)->suite, &t->err));
    MUST(keyring_data_key(vault_store(t->v)->keyring, &seal, t->slot, t->data_key, &t->err));
    seal_done(&seal);
    {
        char path[100];
        CLEANUP(file_close) int fd = -1;

        (void)snprintf(path, sizeof path, "%s/vault/keyring.0", t->dir);
        fd = open(path, O_RDONLY);
        MUST(file_read_at(fd, slot, sizeof slot, KEYRING_HEADER_BYTES + (uint64_t)t->slot * KEYRING_SLOT_BYTES, &t->err));
        memcpy(t->wrapped, slot + 36, sizeof t->wrapped);
    }
}

static void erased_init(struct erased *t)
{
    struct store_options plain = test_options();

    *t = (struct erased){ .ops = file_ops_system, .tuning = TUNING_DEFAULT };
    test_dir(t->dir);
    test_dir(t->camera.shots);
    t->camera.dir = t->dir;
    (void)pthread_mutex_init(&t->camera.lock, NULL);
    t->ops.pwrite = camera_pwrite;
    t->ops.rename = camera_rename;
    t->tuning.files = &t->ops;
    t->tuning.files_context = &t->camera;
    MUST(store_create(t->dir, &plain, &t->err));
    t->v = open_vault(t->dir, &t->tuning, &t->err);
    MUST(t->v != NULL);
    put_records(t);
}

static void erased_done(struct erased *t)
{
    vault_close(t->v);
    test_remove(t->dir);
    test_remove(t->camera.shots);
    (void)pthread_mutex_destroy(&t->camera.lock);
}

/* ---- what must hold ---- */

static bool lies_in(const char *dir, const uint8_t *needle, size_t len)
{
    DIR *d = opendir(dir);
    char path[600];
    struct dirent *e;
    struct stat st;
    bool found = false;

    while (!found && (e = readdir(d)) != NULL) {
        struct writer w = writer_new((size_t)1 << 28);
        struct error err;

        (void)snprintf(path, sizeof path, "%.300s/%.255s", dir, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode))
            found = lies_in(path, needle, len);
        else if (file_slurp(path, &w, &err))
            found = memmem(w.ptr, w.len, needle, len) != NULL;
        writer_done(&w);
    }
    (void)closedir(d);
    return found;
}

/* With the master key: is there a slot whose key opens the record? */
static bool some_key_opens(struct store *s, uint64_t position)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    struct entry_header h;
    struct seal seal;
    struct error err = { 0 };
    bool opens = false, in_reach = true;

    MUST(seal_init(&seal, &s->suite, &err) && entry_at(s, ledger_address(&s->ledger, position), position, &h, &entry, &err));
    for (uint32_t slot = 1; in_reach && !opens; slot++) {
        uint8_t key[KEY_BYTES];
        struct record_keys keys;

        err.code = ERR_NONE;
        if (keyring_data_key(s->keyring, &seal, slot, key, &err)) {
            seal_record_keys(key, h.salt, &keys);
            opens = seal_equal(keys.commitment, h.commitment, HASH_BYTES);
        }
        in_reach = err.code == ERR_NONE || err.code == ERR_ERASED;
    }
    writer_done(&entry);
    seal_done(&seal);
    return opens;
}

static void count_finding(void *context, const char *finding)
{
    (void)context;
    print_error("%s\n", finding);
}

static void check_state(const struct erased *t, const char *dir, struct vault *v, bool erased)
{
    struct store *s = vault_store(v);
    struct error err = { 0 };
    struct entry e;
    uint8_t byte;
    struct store_verified done = { .findings = 1 };

    for (uint64_t i = 0; i < RECORDS_A + RECORDS_B; i++) {
        bool gone = erased && i < RECORDS_A;

        MUST(store_read_entry(s, i, &e, NULL, &err) == !gone && (!gone || err.code == ERR_ERASED));
        MUST(store_read_body(s, i, 0, &byte, 1, &err) == !gone && (!gone || err.code == ERR_ERASED));
        MUST(some_key_opens(s, i) == !gone);
    }
    MUST(!lies_in(dir, t->data_key, sizeof t->data_key));
    MUST(lies_in(dir, t->wrapped, sizeof t->wrapped) == !erased);
    MUST(store_verify_counted(s, count_finding, NULL, &done, &err) && done.findings == 0);
    MUST(done.erased == (erased ? RECORDS_A : 0));
}

static void erase(struct erased *t)
{
    struct erasure e;

    put_rule(t, "erasure-requested", true);
    put_rule(t, "units-erased", true);
    MUST(vault_erasure_at(t->v, 0, &e) && e.state == ERASURE_DONE);
    MUST(vault_erase(t->v, &e, &t->err));
}

TEST(an_erased_unit_is_gone_and_the_rest_is_whole)
{
    struct erased t;
    uint32_t slot;

    erased_init(&t);
    check_state(&t, t.dir, t.v, false);
    erase(&t);
    check_state(&t, t.dir, t.v, true);
    CHECK(!store_unit_slot(vault_store(t.v), SPAN_LIT("study:A"), &slot));
    (void)put_record(&t, RECORD_DICOM, "study:A", SPAN_LIT("")); /* sent again: another slot, another key */
    CHECK(store_unit_slot(vault_store(t.v), SPAN_LIT("study:A"), &slot) && slot != t.slot);
    vault_close(t.v);
    t.v = open_vault(t.dir, &t.tuning, &t.err);
    CHECK(t.v != NULL && vault_reapplied(t.v) == 0);
    check_state(&t, t.dir, t.v, true);
    CHECK(store_unit_slot(vault_store(t.v), SPAN_LIT("study:A"), &slot) && slot != t.slot);
    erased_done(&t);
}

TEST(power_may_go_before_any_write_of_an_erasure)
{
    struct erased t;
    unsigned before = 0, after = 0, again = 0;

    erased_init(&t);
    t.camera.armed = true;
    erase(&t);
    vault_close(t.v); /* with what a confirm writes */
    t.camera.armed = false;
    print_message("# %u states\n", t.camera.count);
    CHECK(t.camera.count > 6 && t.camera.count < SNAPSHOTS_MAX);
    for (unsigned i = 0; i < t.camera.count; i++) {
        char dir[TEST_DIR_SIZE + 20];
        struct vault *v;
        struct erasure e;
        bool done;

        (void)snprintf(dir, sizeof dir, "%s/%u", t.camera.shots, i);
        v = open_vault(dir, NULL, &t.err);
        CHECK_OK(t.err, v != NULL);
        done = vault_erasure_at(v, 0, &e) && e.state == ERASURE_DONE;
        before += !done;
        after += done;
        again += vault_reapplied(v) > 0;
        check_state(&t, dir, v, done);
        vault_close(v);
    }
    print_message("# %u states before the tombstone, %u after it, %u times the keys were erased again\n", before, after, again);
    CHECK(before > 0 && after > 2 && again > 0);
    t.v = open_vault(t.dir, NULL, &t.err);
    erased_done(&t);
}

TEST(an_older_keyring_opens_nothing_that_was_erased)
{
    static const char *const copies[] = { "keyring.0", "keyring.1" };
    struct erased t;

    for (int cut = 0; cut < 2; cut++) {
        char path[2][2][120];

        erased_init(&t);
        vault_close(t.v); /* assignments are in the slots */
        for (int i = 0; i < 2; i++) {
            (void)snprintf(path[i][0], sizeof path[i][0], "%s/vault/%s", t.dir, copies[i]);
            (void)snprintf(path[i][1], sizeof path[i][1], "%s/%s", t.camera.shots, copies[i]);
            test_copy_file(path[i][0], path[i][1]);
            if (cut) /* so old that the slot was not there yet */
                CHECK(truncate(path[i][1], KEYRING_HEADER_BYTES + (off_t)KEYRING_SLOT_BYTES) == 0);
        }
        t.v = open_vault(t.dir, &t.tuning, &t.err);
        CHECK(t.v != NULL);
        erase(&t);
        vault_close(t.v);
        for (int i = 0; i < 2; i++)
            test_copy_file(path[i][1], path[i][0]);
        t.v = open_vault(t.dir, &t.tuning, &t.err);
        if (cut) { /* nothing opens any more, the rules neither: but nothing is used twice */
            CHECK(t.v == NULL || !some_key_opens(vault_store(t.v), 0));
        } else {
            CHECK(t.v != NULL && vault_reapplied(t.v) == 1);
            check_state(&t, t.dir, t.v, true);
        }
        erased_done(&t);
    }
}

TEST(what_is_on_its_way_to_an_erased_unit_is_not_lost_unseen)
{
    struct erased t;
    struct slot_erasure slot = { .slot = 0 };
    struct append a = { .kind = RECORD_DICOM, .unit = SPAN_LIT("study:A"), .received_us = test_wall_us };
    uint64_t position;
    uint32_t now;

    erased_init(&t);
    a.body = body_new(vault_store(t.v), BODY_IMAGES, a.unit, &t.err);
    slot.slot = t.slot;
    store_tag(vault_store(t.v), a.unit, slot.tag);
    CHECK(store_close_units(vault_store(t.v), &slot, 1, &t.err));
    CHECK(!vault_append(t.v, &a, &position, &t.err) && t.err.code == ERR_BUSY);
    store_reopen_units(vault_store(t.v), &slot, 1);
    CHECK(store_unit_slot(vault_store(t.v), a.unit, &now) && now == t.slot);
    CHECK(put_record(&t, RECORD_DICOM, "study:A", SPAN_LIT("")) == RECORDS_A + RECORDS_B);
    erased_done(&t);
}

TEST(the_unit_map_finds_everything_after_any_removal)
{
    struct unit_map m = { .places = NULL };
    uint8_t tag[UNIT_TAG_BYTES] = { 0 };
    uint32_t slot;
    bool in[300] = { false };

    for (unsigned round = 0; round < 4000; round++) {
        unsigned i = (unsigned)random() % 300;

        tag[0] = (uint8_t)(i % 7); /* crowded: long runs */
        tag[8] = (uint8_t)i;
        tag[9] = (uint8_t)(i >> 8);
        if (in[i])
            unit_map_remove(&m, tag);
        else
            CHECK(unit_map_put(&m, tag, i + 1));
        in[i] = !in[i];
        for (unsigned j = 0; round % 40 == 0 && j < 300; j++) {
            tag[0] = (uint8_t)(j % 7);
            tag[8] = (uint8_t)j;
            tag[9] = (uint8_t)(j >> 8);
            CHECK(unit_map_get(&m, tag, &slot) == in[j] && (!in[j] || slot == j + 1));
        }
    }
    unit_map_done(&m);
}

TESTS(T(an_erased_unit_is_gone_and_the_rest_is_whole), T(power_may_go_before_any_write_of_an_erasure),
      T(an_older_keyring_opens_nothing_that_was_erased), T(what_is_on_its_way_to_an_erased_unit_is_not_lost_unseen),
      T(the_unit_map_finds_everything_after_any_removal))
