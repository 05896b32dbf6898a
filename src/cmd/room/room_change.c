/* Changes: who asks, who signs, what is appended, what is answered. See change.h. */
#include "cmd/room/change.h"

#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static const struct span nothing = { NULL, 0 };

/* docs/channel.md, "Changing". */
static const struct change_rule change_rules[] = {
    { "account-added", SIGNER_ADMIN | SIGNER_MACHINE, "account.added", account_add },
    { "account-changed", SIGNER_ADMIN | SIGNER_MACHINE, "account.changed", account_change },
    { "account-disabled", SIGNER_ADMIN | SIGNER_MACHINE, "account.disabled", account_disable },
    { "erasure-requested", SIGNER_ADMIN | SIGNER_DPO, "erasure.requested", erasure_request },
    { "erasure-approved", SIGNER_ADMIN | SIGNER_DPO, "erasure.approved", erasure_approve },
    { "erasure-withdrawn", SIGNER_ADMIN | SIGNER_DPO, "erasure.withdrawn", erasure_withdraw },
    { "hold-set", SIGNER_ADMIN | SIGNER_DPO | SIGNER_MACHINE, "hold.set", hold_set },
    { "copy-added", SIGNER_ADMIN | SIGNER_DPO | SIGNER_MACHINE, "copy.added", copy_add },
    { "copy-applied", SIGNER_ADMIN | SIGNER_DPO | SIGNER_MACHINE, "copy.applied", copy_applied },
    { "copy-removed", SIGNER_ADMIN | SIGNER_DPO | SIGNER_MACHINE, "copy.removed", copy_remove },
    { "hold-lifted", SIGNER_ADMIN | SIGNER_DPO, "hold.lifted", hold_lift },
    { "retention-asked", SIGNER_ADMIN | SIGNER_DPO, "retention.asked", retention_ask },
    { "retention-set", SIGNER_ADMIN | SIGNER_DPO, "retention.set", retention_approve },
    { "retention-planned", SIGNER_ADMIN | SIGNER_DPO | SIGNER_MACHINE, "retention.planned", retention_plan },
    { "retention-run", SIGNER_ADMIN | SIGNER_DPO | SIGNER_MACHINE, "retention.run", retention_run },
};

static const struct change_rule *rule_of(struct span fact)
{
    for (size_t i = 0; i < COUNT_OF(change_rules); i++)
        if (span_equal(fact, span_str(change_rules[i].fact)))
            return &change_rules[i];
    return NULL;
}

static void change_free(struct change *c)
{
    if (c->request.ptr != NULL)
        sodium_memzero(c->request.ptr, c->request.len);
    writer_done(&c->request);
    writer_done(&c->reply);
    if (c->more_done != NULL)
        c->more_done(c->more);
    sodium_memzero(c, sizeof *c);
    free(c);
}

void change_answer(struct room *room, struct change *c)
{
    struct session *s = c->session;
    struct writer more = writer_new(1024);
    bool done = c->err.code == ERR_NONE;
    char session_actor[sizeof s->rights.actor];

    field_put_some(&more, FIELD_DETAIL, span_str(c->detail));
    if (s == NULL) {
        event_record(room, c->rule->event, NULL, done ? "success" : "refused", done ? NULL : c->err.text, writer_span(&more));
        writer_done(&more);
        change_free(c);
        return;
    }
    memcpy(session_actor, s->rights.actor, sizeof session_actor);
    (void)snprintf(s->rights.actor, sizeof s->rights.actor, "%s", c->actor);
    event_record(room, c->rule->event, s, done ? "success" : "refused", done ? NULL : c->err.text, writer_span(&more));
    memcpy(s->rights.actor, session_actor, sizeof session_actor);
    writer_done(&more);
    if (!session_reply(s, c->id, done ? NULL : &c->err, done ? writer_span(&c->reply) : nothing))
        session_end(room, s);
    session_release(room, s);
    change_free(c);
}

void change_refuse(struct room *room, struct change *c, enum error_code code, const char *why)
{
    (void)error_set(&c->err, code, "%s", why);
    change_answer(room, c);
}

/* ---- appending ---- */

static void committed(struct room *room, struct awaited *self, const struct completion *done)
{
    struct change *c = (struct change *)((char *)self - offsetof(struct change, awaited));

    if (!done->committed)
        change_refuse(room, c, ERR_IO, "it could not be kept");
    else
        c->next(room, c);
}

void change_append(struct room *room, struct change *c, const char *fact, struct span facts, change_step *next)
{
    struct writer w = writer_new(FACTS_OF_CHANGE_MAX);
    struct append a = { .kind = RECORD_RULE, .unit = SPAN_LIT("rules"), .received_us = clock_wall_us(room->clock),
                        .cookie = &c->awaited };

    field_put_str(&w, FIELD_FACT, fact);
    field_put_str(&w, FIELD_ACTOR, c->actor);
    write_span(&w, facts);
    a.facts = writer_span(&w);
    c->awaited.committed = committed;
    c->next = next;
    if (!writer_ok(&w, &c->err, fact) || !vault_append(room->vault, &a, &c->position, &c->err))
        change_answer(room, c);
    else
        store_kick(room->store);
    if (w.ptr != NULL)
        sodium_memzero(w.ptr, w.len); /* a password's hash may be in it */
    writer_done(&w);
}

/* ---- jobs ---- */

static void job_done(struct job *job, void *context)
{
    struct change *c = (struct change *)job;
    struct room *room = context;

    if (!c->ran)
        change_refuse(room, c, ERR_CLOSED, "the vault stops");
    else
        c->next(room, c);
}

