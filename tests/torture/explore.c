/*
 * Power cuts, exhaustively: every scenario is played on a tape, and every disk that a cut may leave of it is opened and
 * judged (tape.h, platter.h, walk.h, judge.h).
 *
 *   explore [SCENARIO…]      TAP on stdout, with the number of disks, distinct by their hash, of each scenario
 *
 * FANAL_TORTURE=full looks at every disk; else at a sample of about FANAL_STATES in all. FANAL_SEED repeats a run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit/vault/store_test.h"
#include "nonces.h"
#include "walk.h"

#define WORKERS  2
#define MIXTURES 6 /* after each deed, in a sample */
#ifdef __SANITIZE_ADDRESS__
#define SAMPLE 500
#else
#define SAMPLE 3000
#endif

/* What a worker tells of its part. */
struct tally {
    uint64_t judged, deeds, cut_again, failed, distinct;
    struct nonces nonces;
};

struct run {
    uint64_t seed;
    bool full;
    unsigned long states; /* wanted of a sample, each scenario */
};

static unsigned long number_from(const char *name, unsigned long otherwise)
{
    const char *text = getenv(name);

    return text != NULL && text[0] != '\0' ? strtoul(text, NULL, 10) : otherwise;
}

static void play(const struct scenario *s, const char *dir, struct tape *t)
{
    struct scene x;

    scene_prepare(&x, dir, t, s);
    t->sync_us = 300;
    s->play(&x);
    scene_end(&x);
}

/* How many of a million looks make the sample. */
static unsigned long sample_of(const struct run *r, const struct scenario *s, const struct tape *t)
{
    struct walk w = { .scenario = s, .seed = r->seed, .workers = WORKERS, .counting = true, .mixtures = MIXTURES };

    if (r->full)
        return 1000000;
    (void)walk_tape(&w, t, 0);
    return r->states * 1000000 / (w.looks + 1) + 1;
}

static void write_all(int fd, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    while (len > 0) {
        ssize_t n = write(fd, at, len);

        if (n <= 0)
            abort();
        at += n;
        len -= (size_t)n;
    }
}

static bool read_all(int fd, void *bytes, size_t len)
{
    uint8_t *at = bytes;

    while (len > 0) {
        ssize_t n = read(fd, at, len);

        if (n <= 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static void work(const struct run *r, const struct scenario *s, const struct tape *t, unsigned long sample,
                 unsigned worker, int out)
{
    struct walk w = { .scenario = s, .seed = r->seed, .worker = worker, .workers = WORKERS };
    struct tally tally = { 0 };

    w.per_million = sample;
    w.mixtures = r->full ? s->costly ? 12 : 40 : MIXTURES;
    w.torn = r->full ? s->torn : 0;
    w.nested = !r->full ? 0 : s->nested != 0 ? s->nested : s->costly ? 60 : 12;
    walk_begin(&w);
    (void)walk_tape(&w, t, 0);
    tally = (struct tally){ w.judged,         w.deeds,         w.cut_again, w.failed ? 1 : 0,
                            w.distinct.count, nonces_seen() };
    fflush(stdout);
    write_all(out, &tally, sizeof tally);
    for (size_t i = 0; i < w.distinct.cap; i++)
        if (w.distinct.slots[i] != 0)
            write_all(out, &w.distinct.slots[i], sizeof w.distinct.slots[i]);
    walk_end(&w);
}

static pid_t start(const struct run *r, const struct scenario *s, const struct tape *t, unsigned long sample,
                   unsigned worker, int *from)
{
    int ends[2];
    pid_t pid;

    fflush(stdout);
    if (pipe(ends) != 0 || (pid = fork()) < 0)
        abort();
    if (pid == 0) {
        close(ends[0]);
        work(r, s, t, sample, worker, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    *from = ends[0];
    return pid;
}

static bool gather(int from, struct tally *sum, struct hash_set *distinct)
{
    struct tally t;
    uint64_t h;

    if (!read_all(from, &t, sizeof t))
        return false;
    sum->judged += t.judged;
    sum->deeds = t.deeds;
    sum->cut_again += t.cut_again;
    sum->failed += t.failed;
    sum->nonces.pairs += t.nonces.pairs;
    sum->nonces.repeats += t.nonces.repeats;
    for (uint64_t i = 0; i < t.distinct; i++) {
        if (!read_all(from, &h, sizeof h))
            return false;
        (void)hash_set_add(distinct, h);
    }
    return true;
}

/* All workers, one scenario. */
static bool explore(const struct run *r, const struct scenario *s, struct hash_set *all)
{
    struct hash_set distinct = { .count = 0 };
    struct tally sum = { 0 };
    pid_t pids[WORKERS];
    int from[WORKERS], status;
    unsigned long sample;
    struct tape t;
    char dir[TEST_DIR_SIZE];
    bool ok = true;

    test_dir(dir);
    play(s, dir, &t);
    sample = sample_of(r, s, &t);
    for (unsigned i = 0; i < WORKERS; i++)
        pids[i] = start(r, s, &t, sample, i, &from[i]);
    for (unsigned i = 0; i < WORKERS; i++) {
        ok = gather(from[i], &sum, &distinct) && ok;
        close(from[i]);
        if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
            printf("# %s: worker %u died: %s %d\n", s->name, i, WIFSIGNALED(status) ? "signal" : "exit status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            ok = false;
        }
    }
    ok = ok && sum.failed == 0 && sum.nonces.repeats == 0;
    printf("# %s: %zu distinct disks after %llu deeds, judged %llu times, %llu recoveries cut again; "
           "%llu (key, nonce) pairs, %llu repeated\n",
           s->name, distinct.count, (unsigned long long)sum.deeds, (unsigned long long)sum.judged,
           (unsigned long long)sum.cut_again, (unsigned long long)sum.nonces.pairs,
           (unsigned long long)sum.nonces.repeats);
    for (size_t i = 0; i < distinct.cap; i++)
        if (distinct.slots[i] != 0)
            (void)hash_set_add(all, distinct.slots[i]);
    hash_set_done(&distinct);
    tape_end(&t);
    test_remove(dir);
    if (s->done != NULL)
        s->done();
    return ok;
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    const char *torture = getenv("FANAL_TORTURE");
    struct run r = { .seed = number_from("FANAL_SEED", (unsigned long)getpid()),
                     .full = torture != NULL && strcmp(torture, "full") == 0 };
    struct hash_set all = { .count = 0 };
    size_t chosen = 0, failed = 0;

    for (size_t i = 0; i < scenario_count; i++)
        chosen += wanted(scenarios[i].name, argc, argv) ? 1 : 0;
    if (chosen == 0)
        return 2;
    r.states = number_from("FANAL_STATES", SAMPLE) / chosen + 1;
    printf("# FANAL_SEED=%llu\n", (unsigned long long)r.seed);
    for (size_t i = 0, n = 0; i < scenario_count; i++) {
        bool ok;

        if (!wanted(scenarios[i].name, argc, argv))
            continue;
        ok = explore(&r, &scenarios[i], &all);
        failed += ok ? 0 : 1;
        printf("%s %zu - %s survives every power cut\n", ok ? "ok" : "not ok", ++n, scenarios[i].name);
        fflush(stdout);
    }
    printf("# %zu distinct disks in all\n1..%zu\n", all.count, chosen);
    hash_set_done(&all);
    return failed > 0 ? 1 : 0;
}
