/* What room_erase.c and room_retention.c share: a change whose end is that data keys are destroyed. */
#ifndef FANAL_CMD_ROOM_ERASE_WORK_H
#define FANAL_CMD_ROOM_ERASE_WORK_H

#include "cmd/room/change.h"
#include "cmd/room/selection.h"

#define REQUEST_DAYS 30u
#define DAY_US       ((uint64_t)86400 * 1000000)

/* What such a change needs beside itself. */
struct work {
    struct vault *vault;
    struct selection selection; /* of a new request or hold */
    struct erasure erasure;     /* of an approval */
    struct slot_erasure *slots; /* its units; owned */
    bool closed;                /* they take nothing new */
    struct still still;
    uint64_t now_us;         /* room_retention.c */
    struct retention rules[RETAINED_COUNT];
    struct expired expired;
    change_step *afterwards; /* when the keys are gone; NULL: the answer */
};

/* NULL: it has been refused. */
struct work *work_new(struct room *room, struct change *c);

/* The facts of a request for the units that were selected. */
void put_request(struct room *room, struct work *w, struct span reason, struct writer *facts);

/* Closes the units of w->erasure, commits the approval, looks again, commits the tombstone, destroys the keys. */
void erasure_carry_out(struct room *room, struct change *c);

/* Why the second account is no second person for what the first asked at that position; NULL where it is. */
const char *why_not_second(struct room *room, const char *first, const char *second, uint64_t asked_at);

#endif
