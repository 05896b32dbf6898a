/*
 * Who is there: peers by AE title and address, senders by address, people by password, code or token.
 *
 * The only place where rights are given. Each refusal is an event.
 */
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/room/room.h"

#define PASSWORD_MIN 10
#define PASSWORD_MAX 256
#define USER_MAX 64
#define DISPLAY_NAME_MAX 128
#define HASH_SIZE 129 /* as struct account has it */

_Static_assert(HASH_SIZE >= crypto_pwhash_STRBYTES, "a hash of libsodium fits");

static const struct span nothing = { NULL, 0 };

static void refuse(struct room *room, struct session *s, uint32_t id, const char *event, const char *reason, struct span more)
{
    struct writer w = writer_new(512);
    struct error err = { 0 };

    if (stranger_event_record(room, event, s, "refused", reason, more))
        log_info(&room->log, "admit.refused", f_uint("session", s->number), f_str("address", s->address),
                 f_str("reason", reason));
    field_put_str(&w, FIELD_REASON, reason);
    (void)error_set(&err, ERR_REFUSED, "%s", reason);
    if (!session_reply(s, id, &err, writer_span(&w)))
        session_end(room, s);
    writer_done(&w);
}

static void accept_source(struct room *room, struct session *s, uint32_t id)
{
    struct writer w = writer_new(1024);

    s->rights.admitted = true;
    field_put_str(&w, FIELD_SOURCE, s->rights.source);
    field_put_str(&w, FIELD_ISSUER, s->rights.issuer);
    field_put_uint(&w, FIELD_MAY_STORE, s->rights.store);
    field_put_uint(&w, FIELD_MAY_QUERY, s->rights.query);
    field_put_uint(&w, FIELD_MAY_RETRIEVE, s->rights.retrieve);
    field_put_uint(&w, FIELD_KEEP_UNSUPPORTED, s->rights.keep_unsupported);
    field_put_str(&w, FIELD_ZONE, room->conf.timezone);
    if (!session_reply(s, id, NULL, writer_span(&w)))
        session_end(room, s);
    writer_done(&w);
}

static void admit_peer(struct room *room, struct session *s, const struct message *m)
{
    struct span calling = fields_text(m->fields, FIELD_CALLING_AE), called = fields_text(m->fields, FIELD_CALLED_AE);
    const struct conf_peer *peer = conf_peer_match(&room->conf, calling, span_str(s->address));
    struct writer more = writer_new(256);

    field_put_text(&more, FIELD_CALLING_AE, span_part(calling, 0, CONF_AE_SIZE - 1));
    field_put_text(&more, FIELD_CALLED_AE, span_part(called, 0, CONF_AE_SIZE - 1));
    if (peer == NULL) {
        refuse(room, s, m->id, "association.refused", "calling-ae", writer_span(&more));
    } else if (!conf_is_our_ae(&room->conf, called)) {
        refuse(room, s, m->id, "association.refused", "called-ae", writer_span(&more));
    } else {
        s->rights = (struct rights){ .store = peer->may_store, .query = peer->may_query, .retrieve = peer->may_retrieve };
        (void)snprintf(s->rights.source, sizeof s->rights.source, "%s", peer->name);
        (void)snprintf(s->rights.issuer, sizeof s->rights.issuer, "%s", peer->issuer);
        (void)snprintf(s->rights.actor, sizeof s->rights.actor, "%s", peer->ae);
        accept_source(room, s, m->id);
    }
    writer_done(&more);
}

static void admit_sender(struct room *room, struct session *s, const struct message *m)
{
    const struct conf_sender *sender = conf_sender_match(&room->conf, span_str(s->address));

    if (sender == NULL) {
        refuse(room, s, m->id, "connection.refused", "no sender has this address", nothing);
        return;
    }
    s->rights = (struct rights){ .store = true, .keep_unsupported = sender->keep_unsupported };
    (void)snprintf(s->rights.source, sizeof s->rights.source, "%s", sender->name);
    (void)snprintf(s->rights.issuer, sizeof s->rights.issuer, "%s", sender->issuer);
    (void)snprintf(s->rights.actor, sizeof s->rights.actor, "%s", sender->name);
    accept_source(room, s, m->id);
}

/* ---- people ---- */

struct sign_in {
    struct job job;
    struct awaited awaited; /* the first account's commit */
    struct room *room;
    struct session *session; /* held */
    uint32_t id;
    bool enrolling;
    bool right;
    char user[USER_MAX + 1];
    char display_name[DISPLAY_NAME_MAX + 1];
    char password[PASSWORD_MAX + 1];
    char hash[HASH_SIZE]; /* of the account; or, enrolling, made here */
};

/* 64 MiB for a tenth of a second: one at a time, in the slow queue. */
static void hash_password(struct job *job, struct vault_reader *reader)
{
    struct sign_in *j = (struct sign_in *)job;

    (void)reader;
    if (j->enrolling)
        j->right = crypto_pwhash_str(j->hash, j->password, strlen(j->password), 3, (size_t)64 << 20) == 0;
    else
        j->right = crypto_pwhash_str_verify(j->hash, j->password, strlen(j->password)) == 0;
    sodium_memzero(j->password, sizeof j->password);
}

