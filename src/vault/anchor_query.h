/* The query `checkpoint` (docs/channel.md, "Finding"): answered by the store, not by the views. */
#ifndef FANAL_VAULT_ANCHOR_QUERY_H
#define FANAL_VAULT_ANCHOR_QUERY_H

#include "vault/anchor.h"
#include "vault/vault.h"

/* "holds", "rolled-back", "other-history". */
const char *anchor_verdict_name(enum anchor_verdict v);

/* One row; where the request has a tree_size and a tree_root, also what became of that checkpoint (`state`). */
bool anchor_query(struct store *s, struct span request, vault_row *row, void *context, struct error *err);

#endif
