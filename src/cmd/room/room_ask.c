/*
 * Reading, telling, watching: FIND, GET, TELL, WATCH.
 *
 * Each FIND names a query of a table: who may run it and which event it leaves. The event is appended before the
 * query runs; the query itself runs in a job with a reader of its own.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/room/anchors.h"
#include "cmd/room/evidence.h"
#include "cmd/room/room.h"
#include "vault/anchor_query.h"

static const struct span nothing = { NULL, 0 };

/* Longest request a job keeps. */
#define REQUEST_MAX ((size_t)16 * 1024)

enum asker {
    ASKER_WEB = 1,    /* the gate itself, before anybody signed in */
    ASKER_PERSON = 2, /* a request with a valid token of somebody who cares for patients */
    ASKER_LOCAL = 4,
    ASKER_WITNESS = 64, /* the witness door itself */
    ASKER_FOLLOW = 128, /* the door for twins */
    ASKER_ADMIN = 8,  /* … of role admin, who is ASKER_PERSON too */
    ASKER_DPO = 16,   /* … of role dpo, who sees no patient */
};

static void run_checkpoint(struct job *job, struct vault_reader *reader);
static void run_verify(struct job *job, struct vault_reader *reader);
static void run_evidence(struct job *job, struct vault_reader *reader);
static void run_repair(struct job *job, struct vault_reader *reader);

static const struct query_rule {
    const char *query;
    unsigned askers;
    const char *event; /* NULL: leaves none (lists of numbers, or part of something opened) */
    bool alone;        /* long: runs in a queue of its own */
    void (*run)(struct job *job, struct vault_reader *reader); /* NULL: a query of the views */
} query_rules[] = {
    { "patients", ASKER_PERSON, "patients.searched", false },
    { "patient", ASKER_PERSON, "patient.opened", false },
    { "observations", ASKER_PERSON, "results.opened", false },
    { "reports", ASKER_PERSON, NULL, false },
    { "studies", ASKER_PERSON, NULL, false },
    { "series", ASKER_PERSON, "study.opened", false },
    { "instances", ASKER_PERSON, "series.opened", false },
    { "instance", ASKER_PERSON, NULL, false }, /* the GET that follows is recorded */
    { "list", ASKER_LOCAL, "records.listed", false },
    { "study-objects", ASKER_LOCAL, "study.exported", false },
    { "sources", ASKER_PERSON | ASKER_DPO | ASKER_LOCAL, NULL, false },
    { "attention", ASKER_PERSON | ASKER_LOCAL, NULL, false },
    { "journal", ASKER_PERSON | ASKER_DPO | ASKER_LOCAL, "journal.read", false },
    { "status", ASKER_WEB | ASKER_PERSON | ASKER_DPO | ASKER_LOCAL, NULL, false },
    { "accounts", ASKER_ADMIN | ASKER_DPO | ASKER_LOCAL, NULL, false },
    { "erasures", ASKER_ADMIN | ASKER_DPO | ASKER_LOCAL, NULL, false },
    { "erasure-units", ASKER_ADMIN | ASKER_LOCAL, "erasure.read", false },
    { "copies", ASKER_ADMIN | ASKER_DPO | ASKER_LOCAL, NULL, false },
    { "holds", ASKER_ADMIN | ASKER_DPO | ASKER_LOCAL, NULL, false },
    { "retention", ASKER_ADMIN | ASKER_DPO | ASKER_LOCAL, NULL, false },
    { "tls-key", ASKER_WEB | ASKER_WITNESS | ASKER_FOLLOW, NULL, false },
    { "anchors", ASKER_LOCAL, NULL, false },
    { "checkpoint", ASKER_LOCAL, NULL, false, run_checkpoint },
    { "verify", ASKER_LOCAL, "verified", true, run_verify },
    { "repair", ASKER_LOCAL, "scrub.asked", true, run_repair },
    { "evidence", ASKER_LOCAL, "evidence.made", true, run_evidence },
    { "evidence-signature", ASKER_LOCAL, "evidence.signed", true, run_evidence },
};

struct ask {
    struct job job;
    struct room *room;
    struct session *session; /* held */
    uint32_t id;
    struct writer request;
    struct writer more; /* fields that are added to each row: of a status */
    struct error err;
    uint64_t rows;
    uint64_t position, offset; /* GET */
    size_t length;
    bool slow_reader;
};

