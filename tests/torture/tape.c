/* Recording. See tape.h. */
#include "platter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

_Thread_local int tape_spares;

/* A test without memory has nothing to say. */
static void *grown(void *old, size_t count, size_t size)
{
    void *more = realloc(old, count * size + 1);

    if (more == NULL)
        abort();
    return more;
}

static void *copied(const void *bytes, size_t len)
{
    void *copy = grown(NULL, len, 1);

    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

static void enter(struct tape *t)
{
    pthread_mutex_lock(&t->lock);
    tape_spares++;
}

static void leave(struct tape *t)
{
    tape_spares--;
    pthread_mutex_unlock(&t->lock);
}

int tape_path(struct tape *t, const char *path)
{
    for (int i = 0; i < t->path_count; i++)
        if (strcmp(t->paths[i], path) == 0)
            return i;
    if (t->path_count == t->path_cap) {
        t->path_cap = t->path_cap * 2 + 64;
        t->paths = grown(t->paths, (size_t)t->path_cap, sizeof *t->paths);
        t->live = grown(t->live, (size_t)t->path_cap, sizeof *t->live);
    }
    t->paths[t->path_count] = copied(path, strlen(path) + 1);
    t->live[t->path_count] = -1;
    return t->path_count++;
}

/* Of a path as the store gives it. */
static int path_below(struct tape *t, const char *path)
{
    size_t n = strlen(t->dir);

    if (strncmp(path, t->dir, n) != 0 || path[n] != '/')
        abort(); /* a store that writes outside of its directory */
    return tape_path(t, path + n + 1);
}

static int inode_add(struct tape *t, bool directory, int born_as)
{
    if (t->inode_count == t->inode_cap) {
        t->inode_cap = t->inode_cap * 2 + 64;
        t->inodes = grown(t->inodes, (size_t)t->inode_cap, sizeof *t->inodes);
    }
    t->inodes[t->inode_count] = (struct tape_inode){ .directory = directory, .born_as = born_as };
    return t->inode_count++;
}

static struct deed *record(struct tape *t, enum deed_type type)
{
    if (t->count == t->cap) {
        t->cap = t->cap * 2 + 1024;
        t->deeds = grown(t->deeds, t->cap, sizeof *t->deeds);
    }
    t->deeds[t->count] = (struct deed){ .type = type };
    return &t->deeds[t->count++];
}

/* ---- beginning and end ---- */

static void load_file(struct tape *t, const char *path, int born_as)
{
    struct tape_inode *i = &t->inodes[t->live[born_as]];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0)
        abort();
    i->len = (size_t)st.st_size;
    i->bytes = grown(NULL, i->len, 1);
    if (read(fd, i->bytes, i->len) != (ssize_t)i->len)
        abort();
    close(fd);
}

static void load_dir(struct tape *t, const char *below)
{
    char path[512], name[400];
    struct dirent *e;
    struct stat st;
    DIR *d;

    snprintf(path, sizeof path, "%s/%s", t->dir, below);
    d = opendir(path);
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, "lock") == 0)
            continue;
        snprintf(name, sizeof name, "%.200s%s%.190s", below, below[0] != '\0' ? "/" : "", e->d_name);
        snprintf(path, sizeof path, "%s/%s", t->dir, name);
        if (stat(path, &st) != 0)
            abort();
        int id = tape_path(t, name);
        t->live[id] = inode_add(t, S_ISDIR(st.st_mode), id);
        if (S_ISDIR(st.st_mode))
            load_dir(t, name);
        else
            load_file(t, path, id);
    }
    if (d != NULL)
        closedir(d);
}

void tape_begin(struct tape *t, const char *dir, const struct tape *before, size_t upto)
{
    *t = (struct tape){ .sync_us = 0 };
    pthread_mutex_init(&t->lock, NULL);
    snprintf(t->dir, sizeof t->dir, "%s", dir);
    load_dir(t, "");
    for (size_t k = 0; before != NULL && k < upto; k++)
        if (before->deeds[k].type == DEED_MARK)
            tape_mark(t, before->deeds[k].mark);
}

