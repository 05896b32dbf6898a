/*
 * The queries that ask the rules what is to be erased, was, and is held (docs/channel.md, "Finding"). What a unit is can
 * be read from its records until it is erased; the rules know slots and tags only.
 */
#ifndef FANAL_VAULT_QUERY_ERASURES_H
#define FANAL_VAULT_QUERY_ERASURES_H

#include "vault/rules.h"

typedef bool rules_query(struct rules *r, struct store *s, struct span request, vault_row *row, void *context,
                         struct error *err);

/* "accounts", "erasures", "erasure-units", "holds", "copies", "retention"; NULL for any other name. */
rules_query *rules_query_of(struct span name);

#endif