bool ask_person(struct room *room, struct session *s, struct span request)
{
    const struct token *t =
        accounts_find(&room->accounts, fields_text(request, FIELD_TOKEN), clock_monotonic_ms(room->clock));
    struct account account;

    if (t == NULL || !vault_account(room->vault, span_str(t->user), &account) || account.password_hash[0] == '\0')
        return false;
    (void)snprintf(s->rights.actor, sizeof s->rights.actor, "%s", account.user);
    (void)snprintf(s->rights.role, sizeof s->rights.role, "%s", account.role);
    return true;
}

/* Who asks, by the session's kind and (a person) the token of this very call. 0: nobody. */
static unsigned asker_of(struct room *room, struct session *s, struct span request)
{
    switch (s->kind) {
    case PROCESS_WEB:
        return ASKER_WEB;
    case PROCESS_FOLLOW_LISTENER:
        return ASKER_FOLLOW;
    case PROCESS_LOCAL:
        return ASKER_LOCAL;
    case PROCESS_WITNESS:
        return ASKER_WITNESS;
    case PROCESS_WEB_REQUEST:
        if (!ask_person(room, s, request))
            return 0;
        if (strcmp(s->rights.role, ROLE_DPO) == 0)
            return ASKER_DPO;
        return strcmp(s->rights.role, ROLE_ADMIN) == 0 ? ASKER_PERSON | ASKER_ADMIN : ASKER_PERSON;
    default:
        return 0;
    }
}

static void reply_or_end(struct room *room, struct session *s, uint32_t id, const struct error *err, struct span more)
{
    if (!session_reply(s, id, err, more))
        session_end(room, s);
}

static void refuse(struct room *room, struct session *s, uint32_t id, enum error_code code, const char *why)
{
    struct error err = { 0 };

    (void)error_set(&err, code, "%s", why);
    reply_or_end(room, s, id, &err, nothing);
}

static struct ask *ask_new(struct room *room, struct session *s, const struct message *m)
{
    struct ask *a = calloc(1, sizeof *a);

    if (a == NULL)
        return NULL;
    *a = (struct ask){ .room = room, .session = s, .id = m->id, .request = writer_new(REQUEST_MAX), .more = writer_new(REQUEST_MAX) };
    write_span(&a->request, m->fields);
    if (!a->request.failed)
        return a;
    writer_done(&a->request);
    free(a);
    return NULL;
}

static void ask_done(struct job *job, void *context)
{
    struct ask *a = (struct ask *)job;
    struct room *room = context;
    struct writer more = writer_new(64);

    field_put_uint(&more, FIELD_COUNT, a->rows);
    if (a->length > 0 && a->err.code == ERR_NONE)
        field_put_uint(&more, FIELD_LENGTH, a->length);
    if (a->slow_reader)
        session_end(room, a->session);
    else
        reply_or_end(room, a->session, a->id, &a->err, writer_span(&more));
    session_release(room, a->session);
    sodium_memzero(a->request.ptr, a->request.len); /* it holds a token */
    writer_done(&more);
    writer_done(&a->request);
    writer_done(&a->more);
    free(a);
}

static bool row_out(void *context, struct span row)
{
    struct ask *a = context;
    struct writer both = writer_new(CHANNEL_FIELDS_MAX);

    a->rows++;
    if (a->more.len > 0) {
        write_span(&both, row);
        write_span(&both, writer_span(&a->more));
        row = both.failed ? row : writer_span(&both);
    }
    a->slow_reader = !session_row_out(a->session, a->id, row);
    writer_done(&both);
    return !a->slow_reader;
}

static void run_find(struct job *job, struct vault_reader *reader)
{
    struct ask *a = (struct ask *)job;

    (void)vault_find(reader, writer_span(&a->request), row_out, a, &a->err);
    a->slow_reader = a->slow_reader || !session_has_room(a->session);
}

/* Answered by the store's ledger, not by the views. */
static void run_checkpoint(struct job *job, struct vault_reader *reader)
{
    struct ask *a = (struct ask *)job;

    (void)reader;
    (void)anchor_query(a->room->store, writer_span(&a->request), row_out, a, &a->err);
    a->slow_reader = a->slow_reader || !session_has_room(a->session);
}

static void finding_out(void *context, const char *finding)
{
    struct ask *a = context;
    struct writer w = writer_new(4096);

    field_put_str(&w, FIELD_DETAIL, finding);
    if (!a->slow_reader)
        a->slow_reader = !session_row_out(a->session, a->id, writer_span(&w));
    writer_done(&w);
}

