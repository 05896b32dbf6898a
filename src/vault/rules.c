/* Accounts from the log. See rules.h. */
#include "vault/rules.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "record/field.h"

#define RULES_MEMORY_MAX ((size_t)64 * 1024 * 1024)

#define MISSED_MAX       64u /* positions that are looked at again; the newest */

#define LOG_WITNESSED "log-witnessed"

struct witnessed {
    char origin[NOTE_NAME_MAX + 1];
    uint64_t size;
    uint8_t root[ROOT_BYTES];
};

struct rules {
    pthread_mutex_t mutex;
    struct witnessed logs[WITNESSED_MAX];
    size_t log_count;
    uint64_t newest_other; /* position of the newest committed rule that is no log-witnessed, or was missed, + 1 */
    uint64_t missed[MISSED_MAX], missed_first; /* could not be read; the oldest of all, also of those not listed */
    size_t missed_count, missed_next;
    uint64_t missed_last;  /* the newest, + 1 */
    uint64_t witnessed_at; /* the log-witnessed that was taken in last, + 1 */
    bool witness_unsure;   /* one came and could not be taken in */
    struct account *accounts; /* owned */
    size_t count, cap;
    struct erasures *erasures;
    struct retention retention[RETAINED_COUNT];
    struct copies copies;
    struct arena tls_memory;  /* keys that were in force: whoever borrowed one keeps it */
    struct span tls_key, tls_certificate;
    struct keys_said keys;
};

struct rules *rules_new(void)
{
    struct rules *r = calloc(1, sizeof *r);

    if (r == NULL || pthread_mutex_init(&r->mutex, NULL) != 0) {
        free(r);
        return NULL;
    }
    r->tls_memory = arena_new(RULES_MEMORY_MAX);
    r->missed_first = UINT64_MAX;
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
        return arena_failed(&r->tls_memory, fields_text(facts, FIELD_TLS_KEY).len + fields_text(facts, FIELD_TLS_CERTIFICATE).len,
                            err, "TLS keys that were in force");
    r->tls_key = key;
    r->tls_certificate = certificate;
    return true;
}

static struct witnessed *witnessed_of(struct rules *r, struct span origin)
{
    for (size_t i = 0; i < r->log_count; i++)
        if (span_equal(span_str(r->logs[i].origin), origin))
            return &r->logs[i];
    return NULL;
}

/* Each holds all logs, so the newest is enough. */
static bool apply_witnessed(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    struct fields_reader reader = fields_over(facts);
    struct field_value v;

    (void)position;
    while (fields_next(&reader, &v)) {
        const struct span origin = fields_text(v.value, FIELD_ORIGIN), root = fields_text(v.value, FIELD_TREE_ROOT);
        struct witnessed *w;

        if (v.field != FIELD_WITNESSED || root.len != ROOT_BYTES)
            continue;
        w = witnessed_of(r, origin);
        if (w == NULL && r->log_count == WITNESSED_MAX)
            return error_set(err, ERR_LIMIT, "more than %d witnessed logs", WITNESSED_MAX);
        if (w == NULL)
            w = &r->logs[r->log_count];
        if (!span_to_str(origin, w->origin, sizeof w->origin))
            return error_set(err, ERR_LIMIT, "origin of a log");
        w->size = fields_uint(v.value, FIELD_TREE_SIZE, 0);
        memcpy(w->root, root.ptr, ROOT_BYTES);
        r->log_count += w == &r->logs[r->log_count];
    }
    return true;
}

static bool apply_rotated(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    (void)position;
    return keys_said_rotated(&r->keys, facts, err);
}

static bool apply_keys_changed(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    (void)position;
    return keys_said_changed(&r->keys, facts, err);
}

static bool apply_backed_up(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    (void)position;
    return keys_said_backed_up(&r->keys, facts, err);
}

static const struct {
    const char *fact;
    bool (*apply)(struct rules *r, uint64_t position, struct span facts, struct error *err);
} rule_facts[] = {
    { "account-added", apply_added },
    { "account-changed", apply_changed },
    { "account-disabled", apply_disabled },
    { LOG_WITNESSED, apply_witnessed },
    { "keys-backed-up", apply_backed_up },
    { "keys-changed", apply_keys_changed },
    { "keys-rotated", apply_rotated },
    { "tls-key", apply_tls },
};

/* A fact may be of two of these: a back-up of the keys is one of the keyring's, and a copy. What does not know it passes it. */
static bool apply(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    const struct span name = fields_text(facts, FIELD_FACT);
    bool ok = true;

    for (size_t i = 0; i < COUNT_OF(rule_facts); i++)
        if (span_equal(name, span_str(rule_facts[i].fact)))
            ok = rule_facts[i].apply(r, position, facts, err);
    return ok && erasures_apply(r->erasures, position, facts, err) && copies_apply(&r->copies, position, facts, err)
           && retention_apply(r->retention, position, facts, err);
}

