/*
 * The store as its owner sees it: made, opened, appended to, told about, closed. See store.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "record/field.h"
#include "vault/sealer.h"
#include "vault/store_backup.h"

#define LOCK_PAUSE_MS 20u

static const char *const directories[] = { ".",           "log",          "body",
                                           "body/images", "body/results", "body/recordings",
                                           "body/held",   "body/large",   "ledger",
                                           "ledger/tile", "cut" };

bool store_files(struct disk *d, const struct tuning *t, const char *dir, struct error *err)
{
    d->ops = t->files != NULL ? t->files : &file_ops_system;
    d->context = t->files_context;
    return path_join(d->root, sizeof d->root, dir, "vault", err);
}

struct store *store_alloc(const char *dir, const struct store_options *o, struct error *err)
{
    struct store *s = calloc(1, sizeof *s);
    pthread_condattr_t monotonic;

    if (s == NULL) {
        (void)error_set(err, ERR_MEMORY, "no memory for a store");
        return NULL;
    }
    s->clock = o->clock;
    s->log = o->log;
    s->read_only = o->read_only;
    s->tuning = o->tuning != NULL ? *o->tuning : TUNING_DEFAULT;
    s->lock_fd = s->log_fd = s->event_fd = -1;
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        s->body_out[c].fd = -1;
    s->ledger.index_fd = -1;
    s->facts = writer_new(FACTS_STORED_MAX - TAG_BYTES);
    s->large_names = writer_new((size_t)64 << 20);
    s->start_events = writer_new((size_t)1 << 20);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->sync_lock, NULL);
    (void)pthread_mutex_init(&s->confirm_lock, NULL);
    (void)pthread_mutex_init(&s->segment_lock, NULL);
    (void)pthread_mutex_init(&s->mend_lock, NULL);
    (void)pthread_mutex_init(&s->sealer_lock, NULL);
    (void)pthread_mutex_init(&s->spares_lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->work, &monotonic);
    (void)pthread_cond_init(&s->room, NULL);
    (void)pthread_cond_init(&s->sync_work, NULL);
    (void)pthread_cond_init(&s->sync_done, NULL);
    (void)pthread_condattr_destroy(&monotonic);
    s->reserve_bytes = o->reserve_bytes;
    if (store_files(&s->disk, &s->tuning, dir, err) && seal_suite_init(&s->suite, err)
        && seal_init(&s->owner_seal, &s->suite, err) && seal_init(&s->commit_seal, &s->suite, err))
        return s;
    store_close(s);
    return NULL;
}

static void keyring_says(void *context, const char *text)
{
    start_finding(context, "%s", text);
}

/* ---- making one ---- */

/* What an interrupted making left of segment 0: a header and the first marker (is_half_made()). */
static bool empty_first_segment(struct store *s, struct error *err)
{
    char name[NAME_BYTES_MAX];
    bool ok;
    int fd;

    segment_name(0, name);
    if (!disk_exists(&s->disk, name))
        return true;
    fd = disk_open(&s->disk, name, O_RDWR, err);
    ok = fd >= 0 && disk_truncate(&s->disk, fd, 0, err);
    disk_close(&s->disk, &fd);
    return ok;
}

/* Segment 0 with the marker of the empty tree, then both confirm files: with them the store exists. */
static bool create_log(struct store *s, struct error *err)
{
    static const struct hash none;
    struct writer bytes = writer_new(MARKER_BYTES_MAX);
    bool ok;

    s->end = (struct log_end){ .offset = SEGMENT_HEADER_BYTES };
    s->end.marker = (struct marker){ .batch = SEGMENT_HEADER_BYTES, .written_us = clock_wall_us(s->clock) };
    ok = empty_first_segment(s, err) && segment_create(s, 0, 0, &none, err) && merkle_root(&s->ledger.tree, &s->commit_seal, &s->end.marker.root, err);
    marker_encode(&s->end.marker, NULL, keyring_keys(s->keyring)->marker, &bytes);
    ok = ok && writer_ok(&bytes, err, "marker")
         && disk_write_at(&s->disk, s->log_fd, writer_span(&bytes), s->end.offset, err)
         && disk_sync(&s->disk, s->log_fd, err)
         && seal_hash(&s->commit_seal, &(struct span){ bytes.ptr, bytes.len }, 1, s->end.marker_hash.bytes, err);
    s->end.offset += (uint32_t)bytes.len;
    writer_done(&bytes);
    return ok && confirm_write(s, err);
}

