/*
 * Opening after whatever happened: finds the end of the log, cuts what was never confirmed, keeps the rest
 * (docs/format.md, "Recovery").
 *
 * The last marker whose HMAC holds confirms everything before its own commit. So two commits are in hand while the tail
 * is walked: the one ended by the last marker seen (held), and what has come since (pending).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "record/field.h"
#include "vault/scan.h"
#include "vault/sidecar.h"

#define HOLE_SEGMENTS_MAX 1024u /* how far behind a missing segment the next one is looked for */

struct seen {
    struct entry_header h;
    struct hash leaf;
    address where;
};

/* Entries in log order. */
struct seen_list {
    struct seen *items; /* owned */
    size_t count, cap;
};

struct recovery {
    struct store *s;
    struct seal seal;
    struct writer clear;
    struct log_end confirmed;      /* as the confirm files say; size 0 without them */
    struct ledger *confirmed_tree; /* its edge, where the walk began before it; owned */
    struct seen_list pending, held;
    bool have_held;
    struct marker held_marker;
    struct hash held_hash;
    struct hash held_leaves[COMMIT_ENTRIES_MAX];
    address held_end;
    uint64_t broken; /* entries in front of the end that are not as they were written */
    bool gap;        /* bytes in front of the end that are no record */
    bool held_gap;   /* … in the held commit: damage only if that is kept */
    bool pending_gap;
    address pending_gap_first, pending_gap_last;
    bool unread;      /* a read failed behind the last marker … */
    bool held_unread; /* … and in front of it, behind the one before */
    address unread_at;
};

/* ---- what is told ---- */

void start_finding(struct store *s, const char *format, ...)
{
    va_list args;

    if (s->start_finding_count == START_FINDINGS_MAX)
        return;
    va_start(args, format);
    (void)vsnprintf(s->start_findings[s->start_finding_count++], FINDING_MAX, format, args);
    va_end(args);
    log_warn(s->log, "vault.finding", f_str("finding", s->start_findings[s->start_finding_count - 1]));
}

void start_event(struct store *s, const char *event, const char *file, const char *detail)
{
    struct writer list = writer_new(1024);
    size_t before = s->start_events.len;

    field_put_str(&list, FIELD_EVENT, event);
    field_put_str(&list, FIELD_ACTOR, "fanal");
    field_put_str(&list, FIELD_DETAIL, detail);
    field_put_some(&list, FIELD_FILE, span_str(file));
    write_u32le(&s->start_events, (uint32_t)list.len);
    write_span(&s->start_events, writer_span(&list));
    log_warn(s->log, event, f_str("detail", detail));
    if (list.failed || s->start_events.failed) { /* whole, or not at all: what happened is in the line above */
        s->start_events.len = before;
        log_warn(s->log, "recovery.event-lost", f_str("event", event));
    }
    writer_done(&list);
}

/* ---- walking the tail ---- */

static bool seen_add(struct seen_list *l, const struct seen *e, struct error *err)
{
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        struct seen *more = realloc(l->items, cap * sizeof *more);

        if (more == NULL)
            return error_set(err, ERR_MEMORY, "no memory for the end of the log");
        l->items = more;
        l->cap = cap;
    }
    l->items[l->count++] = *e;
    return true;
}

/* Takes an entry in, and gives its unit back the slot that the keyring may not know of yet. */
static bool take_entry(struct recovery *r, const struct scan_item *item, struct error *err)
{
    struct seen e = { .h = item->entry, .where = item->where };
    struct error why = { 0 };
    struct record_keys keys;
    struct span unit, facts;
    bool ok;

    if (!merkle_leaf(&r->seal, &item->bytes, 1, &e.leaf, err) || !seen_add(&r->pending, &e, err))
        return false;
    if (entry_open(r->s, &r->seal, &item->entry, item->bytes, &r->clear, &unit, &facts, &keys, &why)) {
        ok = keyring_assign(r->s->keyring, unit, item->entry.slot, err);
    } else if (why.code == ERR_MEMORY) {
        ok = error_set(err, ERR_MEMORY, "%s", why.text);
    } else {
        keyring_burn(r->s->keyring, item->entry.slot);
        ok = true;
    }
    seal_wipe(&keys, sizeof keys);
    return ok;
}

