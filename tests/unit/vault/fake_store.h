/*
 * store.h in memory, for tests of what stands on it: entries stay under their directory's name until
 * fake_store_forget(), so that a store can be opened again; bodies have a length and no bytes.
 */
#ifndef FANAL_TEST_FAKE_STORE_H
#define FANAL_TEST_FAKE_STORE_H

#include "vault/disk.h"
#include "vault/store.h"

/* Frees every store. */
void fake_store_forget(void);
/* From now on the entry reads as damaged. */
void fake_store_damage(struct store *s, uint64_t position);
/* Ends the log before position, as recovery might. */
void fake_store_cut(struct store *s, uint64_t position);
/* Appends and commits at once, without the vault. */
uint64_t fake_store_put(struct store *s, enum record_kind kind, uint64_t received_us, struct span facts);
/* The next commit fails. */
void fake_store_fail_commit(struct store *s);
/* What store_status() says from now on, but for the size. */
/* The disk's calls are these from now on. */
void fake_store_files(const char *dir, const struct file_ops *ops);
void fake_store_status(const char *dir, const struct store_status *status);

#endif
