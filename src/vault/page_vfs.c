/*
 * The encrypting VFS. See page_vfs.h; the layout of both files is in docs/views.md, "Pages".
 *
 * SQLite reads and writes logical ranges; each is mapped to whole sealed units. Database pages keep nonce
 * and tag in the page's reserved bytes, so logical and physical offsets agree. In the WAL each unit is
 * followed by its 28 bytes, so offsets move apart: wal_place() knows both.
 */
#include "vault/page_vfs.h"

#include <inttypes.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "vault/page_raw.h"
#include "vault/page_lock.h"

/* SQLite file format, §4.1 and §4.2 of its documentation. */
#define WAL_HEADER_BYTES 32
#define FRAME_HEADER_BYTES 24
#define FRAME_BYTES (FRAME_HEADER_BYTES + PAGE_BYTES)
#define SEALED_HEADER_BYTES (WAL_HEADER_BYTES + PAGE_SEAL_BYTES)
#define SEALED_FRAME_BYTES (FRAME_BYTES + 2 * PAGE_SEAL_BYTES)
#define PAGE_CONTENT_BYTES (PAGE_BYTES - PAGE_RESERVED_BYTES)

struct page_vfs {
    sqlite3_vfs vfs; /* first: SQLite hands us its address */
    sqlite3_vfs *real; /* for time, sleep and access; it opens no file */
    const struct disk *disk;
    char name[40];
    uint8_t key[PAGE_KEY_BYTES];
    uint8_t view_id[PAGE_ID_BYTES];
    struct page_locks locks;
};

struct page_file {
    sqlite3_file file; /* first */
    struct page_vfs *owner;
    struct page_raw raw;
    struct page_cipher cipher;
    struct page_holds holds;
    uint8_t unit[PAGE_BYTES + PAGE_SEAL_BYTES]; /* one sealed unit */
    uint8_t plain[PAGE_BYTES];
};

static struct page_file *file_of(sqlite3_file *file)
{
    return (struct page_file *)file;
}

/* ---- database file ---- */

/* Page number `page` (from 0) into f->plain. SHORT_READ, with zeros, at the end of the file. */
static int page_load(struct page_file *f, uint64_t page)
{
    int rc = page_raw_read(&f->raw, f->unit, PAGE_BYTES, (sqlite3_int64)(page * PAGE_BYTES));

    memset(f->plain, 0, PAGE_BYTES);
    if (rc != SQLITE_OK)
        return rc;
    if (!page_cipher_open(&f->cipher, UNIT_PAGE, page, span_of(f->unit, PAGE_CONTENT_BYTES), f->plain,
                          f->unit + PAGE_CONTENT_BYTES))
        return SQLITE_IOERR_DATA;
    return SQLITE_OK;
}

static int main_read(sqlite3_file *file, void *out, int len, sqlite3_int64 offset)
{
    struct page_file *f = file_of(file);
    uint8_t *to = out;

    if (len < 0 || offset < 0)
        return SQLITE_IOERR_READ;
    memset(out, 0, (size_t)len);
    for (size_t done = 0; done < (size_t)len;) {
        uint64_t at = (uint64_t)offset + done;
        size_t within = (size_t)(at % PAGE_BYTES), n = PAGE_BYTES - within;
        int rc = page_load(f, at / PAGE_BYTES);

        if (rc != SQLITE_OK)
            return rc;
        n = n < (size_t)len - done ? n : (size_t)len - done;
        memcpy(to + done, f->plain + within, n);
        done += n;
    }
    return SQLITE_OK;
}

static int main_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    struct page_file *f = file_of(file);
    uint64_t page = (uint64_t)offset / PAGE_BYTES;

    if (len != PAGE_BYTES || offset < 0 || offset % PAGE_BYTES != 0)
        return SQLITE_IOERR_WRITE; /* SQLite writes whole pages of the size we chose */
    memset(f->unit, 0, PAGE_BYTES);
    if (!page_cipher_seal(&f->cipher, UNIT_PAGE, page, span_of(bytes, PAGE_CONTENT_BYTES), f->unit,
                          f->unit + PAGE_CONTENT_BYTES))
        return SQLITE_IOERR_WRITE;
    return page_raw_write(&f->raw, span_of(f->unit, PAGE_BYTES), offset);
}

