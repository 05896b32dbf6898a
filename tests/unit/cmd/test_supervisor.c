/*
 * The supervisor with roles of the test's own: this program is started again as each of them (`--role NAME`). What
 * supervisor and roles write comes to the test through a pipe and is waited for, line by line.
 */
#include "cmd/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel/role.h"

#include "../test.h"

#define PATIENCE_MS 10000 /* for a line that must come; far more than a loaded machine needs */

/* ---- the roles ---- */

static const struct span nothing = { NULL, 0 };

/* Says what it hears; answers TELL on what it was joined to. Stays until STOP or the end. */
static int vault_main(void)
{
    static uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct channel peers[8];
    size_t count = 0;
    struct role role;
    struct role_event e;
    struct message m;
    struct error err;

    if (!role_begin(&role, "vault", CONTROL_FD, &err) || !role_ready(&role, &err))
        return ROLE_EXIT_FAILED;
    for (;;) {
        struct pollfd fds[9] = { { .fd = role_fd(&role), .events = POLLIN } };

        for (size_t i = 0; i < count; i++)
            fds[1 + i] = (struct pollfd){ .fd = peers[i].fd, .events = POLLIN };
        (void)poll(fds, (nfds_t)count + 1, -1);
        for (size_t i = 0; i < count; i++)
            if (fds[1 + i].revents != 0) {
                if (channel_receive(&peers[i], buffer, sizeof buffer, &m, 0, &err))
                    (void)channel_send(&peers[i], VERB_REPLY, m.id, nothing, NULL, 0, &err);
                else
                    channel_close(&peers[i]);
            }
        if (fds[0].revents == 0)
            continue;
        if (!role_next(&role, 0, &e, &err))
            return ROLE_EXIT_FAILED;
        if (e.kind == ROLE_JOIN && count < COUNT_OF(peers)) {
            peers[count++] = e.channel;
            log_info(&role.log, "test.joined", f_uint("process", e.process), f_uint("number", e.number));
        } else if (e.kind == ROLE_CRASH) {
            log_info(&role.log, "test.crash", f_span("name", fields_text(e.fields, FIELD_NAME)),
                     f_span("status", fields_text(e.fields, FIELD_STATUS_TEXT)));
        } else {
            log_info(&role.log, "test.stopped");
            role_end(&role);
            return ROLE_EXIT_OK;
        }
    }
}

/* Says READY, then calls the vault on each conversation that it is given. */
static int gate_main(void)
{
    static uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct role role;
    struct role_event e;
    struct message m;
    struct error err;

    if (!role_begin(&role, "gate", CONTROL_FD, &err) || !role_ready(&role, &err))
        return ROLE_EXIT_FAILED;
    log_info(&role.log, "test.settings", f_uint("connections_max", fields_uint(role.fields, FIELD_CONNECTIONS_MAX, 0)),
             f_uint("fds", role.fd_count), f_uint("environment", getenv("HOME") != NULL));
    while (role_next(&role, -1, &e, &err) && e.kind == ROLE_JOIN) {
        if (channel_send(&e.channel, VERB_TELL, 7, nothing, NULL, 0, &err)
            && channel_receive(&e.channel, buffer, sizeof buffer, &m, PATIENCE_MS, &err))
            log_info(&role.log, "test.answered", f_int("pid", getpid()));
        channel_close(&e.channel);
    }
    role_end(&role);
    return ROLE_EXIT_OK;
}

/* Serves, and hears nothing any more. */
static int deaf_main(void)
{
    struct role role;
    struct error err;

    if (!role_begin(&role, "deaf", CONTROL_FD, &err) || !role_ready(&role, &err))
        return ROLE_EXIT_FAILED;
    for (;;)
        (void)pause();
}

/* Writes more than any pipe holds, then serves. */
static int talker_main(void)
{
    struct role role;
    struct error err;

    if (!role_begin(&role, "talker", CONTROL_FD, &err))
        return ROLE_EXIT_FAILED;
    for (int i = 0; i < 3000; i++)
        log_info(&role.log, "test.talk", f_str("text", "0123456789012345678901234567890123456789"));
    (void)role_ready(&role, &err);
    for (;;)
        (void)pause();
}

/* Says what nobody asked for. */
static int liar_main(void)
{
    struct role role;
    struct error err;

    if (!role_begin(&role, "liar", CONTROL_FD, &err) || !role_ready(&role, &err) || !role_ready(&role, &err))
        return ROLE_EXIT_FAILED;
    for (;;)
        (void)pause();
}

