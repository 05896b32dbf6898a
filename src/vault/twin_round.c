/*
 * One step of a twin: a signed head, then everything up to it, written in the order that a power cut may interrupt
 * anywhere (docs/twin.md, "The twin's side").
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/sealer.h"
#include "vault/twin_internal.h"

static const uint8_t nobody[FOLLOW_PUBLIC_KEY_BYTES];

/* The head is signed by whom we follow, and not behind us. */
static bool head_is_good(struct twin_round *r, struct error *err)
{
    struct twin_known *k = &r->known;
    struct vkey key;
    uint64_t size;

    if (memcmp(k->public_key, nobody, sizeof nobody) == 0) { /* the first word: pinned from now on */
        memcpy(k->public_key, r->head.public_key, FOLLOW_PUBLIC_KEY_BYTES);
        memcpy(k->vault_id, r->head.vault_id, VAULT_ID_BYTES);
    }
    follow_vkey(k->vault_id, k->public_key, &key);
    if (!follow_note_open(span_str(r->head.note), &key, &size, &r->root, err))
        return false;
    if (size != r->head.size)
        return error_set(err, ERR_DAMAGED, "the head is not the size its note says");
    if (size < r->tree.size)
        return error_set(err, ERR_REFUSED, "rolled back: the first has %llu records, %llu are here",
                         (unsigned long long)size, (unsigned long long)r->tree.size);
    if (size == r->tree.size && r->end.offset != 0 && memcmp(r->root.bytes, r->end.marker.root.bytes, HASH_BYTES) != 0)
        return error_set(err, ERR_REFUSED, "split view: the tree of %llu records has another root",
                         (unsigned long long)size);
    return true;
}

/* Opens the segment in use behind the twin's end, cut there. */
static bool open_log(struct twin_round *r, struct error *err)
{
    struct store *s = r->t->store;
    char name[NAME_BYTES_MAX];

    r->window.segment = r->end.segment;
    r->window.from = r->end.offset;
    if (r->end.offset == 0)
        return true;
    segment_name(r->end.segment, name);
    r->log_fd = disk_open(&s->disk, name, O_RDWR, err);
    return r->log_fd >= 0 && disk_truncate(&s->disk, r->log_fd, r->end.offset, err);
}

static bool take_up_to_head(struct twin_round *r, struct error *err)
{
    bool begun = r->end.offset != 0;

    if (!open_log(r, err))
        return false;
    while (r->tree.size < r->head.size || !begun) {
        if (!twin_take_commit(r, err))
            return false;
        begun = r->end.offset > SEGMENT_HEADER_BYTES;
    }
    if (r->tree.size != r->head.size || memcmp(r->end.marker.root.bytes, r->root.bytes, HASH_BYTES) != 0)
        return error_set(err, ERR_REFUSED, "split view: %llu records lead to another root than the signed one",
                         (unsigned long long)r->tree.size);
    return true;
}

static bool grow_ledger(struct twin_round *r, struct error *err)
{
    struct ledger *l = &r->t->store->ledger;

    if (!ledger_reserve(l, r->leaf_count, err))
        return false;
    for (size_t i = 0; i < r->leaf_count; i++)
        if (!ledger_append(l, &r->t->seal, &r->leaves[i].leaf, r->leaves[i].where, err))
            return false;
    return ledger_flush(l, err);
}

/* Readers see it from here on. */
static void publish(struct twin_round *r)
{
    static const uint64_t one = 1;
    struct store *s = r->t->store;

    (void)pthread_mutex_lock(&r->t->lock);
    r->t->known = r->known;
    (void)pthread_mutex_unlock(&r->t->lock);
    (void)pthread_mutex_lock(&s->lock);
    s->end = s->told = r->end;
    s->root = r->end.marker.root;
    atomic_store(&s->newest_rule, r->end.marker.newest_rule);
    atomic_store(&s->size, r->end.marker.size);
    (void)pthread_mutex_unlock(&s->lock);
    atomic_store(&s->confirmed_size, r->end.marker.size); /* what is full below can be sealed: nothing of it changes any more */
    atomic_store(&s->confirmed_segment, r->end.segment);
    atomic_fetch_add(&s->commits, 1);
    atomic_fetch_add(&s->data_files, r->new_files);
    sealer_wake(s);
    atomic_fetch_add(&s->log_bytes, r->log_bytes);
    atomic_fetch_add(&s->body_bytes, r->body_bytes);
    (void)!write(s->event_fd, &one, sizeof one);
}

/*
 * Bodies before the log, the log before the ledger, all of it before vault/twin says so. For want of space or memory the
 * ledger in memory goes back to where it was, and the next round takes the same again (what is in its files behind that is
 * written over); after any other failure nobody knows what is on the disk: the twin has to be opened again.
 */
