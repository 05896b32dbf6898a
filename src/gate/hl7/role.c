/* The process role `hl7`: see role.h. START's fields are in docs/channel.md ("The control channel"). */
#include "gate/hl7/role.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/role.h"
#include "channel/sandbox.h"
#include "gate/hl7/connection.h"
#include "gate/listener.h"

/* The sender is known by its address alone. An unknown one is closed unread; the vault has recorded it. */
static void serve_sender(struct connection *c, struct session *session, const struct log *log)
{
    static const struct connection_limits limits = { 0 };
    struct receipt receipt = { .keeper = session_keeper(session), .clock = &clock_system, .log = log,
                               .process = (uint32_t)getpid() };
    struct error err = { 0 };
    enum connection_end end;

    if (!receipt.keeper.admit(receipt.keeper.context, &receipt.sender, &err)) {
        log_warn(log, "connection.not-admitted", f_str("address", c->address), f_err(&err));
        return;
    }
    connection_admitted(c);
    log_info(log, "connection.admitted", f_str("address", c->address));
    end = connection_serve(c->socket, &receipt, &limits, &err);
    log_info(log, "connection.ended", f_str("address", c->address), f_str("why", connection_end_name(end)),
             f_uint("messages", receipt.count));
}

/* One connection, in its own process: from here on it has a socket, a session and the listener's ear, no more. */
static int connection_process(void *context, struct connection *c)
{
    const struct log *log = &c->log;
    struct error err = { 0 };
    struct session *session;

    (void)context;
    if (!sandbox_enter(SANDBOX_GATE_CHILD, NULL, log, &err)) {
        log_error(log, "sandbox.failed", f_err(&err));
        return EXIT_FAILURE;
    }
    session = session_attach(c->session_fd, &err);
    if (session != NULL)
        serve_sender(c, session, log);
    else
        log_warn(log, "session.failed", f_err(&err)); /* the vault is gone: the sender shall try again */
    session_free(session);
    file_close(&c->socket);
    return EXIT_SUCCESS;
}

static bool serve(struct role *role, struct error *err)
{
    struct channel vault = { .fd = -1 }; /* JOIN brings it */
    struct listener_settings settings = {
        .child_kind = PROCESS_HL7_CONNECTION,
        .run = connection_process,
        .log = &role->log,
        .clock = &clock_system,
        .children_max = fields_uint(role->fields, FIELD_CONNECTIONS_MAX, 0),
        .source_max = fields_uint(role->fields, FIELD_CONNECTIONS_PER_ADDRESS_MAX, 0),
        .first_byte_ms = HL7_IDLE_MS, /* a sender connects when it starts and speaks when there is a result */
        .admitted_by_address = true,
    };
    int sockets[CHANNEL_FDS_MAX];
    size_t socket_count = role->fd_count;

    for (size_t i = 0; i < socket_count; i++) { /* the listener owns them now */
        sockets[i] = role->fds[i];
        role->fds[i] = -1;
    }
    return sandbox_enter(SANDBOX_GATE_LISTENER, NULL, &role->log, err) && role_ready(role, err)
           && listener_run(&settings, sockets, socket_count, &role->control, &vault, err);
}

int hl7_listener_run(int control_fd)
{
    struct role role;
    struct error err = { 0 };
    bool served;

    if (!role_begin(&role, "hl7", control_fd, &err))
        return ROLE_EXIT_FAILED;
    served = serve(&role, &err);
    if (!served)
        log_error(&role.log, "role.failed", f_err(&err));
    role_end(&role);
    return served ? ROLE_EXIT_OK : ROLE_EXIT_FAILED;
}
