/*
 * The process that starts the others, wires them, restarts what dies and stops them in order.
 *
 * Knows neither keys nor formats: what each role is told, and who talks to whom, is a plan made by serve.c. It waits
 * for nobody: a role that does not take its messages is killed and started again. Restarts are bounded: a role that
 * lived SUPERVISOR_HEALTHY_MS comes back at once, one that dies younger waits longer each time.
 */
#ifndef FANAL_CMD_SUPERVISOR_H
#define FANAL_CMD_SUPERVISOR_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/log.h"
#include "channel/channel.h"

#define SUPERVISOR_ROLES_MAX 16

#define SUPERVISOR_HEALTHY_MS     2000  /* lived that long: its next start is at once */
#define SUPERVISOR_DELAY_FIRST_MS 50    /* died younger: waits so long, twice as long after the next … */
#define SUPERVISOR_DELAY_MAX_MS   30000 /* … up to this, for ever: the others go on without it */
#define SUPERVISOR_ENDING_MS      1000  /* closed its control channel: killed unless it has ended by then */
#define SUPERVISOR_GATES_STOP_MS  3500  /* from SIGTERM until gates and lenses are killed */
#define SUPERVISOR_STOP_MS        4800  /* from SIGTERM until everything is killed: "within 5 s" */
#define SUPERVISOR_CRASHES_MAX    64    /* deaths not reported yet, while the vault is down; the oldest stay */

struct role_plan {
    const char *name; /* of `fanal --role NAME` */
    enum process_kind kind;
    unsigned number;          /* of those of its kind, from 0 */
    bool is_vault;            /* hears of crashes, stopped last; one of them */
    const char *sealed_name;  /* of the vault, without a descriptor of its secret: the role that waits for one */
    struct span settings;     /* fields of START; borrowed */
    int fds[CHANNEL_FDS_MAX]; /* of START; borrowed: passed again at each start */
    size_t fd_count;
};

/* Conversation between two roles, by their index. */
struct link_plan {
    size_t a, b;
};

struct supervisor_plan {
    const struct role_plan *roles;
    size_t role_count; /* <= SUPERVISOR_ROLES_MAX */
    const struct link_plan *links;
    size_t link_count;
    int exe_fd;      /* this program, opened before privileges were dropped */
    int local_fd;    /* listening socket of local commands; -1: none */
    uid_t local_uid; /* may use it, beside root */
    const struct log *log;
    const struct clock *clock;
    void (*ready)(void *context);  /* every role has said READY for the first time; NULL allowed */
    void (*sealed)(void *context); /* the same, while nobody has opened the vault; NULL allowed */
    void *context;
};

/*
 * A vault without secret (fd_count 0, sealed_name) waits: the role of that name runs in its place until it says OPENED with
 * the secret; then the vault is started with it, and again with it when it dies.
 *
 * Runs until SIGTERM, SIGINT or SIGHUP, which it blocks, then stops everything. False where it could not start, where
 * the vault refused to serve (ERR_SEALED: it has logged why), or where the vault did not finish in time.
 */
bool supervisor_run(const struct supervisor_plan *plan, struct error *err);

#endif
