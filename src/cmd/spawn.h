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

/* One way out for what all roles write: packets come at `near` and leave at `out`. */
struct relay {
    int near;
    int far; /* the roles' standard output or error */
    int out; /* ours; borrowed */
};

enum { RELAY_OUT, RELAY_ERR, RELAY_COUNT };

/* relays: RELAY_COUNT of them, here and below. */
bool relays_open(struct relay *relays, struct error *err);
void relays_close(struct relay *relays);

/* Passes on what is there, without waiting for more. */
void relay_pass(struct relay *r);

/*
 * Runs `fanal --role name` from exe_fd with `control` as descriptor CONTROL_FD: own session, empty environment (but for
 * the options of sanitizers), no other descriptor, default signals, killed when the caller's process ends. -1 on error.
 */
pid_t spawn_role(int exe_fd, const char *name, int control, const struct relay *relays, struct error *err);

#endif
