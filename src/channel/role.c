/* The role's end of the control channel. See role.h. */
#include "channel/role.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/file.h"

/* The START message is kept for the life of the role: its fields are settings. */
static bool receive_start(struct role *role, struct error *err)
{
    struct message m;

    if (!channel_receive(&role->control, role->buffer, CHANNEL_MESSAGE_MAX, &m, ROLE_START_MS, err))
        return error_within(err, "waiting for START");
    if (m.verb != VERB_START) {
        message_done(&m);
        return error_set(err, ERR_MALFORMED, "verb %d where START belongs", (int)m.verb);
    }
    for (size_t i = 0; i < m.fd_count; i++)
        role->fds[i] = m.fds[i];
    role->fd_count = m.fd_count;
    if (m.fields.len > 0) {
        uint8_t *copy = malloc(m.fields.len);

        if (copy == NULL)
            return error_set(err, ERR_MEMORY, "START of %zu bytes", m.fields.len);
        memcpy(copy, m.fields.ptr, m.fields.len);
        role->fields = span_of(copy, m.fields.len);
    }
    return true;
}

bool role_begin(struct role *out, const char *name, int control_fd, struct error *err)
{
    struct role role = { .control = { control_fd },
                         .log = { .fd = STDERR_FILENO, .least = LOG_INFO, .clock = &clock_system, .process = name },
                         .fds = { -1, -1, -1, -1 } };

    if (prctl(PR_SET_NAME, name) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return error_errno(err, "prctl");
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return error_errno(err, "signal");
    role.buffer = malloc(CHANNEL_MESSAGE_MAX);
    if (role.buffer == NULL)
        return error_set(err, ERR_MEMORY, "role %s", name);
    if (!receive_start(&role, err)) {
        role_end(&role);
        return error_within(err, "role %s", name);
    }
    *out = role;
    return true;
}

void role_end(struct role *role)
{
    channel_close(&role->control);
    for (size_t i = 0; i < role->fd_count; i++)
        file_close(&role->fds[i]);
    role->fd_count = 0;
    free((void *)(uintptr_t)role->fields.ptr);
    role->fields = (struct span){ NULL, 0 };
    free(role->buffer);
    role->buffer = NULL;
}

bool role_ready(struct role *role, struct error *err)
{
    return channel_send(&role->control, VERB_READY, 0, (struct span){ NULL, 0 }, NULL, 0, err);
}

static bool take_join(struct message *m, struct role_event *e, struct error *err)
{
    uint64_t process = fields_uint(m->fields, FIELD_PROCESS, 0);

    if (m->fd_count != 1 || process < PROCESS_SUPERVISOR || process > PROCESS_PULL)
        return error_set(err, ERR_MALFORMED, "JOIN with %zu descriptors", m->fd_count);
    e->kind = ROLE_JOIN;
    e->process = (enum process_kind)process;
    e->number = (unsigned)fields_uint(m->fields, FIELD_PROCESS_ID, 0);
    e->channel.fd = m->fds[0];
    m->fds[0] = -1;
    return true;
}

bool role_next(struct role *role, int timeout_ms, struct role_event *out, struct error *err)
{
    struct message m;
    struct role_event e = { .channel = { -1 } };
    bool good = true;

    if (!channel_receive(&role->control, role->buffer, CHANNEL_MESSAGE_MAX, &m, timeout_ms, err))
        return false;
    e.fields = m.fields;
    if (m.verb == VERB_JOIN)
        good = take_join(&m, &e, err);
    else if (m.verb == VERB_STOP)
        e.kind = ROLE_STOP;
    else if (m.verb == VERB_CRASH)
        e.kind = ROLE_CRASH;
    else
        good = error_set(err, ERR_MALFORMED, "verb %d from the supervisor", (int)m.verb);
    message_done(&m);
    if (good)
        *out = e;
    return good;
}
