/*
 * A twin: a vault directory that follows a first machine's, verified before it is kept (docs/twin.md).
 *
 * Where the bytes come from is a source: the network through a process that pulls, or a folder. One thread calls
 * twin_round(); the store below it is read by any. Without a secret everything but reading works.
 */
#ifndef FANAL_VAULT_TWIN_H
#define FANAL_VAULT_TWIN_H

#include "vault/follow.h"

struct twin;

/* A keyring is at most that long here: 4 million units. */
#define TWIN_KEYRING_SLOTS_MAX (UINT32_C(1) << 22)

/* Errors of a source: ERR_NOT_FOUND says that the first does not have it; any other ends the round. */
struct twin_source {
    void *context;
    /* As store_follow_head(). applied: tombstones applied here, for the first to list. */
    bool (*head)(void *context, address from, uint64_t position, uint64_t applied, struct follow_head *out,
                 struct error *err);
    /* As store_follow_read(); len at most TWIN_READ_MAX. */
    bool (*read)(void *context, const struct follow_range *range, uint8_t *out, size_t len, size_t *got,
                 struct error *err);
};
#define TWIN_READ_MAX ((size_t)1 << 20)

/* What is known without opening anything. Times in microseconds since 1970, by this machine's clock; 0: never. */
struct twin_figures {
    uint64_t size;       /* records it has */
    uint64_t written_us; /* time of the newest commit it has, by the first's clock */
    uint64_t round_us;   /* when it last took something */
    uint64_t current_us; /* when nothing was left to take, the last time */
    uint64_t applied;    /* tombstones below this position are applied */
    uint8_t vault_id[VAULT_ID_BYTES];
    uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES];
    struct hash root;
    uint32_t missing; /* bodies that the first did not have any more */
};

/* Whether dir/vault is a twin, or one whose promotion was interrupted. */
bool twin_is_here(const char *dir);
bool twin_is_promoting(const char *dir);

/* Makes dir/vault as a twin of nobody yet. dir exists. ERR_EXISTS. */
bool twin_create(const char *dir, const struct store_options *options, struct error *err);

/*
 * options->secret empty: sealed. ERR_SEALED for a wrong one, ERR_REFUSED where the keyring is not that of the pinned
 * key, ERR_NOT_FOUND where there is no twin or (with a secret) it has not followed a whole step yet, ERR_BUSY.
 */
struct twin *twin_open(const char *dir, const struct store_options *options, struct error *err);
void twin_close(struct twin *t);

/* The store to read from; the twin's. Its committed size moves when a round ends. */
struct store *twin_store(struct twin *t);

/* Pins the key of checkpoints (and the vault) before the first round: for a folder that brings none. */
bool twin_pin(struct twin *t, const uint8_t vault_id[VAULT_ID_BYTES], const uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES],
              struct error *err);

/*
 * Takes the next step from the first. *more: it has more. ERR_REFUSED: rolled back, split view, another vault, another
 * key; ERR_DAMAGED: what came does not verify. Either leaves the twin as it was. Any other error is the source's or the disk's.
 */
bool twin_round(struct twin *t, const struct twin_source *source, bool *more, struct error *err);

/*
 * Every tombstone below `position` is applied here: its keys are destroyed, nothing is left that they opened. Told to the
 * first with the next rounds. Changes nothing once the keyring was changed. Any thread.
 */
void twin_erased(struct twin *t, uint64_t position);
/* The first's keyring has another header than the one that was opened: what opened it must open it again. Any thread. */
bool twin_keyring_changed(struct twin *t);

/* Keeps the text of the first's fanal.conf, for promotion: vault/first.conf. */
bool twin_keep_conf(struct twin *t, struct span text, struct error *err);

/* Any thread. */
void twin_figures(struct twin *t, struct twin_figures *out);
/* The same of a directory, whoever has it open. */
bool twin_figures_of(const char *dir, struct twin_figures *out, struct error *err);

/* What a promotion found. */
struct twin_promotion {
    uint64_t size, written_us, current_us;
    uint64_t findings;
};

/*
 * Makes the twin of dir a first machine, but for its last step: the log holds everything, vault/promoting is still
 * there. Called again after an interruption it fills *out anew. report gets what is broken.
 */
bool twin_promote(const char *dir, const struct store_options *options, verify_report *report, void *context,
                  struct twin_promotion *out, struct error *err);
/* The last step, once what there is to record is committed. */
bool twin_promoted(const char *dir, const struct store_options *options, struct error *err);

#endif
