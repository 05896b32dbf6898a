/*
 * A twin reads the log that comes: commit by commit, each checked whole before its bytes are written
 * (docs/twin.md, "The twin's side", 4).
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/sidecar.h"
#include "vault/twin_internal.h"

#define WINDOW_BYTES_MAX (BATCH_LOG_BYTES_MAX + 2 * ENTRY_BYTES_MAX + MARKER_BYTES_MAX + TWIN_READ_MAX)

/* A commit while it is read: `len` bytes from the window's beginning. */
struct reading {
    struct entry_header entries[COMMIT_ENTRIES_MAX];
    struct hash leaves[COMMIT_ENTRIES_MAX];
    uint32_t offsets[COMMIT_ENTRIES_MAX]; /* from the commit's first byte */
    size_t count;
    uint32_t len;
    struct marker marker;
    struct hash marker_hash;
};

/* len bytes at `at` of the window, fetched where they are not there; empty where the source has no more. */
static struct span look(struct twin_round *r, size_t at, size_t len, struct error *err)
{
    struct twin_window *w = &r->window;

    while (w->bytes.len < at + len && !w->ended) {
        struct follow_range range = { .part = FOLLOW_LOG, .segment = w->segment, .offset = w->from + w->bytes.len };
        size_t got = 0;
        uint8_t *room = write_room(&w->bytes, TWIN_READ_MAX);

        if (room == NULL) {
            (void)error_set(err, ERR_DAMAGED, "a commit of more than %zu bytes", w->bytes.len);
            return span_of(NULL, 0);
        }
        w->bytes.len -= TWIN_READ_MAX;
        if (!r->source->read(r->source->context, &range, room, TWIN_READ_MAX, &got, err)) {
            w->ended = err->code == ERR_NOT_FOUND;
            if (!w->ended)
                return span_of(NULL, 0);
            *err = (struct error){ .code = ERR_NONE };
        }
        w->ended = got == 0;
        w->bytes.len += got < TWIN_READ_MAX ? got : TWIN_READ_MAX;
    }
    return w->bytes.len < at + len ? span_of(NULL, 0) : span_part(writer_span(&w->bytes), at, len);
}

/* What has been taken in leaves the window. */
static void forget(struct twin_window *w, size_t len)
{
    memmove(w->bytes.ptr, w->bytes.ptr + len, w->bytes.len - len);
    w->bytes.len -= len;
    w->from += (uint32_t)len;
}

static bool ends_early(const struct twin_round *r, struct error *err)
{
    if (err->code != ERR_NONE)
        return false;
    return error_set(err, ERR_DAMAGED, "the first's log segment %u ends within a commit, behind record %llu",
                     r->window.segment, (unsigned long long)r->tree.size);
}

static bool read_entry(struct twin_round *r, struct reading *c, struct error *err)
{
    struct span bytes = look(r, c->len, ENTRY_HEADER_BYTES, err);
    struct entry_header *h = &c->entries[c->count];

    if (bytes.len == 0)
        return ends_early(r, err);
    if (c->count == COMMIT_ENTRIES_MAX)
        return error_set(err, ERR_DAMAGED, "a commit of more than %u entries", COMMIT_ENTRIES_MAX);
    if (!entry_header_decode(bytes, h, err))
        return error_within(err, "record %llu", (unsigned long long)(r->tree.size + c->count));
    if (h->position != r->tree.size + c->count)
        return error_set(err, ERR_DAMAGED, "record %llu where %llu belongs", (unsigned long long)h->position,
                         (unsigned long long)(r->tree.size + c->count));
    bytes = look(r, c->len, h->length, err);
    if (bytes.len == 0)
        return ends_early(r, err);
    if (!merkle_leaf(&r->t->seal, &bytes, 1, &c->leaves[c->count], err))
        return false;
    c->offsets[c->count++] = c->len;
    c->len += h->length;
    return true;
}

