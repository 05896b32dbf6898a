/* Finding and repairing damage in sealed files. See mend.h. */
#include "vault/mend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"

#define GROUP_PARITY_SECTORS (GROUP_STRIPES * PARITY_ROWS)
/* Rows × stripes of a group that is not full can pass its sectors by less than a row. */
#define GROUP_CELLS   (GROUP_SECTORS + GROUP_STRIPES)
#define SOLVE_BYTES   ((size_t)(GROUP_CELLS + GROUP_PARITY_SECTORS) * SECTOR_BYTES)
#define PIECE_SECTORS 256u

struct mender {
    struct store *s;
    struct parity_code *code;
    EVP_MD_CTX *sha, *whole;
    struct group_tables tables;
    uint8_t piece[PIECE_SECTORS * SECTOR_BYTES];
    uint8_t bad[GROUP_CELLS]; /* 1: not as its CRC says; 2: its CRC is lost */
    uint8_t was_bad[GROUP_CELLS];
    uint8_t bad_parity[GROUP_PARITY_SECTORS];
    uint8_t *solve; /* SOLVE_BYTES: the group's data, then its parity; NULL until wanted */
    struct hash held; /* tables of the seal whose group `held_group` a reader left in solve and bad */
    uint64_t held_group;
};

/* The file being looked at. */
struct patient {
    struct sidecar sc;
    int fd;   /* -1: the file is gone, all of it is bad */
    int copy; /* -1: none */
    struct hash *trusted; /* of each group; NULL: nothing vouches for any; owned */
};

struct mender *mender_new(struct store *s, struct error *err)
{
    struct mender *m = calloc(1, sizeof *m);

    if (m != NULL) {
        m->s = s;
        m->code = parity_code_new();
        m->sha = EVP_MD_CTX_new();
        m->whole = EVP_MD_CTX_new();
        if (m->code != NULL && m->sha != NULL && m->whole != NULL)
            return m;
    }
    mender_free(m);
    (void)error_set(err, ERR_MEMORY, "no memory to look at sealed files");
    return NULL;
}

static void solve_done(struct mender *m)
{
    if (m->solve != NULL)
        (void)munmap(m->solve, SOLVE_BYTES);
    m->solve = NULL;
}

void mender_free(struct mender *m)
{
    if (m == NULL)
        return;
    solve_done(m);
    parity_code_free(m->code);
    EVP_MD_CTX_free(m->sha);
    EVP_MD_CTX_free(m->whole);
    free(m);
}

const struct parity_code *mender_code(const struct mender *m)
{
    return m->code;
}

/* ---- reading what may be bad ---- */

/* Bytes that a disk may refuse, sector by sector; what it does not give is zeros, and marked. */
static void read_hard(int fd, uint64_t from, size_t len, uint8_t *out, uint8_t *bad)
{
    if (file_read_at(fd, out, len, from, NULL))
        return;
    for (size_t at = 0; at < len; at += SECTOR_BYTES) {
        size_t n = len - at < SECTOR_BYTES ? len - at : SECTOR_BYTES;

        if (file_read_at(fd, out + at, n, from + at, NULL))
            continue;
        memset(out + at, 0, n);
        bad[at / SECTOR_BYTES] = 1;
    }
}

/* `count` sectors of the group from the i-th on into out, padded, and marked against their CRCs. Returns their bytes. */
static size_t read_data(struct mender *m, const struct patient *p, uint64_t g, uint32_t i, uint32_t count, uint8_t *out)
{
    uint64_t from = g * GROUP_BYTES + (uint64_t)i * SECTOR_BYTES, left = p->sc.l.length - from;
    size_t len = left < (uint64_t)count * SECTOR_BYTES ? (size_t)left : (size_t)count * SECTOR_BYTES;
    uint32_t crc;

    memset(m->bad + i, 0, count);
    memset(out + len, 0, (size_t)count * SECTOR_BYTES - len);
    read_hard(p->fd, from, len, out, m->bad + i);
    for (uint32_t n = 0; n < count; n++)
        if (!group_tables_crc(&m->tables, i + n, &crc))
            m->bad[i + n] |= 2;
        else if (sector_crc(out + (size_t)n * SECTOR_BYTES) != crc)
            m->bad[i + n] |= 1;
    return len;
}

