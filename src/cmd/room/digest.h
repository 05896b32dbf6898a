/*
 * Asking a lens whether two data sets of one UID say the same: the vault parses no DICOM itself, so a sandboxed
 * process digests each (docs/channel.md, "The lens") and the digests are compared here.
 */
#ifndef FANAL_CMD_ROOM_DIGEST_H
#define FANAL_CMD_ROOM_DIGEST_H

#include "cmd/room/lens_slot.h"

enum verdict {
    VERDICT_NONE,      /* not compared */
    VERDICT_SAME,      /* byte for byte */
    VERDICT_ALTERNATE, /* only the encoding differs */
    VERDICT_GONE,      /* the one that was served was erased, or expired: there is nothing to compare with */
    VERDICT_CONFLICT,  /* values or pixels differ, or nobody could tell: the side that is shown */
};

/* Blocks up to LENS_SLOT_WAIT_MS an answer; one thread at a time. syntax: transfer syntax of the new body. */
enum verdict digest_compare(struct lens_slot *slot, struct store *store, uint64_t first, struct body *body, struct span syntax);

#endif
