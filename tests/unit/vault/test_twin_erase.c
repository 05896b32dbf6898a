/*
 * Erasure reaches a twin: each tombstone is applied when its record is taken, in every keyring that the twin has, and told
 * to the first; what is sealed tells nothing; the first lists each twin until it has said so.
 */
#include "twin_test.h"

#include <errno.h>
#include <stdatomic.h>

#include "vault/erasures.h"
#include "vault/store_internal.h"
#include "vault/store_keys.h"
#include "vault/vault.h"

/* As CHECK, CHECK_OK in what the tests share. */
#define MUST(claim) _assert_true((claim), #claim, __FILE__, __LINE__)
#define MUST_OK(err, claim)                    \
    do {                                       \
        bool held_ = (claim);                  \
        if (!held_)                            \
            print_error("%s: ", (err).text);   \
        _assert_true(held_, #claim, __FILE__, __LINE__); \
    } while (0)

#define RECORDS_A 3u /* positions 0, 1, 2 */
#define RECORDS_B 2u

struct pair {
    char first_dir[TEST_DIR_SIZE], twin_dir[TEST_DIR_SIZE];
    struct vault *first, *twin;
    struct lie lie;
    uint8_t wrapped[KEY_BYTES]; /* data key of A as its slot holds it */
    uint32_t slot;
    uint64_t tombstone;
    struct error err;
};

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

static uint64_t put(struct pair *p, enum record_kind kind, const char *unit, struct span facts)
{
    struct append a = { .kind = kind, .unit = span_str(unit), .facts = facts, .received_us = test_wall_us };
    uint8_t bytes[5000];
    uint64_t position = 0;

    if (kind == RECORD_DICOM) {
        test_fill(bytes, sizeof bytes, 7);
        a.body = body_new(vault_store(p->first), BODY_IMAGES, a.unit, &p->err);
        MUST(a.body != NULL && body_add(a.body, span_of(bytes, sizeof bytes), &p->err));
    }
    MUST(vault_append(p->first, &a, &position, &p->err));
    settle(p->first, 1);
    return position;
}

/* The wrapped data key of a unit, as the first's keyring has it. */
static void learn(struct pair *p, const char *unit)
{
    uint8_t slot[KEYRING_SLOT_BYTES];

    MUST(store_unit_slot(vault_store(p->first), span_str(unit), &p->slot));
    MUST(keyring_read_slot(vault_store(p->first)->keyring, p->slot, slot));
    memcpy(p->wrapped, slot + 36, sizeof p->wrapped);
}

/* The tombstone is in the first's log; the first's own slot stays, so that what goes on the twin went there. */
static void order(struct pair *p, const char *unit)
{
    struct writer w = writer_new(4096);
    struct erasure_unit u = { .slot = p->slot, .count = RECORDS_A };

    store_tag(vault_store(p->first), span_str(unit), u.tag);
    field_put_str(&w, FIELD_FACT, "units-erased");
    field_put_str(&w, FIELD_ACTOR, "somebody");
    field_put_uint(&w, FIELD_REQUEST, 1);
    erasure_unit_put(&w, &u);
    p->tombstone = put(p, RECORD_RULE, "rules", writer_span(&w));
    writer_done(&w);
}

static struct vault *open_twin(struct pair *p)
{
    struct vault_options o = { .store = twin_options(true, NULL), .twin = true };

    return vault_open(p->twin_dir, &o, &p->err);
}

/* Rounds without a secret, as `fanal follow` does them. */
static void follow_sealed(struct pair *p)
{
    struct store_options o = twin_options(false, NULL);
    struct twin *t = twin_open(p->twin_dir, &o, &p->err);

    MUST_OK(p->err, t != NULL && follow_all(t, &p->lie, &p->err));
    twin_close(t);
}

static void pair_init(struct pair *p)
{
    struct store_options plain = test_options(), sealed = twin_options(false, NULL);
    struct vault_options o = { .store = test_options() };

    *p = (struct pair){ .slot = 0 };
    test_dir(p->first_dir);
    test_dir(p->twin_dir);
    MUST(store_create(p->first_dir, &plain, &p->err) && twin_create(p->twin_dir, &sealed, &p->err));
    p->first = vault_open(p->first_dir, &o, &p->err);
    MUST(p->first != NULL);
    p->lie = (struct lie){ .store = vault_store(p->first) };
    for (unsigned i = 0; i < RECORDS_A + RECORDS_B; i++)
        MUST(put(p, RECORD_DICOM, i < RECORDS_A ? "study:A" : "study:B", SPAN_LIT("")) == i);
    learn(p, "study:A");
    follow_sealed(p);
}

static void pair_done(struct pair *p)
{
    vault_close(p->twin);
    vault_close(p->first);
    test_remove(p->first_dir);
    test_remove(p->twin_dir);
}

static uint64_t applied(struct pair *p)
{
    struct twin_figures f = { .applied = 0 };

    if (p->twin != NULL)
        twin_figures(vault_twin(p->twin), &f);
    else
        MUST(twin_figures_of(p->twin_dir, &f, &p->err));
    return f.applied;
}

/* A round, and what the room does when it ends. */
static void turn(struct pair *p)
{
    struct completion c[4];

    MUST_OK(p->err, follow_all(vault_twin(p->twin), &p->lie, &p->err));
    (void)vault_completed(p->twin, c, COUNT_OF(c));
}

/* Until the twin has told that it has applied the tombstone; the views are made again meanwhile, in their own thread. */
static bool tells(struct pair *p)
{
    for (int i = 0; i < 3000 && p->lie.applied <= p->tombstone; i++) {
        turn(p);
        (void)usleep(10000);
    }
    return p->lie.applied > p->tombstone && applied(p) > p->tombstone;
}

static size_t lies_in(const char *dir, const uint8_t *needle, size_t len, const char *suffix)
{
    DIR *d = opendir(dir);
    size_t found = 0;
    char path[600];
    struct dirent *e;
    struct stat st;

    MUST(d != NULL);
    while ((e = readdir(d)) != NULL) {
        struct writer w = writer_new((size_t)1 << 28);
        size_t n = strlen(e->d_name);

        (void)snprintf(path, sizeof path, "%.300s/%.255s", dir, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &st) != 0) {
            writer_done(&w);
            continue;
        }
        if (S_ISDIR(st.st_mode))
            found += lies_in(path, needle, len, suffix);
        else if (needle == NULL)
            found += n > strlen(suffix) && strcmp(e->d_name + n - strlen(suffix), suffix) == 0;
        else if (file_slurp(path, &w, NULL))
            found += w.len > 0 && memmem(w.ptr, w.len, needle, len) != NULL;
        writer_done(&w);
    }
    (void)closedir(d);
    return found;
}