static uint64_t read_parity(struct mender *m, const struct patient *p, uint64_t g, uint32_t i, uint32_t count,
                            uint8_t *out)
{
    uint64_t from = layout_group_parity(&p->sc.l, g) + (uint64_t)i * SECTOR_BYTES, bad = 0;
    uint32_t crc;

    memset(m->bad_parity + i, 0, count);
    read_hard(p->sc.fd, from, (size_t)count * SECTOR_BYTES, out, m->bad_parity + i);
    for (uint32_t n = 0; n < count; n++) {
        if (!group_tables_crc(&m->tables, m->tables.sectors + i + n, &crc)
            || sector_crc(out + (size_t)n * SECTOR_BYTES) != crc)
            m->bad_parity[i + n] = 1;
        bad += m->bad_parity[i + n];
    }
    return bad;
}

static uint32_t count_marks(const uint8_t *marks, uint32_t count, uint8_t which)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < count; i++)
        n += (marks[i] & which) != 0 ? 1 : 0;
    return n;
}

/* ---- a look at a group, piece by piece ---- */

struct group_look {
    struct hash hash; /* of the bytes as they are */
    uint32_t bad, unknown, bad_parity;
};

static bool hash_begin(EVP_MD_CTX *sha, struct store *s, struct error *err)
{
    return EVP_DigestInit_ex(sha, s->suite.sha256, NULL) == 1 || error_set(err, ERR_MEMORY, "SHA-256");
}

static bool hash_add(EVP_MD_CTX *sha, const uint8_t *bytes, size_t len, struct error *err)
{
    return EVP_DigestUpdate(sha, bytes, len) == 1 || error_set(err, ERR_MEMORY, "SHA-256");
}

static bool hash_end(EVP_MD_CTX *sha, struct hash *out, struct error *err)
{
    return EVP_DigestFinal_ex(sha, out->bytes, NULL) == 1 || error_set(err, ERR_MEMORY, "SHA-256");
}

static bool pace(const struct mend_order *o, uint64_t bytes, struct error *err)
{
    return o->pace == NULL || o->pace(o->pace_context, bytes) || error_set(err, ERR_BUSY, "interrupted");
}

static bool look_at_group(struct mender *m, const struct mend_order *o, const struct patient *p, uint64_t g,
                          struct group_look *out, struct error *err)
{
    struct group_look look = { 0 };

    if (!hash_begin(m->sha, m->s, err))
        return false;
    for (uint32_t i = 0; i < m->tables.sectors; i += PIECE_SECTORS) {
        uint32_t count = m->tables.sectors - i < PIECE_SECTORS ? m->tables.sectors - i : PIECE_SECTORS;
        size_t len = read_data(m, p, g, i, count, m->piece);

        if (!hash_add(m->sha, m->piece, len, err) || !pace(o, len, err))
            return false;
    }
    for (uint32_t i = 0; i < m->tables.parity; i += PIECE_SECTORS) {
        uint32_t count = m->tables.parity - i < PIECE_SECTORS ? m->tables.parity - i : PIECE_SECTORS;

        look.bad_parity += (uint32_t)read_parity(m, p, g, i, count, m->piece);
        if (!pace(o, (uint64_t)count * SECTOR_BYTES, err))
            return false;
    }
    look.bad = count_marks(m->bad, m->tables.sectors, 1);
    look.unknown = m->tables.unknown;
    *out = look;
    return hash_end(m->sha, &out->hash, err);
}

/* ---- solving a group in memory ---- */

