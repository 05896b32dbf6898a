/* Views that follow the log. See live_views.h. */
#include "vault/live_views.h"

#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "vault/ahead.h"
#include "vault/folder.h"
#include "vault/news.h"

#define LOAD_ENTRIES 20000 /* of a view that nobody reads yet */
#define BATCH_ENTRIES 1000 /* one transaction: large enough to be fast, small enough not to keep readers' WAL */
#define HEAL_RETRY_MS 10000 /* after views that could not be made again: each try reads the whole log */
#define RETRY_MS 500       /* after a failure that waiting may heal (disk full, memory) */
/* Folding few entries costs nearly as much as folding many: while nobody asks for them they gather this long. */
#define GATHER_MS 20

/* A view's connections may outlive its being current: the last one to go closes it. */
struct shared_views {
    struct views *views;
    size_t uses;
};

struct live_views {
    struct store *store;
    const struct log *log;
    const struct clock *clock;
    struct zone zone;
    _Atomic uint32_t mark; /* tombstones applied */
    uint8_t key[PAGE_KEY_BYTES], secret[FOLDER_SECRET_BYTES];
    struct news *news;
    pthread_t thread;
    bool started;
    /* the folding thread's; others only while it does not run */
    struct folder *folder;
    /* guarded by mutex */
    pthread_mutex_t mutex;
    pthread_cond_t work, progress;
    pthread_cond_t hurry; /* somebody waits for what gathers */
    unsigned waiting;     /* who */
    struct shared_views *current;
    uint64_t folded;
    unsigned generation; /* of current */
    bool stop, damaged;
    struct fresh *fresh; /* made beside, to take the place of current */
    bool starved; /* no space to fold: what is folded is answered, until there is */
};

/* Views that another thread has made for the folding one. Lives on that thread's stack while it waits. */
struct fresh {
    struct views *views;
    struct folder *folder;
    struct error err;
    bool taken, finished; /* guarded by the mutex */
    bool done;
};

struct views_reader {
    struct live_views *v;
    struct shared_views *views;
    unsigned generation;
    sqlite3 *db;
    struct query *query;
};

/* ---- opening, making ---- */

static void release(struct shared_views *s)
{
    if (s == NULL || --s->uses > 0)
        return;
    views_close(s->views);
    free(s);
}

/* Are these views of this log? Its last folded entry must be there, and be the same. */
static bool fits_store(struct folder *f, struct store *s, struct error *err)
{
    uint8_t stored[FOLDER_DIGEST_BYTES], digest[FOLDER_DIGEST_BYTES];
    const uint8_t unread[FOLDER_DIGEST_BYTES] = { 0 };
    struct writer facts = writer_new(SIZE_MAX / 2);
    struct entry e;
    uint64_t position;
    bool ok = folder_position(f, &position, stored, err);

    if (ok && position > store_committed_size(s))
        ok = error_set(err, ERR_DAMAGED, "views reach %llu, the log ends before", (unsigned long long)position);
    if (ok && position > 0 && memcmp(stored, unread, sizeof unread) != 0) {
        ok = store_read_entry(s, position - 1, &e, &facts, err);
        if (ok)
            folder_digest(&e, writer_span(&facts), digest);
        if (ok && memcmp(stored, digest, sizeof digest) != 0)
            ok = error_set(err, ERR_DAMAGED, "views were folded from another log");
    }
    writer_done(&facts);
    return ok;
}

static bool catch_up(struct live_views *v, struct folder *f, uint64_t *position, struct error *err)
{
    const uint64_t end = store_committed_size(v->store);
    uint8_t digest[FOLDER_DIGEST_BYTES];
    size_t folded;

    if (!folder_position(f, position, digest, err))
        return false;
    while (*position < end) {
        if (!folder_batch(f, v->store, end, BATCH_ENTRIES, NULL, NULL, &folded, err))
            return false;
        *position += folded;
    }
    return true;
}

