/*
 * Group commit: the thread that writes, syncs and confirms, and the one that syncs body files beside it
 * (docs/format.md, "Order of writing").
 *
 * While one batch is being written and synced the owner fills the next. The next batch writes nothing before the syncs
 * of this one have returned.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "vault/sidecar.h"

/* How an attempt to write ended. */
enum outcome {
    OUTCOME_DONE,
    OUTCOME_UNDO,  /* no space: cut back to the committed end and go on */
    OUTCOME_LATCH, /* nothing is promised any more */
};

/* ---- the sync thread ---- */

static bool sync_fd(struct store *s, int fd, struct error *err)
{
    atomic_fetch_add(&s->syncs, 1);
    return disk_sync(&s->disk, fd, err);
}

static bool sync_bodies(struct store *s, struct batch *b, struct error *err)
{
    bool touched[BODY_CLASS_COUNT] = { false };
    bool large = false;

    for (size_t i = 0; i < b->count; i++) {
        struct body *body = b->items[i].body;

        if (body == NULL)
            continue;
        if (body->large && !sync_fd(s, body->fd, err))
            return false;
        large = large || body->large;
        touched[body->body_class - 1] = touched[body->body_class - 1] || !body->large;
    }
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        if (touched[c] && !sync_fd(s, s->body_out[c].fd, err))
            return false;
    return !large || disk_sync_dir(&s->disk, "body/large", err);
}

static void *sync_main(void *context)
{
    struct store *s = context;

    (void)pthread_mutex_lock(&s->sync_lock);
    for (;;) {
        struct batch *b = s->sync_batch;
        struct error err = { 0 };
        bool ok;

        if (b == NULL) {
            if (s->sync_stop)
                break;
            (void)pthread_cond_wait(&s->sync_work, &s->sync_lock);
            continue;
        }
        (void)pthread_mutex_unlock(&s->sync_lock);
        ok = sync_bodies(s, b, &err);
        (void)pthread_mutex_lock(&s->sync_lock);
        s->sync_ok = ok;
        s->sync_error = err;
        s->sync_batch = NULL;
        (void)pthread_cond_signal(&s->sync_done);
    }
    (void)pthread_mutex_unlock(&s->sync_lock);
    return NULL;
}

/* Log and bodies side by side. */
static bool sync_batch(struct store *s, struct batch *b, struct error *err)
{
    bool ok;

    if (b->body_bytes > 0) {
        (void)pthread_mutex_lock(&s->sync_lock);
        s->sync_batch = b;
        (void)pthread_cond_signal(&s->sync_work);
        (void)pthread_mutex_unlock(&s->sync_lock);
    }
    ok = sync_fd(s, s->log_fd, err);
    if (b->body_bytes > 0) {
        (void)pthread_mutex_lock(&s->sync_lock);
        while (s->sync_batch != NULL)
            (void)pthread_cond_wait(&s->sync_done, &s->sync_lock);
        if (ok && !s->sync_ok)
            *err = s->sync_error;
        ok = ok && s->sync_ok;
        (void)pthread_mutex_unlock(&s->sync_lock);
    }
    return ok;
}

/* ---- writing a batch ---- */

/* The class's file for writing: past the page cache where bodies begin on blocks. */
static bool open_body_file(struct store *s, enum body_class c, const struct body_file *f, int flags, struct error *err)
{
    struct open_file *out = &s->body_out[c - 1];
    char name[NAME_BYTES_MAX];

    body_name(c, f, name);
    out->fd = body_alignment(c) == 1 ? disk_open(&s->disk, name, O_RDWR | flags, err)
                                     : disk_open_direct(&s->disk, name, O_RDWR | flags, err);
    out->number = f->number;
    return out->fd >= 0;
}

