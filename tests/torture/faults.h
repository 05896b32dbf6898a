/*
 * File calls and allocations that fail: the n-th of a kind, once or from there on. Stands before a tape's calls, so what
 * a failing run left on the disk can be cut like any other.
 */
#ifndef FANAL_TORTURE_FAULTS_H
#define FANAL_TORTURE_FAULTS_H

#include <stdatomic.h>

#include "tape.h"

enum fault_call {
    FAULT_OPEN,
    FAULT_WRITE,
    FAULT_SHORT_WRITE, /* some of it is written, and said so */
    FAULT_SYNC,
    FAULT_RENAME,
    FAULT_UNLINK,
    FAULT_TRUNCATE,
    FAULT_MKDIR,
    FAULT_SYNC_DIR,
    FAULT_FREE_BYTES,
    FAULT_MEMORY,
    FAULT_CALLS, /* how many there are: fails none */
};

struct fault {
    enum fault_call call;
    int error;
    long n;       /* the call that fails, from 1 */
    bool lasting; /* and all behind it */
    struct tape *tape;
    _Atomic long seen[FAULT_CALLS]; /* calls of each kind */
};

extern const struct file_ops fault_ops; /* its context is the fault */

/* Once, before SQLite is used. */
void faults_begin(void);
/* From now on, allocations of this process count for it (NULL: for nobody). The tape's own never fail. */
void faults_of_memory(struct fault *f);

static inline bool fault_was_reached(struct fault *f)
{
    return atomic_load(&f->seen[f->call]) >= f->n;
}

#endif