/* What an applied entry says about the end, until its marker says it. */
static void note_entry(struct store *s, const struct seen *e)
{
    struct marker *m = &s->end.marker;

    if (e->h.kind == RECORD_RULE)
        m->newest_rule = e->h.position + 1;
    if (e->h.has_body && !e->h.large) {
        m->in_use[e->h.body_class - 1] = e->h.place;
        m->in_use[e->h.body_class - 1].length
            = body_aligned(e->h.body_class, e->h.place.length + body_stored_bytes(e->h.body_bytes));
    }
    if (e->h.large)
        write_span(&s->large_names, span_of(e->h.name, LARGE_NAME_BYTES));
}

/* Appends positions up to `until` to the ledger: leaves from `leaves` (of positions from `first` on) where there are
 * any. */
static bool apply_until(struct recovery *r, uint64_t until, uint64_t first, const struct hash *leaves,
                        struct error *err)
{
    struct store *s = r->s;
    static const struct hash lost;
    size_t at = 0;

    while (s->ledger.tree.size < until) {
        uint64_t position = s->ledger.tree.size;
        const struct hash *want = leaves != NULL && position >= first ? &leaves[position - first] : NULL;
        const struct seen *e = NULL;

        while (at < r->held.count && r->held.items[at].h.position < position)
            at++;
        if (at < r->held.count && r->held.items[at].h.position == position)
            e = &r->held.items[at];
        if (e == NULL || (want != NULL && memcmp(want->bytes, e->leaf.bytes, HASH_BYTES) != 0))
            r->broken++;
        if (!ledger_append(&s->ledger, &r->seal,
                           want != NULL ? want
                           : e != NULL  ? &e->leaf
                                        : &lost,
                           e != NULL ? e->where : 0, err))
            return false;
        if (e != NULL)
            note_entry(s, e);
        if (!s->read_only && ledger_wants_flush(&s->ledger) && !ledger_flush(&s->ledger, err))
            return false;
    }
    return true;
}

/* The held commit, and whatever lost its own marker before it, becomes part of the log. */
static bool apply_held(struct recovery *r, struct error *err)
{
    struct store *s = r->s;
    const struct marker *m = &r->held_marker;

    if (!r->have_held)
        return true;
    r->gap = r->gap || r->held_gap;
    if (m->size < s->ledger.tree.size) { /* cannot be with our key: positions only go up */
        r->have_held = false;
        return true;
    }
    if (!apply_until(r, m->size, m->size - m->count, r->held_leaves, err))
        return false;
    s->end = (struct log_end){ .marker = *m,
                               .marker_hash = r->held_hash,
                               .segment = address_segment(r->held_end),
                               .offset = address_offset(r->held_end) };
    s->unconfirmed = true;
    r->have_held = false;
    if (r->confirmed_tree != NULL && s->ledger.tree.size == r->confirmed.marker.size) {
        s->ledger.tree = r->confirmed_tree->tree; /* what was confirmed is right, whatever has become of the log */
        memcpy(s->ledger.levels, r->confirmed_tree->levels, sizeof s->ledger.levels);
    }
    return true;
}

static bool take_marker(struct recovery *r, const struct scan_item *item, struct error *err)
{
    struct seen_list old = r->held;

    if (!apply_held(r, err))
        return false;
    /* What is broken in front of this commit was confirmed by its marker; what is broken in it may be a torn tail. */
    r->gap = r->gap || (r->pending_gap && r->pending_gap_first < item->marker.batch);
    r->held_gap = r->pending_gap && r->pending_gap_last >= item->marker.batch;
    r->pending_gap = false;
    r->held_unread = r->unread;
    r->unread = false;
    r->held = r->pending;
    old.count = 0;
    r->pending = old;
    r->have_held = true;
    r->held_marker = item->marker;
    memcpy(r->held_leaves, item->leaves.ptr, item->leaves.len);
    r->held_end = item->where + item->length;
    return seal_hash(&r->seal, &item->bytes, 1, r->held_hash.bytes, err);
}

/* What the last commit wrote is on the disk before it is believed. */
static bool settle_held(struct recovery *r, struct error *err)
{
    struct settled files = { .large_names = false };

    for (size_t i = 0; i < r->held.count; i++)
        if (!settle_body(r->s, &r->held.items[i].h, &files, err))
            return false;
    return true;
}

/*
 * *whole: every entry of the last commit as its marker lists it, every body with its root. False where that could not
 * be found out (no memory, a read that failed): cutting for it would lose what was acknowledged.
 */