/* Makes the class's write file the one an item wants: a file made for it is durable in its directory at once. */
static bool body_file_for(struct store *s, enum body_class c, const struct body_file *want, struct error *err)
{
    struct open_file *out = &s->body_out[c - 1];
    bool fresh = s->end.marker.in_use[c - 1].number != want->number;
    _Alignas(DISK_BLOCK_BYTES) uint8_t header[BODY_BLOCK_BYTES] = { 0 };
    char name[NAME_BYTES_MAX];

    if (out->fd >= 0 && out->number == want->number)
        return true;
    if (out->fd >= 0 && !sync_fd(s, out->fd, err)) /* what this batch put into the old file */
        return false;
    disk_close(&s->disk, &out->fd);
    body_name(c, want, name);
    if (fresh && !sidecar_drop(s, name, err))
        return false;
    if (!open_body_file(s, c, want, fresh ? O_CREAT | O_TRUNC : 0, err))
        return false;
    if (!fresh)
        return true;
    atomic_fetch_add(&s->data_files, 1);
    body_header_encode(c, want, keyring_vault_id(s->keyring), keyring_keys(s->keyring)->file, header);
    return disk_write_at(&s->disk, out->fd, span_of(header, (size_t)body_file_start(c)), 0, err)
           && sync_fd(s, out->fd, err) && disk_sync_dir(&s->disk, body_class_dirs[c], err);
}

/* The item's body, and those behind it that follow it in the same file, as pieces. */
static size_t gather_bodies(struct batch *b, size_t first, struct iovec pieces[DISK_PIECES_MAX], size_t *count)
{
    const struct batch_item *lead = &b->items[first];
    size_t i = first;

    *count = 0;
    for (; i < b->count && *count < DISK_PIECES_MAX; i++) {
        const struct batch_item *item = &b->items[i];

        if (item->body == NULL || item->body->large)
            continue;
        if (item->body->body_class != lead->body->body_class || item->place.number != lead->place.number)
            break;
        pieces[(*count)++] = body_piece(item->body);
    }
    return i;
}

static bool write_bodies(struct store *s, struct batch *b, struct error *err)
{
    struct iovec pieces[DISK_PIECES_MAX];
    size_t i = 0, count;

    while (i < b->count) {
        const struct batch_item *lead = &b->items[i];

        if (lead->body == NULL || lead->body->large) {
            i++;
            continue;
        }
        i = gather_bodies(b, i, pieces, &count);
        if (!body_file_for(s, lead->body->body_class, &lead->place, err)
            || !disk_write_pieces(&s->disk, s->body_out[lead->body->body_class - 1].fd, pieces, count,
                                  lead->place.length, err))
            return error_within(err, "bodies");
    }
    return true;
}

/* Seals the entries that waited for the hashes of their bodies. */
static bool seal_entries(struct store *s, struct batch *b, struct error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        struct batch_item *item = &b->items[i];
        uint8_t *entry = b->log.ptr + item->offset;
        size_t end = i + 1 < b->count ? b->items[i + 1].offset : b->log.len;
        struct hash root;

        if (item->facts == 0)
            continue;
        if (!body_root(item->body, &s->commit_seal, &root, err))
            return false;
        entry_header_set_root(entry, &root);
        if (!entry_seal(&s->commit_seal, &item->body->keys, span_of(entry, end - item->offset),
                        span_of(entry + ENTRY_HEADER_BYTES, item->facts), &b->leaves[i], err))
            return false;
        item->facts = 0;
    }
    return true;
}

/* Closes the batch with its marker: the tree as it will be. */
static bool add_marker(struct store *s, struct batch *b, struct marker *m, struct hash *hash, struct error *err)
{
    struct merkle tree = s->ledger.tree;
    size_t from = b->log.len;
    struct span bytes;

    for (size_t i = 0; i < b->count; i++)
        if (!merkle_append(&tree, &s->commit_seal, &b->leaves[i], err))
            return false;
    *m = (struct marker){ .size = tree.size,
                          .commit = s->end.marker.commit + 1,
                          .newest_rule = b->newest_rule,
                          .previous = s->end.marker_hash,
                          .batch = address_of(s->end.segment, s->end.offset),
                          .written_us = clock_wall_us(s->clock),
                          .count = (uint32_t)b->count };
    memcpy(m->in_use, b->in_use, sizeof m->in_use);
    if (!merkle_root(&tree, &s->commit_seal, &m->root, err))
        return false;
    marker_encode(m, b->leaves, keyring_keys(s->keyring)->marker, &b->log);
    bytes = span_part(writer_span(&b->log), from, b->log.len);
    return writer_ok(&b->log, err, "commit") && seal_hash(&s->commit_seal, &bytes, 1, hash->bytes, err);
}

