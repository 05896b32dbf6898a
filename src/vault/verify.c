/*
 * Verify: reads everything that is committed and names what is not as it was written. Changes nothing. Any thread.
 *
 * One walk over the log feeds every check: framing, leaves, roots and chain of the markers, facts, bodies, tiles,
 * index, checkpoint. Where an entry is damaged its leaf comes from the marker, so one broken record is one finding.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/scan.h"

struct leaf_seen {
    uint64_t position;
    struct hash leaf;
};

struct verify {
    struct store *s;
    verify_report *report;
    void *context;
    uint64_t findings, erased;
    struct seal seal;
    struct writer clear;

    struct log_end until; /* what is verified */
    uint64_t indexed;     /* positions whose tiles and index are on disk */
    bool has_checkpoint;
    uint64_t checkpoint_size;
    struct hash checkpoint_root;

    uint64_t next_position;
    struct leaf_seen *seen; /* since the last marker; owned */
    size_t seen_count, seen_cap;
    address batch;                   /* where the commit being read began */
    bool gap;                        /* something could not be read since the last marker */
    bool body_gap[BODY_CLASS_COUNT]; /* … since the last body of the class */
    struct marker last;
    struct hash last_hash;
    bool have_last;
    uint64_t newest_rule;
    struct body_file in_use[BODY_CLASS_COUNT];
    uint64_t large_bodies;
    struct merkle tree;
    struct tile_edge levels[TILE_LEVELS];
};

