/* The thread that seals, scrubs and mends; its rate, its events. See sealer.h. */
#include "vault/sealer.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Below everything else, but not SCHED_IDLE: a thread of that class that holds a lock (malloc's, an inode's, ours) on a
 * loaded machine would keep a commit waiting for a second. At nice 10 the same wait is some 30 ms.
 */
#define SEALER_NICE       10
#define IOPRIO_PROCESS    1
#define IOPRIO_LEAST      (2 << 13 | 7) /* best effort, last; what is idle could hold a page a reader wants */
#define PACE_BYTES        ((uint64_t)256 << 10)
#define IDLE_MS           60000u
#define SEALS_TOLD_MS     60000u /* many seals become one event */

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t sealer_now_ms(void)
{
    return now_ns() / 1000000u;
}

/* ---- pace ---- */

/* With the lock held. */
static void wait_until(struct sealer *sl, uint64_t ns)
{
    struct timespec t = { .tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u) };

    (void)pthread_cond_timedwait(&sl->wake, &sl->lock, &t);
}

bool sealer_pace(void *sealer, uint64_t bytes)
{
    struct sealer *sl = sealer;
    uint64_t now, rate = sl->rate, commits = atomic_load(&sl->s->commits);
    bool go_on;

    sl->owed += bytes;
    if (sl->owed < PACE_BYTES)
        return true;
    now = now_ns();
    if (rate > 4 && commits != sl->commits_seen) /* somebody stores: a quarter is enough */
        rate /= 4;
    sl->commits_seen = commits;
    if (sl->due_ns + 1000000000u < now)
        sl->due_ns = now; /* a rate, not a debt */
    sl->due_ns += rate == 0 ? 0 : (uint64_t)((double)sl->owed * 1e9 / (double)rate);
    sl->owed = 0;
    (void)pthread_mutex_lock(&sl->lock);
    while (rate != 0 && !sl->stop && !atomic_load(&sl->hurry) && now_ns() < sl->due_ns)
        wait_until(sl, sl->due_ns);
    go_on = !sl->stop && !(sl->threaded && atomic_load(&sl->hurry) && rate != 0);
    (void)pthread_mutex_unlock(&sl->lock);
    return go_on;
}

/* ---- telling ---- */

void sealer_tell(struct sealer *sl, const char *event, const char *outcome, const char *file, const char *format, ...)
{
    static const uint64_t one = 1;
    struct store_event e = { .event = event, .outcome = outcome };
    va_list args;

    (void)snprintf(e.file, sizeof e.file, "%s", file);
    va_start(args, format);
    (void)vsnprintf(e.detail, sizeof e.detail, format, args);
    va_end(args);
    (void)pthread_mutex_lock(&sl->lock);
    if (sl->event_count < SEALER_EVENTS_MAX)
        sl->events[(sl->event_first + sl->event_count++) % SEALER_EVENTS_MAX] = e;
    (void)pthread_mutex_unlock(&sl->lock);
    (void)!write(sl->s->event_fd, &one, sizeof one);
}

bool store_next_event(struct store *s, struct store_event *out)
{
    struct sealer *sl = s->sealer;
    bool some;

    if (sl == NULL)
        return false;
    (void)pthread_mutex_lock(&sl->lock);
    some = sl->event_count > 0;
    if (some) {
        *out = sl->events[sl->event_first];
        sl->event_first = (sl->event_first + 1) % SEALER_EVENTS_MAX;
        sl->event_count--;
    }
    (void)pthread_mutex_unlock(&sl->lock);
    return some;
}

/* One file by name, many by number: a day's large bodies must not fill the log with their seals. */
static void tell_made(struct sealer *sl, bool now)
{
    if (sl->made == 0 || (!now && sealer_now_ms() - sl->made_told_ms < SEALS_TOLD_MS))
        return;
    if (sl->made == 1)
        sealer_tell(sl, "seal.made", "success", "", "%s", sl->made_name);
    else
        sealer_tell(sl, "seal.made", "success", "", "%llu files of %llu bytes, the last %s", (unsigned long long)sl->made,
                    (unsigned long long)sl->made_bytes, sl->made_name);
    sl->made = sl->made_bytes = 0;
    sl->made_told_ms = sealer_now_ms();
}

void sealer_save(struct sealer *sl, bool now)
{
    struct error err = { 0 };

    if (!sl->state_changed || (!now && sealer_now_ms() - sl->state_written_ms < STATE_EVERY_MS))
        return;
    if (!scrub_state_write(sl->s, &sl->state, &err)) /* what it would have said is found out again */
        log_warn(sl->s->log, "scrub.not-saved", f_err(&err));
    sl->state_changed = false;
    sl->state_written_ms = sealer_now_ms();
}

/* ---- from other threads ---- */

/* The sealer, locked, and kept from being stopped; NULL where nobody seals. */
static struct sealer *sealer_hold(struct store *s)
{
    struct sealer *sl;

    (void)pthread_mutex_lock(&s->sealer_lock);
    sl = s->sealer;
    if (sl != NULL)
        (void)pthread_mutex_lock(&sl->lock);
    else
        (void)pthread_mutex_unlock(&s->sealer_lock);
    return sl;
}

static void sealer_let_go(struct sealer *sl)
{
    (void)pthread_mutex_unlock(&sl->lock);
    (void)pthread_mutex_unlock(&sl->s->sealer_lock);
}

void sealer_wake(struct store *s)
{
    struct sealer *sl = sealer_hold(s);

    if (sl == NULL)
        return;
    sl->woken = true;
    (void)pthread_cond_signal(&sl->wake);
    sealer_let_go(sl);
}