void change_run(struct room *room, struct change *c, struct jobs *jobs,
                void (*run)(struct job *, struct vault_reader *), change_step *next)
{
    c->job = (struct job){ .run = run, .done = job_done };
    c->next = next;
    c->ran = false;
    if (!jobs_add(jobs, &c->job))
        change_refuse(room, c, ERR_BUSY, "too much is asked at once");
}

/* ---- who signs ---- */

/* 64 MiB for a tenth of a second each: in the slow queue. */
static void hash_passwords(struct job *job, struct vault_reader *reader)
{
    struct change *c = (struct change *)job;
    char password[CHANGE_PASSWORD_MAX + 1];

    (void)reader;
    c->ran = true;
    c->signature_right = true;
    if (c->acting_hash[0] != '\0')
        c->signature_right = span_to_str(change_text(c, FIELD_ACTING_PASSWORD), password, sizeof password)
                             && crypto_pwhash_str_verify(c->acting_hash, password, strlen(password)) == 0;
    if (c->signature_right && span_to_str(change_text(c, FIELD_PASSWORD), password, sizeof password)
        && password[0] != '\0' && crypto_pwhash_str(c->new_hash, password, strlen(password), 3, (size_t)64 << 20) != 0)
        (void)error_set(&c->err, ERR_MEMORY, "no memory to hash a password");
    sodium_memzero(password, sizeof password);
}

static unsigned signer_of(const char *role)
{
    return strcmp(role, ROLE_ADMIN) == 0 ? SIGNER_ADMIN : strcmp(role, ROLE_DPO) == 0 ? SIGNER_DPO : 0;
}

static void hashed(struct room *room, struct change *c)
{
    struct account account;
    uint64_t now = clock_monotonic_ms(room->clock);

    if (c->acting_hash[0] != '\0') {
        accounts_guessed(&room->accounts, c->session->address, c->actor, c->signature_right, now);
        if (!c->signature_right || !vault_account(room->vault, span_str(c->actor), &account)) {
            change_refuse(room, c, ERR_REFUSED, "wrong user or password");
            return;
        }
        if ((c->rule->signers & signer_of(account.role)) == 0) {
            change_refuse(room, c, ERR_REFUSED, "this account may not do that");
            return;
        }
    }
    if (c->err.code != ERR_NONE)
        change_answer(room, c);
    else
        c->rule->begin(room, c);
}

/* Names the signer. False with c->err where nobody who may has asked. */
static bool find_signer(struct room *room, struct change *c)
{
    struct span acting = change_text(c, FIELD_ACTING_USER);
    struct account account;

    if (acting.len > 0) {
        uint64_t wait;

        if (!span_to_str(acting, c->actor, sizeof c->actor))
            return error_set(&c->err, ERR_REFUSED, "wrong user or password");
        wait = accounts_wait_ms(&room->accounts, c->session->address, c->actor, clock_monotonic_ms(room->clock));
        if (wait > 0)
            return error_set(&c->err, ERR_BUSY, "too many wrong tries: wait %llu s",
                             (unsigned long long)(wait + 999) / 1000);
        (void)snprintf(c->acting_hash, sizeof c->acting_hash, "%s",
                       vault_account(room->vault, acting, &account) && account.password_hash[0] != '\0'
                           ? account.password_hash
                           : room->no_password); /* as slow for who does not exist */
        return true;
    }
    (void)snprintf(c->actor, sizeof c->actor, "%.64s", c->session->rights.actor);
    if (c->session->kind == PROCESS_LOCAL)
        return (c->rule->signers & SIGNER_MACHINE) != 0
               || error_set(&c->err, ERR_REFUSED, "somebody with an account has to sign this");
    return (c->rule->signers & signer_of(c->session->rights.role)) != 0
           || error_set(&c->err, ERR_REFUSED, "this account may not do that");
}

struct change *change_own(struct room *room, const char *fact, const char *actor)
{
    struct change *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    *c = (struct change){ .room = room, .rule = rule_of(span_str(fact)), .request = writer_new(CHANGE_REQUEST_BYTES),
                          .reply = writer_new(CHANNEL_FIELDS_MAX) };
    (void)snprintf(c->actor, sizeof c->actor, "%s", actor);
    return c;
}

void change(struct room *room, struct session *s, const struct message *m)
{
    const struct change_rule *rule = rule_of(fields_text(m->fields, FIELD_FACT));
    bool signed_in = s->kind == PROCESS_LOCAL || ask_person(room, s, m->fields);
    struct change *c = signed_in && rule != NULL ? calloc(1, sizeof *c) : NULL;
    struct error err = { 0 };

    if (c == NULL) {
        (void)error_set(&err, !signed_in ? ERR_REFUSED : rule == NULL ? ERR_NOT_FOUND : ERR_MEMORY, "%s",
                        !signed_in ? "not signed in" : "no such change");
        if (!session_reply(s, m->id, &err, nothing))
            session_end(room, s);
        return;
    }
    *c = (struct change){ .room = room, .session = s, .id = m->id, .rule = rule,
                          .request = writer_new(CHANGE_REQUEST_BYTES), .reply = writer_new(CHANNEL_FIELDS_MAX) };
    write_span(&c->request, m->fields);
    session_hold(room, s);
    if (c->request.failed)
        change_refuse(room, c, ERR_LIMIT, "the request is too long");
    else if (!find_signer(room, c))
        change_answer(room, c);
    else if (c->acting_hash[0] == '\0' && change_text(c, FIELD_PASSWORD).len == 0)
        c->rule->begin(room, c);
    else
        change_run(room, c, room->slow, hash_passwords, hashed);
}
