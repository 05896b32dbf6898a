/* Prepared statements that remember failing. See sql.h. */
#include "vault/sql.h"

#include <stdlib.h>

bool sql_init(struct sql *s, sqlite3 *db, const char *const *texts, size_t count, struct error *err)
{
    sqlite3_stmt **prepared = calloc(count, sizeof *prepared);

    if (prepared == NULL)
        return error_set(err, ERR_MEMORY, "views: %zu statements", count);
    *s = (struct sql){ .db = db, .texts = texts, .prepared = prepared, .count = count };
    return true;
}

void sql_done(struct sql *s)
{
    for (size_t i = 0; i < s->count; i++)
        (void)sqlite3_finalize(s->prepared[i]);
    free(s->prepared);
    *s = (struct sql){ .db = NULL };
}

bool sql_error(struct error *err, int rc, const char *what)
{
    enum error_code code = ERR_IO;

    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        code = ERR_MEMORY;
        break;
    case SQLITE_FULL:
        code = ERR_NO_SPACE;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = ERR_BUSY;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_SCHEMA:
    case SQLITE_ERROR: /* no such table: not our schema */
    case SQLITE_CONSTRAINT:
        code = ERR_DAMAGED;
        break;
    case SQLITE_IOERR:
        code = rc == SQLITE_IOERR_DATA || rc == SQLITE_IOERR_SHORT_READ ? ERR_DAMAGED : ERR_IO;
        break;
    }
    return error_set(err, code, "views: %s: %s (%d)", what, sqlite3_errstr(rc), rc);
}

bool sql_ok(const struct sql *s, struct error *err)
{
    return s->rc == SQLITE_OK || sql_error(err, s->rc, "statement");
}

void sql_forget_failure(struct sql *s)
{
    s->rc = SQLITE_OK;
}

static void note(struct sql *s, int rc)
{
    if (s->rc == SQLITE_OK)
        s->rc = rc;
}

struct sql_call sql_begin(struct sql *s, size_t statement)
{
    if (s->rc == SQLITE_OK && s->prepared[statement] == NULL)
        note(s, sqlite3_prepare_v3(s->db, s->texts[statement], -1, SQLITE_PREPARE_PERSISTENT,
                                   &s->prepared[statement], NULL));
    return (struct sql_call){ .sql = s, .statement = s->rc == SQLITE_OK ? s->prepared[statement] : NULL, .next = 1 };
}

void sql_int(struct sql_call *q, int64_t value)
{
    if (q->statement != NULL)
        note(q->sql, sqlite3_bind_int64(q->statement, q->next++, value));
}

void sql_text(struct sql_call *q, struct span value)
{
    if (q->statement != NULL)
        note(q->sql, sqlite3_bind_text64(q->statement, q->next++, value.len > 0 ? (const char *)value.ptr : "",
                                         value.len, SQLITE_STATIC, SQLITE_UTF8));
}

void sql_blob(struct sql_call *q, struct span value)
{
    if (q->statement != NULL)
        note(q->sql, sqlite3_bind_blob64(q->statement, q->next++, value.len > 0 ? (const void *)value.ptr : "",
                                         value.len, SQLITE_STATIC));
}

bool sql_row(struct sql_call *q)
{
    int rc;

    if (q->statement == NULL || q->sql->rc != SQLITE_OK)
        return false;
    rc = sqlite3_step(q->statement);
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        note(q->sql, sqlite3_extended_errcode(q->sql->db));
    return false;
}

void sql_end(struct sql_call *q)
{
    if (q->statement != NULL)
        (void)sqlite3_reset(q->statement); /* repeats the failure of the step, which is noted */
    q->statement = NULL;
}

void sql_run(struct sql_call *q)
{
    while (sql_row(q)) {
    }
    sql_end(q);
}

int64_t sql_get_int(struct sql_call *q, int column)
{
    return sqlite3_column_int64(q->statement, column);
}

struct span sql_get(struct sql_call *q, int column)
{
    const void *bytes = sqlite3_column_blob(q->statement, column); /* text too: our columns are UTF-8 */
    int len = sqlite3_column_bytes(q->statement, column);

    return bytes != NULL ? span_of(bytes, (size_t)len) : span_of(NULL, 0);
}
