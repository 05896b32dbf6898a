/* The witness door's process. See role.h. */
#include "gate/witness/role.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "channel/role.h"
#include "channel/sandbox.h"
#include "gate/web/server.h"
#include "record/note.h"

/* The vault answers after one commit; a disk that syncs for longer is broken. */
#define ANSWER_MS 30000

struct door {
    struct role role;
    pthread_mutex_t lock; /* of the conversation with the vault: one request at a time */
    struct channel vault;
    bool vault_present;
    uint32_t next_id;
    uint8_t *buffer;         /* of CHANNEL_MESSAGE_MAX; owned; under lock */
    char *key, *certificate; /* PEM; owned */
    struct http_server *servers[CHANNEL_FDS_MAX];
    size_t server_count;
};

struct visitor {
    char address[HTTP_ADDRESS_SIZE];
};

/* ---- asking the vault ---- */

/* A row or the reply to our question into *out. The lock is held. */
static bool hear(struct door *d, uint32_t id, struct writer *out, struct error *err)
{
    for (;;) {
        struct message m;

        if (!channel_receive(&d->vault, d->buffer, CHANNEL_MESSAGE_MAX, &m, ANSWER_MS, err))
            return false;
        message_done(&m);
        if (m.id != id)
            continue; /* the greeting, or of a question whose answer we did not wait for */
        write_span(out, m.fields);
        if (m.verb == VERB_REPLY) {
            uint64_t result = fields_uint(m.fields, FIELD_RESULT, ERR_MALFORMED);

            return result == ERR_NONE ? writer_ok(out, err, "answer")
                                      : error_set(err, (enum error_code)result, "the vault said no");
        }
    }
}

static bool ask(struct door *d, enum verb verb, struct span request, struct writer *out, struct error *err)
{
    bool ok = false;

    (void)pthread_mutex_lock(&d->lock);
    if (!d->vault_present) {
        (void)error_set(err, ERR_CLOSED, "the vault is not there");
    } else {
        const uint32_t id = d->next_id;

        d->next_id += d->next_id + 1 == 0 ? 2 : 1;
        ok = channel_send(&d->vault, verb, id, request, NULL, 0, err) && hear(d, id, out, err);
    }
    (void)pthread_mutex_unlock(&d->lock);
    return ok;
}

/* ---- HTTP ---- */

static void *opened(void *context, const char *address)
{
    struct visitor *v = calloc(1, sizeof *v);

    (void)context;
    if (v != NULL)
        (void)span_to_str(span_str(address), v->address, sizeof v->address);
    return v;
}

static void closed(void *context, void *connection)
{
    (void)context;
    free(connection);
}

static void answer_text(struct http_answer *a, unsigned status, const char *type, struct span body)
{
    writer_reset(&a->body);
    a->status = status;
    http_answer_header(a, "Content-Type", "%.100s", type);
    http_answer_header(a, "Cache-Control", "no-store");
    write_span(&a->body, body);
}

static void refuse(void *context, unsigned status, struct http_answer *a)
{
    (void)context;
    answer_text(a, status, "text/plain", SPAN_LIT("refused unread\n"));
}

/* What the vault decided, passed on. */
static void pass_on(struct span reply, struct http_answer *a)
{
    char type[64];

    if (!span_to_str(fields_text(reply, FIELD_CONTENT_TYPE), type, sizeof type))
        type[0] = '\0';
    answer_text(a, (unsigned)fields_uint(reply, FIELD_HTTP_STATUS, 500), type[0] != '\0' ? type : "text/plain",
                fields_text(reply, FIELD_HTTP_BODY));
}

static void add_checkpoint(struct door *d, const struct visitor *v, struct span body, struct http_answer *a)
{
    struct writer request = writer_new(CHANNEL_FIELDS_MAX), reply = writer_new(CHANNEL_FIELDS_MAX);
    struct witness_request r;
    struct note n;
    struct error err = { 0 };

    if (!witness_request_parse(body, &r, &err) || !note_parse(r.note, &n, &err)) {
        write_printf(&request, "%s\n", err.text);
        answer_text(a, 400, "text/plain", writer_span(&request));
    } else {
        field_put_str(&request, FIELD_ADDRESS, v->address);
        field_put_uint(&request, FIELD_OLD_SIZE, r.old_size);
        field_put_bytes(&request, FIELD_CONSISTENCY, span_of(r.proof, r.proof_count * ROOT_BYTES));
        field_put_text(&request, FIELD_SIGNED_NOTE, r.note);
        if (writer_ok(&request, &err, "request") && ask(d, VERB_COSIGN, writer_span(&request), &reply, &err))
            pass_on(writer_span(&reply), a);
        else
            answer_text(a, 503, "text/plain", SPAN_LIT("the vault does not answer\n"));
    }
    writer_done(&request);
    writer_done(&reply);
}

