/* Disks after power cuts. See platter.h. */
#include "platter.h"

#include <sodium.h>
#include <stdlib.h>

static void *grown(void *old, size_t count, size_t size)
{
    void *more = realloc(old, count * size + 1);

    if (more == NULL)
        abort();
    return more;
}

static void digest_of(struct span bytes, struct digest *out)
{
    (void)crypto_generichash(out->bytes, sizeof out->bytes, bytes.ptr, bytes.len, NULL, 0);
}

/* ---- a file's versions ---- */

static struct version *version_add(struct platter_file *f, size_t deed)
{
    if (f->count == f->cap) {
        f->cap = f->cap * 2 + 4;
        f->versions = grown(f->versions, f->cap, sizeof *f->versions);
    }
    f->versions[f->count] = (struct version){ .deed = deed };
    return &f->versions[f->count++];
}

static void version_set(struct version *v, const uint8_t *bytes, size_t len)
{
    v->bytes = grown(NULL, len, 1);
    if (len > 0)
        memcpy(v->bytes, bytes, len);
    v->len = len;
}

static void mark_dirty(struct platter_file *f, uint64_t from, uint64_t to)
{
    for (uint64_t s = from / SECTOR_BYTES; s * SECTOR_BYTES < to; s++) {
        size_t i = 0;

        while (i < f->dirty_count && f->dirty[i] != s)
            i++;
        if (i < f->dirty_count)
            continue;
        if (f->dirty_count == f->dirty_cap) {
            f->dirty_cap = f->dirty_cap * 2 + 16;
            f->dirty = grown(f->dirty, f->dirty_cap, sizeof *f->dirty);
        }
        f->dirty[f->dirty_count++] = (uint32_t)s;
    }
}

static void cache_resize(struct platter_file *f, size_t len)
{
    if (len > f->cache_len) {
        f->cache = grown(f->cache, len, 1);
        memset(f->cache + f->cache_len, 0, len - f->cache_len);
    }
    f->cache_len = len;
}

