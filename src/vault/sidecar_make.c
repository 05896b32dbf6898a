/*
 * Making a seal: one pass over the file, memory that does not grow with it. See sidecar.h.
 */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/file.h"
#include "vault/sidecar.h"

#define PARITY_BYTES ((size_t)GROUP_STRIPES * PARITY_ROWS * SECTOR_BYTES)
#define ROW_BYTES    ((size_t)GROUP_STRIPES * SECTOR_BYTES)
#define SIGNED_BYTES 416u

struct maker {
    struct store *s;
    const struct parity_code *code;
    const struct sidecar_order *order;
    struct sidecar_layout l;
    int in, out;
    EVP_MD_CTX *whole, *group, *tables;
    uint8_t *row, *parity;
    struct writer group_tables; /* of the group being read */
    struct writer blocks;       /* full blocks that are not written yet, then what begins the next one */
    uint64_t block_at;          /* number of the first of them */
};

/* ---- tables ---- */

/* Turns bytes of the tables into blocks, and writes those that are full (at the end: the last, too) to both copies. */
static bool add_tables(struct maker *m, struct span bytes, bool last, struct error *err)
{
    struct span ready;
    size_t partial = m->blocks.len % SECTOR_BYTES;

    if (EVP_DigestUpdate(m->tables, bytes.ptr, bytes.len) != 1)
        return error_set(err, ERR_MEMORY, "SHA-256");
    while (bytes.len > 0 || (last && partial > 0)) {
        struct span part = span_part(bytes, 0, TABLE_BLOCK_BYTES - partial);
        struct span block;

        write_span(&m->blocks, part);
        bytes = span_part(bytes, part.len, bytes.len);
        partial += part.len;
        if (partial < TABLE_BLOCK_BYTES && !last)
            break;
        write_fill(&m->blocks, 0, TABLE_BLOCK_BYTES - partial);
        if (m->blocks.failed)
            break;
        block = span_part(writer_span(&m->blocks), m->blocks.len - TABLE_BLOCK_BYTES, TABLE_BLOCK_BYTES);
        write_u32le(&m->blocks, crc32c(block));
        partial = 0;
    }
    if (!writer_ok(&m->blocks, err, "tables"))
        return false;
    ready = span_part(writer_span(&m->blocks), 0, m->blocks.len / SECTOR_BYTES * SECTOR_BYTES);
    if (!disk_write_at(&m->s->disk, m->out, ready, (1 + m->block_at) * SECTOR_BYTES, err)
        || !disk_write_at(&m->s->disk, m->out, ready, m->l.again_at + m->block_at * SECTOR_BYTES, err))
        return false;
    m->block_at += ready.len / SECTOR_BYTES;
    memmove(m->blocks.ptr, m->blocks.ptr + ready.len, m->blocks.len - ready.len);
    m->blocks.len -= ready.len;
    return true;
}

/* ---- groups ---- */

static bool read_row(struct maker *m, uint64_t from, size_t room, size_t *len, struct error *err)
{
    uint64_t left = m->l.length - from;

    *len = left < room ? (size_t)left : room;
    memset(m->row + *len, 0, room - *len);
    return file_read_at(m->in, m->row, *len, from, err)
           && (EVP_DigestUpdate(m->whole, m->row, *len) == 1 && EVP_DigestUpdate(m->group, m->row, *len) == 1
                   ? true
                   : error_set(err, ERR_MEMORY, "SHA-256"));
}

static bool pace(struct maker *m, uint64_t bytes, struct error *err)
{
    return m->order->pace == NULL || m->order->pace(m->order->pace_context, bytes)
           || error_set(err, ERR_BUSY, "interrupted");
}

