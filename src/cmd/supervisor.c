/* See supervisor.h. One thread, one poll loop; spawn.c is what happens between fork and exec. */
#include "cmd/supervisor.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/role.h"
#include "cmd/spawn.h"

enum process_state {
    PROCESS_WAITS,  /* not running; start_ms says when it may */
    PROCESS_STARTS, /* running, has not said READY */
    PROCESS_SERVES,
};

struct process {
    const struct role_plan *plan;
    enum process_state state;
    pid_t pid;
    struct channel control;
    uint64_t start_ms;     /* of its last start, or of its next */
    unsigned quick_deaths; /* in a row */
    uint64_t kill_ms;      /* 0, or when it is killed that has hung up and does not end */
    bool has_served;       /* said READY at least once */
    bool killed;           /* and not reaped yet: it is said and done once */
    const char *name;      /* of the role that runs in it */
};

#define STATUS_TEXT_SIZE 24 /* "signal 11", "exit 1" */

struct crash {
    const struct process *process;
    char status[STATUS_TEXT_SIZE];
};

enum phase { PHASE_SERVE, PHASE_STOP_GATES, PHASE_STOP_VAULT };

struct supervisor {
    const struct supervisor_plan *plan;
    struct log log; /* the plan's, through a relay of its own */
    struct process processes[SUPERVISOR_ROLES_MAX];
    struct crash crashes[SUPERVISOR_CRASHES_MAX];
    size_t crash_count;
    enum phase phase;
    uint64_t stop_ms; /* when stopping began */
    bool ready_told, sealed_told;
    int secret_fd; /* what a sealed vault was opened with; owned; -1 */
    bool failed; /* the vault refused, or had to be killed */
    int signals; /* signalfd */
    struct relay relays[RELAY_COUNT];
    unsigned local_count; /* connections handed to the vault so far */
    uint8_t *buffer;
};

static uint64_t now(const struct supervisor *s)
{
    return clock_monotonic_ms(s->plan->clock);
}

static struct process *vault_of(struct supervisor *s)
{
    for (size_t i = 0; i < s->plan->role_count; i++)
        if (s->processes[i].plan->is_vault)
            return &s->processes[i];
    return NULL;
}

/* Nobody has given the secret of this vault yet. */
static bool is_sealed(const struct supervisor *s, const struct process *p)
{
    return p->plan->sealed_name != NULL && p->plan->fd_count == 0 && s->secret_fd < 0;
}

/* ---- words to a role: one that does not take them is killed, and its death seen by reap() ---- */

static void process_kill(struct supervisor *s, struct process *p, const char *why)
{
    if (p->pid <= 0 || p->killed)
        return;
    p->killed = true;
    log_warn(&s->log, "role.killed", f_str("name", p->plan->name), f_uint("number", p->plan->number),
             f_str("reason", why));
    (void)kill(p->pid, SIGKILL); /* it is our child and not reaped yet, so the number is its own */
}

/* False where it does not take the message and has to go. */
static bool process_takes(struct process *p, enum verb verb, struct span fields, const int *fds, size_t fd_count,
                          struct error *err)
{
    return p->control.fd < 0 || channel_try_send(&p->control, verb, 0, fields, fds, fd_count, err)
           || err->code == ERR_CLOSED; /* it is dying already */
}

static void process_tell(struct supervisor *s, struct process *p, enum verb verb, struct span fields, const int *fds,
                         size_t fd_count)
{
    struct error err;

    if (!process_takes(p, verb, fields, fds, fd_count, &err))
        process_kill(s, p, err.text);
}

static bool join_takes(struct process *to, enum process_kind kind, unsigned number, int fd, struct error *err)
{
    struct writer w = writer_new(256);
    bool taken;

    field_put_uint(&w, FIELD_PROCESS, kind);
    field_put_uint(&w, FIELD_PROCESS_ID, number);
    taken = writer_ok(&w, err, "JOIN") && process_takes(to, VERB_JOIN, writer_span(&w), &fd, 1, err);
    writer_done(&w);
    return taken;
}