/* Making it was interrupted: there is no confirm file yet and nothing was ever written behind the first marker. */
static bool is_half_made(struct store *s)
{
    uint64_t size;

    return !disk_exists(&s->disk, "confirm.0") && !disk_exists(&s->disk, "confirm.1")
           && !disk_exists(&s->disk, "checkpoint") && !disk_exists(&s->disk, "twin") && segment_count(s) <= 1
           && segment_size(s, 0, &size, NULL) && size <= SEGMENT_HEADER_BYTES + marker_length(0);
}

bool store_make_dirs(struct store *s, struct error *err)
{
    for (size_t i = 0; i < COUNT_OF(directories); i++)
        if (!disk_make_dir(&s->disk, directories[i], err))
            return false;
    return true;
}

bool store_create(const char *dir, const struct store_options *options, struct error *err)
{
    struct store *s = store_alloc(dir, options, err);
    bool ok = s != NULL;

    if (ok && !is_half_made(s))
        ok = error_set(err, ERR_EXISTS, "%s/vault is there already", dir);
    ok = ok && store_make_dirs(s, err)
         && keyring_create(&s->disk, &s->suite, options->secret, clock_wall_us(s->clock), err);
    if (ok) {
        s->keyring = keyring_open(&s->disk, &s->suite, options->secret, false, keyring_says, s, err);
        ok = s->keyring != NULL && ledger_open(&s->ledger, &s->disk, false, err) && create_log(s, err);
    }
    store_close(s);
    return ok;
}

/* ---- opening and closing ---- */

bool store_lock(const struct disk *d, bool shared, unsigned patience_ms, int *fd, struct error *err)
{
    const int operation = (shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
    char path[DISK_PATH_MAX];

    disk_path(d, "lock", path);
    *fd = shared ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (*fd < 0)
        *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return error_errno(err, "%s", path);
    while (flock(*fd, operation) != 0 && errno == EWOULDBLOCK && patience_ms > 0) {
        unsigned pause_ms = patience_ms < LOCK_PAUSE_MS ? patience_ms : LOCK_PAUSE_MS;

        (void)poll(NULL, 0, (int)pause_ms);
        patience_ms -= pause_ms;
    }
    if (flock(*fd, operation) != 0)
        return errno == EWOULDBLOCK ? error_set(err, ERR_BUSY, "another process has the store open")
                                    : error_errno(err, "flock");
    return true;
}

/* The files that the next commit goes on writing. */
static bool open_outputs(struct store *s, struct error *err)
{
    char name[NAME_BYTES_MAX];

    segment_name(s->end.segment, name);
    s->log_fd = disk_open(&s->disk, name, O_RDWR | O_CREAT, err);
    return s->log_fd >= 0;
}

/* What a name ends with, behind its first dot but one: ".seg", ".body", ".seal". */
static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Bytes of the files in a directory whose names end so, and (NULL allowed) how many there are. */
static uint64_t bytes_of(const struct store *s, const char *dir, const char *end, _Atomic uint64_t *count)
{
    char path[DISK_PATH_MAX];
    struct dirent *e;
    struct stat st;
    uint64_t sum = 0;
    DIR *d;

    disk_path(&s->disk, dir, path);
    d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL)
        if (ends_with(e->d_name, end) && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0
            && S_ISREG(st.st_mode)) {
            sum += (uint64_t)st.st_size;
            if (count != NULL)
                atomic_fetch_add(count, 1);
        }
    if (d != NULL)
        (void)closedir(d);
    return sum;
}

