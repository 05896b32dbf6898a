/* Judging a store. See judge.h. */
#include "judge.h"

#include <sys/mman.h>

#include "../unit/vault/store_test.h"
#include "vault/store_internal.h"
#include "vault/vault.h"

#define LAST_SEED 9999999u

/* ---- what was said ---- */

static void *grown(void *old, size_t count, size_t size)
{
    void *more = realloc(old, count * size + 1);

    if (more == NULL)
        abort();
    return more;
}

void promises_begin(struct promises *p)
{
    *p = (struct promises){ .secrets = { "key:0123456789abcdef0123456789abcdef" }, .secret_count = 1 };
}

void promises_done(struct promises *p)
{
    free(p->records);
    free(p->roots);
    free(p->claims);
}

static void add_mark(const struct mark ***list, size_t *count, size_t *cap, const struct mark *m)
{
    if (*count == *cap) {
        *cap = *cap * 2 + 64;
        *list = grown(*list, *cap, sizeof **list);
    }
    (*list)[(*count)++] = m;
}

static void add_record(struct promises *p, const struct mark *m)
{
    if (p->count == p->cap) {
        p->cap = p->cap * 2 + 64;
        p->records = grown(p->records, p->cap, sizeof *p->records);
    }
    p->records[p->count++] = (struct promised){ .mark = m };
}

static void drop_secret(struct promises *p, const char *secret)
{
    for (size_t i = 0; i < p->secret_count; i++)
        if (strcmp(p->secrets[i], secret) == 0)
            p->secrets[i] = p->secrets[--p->secret_count];
}

void promises_take(struct promises *p, const struct mark *m)
{
    p->taken++;
    switch (m->type) {
    case MARK_CREATED:
        p->created = true;
        break;
    case MARK_APPENDED:
        add_record(p, m);
        break;
    case MARK_ACKED:
    case MARK_RELEASED:
        for (size_t i = 0; i < p->count; i++) {
            struct promised *r = &p->records[i];

            if (r->mark->position != m->position || (m->type == MARK_ACKED && r->mark->seed != m->seed))
                continue;
            r->acked = r->acked || m->type == MARK_ACKED;
            r->released = r->released || m->type == MARK_RELEASED;
        }
        break;
    case MARK_ROOT:
        add_mark(&p->roots, &p->root_count, &p->root_cap, m);
        break;
    case MARK_SECRET:
        if (p->secret_count == SECRETS_MAX)
            abort();
        p->secrets[p->secret_count++] = m->text;
        break;
    case MARK_NO_SECRET:
        drop_secret(p, m->text);
        break;
    case MARK_PROMISE:
        add_mark(&p->claims, &p->claim_count, &p->claim_cap, m);
        break;
    }
}

/* ---- records ---- */

static bool same_body(struct store *s, uint64_t position, const struct mark *m, struct error *err)
{
    uint8_t *want = grown(NULL, m->len, 1), *got = grown(NULL, m->len, 1);
    bool ok;

    test_fill(want, m->len, m->seed);
    ok = store_read_body(s, position, 0, got, m->len, err)
         && (memcmp(got, want, m->len) == 0 || error_set(err, ERR_DAMAGED, "another body"));
    free(want);
    free(got);
    return ok;
}

static bool is_record(struct store *s, const struct entry *e, struct span facts, const struct mark *m,
                      struct error *err)
{
    if (fields_uint(facts, FIELD_COUNT, 0) != m->seed || (unsigned)e->kind != m->kind
        || e->has_body != (m->len != SIZE_MAX) || (e->has_body && e->body_bytes != m->len))
        return error_set(err, ERR_DAMAGED, "another record than %u", m->seed);
    return !e->has_body || same_body(s, e->position, m, err);
}

static bool ends_with(struct span text, struct span end)
{
    return text.len >= end.len && span_equal(span_part(text, text.len - end.len, end.len), end);
}

/* What the store writes by itself: what a recovery cut off; and that a seal is lost which a failing call kept from the disk. */
static bool is_own(const struct promises *p, const struct entry *e, struct span facts)
{
    const struct span event = fields_text(facts, FIELD_EVENT);

    return e->kind == RECORD_EVENT
           && (span_equal(event, SPAN_LIT("recovery.cut"))
               || (p->calls_failed && span_equal(event, SPAN_LIT("scrub.damaged"))
                   && ends_with(fields_text(facts, FIELD_DETAIL), SPAN_LIT(" seal is lost and is made again"))));
}

/* Position p holds what was acknowledged there, or else one of what may be there. */
static bool check_record(struct store *s, const struct promises *p, uint64_t position, struct writer *facts,
                         struct error *err)
{
    const struct promised *acked = NULL;
    struct error why = { 0 };
    struct entry e;
    bool released = false, ok = false;

