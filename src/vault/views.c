/* The views' database. See views.h. */
#include "vault/views.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/sql.h"
#include "vault/views_schema.h"

#define CURRENT "views/current"
#define ID_TEXT_BYTES (2 * PAGE_ID_BYTES + 1)
#define WRITER_CACHE_KIB 8192
#define READER_CACHE_KIB 1024
#define BUSY_MS 5000
#define LOAD_CACHE_KIB "65536"
/* More rows than this are indexed as they come: sorting an index takes memory with the number of rows. */
#define INDEX_LATER_RECORDS 1000000

struct views {
    const struct disk *disk; /* borrowed */
    char id_text[ID_TEXT_BYTES];
    char name[ID_TEXT_BYTES + 16]; /* of the database, in the vault */
    char path[DISK_PATH_MAX];
    struct page_vfs *vfs;
    sqlite3 *writer;
    bool loading, indexes_later;
};

static bool run(sqlite3 *db, const char *text, struct error *err)
{
    int rc = sqlite3_exec(db, text, NULL, NULL, NULL);

    return rc == SQLITE_OK || sql_error(err, sqlite3_extended_errcode(db), "set-up");
}

static bool connection_set_up(sqlite3 *db, bool writer, struct error *err)
{
    char cache[64];

    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)snprintf(cache, sizeof cache, "PRAGMA cache_size = -%d", writer ? WRITER_CACHE_KIB : READER_CACHE_KIB);
    /* What is freed lies encrypted until it is used again; Debian's SQLite would write zeros over it. */
    return run(db, "PRAGMA secure_delete = OFF", err) && run(db, "PRAGMA temp_store = MEMORY", err) && run(db, "PRAGMA mmap_size = 0", err) && run(db, cache, err)
           && run(db, writer ? "PRAGMA synchronous = NORMAL" : "PRAGMA wal_autocheckpoint = 0", err)
           && (writer || run(db, "PRAGMA query_only = ON", err));
}

static sqlite3 *connect(const struct views *v, bool writer, struct error *err)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(v->path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, page_vfs_name(v->vfs));

    if (rc != SQLITE_OK)
        (void)sql_error(err, db != NULL ? sqlite3_extended_errcode(db) : rc, "open");
    if (rc != SQLITE_OK || !connection_set_up(db, writer, err)) {
        (void)sqlite3_close(db);
        return NULL;
    }
    return db;
}

/* Each view has a key of its own, so that no nonce of one can meet one of another. */
static struct views *views_named(const struct disk *disk, const uint8_t id[PAGE_ID_BYTES], const uint8_t key[PAGE_KEY_BYTES],
                                 struct error *err)
{
    struct views *v = calloc(1, sizeof *v);
    uint8_t own_key[PAGE_KEY_BYTES];
    unsigned len = sizeof own_key;
    bool ok;

    if (v == NULL) {
        error_set(err, ERR_MEMORY, "views");
        return NULL;
    }
    (void)sodium_bin2hex(v->id_text, sizeof v->id_text, id, PAGE_ID_BYTES);
    v->disk = disk;
    (void)snprintf(v->name, sizeof v->name, "views/%s.db", v->id_text);
    disk_path(disk, v->name, v->path);
    ok = (HMAC(EVP_sha256(), key, PAGE_KEY_BYTES, id, PAGE_ID_BYTES, own_key, &len) != NULL
          || error_set(err, ERR_MEMORY, "views: key"))
         && (v->vfs = page_vfs_new(disk, own_key, id, err)) != NULL;
    sodium_memzero(own_key, sizeof own_key);
    if (ok)
        return v;
    free(v);
    return NULL;
}

void views_close(struct views *v)
{
    if (v == NULL)
        return;
    (void)sqlite3_close(v->writer);
    page_vfs_free(v->vfs);
    free(v);
}

void views_remove(struct views *v)
{
    char wal[sizeof v->name + 4];

    if (v == NULL)
        return;
    (void)sqlite3_close(v->writer);
    v->writer = NULL;
    (void)snprintf(wal, sizeof wal, "%s-wal", v->name);
    (void)disk_unlink(v->disk, wal, NULL);
    (void)disk_unlink(v->disk, v->name, NULL);
    views_close(v);
}