/* Takes from the copy what is still marked, where its CRC fits; what has no CRC is taken on trust of the hash. */
static uint32_t take_from_copy(struct mender *m, const struct patient *p, uint64_t g)
{
    uint32_t taken = 0;

    for (uint32_t i = 0; i < m->tables.sectors; i++) {
        uint8_t *sector = m->solve + (size_t)i * SECTOR_BYTES;
        uint64_t from = g * GROUP_BYTES + (uint64_t)i * SECTOR_BYTES, left = p->sc.l.length - from;
        uint8_t bytes[SECTOR_BYTES] = { 0 };
        uint32_t crc;

        if (m->bad[i] == 0
            || !file_read_at(p->copy, bytes, left < SECTOR_BYTES ? (size_t)left : SECTOR_BYTES, from, NULL)
            || (group_tables_crc(&m->tables, i, &crc) && sector_crc(bytes) != crc))
            continue;
        memcpy(sector, bytes, SECTOR_BYTES);
        m->bad[i] = 0;
        taken++;
    }
    return taken;
}

/* What was filled in but does not fit its CRC is as lost as before: parity that lies is no parity. */
static uint32_t distrust(struct mender *m)
{
    uint32_t lost = 0, crc;

    for (uint32_t i = 0; i < m->tables.sectors; i++) {
        if (m->bad[i] == 0 && m->was_bad[i] != 0 && group_tables_crc(&m->tables, i, &crc)
            && sector_crc(m->solve + (size_t)i * SECTOR_BYTES) != crc)
            m->bad[i] = 1;
        lost += m->bad[i] != 0 ? 1 : 0;
    }
    return lost;
}

/*
 * The group into m->solve, with everything filled in that parity or the copy gives. m->was_bad: what was marked before,
 * m->bad: what stays lost (*lost of them).
 */