static bool reads(struct pair *p, uint64_t position)
{
    struct writer facts = writer_new(1 << 16);
    struct entry e;
    bool ok = store_read_entry(vault_store(p->twin), position, &e, &facts, &p->err);

    writer_done(&facts);
    return ok;
}

static size_t holding(const struct pair *p)
{
    return lies_in(p->twin_dir, p->wrapped, sizeof p->wrapped, "");
}

/* With the master key: is there a slot whose key opens the record? */
static bool some_key_opens(struct store *s, uint64_t position)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    struct error err = { 0 };
    struct entry_header h;
    struct seal seal;
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

/* A is gone from the twin's files, B and the log are whole. */
static void check_gone(struct pair *p, uint64_t from, uint64_t count)
{
    struct store *s = vault_store(p->twin);
    struct error err = { 0 };
    struct entry e;
    uint8_t byte;

    for (uint64_t i = from; i < from + count; i++) {
        MUST(!store_read_entry(s, i, &e, NULL, &err) && err.code == ERR_ERASED);
        MUST(!store_read_body(s, i, 0, &byte, 1, &err) && err.code == ERR_ERASED);
        MUST(!some_key_opens(s, i));
    }
    MUST_OK(err, store_read_body(s, RECORDS_A, 0, &byte, 1, &err));
    MUST(holding(p) == 0);
    MUST(lies_in(p->twin_dir, NULL, 0, ".db") == 1); /* the views' file that was made before is not there any more */
}

