/*
 * What a store does while the power goes, a function each. A new operation of the vault gets a row here: open, do it,
 * say what must hold from then on.
 */
#include "scene.h"

#include <stdio.h>
#include <unistd.h>

#include "../unit/vault/store_test.h"
#include "twins.h"
#include "vault/keyring.h"
#include "vault/store_backup.h"
#include "vault/store_internal.h"

static void ignore_finding(void *context, const char *text)
{
    (void)context;
    (void)text;
}

/* Facts, small bodies, several commits; confirmed on the way and at the end. */
static void append(struct scene *x)
{
    static const size_t lengths[] = { SCENE_SMALL, SCENE_NO_BODY, 0, SCENE_CHUNKS, SCENE_NO_BODY, 1000 };
    static const enum record_kind kinds[] = { RECORD_DICOM, RECORD_EVENT, RECORD_HL7, RECORD_DICOM, RECORD_RULE, RECORD_HL7 };
    char unit[32];

    scene_open(x);
    for (unsigned i = 0; i < 18; i++) {
        (void)snprintf(unit, sizeof unit, "study:%u", i / 4);
        (void)scene_put(x, kinds[i % COUNT_OF(kinds)], unit, lengths[i % COUNT_OF(lengths)]);
        if (i % 3 != 1)
            scene_commit(x);
    }
    scene_commit(x);
    scene_close(x);
}

/* More entries than a commit's marker takes in a sector, several commits to a sync of the confirm files. */
static void batches(struct scene *x)
{
    char unit[32];

    scene_open(x);
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(unit, sizeof unit, "unit:%u", i);
        (void)scene_put(x, i % 5 == 0 ? RECORD_HL7 : RECORD_EVENT, unit, i % 5 == 0 ? SCENE_SMALL : SCENE_NO_BODY);
        if (i % 20 == 19 || i == 3)
            scene_commit(x);
    }
    scene_close(x);
}

static void large_body(struct scene *x)
{
    scene_open(x);
    (void)scene_put(x, RECORD_DICOM, "study:1", SCENE_LARGE);
    (void)scene_put(x, RECORD_HL7, "study:1", SCENE_SMALL);
    scene_commit(x);
    (void)scene_put(x, RECORD_EVENT, "events", SCENE_NO_BODY);
    scene_commit(x);
    scene_close(x);
    scene_open(x);
    (void)scene_put(x, RECORD_EVENT, "events", SCENE_NO_BODY);
    scene_commit(x);
    scene_close(x);
}

static void segments(struct scene *x)
{
    x->tuning.segment_bytes = 1500;
    scene_open(x);
    for (unsigned i = 0; i < 16; i++) {
        (void)scene_put(x, RECORD_EVENT, "events", SCENE_NO_BODY);
        (void)scene_put(x, RECORD_DICOM, "study:1", i % 4 == 0 ? SCENE_SMALL : SCENE_NO_BODY);
        scene_commit(x);
    }
    scene_close(x);
}

/* A class goes on in a new file because it is full, and because a month begins. */
static void body_files(struct scene *x)
{
    x->tuning.body_file_bytes = 1200;
    scene_open(x);
    for (unsigned i = 0; i < 8; i++) {
        (void)scene_put(x, RECORD_DICOM, "study:1", SCENE_SMALL);
        (void)scene_put(x, RECORD_HL7, "results:1", 700);
        if (i % 2 == 1)
            scene_commit(x);
        if (i == 4)
            test_wall_us += UINT64_C(31) * 86400 * 1000000;
    }
    scene_close(x);
    test_wall_us -= UINT64_C(31) * 86400 * 1000000;
}

static void put_units(struct scene *x, unsigned from, unsigned count, unsigned commit)
{
    char unit[32];

    for (unsigned i = from; i < from + count; i++) {
        (void)snprintf(unit, sizeof unit, "unit:%u", i);
        (void)scene_put(x, RECORD_EVENT, unit, SCENE_NO_BODY);
        if (i % commit == commit - 1)
            scene_commit(x);
    }
    scene_commit(x);
}

/* Slots 1 to 120 are used, and the keyring is about to grow. */
static void keyring_before(struct scene *x)
{
    scene_open(x);
    put_units(x, 0, 120, 40);
    scene_close(x);
}