static bool add_first_account(struct room *room, struct sign_in *j, struct error *err)
{
    struct writer w = writer_new(2048);
    struct append a = { .kind = RECORD_RULE, .unit = SPAN_LIT("rules"), .received_us = clock_wall_us(room->clock),
                        .cookie = &j->awaited };
    uint64_t position;
    bool ok;

    field_put_str(&w, FIELD_FACT, "account-added");
    field_put_str(&w, FIELD_ACTOR, j->user);
    field_put_str(&w, FIELD_USER, j->user);
    field_put_str(&w, FIELD_DISPLAY_NAME, j->display_name);
    field_put_str(&w, FIELD_PASSWORD_HASH, j->hash);
    field_put_str(&w, FIELD_ROLE, "admin");
    a.facts = writer_span(&w);
    ok = writer_ok(&w, err, "account") && vault_append(room->vault, &a, &position, err);
    store_kick(room->store);
    writer_done(&w);
    return ok;
}

static void let_in(struct room *room, struct session *s, uint32_t id, const char *user, const char *display_name, const char *role)
{
    const struct token *t = accounts_sign_in(&room->accounts, user, clock_monotonic_ms(room->clock));
    struct writer w = writer_new(1024);

    (void)snprintf(s->rights.actor, sizeof s->rights.actor, "%s", user);
    event_record(room, "signed-in", s, "success", NULL, nothing);
    field_put_bytes(&w, FIELD_TOKEN, span_of(t->bytes, sizeof t->bytes));
    field_put_str(&w, FIELD_USER, user);
    field_put_str(&w, FIELD_DISPLAY_NAME, display_name);
    field_put_str(&w, FIELD_ROLE, role);
    if (!session_reply(s, id, NULL, writer_span(&w)))
        session_end(room, s);
    writer_done(&w);
}

static void sign_in_done(struct room *room, struct sign_in *j)
{
    session_release(room, j->session);
    sodium_memzero(j, sizeof *j);
    free(j);
}

/* The first account is there when its commit is: only then does it sign in. */
static void enrolled(struct room *room, struct awaited *self, const struct completion *c)
{
    struct sign_in *j = (struct sign_in *)((char *)self - offsetof(struct sign_in, awaited));
    struct session *s = j->session;
    struct error err = { 0 };

    if (c->committed) {
        event_record(room, "enrolled", s, "success", NULL, nothing);
        let_in(room, s, j->id, j->user, j->display_name, "admin");
    } else {
        accounts_offer_enrolment(&room->accounts);
        log_info(&room->log, "enrolment.offered", f_str("code", room->accounts.enrolment_code));
        (void)error_set(&err, ERR_IO, "the account could not be kept");
        if (!session_reply(s, j->id, &err, nothing))
            session_end(room, s);
    }
    sign_in_done(room, j);
}

static void enrol(struct room *room, struct sign_in *j)
{
    struct error err = { 0 };

    if (!j->right || room->accounts.enrolment_code[0] == '\0') {
        refuse(room, j->session, j->id, "enrolment.refused", "the enrolment code is used up", nothing);
    } else if (add_first_account(room, j, &err)) {
        accounts_enrolled(&room->accounts);
        return; /* enrolled() answers */
    } else if (!session_reply(j->session, j->id, &err, nothing)) {
        session_end(room, j->session);
    }
    sign_in_done(room, j);
}

static void signed_in(struct job *job, void *context)
{
    struct sign_in *j = (struct sign_in *)job;
    struct room *room = context;
    struct session *s = j->session;
    struct account account;

    (void)snprintf(s->rights.actor, sizeof s->rights.actor, "%s", j->user);
    if (j->enrolling) {
        enrol(room, j);
        return;
    }
    accounts_guessed(&room->accounts, s->address, j->user, j->right, clock_monotonic_ms(room->clock));
    if (j->right && vault_account(room->vault, span_str(j->user), &account))
        let_in(room, s, j->id, j->user, account.display_name, account.role);
    else
        refuse(room, s, j->id, "sign-in.refused", "wrong user or password", nothing);
    sign_in_done(room, j);
}

static void check_password(struct room *room, struct session *s, const struct message *m, bool enrolling)
{
    struct sign_in *j = calloc(1, sizeof *j);
    struct account account;
    struct span user = fields_text(m->fields, FIELD_USER);
    struct span name = fields_text(m->fields, FIELD_DISPLAY_NAME);
    struct span password = fields_text(m->fields, FIELD_PASSWORD);

    if (j == NULL)
        return; /* the web gate's wait for an answer ends it */
    *j = (struct sign_in){ .job = { .run = hash_password, .done = signed_in }, .awaited = { enrolled }, .room = room, .session = s, .id = m->id, .enrolling = enrolling };
    if (user.len == 0 || !span_to_str(user, j->user, sizeof j->user)
        || !span_to_str(name.len > 0 ? name : user, j->display_name, sizeof j->display_name)
        || !span_to_str(password, j->password, sizeof j->password) || (enrolling && password.len < PASSWORD_MIN)) {
        free(j);
        refuse(room, s, m->id, "sign-in.refused",
               enrolling ? "a user name and a password of 10 characters or more" : "wrong user or password", nothing);
        return;
    }
    if (!enrolling && vault_account(room->vault, user, &account) && account.password_hash[0] != '\0')
        (void)snprintf(j->hash, sizeof j->hash, "%s", account.password_hash);
    else if (!enrolling) /* as slow for a user that does not exist */
        (void)snprintf(j->hash, sizeof j->hash, "%s", room->no_password);
    session_hold(room, s);
    if (!jobs_add(room->slow, &j->job)) {
        struct error err = { 0 };

        (void)error_set(&err, ERR_BUSY, "too many people sign in at once");
        if (!session_reply(s, m->id, &err, nothing))
            session_end(room, s);
        session_release(room, s);
        free(j);
    }
}