static int role_main(const char *name)
{
    if (strcmp(name, "vault") == 0)
        return vault_main();
    if (strcmp(name, "gate") == 0)
        return gate_main();
    if (strcmp(name, "deaf") == 0)
        return deaf_main();
    if (strcmp(name, "talker") == 0)
        return talker_main();
    if (strcmp(name, "liar") == 0)
        return liar_main();
    if (strcmp(name, "refuser") == 0)
        return ROLE_EXIT_REFUSED;
    return ROLE_EXIT_FAILED; /* "crasher" */
}

/* ---- a supervisor in a process of its own ---- */

static struct running {
    pid_t pid;
    int out; /* its standard error, and of its roles */
    char text[1 << 18];
    size_t len;
} running;

static int local_listener = -1;
static int all_ready[2] = { -1, -1 }; /* a byte comes when every role has said READY */

static void tell_ready(void *context)
{
    (void)context;
    if (all_ready[1] >= 0 && write(all_ready[1], "x", 1) != 1)
        abort();
}

/* The time of tests that wait for a deadline: four times as fast. */
static uint64_t hurried_ms(const struct clock *self)
{
    (void)self;
    return clock_monotonic_ms(&clock_system) * 4;
}

static const struct clock *supervisor_clock = &clock_system;

static void supervisor_main(const struct supervisor_plan *plan, int err_fd)
{
    struct log log = { .fd = STDERR_FILENO, .least = LOG_INFO, .clock = &clock_system, .process = "supervisor" };
    struct supervisor_plan p = *plan;
    struct error err = { 0 };
    bool good;

    if (dup2(err_fd, STDERR_FILENO) < 0 || dup2(err_fd, STDOUT_FILENO) < 0)
        _exit(99);
    p.log = &log;
    p.clock = supervisor_clock;
    p.ready = tell_ready;
    p.exe_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    good = supervisor_run(&p, &err);
    log_info(&log, "test.ended", f_err(&err));
    _exit(good ? 0 : 1);
}

static void start(const struct role_plan *roles, size_t role_count, const struct link_plan *links, size_t link_count)
{
    struct supervisor_plan plan = { .roles = roles,
                                    .role_count = role_count,
                                    .links = links,
                                    .link_count = link_count,
                                    .local_fd = local_listener,
                                    .local_uid = getuid() };
    int pipes[2];

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    running.len = 0;
    running.pid = fork();
    if (running.pid == 0)
        supervisor_main(&plan, pipes[1]);
    (void)close(pipes[1]);
    running.out = pipes[0];
}

/* Reads until `text` has come `times` times in all. Returns where its last one begins; NULL after PATIENCE_MS or at the
 * end. */
static const char *wait_text(const char *text, size_t times)
{
    for (;;) {
        const char *at = running.text;
        size_t seen = 0;
        struct pollfd p = { .fd = running.out, .events = POLLIN };
        ssize_t n;

        running.text[running.len] = '\0';
        while ((at = strstr(at, text)) != NULL && ++seen < times)
            at++;
        if (at != NULL && strchr(at, '\n') != NULL)
            return at;
        if (poll(&p, 1, PATIENCE_MS) <= 0)
            break;
        n = read(running.out, running.text + running.len, sizeof running.text - 1 - running.len);
        if (n <= 0)
            break;
        running.len += (size_t)n;
    }
    print_error("no \"%s\" x %zu in:\n%s", text, times, running.text);
    return NULL;
}

static bool saw(const char *text, size_t times)
{
    return wait_text(text, times) != NULL;
}

/* pid=… of the line that begins with text, its times-th. */
static pid_t pid_of(const char *text, size_t times)
{
    const char *at = wait_text(text, times);

    at = at == NULL ? NULL : strstr(at, "pid=");
    return at == NULL ? -1 : (pid_t)strtol(at + 4, NULL, 10);
}

