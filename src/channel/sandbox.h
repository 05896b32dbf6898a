/*
 * What a process gives up before it meets a stranger's bytes: privileges to come, its core dump, the file
 * system (Landlock), every system call its profile does not name (seccomp: the process is killed), and
 * more memory and descriptors than it needs (rlimits).
 *
 * Each profile is a table in sandbox.c. There is no way back. In a build with ASan or TSan, whose runtime
 * needs more calls than any profile gives, nothing but the rlimits is entered and the log says
 * sandbox.skipped; where the kernel has no Landlock the log says sandbox.no-landlock.
 */
#ifndef FANAL_CHANNEL_SANDBOX_H
#define FANAL_CHANNEL_SANDBOX_H

#include "base/error.h"
#include "base/log.h"

enum sandbox_profile {
    SANDBOX_GATE_LISTENER, /* accepts, makes socket pairs, forks, waits; may enter SANDBOX_GATE_CHILD in the fork */
    SANDBOX_GATE_CHILD,    /* one peer's socket, one channel, memory; dies with its parent (PR_SET_PDEATHSIG) */
    SANDBOX_WEB,           /* accepts; threads, socket pairs, memfds; no fork */
    SANDBOX_LENS,          /* maps and unmaps memfds that it is given; one channel; threads no, alarms yes */
    SANDBOX_RELAY,         /* makes TCP connections outwards; one channel; no file, no thread, nothing that listens */
    SANDBOX_VAULT,         /* files below `writable`, threads, memfds, its channels */
};

#define SANDBOX_PATHS_MAX 4

/* What stays of the file system; directories, opened at entry. Gates and lens: NULL, nothing. */
struct sandbox_paths {
    const char *writable[SANDBOX_PATHS_MAX]; /* read, write, create, rename and unlink below; NULL ends */
    const char *readable[SANDBOX_PATHS_MAX]; /* read below; one that does not exist is left out; NULL ends */
};

/*
 * Enters a profile, for ever: rlimits, PR_SET_DUMPABLE 0, no_new_privs, Landlock, seccomp, in this order. Call it
 * when libraries are initialised (they open files) and before threads start: Landlock holds for the calling thread
 * and those it starts later.
 * paths may be NULL, log may be NULL. On false nothing is promised: the caller ends the process.
 */
bool sandbox_enter(enum sandbox_profile profile, const struct sandbox_paths *paths, const struct log *log,
                   struct error *err);

/* Whether this build enters profiles in full: false under ASan and TSan, where tests of them are skipped. */
bool sandbox_is_complete(void);

#endif