/* Puts views and their folder in the place of those before. */
static bool install(struct live_views *v, struct views *views, struct folder *folder, uint64_t folded,
                    struct error *err)
{
    struct shared_views *new = calloc(1, sizeof *new), *before;

    if (new == NULL)
        return error_set(err, ERR_MEMORY, "views");
    *new = (struct shared_views){ views, 1 };
    folder_free(v->folder);
    v->folder = folder;
    (void)pthread_mutex_lock(&v->mutex);
    before = v->current;
    v->current = new;
    v->folded = folded;
    v->generation++;
    release(before);
    (void)pthread_cond_broadcast(&v->progress);
    (void)pthread_mutex_unlock(&v->mutex);
    return true;
}

/* Everything from the beginning, without WAL and with entries read ahead. */
static bool load(struct live_views *v, struct views *views, uint64_t end, struct error *err)
{
    struct folder *folder = folder_new(views, v->secret, &v->zone, err);
    struct ahead *ahead = ahead_new(v->store, 0, end);
    bool ok = folder != NULL;
    size_t folded;

    if (ok)
        folder_read_ahead(folder, ahead);
    for (uint64_t position = 0; ok && position < end; position += folded)
        ok = folder_batch(folder, v->store, end, LOAD_ENTRIES, NULL, NULL, &folded, err);
    ahead_free(ahead);
    folder_free(folder);
    return ok && views_publish(views, err);
}

static bool make_again(struct live_views *v, struct error *err)
{
    const uint64_t end = store_committed_size(v->store);
    struct views *views = views_create_to_load(store_disk(v->store), v->key, atomic_load(&v->mark), end, err);
    struct folder *folder = NULL;
    uint64_t folded = 0;

    if (views != NULL && load(v, views, end, err) && (folder = folder_new(views, v->secret, &v->zone, err)) != NULL
        && catch_up(v, folder, &folded, err) && install(v, views, folder, folded, err)) {
        log_info(v->log, "views.made", f_uint("entries", folded));
        return true;
    }
    folder_free(folder);
    views_remove(views); /* half-made ones would only fill the disk */
    return false;
}

/* Views that are older than the log for want of space are better than none: reading goes on with them. */
static bool starve(struct live_views *v, const struct error *why)
{
    v->starved = why->code == ERR_NO_SPACE;
    if (v->starved)
        log_error(v->log, "views.starved", f_err(why));
    return v->starved;
}

static bool open_current(struct live_views *v, struct error *err)
{
    struct views *views = views_open(store_disk(v->store), v->key, err);
    struct folder *folder = views != NULL ? folder_new(views, v->secret, &v->zone, err) : NULL;
    uint64_t folded = 0;
    uint32_t mark;

    if (folder != NULL && views_mark(views, &mark, err)
        && (mark == atomic_load(&v->mark) || error_set(err, ERR_DAMAGED, "views were made before keys were erased"))
        && fits_store(folder, v->store, err)
        && (catch_up(v, folder, &folded, err) || starve(v, err)) && install(v, views, folder, folded, err))
        return true;
    folder_free(folder);
    views_close(views);
    return false;
}

static bool conditions_init(struct live_views *v)
{
    pthread_condattr_t monotonic;

    return pthread_mutex_init(&v->mutex, NULL) == 0 && pthread_condattr_init(&monotonic) == 0
           && pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0
           && pthread_cond_init(&v->work, &monotonic) == 0 && pthread_cond_init(&v->progress, &monotonic) == 0
           && pthread_cond_init(&v->hurry, &monotonic) == 0
           && pthread_condattr_destroy(&monotonic) == 0;
}

static struct live_views *live_views_new(const struct live_views_options *o, struct error *err)
{
    struct live_views *v = calloc(1, sizeof *v);

