/*
 * Which file is full, and whether it is as it was written: before it is sealed for good. See sealer.h.
 *
 * One walk over the confirmed entries, in order and kept in the scrub file, finds full body files; the segments say
 * themselves when they are full. What is checked here is what the seal will keep.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/scan.h"
#include "vault/sealer.h"

#define WALK_ENTRIES 2048u /* looked at in one go */
#define SEGMENT_CONTENTS_MAX ((size_t)64 << 20)

/* ---- log segments ---- */

/* Entries of the commit being read, until its marker says what they are. */
struct leaves {
    uint64_t first;
    size_t count;
    bool have[COMMIT_ENTRIES_MAX];
    struct hash leaf[COMMIT_ENTRIES_MAX];
};

static bool take_entry(struct sealer *sl, const struct scan_item *item, struct leaves *l, struct segment_check *c,
                       struct error *err)
{
    uint64_t position = item->entry.position;

    if (c->behind == 0 && c->first == 0 && c->contents.len == 0)
        c->first = position;
    if (position < c->first || position < c->first + c->contents.len / 4) {
        c->damaged = true; /* not in order: of another place */
        return true;
    }
    if (position - c->first > SEGMENT_CONTENTS_MAX / 4)
        return error_set(err, ERR_DAMAGED, "a segment with too many entries");
    write_fill(&c->contents, 0, (size_t)(position - c->first) * 4 - c->contents.len); /* those that were not found */
    write_u32le(&c->contents, address_offset(item->where));
    c->behind = position + 1;
    if (l->count == 0)
        l->first = position;
    if (position - l->first >= COMMIT_ENTRIES_MAX)
        return writer_ok(&c->contents, err, "table of contents");
    while (l->count < position - l->first)
        l->have[l->count++] = false;
    l->have[l->count] = true;
    return writer_ok(&c->contents, err, "table of contents")
           && merkle_leaf(&sl->seal, &item->bytes, 1, &l->leaf[l->count++], err);
}

static void take_marker(const struct scan_item *item, struct leaves *l, struct segment_check *c)
{
    const struct marker *m = &item->marker;
    uint64_t from = m->size - m->count;

    for (uint32_t i = 0; i < m->count; i++) {
        uint64_t at = from + i - l->first;

        if (l->count == 0 || from + i < l->first || at >= l->count || !l->have[at]
            || memcmp(l->leaf[at].bytes, item->leaves.ptr + (size_t)i * HASH_BYTES, HASH_BYTES) != 0)
            c->damaged = true;
    }
    l->count = 0;
}

static bool walk_segment(struct sealer *sl, struct scan *scan, struct leaves *l, struct segment_check *c,
                         struct error *err)
{
    struct scan_item item;

    for (;;) {
        if (!scan_next(scan, &item, err))
            return false;
        switch (item.type) {
        case SCAN_END:
            c->damaged = c->damaged || l->count > 0; /* entries without their marker */
            return true;
        case SCAN_SEGMENT:
            c->damaged = c->damaged || item.broken;
            c->first = item.broken ? 0 : item.segment.first_position;
            c->behind = c->first;
            break;
        case SCAN_GAP:
            c->damaged = true;
            break;
        case SCAN_ENTRY:
            if (!take_entry(sl, &item, l, c, err))
                return false;
            break;
        case SCAN_MARKER:
            take_marker(&item, l, c);
            break;
        }
        if (!sealer_pace(sl, item.length))
            return error_set(err, ERR_BUSY, "interrupted");
    }
}

bool sealing_check_segment(struct sealer *sl, uint32_t number, address limit, struct segment_check *out,
                           struct error *err)
{
    struct segment_check c = { .contents = writer_new(SEGMENT_CONTENTS_MAX) };
    struct leaves *l = calloc(1, sizeof *l);
    struct scan scan;
    bool ok = l != NULL || error_set(err, ERR_MEMORY, "no memory to check a segment");

    scan_init(&scan, sl->s, address_of(number, 0), limit);
    ok = ok && walk_segment(sl, &scan, l, &c, err);
    scan_done(&scan);
    free(l);
    if (!ok)
        writer_done(&c.contents);
    else
        *out = c;
    return ok;
}

/* ---- bodies ---- */

/* The header of the entry at a position; not *there where the log lost it. False where nobody knows. */
static bool header_of(struct sealer *sl, uint64_t position, struct writer *entry, struct entry_header *out, bool *there,
                      struct error *err)
{
    struct error why = { 0 };

    *there = entry_find(sl->s, position, out, entry, &why);
    return *there || !error_is_want(why.code) || error_set(err, why.code, "%s", why.text);
}

bool sealing_check_bodies(struct sealer *sl, enum body_class c, uint32_t number, uint64_t first, uint64_t behind,
                          bool *damaged, struct error *err)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    bool ok = true;

    *damaged = false;
    for (uint64_t p = first; ok && p < behind; p++) {
        struct error why = { 0 };
        struct entry_header h;
        bool there;

        ok = header_of(sl, p, &entry, &h, &there, err);
        if (!ok || !there || !h.has_body || h.large || h.body_class != c || h.place.number != number)
            continue;
        if (!body_check_paced(sl->s, &sl->seal, &h, sealer_pace, sl, &why)) {
            if (why.code != ERR_DAMAGED) /* no memory, no descriptor, no time: that says nothing of the body */
                ok = error_set(err, why.code, "%s", why.text);
            *damaged = true;
        }
    }
    writer_done(&entry);
    return ok;
}

/* ---- sealing one file ---- */