/* Body files that the batch began: their numbers are given again, perhaps to another class. */
static void forget_files(struct store *s, const struct batch *b)
{
    char name[NAME_BYTES_MAX];

    for (size_t i = 0; i < b->count; i++) {
        const struct batch_item *item = &b->items[i];

        if (item->body == NULL || item->body->large
            || item->place.number == s->end.marker.in_use[item->body->body_class - 1].number)
            continue;
        body_name(item->body->body_class, &item->place, name);
        if (disk_exists(&s->disk, name) && disk_unlink(&s->disk, name, NULL))
            atomic_fetch_sub(&s->data_files, 1);
    }
}

/* After a failed write for want of space: every file back to its committed length. */
static bool undo(struct store *s, const struct batch *b, uint32_t segment_before, struct error *err)
{
    if (s->end.segment != segment_before) { /* a new segment was begun: it may stay, empty */
        if (!disk_truncate(&s->disk, s->log_fd, SEGMENT_HEADER_BYTES, err))
            return false;
    } else if (!disk_truncate(&s->disk, s->log_fd, s->end.offset, err)) {
        return false;
    }
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++) {
        const struct body_file *committed = &s->end.marker.in_use[c];
        struct open_file *out = &s->body_out[c];

        if (out->fd >= 0 && out->number != committed->number) /* the batch went on to a new file: it is begun again */
            disk_close(&s->disk, &out->fd);
        if (out->fd < 0 && committed->number != 0
            && !open_body_file(s, (enum body_class)(c + 1), committed, 0, err))
            return false;
        if (out->fd >= 0 && !disk_truncate(&s->disk, out->fd, committed->length, err))
            return false;
    }
    forget_files(s, b);
    return true;
}

static enum outcome write_batch(struct store *s, struct batch *b, struct marker *m, struct hash *hash,
                                struct error *err)
{
    uint32_t segment_before = s->end.segment;
    bool ok = ledger_reserve(&s->ledger, b->count, err);

    if (ok && s->end.offset >= s->tuning.segment_bytes) {
        ok = segment_create(s, s->end.segment + 1, s->ledger.tree.size, &s->end.marker_hash, err);
        if (ok) {
            s->end.segment++;
            s->end.offset = SEGMENT_HEADER_BYTES;
        }
    }
    hasher_hurry(&s->hasher); /* its last chunks are hashed beside this thread's writes */
    ok = ok && write_bodies(s, b, err) && seal_entries(s, b, err) && add_marker(s, b, m, hash, err)
         && (disk_write_at(&s->disk, s->log_fd, writer_span(&b->log), s->end.offset, err) || error_within(err, "log"));
    if (ok)
        return sync_batch(s, b, err) ? OUTCOME_DONE : OUTCOME_LATCH;
    if ((err->code == ERR_NO_SPACE || err->code == ERR_MEMORY) && undo(s, b, segment_before, &(struct error){ 0 }))
        return OUTCOME_UNDO;
    return OUTCOME_LATCH;
}

/* What was synced becomes the truth. */
static bool adopt(struct store *s, struct batch *b, const struct marker *m, const struct hash *hash, struct error *err)
{
    for (size_t i = 0; i < b->count; i++) {
        struct body *body = b->items[i].body;

        if (!ledger_append(&s->ledger, &s->commit_seal, &b->leaves[i],
                           address_of(s->end.segment, s->end.offset + b->items[i].offset), err))
            return false;
        if (body == NULL)
            continue;
        atomic_fetch_add(&s->body_bytes, body_stored_bytes(body->bytes));
        if (body->large) {
            atomic_fetch_add(&s->data_files, 1);
            write_span(&s->large_names, span_of(body->name, LARGE_NAME_BYTES));
            if (!writer_ok(&s->large_names, err, "names of bodies")) /* it would never get its name */
                return false;
            disk_close(&s->disk, &body->fd); /* body_free() leaves the file alone */
        }
    }
    s->end.marker = *m;
    s->end.marker_hash = *hash;
    s->end.offset += (uint32_t)b->log.len;
    atomic_fetch_add(&s->log_bytes, b->log.len);
    atomic_fetch_add(&s->commits, 1);
    s->entries_since_confirm += b->count;
    s->unconfirmed = true;
    return true;
}

