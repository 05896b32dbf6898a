/* The seal beside a file: layout, header, tables. See sidecar.h. */
#include "vault/sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reader.h"

#define FULL_GROUP_TABLES ((uint64_t)HASH_BYTES + 4u * (GROUP_SECTORS + GROUP_STRIPES * PARITY_ROWS))
#define FULL_GROUP_PARITY ((uint64_t)GROUP_STRIPES * PARITY_ROWS)
#define LENGTH_MAX        (BODY_BYTES_MAX / CHUNK_BYTES * CHUNK_STORED_BYTES)

_Static_assert(GROUP_TABLES_MAX % 4 == 0 && TABLE_BLOCK_BYTES % 4 == 0, "a CRC never spans two blocks");

uint32_t sector_crc(const uint8_t sector[SECTOR_BYTES])
{
    return crc32c(span_of(sector, SECTOR_BYTES));
}

void sidecar_name(const char *name, char out[NAME_BYTES_MAX])
{
    (void)snprintf(out, NAME_BYTES_MAX, "%.80s" SIDECAR_SUFFIX, name);
}

bool sidecar_drop(struct store *s, const char *name, struct error *err)
{
    char beside[NAME_BYTES_MAX];

    sidecar_name(name, beside);
    return !disk_exists(&s->disk, beside) || disk_unlink(&s->disk, beside, err);
}

/* ---- layout ---- */

uint32_t layout_group_sectors(const struct sidecar_layout *l, uint64_t g)
{
    uint64_t sectors = (l->length + SECTOR_BYTES - 1) / SECTOR_BYTES;
    uint64_t left = sectors - g * GROUP_SECTORS;

    return left > GROUP_SECTORS ? GROUP_SECTORS : (uint32_t)left;
}

uint64_t layout_group_tables(uint64_t g)
{
    return g * FULL_GROUP_TABLES; /* only the last group is not full */
}

uint64_t layout_group_parity(const struct sidecar_layout *l, uint64_t g)
{
    return l->parity_at + g * FULL_GROUP_PARITY * SECTOR_BYTES;
}

bool sidecar_layout_of(uint64_t length, uint64_t contents_bytes, struct sidecar_layout *out, struct error *err)
{
    struct sidecar_layout l = { .length = length };
    struct parity_shape last;
    uint32_t sectors;

    if (length == 0 || length > LENGTH_MAX || contents_bytes > UINT32_MAX)
        return error_set(err, ERR_LIMIT, "no file of %llu bytes is sealed", (unsigned long long)length);
    l.groups = (length + GROUP_BYTES - 1) / GROUP_BYTES;
    sectors = layout_group_sectors(&l, l.groups - 1);
    last = parity_shape_of(sectors);
    l.parity_sectors = (l.groups - 1) * FULL_GROUP_PARITY + parity_sectors(&last);
    l.contents = layout_group_tables(l.groups - 1) + HASH_BYTES + 4u * ((uint64_t)sectors + parity_sectors(&last));
    l.tables = l.contents + contents_bytes;
    l.blocks = (l.tables + TABLE_BLOCK_BYTES - 1) / TABLE_BLOCK_BYTES;
    l.parity_at = (1 + l.blocks) * SECTOR_BYTES;
    l.again_at = l.parity_at + l.parity_sectors * SECTOR_BYTES;
    l.size = l.again_at + (l.blocks + 1) * SECTOR_BYTES;
    *out = l;
    return true;
}

/* ---- header ---- */

static bool header_decode(struct store *s, struct span bytes, struct sidecar_header *out)
{
    struct reader r = reader_over(bytes);
    struct sidecar_header h = { 0 };
    struct span name, hash;

    if (bytes.len != SIDECAR_HEADER_BYTES || memcmp(bytes.ptr, "FANALSEL", 8) != 0
        || !seal_mac_fits(keyring_keys(s->keyring)->file, span_part(bytes, 0, 480), bytes.ptr + 480, HASH_BYTES)
        || memcmp(bytes.ptr + 16, keyring_vault_id(s->keyring), VAULT_ID_BYTES) != 0)
        return false;
    read_skip(&r, 8);
    if (read_u32le(&r) != 1)
        return false;
    h.was_damaged = (read_u32le(&r) & 1) != 0;
    read_skip(&r, VAULT_ID_BYTES);
    name = read_span(&r, SIDECAR_NAME_BYTES);
    memcpy(h.name, name.ptr, name.len);
    h.length = read_u64le(&r);
    h.made_us = read_u64le(&r);
    hash = read_span(&r, HASH_BYTES);
    memcpy(h.sha256.bytes, hash.ptr, hash.len);
    h.first = read_u64le(&r);
    h.behind = read_u64le(&r);
    h.tables = read_u64le(&r);
    hash = read_span(&r, HASH_BYTES);
    memcpy(h.tables_sha256.bytes, hash.ptr, hash.len);
    if (read_u32le(&r) != SECTOR_BYTES || read_u32le(&r) != DATA_ROWS || read_u32le(&r) != PARITY_ROWS
        || read_u32le(&r) != GROUP_STRIPES)
        return false;
    *out = h;
    return true;
}