void tape_end(struct tape *t)
{
    for (size_t k = 0; k < t->count; k++) {
        free(t->deeds[k].bytes);
        free((void *)(uintptr_t)t->deeds[k].mark);
    }
    for (int i = 0; i < t->inode_count; i++)
        free(t->inodes[i].bytes);
    for (int i = 0; i < t->path_count; i++)
        free(t->paths[i]);
    free(t->deeds);
    free(t->inodes);
    free(t->paths);
    free(t->live);
    pthread_mutex_destroy(&t->lock);
}

void tape_mark(struct tape *t, const struct mark *m)
{
    enter(t);
    record(t, DEED_MARK)->mark = copied(m, sizeof *m);
    leave(t);
}

/* ---- the file calls ---- */

/* With the lock held, before each deed: is the process still alive? Else errno. */
static bool lives(struct tape *t)
{
    if (t->kill_in > 0 && --t->kill_in == 0)
        t->dead = true;
    if (!t->dead)
        return true;
    errno = EIO;
    return false;
}

static int tape_open(void *context, const char *path, int flags)
{
    struct tape *t = context;
    int fd = -1, id;

    enter(t);
    if (lives(t))
        fd = file_ops_system.open(NULL, path, flags);
    if (fd >= TAPE_FDS)
        abort();
    if (fd >= 0) {
        id = path_below(t, path);
        if (t->live[id] < 0) {
            t->live[id] = inode_add(t, false, -1);
            *record(t, DEED_CREATE) = (struct deed){ .type = DEED_CREATE, .inode = t->live[id], .path = id };
        } else if ((flags & O_TRUNC) != 0) {
            record(t, DEED_TRUNCATE)->inode = t->live[id];
        }
        t->fds[fd] = t->live[id];
    }
    leave(t);
    return fd;
}

static ssize_t tape_pwrite(void *context, int fd, const void *bytes, size_t len, off_t offset)
{
    struct tape *t = context;
    ssize_t n = -1;

    enter(t);
    if (lives(t))
        n = pwrite(fd, bytes, len, offset);
    if (n > 0)
        *record(t, DEED_WRITE) = (struct deed){ .type = DEED_WRITE,
                                                .inode = t->fds[fd],
                                                .offset = (uint64_t)offset,
                                                .bytes = copied(bytes, (size_t)n),
                                                .len = (size_t)n };
    leave(t);
    return n;
}

/* A sync counts from its end on, for what was written before it began. */
static int tape_fdatasync(void *context, int fd)
{
    struct tape *t = context;
    int result = -1;
    size_t begun;

    enter(t);
    begun = t->count;
    leave(t);
    if (t->sync_us > 0)
        (void)nanosleep(&(struct timespec){ .tv_nsec = (long)t->sync_us * 1000 }, NULL);
    enter(t);
    if (lives(t)) {
        *record(t, DEED_SYNC) = (struct deed){ .type = DEED_SYNC, .inode = t->fds[fd], .offset = begun };
        result = 0;
    }
    leave(t);
    return result;
}

void tape_sync_failed(struct tape *t, int fd)
{
    enter(t);
    record(t, DEED_SYNC_FAILED)->inode = t->fds[fd];
    leave(t);
}

static int tape_ftruncate(void *context, int fd, off_t len)
{
    struct tape *t = context;
    int result = -1;

    enter(t);
    if (lives(t))
        result = ftruncate(fd, len);
    if (result == 0)
        *record(t, DEED_TRUNCATE) =
            (struct deed){ .type = DEED_TRUNCATE, .inode = t->fds[fd], .offset = (uint64_t)len };
    leave(t);
    return result;
}

static int tape_rename(void *context, const char *from, const char *to)
{
    struct tape *t = context;
    int result = -1;

    enter(t);
    if (lives(t))
        result = rename(from, to);
    if (result == 0) {
        int a = path_below(t, from), b = path_below(t, to);

        *record(t, DEED_RENAME) = (struct deed){ .type = DEED_RENAME, .inode = t->live[a], .path = a, .to = b };
        t->live[b] = t->live[a];
        t->live[a] = -1;
    }
    leave(t);
    return result;
}

static int tape_unlink(void *context, const char *path)
{
    struct tape *t = context;
    int result = -1, id;

    enter(t);
    if (lives(t))
        result = unlink(path);
    if (result == 0) {
        id = path_below(t, path);
        record(t, DEED_UNLINK)->path = id;
        t->live[id] = -1;
    }
    leave(t);
    return result;
}