static void tell_join(struct supervisor *s, struct process *to, enum process_kind kind, unsigned number, int fd)
{
    struct error err;

    if (!join_takes(to, kind, number, fd, &err))
        process_kill(s, to, err.text);
}

/* A fresh conversation for every link of p whose other end runs too. */
static void link_process(struct supervisor *s, const struct process *p)
{
    for (size_t i = 0; i < s->plan->link_count; i++) {
        struct process *a = &s->processes[s->plan->links[i].a], *b = &s->processes[s->plan->links[i].b];
        struct channel of_a, of_b;
        struct error err;

        if ((a != p && b != p) || a->control.fd < 0 || b->control.fd < 0)
            continue;
        if (!channel_pair(&of_a, &of_b, &err)) {
            log_error(&s->log, "role.not-joined", f_str("name", a->plan->name), f_str("with", b->plan->name),
                      f_err(&err));
            continue;
        }
        tell_join(s, a, b->plan->kind, b->plan->number, of_a.fd);
        tell_join(s, b, a->plan->kind, a->plan->number, of_b.fd);
        channel_close(&of_a);
        channel_close(&of_b);
    }
}

static void tell_crashes(struct supervisor *s)
{
    struct process *vault = vault_of(s);

    if (vault == NULL || vault->state != PROCESS_SERVES)
        return;
    for (size_t i = 0; i < s->crash_count; i++) {
        const struct role_plan *plan = s->crashes[i].process->plan;
        struct writer w = writer_new(1024);

        field_put_str(&w, FIELD_NAME, plan->name);
        field_put_uint(&w, FIELD_PROCESS, plan->kind);
        field_put_uint(&w, FIELD_PROCESS_ID, plan->number);
        field_put_str(&w, FIELD_STATUS_TEXT, s->crashes[i].status);
        if (writer_ok(&w, NULL, "CRASH"))
            process_tell(s, vault, VERB_CRASH, writer_span(&w), NULL, 0);
        writer_done(&w);
    }
    s->crash_count = 0;
}

/* ---- starting and dying ---- */

static uint64_t restart_delay_ms(const struct process *p)
{
    uint64_t delay = SUPERVISOR_DELAY_FIRST_MS;

    if (p->quick_deaths == 0)
        return 0;
    for (unsigned i = 1; i < p->quick_deaths && delay < SUPERVISOR_DELAY_MAX_MS; i++)
        delay *= 2;
    return delay < SUPERVISOR_DELAY_MAX_MS ? delay : SUPERVISOR_DELAY_MAX_MS;
}

static void process_start(struct supervisor *s, struct process *p)
{
    struct channel theirs;
    struct error err;

    p->start_ms = now(s);
    if (!channel_pair(&p->control, &theirs, &err)) {
        log_error(&s->log, "role.not-started", f_str("name", p->plan->name), f_err(&err));
        p->start_ms += SUPERVISOR_DELAY_MAX_MS;
        return;
    }
    p->name = is_sealed(s, p) ? p->plan->sealed_name : p->plan->name;
    p->pid = spawn_role(s->plan->exe_fd, p->name, theirs.fd, s->relays, &err);
    channel_close(&theirs);
    if (p->pid < 0) {
        channel_close(&p->control);
        log_error(&s->log, "role.not-started", f_str("name", p->plan->name), f_err(&err));
        p->start_ms += SUPERVISOR_DELAY_MAX_MS;
        return;
    }
    p->state = PROCESS_STARTS;
    log_info(&s->log, "role.started", f_str("name", p->name), f_uint("number", p->plan->number),
             f_int("pid", p->pid));
    if (p->plan->is_vault && p->plan->fd_count == 0 && s->secret_fd >= 0)
        process_tell(s, p, VERB_START, p->plan->settings, &s->secret_fd, 1);
    else
        process_tell(s, p, VERB_START, p->plan->settings, p->plan->fds, p->plan->fd_count);
    link_process(s, p);
}