void sealer_met(struct store *s, const char *name)
{
    struct sealer *sl = strlen(name) <= SIDECAR_NAME_BYTES ? sealer_hold(s) : NULL;
    bool known = false;

    if (sl == NULL)
        return;
    for (size_t i = 0; i < sl->met_count; i++)
        known = known || strcmp(sl->met[i], name) == 0;
    if (!known && sl->met_count < MET_MAX)
        memcpy(sl->met[sl->met_count++], name, strlen(name) + 1);
    sl->woken = true;
    (void)pthread_cond_signal(&sl->wake);
    sealer_let_go(sl);
}

/* ---- the thread ---- */

static bool take_met(struct sealer *sl, char out[SIDECAR_NAME_BYTES + 1])
{
    bool some;

    (void)pthread_mutex_lock(&sl->lock);
    some = sl->met_count > 0;
    if (some) {
        memcpy(out, sl->met[0], sizeof sl->met[0]);
        memmove(sl->met[0], sl->met[1], --sl->met_count * sizeof sl->met[0]);
    }
    (void)pthread_mutex_unlock(&sl->lock);
    return some;
}

/* One thing, the most urgent first. False: there is none, or it failed. */
static bool do_one(struct sealer *sl)
{
    char name[SIDECAR_NAME_BYTES + 1];
    struct error err = { 0 };
    bool did = false;

    sl->rate = SEAL_RATE;
    if (take_met(sl, name)) {
        scrub_met(sl, name);
        return true;
    }
    if (sl->retry_ms <= sealer_now_ms() && !sealing_next(sl, &did, &err) && err.code != ERR_BUSY) {
        log_warn(sl->s->log, "seal.failed", f_err(&err));
        sl->retry_ms = sealer_now_ms() + SEAL_RETRY_MS;
    }
    if (did)
        return true;
    tell_made(sl, true);
    sl->rate = sl->options.rate;
    err = (struct error){ 0 };
    if (sl->options.rate > 0 && !scrub_next(sl, &did, &err) && err.code != ERR_BUSY)
        log_warn(sl->s->log, "scrub.failed", f_err(&err));
    return did && err.code == ERR_NONE;
}

static void *sealer_main(void *context)
{
    struct sealer *sl = context;
    bool stop = false;

    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), SEALER_NICE);
    (void)syscall(SYS_ioprio_set, IOPRIO_PROCESS, 0, IOPRIO_LEAST);
    while (!stop) {
        bool did;

        (void)pthread_mutex_lock(&sl->work);
        did = do_one(sl);
        tell_made(sl, false);
        sealer_save(sl, !did);
        (void)pthread_mutex_unlock(&sl->work);
        (void)pthread_mutex_lock(&sl->lock);
        while (!sl->stop && atomic_load(&sl->hurry)) /* who hurries gets `work` */
            wait_until(sl, now_ns() + 20000000u);
        if (!did && !sl->stop && !sl->woken)
            wait_until(sl, now_ns() + (uint64_t)IDLE_MS * 1000000u);
        sl->woken = false;
        stop = sl->stop;
        (void)pthread_mutex_unlock(&sl->lock);
    }
    return NULL;
}

/* Signals are the owner's. */
static bool begin_thread(struct sealer *sl)
{
    sigset_t all, before;
    bool begun;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    sl->threaded = true; /* the thread looks at it */
    begun = pthread_create(&sl->thread, NULL, sealer_main, sl) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!begun)
        sl->threaded = false;
    return begun;
}

bool sealer_start(struct store *s, const struct scrub_options *options, struct error *err)
{
    struct sealer *sl = calloc(1, sizeof *sl);
    pthread_condattr_t monotonic;

    if (sl == NULL)
        return error_set(err, ERR_MEMORY, "no memory to seal files");
    sl->s = s;
    sl->made_told_ms = sealer_now_ms();
    (void)pthread_mutex_init(&sl->work, NULL);
    (void)pthread_mutex_init(&sl->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&sl->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_lock(&s->sealer_lock);
    s->sealer = sl;
    (void)pthread_mutex_unlock(&s->sealer_lock);
    if (!seal_init(&sl->seal, &s->suite, err) || (sl->mender = mender_new(s, err)) == NULL)
        return false;
    if (scrub_state_read(s, &sl->state) == SCRUB_STATE_DAMAGED)
        sealer_tell(sl, "scrub.repaired", "success", "scrub", "the scrub file was damaged: sealing and scrubbing begin again");
    atomic_store(&s->damaged_files, sl->state.damaged_count);
    if (options == NULL)
        return true;
    sl->options = *options;
    return begin_thread(sl) || error_set(err, ERR_MEMORY, "no thread to seal files");
}

void sealer_stop(struct store *s)
{
    struct sealer *sl = s->sealer;

    if (sl == NULL)
        return;
    (void)pthread_mutex_lock(&s->sealer_lock); /* from here nobody finds it */
    s->sealer = NULL;
    (void)pthread_mutex_unlock(&s->sealer_lock);
    (void)pthread_mutex_lock(&sl->lock);
    sl->stop = true;
    (void)pthread_cond_broadcast(&sl->wake);
    (void)pthread_mutex_unlock(&sl->lock);
    if (sl->threaded) {
        (void)pthread_join(sl->thread, NULL);
        sealer_save(sl, true);
    }
    free(sl->list.names);
    seal_done(&sl->seal);
    mender_free(sl->mender);
    (void)pthread_cond_destroy(&sl->wake);
    (void)pthread_mutex_destroy(&sl->lock);
    (void)pthread_mutex_destroy(&sl->work);
    free(sl);
}