/* A unit each: slots are assigned, made, and used before anything else syncs the keyring. */
static void keyring(struct scene *x)
{
    x->tuning.confirm_entries = 1000;
    scene_open(x);
    put_units(x, 120, 145, 29);
    scene_close(x);
}

/* Enough entries for tiles of the tree. */
static void tiles(struct scene *x)
{
    x->tuning.confirm_entries = 100;
    x->tuning.segment_bytes = 100000;
    scene_open(x);
    for (unsigned i = 0; i < 260; i++) {
        (void)scene_put(x, RECORD_EVENT, "events", SCENE_NO_BODY);
        if (i % 65 == 64)
            scene_commit(x);
    }
    scene_close(x);
}

/* Closed and opened again and again: each opening recovers, each closing confirms. */
static void reopened(struct scene *x)
{
    for (unsigned i = 0; i < 6; i++) {
        scene_open(x);
        (void)scene_put(x, RECORD_HL7, "results:1", SCENE_SMALL);
        (void)scene_put(x, RECORD_DICOM, "study:1", i == 3 ? SCENE_CHUNKS : SCENE_SMALL);
        scene_commit(x);
        scene_close(x);
    }
}

/* Killed at one deed after another: what the page cache has of it is found by the next start, and then the power goes. */
static void killed(struct scene *x)
{
    x->tuning.segment_bytes = 3000;
    x->tuning.confirm_entries = 4;
    for (long n = 1; n < 26; n++) {
        scene_open(x);
        scene_kill_in(x, n);
        (void)scene_put(x, RECORD_HL7, "results:1", SCENE_SMALL);
        (void)scene_put(x, RECORD_DICOM, "study:1", n % 8 == 3 ? SCENE_CHUNKS : SCENE_SMALL);
        scene_commit(x);
        (void)scene_put(x, RECORD_EVENT, "events", SCENE_NO_BODY);
        scene_commit(x);
        scene_close(x);
    }
}

/* The same with a body that has a file of its own. */
static void killed_large(struct scene *x)
{
    for (long n = 1; n < 9; n++) {
        scene_open(x);
        scene_kill_in(x, n + 1);
        (void)scene_put(x, RECORD_DICOM, "study:1", SCENE_LARGE);
        scene_commit(x);
        scene_close(x);
    }
}

/* Views follow: folded after each commit, folded again at each opening, their WAL brought into the database at closing. */
static void views(struct scene *x)
{
    for (unsigned i = 0; i < 3; i++) {
        scene_open(x);
        for (unsigned n = 0; n < 4; n++) {
            (void)scene_put(x, n % 2 == 0 ? RECORD_EVENT : RECORD_HL7, "events", n % 2 == 0 ? SCENE_NO_BODY : SCENE_SMALL);
            scene_commit(x);
            scene_folded(x);
        }
        scene_close(x);
    }
}

/* Full files are sealed, twice in a life and again in the next; the seals that are there are kept. */
static void sealing(struct scene *x)
{
    x->tuning.segment_bytes = 1500;
    x->tuning.body_file_bytes = 1200;
    for (unsigned life = 0; life < 2; life++) {
        scene_open(x);
        for (unsigned i = 0; i < 6; i++) {
            (void)scene_put(x, RECORD_HL7, "results:1", 700);
            (void)scene_put(x, RECORD_DICOM, "study:1", i == 2 ? SCENE_CHUNKS : SCENE_SMALL);
            scene_commit(x);
            if (i % 3 == 2)
                scene_repair(x);
        }
        scene_close(x);
    }
}

/* The same for a body with a file of its own. */
static void sealing_large(struct scene *x)
{
    scene_open(x);
    (void)scene_put(x, RECORD_DICOM, "study:1", SCENE_LARGE);
    scene_commit(x);
    scene_close(x);
    scene_open(x);
    scene_repair(x);
    scene_close(x);
}

/* Killed at one deed of sealing after another; the next start goes on with it. */
static void killed_sealing(struct scene *x)
{
    x->tuning.segment_bytes = 1500;
    x->tuning.body_file_bytes = 1200;
    for (long n = 1; n < 40; n += 3) {
        scene_open(x);
        (void)scene_put(x, RECORD_HL7, "results:1", 700);
        (void)scene_put(x, RECORD_EVENT, "events", SCENE_NO_BODY);
        scene_commit(x);
        scene_kill_in(x, n);
        scene_repair(x);
        scene_close(x);
    }
}