/* The newest version with what the cache holds of [from, to), in whole sectors, and the cache's length. */
static void version_from_cache(struct platter_file *f, size_t deed, uint64_t from, uint64_t to)
{
    struct version before = f->versions[f->count - 1];
    struct version *v = version_add(f, deed);
    uint64_t begin = from / SECTOR_BYTES * SECTOR_BYTES;
    uint64_t end = (to + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;

    v->len = f->cache_len;
    v->bytes = grown(NULL, v->len, 1);
    memset(v->bytes, 0, v->len);
    if (before.len > 0 && v->len > 0)
        memcpy(v->bytes, before.bytes, before.len < v->len ? before.len : v->len);
    if (end > v->len)
        end = v->len;
    if (end > begin)
        memcpy(v->bytes + begin, f->cache + begin, end - begin);
}

static void step_data(struct platter *p, const struct deed *d)
{
    struct platter_file *f = &p->files[d->inode];

    if (d->type == DEED_WRITE) {
        uint64_t from = d->offset < f->cache_len ? d->offset : f->cache_len;

        if (d->offset + d->len > f->cache_len)
            cache_resize(f, d->offset + d->len);
        memcpy(f->cache + d->offset, d->bytes, d->len);
        mark_dirty(f, from, d->offset + d->len);
        version_from_cache(f, p->at, from, d->offset + d->len);
    } else {
        uint64_t from = d->offset < f->cache_len ? d->offset : f->cache_len;
        uint64_t to = d->offset < f->cache_len ? f->cache_len : d->offset;

        cache_resize(f, d->offset);
        mark_dirty(f, from, to);
        version_from_cache(f, p->at, from, d->offset);
    }
}

/* What was done before the sync began is durable; what came meanwhile is not. */
static void step_sync(struct platter *p, const struct deed *d)
{
    struct platter_file *f = &p->files[d->inode];
    size_t durable = f->count - 1;

    while (durable > 0 && f->versions[durable].deed >= d->offset)
        durable--;
    for (size_t i = 0; i < durable; i++)
        free(f->versions[i].bytes);
    memmove(f->versions, f->versions + durable, (f->count - durable) * sizeof *f->versions);
    f->count -= durable;
    if (f->count == 1)
        f->dirty_count = 0;
}

static void step_sync_failed(struct platter *p, const struct deed *d)
{
    struct platter_file *f = &p->files[d->inode];

    while (f->count > 1)
        free(f->versions[--f->count].bytes);
    f->dirty_count = 0;
}

static void step_reread(struct platter *p, const struct deed *d)
{
    struct platter_file *f = &p->files[d->inode];
    const struct version *v = &f->versions[f->count - 1];

    cache_resize(f, 0);
    cache_resize(f, v->len);
    if (v->len > 0)
        memcpy(f->cache, v->bytes, v->len);
}

/* ---- names ---- */

/* Number of the path of its directory; -1 for the tape's own. */
static int above_of(const struct tape *t, int path)
{
    const char *name = t->paths[path], *slash = strrchr(name, '/');

    for (int i = 0; slash != NULL && i < t->path_count; i++)
        if (strlen(t->paths[i]) == (size_t)(slash - name) && strncmp(name, t->paths[i], (size_t)(slash - name)) == 0)
            return i;
    if (slash != NULL)
        abort(); /* the tape saw a file in a directory that it never saw */
    return -1;
}

static void apply_name(const struct deed *d, int *names)
{
    if (d->type == DEED_CREATE || d->type == DEED_MKDIR) {
        names[d->path] = d->inode;
    } else if (d->type == DEED_UNLINK) {
        names[d->path] = -1;
    } else {
        if (names[d->path] == d->inode)
            names[d->path] = -1;
        names[d->to] = d->inode;
    }
}

static void step_sync_dir(struct platter *p, const struct deed *d)
{
    size_t left = 0;

    for (size_t i = 0; i < p->pending_count; i++) {
        const struct deed *name = &p->tape->deeds[p->pending[i]];

        if (p->above[name->path] == d->path)
            apply_name(name, p->names);
        else
            p->pending[left++] = p->pending[i];
    }
    p->pending_count = left;
}

/* ---- the whole ---- */

void platter_begin(struct platter *p, const struct tape *t)
{
    *p = (struct platter){ .tape = t, .file_count = t->inode_count, .name_count = t->path_count };
    p->files = grown(NULL, (size_t)t->inode_count, sizeof *p->files);
    p->names = grown(NULL, (size_t)t->path_count, sizeof *p->names);
    memset(p->files, 0, (size_t)t->inode_count * sizeof *p->files);
    p->above = grown(NULL, (size_t)t->path_count, sizeof *p->above);
    for (int i = 0; i < t->path_count; i++) {
        p->names[i] = -1;
        p->above[i] = above_of(t, i);
    }
    for (int i = 0; i < t->inode_count; i++) {
        struct platter_file *f = &p->files[i];

        f->directory = t->inodes[i].directory;
        version_set(version_add(f, 0), t->inodes[i].bytes, t->inodes[i].len);
        cache_resize(f, t->inodes[i].len);
        if (f->cache_len > 0)
            memcpy(f->cache, t->inodes[i].bytes, f->cache_len);
        if (t->inodes[i].born_as >= 0)
            p->names[t->inodes[i].born_as] = i;
    }
}

void platter_end(struct platter *p)
{
    for (int i = 0; i < p->file_count; i++) {
        for (size_t v = 0; v < p->files[i].count; v++)
            free(p->files[i].versions[v].bytes);
        free(p->files[i].versions);
        free(p->files[i].cache);
        free(p->files[i].dirty);
    }
    free(p->files);
    free(p->names);
    free(p->above);
    free(p->pending);
}

void platter_step(struct platter *p)
{
    const struct deed *d = &p->tape->deeds[p->at];

    switch (d->type) {
    case DEED_WRITE:
    case DEED_TRUNCATE:
        step_data(p, d);
        break;
    case DEED_SYNC:
        step_sync(p, d);
        break;
    case DEED_SYNC_FAILED:
        step_sync_failed(p, d);
        break;
    case DEED_REREAD:
        step_reread(p, d);
        break;
    case DEED_CREATE:
    case DEED_MKDIR:
    case DEED_RENAME:
    case DEED_UNLINK:
        if (p->pending_count == p->pending_cap) {
            p->pending_cap = p->pending_cap * 2 + 16;
            p->pending = grown(p->pending, p->pending_cap, sizeof *p->pending);
        }
        p->pending[p->pending_count++] = p->at;
        break;
    case DEED_SYNC_DIR:
        step_sync_dir(p, d);
        break;
    case DEED_MARK:
        break;
    }
    p->at++;
}

void platter_content(const struct tape *t, int inode, uint8_t **bytes, size_t *len)
{
    struct platter p;
    const struct version *v;

    platter_begin(&p, t);
    while (p.at < t->count)
        platter_step(&p);
    v = &p.files[inode].versions[p.files[inode].count - 1];
    *len = v->len;
    *bytes = grown(NULL, v->len, 1);
    if (v->len > 0)
        memcpy(*bytes, v->bytes, v->len);
    platter_end(&p);
}

/* ---- choices ---- */

void choice_set(struct choice *c, const struct platter *p, bool keep)
{
    if (c->kept_cap < p->pending_count) {
        c->kept_cap = p->pending_count * 2;
        c->kept = grown(c->kept, c->kept_cap, sizeof *c->kept);
    }
    for (size_t i = 0; i < p->pending_count; i++)
        c->kept[i] = keep;
    if (c->pick_count < p->file_count) {
        c->picks = grown(c->picks, (size_t)p->file_count, sizeof *c->picks);
        memset(c->picks + c->pick_count, 0, (size_t)(p->file_count - c->pick_count) * sizeof *c->picks);
        c->pick_count = p->file_count;
    }
    for (int i = 0; i < p->file_count; i++) {
        c->picks[i].version = c->picks[i].length = keep ? p->files[i].count - 1 : 0;
        c->picks[i].torn = false;
    }
}

void choice_done(struct choice *c)
{
    for (int i = 0; i < c->pick_count; i++)
        free(c->picks[i].sector);
    free(c->picks);
    free(c->kept);
}

void pick_tear(struct pick *k, const struct platter_file *f, size_t version)
{
    if (k->sector_cap < f->dirty_count) {
        k->sector_cap = f->dirty_count * 2;
        k->sector = grown(k->sector, k->sector_cap, sizeof *k->sector);
    }
    for (size_t i = 0; i < f->dirty_count; i++)
        k->sector[i] = (uint16_t)version;
    k->torn = true;
}

/* ---- images ---- */

void image_content(const struct platter *p, const struct choice *c, int inode, uint8_t **bytes, size_t *len)
{
    const struct platter_file *f = &p->files[inode];
    const struct pick *k = &c->picks[inode];
    const struct version *v = &f->versions[k->torn ? 0 : k->version];
    size_t n = f->versions[k->length].len;

    *bytes = grown(NULL, n, 1);
    memset(*bytes, 0, n);
    if (v->len > 0 && n > 0)
        memcpy(*bytes, v->bytes, v->len < n ? v->len : n);
    for (size_t i = 0; k->torn && i < f->dirty_count; i++) {
        size_t at = (size_t)f->dirty[i] * SECTOR_BYTES;
        size_t end = at + SECTOR_BYTES < n ? at + SECTOR_BYTES : n;

        v = &f->versions[k->sector[i]];
        for (; at < end; at++)
            (*bytes)[at] = at < v->len ? v->bytes[at] : 0;
    }
    *len = n;
}

static void content_digest(struct platter *p, const struct choice *c, int inode, struct digest *out)
{
    struct platter_file *f = &p->files[inode];
    const struct pick *k = &c->picks[inode];
    struct version *v = &f->versions[k->version];
    uint8_t *bytes;
    size_t len;

    if (!k->torn && k->length == k->version) {
        if (!v->digested)
            digest_of(span_of(v->bytes, v->len), &v->digest);
        v->digested = true;
        *out = v->digest;
        return;
    }
    image_content(p, c, inode, &bytes, &len);
    digest_of(span_of(bytes, len), out);
    free(bytes);
}

/* Is every directory above it there? */
static bool reachable(const struct platter *p, const int *names, int path)
{
    for (int dir = p->above[path]; dir >= 0; dir = p->above[dir])
        if (names[dir] < 0)
            return false;
    return true;
}

static void add_file(struct platter *p, const struct choice *c, int path, struct platter_image *out)
{
    int inode = out->names[path];
    struct platter_image_file f = { .path = p->tape->paths[path],
                                    .inode = inode,
                                    .directory = p->files[inode].directory };
    crypto_generichash_state state;
    struct digest content = { { 0 } };
    uint64_t half;

    if (!f.directory)
        content_digest(p, c, inode, &content);
    (void)crypto_generichash_init(&state, NULL, 0, sizeof f.digest.bytes);
    (void)crypto_generichash_update(&state, (const uint8_t *)f.path, strlen(f.path) + 1);
    (void)crypto_generichash_update(&state, content.bytes, sizeof content.bytes);
    (void)crypto_generichash_final(&state, f.digest.bytes, sizeof f.digest.bytes);
    memcpy(&half, f.digest.bytes, sizeof half);
    out->hash ^= half;
    if (out->count == out->cap) {
        out->cap = out->cap * 2 + 64;
        out->files = grown(out->files, out->cap, sizeof *out->files);
    }
    out->files[out->count++] = f;
}

void image_of(struct platter *p, const struct choice *c, struct platter_image *out)
{
    out->count = 0;
    out->hash = 0;
    out->names = grown(out->names, (size_t)p->name_count, sizeof *out->names);
    memcpy(out->names, p->names, (size_t)p->name_count * sizeof *out->names);
    for (size_t i = 0; i < p->pending_count; i++)
        if (c->kept[i])
            apply_name(&p->tape->deeds[p->pending[i]], out->names);
    for (int pass = 0; pass < 2; pass++) /* directories first; a path is interned after the one above it */
        for (int i = 0; i < p->name_count; i++)
            if (out->names[i] >= 0 && p->files[out->names[i]].directory == (pass == 0)
                && reachable(p, out->names, i))
                add_file(p, c, i, out);
}

void image_done(struct platter_image *image)
{
    free(image->files);
    free(image->names);
}
