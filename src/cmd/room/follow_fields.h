/*
 * What a twin asks and what a first answers, as field lists (docs/twin.md): bytes of another machine on both sides, so both
 * are read with suspicion. See vault/follow.h for what they mean.
 */
#ifndef FANAL_CMD_ROOM_FOLLOW_FIELDS_H
#define FANAL_CMD_ROOM_FOLLOW_FIELDS_H

#include "record/field.h"
#include "vault/follow.h"

struct follow_question {
    address from;
    uint64_t position, applied;
};

void follow_question_write(const struct follow_question *q, uint64_t wait_ms, struct writer *w);
void follow_question_read(struct span fields, struct follow_question *out);

void follow_range_write(const struct follow_range *r, size_t len, struct writer *w);
/* ERR_MALFORMED for what names nothing; *len at most WIRE_BYTES_MAX, else ERR_LIMIT. */
bool follow_range_read(struct span fields, struct follow_range *out, size_t *len, struct error *err);

void follow_head_write(const struct follow_head *h, uint64_t now_us, struct writer *w);
/* ERR_MALFORMED where a part is missing or has another length. */
bool follow_head_read(struct span fields, struct follow_head *out, struct error *err);

#endif
