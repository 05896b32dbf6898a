/* Tree, tiles, index. See ledger.h. */
#include "vault/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/reader.h"

#define TILES_PER_DIR      1000u /* C2SP tlog-tiles: three digits a level */
#define INDEX_NAME         "ledger/index"
#define FLUSH_WANTED_TILES 64u
#define INDEX_PIECE        1024u /* index entries written at once */

struct full_tile {
    unsigned level;
    uint64_t number;
    struct hash hashes[TILE_HASHES];
};

bool ledger_open(struct ledger *l, const struct disk *d, bool read_only, struct error *err)
{
    struct error why = { 0 };

    *l = (struct ledger){ .disk = d, .index_fd = -1 };
    (void)pthread_mutex_init(&l->lock, NULL);
    l->index_fd = disk_open(d, INDEX_NAME, read_only ? O_RDONLY : O_RDWR | O_CREAT, &why);
    if (read_only && why.code == ERR_NOT_FOUND)
        return true;
    if (l->index_fd < 0)
        return error_set(err, why.code, "%s", why.text);
    return read_only || disk_sync_dir(d, "ledger", err);
}

void ledger_close(struct ledger *l)
{
    if (l->disk == NULL)
        return;
    disk_close(l->disk, &l->index_fd);
    free(l->full);
    free(l->tail);
    (void)pthread_mutex_destroy(&l->lock);
    *l = (struct ledger){ .index_fd = -1 };
}

static bool reserve_tail(struct ledger *l, size_t n)
{
    size_t need = l->tail_count + n;
    size_t cap = need < l->tail_cap * 2 ? l->tail_cap * 2 : need;
    address *more;

    if (need <= l->tail_cap)
        return true;
    more = realloc(l->tail, cap * sizeof *more);
    if (more == NULL)
        return false;
    l->tail = more;
    l->tail_cap = cap;
    return true;
}

bool ledger_reserve(struct ledger *l, size_t n, struct error *err)
{
    size_t tiles = l->full_count + n / TILE_HASHES + 1 + TILE_LEVELS + n / (TILE_HASHES * TILE_HASHES);
    struct full_tile *more;
    bool ok;

    (void)pthread_mutex_lock(&l->lock);
    ok = reserve_tail(l, n);
    (void)pthread_mutex_unlock(&l->lock);
    if (ok && tiles > l->full_cap) {
        more = realloc(l->full, tiles * sizeof *more);
        if (more != NULL) {
            l->full = more;
            l->full_cap = tiles;
        }
        ok = more != NULL;
    }
    return ok || error_set(err, ERR_MEMORY, "no memory for the ledger");
}

/* Adds a hash to the unfinished tile of a level; a full one waits to be written and its root goes one level up. */
static bool edge_append(struct ledger *l, struct seal *s, unsigned level, const struct hash *h, struct error *err)
{
    struct merkle whole = { 0 };
    struct hash carry = *h;

    for (; level < TILE_LEVELS; level++) {
        struct tile_edge *e = &l->levels[level];
        struct full_tile *full;

        e->hashes[e->count++] = carry;
        if (e->count < TILE_HASHES)
            return true;
        full = &l->full[l->full_count];
        l->full_count += l->keep_tiles ? 1 : 0;
        full->level = level;
        full->number = (l->tree.size - 1) >> (8 * (level + 1));
        memcpy(full->hashes, e->hashes, sizeof full->hashes);
        whole.size = 0;
        for (uint32_t i = 0; i < TILE_HASHES; i++)
            if (!merkle_append(&whole, s, &e->hashes[i], err))
                return false;
        carry = whole.edge[0];
        e->count = 0;
    }
    return true;
}

bool ledger_append(struct ledger *l, struct seal *s, const struct hash *leaf, address where, struct error *err)
{
    if (!ledger_reserve(l, 1, err) || !merkle_append(&l->tree, s, leaf, err) || !edge_append(l, s, 0, leaf, err))
        return false;
    (void)pthread_mutex_lock(&l->lock);
    l->tail[l->tail_count++] = where;
    (void)pthread_mutex_unlock(&l->lock);
    return true;
}

/* ---- tiles ---- */