    if (v == NULL || !conditions_init(v) || (v->news = news_new()) == NULL) {
        free(v);
        error_set(err, ERR_MEMORY, "views");
        return NULL;
    }
    v->store = o->store;
    v->log = o->log;
    v->clock = o->clock;
    v->zone = o->zone;
    atomic_init(&v->mark, o->mark);
    if (!store_derive_key(o->store, "views", v->key, err)
        || !store_derive_key(o->store, "patient-keys", v->secret, err)) {
        error_within(err, "views");
        live_views_close(v);
        return NULL;
    }
    return v;
}

struct live_views *live_views_open(const struct live_views_options *options, struct error *err)
{
    struct live_views *v = live_views_new(options, err);
    struct error why = { .code = ERR_NONE };

    if (v == NULL || open_current(v, &why))
        return v;
    if (why.code != ERR_NOT_FOUND)
        log_warn(v->log, "views.unusable", f_str("reason", error_name(why.code)), f_err(&why));
    if (make_again(v, err))
        return v;
    live_views_close(v);
    return NULL;
}

bool live_views_rebuild(const struct live_views_options *options, struct error *err)
{
    struct live_views *v = live_views_new(options, err);
    bool ok = v != NULL && make_again(v, err);

    live_views_close(v);
    return ok;
}

/* ---- following ---- */

static void hear(void *context, uint64_t position, struct span news)
{
    struct live_views *v = context;

    (void)position;
    news_add(v->news, news);
}

static void wait_for(pthread_cond_t *condition, pthread_mutex_t *mutex, unsigned ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(condition, mutex, &until);
}

/* One batch, outside the lock. False: wait before the next try. */
static bool fold_some(struct live_views *v, uint64_t end)
{
    struct error err = { .code = ERR_NONE };
    size_t folded = 0;
    bool ok = folder_batch(v->folder, v->store, end, BATCH_ENTRIES, hear, v, &folded, &err);

    if (ok) {
        news_publish(v->news); /* whoever acts on it asks for the position below, and waits for it */
    } else {
        news_withdraw(v->news);
        if (err.code != ERR_NO_SPACE)
            log_error(v->log, "views.fold-failed", f_str("reason", error_name(err.code)), f_err(&err));
        else if (!v->starved)
            log_error(v->log, "views.starved", f_err(&err));
    }
    (void)pthread_mutex_lock(&v->mutex);
    v->folded += folded;
    v->starved = !ok && err.code == ERR_NO_SPACE;
    v->damaged = v->damaged || (!ok && err.code == ERR_DAMAGED);
    (void)pthread_cond_broadcast(&v->progress);
    (void)pthread_mutex_unlock(&v->mutex);
    return ok || err.code == ERR_DAMAGED;
}

static bool heal(struct live_views *v)
{
    struct error err = { .code = ERR_NONE };
    const uint32_t mark = live_views_mark(v);
    bool ok = make_again(v, &err);

    if (!ok)
        log_error(v->log, "views.make-failed", f_str("reason", error_name(err.code)), f_err(&err));
    (void)pthread_mutex_lock(&v->mutex);
    v->damaged = v->damaged && !(ok && mark == live_views_mark(v)); /* keys went meanwhile: once more */
    (void)pthread_mutex_unlock(&v->mutex);
    return ok;
}

/* What came while the fresh ones were made, then the change of places. */
static void take_fresh(struct live_views *v, struct fresh *fresh)
{
    uint64_t folded = 0;
    bool ok = catch_up(v, fresh->folder, &folded, &fresh->err) && views_publish(fresh->views, &fresh->err)
              && install(v, fresh->views, fresh->folder, folded, &fresh->err);

    if (ok)
        log_info(v->log, "views.made", f_uint("entries", folded));
    (void)pthread_mutex_lock(&v->mutex);
    fresh->done = ok;
    fresh->finished = true;
    (void)pthread_cond_broadcast(&v->progress);
    (void)pthread_mutex_unlock(&v->mutex);
}

