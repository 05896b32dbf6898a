/*
 * The door for twins: a process per connection that turns frames into calls on the vault. See role.h.
 *
 * The listener holds the TLS key and passes it on by fork; a connection's process holds its twin's socket and a session
 * that may read what is committed, as ciphertext, and nothing else.
 */
#include "gate/follow/role.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/pinned.h"
#include "channel/role.h"
#include "channel/sandbox.h"
#include "channel/session.h"
#include "channel/wire.h"
#include "gate/listener.h"

struct door {
    struct pinned_identity *identity;
};

struct visit {
    struct pinned *link;
    struct session *session;
    uint8_t fields[WIRE_FIELDS_MAX];
};

/* ---- one connection ---- */

static bool admitted(struct visit *v, const char *peer, struct error *err)
{
    struct writer w = writer_new(256);
    struct span reply;
    bool ok;

    field_put_str(&w, FIELD_CERTIFICATE, peer);
    ok = writer_ok(&w, err, "ADMIT") && session_call(v->session, VERB_ADMIT, writer_span(&w), &reply, err);
    writer_done(&w);
    return ok;
}

/* A head; while the twin has everything already, looked for again until there is news or its time is over. */
static bool ask_head(struct visit *v, struct span question, struct span *reply, struct error *err)
{
    uint64_t wait = fields_uint(question, FIELD_AFTER, 0), had = fields_uint(question, FIELD_POSITION, 0);
    const struct timespec pause = { .tv_nsec = FOLLOW_LOOK_MS * 1000000L };

    if (wait > FOLLOW_WAIT_MAX_MS)
        wait = FOLLOW_WAIT_MAX_MS;
    for (;;) {
        if (!session_call(v->session, VERB_FOLLOW_STATE, question, reply, err))
            return false;
        if (wait < FOLLOW_LOOK_MS || fields_uint(*reply, FIELD_TWIN_SIZE, 0) != had)
            return true;
        (void)nanosleep(&pause, NULL);
        wait -= FOLLOW_LOOK_MS;
    }
}

static bool send_answer(struct visit *v, struct span fields, struct span bytes, struct error *err)
{
    struct wire_header h = { .verb = VERB_REPLY, .fields = (uint32_t)fields.len, .bytes = (uint32_t)bytes.len };
    uint8_t head[WIRE_HEADER_BYTES];

    if (fields.len > WIRE_FIELDS_MAX)
        return error_set(err, ERR_LIMIT, "an answer of %zu bytes", fields.len);
    wire_header_encode(&h, head);
    return pinned_write(v->link, span_of(head, sizeof head), FOLLOW_ANSWER_MS, err)
           && pinned_write(v->link, fields, FOLLOW_ANSWER_MS, err)
           && pinned_write(v->link, bytes, FOLLOW_ANSWER_MS, err);
}

/* The vault's no is an answer; a vault that is gone ends the connection. */
static bool answer_no(struct visit *v, const struct error *why, struct error *err)
{
    struct writer w = writer_new(1024);
    bool ok;

    if (why->code == ERR_CLOSED || why->code == ERR_TIMEOUT || why->code == ERR_MALFORMED)
        return error_set(err, why->code, "%s", why->text);
    field_put_uint(&w, FIELD_RESULT, why->code);
    field_put_str(&w, FIELD_ERROR_TEXT, why->text);
    ok = writer_ok(&w, err, "answer") && send_answer(v, writer_span(&w), span_of(NULL, 0), err);
    writer_done(&w);
    return ok;
}

static bool next_question(struct visit *v, struct wire_header *h, struct error *err)
{
    uint8_t head[WIRE_HEADER_BYTES];

    if (!pinned_read(v->link, head, sizeof head, FOLLOW_IDLE_MS, err)
        || !wire_header_decode(span_of(head, sizeof head), h, err))
        return false;
    if (!wire_is_question(h))
        return error_set(err, ERR_MALFORMED, "not a question");
    return pinned_read(v->link, v->fields, h->fields, FOLLOW_IDLE_MS, err)
           && wire_fields_check(span_of(v->fields, h->fields), err);
}

static bool answer_one(struct visit *v, struct error *err)
{
    struct span question, reply, bytes = span_of(NULL, 0);
    struct error why = { .code = ERR_NONE };
    struct wire_header h;
    bool ok;

    if (!next_question(v, &h, err))
        return false;
    question = span_of(v->fields, h.fields);
    ok = h.verb == VERB_FOLLOW_STATE ? ask_head(v, question, &reply, &why)
                                     : session_fetch(v->session, VERB_FOLLOW_READ, question, &reply, &bytes, &why);
    return ok ? send_answer(v, reply, bytes, err) : answer_no(v, &why, err);
}

static void serve_twin(const struct door *door, struct connection *c, struct session *session)
{
    struct visit *v = calloc(1, sizeof *v);
    char peer[FINGERPRINT_SIZE] = "";
    struct error err = { 0 };
    int socket = c->socket;

    if (v == NULL)
        return;
    c->socket = -1; /* the TLS connection's now */
    v->session = session;
    v->link = pinned_open(door->identity, socket, FOLLOW_HANDSHAKE_MS, peer, &err);
    if (v->link == NULL || !admitted(v, peer, &err)) {
        log_warn(&c->log, "follow.not-admitted", f_str("address", c->address), f_str("certificate", peer), f_err(&err));
    } else {
        connection_admitted(c);
        log_info(&c->log, "follow.admitted", f_str("address", c->address));
        while (answer_one(v, &err))
            ;
        log_info(&c->log, "follow.ended", f_str("address", c->address), f_err(&err));
    }
    pinned_close(v->link);
    free(v);
}

