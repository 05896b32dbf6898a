/*
 * What a scenario acts with: a store whose file calls are recorded, and the few verbs that also say, on the tape, what
 * may be found and what must be found after a power cut.
 *
 * A scenario is a row of scenarios.c: a function that opens, puts, commits, closes. Everything else (which disks a cut
 * may leave, what must hold on each, the n-th failing call) comes from the runners.
 */
#ifndef FANAL_TORTURE_SCENE_H
#define FANAL_TORTURE_SCENE_H

#include "record/kind.h"
#include "tape.h"
#include "vault/store.h"
#include "vault/tuning.h"
#include "vault/vault.h"

#define SCENE_WAITING_MAX 600
#define SCENE_SMALL ((size_t)300)
#define SCENE_CHUNKS ((size_t)70000)    /* three chunks */
#define SCENE_LARGE ((size_t)2200000)   /* has a file of its own */
#define SCENE_NO_BODY SIZE_MAX

struct scene {
    const char *dir;
    struct tape *tape;
    struct tuning tuning;  /* its file calls are the tape's, or stand before it */
    const char *secret;    /* to be opened with */
    const struct scrub_options *scrub; /* with the background of a service */
    bool views;            /* opened as a vault, with views that follow */
    struct vault *vault;   /* where views */
    struct store *store;   /* NULL while closed, or where it did not open */
    unsigned seed;         /* of the next record */
    struct mark waiting[SCENE_WAITING_MAX];
    size_t waiting_count;
    size_t refused; /* appends and commits that failed */
};

struct promises;

struct scenario {
    const char *name;
    void (*before)(struct scene *x); /* what is there when the tape begins: played, and nothing of it cut; NULL: nothing */
    void (*play)(struct scene *x);
    bool from_nothing; /* the directory is empty at first: the scenario makes the store */
    bool views;
    bool costly; /* a state takes long to judge: fewer of them */
    unsigned nested; /* in full: of so many disks the recovery of one is cut again, and of those; 0: as is usual. Where a
                      * recovery has as many disks as this there would be no end */
    unsigned torn;   /* in full: of so many torn disks one is looked at, at random; 0: each. Where a page is torn in a
                      * hundred ways after every write */
    /* What is no store yet (a twin): made one, from what is there; false: it breaks a promise. NULL: it is a store. */
    bool (*ready)(const char *dir, const struct tuning *t, const struct promises *p, struct error *err);
    void (*again)(struct scene *x); /* what a start does; NULL: opens, puts, commits, closes */
    void (*done)(void);             /* takes away what lies beside the disk; NULL: nothing */
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;

/* A store in dir, as the scenario begins with it, and the tape running. */
void scene_prepare(struct scene *x, const char *dir, struct tape *tape, const struct scenario *s);
/* A scene on what is there. */
void scene_begin(struct scene *x, const char *dir, struct tape *tape, const struct scenario *s);
/* Closes what the scenario left open. */
void scene_end(struct scene *x);

/* These go on after a failure, as a service would; what was not said is not promised. */
bool scene_create(struct scene *x);
bool scene_open(struct scene *x);
void scene_close(struct scene *x);
/* The process is killed at the n-th deed from now on: nothing it does gets anywhere. Then scene_close(), scene_open(). */
void scene_kill_in(struct scene *x, long deeds);
/* Appends a record of `len` body bytes (SCENE_NO_BODY: none). */
bool scene_put(struct scene *x, enum record_kind kind, const char *unit, size_t len);
/* Waits until everything put is told; promises what was committed, and the tree's root. */
void scene_commit(struct scene *x);

/* Seals what is full, and repairs (there is nothing to repair). */
void scene_repair(struct scene *x);
/* Waits until the views have what was committed. */
void scene_folded(struct scene *x);

/* Waits until `files` more files are sealed. */
void scene_sealed(struct scene *x, uint64_t files);

/* The record there need not be readable any more. Said before the deed that may make it so. */
void scene_release(struct scene *x, uint64_t position);
/* From here on claim(store, what) holds in every store that is opened. */
void scene_promise(struct scene *x, mark_claim *claim, uint64_t what);
/* Between the two, old and new secret may open the store; then the new one does. */
void scene_secret_begin(struct scene *x, const char *secret);
void scene_secret_done(struct scene *x);

#endif