static void run_verify(struct job *job, struct vault_reader *reader)
{
    struct ask *a = (struct ask *)job;
    struct store_verified done;

    (void)reader;
    if (store_verify_counted(a->room->store, finding_out, a, &done, &a->err)) {
        struct writer w = writer_new(64);

        a->rows = done.findings;
        field_put_uint(&w, FIELD_COUNT, done.erased);
        if (!a->slow_reader)
            a->slow_reader = !session_row_out(a->session, a->id, writer_span(&w));
        writer_done(&w);
    }
    a->slow_reader = a->slow_reader || !session_has_room(a->session);
}

static void run_evidence(struct job *job, struct vault_reader *reader)
{
    struct ask *a = (struct ask *)job;

    (void)evidence_find(a->room->store, reader, writer_span(&a->request), row_out, a, &a->err);
    a->slow_reader = a->slow_reader || !session_has_room(a->session);
}

/* A row for each sentence, the last one with the figures. */
static void run_repair(struct job *job, struct vault_reader *reader)
{
    struct ask *a = (struct ask *)job;
    struct store_repair done;
    struct writer w = writer_new(256);

    (void)reader;
    if (store_repair(a->room->store, NULL, finding_out, a, &done, &a->err)) {
        field_put_uint(&w, FIELD_REPAIRED_SECTORS, done.sectors);
        field_put_uint(&w, FIELD_SEALS_MADE, done.seals);
        field_put_uint(&w, FIELD_LOST_SECTORS, done.lost);
        if (!a->slow_reader)
            a->slow_reader = !session_row_out(a->session, a->id, writer_span(&w));
    }
    a->slow_reader = a->slow_reader || !session_has_room(a->session);
    writer_done(&w);
}

static void queue(struct room *room, struct ask *a, struct jobs *jobs)
{
    session_hold(room, a->session);
    if (jobs_add(jobs, &a->job))
        return;
    (void)error_set(&a->err, ERR_BUSY, "too many requests wait");
    ask_done(&a->job, room);
}

static void answer_tls_key(struct room *room, struct session *s, uint32_t id)
{
    struct writer row = writer_new(CHANNEL_MESSAGE_MAX);
    struct span key, certificate;

    if (!vault_tls(room->vault, &key, &certificate)) {
        refuse(room, s, id, ERR_NOT_FOUND, "no TLS key");
    } else {
        field_put_bytes(&row, FIELD_TLS_KEY, key);
        field_put_bytes(&row, FIELD_TLS_CERTIFICATE, certificate);
        if (channel_try_send(&s->channel, VERB_ROW, id, writer_span(&row), NULL, 0, NULL))
            reply_or_end(room, s, id, NULL, nothing);
        else
            session_end(room, s);
        sodium_memzero(row.ptr, row.len);
    }
    writer_done(&row);
}

static const struct query_rule *query_rule(struct span query, unsigned asker)
{
    for (size_t i = 0; i < COUNT_OF(query_rules); i++)
        if (span_equal(query, span_str(query_rules[i].query)) && (query_rules[i].askers & asker) != 0)
            return &query_rules[i];
    return NULL;
}

/*
 * What was opened goes into the event by its key, what was searched only by what sort of thing it was: an event outlives
 * the patient's erasure (docs/erasure.md, "What stays"), so it holds no name, no identifier and no date of birth.
 */
static void record_find(struct room *room, const struct session *s, const struct query_rule *rule, struct span request)
{
    static const enum field kept[] = { FIELD_PATIENT_KEY, FIELD_STUDY_UID,    FIELD_SERIES_UID,    FIELD_EVIDENCE,
                                       FIELD_FORM,        FIELD_POSITION,     FIELD_PERIOD_FROM,   FIELD_PERIOD_UNTIL,
                                       FIELD_FROM_POSITION, FIELD_UNTIL_POSITION, FIELD_DIGEST };
    static const enum field searched[] = { FIELD_BIRTH_DATE, FIELD_PATIENT_NAME, FIELD_PATIENT_ID };
    struct writer more = writer_new(8192);

    if (rule->event == NULL || fields_uint(request, FIELD_AFTER, 0) != 0)
        return; /* further pages of what was recorded with the first */
    for (size_t i = 0; i < COUNT_OF(kept); i++)
        field_put_some(&more, kept[i], fields_text(request, kept[i]));
    for (size_t i = 0; i < COUNT_OF(searched); i++)
        if (fields_text(request, searched[i]).len > 0)
            field_put_str(&more, FIELD_DETAIL, field_name(searched[i]));
    event_record(room, rule->event, s, "success", NULL, writer_span(&more));
    writer_done(&more);
}

