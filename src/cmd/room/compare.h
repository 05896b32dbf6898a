/*
 * The same SOP Instance UID again (design §5): the same bytes are success without a second copy; different bytes are
 * kept beside, as an alternate where only the encoding differs, as a conflict where values or pixels do.
 */
#ifndef FANAL_CMD_ROOM_COMPARE_H
#define FANAL_CMD_ROOM_COMPARE_H

#include "cmd/room/repeats.h"
#include "cmd/room/room.h"

/* What PUT_END decided so far. */
struct put_state {
    char state[16];
    uint64_t first_position;
    bool has_first;
    bool has_digest; /* of something refused: remembered once it is committed (repeats.h) */
    uint8_t digest[REPEAT_DIGEST_BYTES];
};

/* The rest of room_put.c that settling needs. Each of them answers the (held) session, now or after the commit. */
bool put_facts(const struct room *room, const struct session *s, struct span claim, struct put_state *st, struct writer *out,
               struct error *err);
void put_append(struct room *room, struct session *s, uint32_t id, const struct put_state *st, struct writer *facts);
/* Nothing is appended: what is at position is that object. */
void put_answer_kept(struct room *room, struct session *s, uint32_t id, uint64_t position, const char *state);
void put_answer_fault(struct room *room, struct session *s, uint32_t id, const struct error *err);

/* What was refused or not understood: appended, or counted where the same bytes are kept. *facts may be moved out. */
void put_refused(struct room *room, struct session *s, uint32_t id, const struct put_state *st, struct writer *facts);

/* Takes over *facts (moved out). Appends at once where the UID is new, else compares first. */
void put_settle(struct room *room, struct session *s, uint32_t id, struct writer *facts);
/* Looks again at resends that waited for the first one's commit. */
void put_settle_waiting(struct room *room);
/* Forgets them: the room closes. Nobody is answered, so nobody was promised anything. */
void put_settle_stop(struct room *room);

#endif
