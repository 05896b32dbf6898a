/*
 * The lens process: decodes for whoever holds the other end of a conversation (docs/channel.md, "The lens").
 *
 * Holds one frame's bytes at a time and nothing else: no network, no file, no key. A frame that takes longer than
 * LENS_FRAME_S (serve.h) ends the process; the supervisor starts a fresh one.
 */
#ifndef FANAL_LENS_ROLE_H
#define FANAL_LENS_ROLE_H

#define LENS_CONVERSATIONS_MAX 8u /* the supervisor makes one or two */

/* Runs until STOP; the process's exit status. */
int lens_role_run(int control_fd);

#endif