static bool held_is_whole(struct recovery *r, bool *whole, struct error *err)
{
    const struct marker *m = &r->held_marker;
    uint64_t first = m->size - m->count;
    uint64_t next = first;

    *whole = false;

    for (size_t i = 0; i < r->held.count; i++) {
        const struct seen *e = &r->held.items[i];
        struct error why = { 0 };

        if (e->h.position < first)
            continue; /* of a commit that this one confirms */
        if (e->h.position != next || memcmp(e->leaf.bytes, r->held_leaves[next - first].bytes, HASH_BYTES) != 0)
            return true;
        if (e->h.has_body && !body_check_strictly(r->s, &r->seal, &e->h, &why))
            return why.code == ERR_DAMAGED || error_set(err, why.code, "%s", why.text);
        next++;
    }
    *whole = next == m->size;
    return true;
}

/* The last commit was not confirmed and is not whole: the log ends before it. */
static bool drop_held(struct recovery *r, struct error *err)
{
    struct store *s = r->s;
    const struct marker *m = &r->held_marker;
    bool next = m->commit == s->end.marker.commit + 1;

    if (!apply_until(r, m->size - m->count, 0, NULL, err))
        return false;
    r->have_held = false;
    s->end.segment = address_segment(m->batch);
    s->end.offset = address_offset(m->batch);
    if (next)
        return true;                      /* s->end.marker is the marker before it */
    s->end.marker.commit = m->commit - 1; /* the marker before it is damaged: rebuilt from its entries and successor */
    s->end.marker.size = s->ledger.tree.size;
    s->end.marker_hash = m->previous;
    return merkle_root(&s->ledger.tree, &r->seal, &s->end.marker.root, err);
}

static void note_gap(struct recovery *r, address where, bool unread)
{
    if (unread) {
        r->unread = true;
        r->unread_at = where;
    }
    if (!r->pending_gap)
        r->pending_gap_first = where;
    r->pending_gap_last = where;
    r->pending_gap = true;
}

/*
 * The log would end, and be cut, before bytes that could not be read: what was acknowledged may be there. A store that
 * is only read goes without them.
 */
static bool refuse_unread(struct recovery *r, struct error *err)
{
    char name[NAME_BYTES_MAX];

    segment_name(address_segment(r->unread_at), name);
    if (!r->s->read_only)
        return error_set(err, ERR_IO, "%s at %u cannot be read, and the log may go on there: nothing is cut", name,
                         address_offset(r->unread_at));
    start_finding(r->s, "%s at %u cannot be read: the log may go on there", name, address_offset(r->unread_at));
    return true;
}

/*
 * A segment is lost in what has to be walked, and the log goes on behind it: nothing is cut there. (One that is lost
 * before the confirmed point takes its records with it, and no others.)
 */
static bool refuse_hole(struct recovery *r, uint32_t segments, struct error *err)
{
    char name[NAME_BYTES_MAX];
    uint32_t behind = segments + 1;

    for (; behind < segments + HOLE_SEGMENTS_MAX; behind++) {
        segment_name(behind, name);
        if (disk_exists(&r->s->disk, name))
            break;
    }
    if (behind == segments + HOLE_SEGMENTS_MAX)
        return true;
    segment_name(segments, name);
    if (!r->s->read_only)
        return error_set(err, ERR_DAMAGED, "%s is missing and the log goes on behind it: put it back (from a twin or a "
                         "back-up), nothing is cut", name);
    start_finding(r->s, "%s is missing, and the log goes on behind it", name);
    return true;
}

static bool walk_tail(struct recovery *r, address from, struct error *err)
{
    uint32_t segments = segments_from(r->s, address_segment(from));
    struct scan_item item;
    struct scan scan;
    bool ok, whole = true;

    scan_init(&scan, r->s, from, address_of(segments, 0));
    while ((ok = scan_next(&scan, &item, err)) && item.type != SCAN_END) {
        if (item.type == SCAN_ENTRY)
            ok = take_entry(r, &item, err);
        else if (item.type == SCAN_MARKER)
            ok = take_marker(r, &item, err);
        else if (item.type == SCAN_GAP)
            note_gap(r, item.where, item.unread);
        if (!ok)
            break;
    }
    scan_done(&scan);
    if (!ok || (r->unread && !refuse_unread(r, err)) || !refuse_hole(r, segments, err))
        return false;
    if (!r->have_held)
        return true;
    if (!r->s->read_only && !settle_held(r, err))
        return false;
    if (r->held_end > address_of(r->confirmed.segment, r->confirmed.offset) && !held_is_whole(r, &whole, err))
        return false;
    if (!whole && r->held_unread && !refuse_unread(r, err))
        return false;
    return whole ? apply_held(r, err) : drop_held(r, err);
}

