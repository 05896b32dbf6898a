/*
 * The file calls of the vault, as a table that a test can stand in for: failures at the n-th call, power cuts.
 *
 * Only what changes the disk (and how much of it is free) goes through here; reading is plain pread(2). Paths are the
 * store's own; nothing from the wire becomes one.
 */
#ifndef FANAL_VAULT_DISK_H
#define FANAL_VAULT_DISK_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/span.h"

/* Each as the system call of its name: -1 and errno. */
struct file_ops {
    int (*open)(void *context, const char *path, int flags); /* O_CLOEXEC and mode 0600 are added */
    ssize_t (*pwrite)(void *context, int fd, const void *bytes, size_t len, off_t offset);
    int (*fdatasync)(void *context, int fd);
    int (*ftruncate)(void *context, int fd, off_t len);
    int (*rename)(void *context, const char *from, const char *to);
    int (*unlink)(void *context, const char *path);
    int (*mkdir)(void *context, const char *path); /* mode 0700 */
    int (*sync_dir)(void *context, const char *path);
    int (*close)(void *context, int fd);
    /* Starts writing a range back without waiting; a hint, its failure means nothing. */
    void (*write_behind)(void *context, int fd, off_t offset, off_t len);
    int (*free_bytes)(void *context, const char *path, uint64_t *out);
    /* NULL: a pwrite for each piece. */
    ssize_t (*pwritev)(void *context, int fd, const struct iovec *pieces, int count, off_t offset);
    /* What is read next comes from the disk, as far as the page cache can be made to forget. A hint too; may be NULL. */
    void (*reread)(void *context, int fd);
};

extern const struct file_ops file_ops_system;

#define DISK_PATH_MAX 4096

/* The directory `vault` and how to reach it. */
struct disk {
    const struct file_ops *ops;
    void *context;
    char root[DISK_PATH_MAX - 256]; /* DIR/vault; names below it fit behind */
};

/* out[DISK_PATH_MAX] = root/name. Names are our own and short: always fits. */
void disk_path(const struct disk *d, const char *name, char *out);

/* A descriptor, or -1. name is relative to the root. */
int disk_open(const struct disk *d, const char *name, int flags, struct error *err);
/*
 * As disk_open(), for a file that is written in whole blocks of DISK_BLOCK_BYTES, from memory that begins on one: past
 * the page cache where the file system can, which halves what a written gigabyte costs (docs/performance.md).
 */
#define DISK_BLOCK_BYTES 4096u
int disk_open_direct(const struct disk *d, const char *name, int flags, struct error *err);
void disk_close(const struct disk *d, int *fd);
bool disk_write_at(const struct disk *d, int fd, struct span bytes, uint64_t offset, struct error *err);
/* The pieces one after the other; changes the array. */
#define DISK_PIECES_MAX 64u
bool disk_write_pieces(const struct disk *d, int fd, struct iovec *pieces, size_t count, uint64_t offset,
                       struct error *err);
bool disk_sync(const struct disk *d, int fd, struct error *err);
/*
 * For who did not write the file himself: whatever a killed process left in the page cache is on the disk, and what a
 * failed sync left there (clean, and never written) is read no more.
 */
bool disk_settle(const struct disk *d, int fd, struct error *err);
bool disk_truncate(const struct disk *d, int fd, uint64_t len, struct error *err);
bool disk_rename(const struct disk *d, const char *from, const char *to, struct error *err);
bool disk_unlink(const struct disk *d, const char *name, struct error *err);
bool disk_sync_dir(const struct disk *d, const char *name, struct error *err);
/* Makes the directory where it is missing and syncs the one above it, in any case. */
bool disk_make_dir(const struct disk *d, const char *name, struct error *err);
bool disk_free_bytes(const struct disk *d, uint64_t *out, struct error *err);
bool disk_exists(const struct disk *d, const char *name);

/*
 * Zeros over all of a file that no name leads to any more: on a file system that writes in place its blocks, free then,
 * say nothing of what they held. What cannot be written is let be. The keys of the time are what it is for.
 */
void disk_wipe(const struct disk *d, int fd);

/* The file `name` of the root holds exactly bytes, or, until all of it is durable, what it held before. */
bool disk_replace(const struct disk *d, const char *name, struct span bytes, struct error *err);

#endif