static void do_what_is_due(struct supervisor *s)
{
    for (size_t i = 0; s->phase == PHASE_SERVE && i < s->plan->role_count; i++) {
        struct process *p = &s->processes[i];

        if (p->state == PROCESS_WAITS && p->start_ms <= now(s))
            process_start(s, p);
        if (p->kill_ms != 0 && p->kill_ms <= now(s)) {
            p->kill_ms = 0;
            process_kill(s, p, "hung up and did not end");
        }
    }
}

static void status_text(int status, char out[STATUS_TEXT_SIZE])
{
    if (WIFSIGNALED(status))
        (void)snprintf(out, STATUS_TEXT_SIZE, "signal %d", WTERMSIG(status));
    else
        (void)snprintf(out, STATUS_TEXT_SIZE, "exit %d", WEXITSTATUS(status));
}

static void stop_begin(struct supervisor *s);

static void process_died(struct supervisor *s, struct process *p, int status)
{
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_OK;
    char text[STATUS_TEXT_SIZE];

    status_text(status, text);
    channel_close(&p->control);
    p->pid = 0;
    p->kill_ms = 0;
    p->killed = false;
    p->state = PROCESS_WAITS;
    p->quick_deaths = now(s) - p->start_ms >= SUPERVISOR_HEALTHY_MS ? 0 : p->quick_deaths + 1;
    p->start_ms = now(s) + restart_delay_ms(p);
    if (s->phase != PHASE_SERVE) {
        s->failed |= p->plan->is_vault && !clean;
        return;
    }
    if (p->name != p->plan->name && s->secret_fd >= 0) { /* the vault is opened: it starts now, and may say no as at first */
        p->quick_deaths = 0;
        p->start_ms = now(s);
        p->has_served = false;
        return;
    }
    log_write(&s->log, clean ? LOG_INFO : LOG_ERROR, "role.died",
              LOG_FIELDS(f_str("name", p->name), f_uint("number", p->plan->number), f_str("status", text),
                         f_uint("restart_ms", restart_delay_ms(p))));
    if (!clean && s->crash_count < SUPERVISOR_CRASHES_MAX) {
        s->crashes[s->crash_count].process = p;
        memcpy(s->crashes[s->crash_count++].status, text, sizeof text);
    }
    if (p->plan->is_vault && !p->has_served && WIFEXITED(status) && WEXITSTATUS(status) == ROLE_EXIT_REFUSED) {
        s->failed = true; /* no use in trying again with the same secret */
        stop_begin(s);
    }
    tell_crashes(s);
}

static void reap(struct supervisor *s)
{
    pid_t pid;
    int status;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < s->plan->role_count; i++)
            if (s->processes[i].pid == pid)
                process_died(s, &s->processes[i], status);
}

/* ---- words from a role ---- */

static void tell_ready(struct supervisor *s)
{
    const struct process *vault = vault_of(s);

    for (size_t i = 0; i < s->plan->role_count; i++)
        if (s->processes[i].state != PROCESS_SERVES)
            return;
    if (vault != NULL && vault->name == vault->plan->sealed_name) {
        if (!s->sealed_told && s->plan->sealed != NULL)
            s->plan->sealed(s->plan->context);
        s->sealed_told = true;
        return;
    }
    if (!s->ready_told && s->plan->ready != NULL)
        s->plan->ready(s->plan->context);
    s->ready_told = true;
}

static void hear(struct supervisor *s, struct process *p)
{
    struct message m;
    struct error err;

    if (!channel_receive(&p->control, s->buffer, CHANNEL_MESSAGE_MAX, &m, 0, &err)) {
        if (err.code == ERR_CLOSED) {
            channel_close(&p->control); /* it ends; reap() will tell how */
            p->kill_ms = now(s) + SUPERVISOR_ENDING_MS;
        } else if (err.code != ERR_TIMEOUT)
            process_kill(s, p, err.text);
        return;
    }
    if (m.verb == VERB_OPENED && m.fd_count == 1 && is_sealed(s, p) && p->state == PROCESS_SERVES) {
        s->secret_fd = m.fds[0]; /* it ends now, and the vault takes its place */
        m.fds[0] = -1;
        return;
    }
    message_done(&m);
    if (m.verb != VERB_READY || p->state != PROCESS_STARTS) {
        process_kill(s, p, "unexpected word");
        return;
    }
    p->state = PROCESS_SERVES;
    p->has_served = true;
    log_info(&s->log, "role.ready", f_str("name", p->name), f_uint("number", p->plan->number),
             f_uint("after_ms", now(s) - p->start_ms));
    if (p->plan->is_vault)
        tell_crashes(s);
    tell_ready(s);
}

