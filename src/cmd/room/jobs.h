/*
 * Work that would keep the event loop from its sessions: each queue has threads of its own.
 *
 * A job is handed over whole: from jobs_add() until done() only its thread touches it; done() runs in the loop.
 */
#ifndef FANAL_CMD_ROOM_JOBS_H
#define FANAL_CMD_ROOM_JOBS_H

#include "base/error.h"
#include "vault/vault.h"

/* Jobs waiting in one queue; one more is refused (the asker is told to come back). */
#define JOBS_WAITING_MAX 256

struct job {
    struct job *next;
    void (*run)(struct job *self, struct vault_reader *reader); /* in a thread of the queue */
    void (*done)(struct job *self, void *context);              /* in the loop; frees the job */
};

struct jobs;

/* Starts the threads; each has a vault_reader of its own (none where vault is NULL). NULL with *err. */
struct jobs *jobs_new(struct vault *vault, unsigned threads, struct error *err);
/* Waits for what runs, drops what waits: done() is called for all of it, so a job must know whether it ran. */
void jobs_free(struct jobs *q, void *context);
/* False where too many wait. */
bool jobs_add(struct jobs *q, struct job *job);
/* Readable when jobs_done() has something to do. */
int jobs_fd(const struct jobs *q);
/* Calls done(job, context) for each job that ended. */
void jobs_done(struct jobs *q, void *context);

#endif
