/* The recheck process. See role.h. */
#include "recheck/role.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/role.h"
#include "channel/sandbox.h"
#include "recheck/serve.h"

struct recheck {
    struct role role;
    struct channel vault; /* fd -1: none yet */
    uint8_t *buffer;      /* of CHANNEL_MESSAGE_MAX; owned */
    bool stop;
};

/* Of a child: one object, then the end. */
static _Noreturn void child_main(struct recheck *r, struct message *m)
{
    struct error err = { 0 };
    bool ok;

    role_end(&r->role);
    ok = sandbox_enter(SANDBOX_GATE_CHILD, NULL, NULL, &err) && recheck_serve(&r->vault, m, r->buffer, &err);
    _exit(ok ? 0 : 1);
}

/* False when it is time to go. */
static bool supervisor_says(struct recheck *r)
{
    struct role_event event;
    struct error err;

    if (!role_next(&r->role, 0, &event, &err))
        return err.code == ERR_TIMEOUT;
    if (event.kind == ROLE_JOIN) {
        file_close(&r->vault.fd);
        r->vault = event.channel;
    }
    return event.kind != ROLE_STOP;
}

/* Until the child's end of the pair closes, which is when it has ended; a stop ends it. */
static void await_child(struct recheck *r, pid_t pid, int life, int *status)
{
    for (;;) {
        struct pollfd fds[] = { { .fd = life, .events = POLLIN }, { .fd = role_fd(&r->role), .events = POLLIN } };

        if (poll(fds, 2, -1) < 0)
            continue; /* EINTR */
        if (fds[1].revents != 0 && !supervisor_says(r)) {
            r->stop = true;
            (void)kill(pid, SIGKILL);
            break;
        }
        if (fds[0].revents != 0)
            break;
    }
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
}

/* A child that died has answered nothing: the vault is told so in its place. */
static bool answer_for(struct recheck *r, uint32_t id, int status)
{
    struct writer w = writer_new(256);
    bool ok;

    field_put_uint(&w, FIELD_RESULT, ERR_CLOSED);
    field_put_str(&w, FIELD_ERROR_TEXT, WIFSIGNALED(status) ? "the walk died of a signal" : "the walk failed");
    ok = channel_send(&r->vault, VERB_REPLY, id, writer_span(&w), NULL, 0, NULL);
    writer_done(&w);
    return ok;
}

/* One object in a process of its own. False where the conversation cannot go on. */
static bool walk_in_child(struct recheck *r, struct message *m, struct error *err)
{
    int pair[2], status = 0;
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return error_errno(err, "socketpair");
    pid = fork();
    if (pid == 0)
        child_main(r, m);
    (void)close(pair[1]);
    if (pid > 0)
        await_child(r, pid, pair[0], &status);
    (void)close(pair[0]);
    if (pid < 0)
        return error_errno(err, "fork");
    return r->stop || status == 0 || answer_for(r, m->id, status) || error_set(err, ERR_CLOSED, "the vault is gone");
}

/* False when it is time to go. */
static bool vault_says(struct recheck *r)
{
    struct message m;
    struct error err = { 0 };
    bool ok;

    if (!channel_receive(&r->vault, r->buffer, CHANNEL_MESSAGE_MAX, &m, 0, &err))
        return err.code == ERR_TIMEOUT; /* the vault ended the conversation: a fresh process begins another */
    ok = m.verb == VERB_PUT_DATA || walk_in_child(r, &m, &err); /* PUT_DATA: on its way when a walk died */
    message_done(&m);
    if (!ok)
        log_warn(&r->role.log, "recheck.conversation-broken", f_err(&err));
    return ok && !r->stop;
}

static void run(struct recheck *r)
{
    for (;;) {
        struct pollfd fds[] = { { .fd = role_fd(&r->role), .events = POLLIN }, { .fd = r->vault.fd, .events = POLLIN } };

        if (poll(fds, 2, -1) < 0)
            continue; /* EINTR */
        if (fds[0].revents != 0 && !supervisor_says(r))
            return;
        if (fds[1].revents != 0 && !vault_says(r))
            return;
    }
}

int recheck_role_run(int control_fd)
{
    struct recheck r = { .vault = { -1 } };
    struct error err;
    int status = ROLE_EXIT_FAILED;

    if (!role_begin(&r.role, "recheck", control_fd, &err))
        return ROLE_EXIT_FAILED;
    r.buffer = malloc(CHANNEL_MESSAGE_MAX);
    if (r.buffer == NULL || !sandbox_enter(SANDBOX_GATE_LISTENER, NULL, &r.role.log, &err)
        || !role_ready(&r.role, &err)) {
        log_error(&r.role.log, "recheck.not-started", f_str("error", r.buffer == NULL ? "memory" : err.text));
    } else {
        run(&r);
        status = ROLE_EXIT_OK;
    }
    file_close(&r.vault.fd);
    free(r.buffer);
    role_end(&r.role);
    return status;
}