static void answer(void *context, void *connection, const struct http_request *r, struct http_answer *a)
{
    if (strcmp(http_path(r), "/add-checkpoint") != 0)
        answer_text(a, 404, "text/plain", SPAN_LIT("add-checkpoint is all there is\n"));
    else if (strcmp(http_method(r), "POST") != 0)
        answer_text(a, 405, "text/plain", SPAN_LIT("POST belongs here\n"));
    else
        add_checkpoint(context, connection, http_body(r), a);
}

static const struct http_handler handler = { .opened = opened, .closed = closed, .answer = answer, .refuse = refuse };

/* ---- the process ---- */

/* False when it is time to go. */
static bool supervisor_says(struct door *d, struct error *err)
{
    struct role_event event;

    if (!role_next(&d->role, -1, &event, err))
        return err->code == ERR_TIMEOUT;
    if (event.kind == ROLE_STOP)
        return error_set(err, ERR_CLOSED, "stopped");
    if (event.kind == ROLE_JOIN && event.process == PROCESS_VAULT) {
        (void)pthread_mutex_lock(&d->lock);
        if (d->vault_present)
            channel_close(&d->vault);
        d->vault = event.channel;
        d->vault_present = true;
        (void)pthread_mutex_unlock(&d->lock);
    } else if (event.kind == ROLE_JOIN) {
        channel_close(&event.channel);
    }
    return true;
}

static char *text_of(struct span bytes)
{
    return bytes.len > 0 ? strndup((const char *)bytes.ptr, bytes.len) : NULL;
}

static bool fetch_key(struct door *d, struct error *err)
{
    struct writer request = writer_new(256), row = writer_new(CHANNEL_MESSAGE_MAX);
    bool ok = true;

    while (ok && !d->vault_present)
        ok = supervisor_says(d, err);
    field_put_str(&request, FIELD_QUERY, "tls-key");
    ok = ok && ask(d, VERB_FIND, writer_span(&request), &row, err);
    if (ok) {
        d->key = text_of(fields_text(writer_span(&row), FIELD_TLS_KEY));
        d->certificate = text_of(fields_text(writer_span(&row), FIELD_TLS_CERTIFICATE));
        ok = (d->key != NULL && d->certificate != NULL) || error_set(err, ERR_NOT_FOUND, "the vault has no TLS key");
    }
    if (row.ptr != NULL)
        explicit_bzero(row.ptr, row.len);
    writer_done(&row);
    writer_done(&request);
    return ok;
}

static bool serve(struct door *d, struct error *err)
{
    const struct http_settings settings = {
        .key = d->key,
        .certificate = d->certificate,
        .connections_max = (unsigned)fields_uint(d->role.fields, FIELD_CONNECTIONS_MAX, 1),
        .connections_per_address_max = (unsigned)fields_uint(d->role.fields, FIELD_CONNECTIONS_PER_ADDRESS_MAX, 1),
        .any_type = true, /* tlog-witness asks for none */
    };

    if (d->role.fd_count == 0)
        return error_set(err, ERR_USAGE, "no socket to listen on");
    for (size_t i = 0; i < d->role.fd_count; i++) {
        const int fd = d->role.fds[i];

        d->role.fds[i] = -1;
        d->servers[d->server_count] = http_server_start(fd, &settings, &handler, d, err);
        if (d->servers[d->server_count] == NULL)
            return false;
        d->server_count++;
    }
    return true;
}

static bool run(struct door *d, struct error *err)
{
    tzset(); /* glibc and libmicrohttpd open files for it at first use, which the sandbox leaves none of */
    (void)mallopt(M_ARENA_MAX, 1);
    if (!fetch_key(d, err) || !sandbox_enter(SANDBOX_WEB, NULL, &d->role.log, err) || !serve(d, err)
        || !role_ready(&d->role, err))
        return false;
    while (supervisor_says(d, err))
        ;
    return err->code == ERR_CLOSED;
}

int witness_role_run(int control_fd)
{
    struct door d = { .vault = { -1 }, .next_id = 1 };
    struct error err = { 0 };
    bool ok;

    if (!role_begin(&d.role, "witness", control_fd, &err))
        return ROLE_EXIT_FAILED;
    (void)pthread_mutex_init(&d.lock, NULL);
    d.buffer = malloc(CHANNEL_MESSAGE_MAX);
    ok = d.buffer != NULL && run(&d, &err);
    if (!ok)
        log_error(&d.role.log, "witness.ended", f_err(&err));
    for (size_t i = 0; i < d.server_count; i++)
        http_server_stop(d.servers[i]);
    if (d.vault_present)
        channel_close(&d.vault);
    if (d.key != NULL)
        explicit_bzero(d.key, strlen(d.key));
    free(d.key);
    free(d.certificate);
    free(d.buffer);
    (void)pthread_mutex_destroy(&d.lock);
    role_end(&d.role);
    return ok ? ROLE_EXIT_OK : ROLE_EXIT_FAILED;
}
