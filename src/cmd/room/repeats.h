/*
 * Refused objects that come again and again: a modality that repeats what was answered A900 must not fill the disk for
 * ever (docs/channel.md, "Storing").
 *
 * Bytes that were kept as refused or not understood, and come again from the same source within a day, are answered as
 * before and counted, not kept again. Remembered in memory: a restart keeps one more. The loop's thread.
 */
#ifndef FANAL_CMD_ROOM_REPEATS_H
#define FANAL_CMD_ROOM_REPEATS_H

#include "base/span.h"

#define REPEATS_MAX    1024 /* objects remembered; the one that came longest ago makes room */
#define REPEAT_LIFE_US ((uint64_t)86400 * 1000000)
#define REPEAT_DIGEST_BYTES 32

struct repeats;

struct repeat {
    uint64_t position; /* of the one that is kept */
    uint64_t count;    /* came again so often */
};

struct repeats *repeats_new(void); /* NULL without memory */
void repeats_free(struct repeats *r);

/* It is committed at position. */
void repeats_add(struct repeats *r, const char *source, const uint8_t digest[REPEAT_DIGEST_BYTES], uint64_t position,
                 uint64_t now_us);
/* What is kept of those bytes; NULL where nothing is, or it is too old. Borrowed until the next call. */
const struct repeat *repeats_find(struct repeats *r, const char *source, const uint8_t digest[REPEAT_DIGEST_BYTES],
                                  uint64_t now_us);
/* It came again: true where that is to be recorded (the 1st, 10th, 100th … time). */
bool repeats_count(struct repeats *r, const char *source, const uint8_t digest[REPEAT_DIGEST_BYTES], uint64_t now_us);

#endif