static int tape_mkdir(void *context, const char *path)
{
    struct tape *t = context;
    int result = -1, id;

    enter(t);
    if (lives(t))
        result = mkdir(path, 0700);
    if (result == 0) {
        id = path_below(t, path);
        t->live[id] = inode_add(t, true, -1);
        *record(t, DEED_MKDIR) = (struct deed){ .type = DEED_MKDIR, .inode = t->live[id], .path = id };
    }
    leave(t);
    return result;
}

static int tape_sync_dir(void *context, const char *path)
{
    struct tape *t = context;
    int result = -1;

    enter(t);
    if (lives(t)) {
        record(t, DEED_SYNC_DIR)->path = strcmp(path, t->dir) == 0 ? -1 : path_below(t, path);
        result = 0;
    }
    leave(t);
    return result;
}

static int tape_close(void *context, int fd)
{
    (void)context;
    return close(fd);
}

static void tape_write_behind(void *context, int fd, off_t offset, off_t len)
{
    (void)context;
    (void)fd;
    (void)offset;
    (void)len;
}

static int tape_free_bytes(void *context, const char *path, uint64_t *out)
{
    (void)context;
    (void)path;
    *out = UINT64_C(1) << 40;
    return 0;
}

/* A file whose sync failed shows what the disk has of it, and that is less than was written. */
static void tape_reread(void *context, int fd)
{
    struct tape *t = context;
    bool failed = false;
    uint8_t *bytes;
    size_t len;

    enter(t);
    for (size_t k = 0; k < t->count && !t->dead; k++)
        failed = failed || (t->deeds[k].type == DEED_SYNC_FAILED && t->deeds[k].inode == t->fds[fd]);
    if (failed) {
        char path[64];
        int out;

        record(t, DEED_REREAD)->inode = t->fds[fd];
        platter_content(t, t->fds[fd], &bytes, &len);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* it may be open for reading only */
        out = open(path, O_WRONLY | O_CLOEXEC);
        if (out < 0 || ftruncate(out, 0) != 0 || pwrite(out, bytes, len, 0) != (ssize_t)len)
            abort();
        close(out);
        free(bytes);
    }
    leave(t);
}

const struct file_ops tape_ops = {
    .open = tape_open,
    .pwrite = tape_pwrite,
    .fdatasync = tape_fdatasync,
    .ftruncate = tape_ftruncate,
    .rename = tape_rename,
    .unlink = tape_unlink,
    .mkdir = tape_mkdir,
    .sync_dir = tape_sync_dir,
    .close = tape_close,
    .write_behind = tape_write_behind,
    .free_bytes = tape_free_bytes,
    .reread = tape_reread,
};

/* ---- for people ---- */

static const char *const deed_words[] = { "create", "write",  "truncate", "sync",     "failed sync", "reread",
                                          "rename", "unlink", "mkdir",    "sync_dir", "mark" };

const char *tape_name(const struct tape *t, size_t at, int inode)
{
    while (at-- > 0) {
        const struct deed *d = &t->deeds[at];

        if (d->type == DEED_RENAME && d->inode == inode)
            return t->paths[d->to];
        if ((d->type == DEED_CREATE || d->type == DEED_MKDIR) && d->inode == inode)
            return t->paths[d->path];
    }
    return t->inodes[inode].born_as >= 0 ? t->paths[t->inodes[inode].born_as] : "?";
}

void tape_say(const struct tape *t, size_t at, size_t most)
{
    static const char *const mark_words[] = { "created", "appended", "acknowledged", "released",
                                              "root",    "secret",   "no secret",    "promise" };

    for (size_t k = at < most ? 0 : at - most; k < at; k++) {
        const struct deed *d = &t->deeds[k];
        bool of_name = d->type >= DEED_RENAME || d->type == DEED_CREATE;

        if (d->type == DEED_MARK)
            printf("#   %zu %s %llu\n", k, mark_words[d->mark->type], (unsigned long long)d->mark->position);
        else
            printf("#   %zu %s %s %s at %llu, %zu bytes\n", k, deed_words[d->type],
                   !of_name ? tape_name(t, k, d->inode) : d->path >= 0 ? t->paths[d->path] : ".",
                   d->type == DEED_RENAME ? t->paths[d->to] : "", (unsigned long long)d->offset, d->len);
    }
}
