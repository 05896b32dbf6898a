/*
 * A SQLite VFS that leaves only ciphertext on disk (docs/views.md, "Pages").
 *
 * One instance serves one view: its database file and the WAL beside it, for the connections of this
 * process. Other files (journals, temporary files) are refused; locks and the WAL index live in memory.
 */
#ifndef FANAL_VAULT_PAGE_VFS_H
#define FANAL_VAULT_PAGE_VFS_H

#include "vault/disk.h"
#include "vault/page_cipher.h"

#define PAGE_BYTES 4096
#define PAGE_RESERVED_BYTES 32 /* nonce, tag, 4 spare; SQLITE_FCNTL_RESERVE_BYTES before the first write */

struct page_vfs;

/* Registers a VFS of its own name with SQLite. disk is borrowed; key is copied. NULL on error. */
struct page_vfs *page_vfs_new(const struct disk *disk, const uint8_t key[PAGE_KEY_BYTES],
                              const uint8_t view_id[PAGE_ID_BYTES], struct error *err);

/* After every connection through it is closed. Wipes the key. NULL allowed. */
void page_vfs_free(struct page_vfs *v);

/* For sqlite3_open_v2(). */
const char *page_vfs_name(const struct page_vfs *v);

#endif