void tile_name(unsigned level, uint64_t number, char out[TILE_NAME_MAX])
{
    unsigned groups = 1;
    int at = snprintf(out, TILE_NAME_MAX, "ledger/tile/%u", level);

    for (uint64_t n = number; n >= 1000; n /= 1000)
        groups++;
    for (unsigned g = groups; g > 0; g--) {
        uint64_t part = number;

        for (unsigned i = 1; i < g; i++)
            part /= 1000;
        at += snprintf(out + at, TILE_NAME_MAX - (size_t)at, "/%s%03u", g > 1 ? "x" : "", (unsigned)(part % 1000));
    }
}

bool tile_read(const struct disk *d, unsigned level, uint64_t number, struct hash out[TILE_HASHES], struct error *err)
{
    char name[TILE_NAME_MAX], path[DISK_PATH_MAX];
    struct error why = { 0 };
    uint64_t size = 0;

    tile_name(level, number, name);
    disk_path(d, name, path);
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return error_errno(err, "open of %s", name);
    if (fd < 0 || !file_size(fd, &size, NULL) || size != sizeof(struct hash) * TILE_HASHES)
        return error_set(err, ERR_DAMAGED, "%s is missing or cut short", name);
    if (file_read_at(fd, out->bytes, (size_t)size, 0, &why))
        return true;
    return error_set(err, why.code == ERR_MEMORY ? ERR_MEMORY : ERR_DAMAGED, "%s cannot be read", name);
}

static bool make_dirs_of(const struct disk *d, char *name, struct error *err)
{
    for (char *p = strchr(name + strlen("ledger/"), '/'); p != NULL; p = strchr(p + 1, '/')) {
        bool ok;

        *p = '\0';
        ok = disk_make_dir(d, name, err);
        *p = '/';
        if (!ok)
            return false;
    }
    return true;
}

/* A directory is made with its first tile, and again should that have been as far as it came; or where it is gone. */
static int tile_open(const struct disk *d, char *name, bool first, struct error *err)
{
    struct error why = { 0 };
    int fd;

    if (first && !make_dirs_of(d, name, err))
        return -1;
    fd = disk_open(d, name, O_WRONLY | O_CREAT | O_TRUNC, &why);
    if (fd < 0 && why.code == ERR_NOT_FOUND && make_dirs_of(d, name, &why))
        fd = disk_open(d, name, O_WRONLY | O_CREAT | O_TRUNC, &why);
    if (fd < 0)
        (void)error_set(err, why.code, "%s", why.text);
    return fd;
}

bool tile_write(const struct disk *d, unsigned level, uint64_t number, const struct hash hashes[TILE_HASHES],
                struct error *err)
{
    char name[TILE_NAME_MAX];
    bool ok;
    int fd;

    tile_name(level, number, name);
    fd = tile_open(d, name, number % TILES_PER_DIR == 0, err);
    if (fd < 0)
        return false;
    ok = disk_write_at(d, fd, span_of(hashes->bytes, sizeof(struct hash) * TILE_HASHES), 0, err)
         && disk_sync(d, fd, err);
    disk_close(d, &fd);
    *strrchr(name, '/') = '\0';
    return ok && disk_sync_dir(d, name, err);
}

struct ledger_mark {
    struct merkle tree;
    struct tile_edge levels[TILE_LEVELS];
    uint64_t indexed;
};

struct ledger_mark *ledger_mark_new(const struct ledger *l, struct error *err)
{
    struct ledger_mark *m = malloc(sizeof *m);

    if (m == NULL) {
        (void)error_set(err, ERR_MEMORY, "no memory for the ledger's edge");
        return NULL;
    }
    m->tree = l->tree;
    memcpy(m->levels, l->levels, sizeof m->levels);
    m->indexed = l->indexed; /* only this thread changes it */
    return m;
}

void ledger_go_back(struct ledger *l, const struct ledger_mark *m)
{
    l->tree = m->tree;
    memcpy(l->levels, m->levels, sizeof l->levels);
    l->full_count = 0;
    (void)pthread_mutex_lock(&l->lock);
    l->indexed = m->indexed;
    l->tail_count = 0;
    (void)pthread_mutex_unlock(&l->lock);
}

bool ledger_wants_flush(const struct ledger *l)
{
    return l->full_count >= FLUSH_WANTED_TILES;
}

/* ---- index ---- */

