/*
 * The recheck process: a fresh, sandboxed process for each stored object that the vault has walked again (docs/channel.md,
 * "The second walk").
 *
 * The process that the supervisor starts parses nothing: it forks, like a gate's listener, and its child has one
 * object's bytes and one conversation. What a hostile object does to a child ends with it.
 */
#ifndef FANAL_RECHECK_ROLE_H
#define FANAL_RECHECK_ROLE_H

/* Runs until STOP or until the vault ends the conversation; the process's exit status. */
int recheck_role_run(int control_fd);

#endif