    for (size_t i = 0; i < p->count; i++)
        if (p->records[i].mark->position == position) {
            acked = p->records[i].acked ? &p->records[i] : acked;
            released = released || p->records[i].released;
        }
    writer_reset(facts);
    if (!store_read_entry(s, position, &e, facts, &why))
        return (released && why.code == ERR_ERASED) || error_set(err, ERR_DAMAGED, "record %llu: %s", (unsigned long long)position, why.text);
    if (acked != NULL)
        ok = is_record(s, &e, writer_span(facts), acked->mark, &why);
    for (size_t i = 0; i < p->count && acked == NULL && !ok; i++)
        ok = p->records[i].mark->position == position
             && is_record(s, &e, writer_span(facts), p->records[i].mark, &why);
    ok = ok || (acked == NULL && is_own(p, &e, writer_span(facts))) || (released && why.code == ERR_ERASED);
    if (ok)
        return true;
    if (acked == NULL && e.kind == RECORD_EVENT)
        return error_set(err, ERR_DAMAGED, "record %llu: event %.*s: %.*s", (unsigned long long)position,
                         (int)fields_text(writer_span(facts), FIELD_EVENT).len,
                         (const char *)fields_text(writer_span(facts), FIELD_EVENT).ptr,
                         (int)fields_text(writer_span(facts), FIELD_DETAIL).len,
                         (const char *)fields_text(writer_span(facts), FIELD_DETAIL).ptr);
    return error_set(err, ERR_DAMAGED, "%s record %llu: %s", acked != NULL ? "acknowledged" : "unknown",
                     (unsigned long long)position, why.code != ERR_NONE ? why.text : "never written");
}

bool judge_records(struct store *s, const struct promises *p, struct error *err)
{
    struct writer facts = writer_new(FACTS_STORED_MAX);
    uint64_t size = store_committed_size(s);
    bool ok = true;

    for (size_t i = 0; ok && i < p->count; i++)
        if (p->records[i].acked && p->records[i].mark->position >= size)
            ok = error_set(err, ERR_DAMAGED, "acknowledged record %llu is lost: the log holds %llu",
                           (unsigned long long)p->records[i].mark->position, (unsigned long long)size);
    for (uint64_t position = 0; ok && position < size; position++)
        ok = check_record(s, p, position, &facts, err);
    writer_done(&facts);
    return ok;
}

/* ---- the tree ---- */

static bool check_root(struct seal *seal, const struct merkle *tree, const struct promises *p, struct error *err)
{
    struct hash root;

    for (size_t i = 0; i < p->root_count; i++) {
        if (p->roots[i]->position != tree->size)
            continue;
        if (!merkle_root(tree, seal, &root, err))
            return false;
        if (memcmp(root.bytes, p->roots[i]->root, HASH_BYTES) != 0)
            return error_set(err, ERR_DAMAGED, "the tree of %llu is not the one that was promised",
                             (unsigned long long)tree->size);
    }
    return true;
}

static bool check_tree(struct store *s, const struct promises *p, struct error *err)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    struct merkle tree = { 0 };
    struct entry_header h;
    struct seal seal;
    struct hash leaf;
    uint64_t size = store_committed_size(s);
    bool ok = seal_init(&seal, &s->suite, err) && check_root(&seal, &tree, p, err);

    for (size_t i = 0; ok && i < p->root_count; i++)
        if (p->roots[i]->position > size)
            ok = error_set(err, ERR_DAMAGED, "a tree of %llu was promised, %llu are there",
                           (unsigned long long)p->roots[i]->position, (unsigned long long)size);
    for (uint64_t position = 0; ok && position < size; position++) {
        struct span bytes;

        ok = entry_at(s, ledger_address(&s->ledger, position), position, &h, &entry, err);
        bytes = writer_span(&entry);
        ok = ok && merkle_leaf(&seal, &bytes, 1, &leaf, err) && merkle_append(&tree, &seal, &leaf, err)
             && check_root(&seal, &tree, p, err);
    }
    writer_done(&entry);
    seal_done(&seal);
    return ok;
}

/* ---- the whole ---- */

static void remember(void *context, const char *text)
{
    struct error *err = context;

    if (err->code == ERR_NONE)
        (void)error_set(err, ERR_DAMAGED, "verify: %s", text);
}

static bool claims_hold(struct store *s, const struct promises *p, struct error *err)
{
    for (size_t i = 0; i < p->claim_count; i++)
        if (!p->claims[i]->claim(s, p->claims[i]->position, err))
            return error_within(err, "a claim");
    return true;
}

static bool holds(struct store *s, const struct promises *p, struct error *err)
{
    struct error found = { 0 };
    uint64_t findings = 0;

    if (!judge_records(s, p, err) || !check_tree(s, p, err) || !store_verify(s, remember, &found, &findings, err))
        return false;
    if (findings > 0 && p->created) { /* the first start of a store half made may say what it completed */
        *err = found;
        return false;
    }
    return claims_hold(s, p, err);
}

/* The store is of use: it takes a record and gives it back. */
static bool goes_on(struct store *s, uint64_t *position, struct error *err)
{
    return test_append(s, RECORD_HL7, "unit:last", LAST_SEED, 500, position, err)
           && (test_wait(s, 1) == 1 || error_set(err, ERR_IO, "the next commit failed"))
           && test_same(s, *position, LAST_SEED, 500, err);
}