/* Hands them to the folding thread and waits for it. */
static bool hand_over(struct live_views *v, struct fresh *fresh)
{
    (void)pthread_mutex_lock(&v->mutex);
    v->fresh = v->stop ? NULL : fresh;
    (void)pthread_cond_signal(&v->work);
    (void)pthread_cond_signal(&v->hurry);
    while (!fresh->finished && (fresh->taken || !v->stop))
        (void)pthread_cond_wait(&v->progress, &v->mutex);
    v->fresh = NULL;
    if (!fresh->finished)
        (void)error_set(&fresh->err, ERR_CLOSED, "the vault stops");
    (void)pthread_mutex_unlock(&v->mutex);
    return fresh->done;
}

bool live_views_renew(struct live_views *v, uint32_t mark, struct error *err)
{
    struct fresh fresh = { .done = false };
    uint64_t folded = 0;

    atomic_store(&v->mark, mark);
    fresh.views = views_create(store_disk(v->store), v->key, mark, &fresh.err);
    fresh.folder = fresh.views != NULL ? folder_new(fresh.views, v->secret, &v->zone, &fresh.err) : NULL;
    if (fresh.folder != NULL && catch_up(v, fresh.folder, &folded, &fresh.err) && hand_over(v, &fresh))
        return true;
    folder_free(fresh.folder);
    views_remove(fresh.views);
    return error_set(err, fresh.err.code, "%s", fresh.err.text);
}

bool live_views_whole(struct live_views *v)
{
    bool whole;

    (void)pthread_mutex_lock(&v->mutex);
    whole = !v->damaged;
    (void)pthread_mutex_unlock(&v->mutex);
    return whole;
}

uint32_t live_views_mark(struct live_views *v)
{
    return atomic_load(&v->mark);
}

static void *follow(void *context)
{
    struct live_views *v = context;

    (void)pthread_mutex_lock(&v->mutex);
    while (!v->stop) {
        const bool damaged = v->damaged;
        bool ok;

        if (v->fresh != NULL) {
            struct fresh *fresh = v->fresh;

            v->fresh = NULL;
            fresh->taken = true;
            (void)pthread_mutex_unlock(&v->mutex);
            take_fresh(v, fresh);
            (void)pthread_mutex_lock(&v->mutex);
            continue;
        }
        if (!damaged && v->folded >= store_committed_size(v->store)) {
            (void)pthread_cond_wait(&v->work, &v->mutex);
            continue;
        }
        if (!damaged && v->waiting == 0 && !v->stop)
            wait_for(&v->hurry, &v->mutex, GATHER_MS);
        (void)pthread_mutex_unlock(&v->mutex);
        ok = damaged ? heal(v) : fold_some(v, store_committed_size(v->store));
        (void)pthread_mutex_lock(&v->mutex);
        if (!ok && !v->stop)
            wait_for(damaged ? &v->hurry : &v->work, &v->mutex, damaged ? HEAL_RETRY_MS : RETRY_MS);
    }
    (void)pthread_mutex_unlock(&v->mutex);
    return NULL;
}