static struct writer keyring_get(const struct pair *p)
{
    struct writer w = writer_new((size_t)1 << 20);
    char path[100];

    (void)snprintf(path, sizeof path, "%s/vault/keyring.1", p->twin_dir);
    MUST(file_slurp(path, &w, NULL));
    return w;
}

static void keyring_put(const struct pair *p, struct writer bytes)
{
    char path[100];

    (void)snprintf(path, sizeof path, "%s/vault/keyring.1", p->twin_dir);
    CLEANUP(file_close) int fd = open(path, O_WRONLY | O_TRUNC);
    MUST(fd >= 0 && file_write_all(fd, writer_span(&bytes), NULL));
}

static void say_nothing(void *context, const char *finding)
{
    (void)context;
    print_error("%s\n", finding);
}

TEST(a_running_twin_erases_what_its_first_erased_and_says_so)
{
    struct pair p;
    struct store_options o = test_options();
    struct twin_promotion found;
    struct writer kept;

    pair_init(&p);
    CHECK(applied(&p) == 0 && holding(&p) == 2);
    kept = keyring_get(&p);
    p.twin = open_twin(&p);
    CHECK_OK(p.err, p.twin != NULL);
    turn(&p);
    CHECK(applied(&p) == RECORDS_A + RECORDS_B); /* nothing was to be erased below */
    CHECK(some_key_opens(vault_store(p.twin), 0));
    order(&p, "study:A");
    CHECK(tells(&p));
    check_gone(&p, 0, RECORDS_A);
    vault_close(p.twin);
    p.twin = NULL;
    CHECK(applied(&p) > p.tombstone); /* sealed it still says what is true */
    follow_sealed(&p);
    CHECK(p.lie.applied > p.tombstone);
    p.twin = open_twin(&p);
    CHECK_OK(p.err, p.twin != NULL);
    CHECK(vault_reapplied(p.twin) == 0);
    check_gone(&p, 0, RECORDS_A);
    vault_close(p.twin);
    p.twin = NULL;
    keyring_put(&p, kept); /* an older one, as from a back-up: that is an alarm */
    CHECK(holding(&p) == 1);
    p.twin = open_twin(&p);
    CHECK_OK(p.err, p.twin != NULL);
    CHECK(vault_reapplied(p.twin) == 1);
    check_gone(&p, 0, RECORDS_A);
    vault_close(p.twin);
    p.twin = NULL;
    CHECK_OK(p.err, twin_promote(p.twin_dir, &o, say_nothing, NULL, &found, &p.err)); /* and promotion brings nothing back */
    CHECK(holding(&p) == 0);
    writer_done(&kept);
    pair_done(&p);
}

/* The units of the tombstone lie in slots that were made, and came, while the twin was open. */
TEST(slots_that_came_while_it_was_open_are_erased_too)
{
    struct pair p;
    char unit[32];
    uint64_t last = 0;

    pair_init(&p);
    p.twin = open_twin(&p);
    CHECK_OK(p.err, p.twin != NULL);
    for (unsigned i = 0; i < 300; i++) { /* more than the 256 of a new keyring */
        (void)snprintf(unit, sizeof unit, "study:%u", i);
        last = put(&p, RECORD_DICOM, unit, SPAN_LIT(""));
    }
    learn(&p, unit);
    CHECK(p.slot >= 256);
    turn(&p);
    CHECK(holding(&p) == 2);
    order(&p, unit);
    CHECK(tells(&p));
    check_gone(&p, last, 1);
    pair_done(&p);
}