static bool index_write(struct ledger *l, struct error *err)
{
    struct writer piece = writer_new(INDEX_PIECE * 8);
    bool ok = true;

    for (size_t at = 0; ok && at < l->tail_count; at += INDEX_PIECE) {
        writer_reset(&piece);
        for (size_t i = at; i < l->tail_count && i < at + INDEX_PIECE; i++)
            write_u64le(&piece, l->tail[i]); /* only this thread changes the tail */
        ok = writer_ok(&piece, err, "index")
             && disk_write_at(l->disk, l->index_fd, writer_span(&piece), (l->indexed + at) * 8, err);
    }
    writer_done(&piece);
    return ok && (l->tail_count == 0 || disk_sync(l->disk, l->index_fd, err));
}

bool ledger_flush(struct ledger *l, struct error *err)
{
    for (size_t i = 0; i < l->full_count; i++)
        if (!tile_write(l->disk, l->full[i].level, l->full[i].number, l->full[i].hashes, err))
            return error_within(err, "ledger");
    l->full_count = 0;
    if (!index_write(l, err))
        return error_within(err, "ledger/index");
    (void)pthread_mutex_lock(&l->lock);
    l->indexed += l->tail_count;
    l->tail_count = 0;
    (void)pthread_mutex_unlock(&l->lock);
    return true;
}

bool ledger_find(struct ledger *l, uint64_t position, address *out, struct error *err)
{
    uint8_t bytes[8] = { 0 };
    struct reader r = reader_over(span_of(bytes, sizeof bytes));
    struct error why = { 0 };
    bool in_file;

    *out = 0;
    (void)pthread_mutex_lock(&l->lock);
    in_file = position < l->indexed;
    if (!in_file && position - l->indexed < l->tail_count)
        *out = l->tail[position - l->indexed];
    (void)pthread_mutex_unlock(&l->lock);
    if (!in_file || l->index_fd < 0)
        return true;
    if (file_read_at(l->index_fd, bytes, sizeof bytes, position * 8, &why))
        *out = read_u64le(&r);
    return why.code != ERR_MEMORY || error_set(err, why.code, INDEX_NAME ": %s", why.text);
}

address ledger_address(struct ledger *l, uint64_t position)
{
    address where = 0;

    (void)ledger_find(l, position, &where, NULL);
    return where;
}

uint64_t ledger_indexed(struct ledger *l)
{
    uint64_t indexed;

    (void)pthread_mutex_lock(&l->lock);
    indexed = l->indexed;
    (void)pthread_mutex_unlock(&l->lock);
    return indexed;
}

uint64_t ledger_size_of_index_file(const struct ledger *l)
{
    uint64_t size = 0;

    return l->index_fd >= 0 && file_size(l->index_fd, &size, NULL) ? size : 0;
}

/* ---- in the confirm files ---- */

void ledger_save(const struct ledger *l, struct writer *w)
{
    unsigned edge = merkle_edge_count(l->tree.size);

    write_u32le(w, edge);
    write_span(w, span_of(l->tree.edge->bytes, edge * sizeof(struct hash)));
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        write_u32le(w, l->levels[level].count);
        write_span(w, span_of(l->levels[level].hashes->bytes, l->levels[level].count * sizeof(struct hash)));
    }
}

static void load_hashes(struct reader *r, struct hash *out, uint32_t count)
{
    struct span s = read_span(r, count * sizeof(struct hash));

    if (s.len > 0)
        memcpy(out->bytes, s.ptr, s.len);
}

bool ledger_load(struct ledger *l, struct reader *r, uint64_t size, struct error *err)
{
    uint32_t edge = read_u32le(r);

    if (edge != merkle_edge_count(size))
        return error_set(err, ERR_DAMAGED, "confirm file: the edge does not fit the tree");
    load_hashes(r, l->tree.edge, edge);
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        l->levels[level].count = read_u32le(r);
        if (l->levels[level].count != ((size >> (8 * level)) & (TILE_HASHES - 1)))
            return error_set(err, ERR_DAMAGED, "confirm file: a tile does not fit the tree");
        load_hashes(r, l->levels[level].hashes, l->levels[level].count);
    }
    l->tree.size = size;
    l->indexed = size;
    return reader_complete(r, err, "confirm file");
}