static bool finish(struct twin_round *r, struct error *err)
{
    struct store *s = r->t->store;
    struct ledger_mark *before;

    if (!twin_sync_bodies(r, err) || !disk_sync(&s->disk, r->log_fd, err)
        || (r->log_new && !disk_sync_dir(&s->disk, "log", err)))
        return false;
    before = ledger_mark_new(&s->ledger, err);
    if (before == NULL)
        return false;
    if (grow_ledger(r, err) && twin_state_write(r->t, &r->known, &r->end, err)) {
        free(before);
        publish(r);
        return true;
    }
    if (err->code == ERR_NO_SPACE || err->code == ERR_MEMORY)
        ledger_go_back(&s->ledger, before);
    else
        s->latched = ERR_IO;
    free(before);
    return false;
}

/* Nothing new: the time is what is new. */
static bool note_time(struct twin_round *r, struct error *err)
{
    uint64_t now = clock_wall_us(r->t->store->clock);
    bool other = memcmp(r->known.keyring_digest, r->t->known.keyring_digest, HASH_BYTES) != 0
                 || r->known.keyring_slots != r->t->known.keyring_slots || r->known.applied != r->t->known.applied;

    r->known.current_us = now;
    if ((other || now - r->t->saved_us >= TWIN_IDLE_SAVE_US) && !twin_state_write(r->t, &r->known, &r->end, err))
        return false;
    r->t->saved_us = other || now - r->t->saved_us >= TWIN_IDLE_SAVE_US ? now : r->t->saved_us;
    (void)pthread_mutex_lock(&r->t->lock);
    r->t->known = r->known;
    (void)pthread_mutex_unlock(&r->t->lock);
    return true;
}

/*
 * What follows our end does not read: damage, or another history, whose records end elsewhere? Where the first has another
 * marker than our last one, it is that.
 */
static void tell_apart(struct twin_round *r, struct error *err)
{
    const struct log_end *end = &r->t->store->end;
    uint32_t len = marker_length(end->marker.count);
    struct follow_range range = { .part = FOLLOW_LOG, .segment = end->segment, .offset = end->offset - len };
    struct span bytes = span_of(r->piece, len);
    struct hash hash;
    size_t got = 0;

    if (err->code != ERR_DAMAGED || end->offset < SEGMENT_HEADER_BYTES + len
        || !r->source->read(r->source->context, &range, r->piece, len, &got, NULL) || got != len
        || !seal_hash(&r->t->seal, &bytes, 1, hash.bytes, NULL)
        || memcmp(hash.bytes, end->marker_hash.bytes, HASH_BYTES) == 0)
        return;
    (void)error_set(err, ERR_REFUSED, "split view: record %llu ends another commit on the first",
                    (unsigned long long)end->marker.size);
}

/* What was erased since the last round. */
static void note_erased(struct twin_round *r)
{
    (void)pthread_mutex_lock(&r->t->lock);
    if (r->t->erased > r->known.applied)
        r->known.applied = r->t->erased;
    (void)pthread_mutex_unlock(&r->t->lock);
}

static bool step(struct twin_round *r, struct error *err)
{
    uint64_t now;

    note_erased(r);
    if (!r->source->head(r->source->context, address_of(r->end.segment, r->end.offset), r->tree.size,
                         r->known.applied, &r->head, err)
        || !head_is_good(r, err))
        return false;
    now = clock_wall_us(r->t->store->clock); /* what is true at the head is true of this moment */
    if (r->head.size == r->tree.size && r->end.offset != 0)
        return twin_take_keyring(r, err) && note_time(r, err);
    if (!take_up_to_head(r, err)) {
        tell_apart(r, err);
        return false;
    }
    /* A first that is refused leaves the keyring as it was; what was taken is the twin's in finish(), with its slots. */
    if (!twin_take_keyring(r, err))
        return false;
    r->known.round_us = clock_wall_us(r->t->store->clock);
    if (r->head.committed <= r->head.size)
        r->known.current_us = now;
    if (!finish(r, err))
        return false;
    r->t->saved_us = now;
    return true;
}

bool twin_round(struct twin *t, const struct twin_source *source, bool *more, struct error *err)
{
    struct error own = { 0 };
    struct twin_round r = { .t = t,
                            .source = source,
                            .known = t->known,
                            .end = t->store->end,
                            .tree = t->store->ledger.tree,
                            .window = { .bytes = writer_new(ENTRY_BYTES_MAX + TWIN_READ_MAX) },
                            .log_fd = -1,
                            .large = writer_new((size_t)64 << 20),
                            .piece = malloc(TWIN_READ_MAX) };
    bool ok;

    err = err == NULL ? &own : err;
    *err = (struct error){ .code = ERR_NONE };
    memcpy(r.files, r.end.marker.in_use, sizeof r.files);
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        r.body_out[c].fd = -1;
    if (t->store->latched != ERR_NONE)
        ok = error_set(err, ERR_IO, "the twin has to be opened again");
    else
        ok = r.piece != NULL ? step(&r, err) : error_set(err, ERR_MEMORY, "no memory for a step");
    *more = ok && r.head.committed > r.end.marker.size;
    twin_close_bodies(&r);
    disk_close(&t->store->disk, &r.log_fd);
    writer_done(&r.window.bytes);
    writer_done(&r.large);
    free(r.leaves);
    free(r.piece);
    return ok;
}
