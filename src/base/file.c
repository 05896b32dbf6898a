/* Whole reads and writes. See file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void file_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

bool file_write_all(int fd, struct span bytes, struct error *err)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "write of %zu bytes", bytes.len);
        bytes = span_part(bytes, (size_t)n, bytes.len);
    }
    return true;
}

bool file_write_at(int fd, struct span bytes, uint64_t offset, struct error *err)
{
    while (bytes.len > 0) {
        ssize_t n = pwrite(fd, bytes.ptr, bytes.len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "write of %zu bytes at %llu", bytes.len, (unsigned long long)offset);
        bytes = span_part(bytes, (size_t)n, bytes.len);
        offset += (uint64_t)n;
    }
    return true;
}

bool file_read_all(int fd, uint8_t *out, size_t len, struct error *err)
{
    while (len > 0) {
        ssize_t n = read(fd, out, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "read of %zu bytes", len);
        if (n == 0)
            return error_set(err, ERR_TRUNCATED, "file ends %zu bytes early", len);
        out += n;
        len -= (size_t)n;
    }
    return true;
}

bool file_read_at(int fd, uint8_t *out, size_t len, uint64_t offset, struct error *err)
{
    while (len > 0) {
        ssize_t n = pread(fd, out, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "read of %zu bytes at %llu", len, (unsigned long long)offset);
        if (n == 0)
            return error_set(err, ERR_TRUNCATED, "file ends at %llu, %zu bytes early", (unsigned long long)offset, len);
        out += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return true;
}

bool file_sync(int fd, struct error *err)
{
    while (fdatasync(fd) != 0)
        if (errno != EINTR)
            return error_errno(err, "fdatasync");
    return true;
}

bool file_size(int fd, uint64_t *out, struct error *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return error_errno(err, "fstat");
    *out = (uint64_t)st.st_size;
    return true;
}

bool file_slurp(const char *path, struct writer *w, struct error *err)
{
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint8_t piece[16 * 1024];
    ssize_t n;

    if (fd < 0)
        return error_errno(err, "%s", path);
    while ((n = read(fd, piece, sizeof piece)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(err, "read of %s", path);
        write_span(w, span_of(piece, (size_t)n));
    }
    return writer_ok(w, err, path);
}

bool file_sync_name(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX];

    (void)snprintf(dir, sizeof dir, "%.*s", slash == NULL ? 1 : slash == path ? 1 : (int)(slash - path),
                   slash == NULL ? "." : path);
    CLEANUP(file_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return (fd >= 0 && fsync(fd) == 0) || error_errno(err, "sync of %s", dir);
}

bool file_write_new(const char *path, struct span bytes, struct error *err)
{
    CLEANUP(file_close) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_errno(err, "%s", path);
    return (file_write_all(fd, bytes, err) && file_sync(fd, err) && file_sync_name(path, err))
           || error_within(err, "%s", path);
}

bool path_join(char *out, size_t cap, const char *dir, const char *name, struct error *err)
{
    int n = snprintf(out, cap, "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= cap)
        return error_set(err, ERR_LIMIT, "path of %d bytes is too long", n);
    return true;
}
