/* See data_dir.h. Every name below DIR is opened from a descriptor, never through a link. */
#include "cmd/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

#define LOCAL_BACKLOG 16

bool data_dir_open(const char *path, struct data_dir *out, struct error *err)
{
    struct data_dir d = { .fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .run_fd = -1, .lock_fd = -1 };
    struct stat st;

    if (d.fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return error_set(err, ERR_NOT_FOUND, "%s is no directory", path);
    if (d.fd < 0)
        return error_errno(err, "%s", path);
    if (fstat(d.fd, &st) != 0) {
        (void)error_errno(err, "%s", path);
        data_dir_close(&d);
        return false;
    }
    d.owner = st.st_uid;
    d.group = st.st_gid;
    *out = d;
    return true;
}

void data_dir_close(struct data_dir *d)
{
    file_close(&d->lock_fd);
    file_close(&d->run_fd);
    file_close(&d->fd);
}

bool data_dir_read_conf(const struct data_dir *d, struct writer *text, struct error *err)
{
    CLEANUP(file_close) int fd = openat(d->fd, "fanal.conf", O_RDONLY | O_CLOEXEC);
    uint64_t size;
    uint8_t *room;

    if (fd < 0)
        return error_errno(err, "fanal.conf");
    if (!file_size(fd, &size, err))
        return error_within(err, "fanal.conf");
    if (size > text->limit)
        return error_set(err, ERR_LIMIT, "fanal.conf is longer than %zu bytes", text->limit);
    room = write_room(text, (size_t)size);
    if (!writer_ok(text, err, "fanal.conf") || !file_read_all(fd, room, (size_t)size, err))
        return error_within(err, "fanal.conf");
    return true;
}

/* What root makes in another's directory is his, so that he can serve without root tomorrow. */
static bool give_to_owner(const struct data_dir *d, int fd)
{
    return geteuid() != 0 || d->owner == 0 || fchown(fd, d->owner, d->group) == 0;
}

bool data_dir_lock(struct data_dir *d, struct error *err)
{
    if (mkdirat(d->fd, "run", 0700) != 0 && errno != EEXIST)
        return error_errno(err, "making run/");
    d->run_fd = openat(d->fd, "run", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (d->run_fd < 0 || !give_to_owner(d, d->run_fd))
        return error_errno(err, "run/");
    d->lock_fd = openat(d->run_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock_fd < 0 || !give_to_owner(d, d->lock_fd))
        return error_errno(err, "run/lock");
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? error_set(err, ERR_BUSY, "another fanal serve has this directory")
                                    : error_errno(err, "run/lock");
    (void)unlinkat(d->run_fd, "ports", 0); /* of an earlier serve: nobody shall wait at its doors */
    return true;
}

bool data_dir_write_ports(const struct data_dir *d, struct span text, struct error *err)
{
    CLEANUP(file_close) int fd = -1;

    (void)unlinkat(d->run_fd, "ports.new", 0);
    fd = openat(d->run_fd, "ports.new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0 || !give_to_owner(d, fd))
        return error_errno(err, "run/ports");
    if (!file_write_all(fd, text, err))
        return error_within(err, "run/ports");
    return renameat(d->run_fd, "ports.new", d->run_fd, "ports") == 0 || error_errno(err, "run/ports");
}

/* A path below run/ that fits struct sockaddr_un however long DIR's is: through our own descriptor of it. */
static bool socket_name(const struct data_dir *d, struct sockaddr_un *out, struct error *err)
{
    int n = snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/fanal.sock", d->run_fd);

    out->sun_family = AF_UNIX;
    return (n > 0 && (size_t)n < sizeof out->sun_path) || error_set(err, ERR_LIMIT, "name of run/fanal.sock");
}

int data_dir_listen(const struct data_dir *d, struct error *err)
{
    CLEANUP(file_close) int fd = -1;
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    mode_t mask;
    bool bound;
    int listening;

    if (!socket_name(d, &name, err))
        return -1;
    (void)unlinkat(d->run_fd, "fanal.sock", 0); /* of an earlier serve: we have the lock */
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mask = umask(0177);
    bound = fd >= 0 && bind(fd, (const struct sockaddr *)&name, sizeof name) == 0;
    (void)umask(mask);
    if (!bound || listen(fd, LOCAL_BACKLOG) != 0
        || (geteuid() == 0 && d->owner != 0
            && fchownat(d->run_fd, "fanal.sock", d->owner, d->group, AT_SYMLINK_NOFOLLOW) != 0)) {
        (void)error_errno(err, "run/fanal.sock");
        return -1;
    }
    listening = fd;
    fd = -1;
    return listening;
}
