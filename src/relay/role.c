/* The relay's process. See role.h. */
#include "relay/role.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "channel/role.h"
#include "channel/sandbox.h"
#include "relay/exchange.h"

#define NAME_SIZE 33

/* One anchor, and what is under way with it. */
struct line {
    char kind[16]; /* "witness" or "timestamp": names may be the same */
    char name[NAME_SIZE];
    struct destination to;
    struct exchange *exchange; /* owned; NULL: nothing is under way */
    uint32_t id;               /* of the request that it answers */
};

struct relay {
    struct role role;
    struct channel vault;
    bool vault_present;
    struct line lines[RELAY_DESTINATIONS_MAX];
    size_t count;
    uint8_t *buffer; /* of CHANNEL_MESSAGE_MAX; owned */
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ms(&clock_system);
}

/* ---- START ---- */

static bool add_line(struct relay *r, struct span fields, struct error *err)
{
    struct line *l = &r->lines[r->count];
    const struct span address = fields_text(fields, FIELD_ADDRESS);
    struct http_url url;
    struct sockaddr_storage at;

    if (r->count == RELAY_DESTINATIONS_MAX)
        return error_set(err, ERR_LIMIT, "more than %d anchors", RELAY_DESTINATIONS_MAX);
    if (!span_to_str(fields_text(fields, FIELD_NAME), l->name, sizeof l->name)
        || !span_to_str(fields_text(fields, FIELD_KIND), l->kind, sizeof l->kind))
        return error_set(err, ERR_MALFORMED, "an anchor without a name");
    if (!http_url_parse(fields_text(fields, FIELD_URL), &url, err))
        return error_within(err, "%s %s", l->kind, l->name);
    at = url.address;
    if (address.len > 0 ? !http_address_parse(address, url.port, &at) : !url.numeric)
        return error_set(err, ERR_USAGE, "%s %s has no numeric address", l->kind, l->name);
    if (!destination_init(&l->to, &url, strcmp(l->kind, "witness") == 0 ? "/add-checkpoint" : "", &at,
                          fields_text(fields, FIELD_CA), err))
        return error_within(err, "%s %s", l->kind, l->name);
    r->count++;
    return true;
}

static bool add_lines(struct relay *r, struct error *err)
{
    struct fields_reader reader = fields_over(r->role.fields);
    struct field_value v;

    while (fields_next(&reader, &v))
        if (v.field == FIELD_ANCHOR && !add_line(r, v.value, err))
            return false;
    return fields_complete(&reader, err);
}

/* ---- answers ---- */

static void line_end(struct line *l)
{
    exchange_free(l->exchange);
    l->exchange = NULL;
}

static void vault_gone(struct relay *r)
{
    if (r->vault_present)
        channel_close(&r->vault);
    r->vault_present = false;
    for (size_t i = 0; i < r->count; i++)
        line_end(&r->lines[i]); /* nobody waits for them any more */
}

static void answer(struct relay *r, uint32_t id, const struct http_reply *reply, const struct error *fault)
{
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);
    struct error err = { 0 };

    field_put_uint(&w, FIELD_RESULT, fault->code);
    if (fault->code != ERR_NONE) {
        field_put_str(&w, FIELD_ERROR_TEXT, fault->text);
    } else {
        field_put_uint(&w, FIELD_HTTP_STATUS, reply->status);
        field_put_some(&w, FIELD_CONTENT_TYPE, span_part(reply->content_type, 0, 128));
        field_put_bytes(&w, FIELD_HTTP_BODY, writer_span(&reply->body));
    }
    if (!writer_ok(&w, &err, "answer") || !channel_send(&r->vault, VERB_REPLY, id, writer_span(&w), NULL, 0, &err)) {
        log_warn(&r->role.log, "relay.vault-gone", f_err(&err));
        vault_gone(r);
    }
    writer_done(&w);
}

static void refuse(struct relay *r, uint32_t id, enum error_code code, const char *why)
{
    struct error err = { 0 };

    (void)error_set(&err, code, "%s", why);
    answer(r, id, NULL, &err);
}

static void line_step(struct relay *r, struct line *l)
{
    struct http_reply reply = { .status = 0 };
    struct error err = { 0 };
    enum exchange_progress p = exchange_step(l->exchange, now_ms(), &reply, &err);
    struct exchange *done = l->exchange;

    if (p == EXCHANGE_WAITS)
        return;
    l->exchange = NULL; /* reply borrows from it */
    answer(r, l->id, &reply, &err);
    http_reply_done(&reply);
    exchange_free(done);
}

/* ---- requests ---- */

static struct line *line_of(struct relay *r, struct span kind, struct span name)
{
    for (size_t i = 0; i < r->count; i++)
        if (span_equal(kind, span_str(r->lines[i].kind)) && span_equal(name, span_str(r->lines[i].name)))
            return &r->lines[i];
    return NULL;
}