static int main_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return page_raw_truncate(&file_of(file)->raw, size);
}

static int main_size(sqlite3_file *file, sqlite3_int64 *out)
{
    return page_raw_size(&file_of(file)->raw, out);
}

/* ---- WAL ---- */

struct wal_place {
    enum page_unit unit;
    uint64_t number;      /* frame, from 0 */
    uint64_t logical, physical;
    size_t len;
};

/* The unit that holds logical offset `at`. */
static struct wal_place wal_place(uint64_t at)
{
    uint64_t frame, logical, physical;

    if (at < WAL_HEADER_BYTES)
        return (struct wal_place){ UNIT_WAL_HEADER, 0, 0, 0, WAL_HEADER_BYTES };
    frame = (at - WAL_HEADER_BYTES) / FRAME_BYTES;
    logical = WAL_HEADER_BYTES + frame * FRAME_BYTES;
    physical = SEALED_HEADER_BYTES + frame * SEALED_FRAME_BYTES;
    if (at - logical < FRAME_HEADER_BYTES)
        return (struct wal_place){ UNIT_FRAME_HEADER, frame, logical, physical, FRAME_HEADER_BYTES };
    return (struct wal_place){ UNIT_FRAME_PAGE, frame, logical + FRAME_HEADER_BYTES,
                               physical + FRAME_HEADER_BYTES + PAGE_SEAL_BYTES, PAGE_BYTES };
}

/* A unit into f->plain. SQLITE_IOERR_DATA, with zeros, where it is not authentic. */
static int wal_load(struct page_file *f, const struct wal_place *p)
{
    int rc = page_raw_read(&f->raw, f->unit, p->len + PAGE_SEAL_BYTES, (sqlite3_int64)p->physical);

    memset(f->plain, 0, PAGE_BYTES);
    if (rc != SQLITE_OK)
        return rc;
    return page_cipher_open(&f->cipher, p->unit, p->number, span_of(f->unit, p->len), f->plain, f->unit + p->len)
               ? SQLITE_OK
               : SQLITE_IOERR_DATA;
}

/*
 * Recovery reads headers and whole frames: what is torn or not authentic reads as zeros there, which SQLite takes
 * for the end of the WAL. A page alone is read because the index named it: then damage is an error.
 */
static int wal_read(sqlite3_file *file, void *out, int len, sqlite3_int64 offset)
{
    struct page_file *f = file_of(file);
    const bool recovering = wal_place((uint64_t)offset).unit != UNIT_FRAME_PAGE;
    uint8_t *to = out;

    if (len < 0 || offset < 0)
        return SQLITE_IOERR_READ;
    memset(out, 0, (size_t)len);
    for (size_t done = 0; done < (size_t)len;) {
        struct wal_place p = wal_place((uint64_t)offset + done);
        size_t within = (size_t)((uint64_t)offset + done - p.logical), n = p.len - within;
        int rc = wal_load(f, &p);

        if (rc != SQLITE_OK) {
            memset(out, 0, (size_t)len);
            return rc == SQLITE_IOERR_DATA && recovering ? SQLITE_OK : rc;
        }
        n = n < (size_t)len - done ? n : (size_t)len - done;
        memcpy(to + done, f->plain + within, n);
        done += n;
    }
    return SQLITE_OK;
}

static int wal_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 offset)
{
    struct page_file *f = file_of(file);
    struct wal_place p = wal_place((uint64_t)offset);

    if (offset < 0 || len < 0 || (uint64_t)offset != p.logical || (size_t)len != p.len)
        return SQLITE_IOERR_WRITE; /* SQLite writes a header or a page at a time */
    if (!page_cipher_seal(&f->cipher, p.unit, p.number, span_of(bytes, p.len), f->unit, f->unit + p.len))
        return SQLITE_IOERR_WRITE;
    return page_raw_write(&f->raw, span_of(f->unit, p.len + PAGE_SEAL_BYTES), (sqlite3_int64)p.physical);
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct wal_place p = wal_place(size > 0 ? (uint64_t)size - 1 : 0);
    uint64_t physical = size > 0 ? p.physical + p.len + PAGE_SEAL_BYTES : 0; /* whole units stay */

    return page_raw_truncate(&file_of(file)->raw, (sqlite3_int64)physical);
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *out)
{
    sqlite3_int64 physical;
    int rc = page_raw_size(&file_of(file)->raw, &physical);

    if (rc == SQLITE_OK && physical < SEALED_HEADER_BYTES)
        *out = 0;
    else if (rc == SQLITE_OK)
        *out = WAL_HEADER_BYTES + (physical - SEALED_HEADER_BYTES) / SEALED_FRAME_BYTES * FRAME_BYTES;
    return rc;
}