static bool make_group(struct maker *m, uint64_t g, struct error *err)
{
    uint32_t sectors = layout_group_sectors(&m->l, g);
    struct parity_shape shape = parity_shape_of(sectors);
    size_t row_bytes = (size_t)shape.stripes * SECTOR_BYTES, len;
    size_t parity_bytes = (size_t)parity_sectors(&shape) * SECTOR_BYTES;
    struct hash hash;

    memset(m->parity, 0, parity_bytes);
    writer_reset(&m->group_tables);
    write_fill(&m->group_tables, 0, HASH_BYTES); /* the hash, below */
    if (EVP_DigestInit_ex(m->group, m->s->suite.sha256, NULL) != 1)
        return error_set(err, ERR_MEMORY, "SHA-256");
    for (uint32_t row = 0; row < shape.rows; row++) {
        if (!read_row(m, g * GROUP_BYTES + row * row_bytes, row_bytes, &len, err) || !pace(m, len, err))
            return false;
        for (size_t at = 0; at < len; at += SECTOR_BYTES)
            write_u32le(&m->group_tables, sector_crc(m->row + at));
        parity_add_row(m->code, &shape, row, m->row, m->parity);
    }
    for (size_t at = 0; at < parity_bytes; at += SECTOR_BYTES)
        write_u32le(&m->group_tables, sector_crc(m->parity + at));
    if (!writer_ok(&m->group_tables, err, "tables") || EVP_DigestFinal_ex(m->group, hash.bytes, NULL) != 1)
        return false;
    memcpy(m->group_tables.ptr, hash.bytes, HASH_BYTES);
    return disk_write_at(&m->s->disk, m->out, span_of(m->parity, parity_bytes), layout_group_parity(&m->l, g), err)
           && add_tables(m, writer_span(&m->group_tables), false, err);
}

/* ---- header ---- */

static bool sign(struct maker *m, struct writer *header, struct error *err)
{
    uint8_t seed[KEY_BYTES], secret[crypto_sign_SECRETKEYBYTES], public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t signature[crypto_sign_BYTES], mac[HASH_BYTES];
    struct writer message = writer_new(1024);
    struct seal seal;
    bool ok = seal_init(&seal, &m->s->suite, err) && keyring_data_key(m->s->keyring, &seal, 0, seed, err);

    seal_done(&seal);
    if (!ok)
        return false;
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
    write_fill(header, 0, SIGNED_BYTES - 32 - header->len);
    write_span(header, span_of(public_key, sizeof public_key));
    write_str(&message, "fanal/1/seal\n");
    write_span(&message, writer_span(header));
    ok = writer_ok(&message, err, "seal")
         && crypto_sign_detached(signature, NULL, message.ptr, message.len, secret) == 0;
    seal_wipe(secret, sizeof secret);
    seal_wipe(seed, sizeof seed);
    writer_done(&message);
    write_span(header, span_of(signature, sizeof signature));
    if (!ok || !writer_ok(header, err, "seal"))
        return false;
    seal_mac(keyring_keys(m->s->keyring)->file, writer_span(header), mac);
    write_span(header, span_of(mac, sizeof mac));
    return writer_ok(header, err, "seal");
}

static bool write_headers(struct maker *m, const struct hash *sha256, const struct hash *tables, struct error *err)
{
    const struct sidecar_order *o = m->order;
    struct writer w = writer_new(SIDECAR_HEADER_BYTES);
    bool ok;

    write_str(&w, "FANALSEL");
    write_u32le(&w, 1);
    write_u32le(&w, o->was_damaged ? 1 : 0);
    write_span(&w, span_of(keyring_vault_id(m->s->keyring), VAULT_ID_BYTES));
    write_str(&w, o->name);
    write_fill(&w, 0, 96 - w.len);
    write_u64le(&w, m->l.length);
    write_u64le(&w, o->made_us);
    write_span(&w, span_of(sha256->bytes, HASH_BYTES));
    write_u64le(&w, o->first);
    write_u64le(&w, o->behind);
    write_u64le(&w, m->l.tables);
    write_span(&w, span_of(tables->bytes, HASH_BYTES));
    write_u32le(&w, SECTOR_BYTES);
    write_u32le(&w, DATA_ROWS);
    write_u32le(&w, PARITY_ROWS);
    write_u32le(&w, GROUP_STRIPES);
    ok = sign(m, &w, err) && disk_write_at(&m->s->disk, m->out, writer_span(&w), 0, err)
         && disk_write_at(&m->s->disk, m->out, writer_span(&w), m->l.size - SIDECAR_HEADER_BYTES, err);
    writer_done(&w);
    return ok;
}

