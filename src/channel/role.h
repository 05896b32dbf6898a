/*
 * What every role does with the supervisor: is started, says that it serves, is handed conversations, is stopped.
 *
 *   int dicom_listener_run(int control_fd)
 *   {
 *       struct role role;
 *       struct error err;
 *
 *       if (!role_begin(&role, "dicom", control_fd, &err)) …        START: role.fields, role.fds
 *       if (!sandbox_enter(SANDBOX_GATE_LISTENER, NULL, &role.log, &err)) …
 *       if (!role_ready(&role, &err)) …
 *       for (;;) … poll(role_fd(&role)) … role_next(&role, 0, &event, &err) …
 *       role_end(&role);
 *
 * What START brings to each role is in docs/channel.md ("The control channel").
 */
#ifndef FANAL_CHANNEL_ROLE_H
#define FANAL_CHANNEL_ROLE_H

#include "base/log.h"
#include "channel/channel.h"

#define CONTROL_FD 3 /* where a role finds its control channel */

/* Exit status of a role; REFUSED: it cannot serve with what it was given (wrong secret, no store). */
#define ROLE_EXIT_OK      0
#define ROLE_EXIT_FAILED  1
#define ROLE_EXIT_REFUSED 3

struct role {
    struct channel control;   /* owned */
    struct log log;           /* standard error, as the role's name */
    struct span fields;       /* of START; owned, live until role_end() */
    int fds[CHANNEL_FDS_MAX]; /* of START (docs/channel.md); owned until set to -1 by whoever takes one */
    size_t fd_count;
    uint8_t *buffer; /* last message; owned */
};

/*
 * Waits for START, at most ROLE_START_MS. Names the process, asks to be killed when the supervisor ends, ignores
 * SIGPIPE. `name` must outlive the role.
 */
#define ROLE_START_MS 10000
bool role_begin(struct role *out, const char *name, int control_fd, struct error *err);

/* Closes and frees what the role owns. A forked child calls it for what it does not need. */
void role_end(struct role *role);

/* Tells the supervisor that the role serves. */
bool role_ready(struct role *role, struct error *err);

enum role_event_kind {
    ROLE_JOIN,  /* a conversation with `process`, `number`; replaces an earlier one of the same */
    ROLE_STOP,  /* finish what is under way, then exit 0: within ROLE_STOP_MS, else it is killed */
    ROLE_CRASH, /* vault only: a process died; message.fields say which: to be recorded */
};
#define ROLE_STOP_MS 3500 /* gates and lenses; the vault has what is left of 4.8 s */

struct role_event {
    enum role_event_kind kind;
    enum process_kind process; /* ROLE_JOIN: who is at the other end */
    unsigned number;           /* ROLE_JOIN: which of them (0, 1 …), stable over its restarts */
    struct channel channel;    /* ROLE_JOIN: owned by whoever got the event */
    struct span fields;        /* borrows until the next role_next() */
};

/* For poll(). */
static inline int role_fd(const struct role *role)
{
    return role->control.fd;
}

/*
 * The supervisor's next word. timeout_ms as channel_receive(). ERR_TIMEOUT: none yet. ERR_CLOSED: the supervisor
 * is gone, exit. Anything else is a broken supervisor: exit too.
 */
bool role_next(struct role *role, int timeout_ms, struct role_event *out, struct error *err);

#endif
