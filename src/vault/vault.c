/* The vault: store, views, accounts. See vault.h. */
#include "vault/vault.h"

#include <stdlib.h>

#include "record/field.h"
#include "vault/live_views.h"
#include "vault/pending.h"
#include "vault/query_erasures.h"
#include "vault/rules.h"
#include "vault/seal.h"
#include "vault/twin.h"
#include "vault/vault_internal.h"

struct vault_reader {
    struct vault *vault;
    struct views_reader *reader;
};

bool vault_create(const char *dir, const struct vault_options *options, struct error *err)
{
    return store_create(dir, &options->store, err);
}

/* A zone that cannot be loaded shifts the order of times without zone; it must not keep the doors shut. */
static struct zone zone_of(const struct vault_options *options)
{
    struct zone zone = zone_utc();
    struct error err;

    if (options->timezone != NULL && !zone_load(options->timezone, &zone, &err)) {
        log_warn(options->store.log, "views.zone-unknown", f_err(&err));
        zone = zone_utc();
    }
    return zone;
}

static struct live_views_options views_options(const struct vault_options *options, struct store *store,
                                               uint32_t mark)
{
    return (struct live_views_options){ .store = store, .log = options->store.log,
                                        .clock = options->store.clock, .zone = zone_of(options), .mark = mark };
}

static uint64_t applied_before(struct twin *t)
{
    struct twin_figures f;

    twin_figures(t, &f);
    return f.applied;
}

static bool open_parts(struct vault *v, const char *dir, const struct vault_options *options, struct error *err)
{
    struct live_views_options views;

    v->log = options->store.log;
    v->rules_end = &v->rules_first;
    v->twin = options->twin ? twin_open(dir, &options->store, err) : NULL;
    v->store = options->twin ? (v->twin != NULL ? twin_store(v->twin) : NULL) : store_open(dir, &options->store, err);
    if (v->store == NULL)
        return false;
    v->rules_known = store_committed_size(v->store);
    v->pending = pending_new();
    v->rules = rules_new();
    if (v->pending == NULL || v->rules == NULL)
        return error_set(err, ERR_MEMORY, "vault");
    if (!rules_load(v->rules, v->store, v->log, err))
        return error_within(err, "accounts");
    if (!vault_reapply(v->rules, v->store, v->log, v->twin != NULL ? applied_before(v->twin) : UINT64_MAX, &v->reapplied, err))
        return false;
    views = views_options(options, v->store, (uint32_t)rules_tombstones(v->rules));
    v->views = live_views_open(&views, err);
    if (v->views == NULL || (v->own_reader = views_reader_new(v->views, err)) == NULL || !live_views_start(v->views, err))
        return false;
    v->renewing.mark = views.mark;
    if (v->twin != NULL)
        twin_erased(v->twin, vault_rules_sure(v));
    return true;
}

struct vault *vault_open(const char *dir, const struct vault_options *options, struct error *err)
{
    struct vault *v;

    if (options->store.read_only) {
        error_set(err, ERR_USAGE, "views need a store that is open for writing");
        return NULL;
    }
    v = calloc(1, sizeof *v);
    if (v == NULL) {
        error_set(err, ERR_MEMORY, "vault");
        return NULL;
    }
    if (open_parts(v, dir, options, err))
        return v;
    vault_close(v);
    return NULL;
}

void vault_close(struct vault *v)
{
    if (v == NULL)
        return;
    views_reader_free(v->own_reader);
    if (v->renewing.started)
        (void)pthread_join(v->renewing.thread, NULL);
    live_views_close(v->views);
    rules_free(v->rules);
    pending_free(v->pending);
    for (struct pending_rule *r = v->rules_first, *next; r != NULL; r = next) {
        next = r->next;
        free(r);
    }
    if (v->twin != NULL)
        twin_close(v->twin);
    else if (v->store != NULL)
        store_close(v->store);
    free(v);
}

struct store *vault_store(struct vault *v)
{
    return v->store;
}

struct twin *vault_twin(struct vault *v)
{
    return v->twin;
}

/* ---- appending ---- */

/* Memory for what an append needs afterwards is taken before it: a position once given must be followed. */
struct pending_rule *vault_rule_of(const struct append *a)
{
    struct pending_rule *r = malloc(sizeof *r + a->facts.len);

    if (r == NULL)
        return NULL;
    *r = (struct pending_rule){ .len = a->facts.len };
    if (a->facts.len > 0)
        memcpy(r->facts, a->facts.ptr, a->facts.len);
    return r;
}

