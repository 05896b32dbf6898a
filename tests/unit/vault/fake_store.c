/* The store in memory. See fake_store.h. */
#include "fake_store.h"

#include <pthread.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <string.h>

#include "base/file.h"
#include "record/field.h"
#include "vault/disk.h"
#include "vault/keyring.h"
#include "vault/twin.h"

struct fake_entry {
    struct entry head;
    uint8_t *facts;
    size_t len;
    void *cookie;
    bool damaged, erased;
};

struct store {
    struct store *next;
    char dir[256];
    struct disk disk;
    pthread_mutex_t mutex;
    struct fake_entry *entries;
    size_t count, cap, committed, told;
    bool fail_commit;
    struct store_status status;
};

struct body {
    struct store *store;
    uint64_t length;
};

static struct store *stores;

void fake_store_forget(void)
{
    for (struct store *s = stores, *next; s != NULL; s = next) {
        next = s->next;
        for (size_t i = 0; i < s->count; i++)
            free(s->entries[i].facts);
        free(s->entries);
        free(s);
    }
    stores = NULL;
}

static struct store *store_of(const char *dir)
{
    struct store *s = stores;

    while (s != NULL && strcmp(s->dir, dir) != 0)
        s = s->next;
    return s;
}

bool store_create(const char *dir, const struct store_options *options, struct error *err)
{
    struct store *s;
    char vault[PATH_MAX];

    (void)options;
    if (store_of(dir) != NULL)
        return error_set(err, ERR_EXISTS, "there is a store");
    if (!path_join(vault, sizeof vault, dir, "vault", err) || mkdir(vault, 0700) != 0) /* the views lie in it */
        abort();
    s = calloc(1, sizeof *s);
    if (s == NULL || !span_to_str(span_str(dir), s->dir, sizeof s->dir) || pthread_mutex_init(&s->mutex, NULL) != 0)
        abort();
    s->disk.ops = &file_ops_system;
    if (!path_join(s->disk.root, sizeof s->disk.root, dir, "vault", err))
        abort();
    s->next = stores;
    stores = s;
    return true;
}

struct store *store_open(const char *dir, const struct store_options *options, struct error *err)
{
    struct store *s = store_of(dir);

    (void)options;
    if (s == NULL)
        error_set(err, ERR_NOT_FOUND, "no store");
    return s;
}

void store_close(struct store *s)
{
    (void)s;
}

struct body *body_new(struct store *s, enum body_class body_class, struct span unit, struct error *err)
{
    struct body *b = calloc(1, sizeof *b);

    (void)body_class;
    (void)unit;
    if (b == NULL) {
        error_set(err, ERR_MEMORY, "body");
        return NULL;
    }
    b->store = s;
    return b;
}

bool body_add(struct body *b, struct span bytes, struct error *err)
{
    (void)err;
    b->length += bytes.len;
    return true;
}

uint64_t body_length(const struct body *b)
{
    return b->length;
}

bool body_peek(struct body *b, uint64_t offset, uint8_t *out, size_t len, struct error *err)
{
    (void)b;
    (void)offset;
    memset(out, 0, len);
    (void)err;
    return true;
}

void body_free(struct body *b)
{
    free(b);
}

bool store_append(struct store *s, const struct append *a, uint64_t *position, struct error *err)
{
    struct fake_entry *e;

    (void)err;
    (void)pthread_mutex_lock(&s->mutex);
    if (s->count == s->cap) {
        s->cap = s->cap > 0 ? 2 * s->cap : 64;
        s->entries = realloc(s->entries, s->cap * sizeof *s->entries);
        if (s->entries == NULL)
            abort();
    }
    e = &s->entries[s->count];
    *e = (struct fake_entry){ .head = { .position = s->count, .kind = a->kind, .received_us = a->received_us,
                                        .has_body = a->body != NULL,
                                        .body_bytes = a->body != NULL ? a->body->length : 0 },
                              .facts = malloc(a->facts.len + 1), .len = a->facts.len, .cookie = a->cookie };
    if (e->facts == NULL)
        abort();
    if (a->facts.len > 0)
        memcpy(e->facts, a->facts.ptr, a->facts.len);
    *position = s->count++;
    (void)pthread_mutex_unlock(&s->mutex);
    body_free(a->body);
    return true;
}

void store_kick(struct store *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    if (!s->fail_commit)
        s->committed = s->count;
    (void)pthread_mutex_unlock(&s->mutex);
}

int store_event_fd(const struct store *s)
{
    (void)s;
    return -1;
}

size_t store_completed(struct store *s, struct completion *out, size_t max)
{
    size_t n = 0;

    (void)pthread_mutex_lock(&s->mutex);
    for (; n < max && s->told < (s->fail_commit ? s->count : s->committed); s->told++)
        out[n++] = (struct completion){ s->told, s->entries[s->told].cookie, s->told < s->committed };
    (void)pthread_mutex_unlock(&s->mutex);
    return n;
}

uint64_t store_committed_size(const struct store *s)
{
    struct store *unlocked = (struct store *)(uintptr_t)s;
    uint64_t size;

    (void)pthread_mutex_lock(&unlocked->mutex);
    size = s->committed;
    (void)pthread_mutex_unlock(&unlocked->mutex);
    return size;
}