/* ---- both ---- */

static int any_close(sqlite3_file *file)
{
    struct page_file *f = file_of(file);
    int rc = page_raw_close(&f->raw);

    (void)page_unlock(&f->owner->locks, &f->holds, SQLITE_LOCK_NONE);
    page_cipher_done(&f->cipher);
    sodium_memzero(f->plain, sizeof f->plain);
    return rc;
}

static int any_sync(sqlite3_file *file, int flags)
{
    (void)flags;
    return page_raw_sync(&file_of(file)->raw);
}

static int any_lock(sqlite3_file *file, int level)
{
    return page_lock(&file_of(file)->owner->locks, &file_of(file)->holds, level);
}

static int any_unlock(sqlite3_file *file, int level)
{
    return page_unlock(&file_of(file)->owner->locks, &file_of(file)->holds, level);
}

static int any_check_reserved(sqlite3_file *file, int *out)
{
    *out = page_is_reserved(&file_of(file)->owner->locks);
    return SQLITE_OK;
}

static int any_control(sqlite3_file *file, int op, void *arg)
{
    (void)file;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND; /* no mmap, no batch atomic writes, nothing that would pass us by */
}

static int any_sector(sqlite3_file *file)
{
    (void)file;
    return PAGE_BYTES; /* what SQLite's own VFS says */
}

/* A unit is one write of its own range, so an interrupted one harms no other. */
static int any_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static int any_shm_map(sqlite3_file *file, int region, int bytes, int extend, void volatile **out)
{
    return page_index_map(&file_of(file)->owner->locks, &file_of(file)->holds, region, bytes, extend != 0, out);
}

static int any_shm_lock(sqlite3_file *file, int first, int count, int flags)
{
    return page_index_lock(&file_of(file)->owner->locks, &file_of(file)->holds, first, count, flags);
}

static void any_shm_barrier(sqlite3_file *file)
{
    struct page_locks *l = &file_of(file)->owner->locks;

    __sync_synchronize();
    (void)pthread_mutex_lock(&l->mutex);
    (void)pthread_mutex_unlock(&l->mutex);
}

static int any_shm_unmap(sqlite3_file *file, int remove)
{
    (void)remove;
    page_index_unmap(&file_of(file)->owner->locks, &file_of(file)->holds);
    return SQLITE_OK;
}

static const sqlite3_io_methods main_methods = {
    .iVersion = 2, /* without xFetch: no memory maps */
    .xClose = any_close, .xRead = main_read, .xWrite = main_write, .xTruncate = main_truncate,
    .xSync = any_sync, .xFileSize = main_size, .xLock = any_lock, .xUnlock = any_unlock,
    .xCheckReservedLock = any_check_reserved, .xFileControl = any_control, .xSectorSize = any_sector,
    .xDeviceCharacteristics = any_characteristics, .xShmMap = any_shm_map, .xShmLock = any_shm_lock,
    .xShmBarrier = any_shm_barrier, .xShmUnmap = any_shm_unmap,
};

static const sqlite3_io_methods wal_methods = {
    .iVersion = 1,
    .xClose = any_close, .xRead = wal_read, .xWrite = wal_write, .xTruncate = wal_truncate,
    .xSync = any_sync, .xFileSize = wal_size, .xLock = any_lock, .xUnlock = any_unlock,
    .xCheckReservedLock = any_check_reserved, .xFileControl = any_control, .xSectorSize = any_sector,
    .xDeviceCharacteristics = any_characteristics,
};