/* Who made it may have been stopped before its name was durable: it counts once it is. */
static bool sealed_already(struct sealer *sl, const char *name, bool *sealed, struct error *err)
{
    char dir[NAME_BYTES_MAX];
    struct sidecar sc;

    *sealed = sidecar_open(sl->s, sl->s->disk.root, name, &sc, NULL);
    if (!*sealed)
        return true;
    sidecar_close(&sc);
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(name, '/') - name), name);
    return disk_sync_dir(&sl->s->disk, dir, err);
}

static bool make(struct sealer *sl, struct sidecar_order *order, struct error *err)
{
    char beside[NAME_BYTES_MAX];
    uint64_t size = 0;
    bool again;

    order->made_us = clock_wall_us(sl->s->clock);
    order->pace = sealer_pace;
    order->pace_context = sl;
    sidecar_name(order->name, beside);
    again = disk_exists(&sl->s->disk, beside);
    if (!disk_exists(&sl->s->disk, order->name))
        return true; /* lost, or expired: verify says which records that is */
    if (!sidecar_make(sl->s, mender_code(sl->mender), order, &size, err))
        return false;
    atomic_fetch_add(&sl->s->seals, again ? 0 : 1);
    atomic_fetch_add(&sl->s->seal_bytes, again ? 0 : size);
    scrub_whole(sl, beside, NULL);
    sl->made++;
    sl->made_bytes += size;
    (void)snprintf(sl->made_name, sizeof sl->made_name, "%.64s", order->name);
    if (order->was_damaged)
        scrub_report(sl, order->name, "it was damaged before it was sealed");
    return true;
}

static bool seal_segment(struct sealer *sl, struct error *err)
{
    uint32_t number = sl->state.segments;
    struct segment_check c;
    char name[NAME_BYTES_MAX];
    bool ok, sealed;

    segment_name(number, name);
    ok = sealed_already(sl, name, &sealed, err);
    if (ok && !sealed) {
        if (!sealing_check_segment(sl, number, address_of(number + 1, 0), &c, err))
            return false;
        ok = make(sl,
                  &(struct sidecar_order){ .name = name,
                                           .was_damaged = c.damaged,
                                           .first = c.first,
                                           .behind = c.behind,
                                           .contents = writer_span(&c.contents) },
                  err);
        writer_done(&c.contents);
    }
    if (ok) {
        sl->state.segments++;
        sl->state_changed = true;
    }
    return ok;
}

static bool seal_shared(struct sealer *sl, enum body_class c, uint64_t behind, struct error *err)
{
    const struct class_state *full = &sl->state.classes[c - 1];
    struct body_file f = { .month = full->month, .number = full->number };
    bool damaged, sealed;
    char name[NAME_BYTES_MAX];

    body_name(c, &f, name);
    if (!sealed_already(sl, name, &sealed, err))
        return false;
    if (sealed)
        return true;
    return sealing_check_bodies(sl, c, f.number, full->first, behind, &damaged, err)
           && make(sl,
                   &(struct sidecar_order){
                       .name = name, .was_damaged = damaged, .first = full->first, .behind = behind },
                   err);
}

static bool seal_large(struct sealer *sl, const struct entry_header *h, struct error *err)
{
    struct error why = { 0 };
    char name[NAME_BYTES_MAX];
    bool whole, sealed;

    large_name(h->name, true, name);
    if (!sealed_already(sl, name, &sealed, err))
        return false;
    if (sealed)
        return true;
    whole = body_check_paced(sl->s, &sl->seal, h, sealer_pace, sl, &why);
    if (!whole && why.code != ERR_DAMAGED)
        return error_set(err, why.code, "%s", why.text);
    return make(sl,
                &(struct sidecar_order){
                    .name = name, .was_damaged = !whole, .first = h->position, .behind = h->position + 1 },
                err);
}

/* What an entry says of files that are full: its own large one, and that of its class before the one it is in. */
static bool look_at_entry(struct sealer *sl, const struct entry_header *h, bool *made, struct error *err)
{
    struct class_state *c;

    if (!h->has_body)
        return true;
    if (h->large) {
        *made = true;
        return seal_large(sl, h, err);
    }
    c = &sl->state.classes[h->body_class - 1];
    if (c->number == h->place.number)
        return true;
    if (c->number != 0 && h->place.number > c->number) {
        *made = true;
        if (!seal_shared(sl, h->body_class, h->position, err))
            return false;
    }
    if (h->place.number > c->number)
        *c = (struct class_state){ .month = h->place.month, .number = h->place.number, .first = h->position };
    return true;
}

static bool walk_entries(struct sealer *sl, bool *did, struct error *err)
{
    uint64_t until = atomic_load(&sl->s->confirmed_size);
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    struct entry_header h;
    bool ok = true, made = false, there;

    for (unsigned n = 0; ok && !made && n < WALK_ENTRIES && sl->state.cursor < until; n++) {
        ok = header_of(sl, sl->state.cursor, &entry, &h, &there, err);
        if (ok && there)
            ok = look_at_entry(sl, &h, &made, err);
        if (ok && !sealer_pace(sl, entry.len))
            ok = error_set(err, ERR_BUSY, "interrupted");
        if (!ok)
            break;
        sl->state.cursor++;
        sl->state_changed = true;
        *did = true;
    }
    writer_done(&entry);
    return ok;
}

bool sealing_next(struct sealer *sl, bool *did, struct error *err)
{
    *did = false;
    if (sl->state.segments < atomic_load(&sl->s->confirmed_segment)) {
        *did = true;
        return seal_segment(sl, err);
    }
    return walk_entries(sl, did, err);
}