sqlite3 *views_writer(struct views *v)
{
    return v->writer;
}

sqlite3 *views_reader(struct views *v, struct error *err)
{
    return connect(v, false, err);
}

static bool pragma_read(sqlite3 *db, const char *text, int *out, struct error *err)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(db, text, -1, &st, NULL);

    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        *out = sqlite3_column_int(st, 0);
    (void)sqlite3_finalize(st);
    return rc == SQLITE_ROW || sql_error(err, rc, text);
}

bool views_mark(struct views *v, uint32_t *mark, struct error *err)
{
    int value = 0;

    if (!pragma_read(v->writer, "PRAGMA application_id", &value, err))
        return false;
    *mark = (uint32_t)value;
    return true;
}

static bool version_is_ours(sqlite3 *db, struct error *err)
{
    int version = -1;

    if (!pragma_read(db, "PRAGMA user_version", &version, err))
        return false;
    if (version != VIEWS_VERSION)
        return error_set(err, ERR_DAMAGED, "views of version %d, not %d", version, VIEWS_VERSION);
    return true;
}

struct views *views_open(const struct disk *disk, const uint8_t key[PAGE_KEY_BYTES], struct error *err)
{
    char path[DISK_PATH_MAX];
    uint8_t text[ID_TEXT_BYTES - 1], id[PAGE_ID_BYTES];
    size_t len = 0;
    struct views *v;

    disk_path(disk, CURRENT, path);
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(err, ERR_NOT_FOUND, "no views yet");
        return NULL;
    }
    if (!file_read_all(fd, text, sizeof text, err)
        || sodium_hex2bin(id, sizeof id, (const char *)text, sizeof text, NULL, &len, NULL) != 0 || len != sizeof id) {
        error_set(err, ERR_DAMAGED, "views/current names no view");
        return NULL;
    }
    v = views_named(disk, id, key, err);
    if (v == NULL)
        return NULL;
    if ((v->writer = connect(v, true, err)) == NULL || !version_is_ours(v->writer, err)) {
        views_close(v);
        return NULL;
    }
    return v;
}

static bool make_schema(sqlite3 *db, uint32_t mark, struct error *err)
{
    static const char *const texts[] = {
        "BEGIN IMMEDIATE",
#define TABLE(name, columns, order) "CREATE TABLE " #name " (" columns ") STRICT",
        VIEW_TABLES(TABLE)
#undef TABLE
#define INDEX(text) text,
        VIEW_INDEXES_TO_FOLD(INDEX)
        "COMMIT",
    };
    char version[64];

    (void)snprintf(version, sizeof version, "PRAGMA user_version = %d", VIEWS_VERSION);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!run(db, texts[i], err))
            return false;
    if (!run(db, version, err))
        return false;
    (void)snprintf(version, sizeof version, "PRAGMA application_id = %d", (int)mark);
    return run(db, version, err);
}

static bool make_query_indexes(sqlite3 *db, struct error *err)
{
    static const char *const texts[] = { VIEW_INDEXES_TO_QUERY(INDEX) };
#undef INDEX

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!run(db, texts[i], err))
            return false;
    return true;
}

/*
 * While it is not current, nobody reads a view and nobody misses it: no WAL, no journal, no sync, so that each page is
 * encrypted and written about once; larger caches. An error leaves it unusable: it is removed.
 */
static bool begin_load(struct views *v, struct error *err)
{
    v->loading = true;
    (void)sqlite3_db_config(v->writer, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL); /* which does not go without a journal */
    return run(v->writer, "PRAGMA journal_mode = OFF", err) && run(v->writer, "PRAGMA synchronous = OFF", err)
           && run(v->writer, "PRAGMA locking_mode = EXCLUSIVE", err)
           && run(v->writer, "PRAGMA cache_size = -" LOAD_CACHE_KIB, err);
}