TEST(a_sealed_twin_says_nothing_until_it_is_opened)
{
    struct pair p;

    pair_init(&p);
    order(&p, "study:A");
    follow_sealed(&p);
    CHECK(applied(&p) == 0 && p.lie.applied == 0 && holding(&p) == 2);
    p.twin = open_twin(&p);
    CHECK_OK(p.err, p.twin != NULL);
    CHECK(vault_reapplied(p.twin) == 0 && tells(&p)); /* no alarm: it was due */
    check_gone(&p, 0, RECORDS_A);
    pair_done(&p);
}

/* The first's keys are rotated: the twin keeps the keyring that it had, in which the erased unit's key is still. */
TEST(keyrings_that_are_kept_lose_the_key_too)
{
    struct pair p;
    uint8_t before[KEY_BYTES];

    pair_init(&p);
    memcpy(before, p.wrapped, sizeof before);
    CHECK_OK(p.err, store_keys_rotate(vault_store(p.first), &p.err));
    learn(&p, "study:A");
    CHECK(memcmp(before, p.wrapped, sizeof before) != 0);
    follow_sealed(&p);
    CHECK(lies_in(p.twin_dir, before, sizeof before, "") == 2 && holding(&p) == 2);
    order(&p, "study:A");
    follow_sealed(&p);
    p.twin = open_twin(&p);
    CHECK_OK(p.err, p.twin != NULL);
    CHECK(tells(&p));
    check_gone(&p, 0, RECORDS_A);
    CHECK(lies_in(p.twin_dir, before, sizeof before, "") == 0);
    pair_done(&p);
}

/* Rotated while the twin is open: what it has open is not what lies on the disk, so it claims nothing until it is opened. */
TEST(a_keyring_that_changed_underneath_is_not_called_erased)
{
    struct pair p;
    uint8_t before[KEY_BYTES];
    struct error err = { 0 };

    pair_init(&p);
    memcpy(before, p.wrapped, sizeof before);
    p.twin = open_twin(&p);
    CHECK_OK(p.err, p.twin != NULL);
    turn(&p);
    CHECK_OK(p.err, store_keys_rotate(vault_store(p.first), &p.err));
    learn(&p, "study:A");
    order(&p, "study:A");
    for (int i = 0; i < 3; i++)
        turn(&p);
    CHECK(p.lie.applied <= p.tombstone && applied(&p) == 0);
    CHECK(!vault_follow_erasures(p.twin, &err) && err.code == ERR_SEALED);
    CHECK_OK(p.err, reads(&p, RECORDS_A)); /* and serves all the same, though another keyring lies there now … */
    vault_close(p.twin);
    p.twin = open_twin(&p);
    CHECK_OK(p.err, p.twin != NULL);
    CHECK(tells(&p));
    check_gone(&p, 0, RECORDS_A);
    CHECK(lies_in(p.twin_dir, before, sizeof before, "") == 0);
    pair_done(&p);
}

/* Turns a bit in the header of the entry at a position of the twin's first segment; again: as it was. */
static void rot(const struct pair *p, uint64_t position)
{
    struct writer w = writer_new((size_t)16 << 20);
    char path[128];
    uint8_t byte;
    size_t at = 0;

    (void)snprintf(path, sizeof path, "%s/vault/log/00000000.seg", p->twin_dir);
    CLEANUP(file_close) int fd = open(path, O_RDWR | O_CLOEXEC);
    MUST(fd >= 0 && file_slurp(path, &w, NULL));
    for (uint64_t seen = 0; at + 9 < w.len && (memcmp(w.ptr + at, "FNLE", 4) != 0 || seen++ < position); at++)
        ;
    MUST(at + 9 < w.len);
    byte = w.ptr[at + 8] ^ 0x20;
    MUST(file_write_at(fd, span_of(&byte, 1), at + 8, NULL));
    writer_done(&w);
}