/* One copy of the header, at `at`, whole and of that file. */
static bool header_at(struct store *s, int fd, uint64_t at, const char *name, struct sidecar_header *out)
{
    uint8_t bytes[SIDECAR_HEADER_BYTES];

    return file_read_at(fd, bytes, sizeof bytes, at, NULL) && header_decode(s, span_of(bytes, sizeof bytes), out)
           && strcmp(out->name, name) == 0;
}

static bool same_header(const struct sidecar_header *a, const struct sidecar_header *b)
{
    return a->was_damaged == b->was_damaged && a->length == b->length && a->tables == b->tables
           && memcmp(a->sha256.bytes, b->sha256.bytes, HASH_BYTES) == 0
           && memcmp(a->tables_sha256.bytes, b->tables_sha256.bytes, HASH_BYTES) == 0;
}

/* Both headers, the layout that follows from them. */
static bool read_headers(struct store *s, const char *name, struct sidecar *sc, struct error *err)
{
    struct sidecar_layout plain;
    struct sidecar_header again;
    uint64_t size = 0;
    bool whole = header_at(s, sc->fd, 0, name, &sc->h);

    if (!file_size(sc->fd, &size, err))
        return false;
    if (!whole && (size < SIDECAR_HEADER_BYTES || !header_at(s, sc->fd, size - SIDECAR_HEADER_BYTES, name, &sc->h)))
        return error_set(err, ERR_DAMAGED, "%s" SIDECAR_SUFFIX ": neither header is whole", name);
    if (!sidecar_layout_of(sc->h.length, 0, &plain, err) || sc->h.tables < plain.contents
        || !sidecar_layout_of(sc->h.length, sc->h.tables - plain.contents, &sc->l, err))
        return error_set(err, ERR_DAMAGED, "%s" SIDECAR_SUFFIX ": lengths cannot be", name);
    sc->header_bad[0] = !whole;
    sc->header_bad[1] = !header_at(s, sc->fd, sc->l.size - SIDECAR_HEADER_BYTES, name, &again)
                        || !same_header(&again, &sc->h) || size != sc->l.size;
    return true;
}

bool sidecar_open(struct store *s, const char *root, const char *name, struct sidecar *out, struct error *err)
{
    struct sidecar sc = { .fd = -1 };
    char beside[NAME_BYTES_MAX], path[DISK_PATH_MAX];

    sidecar_name(name, beside);
    if (!path_join(path, sizeof path, root, beside, err))
        return false;
    sc.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (sc.fd < 0)
        return errno == ENOENT ? error_set(err, ERR_NOT_FOUND, "%s is not sealed", name)
                               : error_errno(err, "%s", beside);
    if (read_headers(s, name, &sc, err)) {
        *out = sc;
        return true;
    }
    file_close(&sc.fd);
    return false;
}

void sidecar_close(struct sidecar *sc)
{
    file_close(&sc->fd);
}

/* ---- tables ---- */

/* The bytes of block n, from the first copy that is whole. */
static bool block_read(const struct sidecar *sc, uint64_t n, uint8_t out[SECTOR_BYTES], uint64_t *bad)
{
    bool found = false;

    for (int copy = 0; copy < 2; copy++) {
        uint8_t bytes[SECTOR_BYTES];
        struct reader r = reader_over(span_of(bytes + TABLE_BLOCK_BYTES, 4));
        uint64_t from = copy == 0 ? SECTOR_BYTES : sc->l.again_at;

        if (!file_read_at(sc->fd, bytes, sizeof bytes, from + n * SECTOR_BYTES, NULL)
            || read_u32le(&r) != crc32c(span_of(bytes, TABLE_BLOCK_BYTES))) {
            ++*bad;
            continue;
        }
        if (!found)
            memcpy(out, bytes, sizeof bytes);
        found = true;
    }
    return found;
}

/*
 * Bytes from..from + len of the tables; lost[i] is set for each four of them that are in no copy. Both copies are read:
 * one that rots is to be noticed while the other is there.
 */