static bool marker_belongs(struct twin_round *r, const struct reading *c, struct span leaves, struct error *err)
{
    const struct marker *m = &c->marker, *before = &r->end.marker;
    bool first = r->end.segment == 0 && r->end.offset == SEGMENT_HEADER_BYTES;

    if ((c->count == 0) != first) /* a log begins with an empty commit, and has no other */
        return error_set(err, ERR_DAMAGED, "the commit behind record %llu %s", (unsigned long long)r->tree.size,
                         first ? "is not the one a log begins with" : "is empty");
    if (m->count != c->count || m->size != r->tree.size + c->count
        || m->batch != address_of(r->end.segment, r->end.offset))
        return error_set(err, ERR_DAMAGED, "the marker behind record %llu does not fit its commit",
                         (unsigned long long)r->tree.size);
    for (size_t i = 0; i < c->count; i++)
        if (memcmp(leaves.ptr + i * HASH_BYTES, c->leaves[i].bytes, HASH_BYTES) != 0)
            return error_set(err, ERR_DAMAGED, "record %llu is not as its marker lists it",
                             (unsigned long long)c->entries[i].position);
    if (m->commit != (first ? 0 : before->commit + 1)
        || memcmp(m->previous.bytes, r->end.marker_hash.bytes, HASH_BYTES) != 0)
        return error_set(err, ERR_REFUSED, "split view: the commit behind record %llu follows another history",
                         (unsigned long long)r->tree.size);
    return true;
}

/* The tree as the marker says it is. */
static bool extend_tree(struct twin_round *r, const struct reading *c, struct error *err)
{
    struct merkle tree = r->tree;
    struct hash root;

    for (size_t i = 0; i < c->count; i++)
        if (!merkle_append(&tree, &r->t->seal, &c->leaves[i], err))
            return false;
    if (!merkle_root(&tree, &r->t->seal, &root, err))
        return false;
    if (memcmp(root.bytes, c->marker.root.bytes, HASH_BYTES) != 0)
        return error_set(err, ERR_REFUSED, "split view: the tree of %llu records has another root",
                         (unsigned long long)tree.size);
    r->tree = tree;
    return true;
}

static bool read_marker(struct twin_round *r, struct reading *c, struct error *err)
{
    struct span bytes = look(r, c->len, MARKER_FIXED_BYTES, err), leaves;
    struct store *s = r->t->store;

    if (bytes.len == 0)
        return ends_early(r, err);
    if (!marker_fixed_decode(bytes, &c->marker, err))
        return false;
    bytes = look(r, c->len, marker_length(c->marker.count), err);
    if (bytes.len == 0)
        return ends_early(r, err);
    if (r->t->unsealed && !marker_decode(bytes, keyring_keys(s->keyring)->marker, &c->marker, &leaves, err))
        return false;
    leaves = span_part(bytes, MARKER_FIXED_BYTES, (size_t)HASH_BYTES * c->marker.count);
    if (!marker_belongs(r, c, leaves, err) || !seal_hash(&r->t->seal, &bytes, 1, c->marker_hash.bytes, err))
        return false;
    c->len += (uint32_t)bytes.len;
    return true;
}

static bool keep_leaves(struct twin_round *r, const struct reading *c, struct error *err)
{
    if (r->leaf_count + c->count > r->leaf_cap) {
        size_t cap = (r->leaf_cap + c->count) * 2;
        struct twin_leaf *more = realloc(r->leaves, cap * sizeof *more);

        if (more == NULL)
            return error_set(err, ERR_MEMORY, "no memory for a step");
        r->leaves = more;
        r->leaf_cap = cap;
    }
    for (size_t i = 0; i < c->count; i++)
        r->leaves[r->leaf_count++] =
            (struct twin_leaf){ c->leaves[i], address_of(r->end.segment, r->end.offset + c->offsets[i]) };
    return true;
}

/* The commit is whole: its bodies come, then its bytes are written and it is the round's. */
static bool take_in(struct twin_round *r, const struct reading *c, struct error *err)
{
    struct store *s = r->t->store;

    if (r->end.offset > TWIN_SEGMENT_BYTES_MAX || c->len > TWIN_SEGMENT_BYTES_MAX - r->end.offset)
        return error_set(err, ERR_REFUSED, "log segment %u is longer than one can be", r->end.segment);
    for (size_t i = 0; i < c->count; i++)
        if (c->entries[i].has_body && !twin_take_body(r, &c->entries[i], err))
            return false;
    for (unsigned b = 1; b <= BODY_CLASS_COUNT; b++)
        if (!twin_take_rest(r, (enum body_class)b, &c->marker.in_use[b - 1], err))
            return false;
    if (!keep_leaves(r, c, err) || !extend_tree(r, c, err)
        || !disk_write_at(&s->disk, r->log_fd, span_part(writer_span(&r->window.bytes), 0, c->len), r->end.offset, err))
        return false;
    r->log_bytes += c->len;
    r->end.marker = c->marker;
    r->end.marker_hash = c->marker_hash;
    r->end.offset += c->len;
    forget(&r->window, c->len);
    return true;
}