static void wait_before_guessing(struct room *room, struct session *s, uint32_t id, uint64_t wait_ms)
{
    struct writer w = writer_new(256);
    struct error err = { 0 };

    (void)error_set(&err, ERR_BUSY, "too many wrong tries: wait %llu s", (unsigned long long)(wait_ms + 999) / 1000);
    field_put_uint(&w, FIELD_AFTER, (wait_ms + 999) / 1000);
    if (!session_reply(s, id, &err, writer_span(&w)))
        session_end(room, s);
    writer_done(&w);
}

static void admit_token(struct room *room, struct session *s, const struct message *m, struct span bytes)
{
    const struct token *t = accounts_find(&room->accounts, bytes, clock_monotonic_ms(room->clock));
    struct account account;
    struct writer w = writer_new(1024);
    struct error err = { 0 };

    if (t == NULL || !vault_account(room->vault, span_str(t->user), &account) || account.password_hash[0] == '\0') {
        (void)error_set(&err, ERR_REFUSED, "not signed in");
    } else {
        field_put_str(&w, FIELD_USER, account.user);
        field_put_str(&w, FIELD_DISPLAY_NAME, account.display_name);
        field_put_str(&w, FIELD_ROLE, account.role);
    }
    field_put_uint(&w, FIELD_CERTAIN, vault_account_count(room->vault) > 0);
    if (!session_reply(s, m->id, &err, writer_span(&w)))
        session_end(room, s);
    writer_done(&w);
}

static void admit_person(struct room *room, struct session *s, const struct message *m)
{
    char user[USER_MAX + 1];
    struct span bytes, code;
    uint64_t wait;

    s->rights = (struct rights){ .admitted = true };
    if (fields_find(m->fields, FIELD_TOKEN, &bytes)) {
        admit_token(room, s, m, bytes);
        return;
    }
    if (!span_to_str(fields_text(m->fields, FIELD_USER), user, sizeof user))
        user[0] = '\0';
    if (fields_find(m->fields, FIELD_ENROLMENT_CODE, &code)) {
        wait = accounts_wait_ms(&room->accounts, s->address, "", clock_monotonic_ms(room->clock));
        if (wait > 0) {
            wait_before_guessing(room, s, m->id, wait);
        } else if (!accounts_code_is(&room->accounts, code)) {
            accounts_guessed(&room->accounts, s->address, "", false, clock_monotonic_ms(room->clock));
            refuse(room, s, m->id, "enrolment.refused", "not the enrolment code", nothing);
        } else {
            check_password(room, s, m, true);
        }
        return;
    }
    wait = accounts_wait_ms(&room->accounts, s->address, user, clock_monotonic_ms(room->clock));
    if (wait > 0)
        wait_before_guessing(room, s, m->id, wait);
    else
        check_password(room, s, m, false);
}

/* A second machine, by the certificate that TLS has proven (docs/twin.md). */
static void admit_twin(struct room *room, struct session *s, const struct message *m)
{
    struct span certificate = fields_text(m->fields, FIELD_CERTIFICATE);
    const struct conf_twin *twin = follow_admit(room, s, certificate);
    struct writer more = writer_new(256);

    field_put_some(&more, FIELD_CERTIFICATE, span_part(certificate, 0, CONF_FINGERPRINT_SIZE - 1));
    if (twin == NULL) {
        refuse(room, s, m->id, "twin.not-admitted", "no [twin] has this certificate", writer_span(&more));
    } else {
        (void)snprintf(s->rights.source, sizeof s->rights.source, "%s", twin->name);
        (void)snprintf(s->rights.actor, sizeof s->rights.actor, "%s", twin->name);
        event_record(room, "twin.admitted", s, "success", NULL, writer_span(&more));
        accept_source(room, s, m->id);
    }
    writer_done(&more);
}

void admit(struct room *room, struct session *s, const struct message *m)
{
    switch (s->kind) {
    case PROCESS_DICOM_ASSOCIATION:
        admit_peer(room, s, m);
        return;
    case PROCESS_HL7_CONNECTION:
        admit_sender(room, s, m);
        return;
    case PROCESS_WEB_REQUEST:
        admit_person(room, s, m);
        return;
    case PROCESS_FOLLOWER:
        admit_twin(room, s, m);
        return;
    default: /* the verb table lets nobody else come here */
        abort();
    }
}