/* Segments and body files get full, and are sealed in the background: sidecars beside them, the scrub file after. */
static void sealing_behind(struct scene *x)
{
    static const struct scrub_options scrub = { .rate = 0 };

    x->tuning.segment_bytes = 1500;
    x->tuning.body_file_bytes = 3000;
    x->tuning.confirm_entries = 2;
    x->scrub = &scrub;
    scene_open(x);
    for (unsigned i = 0; i < 8; i++) {
        (void)scene_put(x, RECORD_HL7, "results:1", 700);
        (void)scene_put(x, RECORD_EVENT, "events", SCENE_NO_BODY);
        scene_commit(x);
    }
    scene_sealed(x, 3);
    scene_close(x);
    scene_open(x);
    (void)scene_put(x, RECORD_EVENT, "events", SCENE_NO_BODY);
    scene_commit(x);
    scene_close(x);
}

static void rotation_before(struct scene *x)
{
    scene_open(x);
    put_units(x, 0, 6, 3);
    scene_close(x);
}

/* The master key is made anew; a second secret may open, then the first may not any more. */
static void rotation(struct scene *x)
{
    static const char second[] = "key:fedcba9876543210fedcba9876543210";
    const struct new_unlocker unlocker = { .secret = span_str(second), .now_us = test_wall_us };
    struct disk d = { .ops = x->tuning.files, .context = x->tuning.files_context };
    struct seal_suite suite;
    struct error err = { 0 };
    struct keyring *k;
    unsigned place;

    (void)snprintf(d.root, sizeof d.root, "%s/vault", x->dir);
    if (!seal_suite_init(&suite, &err))
        return;
    k = keyring_open(&d, &suite, span_str(x->secret), false, ignore_finding, NULL, &err);
    if (k != NULL && keyring_rotate(k, &err)) {
        scene_secret_begin(x, second);
        if (keyring_add(k, &unlocker, &place, &err) && keyring_remove(k, 0, &err)) {
            scene_secret_done(x);
            x->secret = second;
        }
    }
    keyring_close(k);
    seal_suite_done(&suite);
    scene_open(x);
    put_units(x, 6, 4, 2);
    scene_close(x);
}

static void erasing_before(struct scene *x)
{
    scene_open(x);
    for (unsigned i = 0; i < 6; i++)
        (void)scene_put(x, i % 2 == 0 ? RECORD_DICOM : RECORD_EVENT, i < 3 ? "study:1" : "study:2",
                        i % 2 == 0 ? SCENE_SMALL : SCENE_NO_BODY);
    scene_commit(x);
    scene_close(x);
}

static bool is_erased(struct store *s, uint64_t position, struct error *err)
{
    struct writer facts = writer_new(1 << 20);
    struct error why = { 0 };
    struct entry e;
    bool there = store_read_entry(s, position, &e, &facts, &why);

    writer_done(&facts);
    return (!there && why.code == ERR_ERASED)
           || error_set(err, ERR_DAMAGED, "record %llu can still be read", (unsigned long long)position);
}

/* The data key of a unit is destroyed; from then on nothing brings it back. */
static void erasing(struct scene *x)
{
    struct slot_erasure unit = { .slot = 0 };
    struct error err = { 0 };

    if (!scene_open(x) || !store_unit_slot(x->store, SPAN_LIT("study:1"), &unit.slot))
        return;
    store_tag(x->store, SPAN_LIT("study:1"), unit.tag);
    for (uint64_t position = 0; position < 3; position++)
        scene_release(x, position);
    if (store_close_units(x->store, &unit, 1, &err) && store_erase_units(x->store, &unit, 1, &err))
        for (uint64_t position = 0; position < 3; position++)
            scene_promise(x, is_erased, position);
    (void)scene_put(x, RECORD_DICOM, "study:1", SCENE_SMALL); /* begins with another key */
    (void)scene_put(x, RECORD_EVENT, "study:2", SCENE_NO_BODY);
    scene_commit(x);
    scene_close(x);
}