/* A command on this machine: root or the owner, nobody else, is handed to the vault. */
static void local_accept(struct supervisor *s)
{
    CLEANUP(file_close) int fd = accept4(s->plan->local_fd, NULL, NULL, SOCK_CLOEXEC);
    struct ucred peer = { .uid = (uid_t)-1 };
    socklen_t len = sizeof peer;
    struct process *vault = vault_of(s);
    struct error err;

    if (fd < 0 || vault == NULL)
        return; /* it went away before we looked */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0
        || (peer.uid != 0 && peer.uid != s->plan->local_uid)) {
        log_warn(&s->log, "local.refused", f_uint("uid", peer.uid));
        return;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){ 2 * CHANNEL_MESSAGE_MAX },
                     sizeof(int));                                     /* else long answers are refused */
    if (!join_takes(vault, PROCESS_LOCAL, s->local_count++, fd, &err)) /* too many at once: they may try again */
        log_warn(&s->log, "local.refused", f_uint("uid", peer.uid), f_err(&err));
}

/* ---- stopping: gates and lenses first, then the vault, which commits ---- */

static void stop_begin(struct supervisor *s)
{
    if (s->phase != PHASE_SERVE)
        return;
    s->phase = PHASE_STOP_GATES;
    s->stop_ms = now(s);
    log_info(&s->log, "serve.stopping");
    for (size_t i = 0; i < s->plan->role_count; i++)
        if (!s->processes[i].plan->is_vault)
            process_tell(s, &s->processes[i], VERB_STOP, (struct span){ NULL, 0 }, NULL, 0);
}

static size_t running(const struct supervisor *s, bool vault)
{
    size_t n = 0;

    for (size_t i = 0; i < s->plan->role_count; i++)
        n += s->processes[i].pid > 0 && s->processes[i].plan->is_vault == vault;
    return n;
}

static void kill_late(struct supervisor *s, bool vault)
{
    for (size_t i = 0; i < s->plan->role_count; i++)
        if (s->processes[i].plan->is_vault == vault)
            process_kill(s, &s->processes[i], "did not stop in time");
}

/* True when everything has ended. */
static bool stop_go_on(struct supervisor *s)
{
    uint64_t passed = now(s) - s->stop_ms;
    struct process *vault = vault_of(s);

    if (s->phase == PHASE_STOP_GATES && running(s, false) > 0 && passed >= SUPERVISOR_GATES_STOP_MS)
        kill_late(s, false);
    if (s->phase == PHASE_STOP_GATES && running(s, false) == 0) {
        s->phase = PHASE_STOP_VAULT;
        if (vault != NULL)
            process_tell(s, vault, VERB_STOP, (struct span){ NULL, 0 }, NULL, 0);
    }
    if (s->phase == PHASE_STOP_VAULT && running(s, true) > 0 && passed >= SUPERVISOR_STOP_MS)
        kill_late(s, true);
    return s->phase == PHASE_STOP_VAULT && running(s, true) == 0;
}

/* ---- the loop ---- */

/* Milliseconds until something is due by the clock; -1: nothing is. */
static int wait_ms(const struct supervisor *s)
{
    uint64_t due = UINT64_MAX, t = now(s);

    if (s->phase != PHASE_SERVE)
        return 100; /* a stop lasts seconds; its deadlines are looked at often enough */
    for (size_t i = 0; i < s->plan->role_count; i++) {
        const struct process *p = &s->processes[i];

        if (p->state == PROCESS_WAITS && p->start_ms < due)
            due = p->start_ms;
        if (p->kill_ms != 0 && p->kill_ms < due)
            due = p->kill_ms;
    }
    if (due == UINT64_MAX)
        return -1;
    return due <= t ? 0 : due - t < INT_MAX ? (int)(due - t) : INT_MAX;
}

