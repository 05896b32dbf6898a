/*
 * Prepared statements of one connection, used in the manner of a reader: a failure is remembered, later
 * calls do nothing, and sql_ok() is asked once.
 *
 *   struct sql_call q = sql_begin(sql, STUDY_OF);
 *   sql_text(&q, uid);                              parameters in order, ?1 first
 *   if (sql_row(&q)) id = sql_get_int(&q, 0);
 *   sql_end(&q);
 *
 * SQL texts are constant; values are always parameters. Not shared between threads.
 */
#ifndef FANAL_VAULT_SQL_H
#define FANAL_VAULT_SQL_H

#include <sqlite3.h>

#include "base/error.h"
#include "base/span.h"

struct sql {
    sqlite3 *db;              /* borrowed */
    const char *const *texts; /* borrowed; indexed by the statements' enum */
    sqlite3_stmt **prepared;  /* owned; made when first used */
    size_t count;
    int rc;                   /* first failure, SQLITE_OK before */
};

struct sql_call {
    struct sql *sql;
    sqlite3_stmt *statement; /* NULL: failed */
    int next;                /* parameter to bind */
};

bool sql_init(struct sql *s, sqlite3 *db, const char *const *texts, size_t count, struct error *err);
void sql_done(struct sql *s);

/* Failed: ERR_DAMAGED for what a rebuild heals, ERR_NO_SPACE, ERR_MEMORY, ERR_IO. */
bool sql_ok(const struct sql *s, struct error *err);
void sql_forget_failure(struct sql *s);

/* The error a SQLite result code means, without any value of a row. */
bool sql_error(struct error *err, int rc, const char *what);

struct sql_call sql_begin(struct sql *s, size_t statement);
void sql_int(struct sql_call *q, int64_t value);
/* The bytes live until sql_end(); an empty span is the empty text, never NULL. */
void sql_text(struct sql_call *q, struct span value);
void sql_blob(struct sql_call *q, struct span value);
bool sql_row(struct sql_call *q);
void sql_end(struct sql_call *q);
/* Steps to the end. */
void sql_run(struct sql_call *q);

/* Columns of the row, from 0; borrowed until the next call on q. */
int64_t sql_get_int(struct sql_call *q, int column);
struct span sql_get(struct sql_call *q, int column);

#endif
