/* Plain files of the views. See page_raw.h. */
#include "vault/page_raw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static int sync_dir_of(const struct disk *d, const char *path)
{
    char dir[DISK_PATH_MAX];
    char *slash;

    if (!span_to_str(span_str(path), dir, sizeof dir) || (slash = strrchr(dir, '/')) == NULL)
        return SQLITE_CANTOPEN_FULLPATH;
    *slash = '\0';
    return d->ops->sync_dir(d->context, dir) == 0 ? SQLITE_OK : SQLITE_IOERR_DIR_FSYNC;
}

int page_raw_open(struct page_raw *f, const struct disk *d, const char *path, int flags, int *out_flags)
{
    const bool create = (flags & SQLITE_OPEN_CREATE) != 0;
    int how = (flags & SQLITE_OPEN_READWRITE) != 0 ? O_RDWR : O_RDONLY;
    struct stat st;

    *f = (struct page_raw){ .disk = d, .fd = -1 };
    if (!span_to_str(span_str(path), f->path, sizeof f->path))
        return SQLITE_CANTOPEN_FULLPATH;
    f->fresh = create && stat(path, &st) != 0;
    if (create)
        how |= O_CREAT;
    if ((flags & SQLITE_OPEN_EXCLUSIVE) != 0)
        how |= O_EXCL;
    f->fd = d->ops->open(d->context, path, how);
    if (f->fd < 0)
        return errno == ENOSPC ? SQLITE_FULL : SQLITE_CANTOPEN;
    if (out_flags != NULL)
        *out_flags = flags;
    return SQLITE_OK;
}

int page_raw_close(struct page_raw *f)
{
    disk_close(f->disk, &f->fd);
    return SQLITE_OK;
}

int page_raw_read(struct page_raw *f, void *out, size_t len, sqlite3_int64 offset)
{
    uint8_t *to = out;

    while (len > 0) {
        ssize_t n = pread(f->fd, to, len, offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return SQLITE_IOERR_READ;
        if (n == 0) {
            memset(to, 0, len);
            return SQLITE_IOERR_SHORT_READ;
        }
        to += n;
        len -= (size_t)n;
        offset += n;
    }
    return SQLITE_OK;
}

int page_raw_write(struct page_raw *f, struct span bytes, sqlite3_int64 offset)
{
    struct error err = { .code = ERR_NONE };

    if (disk_write_at(f->disk, f->fd, bytes, (uint64_t)offset, &err))
        return SQLITE_OK;
    return err.code == ERR_NO_SPACE ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

int page_raw_truncate(struct page_raw *f, sqlite3_int64 size)
{
    return disk_truncate(f->disk, f->fd, (uint64_t)size, NULL) ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int page_raw_sync(struct page_raw *f)
{
    int rc;

    if (!disk_sync(f->disk, f->fd, NULL))
        return SQLITE_IOERR_FSYNC;
    rc = f->fresh ? sync_dir_of(f->disk, f->path) : SQLITE_OK;
    f->fresh = f->fresh && rc != SQLITE_OK;
    return rc;
}

int page_raw_size(struct page_raw *f, sqlite3_int64 *out)
{
    struct stat st;

    if (fstat(f->fd, &st) != 0)
        return SQLITE_IOERR_FSTAT;
    *out = (sqlite3_int64)st.st_size;
    return SQLITE_OK;
}

int page_raw_delete(const struct disk *d, const char *path, bool sync)
{
    if (d->ops->unlink(d->context, path) != 0)
        return errno == ENOENT ? SQLITE_IOERR_DELETE_NOENT : SQLITE_IOERR_DELETE;
    return sync ? sync_dir_of(d, path) : SQLITE_OK;
}
