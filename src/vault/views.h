/*
 * The views' database: which file it is, its schema, its connections (docs/views.md).
 *
 * `views/current` of the vault names the view that counts; the view `id` lies in `views/<id>.db` and `<id>.db-wal`.
 * A new view is filled beside it and becomes current in one rename. Nothing here knows what is folded.
 */
#ifndef FANAL_VAULT_VIEWS_H
#define FANAL_VAULT_VIEWS_H

#include <sqlite3.h>

#include "base/error.h"
#include "vault/page_vfs.h"

struct views;

/* Whatever changes the schema or what folding makes of a record: older views are made again. */
#define VIEWS_VERSION 2

/* The current view; ERR_NOT_FOUND where there is none, ERR_DAMAGED or ERR_SEALED where it does not open. */
struct views *views_open(const struct disk *disk, const uint8_t key[PAGE_KEY_BYTES], struct error *err);
/*
 * An empty view under a new id, not yet current. mark: how many tombstones there were (docs/erasure.md); a view made
 * before the newest one holds what it must not.
 */
struct views *views_create(const struct disk *disk, const uint8_t key[PAGE_KEY_BYTES], uint32_t mark,
                           struct error *err);
/* The mark it was made with. */
bool views_mark(struct views *v, uint32_t *mark, struct error *err);
/* The same, to be filled with about so many records by views_writer() and nothing else, then published. */
struct views *views_create_to_load(const struct disk *disk, const uint8_t key[PAGE_KEY_BYTES], uint32_t mark,
                                   uint64_t records, struct error *err);
/* Makes it the current one, durably, and removes every other. */
bool views_publish(struct views *v, struct error *err);
/* Closes it and removes its files: one that will not become current. NULL allowed. */
void views_remove(struct views *v);
void views_close(struct views *v); /* every other connection is closed before; NULL allowed */

/* The one connection that writes and checkpoints; owned by the view. */
sqlite3 *views_writer(struct views *v);
/* A connection that only reads; the caller closes it with sqlite3_close(). NULL on error. */
sqlite3 *views_reader(struct views *v, struct error *err);

#endif