/* The indexes that were put off, then WAL as ever, and all of it durable. */
static bool end_load(struct views *v, struct error *err)
{
    int fd;
    bool ok;

    if (!v->loading)
        return true;
    if ((v->indexes_later && !make_query_indexes(v->writer, err)) || !run(v->writer, "PRAGMA locking_mode = NORMAL", err)
        || !run(v->writer, "PRAGMA journal_mode = WAL", err))
        return false;
    sqlite3_close(v->writer);
    v->writer = connect(v, true, err);
    if (v->writer == NULL)
        return false;
    v->loading = false;
    fd = disk_open(v->disk, v->name, O_RDWR, err);
    ok = fd >= 0 && disk_sync(v->disk, fd, err);
    disk_close(v->disk, &fd);
    return ok || error_within(err, "views: database");
}

static bool make_database(struct views *v, uint32_t mark, struct error *err)
{
    int reserved = PAGE_RESERVED_BYTES;
    int fd = disk_open(v->disk, v->name, O_RDWR | O_CREAT | O_EXCL, err);

    if (fd < 0)
        return error_within(err, "views: new database");
    disk_close(v->disk, &fd);
    v->writer = connect(v, true, err);
    if (v->writer == NULL)
        return false;
    if (sqlite3_file_control(v->writer, NULL, SQLITE_FCNTL_RESERVE_BYTES, &reserved) != SQLITE_OK)
        return error_set(err, ERR_UNSUPPORTED, "views: this SQLite reserves no bytes in pages");
    /* The one transaction before WAL mode keeps its rollback journal in memory. */
    return run(v->writer, "PRAGMA journal_mode = MEMORY", err) && run(v->writer, "PRAGMA page_size = 4096", err)
           && run(v->writer, "PRAGMA journal_mode = WAL", err) && make_schema(v->writer, mark, err)
           && (v->indexes_later || make_query_indexes(v->writer, err));
}

static struct views *create(const struct disk *disk, const uint8_t key[PAGE_KEY_BYTES], uint32_t mark,
                            bool indexes_later, struct error *err)
{
    uint8_t id[PAGE_ID_BYTES];
    struct views *v;

    if (sodium_init() < 0) {
        error_set(err, ERR_MEMORY, "views: libsodium");
        return NULL;
    }
    randombytes_buf(id, sizeof id);
    v = views_named(disk, id, key, err);
    if (v == NULL)
        return NULL;
    v->indexes_later = indexes_later;
    if (!disk_make_dir(disk, "views", err) || !make_database(v, mark, err)) {
        views_remove(v);
        return NULL;
    }
    return v;
}

struct views *views_create(const struct disk *disk, const uint8_t key[PAGE_KEY_BYTES], uint32_t mark,
                           struct error *err)
{
    return create(disk, key, mark, false, err);
}

struct views *views_create_to_load(const struct disk *disk, const uint8_t key[PAGE_KEY_BYTES], uint32_t mark,
                                   uint64_t records, struct error *err)
{
    struct views *v = create(disk, key, mark, records <= INDEX_LATER_RECORDS, err);

    if (v == NULL || begin_load(v, err))
        return v;
    views_remove(v);
    return NULL;
}

/* Everything in views/ that is not of this view: the ones before it, and what a crash left half-made. */
static void remove_others(const struct views *v)
{
    char path[DISK_PATH_MAX], name[NAME_MAX + 8];
    DIR *d;

    disk_path(v->disk, "views", path);
    d = opendir(path);
    if (d == NULL)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && strcmp(e->d_name, "current") != 0
            && strncmp(e->d_name, v->id_text, sizeof v->id_text - 1) != 0) {
            (void)snprintf(name, sizeof name, "views/%s", e->d_name);
            (void)disk_unlink(v->disk, name, NULL);
        }
    (void)closedir(d);
}

/* The database is whole and its name durable before `current` names it. */
bool views_publish(struct views *v, struct error *err)
{
    if (!end_load(v, err) || !run(v->writer, "PRAGMA wal_checkpoint(TRUNCATE)", err))
        return false;
    if (!disk_replace(v->disk, CURRENT, span_str(v->id_text), err))
        return error_within(err, "views: current");
    remove_others(v);
    return true;
}
