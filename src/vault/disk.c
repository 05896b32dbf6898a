/* File calls of the vault. See disk.h. */
#include "vault/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"

static int system_open(void *context, const char *path, int flags)
{
    (void)context;
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static ssize_t system_pwrite(void *context, int fd, const void *bytes, size_t len, off_t offset)
{
    (void)context;
    return pwrite(fd, bytes, len, offset);
}

static ssize_t system_pwritev(void *context, int fd, const struct iovec *pieces, int count, off_t offset)
{
    (void)context;
    return pwritev(fd, pieces, count, offset);
}

static int system_fdatasync(void *context, int fd)
{
    (void)context;
    return fdatasync(fd);
}

static int system_ftruncate(void *context, int fd, off_t len)
{
    (void)context;
    return ftruncate(fd, len);
}

static int system_rename(void *context, const char *from, const char *to)
{
    (void)context;
    return rename(from, to);
}

static int system_unlink(void *context, const char *path)
{
    (void)context;
    return unlink(path);
}

static int system_mkdir(void *context, const char *path)
{
    (void)context;
    return mkdir(path, 0700);
}

static int system_sync_dir(void *context, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result;

    (void)context;
    if (fd < 0)
        return -1;
    result = fsync(fd);
    (void)close(fd);
    return result;
}

static int system_close(void *context, int fd)
{
    (void)context;
    return close(fd);
}

static void system_write_behind(void *context, int fd, off_t offset, off_t len)
{
    (void)context;
    (void)sync_file_range(fd, offset, len, SYNC_FILE_RANGE_WRITE);
}

static int system_free_bytes(void *context, const char *path, uint64_t *out)
{
    struct statvfs st;

    (void)context;
    if (statvfs(path, &st) != 0)
        return -1;
    *out = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

static void system_reread(void *context, int fd)
{
    (void)context;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

const struct file_ops file_ops_system = {
    .open = system_open,
    .pwrite = system_pwrite,
    .fdatasync = system_fdatasync,
    .ftruncate = system_ftruncate,
    .rename = system_rename,
    .unlink = system_unlink,
    .mkdir = system_mkdir,
    .sync_dir = system_sync_dir,
    .close = system_close,
    .write_behind = system_write_behind,
    .free_bytes = system_free_bytes,
    .pwritev = system_pwritev,
    .reread = system_reread,
};

void disk_path(const struct disk *d, const char *name, char *out)
{
    if (strcmp(name, ".") == 0)
        (void)snprintf(out, DISK_PATH_MAX, "%s", d->root);
    else
        (void)snprintf(out, DISK_PATH_MAX, "%s/%.200s", d->root, name);
}

int disk_open(const struct disk *d, const char *name, int flags, struct error *err)
{
    char path[DISK_PATH_MAX];
    int fd;

    disk_path(d, name, path);
    fd = d->ops->open(d->context, path, flags);
    if (fd < 0)
        (void)error_errno(err, "open of %s", name);
    return fd;
}

int disk_open_direct(const struct disk *d, const char *name, int flags, struct error *err)
{
    struct error why = { 0 };
    int fd = disk_open(d, name, flags | O_DIRECT, &why);

    if (fd >= 0)
        return fd;
    return disk_open(d, name, flags, err); /* EINVAL: a file system without (tmpfs); anything else fails again */
}

void disk_close(const struct disk *d, int *fd)
{
    if (*fd >= 0)
        (void)d->ops->close(d->context, *fd);
    *fd = -1;
}

bool disk_write_at(const struct disk *d, int fd, struct span bytes, uint64_t offset, struct error *err)
{
    while (bytes.len > 0) {
        ssize_t n = d->ops->pwrite(d->context, fd, bytes.ptr, bytes.len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "write of %zu bytes at %llu", bytes.len, (unsigned long long)offset);
        bytes = span_part(bytes, (size_t)n, bytes.len);
        offset += (uint64_t)n;
    }
    return true;
}

bool disk_write_pieces(const struct disk *d, int fd, struct iovec *pieces, size_t count, uint64_t offset,
                       struct error *err)
{
    while (count > 0) {
        ssize_t n = d->ops->pwritev != NULL
                        ? d->ops->pwritev(d->context, fd, pieces, (int)count, (off_t)offset)
                        : d->ops->pwrite(d->context, fd, pieces->iov_base, pieces->iov_len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "write of %zu pieces at %llu", count, (unsigned long long)offset);
        offset += (uint64_t)n;
        for (; count > 0 && (size_t)n >= pieces->iov_len; pieces++, count--)
            n -= (ssize_t)pieces->iov_len;
        if (count > 0) {
            pieces->iov_base = (uint8_t *)pieces->iov_base + n;
            pieces->iov_len -= (size_t)n;
        }
    }
    return true;
}

/* Whatever errno says (ENOSPC too): after a failed sync nobody knows what is on the disk. */
static bool sync_failed(struct error *err, const char *what)
{
    (void)error_errno(err, "sync of %s", what);
    if (err != NULL)
        err->code = ERR_IO;
    return false;
}

bool disk_sync(const struct disk *d, int fd, struct error *err)
{
    while (d->ops->fdatasync(d->context, fd) != 0)
        if (errno != EINTR)
            return sync_failed(err, "a file");
    return true;
}

bool disk_settle(const struct disk *d, int fd, struct error *err)
{
    if (!disk_sync(d, fd, err))
        return false;
    if (d->ops->reread != NULL)
        d->ops->reread(d->context, fd);
    return true;
}

void disk_wipe(const struct disk *d, int fd)
{
    static const uint8_t zeros[65536];
    uint64_t size = 0;

    if (!file_size(fd, &size, NULL))
        return;
    for (uint64_t at = 0; at < size; at += sizeof zeros)
        if (!disk_write_at(d, fd, span_of(zeros, size - at < sizeof zeros ? (size_t)(size - at) : sizeof zeros), at, NULL))
            return;
    (void)disk_sync(d, fd, NULL);
}

bool disk_truncate(const struct disk *d, int fd, uint64_t len, struct error *err)
{
    if (d->ops->ftruncate(d->context, fd, (off_t)len) != 0)
        return error_errno(err, "ftruncate to %llu", (unsigned long long)len);
    return true;
}

bool disk_rename(const struct disk *d, const char *from, const char *to, struct error *err)
{
    char a[DISK_PATH_MAX], b[DISK_PATH_MAX];

    disk_path(d, from, a);
    disk_path(d, to, b);
    if (d->ops->rename(d->context, a, b) != 0)
        return error_errno(err, "rename of %s", from);
    return true;
}

bool disk_unlink(const struct disk *d, const char *name, struct error *err)
{
    char path[DISK_PATH_MAX];

    disk_path(d, name, path);
    if (d->ops->unlink(d->context, path) != 0)
        return error_errno(err, "unlink of %s", name);
    return true;
}

bool disk_sync_dir(const struct disk *d, const char *name, struct error *err)
{
    char path[DISK_PATH_MAX];

    disk_path(d, name, path);
    if (d->ops->sync_dir(d->context, path) != 0)
        return sync_failed(err, name);
    return true;
}

bool disk_make_dir(const struct disk *d, const char *name, struct error *err)
{
    char path[DISK_PATH_MAX];
    char above[DISK_PATH_MAX];
    char *slash;

    disk_path(d, name, path);
    if (d->ops->mkdir(d->context, path) != 0 && errno != EEXIST)
        return error_errno(err, "mkdir of %s", name);
    /* Also where it was there: who made it may have been stopped before this. */
    memcpy(above, path, sizeof above);
    slash = strrchr(above, '/');
    *slash = '\0';
    if (d->ops->sync_dir(d->context, above) != 0)
        return sync_failed(err, "the directory above");
    return true;
}

bool disk_free_bytes(const struct disk *d, uint64_t *out, struct error *err)
{
    if (d->ops->free_bytes(d->context, d->root, out) != 0)
        return error_errno(err, "free space");
    return true;
}

bool disk_exists(const struct disk *d, const char *name)
{
    char path[DISK_PATH_MAX];
    struct stat st;

    disk_path(d, name, path);
    return stat(path, &st) == 0;
}

bool disk_replace(const struct disk *d, const char *name, struct span bytes, struct error *err)
{
    char fresh[128], dir[128];
    const char *slash = strrchr(name, '/');
    bool ok;
    int fd;

    (void)snprintf(fresh, sizeof fresh, "%.100s.new", name);
    (void)snprintf(dir, sizeof dir, "%.*s", slash != NULL ? (int)(slash - name) : 1, slash != NULL ? name : ".");
    fd = disk_open(d, fresh, O_WRONLY | O_CREAT | O_TRUNC, err);
    if (fd < 0)
        return false;
    ok = disk_write_at(d, fd, bytes, 0, err) && disk_sync(d, fd, err);
    disk_close(d, &fd);
    return (ok && disk_rename(d, fresh, name, err) && disk_sync_dir(d, dir, err)) || error_within(err, "%s", name);
}