static bool make_all(struct maker *m, struct error *err)
{
    struct hash sha256, tables;

    if (EVP_DigestInit_ex(m->whole, m->s->suite.sha256, NULL) != 1
        || EVP_DigestInit_ex(m->tables, m->s->suite.sha256, NULL) != 1)
        return error_set(err, ERR_MEMORY, "SHA-256");
    for (uint64_t g = 0; g < m->l.groups; g++)
        if (!make_group(m, g, err))
            return false;
    if (!add_tables(m, m->order->contents, true, err) || EVP_DigestFinal_ex(m->whole, sha256.bytes, NULL) != 1
        || EVP_DigestFinal_ex(m->tables, tables.bytes, NULL) != 1)
        return false;
    if (m->order->must_be != NULL && memcmp(m->order->must_be->bytes, sha256.bytes, HASH_BYTES) != 0)
        return error_set(err, ERR_DAMAGED, "%s is not as it was sealed", m->order->name);
    return write_headers(m, &sha256, &tables, err) && disk_sync(&m->s->disk, m->out, err);
}

/* Memory of its own and not malloc's, which would keep it. */
static bool maker_memory(struct maker *m, struct error *err)
{
    uint8_t *room = mmap(NULL, PARITY_BYTES + ROW_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    m->parity = room == MAP_FAILED ? NULL : room;
    m->row = m->parity == NULL ? NULL : room + PARITY_BYTES;
    m->whole = EVP_MD_CTX_new();
    m->group = EVP_MD_CTX_new();
    m->tables = EVP_MD_CTX_new();
    m->group_tables = writer_new(GROUP_TABLES_MAX);
    m->blocks = writer_new((size_t)64 << 20);
    return (m->parity != NULL && m->whole != NULL && m->group != NULL && m->tables != NULL)
           || error_set(err, ERR_MEMORY, "no memory to seal a file");
}

static void maker_done(struct maker *m)
{
    if (m->parity != NULL)
        (void)munmap(m->parity, PARITY_BYTES + ROW_BYTES);
    EVP_MD_CTX_free(m->whole);
    EVP_MD_CTX_free(m->group);
    EVP_MD_CTX_free(m->tables);
    writer_done(&m->group_tables);
    writer_done(&m->blocks);
    file_close(&m->in);
    disk_close(&m->s->disk, &m->out);
}

/* What a seal takes must not come out of the reserve. */
static bool space_for(struct store *s, uint64_t bytes, struct error *err)
{
    uint64_t left;

    if (!disk_free_bytes(&s->disk, &left, err))
        return false;
    return left >= s->space.floors.objects + bytes || error_set(err, ERR_NO_SPACE, "a seal would use up the reserve");
}

static bool open_files(struct maker *m, const char *fresh, struct error *err)
{
    char path[DISK_PATH_MAX];
    uint64_t length = 0;

    disk_path(&m->s->disk, m->order->name, path);
    m->in = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (m->in < 0)
        return error_errno(err, "%s", m->order->name);
    if (!file_size(m->in, &length, err) || !sidecar_layout_of(length, m->order->contents.len, &m->l, err)
        || !space_for(m->s, m->l.size, err))
        return false;
    m->out = disk_open(&m->s->disk, fresh, O_RDWR | O_CREAT | O_TRUNC, err);
    return m->out >= 0;
}

static bool publish(struct store *s, const char *fresh, const char *beside, struct error *err)
{
    char dir[NAME_BYTES_MAX];
    const char *slash = strrchr(beside, '/');

    (void)snprintf(dir, sizeof dir, "%.*s", (int)(slash - beside), beside);
    return disk_rename(&s->disk, fresh, beside, err) && disk_sync_dir(&s->disk, dir, err);
}

bool sidecar_make(struct store *s, const struct parity_code *code, const struct sidecar_order *order, uint64_t *size,
                  struct error *err)
{
    struct maker m = { .s = s, .code = code, .order = order, .in = -1, .out = -1 };
    char beside[NAME_BYTES_MAX], fresh[NAME_BYTES_MAX];
    bool made;

    sidecar_name(order->name, beside);
    (void)snprintf(fresh, sizeof fresh, "%.88s.new", beside);
    if (strlen(order->name) >= SIDECAR_NAME_BYTES || strchr(order->name, '/') == NULL)
        return error_set(err, ERR_LIMIT, "no name of a sealed file");
    made = maker_memory(&m, err) && open_files(&m, fresh, err) && make_all(&m, err);
    if (m.out >= 0 && !made)
        (void)disk_unlink(&s->disk, fresh, NULL);
    *size = m.l.size;
    maker_done(&m);
    return (made && publish(s, fresh, beside, err)) || error_within(err, "seal of %s", order->name);
}
