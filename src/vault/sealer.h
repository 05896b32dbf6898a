/*
 * The background of the store: seals full files, scrubs all of them round and round, mends what it and readers find.
 *
 * One thread at low priority and a bounded rate. sealer.c runs it, sealing.c decides what is full and checks it before it
 * is sealed, scrub.c looks at everything once a round. Others see sealer_start() to sealer_stop() only.
 */
#ifndef FANAL_VAULT_SEALER_H
#define FANAL_VAULT_SEALER_H

#include "vault/mend.h"
#include "vault/scrub_state.h"

#define SEAL_RATE          ((uint64_t)64 << 20) /* bytes a second read to seal while nobody stores; a quarter else */
#define SEAL_RETRY_MS      60000u               /* after a failure: a full disk, say */
#define STATE_EVERY_MS     10000u               /* how often the scrub file is written at most */
#define MET_MAX            64u                  /* files that wait because a reader met damage */
#define SEALER_EVENTS_MAX  64u                  /* events that nobody took yet */
#define SCRUB_NAMES_MAX    4096u                /* names of a directory held at once */

/* Names of one directory, sorted, from the last one looked at on. */
struct name_list {
    char (*names)[SIDECAR_NAME_BYTES + 1]; /* owned */
    size_t count, at;
    bool more; /* the directory has more behind these */
};

struct sealer {
    struct store *s;
    struct scrub_options options;
    struct mender *mender;
    struct seal seal;
    pthread_t thread;
    bool threaded;

    pthread_mutex_t work; /* held while a file is worked on: the thread, or a repair that was asked for */
    _Atomic bool hurry;   /* a repair waits for `work` */

    pthread_mutex_t lock; /* what follows */
    pthread_cond_t wake;
    bool stop, woken;
    char met[MET_MAX][SIDECAR_NAME_BYTES + 1];
    size_t met_count;
    struct store_event events[SEALER_EVENTS_MAX];
    size_t event_first, event_count;

    /* the thread's, and a repair's under `work` */
    struct scrub_state state;
    bool state_changed;
    uint64_t state_written_ms;
    uint64_t retry_ms; /* nothing is sealed before; 0: now */
    uint64_t rate;     /* of what is being done, bytes a second; 0: no bound */
    uint64_t owed, due_ns, commits_seen;
    uint64_t made, made_bytes, made_told_ms; /* seals not told yet */
    char made_name[SIDECAR_NAME_BYTES + 1];
    size_t directory; /* of the round */
    struct name_list list;
    bool begun_again; /* in this round: sealing, because a seal was lost */
};

/* Reads the scrub file; with options also begins the thread. NULL options: for a repair by hand. */
bool sealer_start(struct store *s, const struct scrub_options *options, struct error *err);
void sealer_stop(struct store *s);
/* A confirm has been written: there may be something to seal. Any thread. */
void sealer_wake(struct store *s);
/* A reader met damage in a file. Any thread. */
void sealer_met(struct store *s, const char *name);

/* ---- among sealer.c, sealing.c, scrub.c ---- */

uint64_t sealer_now_ms(void);
/* pace_fn: keeps to the rate. False: stop, or somebody is in a hurry. */
bool sealer_pace(void *sealer, uint64_t bytes);
/* file: what is damaged or repaired, or "". */
void sealer_tell(struct sealer *sl, const char *event, const char *outcome, const char *file, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Writes the scrub file if it changed: at most every STATE_EVERY_MS, or now. */
void sealer_save(struct sealer *sl, bool now);

/* Seals the next file that is full. *did: there was something to do. False where it failed: later again. */
bool sealing_next(struct sealer *sl, bool *did, struct error *err);

/* What a look at the records of a log segment says. */
struct segment_check {
    uint64_t first, behind;
    bool damaged;
    struct writer contents; /* writer_done() it */
};
/* Records of a segment up to `limit`: framing, markers, their entries' leaves. Damage is no failure. */
bool sealing_check_segment(struct sealer *sl, uint32_t number, address limit, struct segment_check *out,
                           struct error *err);
/* Every body that entries first..behind name in the class's file fits its entry. */
bool sealing_check_bodies(struct sealer *sl, enum body_class c, uint32_t number, uint64_t first, uint64_t behind,
                          bool *damaged, struct error *err);

/* Looks at a sealed file, mends it and its seal, tells. copy: NULL, or another copy's directory `vault`. */
bool scrub_file(struct sealer *sl, const char *name, const char *copy, verify_report *report, void *context,
                struct mend_result *out, struct error *err);
/* A file that a reader met damage in: mended, or told. */
void scrub_met(struct sealer *sl, const char *name);
/*
 * What is damaged is told once in the life of a process, and remembered in the scrub file until it is whole: that is told,
 * too, whoever made it so. file: a name of the vault, or "keyring: slot N".
 */
void scrub_report(struct sealer *sl, const char *file, const char *what);
/* It is whole. how: what to tell where nobody told it yet; NULL: it is told already, or is told only if it was damaged. */
void scrub_whole(struct sealer *sl, const char *file, const char *how);
/* One file of the round, if a round is due. */
bool scrub_next(struct sealer *sl, bool *did, struct error *err);

#endif