bool store_read_entry(struct store *s, uint64_t position, struct entry *out, struct writer *facts, struct error *err)
{
    bool ok = true;

    (void)pthread_mutex_lock(&s->mutex);
    if (position >= s->committed) {
        ok = error_set(err, ERR_NOT_FOUND, "past the end");
    } else if (s->entries[position].damaged) {
        ok = error_set(err, ERR_DAMAGED, "entry");
    } else if (s->entries[position].erased) {
        ok = error_set(err, ERR_ERASED, "entry");
    } else {
        *out = s->entries[position].head;
        write_span(facts, span_of(s->entries[position].facts, s->entries[position].len));
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return ok;
}

bool store_read_header(struct store *s, uint64_t position, struct entry *out, struct error *err)
{
    bool ok;

    (void)pthread_mutex_lock(&s->mutex);
    ok = position < s->committed || error_set(err, ERR_NOT_FOUND, "past the end");
    if (ok)
        *out = s->entries[position].head;
    (void)pthread_mutex_unlock(&s->mutex);
    return ok;
}

bool store_read_record(struct store *s, uint64_t position, struct record_seen *out, struct writer *facts,
                       struct error *err)
{
    *out = (struct record_seen){ .position = position };
    out->readable = store_read_entry(s, position, &out->entry, facts, err);
    return out->readable;
}

/* A slot of this store is a position. */
bool store_erase_units(struct store *s, struct slot_erasure *units, size_t count, struct error *err)
{
    (void)err;
    (void)pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < count; i++) {
        units[i].due = !s->entries[units[i].slot].erased;
        s->entries[units[i].slot].erased = true;
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return true;
}

bool store_read_body(struct store *s, uint64_t position, uint64_t offset, uint8_t *out, size_t len, struct error *err)
{
    (void)s;
    (void)position;
    (void)offset;
    (void)out;
    (void)len;
    return error_set(err, ERR_NOT_FOUND, "no bodies here");
}

bool store_walk_rules(struct store *s, rule_visit *visit, rule_missed *missed, void *context, struct error *err)
{
    (void)err;
    (void)missed;
    for (size_t i = s->committed; i-- > 0;)
        if (s->entries[i].head.kind == RECORD_RULE
            && !visit(context, &s->entries[i].head, span_of(s->entries[i].facts, s->entries[i].len)))
            break;
    return true;
}

bool store_reads(struct store *s, uint64_t position)
{
    return position < s->committed;
}

bool store_derive_key(struct store *s, const char *purpose, uint8_t out[32], struct error *err)
{
    (void)s;
    (void)err;
    for (size_t i = 0; i < 32; i++)
        out[i] = (uint8_t)(i * 7 + strlen(purpose) + (uint8_t)purpose[i % strlen(purpose)]);
    return true;
}

void store_status(struct store *s, struct store_status *out)
{
    *out = s->status;
    out->size = store_committed_size(s);
}

void store_measure(struct store *s)
{
    (void)s;
}

void fake_store_files(const char *dir, const struct file_ops *ops)
{
    store_of(dir)->disk.ops = ops;
}

void fake_store_status(const char *dir, const struct store_status *status)
{
    store_of(dir)->status = *status;
}

bool store_verify_counted(struct store *s, verify_report *report, void *context, struct store_verified *out,
                          struct error *err)
{
    (void)s;
    (void)report;
    (void)context;
    (void)err;
    *out = (struct store_verified){ .findings = 0 };
    return true;
}

void fake_store_damage(struct store *s, uint64_t position)
{
    s->entries[position].damaged = true;
}

void fake_store_cut(struct store *s, uint64_t position)
{
    for (; s->count > position; s->count--)
        free(s->entries[s->count - 1].facts);
    s->committed = s->told = s->count;
}

uint64_t fake_store_put(struct store *s, enum record_kind kind, uint64_t received_us, struct span facts)
{
    struct append a = { .kind = kind, .facts = facts, .received_us = received_us };
    struct error err;
    uint64_t position;

    if (!store_append(s, &a, &position, &err))
        abort();
    store_kick(s);
    return position;
}

void fake_store_fail_commit(struct store *s)
{
    s->fail_commit = true;
}

const struct disk *store_disk(const struct store *s)
{
    return &s->disk;
}

/* ---- no twin here ---- */

struct twin *twin_open(const char *dir, const struct store_options *options, struct error *err)
{
    (void)dir;
    (void)options;
    (void)error_set(err, ERR_NOT_FOUND, "no twin");
    return NULL;
}

void twin_erased(struct twin *t, uint64_t position)
{
    (void)t;
    (void)position;
}

bool twin_keyring_changed(struct twin *t)
{
    (void)t;
    return false;
}

void twin_figures(struct twin *t, struct twin_figures *out)
{
    (void)t;
    *out = (struct twin_figures){ .size = 0 };
}

void twin_close(struct twin *t)
{
    (void)t;
}

struct store *twin_store(struct twin *t)
{
    (void)t;
    return NULL;
}