/* With the lock held: forgets what was planned beyond the committed end. */
static void plan_again(struct store *s)
{
    s->plan.position = s->ledger.tree.size;
    s->plan.newest_rule = s->end.marker.newest_rule;
    memcpy(s->plan.in_use, s->end.marker.in_use, sizeof s->plan.in_use);
    s->plan.next_number = 1;
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        if (s->plan.in_use[c].number >= s->plan.next_number)
            s->plan.next_number = s->plan.in_use[c].number + 1;
}

/* With the lock held: the batch goes to the owner; why it is not committed, if it is not. */
static void hand_back(struct store *s, struct batch *b, enum error_code why)
{
    static const uint64_t one = 1;

    b->committed = why == ERR_NONE;
    b->why = why;
    b->next = NULL;
    atomic_fetch_sub(&s->space.waiting, b->waiting);
    if (s->done_last != NULL)
        s->done_last->next = b;
    else
        s->done = b;
    s->done_last = b;
    (void)!write(s->event_fd, &one, sizeof one);
    (void)pthread_cond_broadcast(&s->room);
}

/* With the lock held: nothing that waits will be committed. */
static void fail_open(struct store *s, enum error_code why)
{
    struct batch *b = s->open;

    s->open = NULL;
    plan_again(s);
    if (b != NULL) {
        batch_release(b);
        hand_back(s, b, why);
    }
}