static uint64_t bytes_in(const struct store *s, const char *dir)
{
    return bytes_of(s, dir, "", NULL);
}

/* Segments, body files and their seals, for the status. */
void store_add_up(struct store *s)
{
    uint64_t bodies, seals;

    atomic_store(&s->data_files, 0);
    atomic_store(&s->seals, 0);
    bodies = bytes_of(s, "body/large", ".body", &s->data_files);
    seals = bytes_of(s, "body/large", SIDECAR_SUFFIX, &s->seals);
    for (size_t c = 1; c <= BODY_CLASS_COUNT; c++) {
        bodies += bytes_of(s, body_class_dirs[c], ".body", &s->data_files);
        seals += bytes_of(s, body_class_dirs[c], SIDECAR_SUFFIX, &s->seals);
    }
    atomic_store(&s->log_bytes, bytes_of(s, "log", ".seg", &s->data_files));
    atomic_store(&s->seal_bytes, seals + bytes_of(s, "log", SIDECAR_SUFFIX, &s->seals));
    atomic_store(&s->body_bytes, bodies);
}

/* When the newest full round of scrubbing ended, for a status that is asked of a store at rest. */
static void note_scrub(struct store *s)
{
    struct scrub_state st;
    enum scrub_state_read read = scrub_state_read(s, &st);

    if (read == SCRUB_STATE_WHOLE)
        atomic_store(&s->scrub_ended_us, st.ended_us);
    else if (read == SCRUB_STATE_DAMAGED)
        start_finding(s, "scrub: the file is damaged; sealing and scrubbing begin again");
}

void store_measure(struct store *s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < COUNT_OF(directories); i++)
        sum += bytes_in(s, directories[i]);
    atomic_store(&s->disk_bytes, sum + bytes_in(s, "views"));
}

static bool open_parts(struct store *s, const struct store_options *o, struct error *err)
{
    uint64_t size;
    struct hash root;
    bool whole;

    if (disk_exists(&s->disk, "twin")) /* docs/twin.md, "States of a directory" */
        return error_set(err, ERR_USAGE, "%s is a twin: fanal promote makes it a first machine", s->disk.root);
    if (!o->promoting && disk_exists(&s->disk, "promoting"))
        return error_set(err, ERR_USAGE, "%s was being promoted: give fanal promote again", s->disk.root);
    if (!o->restoring && disk_exists(&s->disk, RESTORING_NAME))
        return error_set(err, ERR_USAGE, "the keys of %s were being put back: give fanal restore-keys again",
                         s->disk.root);
    if (!disk_exists(&s->disk, "keyring.0") && !disk_exists(&s->disk, "keyring.1"))
        return error_set(err, ERR_NOT_FOUND, "%s holds no store", s->disk.root);
    if (is_half_made(s))
        return error_set(err, ERR_NOT_FOUND, "%s is half made: init was interrupted, and has to be done again",
                         s->disk.root);
    if (!space_init(&s->space, &s->disk, s->clock, s->reserve_bytes, err))
        return false;
    if (!o->restoring && !store_lock(&s->disk, s->read_only, o->lock_patience_ms, &s->lock_fd, err))
        return false;
    s->keyring = keyring_open(&s->disk, &s->suite, o->secret, s->read_only, keyring_says, s, err);
    if (s->keyring == NULL || !ledger_open(&s->ledger, &s->disk, s->read_only, err) || !recover(s, err))
        return false;
    if (!checkpoint_read(s, &s->owner_seal, &whole, &size, &root, err))
        return false;
    if (!whole)
        start_finding(s, "checkpoint is damaged or missing");
    else if (size > s->end.marker.size)
        start_finding(s, "checkpoint speaks of %llu records, the log holds %llu: it was rolled back",
                      (unsigned long long)size, (unsigned long long)s->end.marker.size);
    store_add_up(s);
    note_scrub(s);
    store_measure(s);
    s->root = s->end.marker.root;
    s->told = s->end;
    atomic_store(&s->newest_rule, s->end.marker.newest_rule);
    atomic_store(&s->size, s->end.marker.size);
    s->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->event_fd < 0)
        return error_errno(err, "eventfd");
    return s->read_only
           || (open_outputs(s, err) && commit_start(s, err) && start_events_record(s, err)
               && (o->scrub == NULL || sealer_start(s, o->scrub, err)));
}