static bool solve_group(struct mender *m, const struct patient *p, uint64_t g, uint32_t *lost, struct error *err)
{
    struct parity_shape shape = parity_shape_of(m->tables.sectors);
    uint8_t *parity;

    if (m->solve == NULL) {
        void *room = mmap(NULL, SOLVE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (room == MAP_FAILED)
            return error_set(err, ERR_MEMORY, "no memory to repair a group");
        m->solve = room;
    }
    parity = m->solve + (size_t)GROUP_CELLS * SECTOR_BYTES;
    memset(m->bad, 0, sizeof m->bad);
    memset(m->solve, 0, (size_t)shape.rows * shape.stripes * SECTOR_BYTES);
    (void)read_data(m, p, g, 0, m->tables.sectors, m->solve);
    (void)read_parity(m, p, g, 0, m->tables.parity, parity);
    memcpy(m->was_bad, m->bad, sizeof m->bad);
    if (parity_fill(m->code, &shape, m->solve, parity, m->bad, m->bad_parity) == UINT32_MAX)
        return error_set(err, ERR_MEMORY, "no memory to repair a group");
    *lost = distrust(m);
    if (*lost > 0 && p->copy >= 0 && take_from_copy(m, p, g) > 0) {
        if (parity_fill(m->code, &shape, m->solve, parity, m->bad, m->bad_parity) == UINT32_MAX)
            return error_set(err, ERR_MEMORY, "no memory to repair a group");
        *lost = distrust(m);
    }
    return true;
}

static size_t group_length(const struct patient *p, uint64_t g)
{
    uint64_t left = p->sc.l.length - g * GROUP_BYTES;

    return left < GROUP_BYTES ? (size_t)left : GROUP_BYTES;
}

/* ---- who vouches ---- */

/*
 * The groups' hashes: from tables that fit the header; where no copy of some block is left, from the groups themselves,
 * solved, if together they have the hash of the file. out->trusted stays NULL where nothing vouches.
 */
static bool find_trusted(struct mender *m, const struct mend_order *o, struct patient *p, struct error *err)
{
    struct hash sha256, *hashes = calloc((size_t)p->sc.l.groups, sizeof *hashes);
    uint64_t ignored = 0;
    struct error why = { 0 };
    bool fit = sidecar_tables_fit(m->s, &p->sc, &ignored, &why), ok = hashes != NULL, whole = true;

    if (!ok || !hash_begin(m->whole, m->s, err)) {
        free(hashes);
        return error_set(err, ERR_MEMORY, "no memory for the hashes of a seal");
    }
    for (uint64_t g = 0; ok && whole && g < p->sc.l.groups; g++) {
        uint32_t lost = 0;

        (void)sidecar_group(&p->sc, g, &m->tables, &ignored);
        hashes[g] = m->tables.hash;
        if (fit)
            continue;
        ok = solve_group(m, p, g, &lost, err) && hash_add(m->whole, m->solve, group_length(p, g), err)
             && hash_begin(m->sha, m->s, err) && hash_add(m->sha, m->solve, group_length(p, g), err)
             && hash_end(m->sha, &hashes[g], err) && pace(o, group_length(p, g), err);
        whole = lost == 0;
    }
    ok = ok && hash_end(m->whole, &sha256, err);
    if (ok && (fit || (whole && memcmp(sha256.bytes, p->sc.h.sha256.bytes, HASH_BYTES) == 0)))
        p->trusted = hashes;
    else
        free(hashes);
    return ok;
}

/* ---- writing back ---- */

static bool write_group(struct mender *m, const struct patient *p, int out, uint64_t g, uint64_t *written,
                        struct error *err)
{
    for (uint32_t i = 0; i < m->tables.sectors; i++) {
        uint64_t from = g * GROUP_BYTES + (uint64_t)i * SECTOR_BYTES, left = p->sc.l.length - from;
        struct span sector = span_of(m->solve + (size_t)i * SECTOR_BYTES,
                                     left < SECTOR_BYTES ? (size_t)left : SECTOR_BYTES);
        uint8_t now[SECTOR_BYTES];

        if (m->was_bad[i] == 0
            || (file_read_at(p->fd, now, sector.len, from, NULL) && memcmp(now, sector.ptr, sector.len) == 0))
            continue; /* only its CRC was lost */
        if (!disk_write_at(&m->s->disk, out, sector, from, err))
            return false;
        ++*written;
    }
    return true;
}

/* What is solved is written, if the whole group is what the seal says. */
static bool repair_group(struct mender *m, const struct mend_order *o, struct patient *p, uint64_t g,
                         struct mend_result *r, bool *fits, struct error *err)
{
    struct hash hash;
    uint64_t written = 0;
    bool ok;
    int out;

    if (!hash_begin(m->sha, m->s, err) || !hash_add(m->sha, m->solve, group_length(p, g), err)
        || !hash_end(m->sha, &hash, err))
        return false;
    *fits = p->trusted != NULL && memcmp(hash.bytes, p->trusted[g].bytes, HASH_BYTES) == 0;
    if (!*fits || !o->write)
        return true;
    out = disk_open(&m->s->disk, o->name, O_RDWR | O_CREAT, err);
    if (out < 0)
        return false;
    ok = write_group(m, p, out, g, &written, err) && disk_sync(&m->s->disk, out, err);
    disk_close(&m->s->disk, &out);
    r->repaired += written;
    return ok;
}

/* ---- a whole file ---- */

static void say(const struct mend_order *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct mend_order *o, const char *format, ...)
{
    char text[FINDING_MAX];
    va_list args;

    if (o->report == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    o->report(o->report_context, text);
}

static bool heal_group(struct mender *m, const struct mend_order *o, struct patient *p, uint64_t g,
                       struct mend_result *r, struct error *err)
{
    unsigned long long at = (unsigned long long)(g * GROUP_BYTES);
    struct mend_result before = *r;
    struct group_look look;
    uint32_t lost = 0, bad;
    bool fits = false;

    if (!sidecar_group(&p->sc, g, &m->tables, &r->bad_seal) || !look_at_group(m, o, p, g, &look, err))
        return false;
    r->bad_seal += look.bad_parity;
    if (look.bad == 0 && p->trusted != NULL && memcmp(look.hash.bytes, p->trusted[g].bytes, HASH_BYTES) == 0)
        return true;
    if (look.bad == 0 && look.unknown == 0) {
        r->forged = r->forged || p->trusted != NULL;
        if (p->trusted != NULL)
            say(o, "%s: from byte %llu on it is not what was sealed, though every checksum fits", o->name, at);
        return true;
    }
    if (!solve_group(m, p, g, &lost, err) || (lost == 0 && !repair_group(m, o, p, g, r, &fits, err)))
        return false;
    bad = look.bad == 0 ? 1 : look.bad; /* with lost CRCs nobody knows how many */
    r->bad += bad;
    r->solvable += fits ? bad : 0;
    r->lost += fits ? 0 : lost > 0 ? lost : bad;
    say(o, "%s: %u of %u sectors from byte %llu on are damaged%s", o->name, bad, m->tables.sectors, at,
        r->repaired > before.repaired ? ", repaired"
        : fits                        ? ", all can be repaired"
        : lost > 0                    ? ", and not all can be repaired"
                                      : ", and nothing vouches for a repair");
    return true;
}

static bool heal_length(struct mender *m, const struct mend_order *o, const struct patient *p, struct mend_result *r,
                        struct error *err)
{
    uint64_t size = 0;
    bool ok;
    int fd;

    if (p->fd >= 0 && !file_size(p->fd, &size, err))
        return false;
    r->length_bad = size != p->sc.l.length;
    if (!r->length_bad)
        return true;
    say(o, "%s: %llu bytes, not %llu", o->name, (unsigned long long)size, (unsigned long long)p->sc.l.length);
    if (!o->write || p->trusted == NULL || size < p->sc.l.length)
        return true; /* what is missing is bad sectors */
    fd = disk_open(&m->s->disk, o->name, O_RDWR, err);
    ok = fd >= 0 && disk_truncate(&m->s->disk, fd, p->sc.l.length, err) && disk_sync(&m->s->disk, fd, err);
    disk_close(&m->s->disk, &fd);
    return ok;
}

/* *fd: -1 where nothing is there under that name. False where nobody knows (no descriptor left): it is not lost then. */
static bool open_below(const char *root, const char *name, int *fd, struct error *err)
{
    char path[DISK_PATH_MAX];

    *fd = -1;
    if (root == NULL)
        return true;
    if (!path_join(path, sizeof path, root, name, err))
        return false;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return *fd >= 0 || errno == ENOENT || errno == ENOTDIR || errno == ELOOP || error_errno(err, "open of %s", name);
}

/* After the groups: what is there again counts, and a name that was made anew must last. */
static bool settle(struct mender *m, const struct mend_order *o, const struct patient *p, struct mend_result *r,
                   struct error *err)
{
    char dir[NAME_BYTES_MAX];

    if (r->bad_seal > 0)
        say(o, "%s" SIDECAR_SUFFIX ": %llu of its sectors are damaged", o->name, (unsigned long long)r->bad_seal);
    if (o->write && r->repaired > 0 && r->lost == 0)
        r->length_bad = false;
    if (!o->write || r->repaired == 0 || p->fd >= 0)
        return true;
    (void)snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(o->name, '/') - o->name), o->name);
    return disk_sync_dir(&m->s->disk, dir, err);
}

