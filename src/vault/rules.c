/* Accounts from the log. See rules.h. */
#include "vault/rules.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/arena.h"
#include "record/field.h"

#define RULES_MEMORY_MAX ((size_t)64 * 1024 * 1024)

struct rules {
    pthread_mutex_t mutex;
    struct account *accounts; /* owned */
    size_t count, cap;
    struct erasures *erasures;
    struct arena tls_memory;  /* keys that were in force: whoever borrowed one keeps it */
    struct span tls_key, tls_certificate;
};

struct rules *rules_new(void)
{
    struct rules *r = calloc(1, sizeof *r);

    if (r == NULL || pthread_mutex_init(&r->mutex, NULL) != 0) {
        free(r);
        return NULL;
    }
    r->tls_memory = arena_new(RULES_MEMORY_MAX);
    r->erasures = erasures_new();
    if (r->erasures != NULL)
        return r;
    rules_free(r);
    return NULL;
}

void rules_free(struct rules *r)
{
    if (r == NULL)
        return;
    if (r->accounts != NULL)
        sodium_memzero(r->accounts, r->cap * sizeof *r->accounts);
    free(r->accounts);
    if (r->tls_key.len > 0)
        sodium_memzero((void *)(uintptr_t)r->tls_key.ptr, r->tls_key.len);
    arena_done(&r->tls_memory);
    erasures_free(r->erasures);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}

static struct account *account_of(struct rules *r, struct span user)
{
    for (size_t i = 0; i < r->count; i++)
        if (span_equal(span_str(r->accounts[i].user), user))
            return &r->accounts[i];
    return NULL;
}

static struct account *account_add(struct rules *r, struct error *err)
{
    struct account *more;
    size_t cap = r->cap > 0 ? 2 * r->cap : 16;

    if (r->count == ACCOUNTS_MAX) {
        error_set(err, ERR_LIMIT, "more than %d accounts", ACCOUNTS_MAX);
        return NULL;
    }
    if (r->count == r->cap) {
        more = realloc(r->accounts, cap * sizeof *more);
        if (more == NULL) {
            error_set(err, ERR_MEMORY, "accounts");
            return NULL;
        }
        r->accounts = more;
        r->cap = cap;
    }
    r->accounts[r->count] = (struct account){ .user = "" };
    return &r->accounts[r->count++];
}

/* What the fact says replaces what was; what it does not mention stays. */
static bool take(struct span facts, enum field f, char *out, size_t cap)
{
    struct span value;

    return !fields_find(facts, f, &value) || span_to_str(value, out, cap);
}

static bool account_take(struct account *a, uint64_t position, struct span facts, struct error *err)
{
    struct account new = *a;
    struct span hash;

    if (!take(facts, FIELD_USER, new.user, sizeof new.user)
        || !take(facts, FIELD_DISPLAY_NAME, new.display_name, sizeof new.display_name)
        || !take(facts, FIELD_PASSWORD_HASH, new.password_hash, sizeof new.password_hash)
        || !take(facts, FIELD_ROLE, new.role, sizeof new.role))
        return error_set(err, ERR_LIMIT, "account: a value is too long");
    if (fields_find(facts, FIELD_PASSWORD_HASH, &hash)) {
        new.password_at = position + 1;
        if (!take(facts, FIELD_ACTOR, new.password_by, sizeof new.password_by))
            return error_set(err, ERR_LIMIT, "account: a value is too long");
    }
    *a = new;
    return true;
}

static bool apply_added(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    const struct span user = fields_text(facts, FIELD_USER);
    struct account *a = account_of(r, user);

    if (user.len == 0 || user.len >= sizeof a->user)
        return error_set(err, ERR_MALFORMED, "account without a user name that fits");
    if (a == NULL && (a = account_add(r, err)) == NULL)
        return false;
    return account_take(a, position, facts, err);
}

static bool apply_changed(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    struct account *a = account_of(r, fields_text(facts, FIELD_USER));

    return a != NULL ? account_take(a, position, facts, err) : error_set(err, ERR_NOT_FOUND, "change of an unknown account");
}

static bool apply_disabled(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    struct account *a = account_of(r, fields_text(facts, FIELD_USER));

    (void)position;
    if (a == NULL)
        return error_set(err, ERR_NOT_FOUND, "an unknown account is disabled");
    sodium_memzero(a->password_hash, sizeof a->password_hash);
    return true;
}