struct store *store_open(const char *dir, const struct store_options *options, struct error *err)
{
    struct store *s = store_alloc(dir, options, err);

    if (s == NULL)
        return NULL;
    if (open_parts(s, options, err))
        return s;
    store_close(s);
    return NULL;
}

struct batch *batch_new(struct store *s)
{
    struct batch *b = s->spare_batch;

    s->spare_batch = NULL;
    if (b == NULL)
        b = malloc(sizeof *b); /* its pages are touched as it fills */
    if (b == NULL)
        return NULL;
    memset(b, 0, offsetof(struct batch, items));
    b->log = writer_new((size_t)COMMIT_ENTRIES_MAX * ENTRY_BYTES_MAX);
    return b;
}

void batch_release(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct batch_item *item = &b->items[i];

        if (item->facts > 0)
            seal_wipe(b->log.ptr + item->offset + ENTRY_HEADER_BYTES, item->facts);
        item->facts = 0;
        body_free(item->body);
        item->body = NULL;
    }
}

void batch_done(struct store *s, struct batch *b)
{
    if (b == NULL)
        return;
    batch_release(b);
    writer_done(&b->log);
    free(s->spare_batch);
    s->spare_batch = b;
}

void store_close(struct store *s)
{
    if (s == NULL)
        return;
    sealer_stop(s);
    mender_free(s->readers_mender);
    commit_stop(s);
    batch_done(s, s->open);
    while (s->done != NULL) {
        struct batch *next = s->done->next;

        batch_done(s, s->done);
        s->done = next;
    }
    free(s->spare_batch);
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        disk_close(&s->disk, &s->body_out[c].fd);
    disk_close(&s->disk, &s->log_fd);
    for (size_t i = 0; i < s->segment_fd_count; i++)
        file_close(&s->segment_fds[i]);
    free(s->segment_fds);
    ledger_close(&s->ledger);
    keyring_close(s->keyring);
    if (s->facts.ptr != NULL)
        seal_wipe(s->facts.ptr, s->facts.cap);
    writer_done(&s->facts);
    writer_done(&s->large_names);
    writer_done(&s->start_events);
    hasher_done(&s->hasher);
    body_spares_done(s);
    (void)pthread_mutex_destroy(&s->spares_lock);
    seal_done(&s->owner_seal);
    seal_done(&s->commit_seal);
    seal_suite_done(&s->suite);
    file_close(&s->event_fd);
    file_close(&s->lock_fd); /* and with it the lock */
    (void)pthread_cond_destroy(&s->work);
    (void)pthread_cond_destroy(&s->room);
    (void)pthread_cond_destroy(&s->sync_work);
    (void)pthread_cond_destroy(&s->sync_done);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_mutex_destroy(&s->sync_lock);
    (void)pthread_mutex_destroy(&s->confirm_lock);
    (void)pthread_mutex_destroy(&s->segment_lock);
    (void)pthread_mutex_destroy(&s->mend_lock);
    (void)pthread_mutex_destroy(&s->sealer_lock);
    free(s);
}

/* ---- telling ---- */

