/* The process role `dicom`: see role.h. START's fields are in docs/channel.md ("The control channel"). */
#include "gate/dicom/role.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/file.h"
#include "channel/role.h"
#include "channel/sandbox.h"
#include "gate/dicom/association.h"
#include "gate/listener.h"

struct dicom_role {
    struct role role;
    struct span private_classes[PRIVATE_STORAGE_CLASSES_MAX]; /* borrow from role.fields */
    size_t private_class_count;
};

static void association_established(void *connection)
{
    connection_admitted(connection);
}

/* One association, in its own process: from here on it has a socket, a session and a pipe, and no more. */
static int association_process(void *context, struct connection *c)
{
    const struct dicom_role *dicom = context;
    const struct log *log = &c->log;
    struct association_settings settings = association_settings_default();
    struct session *session = NULL;
    struct tcp_transport tcp = { .fd = c->socket, .vault_fd = -1 };
    struct transport transport = tcp_transport(&tcp);
    struct door door;
    struct association *a;
    struct error err = { 0 };

    settings.private_storage_classes = dicom->private_classes;
    settings.private_storage_class_count = dicom->private_class_count;
    settings.established = association_established;
    settings.established_context = c;
    if (!sandbox_enter(SANDBOX_GATE_CHILD, NULL, log, &err)) {
        log_error(log, "sandbox.failed", f_err(&err));
        return EXIT_FAILURE;
    }
    session = session_attach(c->session_fd, &err);
    if (session) {
        door = session_door(session);
        tcp.vault_fd = session_fd(session);
    }
    a = association_new(&settings, &transport, session ? &door : NULL, &clock_system, log, &err);
    if (a)
        association_run(a);
    else
        log_error(log, "association.failed", f_err(&err));
    association_free(a);
    session_free(session);
    file_close(&tcp.fd);
    return a ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool read_settings(struct dicom_role *dicom, struct error *err)
{
    struct fields_reader r = fields_over(dicom->role.fields);
    struct field_value v;

    while (fields_next(&r, &v)) {
        if (v.field != FIELD_SOP_CLASS)
            continue;
        if (dicom->private_class_count == PRIVATE_STORAGE_CLASSES_MAX)
            return error_set(err, ERR_LIMIT, "more than %d private storage classes", PRIVATE_STORAGE_CLASSES_MAX);
        dicom->private_classes[dicom->private_class_count++] = v.value;
    }
    return fields_complete(&r, err);
}

static bool serve(struct dicom_role *dicom, struct error *err)
{
    struct role *role = &dicom->role;
    struct channel vault = { .fd = -1 };
    struct listener_settings settings = {
        .child_kind = PROCESS_DICOM_ASSOCIATION,
        .run = association_process,
        .context = dicom,
        .log = &role->log,
        .clock = &clock_system,
        .children_max = fields_uint(role->fields, FIELD_CONNECTIONS_MAX, 0),
        .source_max = fields_uint(role->fields, FIELD_CONNECTIONS_PER_ADDRESS_MAX, 0),
        .first_byte_ms = ARTIM_MS,
    };
    int sockets[CHANNEL_FDS_MAX];
    size_t socket_count = role->fd_count;

    for (size_t i = 0; i < socket_count; i++) { /* the listener owns them now */
        sockets[i] = role->fds[i];
        role->fds[i] = -1;
    }
    return read_settings(dicom, err) && sandbox_enter(SANDBOX_GATE_LISTENER, NULL, &role->log, err)
           && role_ready(role, err) && listener_run(&settings, sockets, socket_count, &role->control, &vault, err);
}

int dicom_listener_run(int control_fd)
{
    struct dicom_role *dicom = calloc(1, sizeof *dicom);
    struct error err = { 0 };
    bool served;

    if (!dicom || !role_begin(&dicom->role, "dicom", control_fd, &err)) {
        free(dicom);
        return ROLE_EXIT_FAILED;
    }
    served = serve(dicom, &err);
    if (!served)
        log_error(&dicom->role.log, "role.failed", f_err(&err));
    role_end(&dicom->role);
    free(dicom);
    return served ? ROLE_EXIT_OK : ROLE_EXIT_FAILED;
}
