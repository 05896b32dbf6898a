/*
 * Walks the records of the log in order, and steps over what is broken: recovery and verify read the log through it.
 */
#ifndef FANAL_VAULT_SCAN_H
#define FANAL_VAULT_SCAN_H

#include "vault/store_internal.h"

enum scan_type {
    SCAN_END,
    SCAN_ENTRY,   /* its header is whole; its facts may not be */
    SCAN_MARKER,  /* its HMAC holds */
    SCAN_GAP,     /* bytes that are no record */
    SCAN_SEGMENT, /* a segment begins: broken says that its header fails */
};

struct scan_item {
    enum scan_type type;
    address where;
    uint32_t length;
    struct span bytes; /* of an entry or marker; borrowed until the next call */
    struct entry_header entry;
    struct marker marker;
    struct span leaves;
    struct segment_header segment;
    bool broken;
    bool unread; /* of a gap: the disk failed to read some of it */
};

struct scan {
    struct store *store;
    address at;
    address limit;        /* nothing from here on is looked at */
    struct writer window; /* bytes of the segment from window_from on */
    uint32_t window_from;
    uint32_t window_segment;
    struct error want; /* as of error_is_want(): why the window could not be filled; what was seen since does not count */
    bool unread;    /* a read failed since the last item */
};

/* From `from` (offset 0 of a segment: its header comes first) up to `limit`. */
void scan_init(struct scan *c, struct store *s, address from, address limit);
void scan_done(struct scan *c);
/* False for a want (error_is_want): without memory, or where a segment that is there cannot be opened. */
bool scan_next(struct scan *c, struct scan_item *out, struct error *err);

#endif
