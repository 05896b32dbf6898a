/*
 * Appending: an entry is put together, sealed and added to the open batch (docs/format.md, "Entry"). The owner's.
 */
#include <stdlib.h>

#include "vault/store_internal.h"

bool slot_for_unit(struct store *s, struct span unit, uint32_t *slot, struct error *err)
{
    struct error why = { 0 };
    bool ok;

    while (!(ok = keyring_slot_of(s->keyring, unit, slot, &why)) && why.code == ERR_BUSY) {
        (void)pthread_mutex_lock(&s->lock);
        s->want_growth = true;
        s->growth_error.code = ERR_NONE;
        (void)pthread_cond_signal(&s->work);
        while (s->want_growth && s->latched == ERR_NONE)
            (void)pthread_cond_wait(&s->room, &s->lock);
        why = s->growth_error;
        if (s->latched != ERR_NONE)
            (void)error_set(&why, ERR_IO, "the store failed: it has to be opened again");
        (void)pthread_mutex_unlock(&s->lock);
        if (why.code != ERR_NONE)
            break;
    }
    if (!ok && err != NULL)
        *err = why;
    if (ok && keyring_wants_growth(s->keyring)) { /* ahead of need, beside the commits */
        (void)pthread_mutex_lock(&s->lock);
        s->want_growth = true;
        (void)pthread_cond_signal(&s->work);
        (void)pthread_mutex_unlock(&s->lock);
    }
    return ok;
}

/* With the lock held: the open batch with room for one more entry; waits while the disk is behind. */
static struct batch *open_batch(struct store *s, size_t body_bytes, struct error *err)
{
    while (s->latched == ERR_NONE && s->open != NULL
           && (s->open->count == COMMIT_ENTRIES_MAX || s->open->log.len >= BATCH_LOG_BYTES_MAX
               || (s->open->body_bytes > 0 && s->open->body_bytes + body_bytes > BATCH_BODY_BYTES_MAX))) {
        s->kicked = true;
        (void)pthread_cond_signal(&s->work);
        (void)pthread_cond_wait(&s->room, &s->lock);
    }
    if (s->latched != ERR_NONE) {
        (void)error_set(err, ERR_IO, "the store failed: it has to be opened again");
        return NULL;
    }
    if (s->open == NULL) {
        s->open = batch_new(s);
        if (s->open == NULL)
            (void)error_set(err, ERR_MEMORY, "no memory for a commit");
    }
    return s->open;
}

/* With the lock held: where the body will be put. */
static struct body_file place_body(struct store *s, const struct body *b, uint64_t received_us)
{
    struct body_file *in_use = &s->plan.in_use[b->body_class - 1];
    uint64_t stored = body_stored_bytes(b->bytes);
    uint32_t month = month_of(received_us);
    struct body_file place;

    if (in_use->number == 0 || in_use->month != month
        || (in_use->length > body_file_start(b->body_class) && in_use->length + stored > s->tuning.body_file_bytes))
        *in_use = (struct body_file){ .month = month,
                                      .number = s->plan.next_number++,
                                      .length = body_file_start(b->body_class) };
    place = *in_use;
    in_use->length = body_aligned(b->body_class, place.length + stored);
    return place;
}

/* What an entry needs before it has a position: everything that can be done without the lock. */
struct draft {
    struct entry_header h;
    struct record_keys keys;
};

static bool draft_entry(struct store *s, const struct append *a, struct draft *d, struct error *err)
{
    uint8_t data_key[KEY_BYTES];

    d->h = (struct entry_header){ .received_us = a->received_us, .kind = a->kind };
    if (a->body != NULL) {
        d->h.has_body = true;
        d->h.body_class = a->body->body_class;
        d->h.slot = a->body->slot;
        memcpy(d->h.salt, a->body->salt, sizeof d->h.salt);
        d->keys = a->body->keys;
        if (!body_finish(a->body, err)
            || (a->body->large && !body_root(a->body, &s->owner_seal, &d->h.body_root, err)))
            return false;
        d->h.body_bytes = a->body->bytes;
        d->h.large = a->body->large;
        memcpy(d->h.name, a->body->name, sizeof d->h.name);
    } else {
        if (!slot_for_unit(s, a->unit, &d->h.slot, err)
            || !keyring_data_key(s->keyring, &s->owner_seal, d->h.slot, data_key, err))
            return false;
        seal_random(d->h.salt, sizeof d->h.salt);
        seal_record_keys(data_key, d->h.salt, &d->keys);
        seal_wipe(data_key, sizeof data_key);
    }
    memcpy(d->h.commitment, d->keys.commitment, HASH_BYTES);
    writer_reset(&s->facts);
    write_u16le(&s->facts, (uint16_t)a->unit.len);
    write_span(&s->facts, a->unit);
    write_span(&s->facts, a->facts);
    d->h.facts_bytes = (uint32_t)(s->facts.len + TAG_BYTES);
    d->h.length = entry_length(d->h.facts_bytes);
    return writer_ok(&s->facts, err, "facts");
}