/* Waits for the supervisor; its exit status. */
static int ended(void)
{
    int status;

    assert_int_equal(waitpid(running.pid, &status, 0), running.pid);
    (void)close(running.out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int stop(void)
{
    assert_int_equal(kill(running.pid, SIGTERM), 0);
    assert_true(saw("test.ended", 1));
    return ended();
}

#define VAULT                                                                                                          \
    {                                                                                                                  \
        .name = "vault", .kind = PROCESS_VAULT, .is_vault = true                                                       \
    }
#define GATE                                                                                                           \
    {                                                                                                                  \
        .name = "gate", .kind = PROCESS_DICOM_LISTENER                                                                 \
    }

static const struct link_plan vault_gate[] = { { 0, 1 } };

/* ---- tests ---- */

TEST(roles_start_talk_and_stop_in_order)
{
    struct writer settings = writer_new(100);
    struct role_plan roles[] = { VAULT, GATE };
    const char *gate_gone, *vault_stopped;

    field_put_uint(&settings, FIELD_CONNECTIONS_MAX, 5);
    roles[1].settings = writer_span(&settings);
    roles[1].fds[0] = 0;
    roles[1].fd_count = 1;
    start(roles, 2, vault_gate, 1);
    CHECK(saw("role.ready process=supervisor name=vault", 1) && saw("role.ready process=supervisor name=gate", 1));
    CHECK(saw("test.settings process=gate connections_max=5 fds=1 environment=0", 1));
    CHECK(saw("test.joined process=vault process=3 number=0", 1));
    CHECK(saw("test.answered", 1));
    CHECK(stop() == 0);
    gate_gone = wait_text("serve.stopping", 1);
    vault_stopped = wait_text("test.stopped", 1);
    CHECK(gate_gone != NULL && vault_stopped > gate_gone);
    CHECK(strstr(running.text, "role.killed") == NULL);
    writer_done(&settings);
}

TEST(a_dead_gate_comes_back_and_the_vault_hears_of_it)
{
    const struct role_plan roles[] = { VAULT, GATE };

    start(roles, 2, vault_gate, 1);
    CHECK(saw("test.answered", 1) && saw("role.ready process=supervisor name=vault", 1));
    CHECK(kill(pid_of("role.started process=supervisor name=gate", 1), SIGKILL) == 0);
    CHECK(saw("test.crash process=vault name=gate status=\"signal 9\"", 1));
    CHECK(saw("test.answered", 2));
    CHECK(stop() == 0);
}

TEST(a_dead_vault_comes_back_and_gates_go_on_with_it)
{
    const struct role_plan roles[] = { VAULT, GATE };

    start(roles, 2, vault_gate, 1);
    for (size_t i = 1; i <= 3; i++) {
        CHECK(saw("test.answered", i) && saw("role.ready process=supervisor name=vault", i));
        CHECK(i == 1
              || saw("test.crash process=vault name=vault status=\"signal 9\"", i - 1)); /* else it dies with it */
        CHECK(kill(pid_of("role.started process=supervisor name=vault", i), SIGKILL) == 0);
    }
    CHECK(saw("test.answered", 4));
    CHECK(saw("test.crash process=vault name=vault status=\"signal 9\"", 3));
    CHECK(pid_of("test.answered", 4) == pid_of("test.answered", 1)); /* the same gate */
    CHECK(stop() == 0);
}

/* It is tried again, ever later, and the others do not suffer. */
TEST(a_role_that_cannot_start_backs_off)
{
    const struct role_plan roles[] = { VAULT, GATE, { .name = "crasher", .kind = PROCESS_WEB } };

    start(roles, 3, vault_gate, 1);
    CHECK(saw("role.died process=supervisor name=crasher number=0 status=\"exit 1\" restart_ms=50", 1));
    CHECK(saw("restart_ms=100", 1) && saw("restart_ms=200", 1) && saw("restart_ms=400", 1));
    CHECK(saw("test.answered", 1) && saw("test.crash process=vault name=crasher", 3));
    CHECK(stop() == 0);
}

TEST(a_vault_that_refuses_ends_it_all)
{
    const struct role_plan roles[] = { { .name = "refuser", .kind = PROCESS_VAULT, .is_vault = true }, GATE };

    start(roles, 2, vault_gate, 1);
    CHECK(saw("test.ended", 1));
    CHECK(ended() == 1);
}

TEST(what_does_not_stop_is_killed)
{
    const struct role_plan roles[] = { VAULT, { .name = "deaf", .kind = PROCESS_LENS } };

    const struct clock hurried = { .wall_us = clock_system.wall_us, .monotonic_ms = hurried_ms };
    const char *said;

    supervisor_clock = &hurried;
    start(roles, 2, NULL, 0);
    supervisor_clock = &clock_system;
    CHECK(saw("role.ready process=supervisor name=deaf", 1) && saw("role.ready process=supervisor name=vault", 1));
    (void)stop(); /* the vault has few real milliseconds left: it may be late too */
    CHECK(saw("role.killed process=supervisor name=deaf", 1) && saw("test.stopped", 1));
    said = strstr(running.text, "role.killed process=supervisor name=deaf");
    CHECK(strstr(said + 1, "role.killed process=supervisor name=deaf") == NULL); /* once, however long it takes to die */
}

TEST(a_role_that_says_too_much_is_killed)
{
    const struct role_plan roles[] = { VAULT, { .name = "liar", .kind = PROCESS_LENS } };

    start(roles, 2, NULL, 0);
    CHECK(saw("role.killed process=supervisor name=liar number=0 reason=\"unexpected word\"", 2));
    CHECK(stop() == 0);
}

TEST(nothing_outlives_the_supervisor)
{
    const struct role_plan roles[] = { VAULT, { .name = "deaf", .kind = PROCESS_LENS } };
    char rest[256];
    ssize_t n;

    start(roles, 2, NULL, 0);
    CHECK(saw("role.ready process=supervisor name=deaf", 1));
    CHECK(kill(running.pid, SIGKILL) == 0);
    do { /* the pipe ends when the last process that could write to it is gone */
        struct pollfd p = { .fd = running.out, .events = POLLIN };

        CHECK(poll(&p, 1, PATIENCE_MS) == 1);
        n = read(running.out, rest, sizeof rest);
    } while (n > 0);
    CHECK(n == 0 && ended() == -1);
}

/* Nobody reads the log: everything goes on, and what is missing is said when somebody does. */
TEST(a_log_that_stands_still_stops_nobody)
{
    const struct role_plan roles[] = { VAULT, { .name = "talker", .kind = PROCESS_LENS } };
    struct pollfd ready = { .events = POLLIN };

    CHECK(pipe2(all_ready, O_CLOEXEC) == 0);
    start(roles, 2, NULL, 0);
    ready.fd = all_ready[0];
    CHECK(poll(&ready, 1, PATIENCE_MS) == 1);
    (void)close(all_ready[0]);
    (void)close(all_ready[1]);
    all_ready[0] = all_ready[1] = -1;
    CHECK(saw("test.talk", 300)); /* what the pipe held is read now */
    CHECK(kill(pid_of("role.started process=supervisor name=talker", 1), SIGKILL) == 0);
    CHECK(saw("log.lost process=supervisor packets=", 1));
    CHECK(kill(running.pid, SIGKILL) == 0 && ended() == -1);
}

TEST(local_commands_reach_the_vault)
{
    const struct role_plan roles[] = { VAULT };
    static uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct sockaddr_un name = { .sun_family = AF_UNIX }; /* the kernel chooses one: unix(7), autobind */
    socklen_t len = sizeof name;
    struct channel c = { socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) };
    struct message m;
    struct error err;

    local_listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(bind(local_listener, (struct sockaddr *)&name, sizeof name.sun_family) == 0
          && listen(local_listener, 4) == 0);
    CHECK(getsockname(local_listener, (struct sockaddr *)&name, &len) == 0);
    start(roles, 1, NULL, 0);
    (void)close(local_listener);
    local_listener = -1;
    CHECK(connect(c.fd, (struct sockaddr *)&name, len) == 0);
    CHECK(saw("test.joined process=vault process=10 number=0", 1));
    CHECK(channel_send(&c, VERB_FIND, 9, nothing, NULL, 0, &err));
    CHECK(channel_receive(&c, buffer, sizeof buffer, &m, PATIENCE_MS, &err) && m.verb == VERB_REPLY && m.id == 9);
    channel_close(&c);
    CHECK(stop() == 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(roles_start_talk_and_stop_in_order),
        T(a_dead_gate_comes_back_and_the_vault_hears_of_it),
        T(a_dead_vault_comes_back_and_gates_go_on_with_it),
        T(a_role_that_cannot_start_backs_off),
        T(a_vault_that_refuses_ends_it_all),
        T(what_does_not_stop_is_killed),
        T(a_role_that_says_too_much_is_killed),
        T(nothing_outlives_the_supervisor),
        T(a_log_that_stands_still_stops_nobody),
        T(local_commands_reach_the_vault),
    };

    if (argc == 3 && strcmp(argv[1], "--role") == 0)
        return role_main(argv[2]);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