#define EXPIRED_RECORDS 7u /* from 0 on: all of study:1, in several files and one of its own */

static void expiring_before(struct scene *x)
{
    x->tuning.body_file_bytes = 1200;
    scene_open(x);
    for (unsigned i = 0; i < EXPIRED_RECORDS; i++) {
        (void)scene_put(x, RECORD_DICOM, "study:1", i == 3 ? SCENE_LARGE : SCENE_SMALL);
        scene_commit(x);
    }
    for (unsigned i = 0; i < 4; i++)
        (void)scene_put(x, RECORD_DICOM, "study:2", SCENE_SMALL);
    scene_commit(x);
    scene_close(x);
    scene_open(x); /* confirmed: each file gets its seal */
    scene_repair(x);
    scene_close(x);
}

static bool has_removed(struct store *s, uint64_t files, struct error *err)
{
    struct expired again;

    return store_remove_erased(s, &again, err)
           && (again.files == 0
               || error_set(err, ERR_DAMAGED, "%llu of %llu files were still there", (unsigned long long)again.files,
                            (unsigned long long)files));
}

/* A unit ends and its files go, each with its seal; what shares a file with something else stays. */
static void expiring(struct scene *x)
{
    struct slot_erasure unit = { .slot = 0 };
    struct error err = { 0 };
    struct expired gone;

    x->tuning.body_file_bytes = 1200;
    if (!scene_open(x) || !store_unit_slot(x->store, SPAN_LIT("study:1"), &unit.slot))
        return;
    store_tag(x->store, SPAN_LIT("study:1"), unit.tag);
    for (uint64_t position = 0; position < EXPIRED_RECORDS; position++)
        scene_release(x, position);
    if (store_close_units(x->store, &unit, 1, &err) && store_erase_units(x->store, &unit, 1, &err))
        for (uint64_t position = 0; position < EXPIRED_RECORDS; position++)
            scene_promise(x, is_erased, position);
    if (store_remove_erased(x->store, &gone, &err) && gone.files == EXPIRED_RECORDS)
        scene_promise(x, has_removed, gone.files);
    (void)scene_put(x, RECORD_DICOM, "study:2", SCENE_SMALL);
    scene_commit(x);
    scene_close(x);
}

/* The back-up that `restoring` restores: made when half of its units had no slot yet. */
static struct writer back_up;

static void restoring_before(struct scene *x)
{
    struct key_backup made;

    scene_open(x);
    put_units(x, 0, 4, 2);
    back_up = writer_new(BACKUP_BYTES_MAX);
    if (!store_backup(x->store, SPAN_LIT("[site]\n"), 0, &made, &back_up, NULL))
        abort();
    put_units(x, 4, 4, 2);
    scene_close(x);
}

static bool restore(const char *dir, const struct tuning *t, const char *secret, bool force, struct error *err)
{
    struct store_options o = test_options();
    struct restored r;

    o.tuning = t;
    o.secret = span_str(secret);
    if (!store_restore(dir, &o, writer_span(&back_up), force, &r, err))
        return false;
    writer_done(&r.conf);
    writer_done(&r.checkpoint);
    return r.lost == 0 || error_set(err, ERR_DAMAGED, "%u slots are lost", r.lost);
}

static bool is_restoring(const char *dir)
{
    char path[300];

    (void)snprintf(path, sizeof path, "%s/vault/" RESTORING_NAME, dir);
    return access(path, F_OK) == 0;
}

/* No two units have one slot. */
static bool slots_are_apart(struct store *s, uint64_t what, struct error *err)
{
    struct writer bytes = writer_new(1 << 20), clear = writer_new(1 << 20);
    char owner[300][32] = { "" };
    bool ok = true;

    (void)what;
    for (uint64_t position = 0; ok && position < store_committed_size(s); position++) {
        struct entry_header h;
        struct record_keys keys;
        struct span unit, facts;

        writer_reset(&clear);
        ok = entry_at(s, ledger_address(&s->ledger, position), position, &h, &bytes, err)
             && entry_open(s, &s->owner_seal, &h, writer_span(&bytes), &clear, &unit, &facts, &keys, err);
        if (!ok || h.slot >= COUNT_OF(owner) || unit.len >= sizeof owner[0])
            continue;
        if (owner[h.slot][0] == '\0')
            memcpy(owner[h.slot], unit.ptr, unit.len);
        ok = span_equal(unit, span_str(owner[h.slot])) || error_set(err, ERR_DAMAGED, "slot %u is of two units", h.slot);
    }
    writer_done(&bytes);
    writer_done(&clear);
    return ok;
}

