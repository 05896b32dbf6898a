/*
 * Which bodies the commits of a log need: entry headers and markers are read as they pass, everything else is skipped
 * (docs/format.md, "Segment"). Checks what they say about themselves; whether it belongs there is the twin's question.
 */
#ifndef FANAL_CMD_STEP_LOG_H
#define FANAL_CMD_STEP_LOG_H

#include "vault/follow.h"

#define STEP_BODIES_MAX (1u << 16) /* large bodies and shared files of one step; a commit has at most 4,096 entries */

struct step_body {
    struct follow_range range; /* FOLLOW_BODY_FILE from an offset on, or a whole FOLLOW_LARGE */
    uint64_t end;              /* UINT64_MAX: as long as the file is */
};

struct step_log {
    uint64_t target;  /* records at which it stops */
    uint64_t records; /* so far */
    bool stopped;     /* the marker of `target` has passed */
    struct marker marker; /* the last one that passed */
    struct body_file in_use[BODY_CLASS_COUNT]; /* as the bodies list has them */
    struct step_body *bodies; /* owned; of each class in order */
    size_t body_count, body_cap;
    /* between two calls */
    uint8_t head[ENTRY_HEADER_BYTES];
    size_t have;
    uint64_t skip;
    bool marker_passes; /* what is skipped is the rest of a marker */
};

/* records, in_use: of the end from which the log is read. */
void step_log_begin(struct step_log *l, uint64_t records, const struct body_file in_use[BODY_CLASS_COUNT], uint64_t target);
void step_log_done(struct step_log *l);

/* A segment begins: its header comes next. */
void step_log_segment(struct step_log *l);
/*
 * The next bytes of the segment; *used: how many were looked at (fewer only where it has stopped). ERR_DAMAGED names the
 * record.
 */
bool step_log_take(struct step_log *l, struct span bytes, size_t *used, struct error *err);

#endif