/* A tombstone that does not read is claimed by nobody, whether it came before the twin was opened or while it runs. */
TEST(a_tombstone_that_does_not_read_is_not_claimed)
{
    for (int running = 0; running < 2; running++) {
        struct pair p;
        struct completion c[4];

        pair_init(&p);
        if (running) {
            p.twin = open_twin(&p);
            CHECK_OK(p.err, p.twin != NULL);
            turn(&p);
        }
        order(&p, "study:A");
        if (running)
            CHECK_OK(p.err, follow_all(vault_twin(p.twin), &p.lie, &p.err));
        else
            follow_sealed(&p);
        rot(&p, p.tombstone);
        if (running)
            (void)vault_completed(p.twin, c, COUNT_OF(c));
        else
            p.twin = open_twin(&p);
        CHECK_OK(p.err, p.twin != NULL);
        for (int i = 0; i < 5; i++)
            turn(&p);
        CHECK(applied(&p) <= p.tombstone && p.lie.applied <= p.tombstone && holding(&p) > 0);
        CHECK(!vault_would_know_more(p.twin));
        rot(&p, p.tombstone);
        CHECK(vault_would_know_more(p.twin));
        vault_close(p.twin);
        p.twin = open_twin(&p);
        CHECK_OK(p.err, p.twin != NULL);
        CHECK(tells(&p));
        check_gone(&p, 0, RECORDS_A);
        pair_done(&p);
    }
}

/* ---- a disk that fails ---- */

/* The n-th call that changes the disk fails, once. Several threads make them: the views have one of their own. */
struct failing {
    struct file_ops ops;
    struct tuning tuning;
    atomic_long left; /* 0: none fails */
    atomic_bool failed;
};

static bool fails(void *context)
{
    struct failing *f = context;

    if (atomic_load(&f->left) == 0 || atomic_fetch_sub(&f->left, 1) != 1)
        return false;
    atomic_store(&f->failed, true);
    errno = EIO;
    return true;
}

static ssize_t failing_pwrite(void *context, int fd, const void *bytes, size_t len, off_t offset)
{
    return fails(context) ? -1 : pwrite(fd, bytes, len, offset);
}

static int failing_fdatasync(void *context, int fd)
{
    (void)fd;
    return fails(context) ? -1 : 0;
}

static int failing_rename(void *context, const char *from, const char *to)
{
    return fails(context) ? -1 : file_ops_system.rename(NULL, from, to);
}

static void failing_init(struct failing *f)
{
    *f = (struct failing){ .ops = file_ops_system, .tuning = TUNING_DEFAULT };
    f->ops.pwrite = failing_pwrite;
    f->ops.fdatasync = failing_fdatasync;
    f->ops.rename = failing_rename;
    f->tuning.files = &f->ops;
    f->tuning.files_context = f;
}

/* Wherever it fails, nothing is claimed that is not so, and the same twin, or that twin opened again, does the rest. */
TEST(a_disk_that_fails_delays_it_and_no_more)
{
    bool some = true;

    for (long n = 1; some; n += n < 12 ? 1 : n) {
        struct vault_options o = { .twin = true };
        struct failing f;
        struct pair p;
        struct completion c[4];

        pair_init(&p);
        failing_init(&f);
        o.store = twin_options(true, &f.tuning);
        p.twin = vault_open(p.twin_dir, &o, &p.err);
        CHECK_OK(p.err, p.twin != NULL);
        turn(&p);
        order(&p, "study:A");
        CHECK_OK(p.err, follow_all(vault_twin(p.twin), &p.lie, &p.err));
        atomic_store(&f.left, n);
        for (int i = 0; i < 3000 && !atomic_load(&f.failed) && applied(&p) <= p.tombstone; i++) {
            (void)vault_completed(p.twin, c, COUNT_OF(c));
            (void)usleep(1000);
        }
        some = atomic_load(&f.failed);
        atomic_store(&f.left, 0);
        if (n % 2 == 0) {
            vault_close(p.twin);
            p.twin = open_twin(&p);
            CHECK_OK(p.err, p.twin != NULL);
        }
        CHECK(tells(&p));
        check_gone(&p, 0, RECORDS_A);
        pair_done(&p);
        if (!some)
            print_message("# up to %ld calls failed\n", n);
    }
}