static int connection_process(void *context, struct connection *c)
{
    const struct log *log = &c->log;
    struct error err = { 0 };
    struct session *session;

    if (!sandbox_enter(SANDBOX_GATE_CHILD, NULL, log, &err)) {
        log_error(log, "sandbox.failed", f_err(&err));
        return EXIT_FAILURE;
    }
    session = session_attach(c->session_fd, &err);
    if (session != NULL)
        serve_twin(context, c, session);
    else
        log_warn(log, "session.failed", f_err(&err));
    session_free(session);
    file_close(&c->socket);
    return EXIT_SUCCESS;
}

/* ---- the listener ---- */

/* The first conversation with the vault, and the TLS key it gives. */
static bool wait_for_vault(struct role *role, struct channel *vault, struct error *err)
{
    while (vault->fd < 0) {
        struct role_event e;

        if (!role_next(role, -1, &e, err))
            return false;
        if (e.kind == ROLE_STOP)
            return error_set(err, ERR_CLOSED, "stopped");
        if (e.kind == ROLE_JOIN && e.process == PROCESS_VAULT)
            *vault = e.channel;
        else if (e.kind == ROLE_JOIN)
            channel_close(&e.channel);
    }
    return true;
}

static bool fetch_key(struct channel *vault, struct writer *row, struct error *err)
{
    struct writer request = writer_new(256);
    uint8_t *buffer = malloc(CHANNEL_MESSAGE_MAX);
    struct message m = { .verb = VERB_ROW };
    bool ok;

    field_put_str(&request, FIELD_QUERY, "tls-key");
    ok = (buffer != NULL || error_set(err, ERR_MEMORY, "TLS key"))
         && channel_send(vault, VERB_FIND, 1, writer_span(&request), NULL, 0, err);
    while (ok && m.verb == VERB_ROW) {
        ok = channel_receive(vault, buffer, CHANNEL_MESSAGE_MAX, &m, FOLLOW_KEY_WAIT_MS, err);
        message_done(&m);
        if (ok && m.verb == VERB_ROW)
            write_span(row, m.fields);
    }
    if (ok && (m.verb != VERB_REPLY || fields_uint(m.fields, FIELD_RESULT, ERR_MALFORMED) != ERR_NONE))
        ok = error_set(err, ERR_NOT_FOUND, "the vault gives no TLS key");
    if (buffer != NULL)
        explicit_bzero(buffer, CHANNEL_MESSAGE_MAX);
    free(buffer);
    writer_done(&request);
    return ok && writer_ok(row, err, "TLS key");
}

static bool make_door(struct door *door, struct channel *vault, struct error *err)
{
    struct writer row = writer_new(CHANNEL_MESSAGE_MAX);
    bool ok = fetch_key(vault, &row, err);

    if (ok)
        door->identity = pinned_identity_new(fields_text(writer_span(&row), FIELD_TLS_KEY),
                                             fields_text(writer_span(&row), FIELD_TLS_CERTIFICATE), true, err);
    if (row.ptr != NULL)
        explicit_bzero(row.ptr, row.len);
    writer_done(&row);
    return ok && door->identity != NULL;
}

static bool serve(struct role *role, struct door *door, struct error *err)
{
    struct channel vault = { .fd = -1 };
    struct listener_settings settings = {
        .child_kind = PROCESS_FOLLOWER,
        .run = connection_process,
        .context = door,
        .log = &role->log,
        .clock = &clock_system,
        .children_max = fields_uint(role->fields, FIELD_CONNECTIONS_MAX, 0),
        .source_max = fields_uint(role->fields, FIELD_CONNECTIONS_PER_ADDRESS_MAX, 0),
        .first_byte_ms = FOLLOW_HANDSHAKE_MS,
    };
    int sockets[CHANNEL_FDS_MAX];
    size_t socket_count = role->fd_count;

    if (!wait_for_vault(role, &vault, err) || !make_door(door, &vault, err)) {
        channel_close(&vault);
        return false;
    }
    for (size_t i = 0; i < socket_count; i++) {
        sockets[i] = role->fds[i];
        role->fds[i] = -1;
    }
    return sandbox_enter(SANDBOX_GATE_LISTENER, NULL, &role->log, err) && role_ready(role, err)
           && listener_run(&settings, sockets, socket_count, &role->control, &vault, err);
}

int follow_listener_run(int control_fd)
{
    struct door door = { .identity = NULL };
    struct role role;
    struct error err = { 0 };
    bool served;

    if (!role_begin(&role, "follow", control_fd, &err))
        return ROLE_EXIT_FAILED;
    served = serve(&role, &door, &err);
    if (!served && err.code != ERR_CLOSED)
        log_error(&role.log, "role.failed", f_err(&err));
    pinned_identity_free(door.identity);
    role_end(&role);
    return served ? ROLE_EXIT_OK : ROLE_EXIT_FAILED;
}
