/*
 * Starting a role: this program again, in a process that holds nothing but its control channel and two sockets to
 * write to.
 *
 * What roles write (log lines, last words) comes through the supervisor, so that a gate or lens has not even the log
 * file open: every descriptor it has is a socket.
 */
#ifndef FANAL_CMD_SPAWN_H
#define FANAL_CMD_SPAWN_H

#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"

/*
 * One way out for what is written: packets come at `near` and leave at `out`. Where nobody reads `out` (a full pipe, a
 * stopped terminal), packets are counted and dropped: a log that stands still must not make a hospital wait.
 */
struct relay {
    int near;
    int far;       /* the roles' standard output or error; of RELAY_OWN: our own log, which never blocks */
    int out;       /* ours; borrowed */
    uint64_t lost; /* packets dropped since the last line that said so */
};

enum { RELAY_OWN, RELAY_OUT, RELAY_ERR, RELAY_COUNT };

/* relays: RELAY_COUNT of them, here and below. */
bool relays_open(struct relay *relays, struct error *err);
void relays_close(struct relay *relays);

/* Passes on what is there, without waiting for more, nor for `out`. log: where log.lost is said. */
void relay_pass(struct relay *r, const struct log *log);

/*
 * Runs `fanal --role name` from exe_fd with `control` as descriptor CONTROL_FD: own session, empty environment (but for
 * the options of sanitizers), no other descriptor, default signals, killed when the caller's process ends. -1 on error.
 */
pid_t spawn_role(int exe_fd, const char *name, int control, const struct relay *relays, struct error *err);

#endif