static void commit_one(struct store *s, struct batch *b)
{
    struct error err = { 0 };
    struct marker m;
    struct hash hash;
    enum error_code why;
    enum outcome outcome = write_batch(s, b, &m, &hash, &err);

    if (outcome == OUTCOME_DONE && !adopt(s, b, &m, &hash, &err))
        outcome = OUTCOME_LATCH;
    batch_release(b);
    writer_done(&b->log);
    (void)pthread_mutex_lock(&s->lock);
    if (outcome == OUTCOME_DONE) {
        s->root = m.root;
        s->told = s->end;
        atomic_store(&s->newest_rule, m.newest_rule);
        atomic_store(&s->size, m.size);
    } else {
        if (outcome == OUTCOME_LATCH)
            s->latched = ERR_IO;
        log_error(s->log, outcome == OUTCOME_LATCH ? "vault.latched" : "vault.undone", f_err(&err));
    }
    why = outcome == OUTCOME_DONE ? ERR_NONE : outcome == OUTCOME_UNDO ? err.code : ERR_IO;
    hand_back(s, b, why);
    if (outcome != OUTCOME_DONE)
        fail_open(s, why); /* its positions and places no longer follow what is committed */
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- the commit thread ---- */

bool store_has_failed(struct store *s)
{
    bool latched;

    (void)pthread_mutex_lock(&s->lock);
    latched = s->latched != ERR_NONE;
    (void)pthread_mutex_unlock(&s->lock);
    return latched;
}

bool sync_error_latches(struct store *s, const struct error *err)
{
    bool latches = err->code != ERR_NO_SPACE && err->code != ERR_MEMORY;

    if (latches) {
        (void)pthread_mutex_lock(&s->lock);
        s->latched = ERR_IO;
        (void)pthread_mutex_unlock(&s->lock);
    }
    log_error(s->log, latches ? "vault.latched" : "vault.postponed", f_err(err));
    return latches;
}

static void grow_keyring(struct store *s)
{
    struct error err = { 0 };
    bool ok;

    (void)pthread_mutex_lock(&s->confirm_lock);
    ok = keyring_grow(s->keyring, &err);
    (void)pthread_mutex_unlock(&s->confirm_lock);
    if (!ok)
        (void)sync_error_latches(s, &err);
    (void)pthread_mutex_lock(&s->lock);
    s->want_growth = false;
    s->growth_error = err;
    (void)pthread_cond_broadcast(&s->room);
    (void)pthread_mutex_unlock(&s->lock);
}

static void confirm(struct store *s)
{
    struct error err = { 0 };

    if (confirm_write(s, &err))
        s->postponed = false;
    else if (!s->postponed || (err.code != ERR_NO_SPACE && err.code != ERR_MEMORY)) /* said once */
        s->postponed = !sync_error_latches(s, &err);
}

static struct timespec in_ms(unsigned ms)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

enum duty { DUTY_STOP, DUTY_COMMIT, DUTY_GROW, DUTY_CONFIRM, DUTY_FAIL };

/* With the lock held: waits for something to do. */
static enum duty next_duty(struct store *s)
{
    for (;;) {
        bool latched = s->latched != ERR_NONE;
        struct timespec until;

        if (latched && s->open != NULL)
            return DUTY_FAIL;
        s->unconfirmed = s->unconfirmed || s->want_confirm;
        s->want_confirm = false;
        if (s->open != NULL && (s->kicked || s->stop))
            return DUTY_COMMIT;
        if (s->want_growth && !latched)
            return DUTY_GROW;
        if (!latched && s->unconfirmed
            && (s->stop || (!s->postponed && s->entries_since_confirm >= s->tuning.confirm_entries)))
            return DUTY_CONFIRM;
        if (s->stop)
            return DUTY_STOP;
        if (latched || !s->unconfirmed || s->tuning.no_idle_confirm) {
            (void)pthread_cond_wait(&s->work, &s->lock);
            continue;
        }
        until = in_ms(s->postponed ? CONFIRM_RETRY_MS : CONFIRM_IDLE_MS);
        if (pthread_cond_timedwait(&s->work, &s->lock, &until) == ETIMEDOUT && !(s->open != NULL && s->kicked))
            return DUTY_CONFIRM;
    }
}

static void *commit_main(void *context)
{
    struct store *s = context;
    bool confirm_failed = false;

    (void)pthread_mutex_lock(&s->lock);
    for (;;) {
        struct batch *b = NULL;
        enum duty duty = next_duty(s);

        if (duty == DUTY_STOP || (duty == DUTY_CONFIRM && s->stop && confirm_failed))
            break;
        if (duty == DUTY_FAIL) {
            fail_open(s, ERR_IO);
            continue;
        }
        if (duty == DUTY_COMMIT) {
            b = s->open;
            s->open = NULL;
            s->kicked = false;
            (void)pthread_cond_broadcast(&s->room);
        }
        (void)pthread_mutex_unlock(&s->lock);
        if (duty == DUTY_COMMIT)
            commit_one(s, b);
        else if (duty == DUTY_GROW)
            grow_keyring(s);
        else
            confirm(s);
        confirm_failed = duty == DUTY_CONFIRM && s->unconfirmed;
        (void)pthread_mutex_lock(&s->lock);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Signals are the owner's: its threads are born with all of them blocked. */
static bool start_thread(pthread_t *thread, void *(*main)(void *), struct store *s)
{
    sigset_t all, before;
    bool ok;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    ok = pthread_create(thread, NULL, main, s) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

static void stop_sync_thread(struct store *s)
{
    (void)pthread_mutex_lock(&s->sync_lock);
    s->sync_stop = true;
    (void)pthread_cond_signal(&s->sync_work);
    (void)pthread_mutex_unlock(&s->sync_lock);
    (void)pthread_join(s->sync_thread, NULL);
}

bool commit_start(struct store *s, struct error *err)
{
    (void)pthread_mutex_lock(&s->lock);
    plan_again(s);
    (void)pthread_mutex_unlock(&s->lock);
    if (!start_thread(&s->sync_thread, sync_main, s))
        return error_set(err, ERR_MEMORY, "no sync thread");
    if (!start_thread(&s->commit_thread, commit_main, s)) {
        stop_sync_thread(s);
        return error_set(err, ERR_MEMORY, "no commit thread");
    }
    s->threads = true;
    return hasher_start(&s->hasher, &s->suite, err);
}

void commit_stop(struct store *s)
{
    if (!s->threads)
        return;
    (void)pthread_mutex_lock(&s->lock);
    s->stop = true;
    (void)pthread_cond_signal(&s->work);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->commit_thread, NULL);
    stop_sync_thread(s);
    s->threads = false;
}
