/*
 * The n-th failure: every scenario is played again and again while the n-th call of a kind fails, for n = 1, 2, 3 …
 * until none does; then the store is opened again without failures, goes on, and is held to what it said, as it lies
 * in the page cache and as it lies on the disk if the power goes at the end.
 *
 *   fail [SCENARIO…]      TAP on stdout
 *
 * FANAL_TORTURE=full tries every n of every kind (of allocations, some 400); else some FANAL_FAULTS in all, of any kind.
 * FANAL_SEED repeats a run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/vault/store_test.h"
#include "faults.h"
#include "walk.h"

static const struct kind {
    const char *name;
    enum fault_call call;
    int error;
    bool lasting;
} kinds[] = {
    { "open: no space", FAULT_OPEN, ENOSPC, false },
    { "open: i/o error", FAULT_OPEN, EIO, false },
    { "write: no space", FAULT_WRITE, ENOSPC, false },
    { "write: no space any more", FAULT_WRITE, ENOSPC, true },
    { "write: i/o error", FAULT_WRITE, EIO, false },
    { "write: cut short", FAULT_SHORT_WRITE, 0, false },
    { "sync: i/o error", FAULT_SYNC, EIO, false },
    { "sync: no space", FAULT_SYNC, ENOSPC, false },
    { "rename: i/o error", FAULT_RENAME, EIO, false },
    { "rename: no space", FAULT_RENAME, ENOSPC, false },
    { "unlink: i/o error", FAULT_UNLINK, EIO, false },
    { "truncate: i/o error", FAULT_TRUNCATE, EIO, false },
    { "mkdir: no space", FAULT_MKDIR, ENOSPC, false },
    { "directory sync: i/o error", FAULT_SYNC_DIR, EIO, false },
    { "free space unknown", FAULT_FREE_BYTES, EIO, false },
    { "memory", FAULT_MEMORY, ENOMEM, false },
};

#ifdef __SANITIZE_ADDRESS__
#define SAMPLE 24
#else
#define SAMPLE 96
#endif

struct run {
    uint64_t random;
    bool full;
    unsigned long wanted; /* of a sample, for one scenario */
    struct shelf shelf;
    unsigned long tried;
};

static size_t below(struct run *r, size_t n)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return (size_t)(r->random >> 11) % n;
}

/* The scenario with its fault; the tape has it all. */
static void play(const struct scenario *s, const char *dir, struct tape *t, struct fault *f)
{
    struct scene x;

    scene_prepare(&x, dir, t, s);
    f->tape = t;
    x.tuning.files = &fault_ops;
    x.tuning.files_context = f;
    faults_of_memory(f->call == FAULT_MEMORY || f->call == FAULT_CALLS ? f : NULL);
    s->play(&x);
    scene_end(&x);
    faults_of_memory(NULL);
}

/* The service starts again, on the same page cache, and all is well. */
static void go_on(const struct scenario *s, const char *dir, struct tape *t)
{
    struct scene x;

    scene_begin(&x, dir, t, s);
    x.seed = 100000;
    if (s->again != NULL) {
        s->again(&x);
    } else if (scene_open(&x)) {
        (void)scene_put(&x, RECORD_HL7, "unit:after", SCENE_SMALL);
        scene_commit(&x);
        (void)scene_put(&x, RECORD_EVENT, "unit:after", SCENE_NO_BODY);
        scene_commit(&x);
    }
    scene_end(&x);
}

static bool judge_disk(struct run *r, const struct scenario *s, struct platter *p, struct choice *c,
                       const struct promises *promises, struct error *err)
{
    struct platter_image image = { .count = 0 };
    struct judging j = { .ops = &shelf_ops, .context = &r->shelf, .dir = r->shelf.dir, .views = s->views, .ready = s->ready, .go_on = true };
    bool ok;

    j.reopen = true;
    image_of(p, c, &image);
    shelf_forget(&r->shelf);
    shelf_show(&r->shelf, p, c, &image);
    ok = judge(&j, promises, err);
    image_done(&image);
    return ok;
}