bool rules_apply(struct rules *r, uint64_t position, struct span facts, struct error *err)
{
    const bool witnessed = span_equal(fields_text(facts, FIELD_FACT), SPAN_LIT(LOG_WITNESSED));
    bool ok;

    (void)pthread_mutex_lock(&r->mutex);
    ok = apply(r, position, facts, err);
    if (witnessed) {
        r->witnessed_at = ok ? position + 1 : r->witnessed_at;
        r->witness_unsure = !ok;
    }
    if (!witnessed && r->newest_other <= position)
        r->newest_other = position + 1;
    (void)pthread_mutex_unlock(&r->mutex);
    return ok;
}

void rules_miss(struct rules *r, uint64_t position)
{
    (void)pthread_mutex_lock(&r->mutex);
    if (r->newest_other <= position) /* or else a log-witnessed would have every walk to come pass it over */
        r->newest_other = position + 1;
    if (position < r->missed_first)
        r->missed_first = position;
    if (position >= r->missed_last)
        r->missed_last = position + 1;
    if (r->missed_count < MISSED_MAX)
        r->missed[r->missed_count++] = position;
    (void)pthread_mutex_unlock(&r->mutex);
}

uint64_t rules_missed_first(struct rules *r)
{
    uint64_t first;

    (void)pthread_mutex_lock(&r->mutex);
    first = r->missed_first;
    (void)pthread_mutex_unlock(&r->mutex);
    return first;
}

bool rules_would_know_more(struct rules *r, struct store *s)
{
    uint64_t position = UINT64_MAX;

    (void)pthread_mutex_lock(&r->mutex);
    if (r->missed_count > 0)
        position = r->missed[r->missed_next++ % r->missed_count];
    (void)pthread_mutex_unlock(&r->mutex);
    return position != UINT64_MAX && store_reads(s, position);
}

/* The walk goes from the newest to the oldest: keep all, then apply the other way round. */
struct walked {
    struct rules *rules;
    struct arena arena;
    struct kept {
        struct kept *older_first; /* the one applied next */
        uint64_t position;
        struct span facts;
    } *oldest;
    bool witnessed; /* one of that kind was kept: older ones say nothing more */
    bool failed;
    struct error why;
};

static void miss(void *context, uint64_t position)
{
    struct walked *w = context;

    rules_miss(w->rules, position);
}

static bool keep(void *context, const struct entry *e, struct span facts)
{
    struct walked *w = context;
    const bool witnessed = span_equal(fields_text(facts, FIELD_FACT), SPAN_LIT(LOG_WITNESSED));
    struct kept *k;

    if (witnessed && w->witnessed)
        return true;
    w->witnessed |= witnessed;
    k = arena_alloc(&w->arena, sizeof *k);
    if (k == NULL || (k->facts = arena_copy(&w->arena, facts)).ptr == NULL) {
        w->failed = true;
        (void)arena_failed(&w->arena, k == NULL ? sizeof *k : facts.len + 1, &w->why, "rules");
        return false;
    }
    k->position = e->position;
    k->older_first = w->oldest;
    w->oldest = k;
    return true;
}