/* An older keyring takes the place of the one there is; what it does not know of is known again from the log. */
static void restoring(struct scene *x)
{
    struct error err = { 0 };

    scene_promise(x, slots_are_apart, 0);
    if (!restore(x->dir, &x->tuning, x->secret, true, &err))
        x->refused++;
    scene_open(x);
    put_units(x, 8, 4, 2);
    scene_close(x);
}

/* A restore that did not end keeps the store closed; given again, it ends. */
static bool restoring_ready(const char *dir, const struct tuning *t, const struct promises *p, struct error *err)
{
    struct store_options o = test_options();
    struct error why = { 0 };
    struct store *s;

    if (!is_restoring(dir))
        return true;
    o.tuning = t;
    o.secret = span_str(p->secrets[0]);
    s = store_open(dir, &o, &why);
    if (s != NULL) {
        store_close(s);
        return error_set(err, ERR_DAMAGED, "a store opens whose keys are being put back");
    }
    return (why.code == ERR_USAGE || error_set(err, why.code, "%s", why.text))
           && (restore(dir, t, p->secrets[0], false, err) || error_within(err, "restoring again"));
}

static void restoring_again(struct scene *x)
{
    struct error err = { 0 };

    if (is_restoring(x->dir) && !restore(x->dir, &x->tuning, x->secret, false, &err))
        x->refused++;
    if (!scene_open(x))
        return;
    (void)scene_put(x, RECORD_HL7, "unit:again", SCENE_SMALL);
    (void)scene_put(x, RECORD_EVENT, "unit:and again", SCENE_NO_BODY);
    scene_commit(x);
}

static void restoring_done(void)
{
    writer_done(&back_up);
}

static void creating(struct scene *x)
{
    scene_create(x);
    scene_open(x);
    (void)scene_put(x, RECORD_EVENT, "events", SCENE_NO_BODY);
    scene_commit(x);
    scene_close(x);
}

const struct scenario scenarios[] = {
    { .name = "append", .play = append },
    { .name = "batches", .play = batches },
    { .name = "body-files", .play = body_files },
    { .name = "creating", .play = creating, .from_nothing = true },
    { .name = "erasing", .before = erasing_before, .play = erasing },
    { .name = "expiring", .before = expiring_before, .play = expiring, .costly = true },
    { .name = "follow", .before = twins_follow_before, .play = twins_follow, .from_nothing = true, .costly = true,
      .ready = twins_ready, .again = twins_again, .done = twins_done },
    { .name = "keyring", .before = keyring_before, .play = keyring, .costly = true, .nested = 1500 },
    { .name = "killed", .play = killed },
    { .name = "killed-large", .play = killed_large, .costly = true },
    { .name = "killed-sealing", .play = killed_sealing, .costly = true },
    { .name = "large-body", .play = large_body, .costly = true },
    { .name = "promote", .before = twins_promote_before, .play = twins_promote, .from_nothing = true, .costly = true,
      .ready = twins_ready, .again = twins_again, .done = twins_done },
    { .name = "reopened", .play = reopened },
    { .name = "restoring", .before = restoring_before, .play = restoring, .costly = true, .ready = restoring_ready,
      .again = restoring_again, .done = restoring_done },
    { .name = "rotation", .before = rotation_before, .play = rotation, .costly = true },
    { .name = "sealing", .play = sealing, .costly = true },
    { .name = "sealing-behind", .play = sealing_behind },
    { .name = "sealing-large", .play = sealing_large, .costly = true },
    { .name = "segments", .play = segments },
    { .name = "tiles", .play = tiles, .costly = true },
    { .name = "views", .play = views, .views = true, .costly = true, .nested = 1500,
      .torn = 12 },
};
const size_t scenario_count = COUNT_OF(scenarios);
