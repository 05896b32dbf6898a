/*
 * The plain files below the encrypting VFS: what SQLite's own VFS would do with them, done through the vault's file
 * calls (disk.h), so that a failing call and a power cut meet the views as they meet the log.
 *
 * Knows nothing of pages or keys. Results are SQLite's codes.
 */
#ifndef FANAL_VAULT_PAGE_RAW_H
#define FANAL_VAULT_PAGE_RAW_H

#include <sqlite3.h>

#include "vault/disk.h"

struct page_raw {
    const struct disk *disk; /* borrowed */
    int fd;
    bool fresh;              /* its name is not durable: the next sync sees to that */
    char path[DISK_PATH_MAX];
};

/* flags: SQLite's. */
int page_raw_open(struct page_raw *f, const struct disk *d, const char *path, int flags, int *out_flags);
int page_raw_close(struct page_raw *f);
/* SQLITE_IOERR_SHORT_READ, with zeros behind what is there, at the end of the file. */
int page_raw_read(struct page_raw *f, void *out, size_t len, sqlite3_int64 offset);
int page_raw_write(struct page_raw *f, struct span bytes, sqlite3_int64 offset);
int page_raw_truncate(struct page_raw *f, sqlite3_int64 size);
int page_raw_sync(struct page_raw *f);
int page_raw_size(struct page_raw *f, sqlite3_int64 *out);
/* sync: the name is durably gone afterwards. */
int page_raw_delete(const struct disk *d, const char *path, bool sync);

#endif
