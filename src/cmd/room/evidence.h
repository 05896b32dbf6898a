/*
 * Evidence for a pack, as rows of a FIND (docs/channel.md, "Evidence"): in a job's thread, for a local session only; the
 * event is recorded before.
 */
#ifndef FANAL_CMD_ROOM_EVIDENCE_H
#define FANAL_CMD_ROOM_EVIDENCE_H

#include "vault/vault.h"

/* Records of one pack. */
#define EVIDENCE_RECORDS_MAX 1000000u
/* Records looked through for what others have said of our checkpoints. */
#define EVIDENCE_ANCHOR_SEARCH_MAX 200000u
/* Other checkpoints of one pack. */
#define EVIDENCE_ANCHORS_MAX 16u

/* "evidence" and "evidence-signature". */
bool evidence_find(struct store *store, struct vault_reader *reader, struct span request, vault_row *row, void *context,
                   struct error *err);

/* GET of an entry or a body as stored: up to len bytes from offset. */
bool evidence_stored(struct store *store, bool body, uint64_t position, uint64_t offset, uint8_t *out, size_t len,
                     size_t *got, struct error *err);

#endif
