/*
 * Reads and decrypts entries ahead of whoever folds them, in a thread of its own: both cost about the same, so a rebuild
 * takes half the time where there are two processors.
 */
#ifndef FANAL_VAULT_AHEAD_H
#define FANAL_VAULT_AHEAD_H

#include "vault/store.h"

struct ahead;

/* Begins to read [from, end) of s, which is borrowed. NULL without memory or thread: then read without it. */
struct ahead *ahead_new(struct store *s, uint64_t from, uint64_t end);
void ahead_free(struct ahead *a); /* NULL allowed; stops where it is */

/*
 * The next entry, in order: as store_read_entry() of it would have said. facts borrow until the next call. Never called
 * more often than there are entries.
 */
bool ahead_next(struct ahead *a, struct entry *out, struct span *facts, struct error *err);

#define AHEAD_BLOCK 64

#endif
