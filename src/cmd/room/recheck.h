/*
 * The second walk: every stored object is handed to a fresh sandboxed process which reads its facts again; where they are
 * not what the gate claimed, that is recorded and shown (docs/channel.md, "The second walk").
 *
 * In the background: one object at a time in a thread of its own, slowly, and more slowly while objects arrive. How far
 * it came is recorded now and then, so a restart goes on there.
 */
#ifndef FANAL_CMD_ROOM_RECHECK_H
#define FANAL_CMD_ROOM_RECHECK_H

#include "cmd/room/room.h"

struct recheck;

/* NULL with *err. */
struct recheck *recheck_new(struct room *room, struct error *err);
/* Waits for the object that is being walked. NULL allowed. */
void recheck_free(struct recheck *r);

/* A (new) process that walks: takes over fd. */
void recheck_offer(struct recheck *r, int fd);

/* Readable when recheck_turn() has something to do. */
int recheck_timer_fd(const struct recheck *r);
int recheck_done_fd(const struct recheck *r);

/* Goes on at `checked`, as the views know it; until then nothing is walked. */
void recheck_begin_at(struct recheck *r, uint64_t checked);
/* Objects below this position were walked. Any thread. */
uint64_t recheck_position(const struct recheck *r);
/* Something was committed. */
void recheck_wake(struct recheck *r);
void recheck_turn(struct recheck *r);
/* At an orderly stop: records how far it came. */
void recheck_stop(struct recheck *r);

#endif
