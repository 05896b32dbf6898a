/*
 * Erasing at the vault (docs/erasure.md): tombstones are applied to keys and views, at each start, by an approval, and on a twin
 * when they come with the log; who has said that they are applied elsewhere. See vault.h, vault_internal.h.
 */
#include "vault/vault_internal.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "record/field.h"
#include "vault/twin.h"

bool vault_reapply(struct rules *rules, struct store *store, const struct log *log, uint64_t below, uint64_t *again,
                   struct error *err)
{
    struct erasure e;
    uint64_t units = 0;
    bool ok = true;

    *again = 0;
    for (size_t i = 0; ok && rules_erasure_at(rules, i, &e); i++) {
        size_t due = 0;

        if (e.state != ERASURE_DONE)
            continue;
        ok = erasure_apply(store, &e, &due, err);
        *(e.tombstone < below ? again : &units) += due;
    }
    if (*again > 0)
        log_error(log, "erasure.reapplied", f_uint("units", *again));
    if (units > 0)
        log_info(log, "erasure.applied", f_uint("units", units));
    return ok || error_within(err, "erasing again");
}

uint64_t vault_reapplied(const struct vault *v)
{
    return v->reapplied;
}

bool vault_erasure_at(struct vault *v, size_t n, struct erasure *out)
{
    return rules_erasure_at(v->rules, n, out);
}

bool vault_hold_at(struct vault *v, size_t n, struct hold *out)
{
    return rules_hold_at(v->rules, n, out);
}

void vault_retention(struct vault *v, struct retention out[RETAINED_COUNT])
{
    rules_retention(v->rules, out);
}

bool vault_erase(struct vault *v, const struct erasure *e, struct error *err)
{
    size_t due;

    return erasure_apply(v->store, e, &due, err)
           && live_views_renew(v->views, (uint32_t)rules_tombstones(v->rules), err);
}

/* ---- a twin: what came with the log ---- */

struct new_rules {
    struct rules *rules;
    uint64_t known;
    struct pending_rule *oldest; /* owned list, oldest first */
    bool failed;
};

static bool note_new_rule(void *context, const struct entry *e, struct span facts)
{
    struct new_rules *n = context;
    struct append a = { .facts = facts };
    struct pending_rule *r;

    if (e->position < n->known)
        return false;
    r = vault_rule_of(&a);
    if (r == NULL) {
        n->failed = true;
        return false;
    }
    r->position = e->position;
    r->next = n->oldest;
    n->oldest = r;
    return true;
}

static void miss_new_rule(void *context, uint64_t position)
{
    struct new_rules *n = context;

    if (position >= n->known) /* what is older was missed when it came */
        rules_miss(n->rules, position);
}

/* On a twin rules come with the log: what is newer than what was known is taken in, in its order. */
static void take_rules(struct vault *v)
{
    struct new_rules n = { .rules = v->rules, .known = v->rules_known };
    uint64_t size = store_committed_size(v->store);
    struct error err = { .code = ERR_NONE };

    if (size == v->rules_known)
        return;
    if (!store_walk_rules(v->store, note_new_rule, miss_new_rule, &n, &err) || n.failed) {
        log_error(v->log, "vault.memory", f_uint("position", size));
        size = v->rules_known;
    }
    for (struct pending_rule *r = n.oldest, *next; r != NULL; r = next) {
        next = r->next;
        if (size > r->position && !rules_apply(v->rules, r->position, span_of(r->facts, r->len), &err)) {
            log_warn(v->log, "vault.rule-ignored", f_uint("position", r->position), f_err(&err));
            size = error_is_want(err.code) ? r->position : size; /* it may be a tombstone: tried again */
        }
        free(r);
    }
    v->rules_known = size;
}

uint64_t vault_rules_sure(struct vault *v)
{
    const uint64_t missed = rules_missed_first(v->rules); /* it may be a tombstone */

    return missed < v->rules_known ? missed : v->rules_known;
}