static bool apply_tls(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    const struct span key = arena_copy(&r->tls_memory, fields_text(facts, FIELD_TLS_KEY));
    const struct span certificate = arena_copy(&r->tls_memory, fields_text(facts, FIELD_TLS_CERTIFICATE));

    (void)position;
    if (key.ptr == NULL || certificate.ptr == NULL)
        return error_set(err, ERR_MEMORY, "TLS key");
    r->tls_key = key;
    r->tls_certificate = certificate;
    return true;
}

static const struct {
    const char *fact;
    bool (*apply)(struct rules *r, uint64_t position, struct span facts, struct error *err);
} rule_facts[] = {
    { "account-added", apply_added },
    { "account-changed", apply_changed },
    { "account-disabled", apply_disabled },
    { "tls-key", apply_tls },
};

bool rules_apply(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    const struct span name = fields_text(facts, FIELD_FACT);
    bool ok = true;

    (void)pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < COUNT_OF(rule_facts); i++)
        if (span_equal(name, span_str(rule_facts[i].fact)))
            ok = rule_facts[i].apply(r, position, facts, err);
    ok = erasures_apply(r->erasures, position, facts, err) && ok;
    (void)pthread_mutex_unlock(&r->mutex);
    return ok;
}

/* The walk goes from the newest to the oldest: keep all, then apply the other way round. */
struct walked {
    struct arena arena;
    struct kept {
        struct kept *older_first; /* the one applied next */
        uint64_t position;
        struct span facts;
    } *oldest;
    bool failed;
};

static bool keep(void *context, const struct entry *e, struct span facts)
{
    struct walked *w = context;
    struct kept *k = arena_alloc(&w->arena, sizeof *k);

    if (k == NULL || (k->facts = arena_copy(&w->arena, facts)).ptr == NULL) {
        w->failed = true;
        return false;
    }
    k->position = e->position;
    k->older_first = w->oldest;
    w->oldest = k;
    return true;
}

bool rules_load(struct rules *r, struct store *s, struct error *err)
{
    struct walked w = { .arena = arena_new(RULES_MEMORY_MAX) };
    bool ok = store_walk_rules(s, keep, &w, err);

    if (ok && w.failed)
        ok = error_set(err, ERR_LIMIT, "rules of more than %zu bytes", RULES_MEMORY_MAX);
    for (struct kept *k = w.oldest; ok && k != NULL; k = k->older_first) {
        struct error ignored; /* a fact that says nothing valid was refused when it came, or changes nothing */

        (void)rules_apply(r, k->position, k->facts, &ignored);
    }
    arena_done(&w.arena);
    return ok;
}

bool rules_account(struct rules *r, struct span user, struct account *out)
{
    const struct account *a;
    bool found;

    (void)pthread_mutex_lock(&r->mutex);
    a = account_of(r, user);
    found = a != NULL;
    if (found)
        *out = *a;
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

bool rules_account_at(struct rules *r, size_t n, struct account *out)
{
    bool found;

    (void)pthread_mutex_lock(&r->mutex);
    found = n < r->count;
    if (found)
        *out = r->accounts[n];
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

size_t rules_count(struct rules *r)
{
    size_t count;

    (void)pthread_mutex_lock(&r->mutex);
    count = r->count;
    (void)pthread_mutex_unlock(&r->mutex);
    return count;
}

bool rules_tls(struct rules *r, struct span *key, struct span *certificate)
{
    bool found;

    (void)pthread_mutex_lock(&r->mutex);
    found = r->tls_key.len > 0;
    if (found) {
        *key = r->tls_key;
        *certificate = r->tls_certificate;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

bool rules_erasure_at(struct rules *r, size_t n, struct erasure *out)
{
    bool found;

    (void)pthread_mutex_lock(&r->mutex);
    found = n < erasures_count(r->erasures);
    if (found)
        *out = *erasures_at(r->erasures, n);
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

bool rules_hold_at(struct rules *r, size_t n, struct hold *out)
{
    bool found;

    (void)pthread_mutex_lock(&r->mutex);
    found = n < holds_count(r->erasures);
    if (found)
        *out = *holds_at(r->erasures, n);
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

uint64_t rules_tombstones(struct rules *r)
{
    uint64_t count;

    (void)pthread_mutex_lock(&r->mutex);
    count = erasures_tombstones(r->erasures);
    (void)pthread_mutex_unlock(&r->mutex);
    return count;
}