static void finding(struct verify *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void finding(struct verify *v, const char *format, ...)
{
    char text[FINDING_MAX + ERROR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    v->findings++;
    v->report(v->context, text);
}

/* A read that failed: a finding where that is for what is stored; a want of ours ends the walk, as it proves nothing. */
static bool found_wrong(struct verify *v, const struct error *why, const char *where, struct error *err)
{
    if (error_is_want(why->code))
        return error_set(err, why->code, "%s", why->text);
    finding(v, "%s%s", where, why->text);
    return true;
}

static void keyring_finding_is_ours(void *context, const char *text)
{
    finding(context, "%s", text);
}

#define WHERE_FORMAT "log/%08u.seg at %u"
#define WHERE(a)     address_segment(a), address_offset(a)

/* ---- the tree ---- */

static bool check_tile(struct verify *v, unsigned level, uint64_t number, const struct tile_edge *e, struct error *err)
{
    struct hash stored[TILE_HASHES];
    struct error why = { 0 };
    char name[TILE_NAME_MAX];

    if ((number + 1) << (8 * (level + 1)) > v->indexed)
        return true; /* not written yet */
    if (!tile_read(&v->s->disk, level, number, stored, &why))
        return found_wrong(v, &why, "", err);
    tile_name(level, number, name);
    for (unsigned i = 0; i < TILE_HASHES; i++)
        if (memcmp(stored[i].bytes, e->hashes[i].bytes, HASH_BYTES) != 0)
            finding(v, "%s: hash %u is damaged", name, i);
    return true;
}

static bool grow_tiles(struct verify *v, const struct hash *leaf, struct error *err)
{
    struct hash carry = *leaf;

    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        struct tile_edge *e = &v->levels[level];
        struct merkle whole = { 0 };

        e->hashes[e->count++] = carry;
        if (e->count < TILE_HASHES)
            return true;
        if (!check_tile(v, level, (v->tree.size - 1) >> (8 * (level + 1)), e, err))
            return false;
        for (unsigned i = 0; i < TILE_HASHES; i++)
            if (!merkle_append(&whole, &v->seal, &e->hashes[i], err))
                return false;
        carry = whole.edge[0];
        e->count = 0;
    }
    return true;
}

static bool grow_tree(struct verify *v, const struct hash *leaf, struct error *err)
{
    struct hash root;

    if (!merkle_append(&v->tree, &v->seal, leaf, err) || !grow_tiles(v, leaf, err))
        return false;
    if (!v->has_checkpoint || v->tree.size != v->checkpoint_size)
        return true;
    if (!merkle_root(&v->tree, &v->seal, &root, err))
        return false;
    if (memcmp(root.bytes, v->checkpoint_root.bytes, HASH_BYTES) != 0)
        finding(v, "checkpoint: the log of %llu records has another root", (unsigned long long)v->checkpoint_size);
    return true;
}

static const struct leaf_seen *seen_at(const struct verify *v, uint64_t position)
{
    uint64_t guess = v->seen_count == 0 ? 0 : position - v->seen[0].position; /* right unless something is missing */

    if (guess < v->seen_count && v->seen[guess].position == position)
        return &v->seen[guess];
    for (size_t i = 0; i < v->seen_count; i++)
        if (v->seen[i].position == position)
            return &v->seen[i];
    return NULL;
}

/* Grows the tree to the marker's size: its own leaves for its commit, what was read for entries whose marker is lost.
 */
static bool grow_to(struct verify *v, const struct marker *m, struct span leaves, struct error *err)
{
    static const struct hash lost;

    while (v->tree.size < m->size) {
        uint64_t position = v->tree.size;
        const struct leaf_seen *e = seen_at(v, position);
        struct hash own;

        if (position >= m->size - m->count) {
            memcpy(own.bytes, leaves.ptr + (position - (m->size - m->count)) * HASH_BYTES, HASH_BYTES);
            if (e == NULL)
                finding(v, "record %llu is damaged: it cannot be found in the log", (unsigned long long)position);
            else if (memcmp(own.bytes, e->leaf.bytes, HASH_BYTES) != 0)
                finding(v, "record %llu is damaged: its leaf does not fit", (unsigned long long)position);
        } else {
            own = e != NULL ? e->leaf : lost;
            if (e == NULL)
                finding(v, "record %llu is damaged: it cannot be found in the log", (unsigned long long)position);
        }
        if (!grow_tree(v, &own, err))
            return false;
    }
    return true;
}

/* ---- entries ---- */

/* *fd: -1 where the file is missing. False where it may be there and cannot be opened. */
static bool open_body_file(struct verify *v, enum body_class c, const struct body_file *f, char name[NAME_BYTES_MAX],
                           int *fd, struct error *err)
{
    char path[DISK_PATH_MAX];

    body_name(c, f, name);
    disk_path(&v->s->disk, name, path);
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    return *fd >= 0 || errno == ENOENT || error_errno(err, "open of %s", name);
}

static bool check_body_file(struct verify *v, enum body_class c, const struct body_file *f, struct error *err)
{
    uint8_t want[BODY_BLOCK_BYTES] = { 0 }, got[BODY_BLOCK_BYTES] = { 0 };
    size_t len = (size_t)body_file_start(c);
    CLEANUP(file_close) int fd = -1;
    char name[NAME_BYTES_MAX];
    struct error why = { 0 };

    body_header_encode(c, f, keyring_vault_id(v->s->keyring), keyring_keys(v->s->keyring)->file, want);
    if (!open_body_file(v, c, f, name, &fd, err))
        return false;
    if (fd < 0)
        finding(v, "%s is missing", name);
    else if (!stored_read(fd, got, len, 0, &why) && error_is_want(why.code))
        return error_set(err, why.code, "%s", why.text);
    else if (memcmp(want, got, len) != 0)
        finding(v, "%s: header is damaged", name);
    return true;
}

/* The class goes on in another file, or the walk is over: this one must end where its last body does. */
static bool check_body_end(struct verify *v, enum body_class c, bool in_use, struct error *err)
{
    const struct body_file *f = &v->in_use[c - 1];
    CLEANUP(file_close) int fd = -1;
    char name[NAME_BYTES_MAX];
    uint64_t size = 0;

    if (f->number == 0)
        return true;
    if (!open_body_file(v, c, f, name, &fd, err))
        return false;
    if (fd < 0 || !file_size(fd, &size, NULL))
        return true; /* said already */
    if (size < f->length || (size > f->length && !in_use && !v->body_gap[c - 1]))
        finding(v, "%s: %llu bytes, not %llu", name, (unsigned long long)size, (unsigned long long)f->length);
    return true;
}

/* What fills a body's last block is zero. */
static bool check_padding(struct verify *v, const struct entry_header *h, uint64_t end, struct error *err)
{
    static const uint8_t zeros[BODY_BLOCK_BYTES];
    uint64_t from = h->place.length + body_stored_bytes(h->body_bytes);
    uint8_t got[BODY_BLOCK_BYTES];
    CLEANUP(file_close) int fd = -1;
    char name[NAME_BYTES_MAX];
    struct error why = { 0 };

    if (end == from)
        return true;
    if (!open_body_file(v, h->body_class, &h->place, name, &fd, err))
        return false;
    if (fd < 0)
        return true; /* said already */
    if (!stored_read(fd, got, (size_t)(end - from), from, &why))
        return !error_is_want(why.code) || error_set(err, why.code, "%s", why.text);
    if (memcmp(got, zeros, (size_t)(end - from)) != 0)
        finding(v, "%s: bytes behind record %llu at %llu are damaged", name, (unsigned long long)h->position,
                (unsigned long long)from);
    return true;
}

/* gone: with the file, as nothing in it can be read any more (expire.c). */
static bool check_place(struct verify *v, const struct entry_header *h, bool gone, struct error *err)
{
    struct body_file *f = &v->in_use[h->body_class - 1];
    bool *gap = &v->body_gap[h->body_class - 1];

    if (f->number != h->place.number) {
        if (!check_body_end(v, h->body_class, false, err))
            return false;
        *f = h->place;
        if (!gone && !check_body_file(v, h->body_class, f, err))
            return false;
        f->length = body_file_start(h->body_class);
    }
    if (h->place.length != f->length && !*gap)
        finding(v, "record %llu: its body does not follow the one before", (unsigned long long)h->position);
    f->length = body_aligned(h->body_class, h->place.length + body_stored_bytes(h->body_bytes));
    *gap = false;
    return check_padding(v, h, f->length, err);
}

static bool body_is_gone(const struct store *s, const struct entry_header *h)
{
    char name[NAME_BYTES_MAX];

    if (h->large)
        large_name(h->name, true, name);
    else
        body_name(h->body_class, &h->place, name);
    return !disk_exists(&s->disk, name);
}

static bool check_contents(struct verify *v, const struct scan_item *item, struct error *err)
{
    const struct entry_header *h = &item->entry;
    struct record_keys keys = { 0 };
    struct span unit, facts;
    struct error why = { 0 };
    bool opened = entry_open(v->s, &v->seal, h, item->bytes, &v->clear, &unit, &facts, &keys, &why), gone, ok = true;
    char where[FINDING_MAX];

    (void)snprintf(where, sizeof where, "record %llu is damaged: ", (unsigned long long)h->position);
    if (!opened && why.code == ERR_ERASED) /* by rule: what is left is whole, or is named below */
        v->erased++;
    else if (!opened)
        ok = found_wrong(v, &why, where, err);
    gone = h->has_body && !opened && why.code == ERR_ERASED && body_is_gone(v->s, h);
    if (h->has_body && !h->large)
        ok = ok && check_place(v, h, gone, err);
    v->large_bodies += h->large ? 1 : 0;
    (void)snprintf(where, sizeof where, "record %llu: body is damaged: ", (unsigned long long)h->position);
    if (ok && h->has_body && !gone && !body_check(v->s, &v->seal, h, opened ? &keys : NULL, &why))
        ok = found_wrong(v, &why, where, err);
    seal_wipe(&keys, sizeof keys);
    return ok;
}

static bool remember(struct verify *v, uint64_t position, const struct hash *leaf, struct error *err)
{
    if (v->seen_count == v->seen_cap) {
        size_t cap = v->seen_cap == 0 ? 256 : v->seen_cap * 2;
        struct leaf_seen *more = realloc(v->seen, cap * sizeof *more);

        if (more == NULL)
            return error_set(err, ERR_MEMORY, "no memory to verify");
        v->seen = more;
        v->seen_cap = cap;
    }
    v->seen[v->seen_count++] = (struct leaf_seen){ .position = position, .leaf = *leaf };
    return true;
}

static bool take_entry(struct verify *v, const struct scan_item *item, struct error *err)
{
    const struct entry_header *h = &item->entry;
    struct hash leaf;
    address indexed;

    if (h->position != v->next_position && !v->gap)
        finding(v, WHERE_FORMAT ": record %llu stands where %llu belongs", WHERE(item->where),
                (unsigned long long)h->position, (unsigned long long)v->next_position);
    v->next_position = h->position + 1;
    if (!ledger_find(&v->s->ledger, h->position, &indexed, err))
        return false;
    if (h->position < v->indexed && indexed != item->where)
        finding(v, "ledger/index: record %llu is not where it says", (unsigned long long)h->position);
    if (h->kind == RECORD_RULE) {
        if (h->previous_rule != v->newest_rule && !v->gap)
            finding(v, "record %llu: the chain of rules is broken", (unsigned long long)h->position);
        v->newest_rule = h->position + 1;
    }
    return check_contents(v, item, err) && merkle_leaf(&v->seal, &item->bytes, 1, &leaf, err) && remember(v, h->position, &leaf, err);
}

/* ---- markers, segments, gaps ---- */

static void check_marker(struct verify *v, const struct marker *m, const struct hash *root, address where)
{
    unsigned long long commit = (unsigned long long)m->commit;

    if (memcmp(root->bytes, m->root.bytes, HASH_BYTES) != 0)
        finding(v, "marker of commit %llu: its root is not that of the log", commit);
    if (v->gap)
        return; /* the rest compares with what could not be read */
    if (v->have_last
        && (m->commit != v->last.commit + 1 || memcmp(m->previous.bytes, v->last_hash.bytes, HASH_BYTES) != 0))
        finding(v, "marker of commit %llu: the chain of markers is broken", commit);
    if (m->newest_rule != v->newest_rule)
        finding(v, "marker of commit %llu: it names another newest rule", commit);
    if (m->batch != v->batch && m->count > 0)
        finding(v, "marker of commit %llu: " WHERE_FORMAT " is not where its commit began", commit, WHERE(where));
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        if (!v->body_gap[c] && memcmp(&m->in_use[c], &v->in_use[c], sizeof m->in_use[c]) != 0)
            finding(v, "marker of commit %llu: it names another body file", commit);
}

static bool take_marker(struct verify *v, const struct scan_item *item, struct error *err)
{
    struct hash root;

    if (!grow_to(v, &item->marker, item->leaves, err) || !merkle_root(&v->tree, &v->seal, &root, err))
        return false;
    check_marker(v, &item->marker, &root, item->where);
    v->last = item->marker;
    v->have_last = true;
    v->newest_rule = item->marker.newest_rule;
    v->next_position = item->marker.size;
    v->batch = item->where + item->length;
    v->seen_count = 0;
    v->gap = false;
    return seal_hash(&v->seal, &item->bytes, 1, v->last_hash.bytes, err);
}

static void take_segment(struct verify *v, const struct scan_item *item)
{
    if (item->broken)
        finding(v, "log/%08u.seg: header is damaged", address_segment(item->where));
    else if (!v->gap && v->have_last
             && (item->segment.first_position != v->next_position
                 || memcmp(item->segment.previous.bytes, v->last_hash.bytes, HASH_BYTES) != 0))
        finding(v, "log/%08u.seg does not follow the segment before", address_segment(item->where));
    v->batch = item->where + item->length;
}

static void take_gap(struct verify *v, const struct scan_item *item)
{
    finding(v, WHERE_FORMAT ": %u bytes are damaged", WHERE(item->where), item->length);
    v->gap = true;
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        v->body_gap[c] = true;
}

static bool walk_log(struct verify *v, struct error *err)
{
    address limit = address_of(v->until.segment, v->until.offset);
    struct scan_item item = { 0 };
    struct scan scan;
    bool ok;

    scan_init(&scan, v->s, 0, limit);
    while ((ok = scan_next(&scan, &item, err)) && item.type != SCAN_END) {
        if (item.type == SCAN_SEGMENT)
            take_segment(v, &item);
        else if (item.type == SCAN_GAP)
            take_gap(v, &item);
        else if (!(item.type == SCAN_ENTRY ? take_entry(v, &item, err) : take_marker(v, &item, err)))
            break;
    }
    ok = ok && item.type == SCAN_END;
    if (ok && scan.at != limit)
        finding(v, WHERE_FORMAT ": the log ends here, not at " WHERE_FORMAT, WHERE(scan.at), WHERE(limit));
    scan_done(&scan);
    return ok;
}

/* What the walk came to, against what the store holds to be true. */
static bool check_end(struct verify *v, struct error *err)
{
    bool ok = true;

    if (!v->have_last || v->last.size != v->until.marker.size
        || memcmp(v->last_hash.bytes, v->until.marker_hash.bytes, HASH_BYTES) != 0)
        finding(v, "the last marker of the log is damaged: %llu records instead of %llu follow from the markers",
                (unsigned long long)v->last.size, (unsigned long long)v->until.marker.size);
    for (unsigned c = 1; ok && c <= BODY_CLASS_COUNT; c++)
        ok = check_body_end(v, (enum body_class)c, true, err);
    if (v->has_checkpoint && v->checkpoint_size > v->until.marker.size)
        finding(v, "checkpoint speaks of %llu records, the log holds %llu: it was rolled back",
                (unsigned long long)v->checkpoint_size, (unsigned long long)v->until.marker.size);
    return ok;
}

/* A file in body/large that no record names. */
static bool check_large(struct verify *v, struct error *err)
{
    char path[DISK_PATH_MAX];
    struct dirent *e;
    uint64_t files = 0;
    DIR *d;

    disk_path(&v->s->disk, "body/large", path);
    d = opendir(path);
    if (d == NULL && errno != ENOENT)
        return error_errno(err, "body/large");
    while (d != NULL && (e = readdir(d)) != NULL)
        files += strlen(e->d_name) == LARGE_NAME_BYTES * 2 + 5 && strstr(e->d_name, ".body") != NULL ? 1 : 0;
    if (d != NULL)
        (void)closedir(d);
    if (!v->s->twin /* which gives them their names before it calls a step its own */ && files > v->large_bodies && store_committed_size(v->s) == v->until.marker.size)
        finding(v, "body/large holds %llu files, the log names %llu", (unsigned long long)files,
                (unsigned long long)v->large_bodies);
    return true;
}

/* Keyring, confirm files, checkpoint: while no confirm is being written. */
static bool check_at_rest(struct verify *v, struct error *err)
{
    struct store *s = v->s;
    bool ok;

    (void)pthread_mutex_lock(&s->confirm_lock);
    ok = keyring_check(s->keyring, keyring_finding_is_ours, v, err);
    if (!s->twin) { /* a twin has vault/twin in their place, and was opened with it */
        ok = ok && confirm_check(s, v->report, v->context, &v->findings, err)
             && checkpoint_read(s, &v->seal, &v->has_checkpoint, &v->checkpoint_size, &v->checkpoint_root, err);
    }
    if (ok && !s->twin && !v->has_checkpoint)
        finding(v, "checkpoint is damaged or missing");
    v->indexed = ledger_indexed(&s->ledger);
    (void)pthread_mutex_unlock(&s->confirm_lock);
    (void)pthread_mutex_lock(&s->lock);
    v->until = s->told;
    (void)pthread_mutex_unlock(&s->lock);
    return ok;
}

bool store_verify_counted(struct store *s, verify_report *report, void *context, struct store_verified *out,
                          struct error *err)
{
    struct verify *v = calloc(1, sizeof *v);
    bool ok;

    if (v == NULL)
        return error_set(err, ERR_MEMORY, "no memory to verify");
    *v = (struct verify){ .s = s, .report = report, .context = context, .clear = writer_new(FACTS_STORED_MAX) };
    for (size_t i = 0; i < s->start_finding_count; i++)
        finding(v, "at the start: %s", s->start_findings[i]);
    ok = seal_init(&v->seal, &s->suite, err) && check_at_rest(v, err) && walk_log(v, err);
    ok = ok && check_end(v, err) && check_large(v, err) && verify_seals(s, report, context, &v->findings, err);
    if (ok) {
        *out = (struct store_verified){ .findings = v->findings, .erased = v->erased };
    }
    if (v->clear.ptr != NULL)
        seal_wipe(v->clear.ptr, v->clear.cap);
    writer_done(&v->clear);
    free(v->seen);
    seal_done(&v->seal);
    free(v);
    return ok;
}

bool store_verify(struct store *s, verify_report *report, void *context, uint64_t *findings, struct error *err)
{
    struct store_verified done;

    if (!store_verify_counted(s, report, context, &done, err))
        return false;
    *findings = done.findings;
    return true;
}
