/*
 * Views that follow the log: opened, caught up, folded by a thread of their own after each commit, made again from
 * the log when they turn out damaged.
 *
 * Everything here may be called from any thread unless it says otherwise.
 */
#ifndef FANAL_VAULT_LIVE_VIEWS_H
#define FANAL_VAULT_LIVE_VIEWS_H

#include "record/moment.h"
#include "vault/query.h"
#include "vault/rules.h"

struct live_views;

/* All borrowed but zone, which is copied. */
struct live_views_options {
    struct store *store; /* … and the views lie beside its log */
    const struct log *log;
    const struct clock *clock;
    struct zone zone;
    uint32_t mark; /* tombstones that are applied: views made before are made again */
};

/* Opens or makes the views and folds what is committed. The thread starts with live_views_start(). NULL on error. */
struct live_views *live_views_open(const struct live_views_options *options, struct error *err);
bool live_views_start(struct live_views *v, struct error *err);
/* Stops the thread. Every reader is freed before. NULL allowed. */
void live_views_close(struct live_views *v);

/* Throws them away and folds all again. Before live_views_start(). */
bool live_views_rebuild(const struct live_views_options *options, struct error *err);

/*
 * Keys were destroyed: makes the views again without what they opened, under another key, in the caller's thread, while
 * the views before go on; then they take their place and the files of those before are deleted. mark: as in the options.
 */
bool live_views_renew(struct live_views *v, uint32_t mark, struct error *err);

/* Nothing made before the newest mark is read any more, and nothing is to be made again. */
bool live_views_whole(struct live_views *v);
/* Tombstones that are applied. */
uint32_t live_views_mark(struct live_views *v);

/* Something was committed. */
void live_views_wake(struct live_views *v);
/* Positions below are in the views. */
uint64_t live_views_folded(struct live_views *v);

struct views_reader;
struct views_reader *views_reader_new(struct live_views *v, struct error *err);
void views_reader_free(struct views_reader *r);

/*
 * The query over this reader's connection, once everything below `position` is in the views (0: at once); good until
 * the next call. ERR_TIMEOUT after VAULT_WAIT_MS, ERR_BUSY while the views are made again and position is 0.
 */
struct query *views_reader_query(struct views_reader *r, uint64_t position, struct error *err);
/* Its connection, for the dump; after views_reader_query(). */
sqlite3 *views_reader_db(struct views_reader *r);
/* What a query found damaged is made again. */
void views_reader_failed(struct views_reader *r, const struct error *why);

int live_views_event_fd(const struct live_views *v);
/* The owner's thread. */
void live_views_news(struct live_views *v, vault_row *row, void *context);

#endif