void store_kick(struct store *s)
{
    (void)pthread_mutex_lock(&s->lock);
    if (s->open != NULL) {
        s->kicked = true;
        (void)pthread_cond_signal(&s->work);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

int store_event_fd(const struct store *s)
{
    return s->event_fd;
}

size_t store_completed(struct store *s, struct completion *out, size_t max)
{
    static const uint64_t one = 1;
    uint64_t told;
    size_t n = 0;

    (void)!read(s->event_fd, &told, sizeof told);
    (void)pthread_mutex_lock(&s->lock);
    while (s->done != NULL && n < max) {
        struct batch *b = s->done;
        const struct batch_item *item = &b->items[b->completed];

        out[n++] = (struct completion){ .position = item->position, .cookie = item->cookie,
                                         .committed = b->committed, .why = b->why };
        if (++b->completed < b->count)
            continue;
        s->done = b->next;
        if (s->done == NULL)
            s->done_last = NULL;
        batch_done(s, b);
    }
    if (s->done != NULL)
        (void)!write(s->event_fd, &one, sizeof one);
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

uint64_t store_committed_size(const struct store *s)
{
    return atomic_load(&((struct store *)s)->size);
}

const struct disk *store_disk(const struct store *s)
{
    return &s->disk;
}

void store_status(struct store *s, struct store_status *out)
{
    struct store_status st = { .log_bytes = atomic_load(&s->log_bytes),
                               .body_bytes = atomic_load(&s->body_bytes),
                               .damaged = atomic_load(&s->damaged),
                               .commits = atomic_load(&s->commits),
                               .syncs = atomic_load(&s->syncs),
                               .data_files = atomic_load(&s->data_files),
                               .sealed_files = atomic_load(&s->seals),
                               .seal_bytes = atomic_load(&s->seal_bytes),
                               .scrub_ended_us = atomic_load(&s->scrub_ended_us),
                               .repaired_sectors = atomic_load(&s->repaired_sectors),
                               .damaged_files = atomic_load(&s->damaged_files) };

    (void)pthread_mutex_lock(&s->lock);
    st.size = atomic_load(&s->size);
    memcpy(st.root, s->root.bytes, HASH_BYTES);
    (void)pthread_mutex_unlock(&s->lock);
    st.total_bytes = s->space.total_bytes;
    st.reserve_bytes = s->space.floors.objects;
    st.records_bytes = s->space.floors.records;
    st.disk_bytes = atomic_load(&s->disk_bytes);
    st.now_us = clock_wall_us(s->clock);
    (void)disk_free_bytes(&s->disk, &st.free_bytes, NULL);
    *out = st;
}

bool store_derive_key(struct store *s, const char *purpose, uint8_t out[32], struct error *err)
{
    char label[64];
    int n = snprintf(label, sizeof label, "purpose/%s", purpose);

    if (n < 0 || (size_t)n >= sizeof label)
        return error_set(err, ERR_LIMIT, "a purpose of %d bytes", n);
    seal_derive(keyring_keys(s->keyring)->root, label, out);
    return true;
}

/* What recovery did is recorded, and committed before the store is given out. */
bool start_events_record(struct store *s, struct error *err)
{
    struct reader r = reader_over(writer_span(&s->start_events));
    uint64_t now = clock_wall_us(s->clock), position = 0;
    uint32_t month = month_of(now);
    char unit[32];
    struct completion done;
    bool ok = true;

    (void)snprintf(unit, sizeof unit, "events:%04u-%02u", month / 100, month % 100);
    while (ok && reader_left(&r) > 0) {
        struct append a = { .kind = RECORD_EVENT, .unit = span_str(unit), .received_us = now };
        struct error why = { 0 };

        a.facts = read_span(&r, read_u32le(&r));
        if (!store_append(s, &a, &position, &why)) { /* a full disk must not keep us from opening */
            log_warn(s->log, "recovery.event-lost", f_err(&why));
            continue;
        }
        store_kick(s);
        while (store_completed(s, &done, 1) == 0) {
            struct pollfd p = { .fd = s->event_fd, .events = POLLIN };

            (void)poll(&p, 1, -1);
        }
        ok = s->latched == ERR_NONE || error_set(err, ERR_IO, "the first commit failed");
    }
    writer_reset(&s->start_events);
    return ok;
}