void ask_find(struct room *room, struct session *s, const struct message *m)
{
    struct span query = fields_text(m->fields, FIELD_QUERY);
    unsigned asker = asker_of(room, s, m->fields);
    const struct query_rule *rule = query_rule(query, asker);
    struct ask *a;

    if (asker == 0) {
        refuse(room, s, m->id, ERR_REFUSED, "not signed in");
        return;
    }
    if (rule == NULL) {
        event_record(room, "query.refused", s, "refused", "no such query for this asker", nothing);
        refuse(room, s, m->id, ERR_NOT_FOUND, "no such query");
        return;
    }
    if (strcmp(rule->query, "tls-key") == 0) {
        answer_tls_key(room, s, m->id);
        return;
    }
    if (strcmp(rule->query, "anchors") == 0) {
        anchors_find(room, s, m->id);
        return;
    }
    record_find(room, s, rule, m->fields);
    a = ask_new(room, s, m);
    if (a == NULL) {
        refuse(room, s, m->id, ERR_LIMIT, "request too long");
        return;
    }
    if (strcmp(rule->query, "status") == 0)
        follow_status(room, &a->more);
    a->job = (struct job){ .run = rule->run != NULL ? rule->run : run_find, .done = ask_done };
    queue(room, a, rule->run == run_evidence ? room->proving : rule->alone ? room->longest : room->quick);
}

/* An entry or body as stored, for an evidence pack: ciphertext, so nothing is opened and nothing recorded. */
static void run_get_stored(struct job *job, struct vault_reader *reader)
{
    struct ask *a = (struct ask *)job;
    bool body = span_equal(fields_text(writer_span(&a->request), FIELD_FORM), SPAN_LIT("stored-body"));
    size_t room = a->length;

    (void)reader;
    a->length = 0;
    (void)evidence_stored(a->room->store, body, a->position, a->offset, a->session->buffer.ptr, room, &a->length, &a->err);
}

static void run_get(struct job *job, struct vault_reader *reader)
{
    struct ask *a = (struct ask *)job;

    (void)reader;
    (void)store_read_body(a->room->store, a->position, a->offset, a->session->buffer.ptr, a->length, &a->err);
}

/* One event per reader and record, not one per frame: what was recorded lately is remembered. */
static void record_get(struct room *room, const struct session *s, uint64_t position)
{
    struct writer more;
    uint64_t mark = position * 2654435761u;

    for (const char *c = s->rights.actor; *c != '\0'; c++)
        mark = (mark ^ (uint8_t)*c) * 1099511628211u;
    mark |= 1; /* 0 is an empty place */
    if (room->recorded[mark % RECORDED_MAX] == mark)
        return;
    room->recorded[mark % RECORDED_MAX] = mark;
    more = writer_new(64);
    field_put_uint(&more, FIELD_POSITION, position);
    event_record(room, "object.read", s, "success", NULL, writer_span(&more));
    writer_done(&more);
}

void ask_get(struct room *room, struct session *s, const struct message *m)
{
    uint64_t length = fields_uint(m->fields, FIELD_LENGTH, 0);
    struct entry e;
    struct writer facts = writer_new(SIZE_MAX / 2);
    struct error err = { 0 };
    struct ask *a;

    if ((asker_of(room, s, m->fields) & (ASKER_PERSON | ASKER_LOCAL)) == 0) {
        refuse(room, s, m->id, ERR_REFUSED, "not signed in");
        return;
    }
    a = ask_new(room, s, m);
    if (a == NULL || length > s->buffer.len) {
        refuse(room, s, m->id, ERR_LIMIT, "more than the shared buffer holds");
        if (a != NULL)
            writer_done(&a->request);
        free(a);
        return;
    }
    a->position = fields_uint(m->fields, FIELD_POSITION, UINT64_MAX);
    a->offset = fields_uint(m->fields, FIELD_OFFSET, 0);
    if (s->kind == PROCESS_LOCAL && fields_text(m->fields, FIELD_FORM).len > 0) {
        a->length = (size_t)length;
        a->job = (struct job){ .run = run_get_stored, .done = ask_done };
        queue(room, a, room->quick);
    } else if (store_read_entry(room->store, a->position, &e, &facts, &err) && e.has_body && a->offset <= e.body_bytes) {
        a->length = length > e.body_bytes - a->offset ? (size_t)(e.body_bytes - a->offset) : (size_t)length;
        a->job = (struct job){ .run = run_get, .done = ask_done };
        record_get(room, s, a->position);
        queue(room, a, room->quick);
    } else {
        if (err.code == ERR_NONE)
            (void)error_set(&err, ERR_NOT_FOUND, "no such bytes");
        reply_or_end(room, s, m->id, &err, nothing);
        writer_done(&a->request);
        free(a);
    }
    writer_done(&facts);
}