static bool is_version(struct span facts)
{
    const struct span state = fields_text(facts, FIELD_STATE);

    return state.len == 0 || span_equal(state, SPAN_LIT("stored")) || span_equal(state, SPAN_LIT("alternate"))
           || span_equal(state, SPAN_LIT("conflict"));
}

bool vault_append(struct vault *v, const struct append *a, uint64_t *position, struct error *err)
{
    const struct span sop_uid = fields_text(a->facts, FIELD_SOP_UID);
    struct pending_rule *rule = a->kind == RECORD_RULE ? vault_rule_of(a) : NULL;

    if (v->twin != NULL) {
        body_free(a->body);
        free(rule);
        return error_set(err, ERR_REFUSED, "this is a twin: nothing can be stored");
    }
    if (a->kind == RECORD_RULE && rule == NULL) {
        body_free(a->body);
        return error_set(err, ERR_MEMORY, "rule");
    }
    if (!store_append(v->store, a, position, err)) {
        free(rule);
        return false;
    }
    if (rule != NULL) {
        rule->position = *position;
        *v->rules_end = rule;
        v->rules_end = &rule->next;
    }
    if (a->kind == RECORD_DICOM && sop_uid.len > 0 && is_version(a->facts)
        && !pending_add(v->pending, sop_uid, *position))
        log_error(v->log, "vault.memory", f_uint("position", *position)); /* a twin sent just now is kept twice */
    return true;
}

static void settle_rules(struct vault *v, const struct completion *c)
{
    struct pending_rule *r = v->rules_first;
    struct error err = { 0 };

    if (r == NULL || r->position != c->position)
        return;
    v->rules_first = r->next;
    if (v->rules_first == NULL)
        v->rules_end = &v->rules_first;
    if (c->committed && !rules_apply(v->rules, r->position, span_of(r->facts, r->len), &err)) {
        log_warn(v->log, "vault.rule-ignored", f_uint("position", c->position), f_err(&err));
        v->rules_wanting |= error_is_want(err.code);
    }
    free(r);
}

bool vault_would_know_more(struct vault *v)
{
    return v->rules_wanting || rules_would_know_more(v->rules, v->store);
}

size_t vault_completed(struct vault *v, struct completion *out, size_t max)
{
    const size_t count = store_completed(v->store, out, max);

    for (size_t i = 0; i < count; i++) {
        pending_settle(v->pending, out[i].position, out[i].committed);
        settle_rules(v, &out[i]);
    }
    pending_prune(v->pending, live_views_folded(v->views));
    if (v->twin != NULL) {
        vault_follow_rules(v);
    }
    if (count > 0 || v->twin != NULL)
        live_views_wake(v->views);
    return count;
}

/* ---- duplicates ---- */

static void add_pending(void *context, uint64_t position, bool committed)
{
    struct same_uid *s = context;

    for (size_t i = 0; i < s->version_count; i++)
        if (s->versions[i] == position)
            return; /* folded meanwhile */
    s->pending |= !committed;
    if (s->version_count < COUNT_OF(s->versions))
        s->versions[s->version_count++] = position;
}

bool vault_same_uid(struct vault *v, struct span sop_uid, struct same_uid *out, struct error *err)
{
    struct same_uid same = { .found = false };
    struct error why = { .code = ERR_NONE };
    struct query *q;

    pending_prune(v->pending, live_views_folded(v->views)); /* before the views are asked: nothing falls between */
    q = views_reader_query(v->own_reader, 0, err);
    if (q == NULL)
        return false;
    same.version_count = query_versions(q, sop_uid, same.versions, COUNT_OF(same.versions), &why);
    if (why.code != ERR_NONE) {
        views_reader_failed(v->own_reader, &why);
        return error_set(err, why.code, "%s", why.text);
    }
    pending_find(v->pending, sop_uid, add_pending, &same);
    same.found = same.version_count > 0;
    same.first = same.versions[0];
    *out = same;
    return true;
}

/* ---- finding ---- */

struct vault_reader *vault_reader_new(struct vault *v, struct error *err)
{
    struct vault_reader *r = calloc(1, sizeof *r);

    if (r == NULL) {
        error_set(err, ERR_MEMORY, "reader");
        return NULL;
    }
    r->vault = v;
    r->reader = views_reader_new(v->views, err);
    if (r->reader != NULL)
        return r;
    free(r);
    return NULL;
}

void vault_reader_free(struct vault_reader *r)
{
    if (r == NULL)
        return;
    views_reader_free(r->reader);
    free(r);
}

