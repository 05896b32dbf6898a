/*
 * SOP Instance UIDs that are appended and not yet in the views, so that two associations that send the same one at
 * once are settled in order. The owner's thread only.
 */
#ifndef FANAL_VAULT_PENDING_H
#define FANAL_VAULT_PENDING_H

#include "base/error.h"
#include "base/span.h"

struct pending;

struct pending *pending_new(void); /* NULL without memory */
void pending_free(struct pending *p);

/* In log order. False without memory. */
bool pending_add(struct pending *p, struct span sop_uid, uint64_t position);
/* The entry at position is committed, or (committed false) never will be. In log order. */
void pending_settle(struct pending *p, uint64_t position, bool committed);
/* Forgets what is committed and below folded: the views have it. */
void pending_prune(struct pending *p, uint64_t folded);

/* Calls found() for each under that UID, oldest first. */
typedef void pending_found(void *context, uint64_t position, bool committed);
void pending_find(const struct pending *p, struct span sop_uid, pending_found *found, void *context);

#endif