bool rules_load(struct rules *r, struct store *s, const struct log *log, struct error *err)
{
    struct walked w = { .rules = r, .arena = arena_new(RULES_MEMORY_MAX) };
    bool ok = store_walk_rules(s, keep, miss, &w, err);

    if (ok && w.failed)
        ok = error_set(err, w.why.code, "%s", w.why.text);
    for (struct kept *k = w.oldest; ok && k != NULL; k = k->older_first) {
        struct error why = { 0 };

        if (rules_apply(r, k->position, k->facts, &why))
            continue;
        if (error_is_want(why.code))
            ok = error_set(err, why.code, "rule %llu: %s", (unsigned long long)k->position, why.text);
        else if (why.code == ERR_LIMIT) /* one that says nothing valid was told when it came, and changes nothing */
            log_error(log, "vault.rule-ignored", f_uint("position", k->position), f_err(&why));
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

void rules_retention(struct rules *r, struct retention out[RETAINED_COUNT])
{
    (void)pthread_mutex_lock(&r->mutex);
    memcpy(out, r->retention, sizeof r->retention);
    (void)pthread_mutex_unlock(&r->mutex);
}

uint64_t rules_tombstones(struct rules *r)
{
    uint64_t count;

    (void)pthread_mutex_lock(&r->mutex);
    count = erasures_tombstones(r->erasures);
    (void)pthread_mutex_unlock(&r->mutex);
    return count;
}

bool rules_witness_in_doubt(struct rules *r)
{
    bool doubt;

    (void)pthread_mutex_lock(&r->mutex);
    doubt = r->witness_unsure || r->missed_last > r->witnessed_at; /* each log-witnessed holds all logs: older ones say nothing */
    (void)pthread_mutex_unlock(&r->mutex);
    return doubt;
}

bool rules_witnessed(struct rules *r, struct span origin, uint64_t *size, uint8_t root[ROOT_BYTES])
{
    const struct witnessed *w;

    (void)pthread_mutex_lock(&r->mutex);
    w = witnessed_of(r, origin);
    *size = w != NULL ? w->size : 0;
    if (w != NULL)
        memcpy(root, w->root, ROOT_BYTES);
    (void)pthread_mutex_unlock(&r->mutex);
    return w != NULL;
}

static void put_log(struct writer *w, struct span origin, uint64_t size, const uint8_t root[ROOT_BYTES])
{
    const size_t group = field_group_begin(w, FIELD_WITNESSED);

    field_put_text(w, FIELD_ORIGIN, origin);
    field_put_uint(w, FIELD_TREE_SIZE, size);
    field_put_bytes(w, FIELD_TREE_ROOT, span_of(root, ROOT_BYTES));
    field_group_end(w, group);
}

bool rules_put_witnessed(struct rules *r, struct span origin, uint64_t size, const uint8_t root[ROOT_BYTES],
                         bool committed, struct writer *facts, struct error *err)
{
    bool room;

    (void)pthread_mutex_lock(&r->mutex);
    room = witnessed_of(r, origin) != NULL || r->log_count < WITNESSED_MAX;
    field_put_str(facts, FIELD_FACT, LOG_WITNESSED);
    field_put_str(facts, FIELD_ACTOR, "fanal");
    put_log(facts, origin, size, root);
    for (size_t i = 0; i < r->log_count; i++)
        if (!span_equal(span_str(r->logs[i].origin), origin))
            put_log(facts, span_str(r->logs[i].origin), r->logs[i].size, r->logs[i].root);
    if (committed)
        field_put_uint(facts, FIELD_RULE_BEFORE, r->newest_other);
    (void)pthread_mutex_unlock(&r->mutex);
    if (!room)
        return error_set(err, ERR_LIMIT, "more than %d witnessed logs", WITNESSED_MAX);
    return origin.len <= NOTE_NAME_MAX ? writer_ok(facts, err, "log-witnessed") : error_set(err, ERR_LIMIT, "origin of a log");
}

bool rules_copy_at(struct rules *r, size_t n, struct copy *out)
{
    bool found;

    (void)pthread_mutex_lock(&r->mutex);
    found = n < r->copies.count;
    if (found)
        *out = r->copies.list[n];
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

bool rules_has_copy(struct rules *r, struct span name)
{
    bool found;

    (void)pthread_mutex_lock(&r->mutex);
    found = copies_find(&r->copies, name) != NULL;
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

bool rules_list_twin(struct rules *r, const char *name, const char *certificate, struct error *err)
{
    bool ok;

    (void)pthread_mutex_lock(&r->mutex);
    ok = copies_list_twin(&r->copies, name, certificate, err);
    (void)pthread_mutex_unlock(&r->mutex);
    return ok;
}

uint64_t rules_twin_applied(struct rules *r, struct span certificate)
{
    uint64_t applied;

    (void)pthread_mutex_lock(&r->mutex);
    applied = copies_twin_applied(&r->copies, certificate);
    (void)pthread_mutex_unlock(&r->mutex);
    return applied;
}

bool rules_tombstone_within(struct rules *r, uint64_t from, uint64_t below)
{
    bool found = false;

    (void)pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; !found && i < erasures_count(r->erasures); i++) {
        const struct erasure *e = erasures_at(r->erasures, i);

        found = e->state == ERASURE_DONE && e->tombstone >= from && e->tombstone < below;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return found;
}

void rules_pending(struct rules *r, uint64_t tombstone, uint64_t now_us, struct writer *out)
{
    (void)pthread_mutex_lock(&r->mutex);
    copies_pending(&r->copies, tombstone, now_us, out);
    (void)pthread_mutex_unlock(&r->mutex);
}

void rules_keys(struct rules *r, struct keys_said *out)
{
    (void)pthread_mutex_lock(&r->mutex);
    *out = r->keys;
    (void)pthread_mutex_unlock(&r->mutex);
}