/* What is judged: a store, or a vault with its views. */
struct subject {
    struct vault *vault; /* NULL: the store alone */
    struct store *store;
};

static bool open_subject(const struct judging *j, const struct promises *p, const struct tuning *t, bool read_only,
                         struct subject *out, struct error *err)
{
    struct vault_options o = { .store = test_options() };
    struct subject s = { .store = NULL };

    o.store.tuning = t;
    o.store.read_only = read_only;
    for (size_t i = 0; s.store == NULL && i < p->secret_count; i++) {
        o.store.secret = span_str(p->secrets[i]);
        if (j->views && !read_only) {
            s.vault = vault_open(j->dir, &o, err);
            s.store = s.vault != NULL ? vault_store(s.vault) : NULL;
        } else {
            s.store = store_open(j->dir, &o.store, err);
        }
    }
    *out = s;
    return s.store != NULL;
}

static void close_subject(struct subject *s)
{
    if (s->vault != NULL)
        vault_close(s->vault);
    else
        store_close(s->store);
}

/* The file that names the current view; empty where there is none. */
static void current_view(const struct judging *j, struct writer *w)
{
    char path[600];

    snprintf(path, sizeof path, "%s/vault/views/current", j->dir);
    if (!file_slurp(path, w, NULL))
        writer_reset(w);
}

static bool dump_of(struct vault *v, struct writer *w, struct error *err)
{
    struct vault_reader *r = vault_reader_new(v, err);
    int fd = memfd_create("dump", MFD_CLOEXEC);
    char path[64];
    bool ok = r != NULL && fd >= 0 && vault_dump(r, fd, err);

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ok = ok && file_slurp(path, w, err);
    vault_reader_free(r);
    close(fd);
    return ok;
}

/* Views that were there are still used, and say what views made anew from the log say. */
static bool check_views(const struct judging *j, const struct promises *p, const struct tuning *t, struct span before,
                        struct subject *s, struct error *err)
{
    struct writer now = writer_new(1000), old = writer_new(1 << 24), new = writer_new(1 << 24);
    struct vault_options o = { .store = test_options() };
    bool ok;

    current_view(j, &now);
    ok = before.len == 0 || span_equal(before, writer_span(&now))
         || error_set(err, ERR_DAMAGED, "views that were there had to be made again");
    ok = ok && dump_of(s->vault, &old, err);
    close_subject(s);
    *s = (struct subject){ .store = NULL };
    o.store.tuning = t;
    o.store.secret = span_str(p->secrets[0]);
    ok = ok && vault_rebuild(j->dir, &o, err) && open_subject(j, p, t, false, s, err) && dump_of(s->vault, &new, err)
         && (span_equal(writer_span(&old), writer_span(&new))
             || error_set(err, ERR_DAMAGED, "views say something else than the log"));
    writer_done(&now);
    writer_done(&old);
    writer_done(&new);
    return ok;
}

/* Nothing was promised of a store that was being made: then making it again must do. */
static bool can_be_made(const struct judging *j, const struct tuning *t, struct error *err)
{
    struct store_options o = test_options();

    o.tuning = t;
    return store_create(j->dir, &o, err);
}

/* Opened again after closing. */
static bool holds_again(const struct judging *j, const struct promises *p, const struct tuning *t, uint64_t position,
                        struct error *err)
{
    struct error found = { 0 };
    uint64_t findings = 0;
    struct subject s;
    bool ok;

    if (!open_subject(j, p, t, true, &s, err))
        return error_within(err, "opening again");
    ok = test_same(s.store, position, LAST_SEED, 500, err)
         && store_verify(s.store, remember, &found, &findings, err)
         && (findings == 0 || error_set(err, ERR_DAMAGED, "opened again: %s", found.text));
    close_subject(&s);
    return ok;
}

bool judge(const struct judging *j, const struct promises *p, struct error *err)
{
    struct tuning t = { .files = j->ops,
                        .files_context = j->context,
                        .segment_bytes = 6000,
                        .body_file_bytes = 160000,
                        .confirm_entries = 12,
                        .no_idle_confirm = true };
    struct writer before = writer_new(1000);
    struct error why = { 0 };
    uint64_t position = 0;
    struct subject s;
    bool ok;

    if (j->ready != NULL && !j->ready(j->dir, &t, p, err))
        return false;
    current_view(j, &before);
    if (!open_subject(j, p, &t, false, &s, &why) && !p->created) {
        if (!can_be_made(j, &t, err))
            return error_within(err, "a store half made (%s) cannot be made again", why.text);
        (void)open_subject(j, p, &t, false, &s, &why);
    }
    if (s.store == NULL)
        return error_set(err, why.code, "open: %s", why.text);
    ok = holds(s.store, p, err) && (!j->views || check_views(j, p, &t, writer_span(&before), &s, err))
         && (!j->go_on || (goes_on(s.store, &position, err) && claims_hold(s.store, p, err)));
    writer_done(&before);
    close_subject(&s);
    return ok && (!j->reopen || !j->go_on || holds_again(j, p, &t, position, err));
}
