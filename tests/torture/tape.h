/*
 * A tape of what a store does to its disk: every file call that changes something, in the order in which it took
 * effect, and between them what the store said (marks: from here on a record is promised).
 *
 * The calls are done for real below `dir` as well, so the store works on. A file that is there when the tape begins
 * counts as durable. Paths are kept relative to `dir`.
 */
#ifndef FANAL_TORTURE_TAPE_H
#define FANAL_TORTURE_TAPE_H

#include <pthread.h>

#include "vault/disk.h"

#define TAPE_FDS 1024

enum deed_type {
    DEED_CREATE,
    DEED_WRITE,
    DEED_TRUNCATE,
    DEED_SYNC,
    DEED_SYNC_FAILED, /* the page cache believes that all is written; the disk has none of it */
    DEED_REREAD,      /* … and believes it no more */
    DEED_RENAME,
    DEED_UNLINK,
    DEED_MKDIR,
    DEED_SYNC_DIR,
    DEED_MARK,
};

struct deed {
    enum deed_type type;
    int inode;       /* of a file */
    int path, to;    /* of a name */
    uint64_t offset; /* or length; of a sync: the deed before which it began */
    uint8_t *bytes;  /* owned */
    size_t len;
    const struct mark *mark; /* owned */
};

/* What was said. The judge holds the store to it in every state behind the mark. */
enum mark_type {
    MARK_CREATED,  /* the store is there and opens */
    MARK_APPENDED, /* position may hold this from now on */
    MARK_ACKED,    /* position holds it */
    MARK_RELEASED, /* position need not be readable any more (its unit is being erased) */
    MARK_ROOT,     /* the tree of `position` entries has this root: a checkpoint said so */
    MARK_SECRET,   /* this secret may open the store from now on */
    MARK_NO_SECRET, /* … and this one need not any more */
    MARK_PROMISE,  /* a claim of the scenario's own */
};

struct store;

/* False with *err where the claim does not hold. */
typedef bool mark_claim(struct store *s, uint64_t what, struct error *err);

struct mark {
    enum mark_type type;
    uint64_t position;
    unsigned kind; /* enum record_kind */
    unsigned seed;
    size_t len; /* SIZE_MAX: no body */
    uint8_t root[32];
    char text[96]; /* unit, secret */
    mark_claim *claim;
};

struct tape {
    pthread_mutex_t lock;
    char dir[64];
    struct deed *deeds;
    size_t count, cap;
    char **paths; /* interned */
    int path_count, path_cap;
    int *live; /* by path: the inode that the running store sees there, -1 none */
    struct tape_inode {
        uint8_t *bytes; /* as it was when the tape began; owned */
        size_t len;
        bool directory;
        int born_as; /* the path under which it was there at the beginning, -1: made since */
    } * inodes;
    int inode_count, inode_cap;
    int fds[TAPE_FDS];
    unsigned sync_us; /* how long a sync takes: what is said too early is said before its end */
    bool dead;     /* nothing is recorded and nothing is done any more: the process was killed */
    long kill_in;  /* deeds until then; 0: lives on */
};

/* Above 0 while this thread's allocations are the test's own, which never fail. */
extern _Thread_local int tape_spares;

extern const struct file_ops tape_ops; /* its context is the tape */

/* Begins a tape over dir, with the marks of `before` up to its deed `upto` (NULL: none). */
void tape_begin(struct tape *t, const char *dir, const struct tape *before, size_t upto);
void tape_end(struct tape *t);

void tape_mark(struct tape *t, const struct mark *m);
/* A sync that failed, for who stands between the store and the tape. */
void tape_sync_failed(struct tape *t, int fd);
/* Number of a path, relative to dir; made where it is new. */
int tape_path(struct tape *t, const char *path);

/* The name of an inode as of a deed; and the last deeds before one, on stdout. */
const char *tape_name(const struct tape *t, size_t at, int inode);
void tape_say(const struct tape *t, size_t at, size_t most);

#endif
