/*
 * The named queries of docs/channel.md, "Finding", over one reading connection. One thread.
 */
#ifndef FANAL_VAULT_QUERY_H
#define FANAL_VAULT_QUERY_H

#include <sqlite3.h>

#include "vault/vault.h"

struct query;

/* db and store are borrowed and outlive the query. */
struct query *query_new(sqlite3 *db, struct store *store, struct error *err);
void query_free(struct query *q);

/*
 * Runs the query the request names in one read transaction. ERR_NOT_FOUND: no query, patient, study … of that name;
 * ERR_DAMAGED where the views have to be made again. enrolled: some account exists (for `status`).
 */
bool query_run(struct query *q, struct span request, bool enrolled, vault_row *row, void *context, struct error *err);

/* Versions under a SOP Instance UID, the served one first; 0 where there is none. */
size_t query_versions(struct query *q, struct span sop_uid, uint64_t *out, size_t max, struct error *err);

/* Every table, ordered, one line a row (docs/views.md, "Dump"). */
bool query_dump(sqlite3 *db, int fd, struct error *err);

#endif