static bool header_fits(struct twin_round *r, struct span bytes, struct error *err)
{
    struct reader in = reader_over(bytes);
    uint32_t segment = r->end.segment;

    read_skip(&in, 8);
    if (memcmp(bytes.ptr, "FANALSEG", 8) != 0 || read_u64le(&in) != 1 || read_u64le(&in) != segment
        || read_u64le(&in) != r->tree.size)
        return error_set(err, ERR_DAMAGED, "the head of log segment %u is damaged", segment);
    if (memcmp(bytes.ptr + 32, r->known.vault_id, VAULT_ID_BYTES) != 0
        || memcmp(bytes.ptr + 48, r->end.marker_hash.bytes, HASH_BYTES) != 0)
        return error_set(err, ERR_REFUSED, "split view: log segment %u follows another history", segment);
    return true;
}

/* A segment begins: its head is checked and written to a file of its own. */
static bool begin_segment(struct twin_round *r, struct error *err)
{
    struct store *s = r->t->store;
    struct span bytes = look(r, 0, SEGMENT_HEADER_BYTES, err);
    char name[NAME_BYTES_MAX];

    if (bytes.len == 0 && err->code == ERR_NONE)
        return error_set(err, ERR_DAMAGED, "the first's log ends behind record %llu; its head speaks of %llu",
                         (unsigned long long)r->tree.size, (unsigned long long)r->head.size);
    if (bytes.len == 0 || !header_fits(r, bytes, err))
        return false;
    if (r->t->store->end.offset != 0 && r->end.segment <= r->t->store->end.segment)
        return error_set(err, ERR_REFUSED, "log segment %u is here already", r->end.segment);
    if (r->log_fd >= 0 && !disk_sync(&s->disk, r->log_fd, err))
        return false;
    disk_close(&s->disk, &r->log_fd);
    segment_name(r->end.segment, name);
    if (!sidecar_drop(s, name, err)) /* of a twin that was put back to an older state */
        return false;
    r->new_files++;
    r->log_fd = disk_open(&s->disk, name, O_RDWR | O_CREAT | O_TRUNC, err);
    r->log_new = true;
    if (r->log_fd < 0 || !disk_write_at(&s->disk, r->log_fd, bytes, 0, err))
        return false;
    r->end.offset = SEGMENT_HEADER_BYTES;
    forget(&r->window, SEGMENT_HEADER_BYTES);
    return true;
}

static bool read_commit(struct twin_round *r, struct reading *c, bool *next_segment, struct error *err)
{
    *next_segment = false;
    for (;;) {
        struct span magic = look(r, c->len, 4, err);

        if (magic.len == 0) {
            *next_segment = c->len == 0 && err->code == ERR_NONE;
            return *next_segment || ends_early(r, err);
        }
        if (memcmp(magic.ptr, "FNLM", 4) == 0)
            return read_marker(r, c, err);
        if (memcmp(magic.ptr, "FNLE", 4) != 0)
            return error_set(err, ERR_DAMAGED, "log segment %u at %u is neither entry nor marker", r->end.segment,
                             r->end.offset + c->len);
        if (!read_entry(r, c, err))
            return false;
    }
}

bool twin_take_commit(struct twin_round *r, struct error *err)
{
    struct reading *c;
    bool ok, next_segment = false;

    *err = (struct error){ .code = ERR_NONE }; /* a body that is missing there is no error here */
    if (r->end.offset == 0)
        return begin_segment(r, err);
    c = calloc(1, sizeof *c);
    if (c == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a commit");
    r->window.bytes.limit = WINDOW_BYTES_MAX;
    ok = read_commit(r, c, &next_segment, err);
    if (ok && next_segment && r->end.offset <= SEGMENT_HEADER_BYTES)
        ok = error_set(err, ERR_DAMAGED, "log segment %u holds no commit", r->end.segment);
    if (ok && next_segment) {
        r->end.segment++;
        r->end.offset = 0;
        writer_reset(&r->window.bytes);
        r->window = (struct twin_window){ .bytes = r->window.bytes, .segment = r->end.segment };
    } else if (ok) {
        ok = take_in(r, c, err);
    }
    free(c);
    return ok;
}