bool entry_seal(struct seal *seal, const struct record_keys *keys, struct span entry, struct span facts,
                struct hash *leaf, struct error *err)
{
    static const uint8_t nonce[NONCE_BYTES] = { 0 }; /* the key is used once */
    uint8_t *out = (uint8_t *)entry.ptr;

    return seal_encrypt(seal, keys->facts, nonce, span_part(entry, ENTRY_AAD_FROM, ENTRY_HEADER_BYTES - ENTRY_AAD_FROM),
                        facts, out + ENTRY_HEADER_BYTES, err)
           && merkle_leaf(seal, &entry, 1, leaf, err);
}

/*
 * With the lock held: adds the entry to the batch. One whose body waits in memory stays open: the commit thread seals
 * it when it has written that body, and the owner does not stand still while the last chunks are hashed.
 */
static bool add_entry(struct store *s, struct batch *b, struct draft *d, const struct append *a, struct error *err)
{
    bool later = a->body != NULL && !a->body->large;
    struct batch_item *item = &b->items[b->count];
    size_t from = b->log.len;
    uint8_t *out = write_room(&b->log, d->h.length);
    struct plan before = s->plan;
    struct span bytes;

    if (out == NULL)
        return writer_ok(&b->log, err, "commit");
    bytes = span_of(out, d->h.length);
    d->h.position = s->plan.position;
    d->h.previous_rule = a->kind == RECORD_RULE ? s->plan.newest_rule : 0;
    if (later)
        d->h.place = place_body(s, a->body, a->received_us);
    memset(out, 0, d->h.length);
    entry_header_encode(&d->h, out);
    if (later) {
        memcpy(out + ENTRY_HEADER_BYTES, s->facts.ptr, s->facts.len);
    } else if (!entry_seal(&s->owner_seal, &d->keys, bytes, writer_span(&s->facts), &b->leaves[b->count], err)) {
        b->log.len = from;
        s->plan = before;
        return false;
    }
    *item = (struct batch_item){ .position = d->h.position,
                                 .cookie = a->cookie,
                                 .offset = (uint32_t)from,
                                 .facts = later ? (uint32_t)s->facts.len : 0,
                                 .body = a->body,
                                 .place = d->h.place };
    b->count++;
    b->body_bytes += a->body != NULL ? body_stored_bytes(a->body->bytes) : 0;
    s->plan.position++;
    if (a->kind == RECORD_RULE)
        s->plan.newest_rule = d->h.position + 1;
    b->newest_rule = s->plan.newest_rule;
    memcpy(b->in_use, s->plan.in_use, sizeof b->in_use);
    return true;
}

/* What an entry will take of the disk: a large body is there already, and was granted while it came. */
static size_t bytes_to_write(const struct append *a, const struct draft *d)
{
    return d->h.length + (a->body != NULL && !a->body->large ? body_stored_bytes(a->body->bytes) : 0);
}

static bool check_append(const struct store *s, const struct append *a, struct error *err)
{
    if (s->read_only)
        return error_set(err, ERR_REFUSED, "the store is open for reading");
    if (a->unit.len == 0 || a->unit.len > UNIT_TEXT_MAX)
        return error_set(err, ERR_LIMIT, "a unit of %zu bytes", a->unit.len);
    if (a->facts.len > FACTS_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "facts of %zu bytes", a->facts.len);
    if (a->body != NULL && keyring_is_closed(s->keyring, a->body->slot))
        return error_set(err, ERR_BUSY, "its unit is being erased: send it again");
    return true;
}

bool store_append(struct store *s, const struct append *a, uint64_t *position, struct error *err)
{
    struct draft d = { 0 };
    struct batch *b;
    bool ok = check_append(s, a, err) && draft_entry(s, a, &d, err)
              && space_grant(&s->space, a->body != NULL ? SPACE_OBJECTS : SPACE_RECORDS, bytes_to_write(a, &d), err);

    if (ok) {
        (void)pthread_mutex_lock(&s->lock);
        b = open_batch(s, a->body != NULL && !a->body->large ? body_stored_bytes(a->body->bytes) : 0, err);
        ok = b != NULL && add_entry(s, b, &d, a, err);
        if (ok) {
            *position = d.h.position;
            b->waiting += bytes_to_write(a, &d);
            atomic_fetch_add(&s->space.waiting, bytes_to_write(a, &d));
        } else if (b != NULL && b->count == 0) { /* an open batch is never empty */
            s->open = NULL;
            batch_done(s, b);
        }
        (void)pthread_mutex_unlock(&s->lock);
    }
    if (!ok)
        body_free(a->body);
    seal_wipe(&d.keys, sizeof d.keys);
    return ok;
}
