/* See spawn.h. */
#include "cmd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/role.h"

#define RELAY_PACKET_MAX       ((size_t)16 * 1024) /* a longer single write, as of a sanitizer's report, is cut */
#define RELAY_PACKETS_PER_TURN 64                  /* one that writes without end does not keep us from the others */
#define EXIT_NOT_STARTED       127

/* What a build for tests is told by its environment; a release build reads none of them. */
static const char *const passed_on[] = { "ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS" };

bool relays_open(struct relay *relays, struct error *err)
{
    for (size_t i = 0; i < RELAY_COUNT; i++) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
            return error_errno(err, "socketpair");
        relays[i] =
            (struct relay){ .near = fds[0], .far = fds[1], .out = i == RELAY_OUT ? STDOUT_FILENO : STDERR_FILENO };
    }
    if (fcntl(relays[RELAY_OWN].far, F_SETFL, O_NONBLOCK) != 0)
        return error_errno(err, "our own log");
    return true;
}

void relays_close(struct relay *relays)
{
    for (size_t i = 0; i < RELAY_COUNT; i++) {
        file_close(&relays[i].near);
        file_close(&relays[i].far);
    }
}

/* A pipe that says so takes PIPE_BUF bytes without waiting: pipe(7), poll(2). */
static bool takes_bytes(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static bool pass_packet(int out, struct span packet)
{
    while (packet.len > 0 && takes_bytes(out)) {
        if (!file_write_all(out, span_part(packet, 0, PIPE_BUF), NULL))
            return false;
        packet = span_part(packet, PIPE_BUF, packet.len);
    }
    return packet.len == 0;
}

void relay_pass(struct relay *r, const struct log *log)
{
    uint8_t packet[RELAY_PACKET_MAX];
    ssize_t n;

    for (int i = 0; i < RELAY_PACKETS_PER_TURN && (n = recv(r->near, packet, sizeof packet, MSG_DONTWAIT)) > 0; i++)
        r->lost += !pass_packet(r->out, span_of(packet, (size_t)n));
    if (r->lost > 0 && takes_bytes(r->out)) {
        log_warn(log, "log.lost", f_uint("packets", r->lost));
        r->lost = 0;
    }
}

static void fill_environment(char *environment[COUNT_OF(passed_on) + 1], char texts[COUNT_OF(passed_on)][512])
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(passed_on); i++) {
        const char *value = getenv(passed_on[i]);
        int len = value == NULL ? -1 : snprintf(texts[n], sizeof texts[n], "%s=%s", passed_on[i], value);

        if (len > 0 && (size_t)len < sizeof texts[n]) {
            environment[n] = texts[n];
            n++;
        }
    }
    environment[n] = NULL;
}

/* `from` is above CONTROL_FD, so that what comes out is never close-on-exec. */
static bool place(int from, int to)
{
    return dup2(from, to) == to;
}

/* Between fork and exec, in the child. Does not return. */
static void become(int exe_fd, const char *name, int control, const struct relay *relays, pid_t parent)
{
    char texts[COUNT_OF(passed_on)][512];
    char *environment[COUNT_OF(passed_on) + 1];
    char role[32];
    char program[] = "fanal", option[] = "--role";
    sigset_t none;

    fill_environment(environment, texts);
    (void)sigemptyset(&none);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || setsid() < 0 /* Ctrl-C is for the supervisor */
        || sigprocmask(SIG_SETMASK, &none, NULL) != 0 || !span_to_str(span_str(name), role, sizeof role)
        || !place(relays[RELAY_OUT].far, STDIN_FILENO) || !place(relays[RELAY_OUT].far, STDOUT_FILENO)
        || !place(relays[RELAY_ERR].far, STDERR_FILENO) || !place(control, CONTROL_FD)
        || close_range(CONTROL_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        _exit(EXIT_NOT_STARTED);
    (void)fexecve(exe_fd, (char *[]){ program, option, role, NULL }, environment);
    _exit(EXIT_NOT_STARTED);
}

/* A descriptor above CONTROL_FD for what lies on or below it, so that placing one does not close another. */
static int above_control(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, CONTROL_FD + 1);
}

pid_t spawn_role(int exe_fd, const char *name, int control, const struct relay *relays, struct error *err)
{
    struct relay high[RELAY_COUNT] = {
        [RELAY_OWN] = { .near = -1, .far = -1 },
        [RELAY_OUT] = { .near = -1, .far = above_control(relays[RELAY_OUT].far) },
        [RELAY_ERR] = { .near = -1, .far = above_control(relays[RELAY_ERR].far) },
    };
    int high_exe = above_control(exe_fd), high_control = above_control(control);
    pid_t parent = getpid(), pid = -1;

    if (high[RELAY_OUT].far < 0 || high[RELAY_ERR].far < 0 || high_exe < 0 || high_control < 0)
        (void)error_errno(err, "descriptors of a role");
    else if ((pid = fork()) == 0)
        become(high_exe, name, high_control, high, parent);
    else if (pid < 0)
        (void)error_errno(err, "fork");
    relays_close(high);
    file_close(&high_exe);
    file_close(&high_control);
    return pid;
}