/* The one query that asks the rules, not the views. */
static bool find_tls_key(struct vault *v, vault_row *row, void *context, struct error *err)
{
    struct writer w = writer_new(1024 * 1024);
    struct span key, certificate;
    bool ok;

    if (!rules_tls(v->rules, &key, &certificate))
        return error_set(err, ERR_NOT_FOUND, "no TLS key yet");
    field_put_bytes(&w, FIELD_TLS_KEY, key);
    field_put_bytes(&w, FIELD_TLS_CERTIFICATE, certificate);
    ok = writer_ok(&w, err, "TLS key");
    if (ok)
        (void)row(context, writer_span(&w));
    writer_done(&w);
    return ok;
}

bool vault_find(struct vault_reader *r, struct span request, vault_row *row, void *context, struct error *err)
{
    const uint64_t position = store_committed_size(r->vault->store);
    rules_query *asks_rules = rules_query_of(fields_text(request, FIELD_QUERY));
    struct error why = { .code = ERR_NONE };
    struct query *q;

    if (span_equal(fields_text(request, FIELD_QUERY), SPAN_LIT("tls-key")))
        return find_tls_key(r->vault, row, context, err);
    if (asks_rules != NULL)
        return asks_rules(r->vault->rules, r->vault->store, request, row, context, err);
    q = views_reader_query(r->reader, position, err);
    if (q == NULL)
        return false;
    if (query_run(q, request, rules_count(r->vault->rules) > 0, row, context, &why))
        return true;
    views_reader_failed(r->reader, &why);
    return error_set(err, why.code, "%s", why.text);
}

bool vault_dump(struct vault_reader *r, int fd, struct error *err)
{
    return views_reader_query(r->reader, store_committed_size(r->vault->store), err) != NULL
           && query_dump(views_reader_db(r->reader), fd, err);
}

int vault_event_fd(const struct vault *v)
{
    return live_views_event_fd(v->views);
}

void vault_news(struct vault *v, vault_row *news, void *context)
{
    live_views_news(v->views, news, context);
}

bool vault_rebuild(const char *dir, const struct vault_options *options, struct error *err)
{
    struct store *store = store_open(dir, &options->store, err);
    struct rules *rules = store != NULL ? rules_new() : NULL;
    struct live_views_options views;
    uint64_t again;
    bool ok = rules != NULL && rules_load(rules, store, options->store.log, err)
              && vault_reapply(rules, store, options->store.log, UINT64_MAX, &again, err);

    if (ok) {
        views = views_options(options, store, (uint32_t)rules_tombstones(rules));
        ok = live_views_rebuild(&views, err);
    }
    rules_free(rules);
    if (store != NULL)
        store_close(store);
    return ok;
}

/* ---- accounts ---- */

bool vault_account(struct vault *v, struct span user, struct account *out)
{
    return rules_account(v->rules, user, out);
}

size_t vault_account_count(const struct vault *v)
{
    return rules_count(v->rules);
}

size_t vault_accounts_with_role(struct vault *v, const char *role)
{
    struct account a;
    size_t count = 0;

    for (size_t i = 0; rules_account_at(v->rules, i, &a); i++)
        count += a.password_hash[0] != '\0' && strcmp(a.role, role) == 0;
    seal_wipe(&a, sizeof a);
    return count;
}

bool vault_tls(struct vault *v, struct span *key, struct span *certificate)
{
    return rules_tls(v->rules, key, certificate);
}

/* ---- being a witness ---- */

bool vault_witness_in_doubt(struct vault *v)
{
    return rules_witness_in_doubt(v->rules);
}

bool vault_witnessed(struct vault *v, struct span origin, uint64_t *size, uint8_t root[32])
{
    return rules_witnessed(v->rules, origin, size, root);
}

bool vault_witness(struct vault *v, struct span origin, uint64_t size, const uint8_t root[32], uint64_t now_us, void *cookie,
                   uint64_t *position, struct error *err)
{
    struct writer facts = writer_new((size_t)WITNESSED_MAX * 512);
    struct append a = { .kind = RECORD_RULE, .unit = SPAN_LIT("rules"), .received_us = now_us, .cookie = cookie };
    bool ok = !vault_witness_in_doubt(v) || error_set(err, ERR_BUSY, "what was seen of other logs is not known for sure");

    ok = ok && rules_put_witnessed(v->rules, origin, size, root, v->rules_first == NULL, &facts, err);

    a.facts = writer_span(&facts);
    ok = ok && vault_append(v, &a, position, err);
    writer_done(&facts);
    return ok;
}

void vault_keys_said(struct vault *v, struct keys_said *out)
{
    rules_keys(v->rules, out);
}