static void post(struct relay *r, const struct message *m)
{
    struct line *l = line_of(r, fields_text(m->fields, FIELD_KIND), fields_text(m->fields, FIELD_NAME));
    const struct span body = fields_text(m->fields, FIELD_HTTP_BODY);
    struct error err = { 0 };

    if (l == NULL) {
        refuse(r, m->id, ERR_NOT_FOUND, "no such anchor");
        return;
    }
    if (body.len > RELAY_BODY_MAX) {
        refuse(r, m->id, ERR_LIMIT, "too much to post");
        return;
    }
    line_end(l); /* the vault asks anew only where it has given up waiting */
    l->id = m->id;
    l->exchange = exchange_new(&l->to, fields_text(m->fields, FIELD_CONTENT_TYPE), body, now_ms(), &err);
    if (l->exchange == NULL)
        answer(r, m->id, NULL, &err);
}

static void vault_says(struct relay *r)
{
    struct message m;
    struct error err = { 0 };

    if (!channel_receive(&r->vault, r->buffer, CHANNEL_MESSAGE_MAX, &m, 0, &err)) {
        if (err.code != ERR_TIMEOUT)
            vault_gone(r);
        return;
    }
    if (m.verb == VERB_POST && m.id != 0)
        post(r, &m);
    else
        vault_gone(r);
    message_done(&m);
}

/* False when it is time to go. */
static bool supervisor_says(struct relay *r)
{
    struct role_event event;
    struct error err = { 0 };

    if (!role_next(&r->role, 0, &event, &err))
        return err.code == ERR_TIMEOUT;
    if (event.kind == ROLE_JOIN && event.process == PROCESS_VAULT) {
        vault_gone(r);
        r->vault = event.channel;
        r->vault_present = true;
    } else if (event.kind == ROLE_JOIN) {
        channel_close(&event.channel);
    }
    return event.kind != ROLE_STOP;
}

/* ---- the loop ---- */

/* Milliseconds until the first deadline; -1: nothing is under way. */
static int wait_ms(const struct relay *r)
{
    const uint64_t now = now_ms();
    int wait = -1;

    for (size_t i = 0; i < r->count; i++) {
        uint64_t due;

        if (r->lines[i].exchange == NULL)
            continue;
        due = exchange_deadline_ms(r->lines[i].exchange);
        due = due > now ? due - now : 0;
        if (wait < 0 || due < (uint64_t)wait)
            wait = (int)due;
    }
    return wait;
}

static void run(struct relay *r)
{
    for (;;) {
        struct pollfd fds[2 + RELAY_DESTINATIONS_MAX] = {
            { .fd = role_fd(&r->role), .events = POLLIN },
            { .fd = r->vault_present ? r->vault.fd : -1, .events = POLLIN },
        };

        for (size_t i = 0; i < r->count; i++) {
            const struct exchange *x = r->lines[i].exchange;

            fds[2 + i] = (struct pollfd){ .fd = x != NULL ? exchange_fd(x) : -1,
                                          .events = x != NULL ? exchange_events(x) : (short)0 };
        }
        if (poll(fds, (nfds_t)(2 + r->count), wait_ms(r)) < 0)
            continue; /* EINTR */
        for (size_t i = 0; i < r->count; i++) {
            const struct exchange *x = r->lines[i].exchange;

            if (x != NULL && (fds[2 + i].revents != 0 || exchange_deadline_ms(x) <= now_ms()))
                line_step(r, &r->lines[i]);
        }
        if (fds[1].revents != 0 && r->vault_present)
            vault_says(r);
        if (fds[0].revents != 0 && !supervisor_says(r))
            return;
    }
}

int relay_role_run(int control_fd)
{
    struct relay r = { .vault = { -1 } };
    struct error err = { 0 };
    int status = ROLE_EXIT_FAILED;

    if (!role_begin(&r.role, "relay", control_fd, &err))
        return ROLE_EXIT_FAILED;
    r.buffer = malloc(CHANNEL_MESSAGE_MAX);
    tzset(); /* glibc opens /etc/localtime for the first gmtime_r(), which a certificate's dates need */
    /* Without its configuration file: the sandbox leaves none to open, and nothing there should change what we trust. */
    if (r.buffer == NULL || OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
        (void)error_set(&err, ERR_MEMORY, "relay");
    else if (add_lines(&r, &err) && sandbox_enter(SANDBOX_RELAY, NULL, &r.role.log, &err) && role_ready(&r.role, &err)) {
        run(&r);
        status = ROLE_EXIT_OK;
    }
    if (status != ROLE_EXIT_OK)
        log_error(&r.role.log, "relay.not-started", f_err(&err));
    vault_gone(&r);
    for (size_t i = 0; i < r.count; i++)
        destination_done(&r.lines[i].to);
    free(r.buffer);
    role_end(&r.role);
    return status;
}