/* Event names and reasons of gates are words of our own source: letters, digits, dots, dashes, spaces. */
static bool is_plain_text(struct span text, size_t max)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    return text.len <= max;
}

static void told(struct room *room, struct session *s, const char *event, const char *outcome, const char *why,
                 struct span more)
{
    if (s->kind != PROCESS_WEB_REQUEST && !s->rights.admitted)
        (void)stranger_event_record(room, event, s, outcome, why, more);
    else
        event_record(room, event, s, outcome, why, more);
}

void ask_tell(struct room *room, struct session *s, const struct message *m)
{
    struct span event = fields_text(m->fields, FIELD_EVENT), reason = fields_text(m->fields, FIELD_REASON);
    char name[65] = "", why[TELL_TEXT_MAX + 1] = "", outcome[17] = "";
    struct writer more = writer_new(1024);

    if (s->kind == PROCESS_WEB_REQUEST && asker_of(room, s, m->fields) == 0) {
        refuse(room, s, m->id, ERR_REFUSED, "not signed in");
    } else if (!span_to_str(event, name, sizeof name) || !is_plain_text(event, sizeof name)
               || !is_plain_text(reason, TELL_TEXT_MAX) || !span_to_str(reason, why, sizeof why)
               || !span_to_str(fields_text(m->fields, FIELD_OUTCOME), outcome, sizeof outcome)) {
        refuse(room, s, m->id, ERR_MALFORMED, "an event of another form");
    } else {
        if (strcmp(name, "sign-out") == 0)
            accounts_sign_out(&room->accounts, fields_text(m->fields, FIELD_TOKEN));
        field_put_some(&more, FIELD_ADDRESS, span_part(fields_text(m->fields, FIELD_ADDRESS), 0, 64));
        field_put_some(&more, FIELD_DETAIL, span_part(fields_text(m->fields, FIELD_DETAIL), 0, TELL_TEXT_MAX));
        told(room, s, name, outcome[0] == '\0' ? "success" : outcome, why[0] == '\0' ? NULL : why, writer_span(&more));
        if (m->id != 0)
            reply_or_end(room, s, m->id, NULL, nothing);
    }
    writer_done(&more);
}

void ask_watch(struct room *room, struct session *s, const struct message *m)
{
    if ((asker_of(room, s, m->fields) & ASKER_PERSON) == 0) {
        refuse(room, s, m->id, ERR_REFUSED, "not signed in");
        return;
    }
    s->watching = true;
    reply_or_end(room, s, m->id, NULL, nothing);
}

/* A slow reader loses single news, never the fact that there was some. */
static void news_to(struct room *room, struct session *s, struct span news)
{
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);
    struct error err = { 0 };

    if (s->news_dropped > 0) {
        field_put_uint(&w, FIELD_COUNT, s->news_dropped);
        if (channel_try_send(&s->channel, VERB_NEWS, 0, writer_span(&w), NULL, 0, &err))
            s->news_dropped = 0;
    }
    if (s->news_dropped > 0 || !channel_try_send(&s->channel, VERB_NEWS, 0, news, NULL, 0, &err)) {
        s->news_dropped++;
        if (err.code != ERR_BUSY && err.code != ERR_NONE)
            session_end(room, s);
    }
    writer_done(&w);
}

static bool publish(void *context, struct span news)
{
    struct room *room = context;
    struct session *s;

    LIST_FOREACH (s, &room->sessions, all)
        if (s->watching && !s->dead)
            news_to(room, s, news);
    return true;
}

void news_out(struct room *room)
{
    vault_news(room->vault, publish, room);
}
