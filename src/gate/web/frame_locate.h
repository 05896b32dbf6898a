/*
 * Where a frame's bytes lie in a stored object (PS3.5 §8, Annex A.4), found with few reads.
 *
 * Native frames lie at a multiple of their size; encapsulated ones in fragments, named by the Basic Offset
 * Table, else one after the other. Nothing but item headers is read here.
 */
#ifndef FANAL_GATE_WEB_FRAME_LOCATE_H
#define FANAL_GATE_WEB_FRAME_LOCATE_H

#include "base/error.h"
#include "base/span.h"

/* [offset, offset + len) of the body; shorter only at its end. *out borrows until the next call. */
struct body {
    bool (*read)(void *context, uint64_t offset, size_t len, struct span *out, struct error *err);
    void *context;
};

/* A frame of a scanner or a cine is one fragment; writers that cut by size make some thousands of a large one. */
#define FRAGMENTS_OF_FRAME_MAX 4096
/* Fragments of one object that has no offset table: each is a header to be read on the way. */
#define FRAGMENTS_BEFORE_FRAME_MAX 65536
/* As much as a lens takes. */
#define ENCODED_FRAME_MAX ((uint64_t)1 << 30)

struct extent {
    uint64_t offset, len;
};

struct frame_place {
    size_t count;
    uint64_t total; /* bytes of all extents */
    struct extent extents[FRAGMENTS_OF_FRAME_MAX];
};

/*
 * fields: of the instance (pixel_offset, pixel_length, pixel_encapsulated, rows …). number: from 1.
 * ERR_NOT_FOUND: no such frame; ERR_UNSUPPORTED: no pixels, or they cannot be read by range; ERR_MALFORMED where the
 * fragments break their form, ERR_LIMIT past the bounds above.
 */
bool frame_locate(const struct body *body, struct span fields, uint64_t number, struct frame_place *out,
                  struct error *err);

#endif