static void tables_read(const struct sidecar *sc, uint64_t from, size_t len, uint8_t *out, uint8_t *lost,
                        uint64_t *bad)
{
    uint8_t block[SECTOR_BYTES];

    for (size_t at = 0; at < len;) {
        size_t skip = (size_t)((from + at) % TABLE_BLOCK_BYTES);
        size_t n = TABLE_BLOCK_BYTES - skip < len - at ? TABLE_BLOCK_BYTES - skip : len - at;
        bool found = block_read(sc, (from + at) / TABLE_BLOCK_BYTES, block, bad);

        if (found)
            memcpy(out + at, block + skip, n);
        else
            memset(out + at, 0, n);
        memset(lost + at / 4, found ? 0 : 1, n / 4);
        at += n;
    }
}

bool sidecar_block_is_whole(const struct sidecar *sc, uint64_t n)
{
    uint8_t block[SECTOR_BYTES];
    uint64_t bad = 0;

    return block_read(sc, n, block, &bad) && bad == 0;
}

bool sidecar_group(const struct sidecar *sc, uint64_t g, struct group_tables *out, uint64_t *bad_blocks)
{
    struct parity_shape shape;
    size_t len;

    if (g >= sc->l.groups)
        return false;
    out->sectors = layout_group_sectors(&sc->l, g);
    shape = parity_shape_of(out->sectors);
    out->parity = parity_sectors(&shape);
    len = HASH_BYTES + 4 * ((size_t)out->sectors + out->parity);
    tables_read(sc, layout_group_tables(g), len, out->raw, out->lost, bad_blocks);
    out->hash_known = true;
    for (size_t i = 0; i < HASH_BYTES / 4; i++)
        out->hash_known = out->hash_known && out->lost[i] == 0;
    memcpy(out->hash.bytes, out->raw, HASH_BYTES);
    out->unknown = 0;
    for (size_t i = HASH_BYTES / 4; i < len / 4; i++)
        out->unknown += out->lost[i];
    return true;
}

bool group_tables_crc(const struct group_tables *t, uint32_t i, uint32_t *out)
{
    struct reader r = reader_over(span_of(t->raw + HASH_BYTES + 4 * (size_t)i, 4));

    *out = read_u32le(&r);
    return t->lost[HASH_BYTES / 4 + i] == 0;
}

bool sidecar_tables_fit(struct store *s, const struct sidecar *sc, uint64_t *bad_blocks, struct error *err)
{
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    uint8_t block[SECTOR_BYTES];
    struct hash got;
    bool ok = sha != NULL && EVP_DigestInit_ex(sha, s->suite.sha256, NULL) == 1, whole = true;

    if (!ok)
        (void)error_set(err, ERR_MEMORY, "no memory to check a seal");
    for (uint64_t n = 0; ok && n < sc->l.blocks; n++) {
        uint64_t left = sc->l.tables - n * TABLE_BLOCK_BYTES;

        whole = block_read(sc, n, block, bad_blocks) && whole;
        ok = EVP_DigestUpdate(sha, block, left < TABLE_BLOCK_BYTES ? (size_t)left : TABLE_BLOCK_BYTES) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(sha, got.bytes, NULL) == 1;
    EVP_MD_CTX_free(sha);
    if (ok && (!whole || memcmp(got.bytes, sc->h.tables_sha256.bytes, HASH_BYTES) != 0))
        ok = error_set(err, ERR_DAMAGED, "%s" SIDECAR_SUFFIX ": tables are damaged", sc->h.name);
    return ok;
}

bool sidecar_contents(const struct sidecar *sc, struct writer *out, struct error *err)
{
    size_t len = (size_t)(sc->l.tables - sc->l.contents);
    uint8_t *room = len == 0 ? NULL : write_room(out, len);
    uint8_t *lost = len == 0 ? NULL : calloc(1, len / 4 + 1);
    uint64_t bad = 0;
    bool ok = len == 0 || (room != NULL && lost != NULL);

    if (len == 0)
        return true;
    if (ok)
        tables_read(sc, sc->l.contents, len, room, lost, &bad);
    else
        (void)error_set(err, ERR_MEMORY, "no memory for a table of contents");
    for (size_t i = 0; ok && i < len / 4; i++)
        if (lost[i] != 0)
            ok = error_set(err, ERR_DAMAGED, "%s" SIDECAR_SUFFIX ": its table of contents is damaged", sc->h.name);
    free(lost);
    return ok;
}