static void take_signal(struct supervisor *s)
{
    struct signalfd_siginfo info;

    while (read(s->signals, &info, sizeof info) == (ssize_t)sizeof info)
        if (info.ssi_signo != SIGCHLD)
            stop_begin(s);
    reap(s); /* several deaths may have come as one signal */
}

/* What poll() looks at, in this order: signals, local commands, relays, then the roles. */
#define FIXED_FDS (2 + RELAY_COUNT)

static void turn(struct supervisor *s)
{
    struct pollfd fds[FIXED_FDS + SUPERVISOR_ROLES_MAX] = {
        { .fd = s->signals, .events = POLLIN },
        { .fd = s->phase == PHASE_SERVE ? s->plan->local_fd : -1, .events = POLLIN },
    };
    size_t n = FIXED_FDS;

    for (size_t i = 0; i < RELAY_COUNT; i++)
        fds[2 + i] = (struct pollfd){ .fd = s->relays[i].near, .events = POLLIN };
    for (size_t i = 0; i < s->plan->role_count; i++)
        fds[n++] = (struct pollfd){ .fd = s->processes[i].control.fd, .events = POLLIN };
    if (poll(fds, (nfds_t)n, wait_ms(s)) <= 0)
        return;
    for (size_t i = 0; i < RELAY_COUNT; i++)
        if (fds[2 + i].revents != 0 || s->relays[i].lost > 0)
            relay_pass(&s->relays[i], &s->log);
    for (size_t i = 0; i < s->plan->role_count; i++)
        if (fds[FIXED_FDS + i].revents != 0)
            hear(s, &s->processes[i]);
    if (fds[1].revents != 0)
        local_accept(s);
    if (fds[0].revents != 0)
        take_signal(s);
}

static bool supervisor_init(struct supervisor *s, const struct supervisor_plan *plan, struct error *err)
{
    sigset_t mine;

    s->plan = plan;
    for (size_t i = 0; i < plan->role_count; i++)
        s->processes[i] = (struct process){ .plan = &plan->roles[i], .control = { -1 } };
    s->buffer = malloc(CHANNEL_MESSAGE_MAX);
    if (s->buffer == NULL)
        return error_set(err, ERR_MEMORY, "supervisor");
    (void)sigemptyset(&mine);
    (void)sigaddset(&mine, SIGTERM);
    (void)sigaddset(&mine, SIGINT);
    (void)sigaddset(&mine, SIGHUP);
    (void)sigaddset(&mine, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &mine, NULL) != 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return error_errno(err, "signals");
    s->signals = signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0)
        return error_errno(err, "signalfd");
    if (!relays_open(s->relays, err))
        return false;
    s->log = *plan->log;
    s->log.fd = s->relays[RELAY_OWN].far;
    return true;
}

bool supervisor_run(const struct supervisor_plan *plan, struct error *err)
{
    struct supervisor *s = calloc(1, sizeof *s);
    bool good;

    if (s == NULL)
        return error_set(err, ERR_MEMORY, "supervisor");
    s->signals = s->secret_fd = -1;
    for (size_t i = 0; i < RELAY_COUNT; i++)
        s->relays[i] = (struct relay){ .near = -1, .far = -1 };
    good = supervisor_init(s, plan, err);
    while (good && (s->phase == PHASE_SERVE || !stop_go_on(s))) {
        do_what_is_due(s);
        turn(s);
    }
    for (size_t i = 0; good && i < RELAY_COUNT; i++)
        relay_pass(&s->relays[i], &s->log); /* last words */
    if (good && s->failed)
        good = error_set(err, ERR_SEALED, "the vault did not serve or did not finish");
    relays_close(s->relays);
    file_close(&s->signals);
    file_close(&s->secret_fd);
    free(s->buffer);
    free(s);
    return good;
}