/* The disk with nothing of what was never synced, with everything, and with some. */
static bool judge_tape(struct run *r, const struct scenario *s, const struct tape *t, struct error *err)
{
    struct promises promises;
    struct platter p;
    struct choice c = { .kept_cap = 0 };
    bool ok = true;

    promises_begin(&promises);
    promises.calls_failed = true;
    platter_begin(&p, t);
    while (p.at < t->count) {
        if (t->deeds[p.at].type == DEED_MARK)
            promises_take(&promises, t->deeds[p.at].mark);
        platter_step(&p);
    }
    for (int keep = 0; ok && keep < 3; keep++) {
        choice_set(&c, &p, keep == 1);
        for (size_t i = 0; keep == 2 && i < p.pending_count; i++)
            c.kept[i] = below(r, 2) == 0;
        for (int i = 0; keep == 2 && i < p.file_count; i++)
            c.picks[i].version = c.picks[i].length = below(r, p.files[i].count);
        ok = judge_disk(r, s, &p, &c, &promises, err)
             || error_within(err, keep == 0 ? "on the disk" : keep == 1 ? "in the page cache" : "on some disk");
    }
    choice_done(&c);
    platter_end(&p);
    promises_done(&promises);
    return ok;
}

/* False where a promise was broken. */
static bool try_one(struct run *r, const struct scenario *s, const struct kind *k, struct fault *f)
{
    struct error err = { 0 };
    char dir[TEST_DIR_SIZE];
    struct tape t;
    bool ok;

    test_dir(dir);
    play(s, dir, &t, f);
    if (!s->from_nothing || s->again != NULL)
        go_on(s, dir, &t);
    ok = judge_tape(r, s, &t, &err);
    if (!ok) {
        printf("# %s, %s at call %ld: %s\n", s->name, k != NULL ? k->name : "no failure", f->n, err.text);
        tape_say(&t, t.count, 60);
    }
    tape_end(&t);
    test_remove(dir);
    if (s->done != NULL)
        s->done();
    r->tried++;
    return ok;
}

static struct fault fault_of(const struct kind *k, long n)
{
    return (struct fault){ .call = k->call, .error = k->error, .lasting = k->lasting, .n = n };
}

/* Every n, until none fails. */
static bool try_every(struct run *r, const struct scenario *s, const struct kind *k, long calls)
{
    long step = k->call == FAULT_MEMORY ? calls / 400 + 1 : 1;

    for (long n = 1 + (long)below(r, (size_t)step);; n += step) {
        struct fault f = fault_of(k, n);

        if (!try_one(r, s, k, &f))
            return false;
        if (!fault_was_reached(&f))
            return true;
    }
}

/* Some of any kind. */
static bool try_some(struct run *r, const struct scenario *s, struct fault *counted)
{
    bool ok = true;

    for (unsigned long i = 0; ok && i < r->wanted; i++) {
        const struct kind *k = &kinds[below(r, COUNT_OF(kinds))];
        struct fault f = fault_of(k, 1 + (long)below(r, (size_t)atomic_load(&counted->seen[k->call]) + 1));

        ok = try_one(r, s, k, &f);
    }
    return ok;
}

static unsigned long number_from(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text != NULL && text[0] != '\0' ? strtoul(text, NULL, 10) : otherwise;
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

static void say(bool ok, size_t *number, size_t *failed, const char *scenario, const char *kind, unsigned long tried)
{
    *failed += ok ? 0 : 1;
    printf("%s %zu - %s, %s: %lu failures\n", ok ? "ok" : "not ok", ++*number, scenario, kind, tried);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    const char *torture = getenv("FANAL_TORTURE");
    struct run r = { .random = number_from("FANAL_SEED", (unsigned long)getpid()) + 1,
                     .full = torture != NULL && strcmp(torture, "full") == 0 };
    size_t number = 0, failed = 0;

    faults_begin();
    r.wanted = number_from("FANAL_FAULTS", SAMPLE) / scenario_count + 1;
    printf("# FANAL_SEED=%llu\n", (unsigned long long)r.random - 1);
    shelf_begin(&r.shelf);
    for (size_t i = 0; i < scenario_count; i++) {
        struct fault none = { .call = FAULT_CALLS };

        if (!wanted(scenarios[i].name, argc, argv))
            continue;
        say(try_one(&r, &scenarios[i], NULL, &none), &number, &failed, scenarios[i].name, "none", 0);
        for (size_t k = 0; r.full && k < COUNT_OF(kinds); k++) {
            unsigned long before = r.tried;
            bool ok = try_every(&r, &scenarios[i], &kinds[k], atomic_load(&none.seen[kinds[k].call]));

            say(ok, &number, &failed, scenarios[i].name, kinds[k].name, r.tried - before - 1);
        }
        if (!r.full)
            say(try_some(&r, &scenarios[i], &none), &number, &failed, scenarios[i].name, "any", r.wanted);
    }
    shelf_end(&r.shelf);
    printf("# %lu runs\n1..%zu\n", r.tried, number);
    return failed > 0 ? 1 : number > 0 ? 0 : 2;
}