static bool heal(struct mender *m, const struct mend_order *o, struct patient *p, struct mend_result *r,
                 struct error *err)
{
    uint64_t again = 0;

    r->was_damaged = p->sc.h.was_damaged;
    r->bad_seal = (p->sc.header_bad[0] ? 1 : 0) + (p->sc.header_bad[1] ? 1 : 0);
    if (!find_trusted(m, o, p, err) || !heal_length(m, o, p, r, err))
        return false;
    for (uint64_t g = 0; g < p->sc.l.groups; g++)
        if (!heal_group(m, o, p, g, r, err))
            return false;
    for (uint64_t n = p->sc.l.contents / TABLE_BLOCK_BYTES; n < p->sc.l.blocks; n++)
        if (!sidecar_block_is_whole(&p->sc, n)) /* blocks that no group reads */
            again++;
    r->bad_seal += again;
    return settle(m, o, p, r, err);
}

bool mend_file(struct mender *m, const struct mend_order *order, struct mend_result *out, struct error *err)
{
    struct mend_result r = { 0 };
    struct patient p = { .fd = -1, .copy = -1 };
    bool ok = sidecar_open(m->s, m->s->disk.root, order->name, &p.sc, err);

    if (!ok)
        return false;
    ok = open_below(m->s->disk.root, order->name, &p.fd, err) && open_below(order->copy, order->name, &p.copy, err)
         && heal(m, order, &p, &r, err);
    solve_done(m);
    free(p.trusted);
    file_close(&p.fd);
    file_close(&p.copy);
    sidecar_close(&p.sc);
    *out = r;
    return ok || error_within(err, "%s", order->name);
}

