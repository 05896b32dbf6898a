/*
 * Folding: what one record of the log changes in the views (docs/views.md, "Folding").
 *
 * A folder writes through the views' one writing connection. Entries come in log order, in batches; the position
 * behind the last one is stored in the batch's own transaction. One thread.
 */
#ifndef FANAL_VAULT_FOLDER_H
#define FANAL_VAULT_FOLDER_H

#include "record/moment.h"
#include "vault/store.h"
#include "vault/views.h"

struct folder;

#define FOLDER_SECRET_BYTES 32

/* What folding an object made of it, for NEWS: a field list (docs/channel.md, "News"). Lives during the call. */
typedef void folder_news(void *context, uint64_t position, struct span news);

/*
 * secret makes patient keys opaque and the same in every rebuild. zone: of times sent without one; copied.
 * views is borrowed and outlives the folder.
 */
struct folder *folder_new(struct views *views, const uint8_t secret[FOLDER_SECRET_BYTES], const struct zone *zone,
                          struct error *err);
void folder_free(struct folder *f);

/* Position of the next entry to fold, as stored; and the digest of the last one folded (zeros where none was). */
#define FOLDER_DIGEST_BYTES 32
bool folder_position(struct folder *f, uint64_t *position, uint8_t digest[FOLDER_DIGEST_BYTES], struct error *err);

/* Digest of an entry, by which views notice that they were folded from another log. */
void folder_digest(const struct entry *e, struct span facts, uint8_t out[FOLDER_DIGEST_BYTES]);

/* Entries come from there from now on, in order (rebuild); NULL: read one by one. Borrowed. */
struct ahead;
void folder_read_ahead(struct folder *f, struct ahead *ahead);

/*
 * Folds entries [stored position, end) of the store, at most max of them, in one transaction. *folded: how many.
 * An entry that the store finds damaged is listed as such and passed. On error nothing of the batch is kept.
 */
bool folder_batch(struct folder *f, struct store *s, uint64_t end, size_t max, folder_news *news, void *context,
                  size_t *folded, struct error *err);

#endif