/* ---- where to begin ---- */

/* The index and the newest full tile of each level are there. */
static bool ledger_is_there(struct store *s, bool *there, struct error *err)
{
    struct hash tile[TILE_HASHES];
    struct error why = { 0 };

    *there = true;

    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        uint64_t full = s->end.marker.size >> (8 * (level + 1));

        if (full > 0 && !tile_read(&s->disk, level, full - 1, tile, &why)) {
            *there = false;
            return !error_is_want(why.code) || error_set(err, why.code, "%s", why.text);
        }
    }
    *there = ledger_size_of_index_file(&s->ledger) >= s->end.marker.size * 8;
    return true;
}

/* Forgets the ledger, to make it again from the beginning of the log; keeps what was confirmed of it. */
static bool begin_again(struct recovery *r, struct error *err)
{
    struct store *s = r->s;

    r->confirmed_tree = malloc(sizeof *r->confirmed_tree);
    if (r->confirmed_tree == NULL)
        return error_set(err, ERR_MEMORY, "no memory for the ledger");
    *r->confirmed_tree = s->ledger;
    s->ledger.tree = (struct merkle){ 0 };
    memset(s->ledger.levels, 0, sizeof s->ledger.levels);
    s->ledger.indexed = 0;
    s->end = (struct log_end){ .offset = SEGMENT_HEADER_BYTES };
    start_finding(s, "ledger: index or tiles were missing and are made again from the log");
    start_event(s, "recovery.ledger", "", "index and tiles made again from the log");
    return true;
}

static bool find_end(struct recovery *r, struct error *err)
{
    struct store *s = r->s;
    bool found, there = true;

    if (!confirm_read(s, &found, err) || (found && !ledger_is_there(s, &there, err)))
        return false;
    if (!found) {
        s->end = (struct log_end){ .offset = SEGMENT_HEADER_BYTES };
        start_finding(s, "neither confirm file is usable: the end of the log is found by its markers");
    }
    r->confirmed = s->end;
    if (!there && !begin_again(r, err))
        return false;
    if (!s->read_only && !settle_log(s, s->end.segment, err))
        return false;
    if (!walk_tail(r, address_of(s->end.segment, s->end.offset), err))
        return false;
    if (r->confirmed_tree != NULL
        && s->ledger.tree.size < r->confirmed.marker.size) { /* the log lost its end: keep what was confirmed */
        if (!apply_until(r, r->confirmed.marker.size, 0, NULL, err))
            return false;
        s->ledger.tree = r->confirmed_tree->tree;
        memcpy(s->ledger.levels, r->confirmed_tree->levels, sizeof s->ledger.levels);
        s->end = r->confirmed;
    }
    s->ledger.keep_tiles = !s->read_only;
    return true;
}

bool recover(struct store *s, struct error *err)
{
    struct recovery *r = calloc(1, sizeof *r);
    char detail[100];
    bool ok;

    if (r == NULL)
        return error_set(err, ERR_MEMORY, "no memory to recover");
    r->s = s;
    r->clear = writer_new(FACTS_STORED_MAX);
    s->ledger.keep_tiles = !s->read_only;
    ok = seal_init(&r->seal, &s->suite, err) && find_end(r, err)
         && writer_ok(&s->large_names, err, "names of bodies") /* one that is not renamed would be taken for a rest */
         && (s->read_only || recovery_cut(s, r->broken > 0 || r->gap, err));
    if (ok && (r->broken > 0 || r->gap)) {
        (void)snprintf(detail, sizeof detail, "%llu records behind the confirm file are damaged",
                       (unsigned long long)r->broken);
        start_event(s, "recovery.damage", "", detail);
    }
    free(r->confirmed_tree);
    free(r->pending.items);
    free(r->held.items);
    if (r->clear.ptr != NULL)
        seal_wipe(r->clear.ptr, r->clear.cap);
    writer_done(&r->clear);
    seal_done(&r->seal);
    free(r);
    return ok;
}
