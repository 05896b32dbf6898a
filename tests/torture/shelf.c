/* Disk images as directories. See shelf.h. */
#include "shelf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/vault/store_test.h"

void shelf_begin(struct shelf *s)
{
    *s = (struct shelf){ .count = 0 };
    pthread_mutex_init(&s->lock, NULL);
    test_dir(s->dir);
}

void shelf_end(struct shelf *s)
{
    test_remove(s->dir);
    for (size_t i = 0; i < s->count; i++)
        free(s->files[i].path);
    free(s->files);
    pthread_mutex_destroy(&s->lock);
}

/* With the lock held. */
static struct shelf_file *find(struct shelf *s, const char *path)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->files[i].path, path) == 0)
            return &s->files[i];
    if (s->count == s->cap) {
        s->cap = s->cap * 2 + 64;
        s->files = realloc(s->files, s->cap * sizeof *s->files);
        if (s->files == NULL)
            abort();
    }
    s->files[s->count] = (struct shelf_file){ .path = strdup(path), .touched = true };
    return &s->files[s->count++];
}

static void remove_at(struct shelf *s, const struct shelf_file *f)
{
    char path[512];

    if (f->directory) {
        snprintf(path, sizeof path, "%s/%s/lock", s->dir, f->path); /* made past the file calls: it holds nothing */
        (void)unlink(path);
    }
    snprintf(path, sizeof path, "%s/%s", s->dir, f->path);
    if ((f->directory ? rmdir(path) : unlink(path)) != 0 && errno != ENOENT)
        abort();
}

/* Files go before the directories they are in: those were made first. */
static void remove_unwanted(struct shelf *s)
{
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = s->count; i-- > 0;)
            if (!s->files[i].wanted && s->files[i].directory == (pass == 1)) {
                remove_at(s, &s->files[i]);
                free(s->files[i].path);
                memmove(&s->files[i], &s->files[i + 1], (--s->count - i) * sizeof s->files[0]);
            }
}

static void write_file(const struct shelf *s, const char *name, const uint8_t *bytes, size_t len)
{
    char path[512];
    int fd;

    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        abort();
    close(fd);
}

static void show_file(struct shelf *s, const struct platter *p, const struct choice *c,
                      const struct platter_image_file *f)
{
    struct shelf_file *there = find(s, f->path);
    char path[512];
    uint8_t *bytes;
    size_t len;

    if (!there->touched && memcmp(&there->digest, &f->digest, sizeof f->digest) == 0)
        return;
    if (f->directory) {
        snprintf(path, sizeof path, "%s/%s", s->dir, f->path);
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            abort();
    } else {
        image_content(p, c, f->inode, &bytes, &len);
        write_file(s, f->path, bytes, len);
        free(bytes);
    }
    there->directory = f->directory;
    there->touched = false;
    there->digest = f->digest;
}

void shelf_show(struct shelf *s, const struct platter *p, const struct choice *c, const struct platter_image *image)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++)
        s->files[i].wanted = false;
    for (size_t i = 0; i < image->count; i++)
        for (size_t n = 0; n < s->count; n++)
            if (strcmp(s->files[n].path, image->files[i].path) == 0)
                s->files[n].wanted = true;
    remove_unwanted(s);
    for (size_t i = 0; i < image->count; i++)
        show_file(s, p, c, &image->files[i]);
    s->deeds = 0;
    pthread_mutex_unlock(&s->lock);
}

void shelf_forget(struct shelf *s)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->count; i++)
        free(s->files[i].path);
    s->count = 0;
    pthread_mutex_unlock(&s->lock);
    test_remove(s->dir);
    if (mkdir(s->dir, 0700) != 0)
        abort();
}

/* ---- the file calls ---- */

static void touch(struct shelf *s, const char *path, bool directory)
{
    struct shelf_file *f;

    pthread_mutex_lock(&s->lock);
    f = find(s, path + strlen(s->dir) + 1);
    f->touched = true;
    f->directory = directory;
    s->deeds++;
    pthread_mutex_unlock(&s->lock);
}

static int shelf_open(void *context, const char *path, int flags)
{
    int fd = file_ops_system.open(NULL, path, flags);

    if (fd >= 0 && (flags & O_ACCMODE) != O_RDONLY)
        touch(context, path, false);
    return fd;
}

static ssize_t shelf_pwrite(void *context, int fd, const void *bytes, size_t len, off_t offset)
{
    (void)context;
    return pwrite(fd, bytes, len, offset);
}

static int shelf_fdatasync(void *context, int fd)
{
    (void)context;
    (void)fd;
    return 0;
}

static int shelf_ftruncate(void *context, int fd, off_t len)
{
    (void)context;
    return ftruncate(fd, len);
}

static int shelf_rename(void *context, const char *from, const char *to)
{
    touch(context, from, false);
    touch(context, to, false);
    return rename(from, to);
}

static int shelf_unlink(void *context, const char *path)
{
    touch(context, path, false);
    return unlink(path);
}

static int shelf_mkdir(void *context, const char *path)
{
    int result = mkdir(path, 0700);

    if (result == 0)
        touch(context, path, true);
    return result;
}

static int shelf_sync_dir(void *context, const char *path)
{
    (void)context;
    (void)path;
    return 0;
}

static int shelf_close(void *context, int fd)
{
    (void)context;
    return close(fd);
}

static void shelf_write_behind(void *context, int fd, off_t offset, off_t len)
{
    (void)context;
    (void)fd;
    (void)offset;
    (void)len;
}

static int shelf_free_bytes(void *context, const char *path, uint64_t *out)
{
    (void)context;
    (void)path;
    *out = UINT64_C(1) << 40;
    return 0;
}

const struct file_ops shelf_ops = {
    .open = shelf_open,
    .pwrite = shelf_pwrite,
    .fdatasync = shelf_fdatasync,
    .ftruncate = shelf_ftruncate,
    .rename = shelf_rename,
    .unlink = shelf_unlink,
    .mkdir = shelf_mkdir,
    .sync_dir = shelf_sync_dir,
    .close = shelf_close,
    .write_behind = shelf_write_behind,
    .free_bytes = shelf_free_bytes,
};
