/* The canonical dump of the views: every table, in its order, one line a row. See query.h. */
#include "base/file.h"
#include "vault/querying.h"
#include "vault/views_schema.h"

#define LINE_MAX_BYTES ((size_t)128 * 1024 * 1024)

static const struct {
    const char *name, *text;
} tables[] = {
#define TABLE(name, columns, order) { #name, "SELECT * FROM " #name " ORDER BY " order },
    VIEW_TABLES(TABLE)
#undef TABLE
};

/* Printable ASCII as it is, anything else \xNN, so that a row is a line. */
static void put_escaped(struct writer *w, struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] >= 0x20 && s.ptr[i] < 0x7f && s.ptr[i] != '\\')
            write_u8(w, s.ptr[i]);
        else
            write_printf(w, "\\x%02x", s.ptr[i]);
}

static void put_row(struct writer *w, const char *table, sqlite3_stmt *st)
{
    write_str(w, table);
    for (int i = 0; i < sqlite3_column_count(st); i++) {
        const void *bytes;

        write_str(w, "\t");
        switch (sqlite3_column_type(st, i)) {
        case SQLITE_NULL:
            write_str(w, "-");
            break;
        case SQLITE_INTEGER:
            write_printf(w, "%lld", (long long)sqlite3_column_int64(st, i));
            break;
        default: /* STRICT tables: TEXT or BLOB */
            bytes = sqlite3_column_blob(st, i);
            write_str(w, "'");
            put_escaped(w, span_of(bytes, (size_t)sqlite3_column_bytes(st, i)));
            break;
        }
    }
    write_str(w, "\n");
}

static bool dump_table(sqlite3 *db, const char *name, const char *text, struct writer *w, int fd, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);
    bool ok = rc == SQLITE_OK || sql_error(err, rc, "dump");

    while (ok && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        writer_reset(w);
        put_row(w, name, st);
        ok = writer_ok(w, err, "dump") && file_write_all(fd, writer_span(w), err);
    }
    if (ok && rc != SQLITE_DONE)
        ok = sql_error(err, sqlite3_extended_errcode(db), "dump");
    (void)sqlite3_finalize(st);
    return ok;
}

bool query_dump(sqlite3 *db, int fd, struct error *err)
{
    struct writer w = writer_new(LINE_MAX_BYTES);
    int rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    bool ok = rc == SQLITE_OK || sql_error(err, rc, "dump");

    for (size_t i = 0; i < COUNT_OF(tables) && ok; i++)
        ok = dump_table(db, tables[i].name, tables[i].text, &w, fd, err);
    (void)sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    writer_done(&w);
    return ok;
}