/* ---- the VFS ---- */

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    struct page_vfs *v = (struct page_vfs *)vfs;
    struct page_file *f = file_of(file);
    const bool wal = (flags & SQLITE_OPEN_WAL) != 0;
    int rc;

    f->file.pMethods = NULL;
    if (name == NULL || (!wal && (flags & SQLITE_OPEN_MAIN_DB) == 0))
        return SQLITE_CANTOPEN; /* journals and temporary files stay in memory or nowhere */
    memset(f, 0, sizeof *f);
    f->owner = v;
    if (!page_cipher_init(&f->cipher, v->key, v->view_id))
        return SQLITE_NOMEM;
    rc = page_raw_open(&f->raw, v->disk, name, flags, out_flags);
    if (rc != SQLITE_OK) {
        page_cipher_done(&f->cipher);
        return rc;
    }
    f->file.pMethods = wal ? &wal_methods : &main_methods;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    return page_raw_delete(((struct page_vfs *)vfs)->disk, name, sync != 0);
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *out)
{
    sqlite3_vfs *real = ((struct page_vfs *)vfs)->real;

    return real->xAccess(real, name, flags, out);
}

/* As given: a vault below a directory that its user may not pass reaches it by its working directory only. */
static int vfs_path(sqlite3_vfs *vfs, const char *name, int cap, char *out)
{
    (void)vfs;
    return cap > 0 && span_to_str(span_str(name), out, (size_t)cap) ? SQLITE_OK : SQLITE_CANTOPEN;
}

static int vfs_random(sqlite3_vfs *vfs, int len, char *out)
{
    (void)vfs;
    randombytes_buf(out, (size_t)len);
    return len;
}

static int vfs_sleep(sqlite3_vfs *vfs, int us)
{
    sqlite3_vfs *real = ((struct page_vfs *)vfs)->real;

    return real->xSleep(real, us);
}

static int vfs_time(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    sqlite3_vfs *real = ((struct page_vfs *)vfs)->real;

    return real->xCurrentTimeInt64(real, out);
}

static int vfs_last_error(sqlite3_vfs *vfs, int len, char *out)
{
    sqlite3_vfs *real = ((struct page_vfs *)vfs)->real;

    return real->xGetLastError(real, len, out);
}

struct page_vfs *page_vfs_new(const struct disk *disk, const uint8_t key[PAGE_KEY_BYTES],
                              const uint8_t view_id[PAGE_ID_BYTES], struct error *err)
{
    struct page_vfs *v = NULL;
    sqlite3_vfs *real;
    uint64_t serial;

    if (sodium_init() < 0 || sqlite3_initialize() != SQLITE_OK || (real = sqlite3_vfs_find("unix")) == NULL
        || (v = calloc(1, sizeof *v)) == NULL || !page_locks_init(&v->locks)) {
        free(v);
        error_set(err, ERR_MEMORY, "views: the VFS could not start");
        return NULL;
    }
    randombytes_buf(&serial, sizeof serial);
    (void)snprintf(v->name, sizeof v->name, "fanal-%016" PRIx64, serial);
    memcpy(v->key, key, PAGE_KEY_BYTES);
    memcpy(v->view_id, view_id, PAGE_ID_BYTES);
    v->real = real;
    v->disk = disk;
    v->vfs = (sqlite3_vfs){
        .iVersion = 2, .szOsFile = (int)sizeof(struct page_file), .mxPathname = real->mxPathname,
        .zName = v->name, .xOpen = vfs_open, .xDelete = vfs_delete, .xAccess = vfs_access, .xFullPathname = vfs_path,
        .xRandomness = vfs_random, .xSleep = vfs_sleep, .xGetLastError = vfs_last_error,
        .xCurrentTimeInt64 = vfs_time,
    };
    if (sqlite3_vfs_register(&v->vfs, 0) != SQLITE_OK) {
        page_locks_done(&v->locks);
        free(v);
        error_set(err, ERR_MEMORY, "views: the VFS could not be registered");
        return NULL;
    }
    return v;
}

void page_vfs_free(struct page_vfs *v)
{
    if (v == NULL)
        return;
    (void)sqlite3_vfs_unregister(&v->vfs);
    page_locks_done(&v->locks);
    sodium_memzero(v->key, sizeof v->key);
    free(v);
}

const char *page_vfs_name(const struct page_vfs *v)
{
    return v->name;
}
