/* The web gate's process. See role.h. */
#include "gate/web/role.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include "channel/role.h"
#include "channel/sandbox.h"
#include "gate/web/gate.h"

struct web {
    struct role role;
    struct gate gate;
    struct writer own;       /* the row of tls-key */
    char *key, *certificate; /* PEM; owned */
    struct http_server *servers[CHANNEL_FDS_MAX];
    size_t server_count;
};

static void *opened(void *context, const char *address)
{
    struct connection *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->gate = context;
    (void)span_to_str(span_str(address), c->address, sizeof c->address);
    return c;
}

static void closed(void *context, void *connection)
{
    (void)context;
    connection_forget(connection);
    free(connection);
}

static void refuse(void *context, unsigned status, struct http_answer *a)
{
    const struct gate *g = context;

    if (status == 413)
        answer_error(a, status, "limit", "the body is too long");
    else
        answer_error(a, status, "unsupported", "a body is JSON, not compressed");
    log_info(g->log, "web.request", f_str("route", "refused"), f_uint("status", status), f_uint("ms", 0));
}

static const struct http_handler handler = {
    .opened = opened, .closed = closed, .answer = gate_answer, .refuse = refuse
};

/* False when it is time to go. */
static bool supervisor_says(struct web *w, int timeout_ms, struct error *err)
{
    struct role_event event;

    if (!role_next(&w->role, timeout_ms, &event, err))
        return err->code == ERR_TIMEOUT;
    if (event.kind == ROLE_STOP)
        return error_set(err, ERR_CLOSED, "stopped");
    if (event.kind == ROLE_JOIN && event.process == PROCESS_VAULT && atomic_load(&w->gate.sealed)) {
        channel_close(&event.channel); /* the vault is open: its key and its page are another process's */
        return error_set(err, ERR_CLOSED, "no longer sealed");
    }
    if (event.kind == ROLE_JOIN && event.process == PROCESS_VAULT)
        gate_join_vault(&w->gate, event.channel);
    else if (event.kind == ROLE_JOIN && event.process == PROCESS_LENS)
        lens_pool_join(&w->gate.lenses, event.number, event.channel);
    else if (event.kind == ROLE_JOIN)
        channel_close(&event.channel);
    return true;
}

/* A PEM text as a C string; NULL where it is none. */
static char *text_of(struct span bytes)
{
    char *text = malloc(bytes.len + 1);

    if (text != NULL && (bytes.len == 0 || !span_to_str(bytes, text, bytes.len + 1))) {
        free(text);
        text = NULL;
    }
    return text;
}

static bool fetch_key(struct web *w, struct error *err)
{
    while (!w->gate.vault_present)
        if (!supervisor_says(w, -1, err))
            return false;
    if (!gate_find_own(&w->gate, "tls-key", WEB_KEY_WAIT_MS, &w->own, err))
        return error_within(err, "TLS key");
    atomic_store(&w->gate.sealed, span_equal(fields_text(writer_span(&w->own), FIELD_STATE), SPAN_LIT("sealed")));
    w->key = text_of(fields_text(writer_span(&w->own), FIELD_TLS_KEY));
    w->certificate = text_of(fields_text(writer_span(&w->own), FIELD_TLS_CERTIFICATE));
    return (w->key != NULL && w->certificate != NULL) || error_set(err, ERR_NOT_FOUND, "the vault has no TLS key");
}

/* What START allows, shared out evenly among the sockets. */
static struct http_settings settings_of(const struct web *w)
{
    uint64_t most = fields_uint(w->role.fields, FIELD_CONNECTIONS_MAX, WEB_CONNECTIONS_MAX);
    uint64_t each = fields_uint(w->role.fields, FIELD_CONNECTIONS_PER_ADDRESS_MAX, WEB_CONNECTIONS_PER_ADDRESS_MAX);
    uint64_t share = most / (w->role.fd_count > 0 ? w->role.fd_count : 1);

    return (struct http_settings){ .key = w->key,
                                   .certificate = w->certificate,
                                   .connections_max = (unsigned)(share > 0 ? share : 1),
                                   .connections_per_address_max = (unsigned)(each > 0 ? each : 1) };
}

static bool serve(struct web *w, struct error *err)
{
    struct http_settings settings = settings_of(w);

    if (w->role.fd_count == 0)
        return error_set(err, ERR_USAGE, "no socket to listen on");
    for (size_t i = 0; i < w->role.fd_count; i++) {
        int fd = w->role.fds[i];

        w->role.fds[i] = -1;
        w->servers[w->server_count] = http_server_start(fd, &settings, &handler, &w->gate, err);
        if (w->servers[w->server_count] == NULL)
            return false;
        w->server_count++;
    }
    return true;
}

/*
 * What libraries would open files for once the sandbox is entered: glibc /etc/localtime at the first gmtime_r()
 * (libmicrohttpd's Date header) and /proc/sys/vm/overcommit_memory when it shrinks the heap of a thread (one heap for
 * all costs less, too); jansson /dev/urandom for its first object.
 */
static void prepare_libraries(void)
{
    tzset();
    (void)mallopt(M_ARENA_MAX, 1);
    json_object_seed(0);
}

static bool run(struct web *w, struct error *err)
{
    prepare_libraries();
    if (!fetch_key(w, err) || !sandbox_enter(SANDBOX_WEB, NULL, &w->role.log, err) || !serve(w, err)
        || !role_ready(&w->role, err))
        return false;
    while (supervisor_says(w, -1, err))
        ;
    return err->code == ERR_CLOSED;
}

int web_role_run(int control_fd)
{
    struct web w = { .own = writer_new(CHANNEL_MESSAGE_MAX) };
    struct error err = { 0 };
    bool ok;

    if (!role_begin(&w.role, "web", control_fd, &err))
        return ROLE_EXIT_FAILED;
    gate_init(&w.gate, &w.role.log, &clock_system);
    ok = run(&w, &err);
    if (!ok)
        log_error(&w.role.log, "web.ended", f_err(&err));
    atomic_store(&w.gate.stopping, true);
    for (size_t i = 0; i < w.server_count; i++)
        http_server_stop(w.servers[i]);
    gate_done(&w.gate);
    if (w.own.ptr != NULL)
        explicit_bzero(w.own.ptr, w.own.len);
    writer_done(&w.own);
    if (w.key != NULL)
        explicit_bzero(w.key, strlen(w.key));
    free(w.key);
    free(w.certificate);
    role_end(&w.role);
    return ok ? ROLE_EXIT_OK : ROLE_EXIT_FAILED;
}