bool mend_seal(struct mender *m, const char *name, pace_fn *pace_of, void *pace_context, struct error *err)
{
    struct sidecar sc;
    struct writer contents = writer_new((size_t)64 << 20);
    uint64_t size;
    bool ok = sidecar_open(m->s, m->s->disk.root, name, &sc, err);

    if (!ok)
        return false;
    ok = sidecar_contents(&sc, &contents, err);
    if (ok) {
        struct sidecar_order order = { .name = name,
                                       .was_damaged = sc.h.was_damaged,
                                       .first = sc.h.first,
                                       .behind = sc.h.behind,
                                       .contents = writer_span(&contents),
                                       .must_be = &sc.h.sha256,
                                       .made_us = sc.h.made_us,
                                       .pace = pace_of,
                                       .pace_context = pace_context };

        ok = sidecar_make(m->s, m->code, &order, &size, err);
    }
    writer_done(&contents);
    sidecar_close(&sc);
    return ok;
}

/* ---- for readers ---- */

static bool read_solved(struct mender *m, const struct patient *p, uint64_t offset, uint8_t *out, size_t len,
                        struct error *err)
{
    while (len > 0) {
        uint64_t g = offset / GROUP_BYTES, ignored = 0;
        size_t skip = (size_t)(offset % GROUP_BYTES);
        size_t n = group_length(p, g) - skip < len ? group_length(p, g) - skip : len;
        uint32_t lost;

        if (m->solve == NULL || m->held_group != g
            || memcmp(m->held.bytes, p->sc.h.tables_sha256.bytes, HASH_BYTES) != 0) {
            (void)sidecar_group(&p->sc, g, &m->tables, &ignored);
            m->held_group = UINT64_MAX;
            if (!solve_group(m, p, g, &lost, err))
                return false;
            m->held_group = g; /* the next read may want its neighbour */
            m->held = p->sc.h.tables_sha256;
        }
        for (size_t i = skip / SECTOR_BYTES; i * SECTOR_BYTES < skip + n; i++)
            if (m->bad[i] != 0)
                return error_set(err, ERR_DAMAGED, "%s: the sector at %llu is lost", p->sc.h.name,
                                 (unsigned long long)(g * GROUP_BYTES + i * SECTOR_BYTES));
        memcpy(out, m->solve + skip, n);
        out += n;
        offset += n;
        len -= n;
    }
    return true;
}

bool mend_read(struct store *s, const char *name, uint64_t offset, uint8_t *out, size_t len, struct error *err)
{
    struct patient p = { .fd = -1, .copy = -1 };
    struct mender *m;
    bool ok;

    if (!sidecar_open(s, s->disk.root, name, &p.sc, err))
        return false;
    (void)pthread_mutex_lock(&s->mend_lock); /* one at a time: a group takes 18 MiB */
    if (s->readers_mender == NULL)
        s->readers_mender = mender_new(s, err);
    m = s->readers_mender;
    ok = m != NULL && open_below(s->disk.root, name, &p.fd, err) && (offset <= p.sc.l.length && len <= p.sc.l.length - offset
                           ? read_solved(m, &p, offset, out, len, err)
                           : error_set(err, ERR_DAMAGED, "%s: nothing to read there", name));
    (void)pthread_mutex_unlock(&s->mend_lock);
    file_close(&p.fd);
    sidecar_close(&p.sc);
    return ok;
}

void mend_forget(struct store *s)
{
    (void)pthread_mutex_lock(&s->mend_lock);
    if (s->readers_mender != NULL)
        solve_done(s->readers_mender);
    (void)pthread_mutex_unlock(&s->mend_lock);
}
