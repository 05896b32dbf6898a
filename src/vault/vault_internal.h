/* What vault.c (store, views, rules) and vault_erase.c (erasing, and what comes to a twin) share. */
#ifndef FANAL_VAULT_VAULT_INTERNAL_H
#define FANAL_VAULT_VAULT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "vault/live_views.h"
#include "vault/rules.h"
#include "vault/vault.h"

/* A rule that is appended and not committed yet. */
struct pending_rule {
    struct pending_rule *next;
    uint64_t position;
    size_t len;
    uint8_t facts[];
};

/* Views made again without what was erased, beside those that are read meanwhile: a thread of its own. */
struct renewing {
    pthread_t thread;
    bool started;
    uint32_t mark;       /* that it makes; once it was joined and did: that the views have */
    atomic_bool ended;
    bool ok;
    struct error err;
};

struct vault {
    struct store *store;
    struct twin *twin;      /* whose store it is; NULL: a first machine */
    uint64_t rules_known;   /* on a twin: rules below this position are taken in */
    bool rules_wanting;     /* a committed rule was not, for want of memory */
    struct live_views *views;
    struct rules *rules;
    uint64_t reapplied; /* units erased again when it was opened */
    bool erasing_failed; /* as logged */
    struct renewing renewing;
    const struct log *log;
    /* the owner's */
    struct views_reader *own_reader;
    struct pending *pending;
    struct pending_rule *rules_first, **rules_end;
};

/* ---- vault.c ---- */
/* A copy of what is appended. NULL without memory. */
struct pending_rule *vault_rule_of(const struct append *a);

/* ---- vault_erase.c ---- */
/* On a twin: every rule below it was read, and what erases is applied. */
uint64_t vault_rules_sure(struct vault *v);
/*
 * Tombstones are applied to whatever keyring is there: after a power cut between a tombstone and its slot, or with a
 * keyring from a back-up, a key is back that must not be. It goes again before anything is read, with an alarm.
 * below: tombstones from this position on were never applied here (a twin that was sealed when they came): no alarm.
 */
bool vault_reapply(struct rules *rules, struct store *store, const struct log *log, uint64_t below, uint64_t *again,
                   struct error *err);
/* On a twin: rules that came with the log are taken in, in their order, and tombstones among them applied. */
void vault_follow_rules(struct vault *v);

#endif