bool live_views_start(struct live_views *v, struct error *err)
{
    sigset_t all, before;

    (void)sigfillset(&all); /* signals are the owner's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    v->started = pthread_create(&v->thread, NULL, follow, v) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return v->started || error_set(err, ERR_MEMORY, "views: thread");
}

void live_views_close(struct live_views *v)
{
    if (v == NULL)
        return;
    (void)pthread_mutex_lock(&v->mutex);
    v->stop = true;
    (void)pthread_cond_broadcast(&v->progress);
    (void)pthread_cond_signal(&v->work);
    (void)pthread_cond_signal(&v->hurry);
    (void)pthread_mutex_unlock(&v->mutex);
    if (v->started)
        (void)pthread_join(v->thread, NULL);
    folder_free(v->folder);
    release(v->current);
    news_free(v->news);
    (void)pthread_cond_destroy(&v->work);
    (void)pthread_cond_destroy(&v->progress);
    (void)pthread_cond_destroy(&v->hurry);
    (void)pthread_mutex_destroy(&v->mutex);
    sodium_memzero(v->key, sizeof v->key);
    sodium_memzero(v->secret, sizeof v->secret);
    free(v);
}

void live_views_wake(struct live_views *v)
{
    (void)pthread_mutex_lock(&v->mutex);
    (void)pthread_cond_signal(&v->work);
    (void)pthread_mutex_unlock(&v->mutex);
}

uint64_t live_views_folded(struct live_views *v)
{
    uint64_t folded;

    (void)pthread_mutex_lock(&v->mutex);
    folded = v->folded;
    (void)pthread_mutex_unlock(&v->mutex);
    return folded;
}

int live_views_event_fd(const struct live_views *v)
{
    return news_fd(v->news);
}

void live_views_news(struct live_views *v, vault_row *row, void *context)
{
    news_drain(v->news, row, context);
}

/* ---- readers ---- */

static void disconnect(struct views_reader *r)
{
    query_free(r->query);
    (void)sqlite3_close(r->db);
    r->query = NULL;
    r->db = NULL;
    (void)pthread_mutex_lock(&r->v->mutex);
    release(r->views);
    (void)pthread_mutex_unlock(&r->v->mutex);
    r->views = NULL;
}

static bool reconnect(struct views_reader *r, struct error *err)
{
    struct live_views *v = r->v;

    disconnect(r);
    (void)pthread_mutex_lock(&v->mutex);
    r->views = v->current;
    r->views->uses++;
    r->generation = v->generation;
    (void)pthread_mutex_unlock(&v->mutex);
    if ((r->db = views_reader(r->views->views, err)) != NULL
        && (r->query = query_new(r->db, v->store, err)) != NULL)
        return true;
    disconnect(r);
    return false;
}

struct views_reader *views_reader_new(struct live_views *v, struct error *err)
{
    struct views_reader *r = calloc(1, sizeof *r);

    if (r == NULL) {
        error_set(err, ERR_MEMORY, "reader");
        return NULL;
    }
    r->v = v;
    if (reconnect(r, err))
        return r;
    free(r);
    return NULL;
}

void views_reader_free(struct views_reader *r)
{
    if (r == NULL)
        return;
    disconnect(r);
    free(r);
}

/* Waits for position; *generation is that of the views that have it. */
static bool reach(struct live_views *v, uint64_t position, unsigned *generation, struct error *err)
{
    const uint64_t until_ms = clock_monotonic_ms(v->clock) + VAULT_WAIT_MS;
    bool ok;

    (void)pthread_mutex_lock(&v->mutex);
    v->waiting++;
    if (v->folded < position) {
        (void)pthread_cond_signal(&v->work);
        (void)pthread_cond_signal(&v->hurry);
    }
    while (((v->folded < position && !v->starved) || (v->damaged && position > 0)) && clock_monotonic_ms(v->clock) < until_ms)
        wait_for(&v->progress, &v->mutex, RETRY_MS);
    v->waiting--;
    ok = (v->folded >= position || v->starved) && !v->damaged;
    *generation = v->generation;
    (void)pthread_mutex_unlock(&v->mutex);
    if (ok)
        return true;
    return position == 0 ? error_set(err, ERR_BUSY, "views are being made again")
                         : error_set(err, ERR_TIMEOUT, "views have not reached %llu", (unsigned long long)position);
}

struct query *views_reader_query(struct views_reader *r, uint64_t position, struct error *err)
{
    unsigned generation;

    if (!reach(r->v, position, &generation, err)
        || ((r->query == NULL || r->generation != generation) && !reconnect(r, err)))
        return NULL;
    return r->query;
}

sqlite3 *views_reader_db(struct views_reader *r)
{
    return r->db;
}

void views_reader_failed(struct views_reader *r, const struct error *why)
{
    struct live_views *v = r->v;

    if (why->code != ERR_DAMAGED)
        return;
    log_error(v->log, "views.damaged", f_err(why));
    (void)pthread_mutex_lock(&v->mutex);
    v->damaged = v->damaged || r->generation == v->generation;
    (void)pthread_cond_signal(&v->work);
    (void)pthread_mutex_unlock(&v->mutex);
}