/* ---- the first's list ---- */

static bool take_pending(void *context, struct span row)
{
    (void)span_to_str(fields_text(row, FIELD_PENDING), context, 256);
    return true;
}

static const char *pending_of(struct pair *p, char out[256])
{
    struct vault_reader *r = vault_reader_new(p->first, &p->err);
    struct writer request = writer_new(256);

    out[0] = '\0';
    MUST(r != NULL);
    field_put_str(&request, FIELD_QUERY, "erasures");
    MUST(vault_find(r, writer_span(&request), take_pending, out, &p->err));
    writer_done(&request);
    vault_reader_free(r);
    return out;
}

TEST(the_first_lists_each_twin_until_it_has_said_so)
{
    static const char one[] = "1111111111111111111111111111111111111111111111111111111111111111";
    static const char two[] = "2222222222222222222222222222222222222222222222222222222222222222";
    struct vault_options o = { .store = test_options() };
    struct pair p;
    uint64_t told[2] = { 0, 0 }, size;
    char text[256];

    pair_init(&p);
    CHECK(vault_list_twin(p.first, "ONE", one, &p.err) && vault_list_twin(p.first, "TWO", two, &p.err));
    size = store_committed_size(vault_store(p.first));
    CHECK(vault_twin_says(p.first, "ONE", one, size, test_wall_us, &told[0], &p.err));
    CHECK(told[0] == 0); /* there is no tombstone of which it would be news */
    order(&p, "study:A");
    CHECK(strcmp(pending_of(&p, text), "twin ONE, twin TWO") == 0);
    CHECK(vault_twin_says(p.first, "ONE", one, p.tombstone, test_wall_us, &told[0], &p.err)); /* below it, not with it */
    CHECK(!vault_twin_says(p.first, "ONE", one, p.tombstone + 1000, test_wall_us, &told[0], &p.err) && p.err.code == ERR_REFUSED);
    CHECK(told[0] == 0);
    CHECK(strcmp(pending_of(&p, text), "twin ONE, twin TWO") == 0);
    CHECK(vault_twin_says(p.first, "ONE", one, p.tombstone + 1, test_wall_us, &told[0], &p.err));
    CHECK(vault_twin_says(p.first, "ONE", one, p.tombstone + 1, test_wall_us, &told[0], &p.err)); /* once is enough */
    settle(p.first, 1);
    CHECK(strcmp(pending_of(&p, text), "twin TWO") == 0);
    size = store_committed_size(vault_store(p.first));
    CHECK(vault_twin_says(p.first, "ONE", one, size, test_wall_us, &told[0], &p.err));
    CHECK(told[0] == p.tombstone + 1); /* nothing was erased since: nothing to record */

    vault_close(p.first); /* it is a fact of the log: a restart, or another name in the configuration, changes nothing */
    p.first = vault_open(p.first_dir, &o, &p.err);
    CHECK_OK(p.err, p.first != NULL);
    CHECK(vault_list_twin(p.first, "RENAMED", one, &p.err) && vault_list_twin(p.first, "ONE", two, &p.err));
    CHECK(strcmp(pending_of(&p, text), "twin ONE") == 0);
    CHECK(vault_twin_applied(p.first, one) == p.tombstone + 1 && vault_twin_applied(p.first, two) == 0);
    pair_done(&p);
}

TESTS(T(a_tombstone_that_does_not_read_is_not_claimed),
      T(a_running_twin_erases_what_its_first_erased_and_says_so), T(slots_that_came_while_it_was_open_are_erased_too),
      T(a_sealed_twin_says_nothing_until_it_is_opened), T(keyrings_that_are_kept_lose_the_key_too),
      T(a_keyring_that_changed_underneath_is_not_called_erased), T(a_disk_that_fails_delays_it_and_no_more),
      T(the_first_lists_each_twin_until_it_has_said_so))