/* What came is erased at once; what failed is logged once and tried again with whatever comes next. */
void vault_follow_rules(struct vault *v)
{
    struct error err = { .code = ERR_NONE };
    bool ok;

    take_rules(v);
    ok = vault_follow_erasures(v, &err);
    if (!ok && !v->erasing_failed)
        log_error(v->log, "erasure.not-applied", f_err(&err));
    v->erasing_failed = !ok;
}

/* ---- a first: what its twins say ---- */

bool vault_list_twin(struct vault *v, const char *name, const char *certificate, struct error *err)
{
    return rules_list_twin(v->rules, name, certificate, err);
}

uint64_t vault_twin_applied(struct vault *v, const char *certificate)
{
    return rules_twin_applied(v->rules, span_str(certificate));
}

bool vault_twin_says(struct vault *v, const char *name, const char *certificate, uint64_t applied, uint64_t now_us,
                     uint64_t *told, struct error *err)
{
    struct writer facts = writer_new(1024);
    struct append a = { .kind = RECORD_RULE, .unit = SPAN_LIT("rules"), .received_us = now_us };
    uint64_t known = vault_twin_applied(v, certificate), position;
    bool ok = true;

    if (applied > store_committed_size(v->store))
        return error_set(err, ERR_REFUSED, "a twin says that it has applied what is not there");
    if (known < *told)
        known = *told; /* on its way into the log */
    if (rules_tombstone_within(v->rules, known, applied)) {
        field_put_str(&facts, FIELD_FACT, "twin-applied");
        field_put_str(&facts, FIELD_ACTOR, "fanal");
        field_put_str(&facts, FIELD_TWIN, name);
        field_put_str(&facts, FIELD_CERTIFICATE, certificate);
        field_put_uint(&facts, FIELD_POSITION, applied);
        a.facts = writer_span(&facts);
        ok = writer_ok(&facts, err, "twin-applied") && vault_append(v, &a, &position, err);
        *told = ok ? applied : *told;
    }
    writer_done(&facts);
    return ok;
}

bool vault_has_copy(struct vault *v, struct span name)
{
    return rules_has_copy(v->rules, name);
}

/* ---- a twin: what is to be erased ---- */

static void *renew(void *context)
{
    static const uint64_t one = 1;
    struct vault *v = context;

    v->renewing.ok = live_views_renew(v->views, v->renewing.mark, &v->renewing.err);
    atomic_store(&v->renewing.ended, true);
    (void)!write(store_event_fd(v->store), &one, sizeof one); /* the owner looks */
    return NULL;
}

/* Signals are the owner's. */
static bool renewing_begin(struct vault *v, uint32_t mark, struct error *err)
{
    struct renewing *r = &v->renewing;
    sigset_t all, before;

    r->mark = mark;
    atomic_store(&r->ended, false);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r->started = pthread_create(&r->thread, NULL, renew, v) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!r->started)
        r->mark = UINT32_MAX; /* nothing has it: tried again */
    return r->started || error_set(err, ERR_MEMORY, "no thread to make the views again");
}

/* False with *err where it failed; true and still started: it goes on. */
static bool renewing_look(struct vault *v, struct error *err)
{
    struct renewing *r = &v->renewing;

    if (!r->started || !atomic_load(&r->ended))
        return true;
    (void)pthread_join(r->thread, NULL);
    r->started = false;
    if (r->ok)
        return true;
    r->mark = UINT32_MAX;
    return error_set(err, r->err.code, "views without what was erased: %s", r->err.text);
}

bool vault_follow_erasures(struct vault *v, struct error *err)
{
    uint32_t tombstones = (uint32_t)rules_tombstones(v->rules);
    uint64_t due;

    if (!renewing_look(v, err))
        return false;
    if (v->renewing.started)
        return true;
    if (tombstones != v->renewing.mark) {
        if (v->twin != NULL && twin_keyring_changed(v->twin))
            return error_set(err, ERR_SEALED, "the first's keyring was changed: open the twin again to erase");
        return vault_reapply(v->rules, v->store, v->log, 0, &due, err) && renewing_begin(v, tombstones, err);
    }
    if (v->twin != NULL && live_views_whole(v->views))
        twin_erased(v->twin, vault_rules_sure(v));
    return true;
}

