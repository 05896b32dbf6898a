/* Each profile, entered in a forked child that then tries something: what is allowed works, what is not kills. */
#include "channel/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/channel.h"

#include "../test.h"

/* Each returns true where the act succeeded. Runs in the sandboxed child. */
typedef bool act(void);

static int listening = -1; /* bound before the child is forked */
static char folder[64];    /* of this test, "<folder>/open" is what Landlock leaves to the vault */

static bool act_open(void)
{
    return open("/etc/hostname", O_RDONLY) >= 0;
}

static bool act_socket(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0;
}

static bool act_unix_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

/* To a port where nobody listens: refused by the other end, not by us. */
static bool act_connect(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == ECONNREFUSED;
}

static bool act_listen(void)
{
    return listen(socket(AF_INET, SOCK_STREAM, 0), 1) == 0;
}

static bool act_bind(void)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };

    return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&to, sizeof to) == 0;
}

static bool act_execve(void)
{
    return execve("/bin/true", (char *[]){ NULL }, (char *[]){ NULL }) == 0;
}

static bool act_ptrace_like(void)
{
    return kill(getppid(), 0) == 0;
}

static bool act_fork(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(0);
    return pid > 0 && waitpid(pid, &status, 0) == pid;
}

static bool act_accept(void)
{
    return accept4(listening, NULL, NULL, SOCK_NONBLOCK) >= 0 || errno == EAGAIN;
}

static bool act_socketpair(void)
{
    struct channel a, b;

    return channel_pair(&a, &b, NULL);
}

static bool act_executable_memory(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static void *nothing_to_do(void *context)
{
    return context;
}

static bool act_thread(void)
{
    pthread_t thread;

    return pthread_create(&thread, NULL, nothing_to_do, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static bool act_memfd(void)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    return fd >= 0 && ftruncate(fd, 4096) == 0;
}

/* What every one of them lives on. */
static bool act_ordinary(void)
{
    void *memory = malloc(3 << 20);
    struct clock const *c = &clock_system;
    struct stat st;
    struct log log = { .fd = 2, .least = LOG_ERROR, .clock = c };

    log_info(&log, "test.line");
    free(memory);
    return memory != NULL && clock_wall_us(c) > 0 && fstat(1, &st) == 0 && fcntl(1, F_GETFL) >= 0
           && poll(NULL, 0, 0) == 0;
}

static bool act_tighten(void)
{
    return sandbox_enter(SANDBOX_GATE_CHILD, NULL, NULL, NULL);
}

/* A fork of the listener that has become a gate's child cannot accept any more. */
static bool act_tighten_and_accept(void)
{
    return act_tighten() && act_accept();
}

static bool act_write_allowed_file(void)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/open/new", folder);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return fd >= 0 && file_write_all(fd, SPAN_LIT("x"), NULL) && file_sync(fd, NULL) && ftruncate(fd, 0) == 0
           && unlink(path) == 0;
}

/* Landlock says no (EACCES); the process lives. */
static bool act_meet_landlock(void)
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/closed", folder);
    return open("/etc/hostname", O_RDONLY) < 0 && errno == EACCES && mkdir(path, 0700) != 0 && errno == EACCES;
}

enum { WORKS, FAILS, KILLED };

/* Status of a child that entered the profile and acted: WORKS, FAILS, KILLED (by SIGSYS), or -1. */
static int outcome_of(enum sandbox_profile profile, const struct sandbox_paths *paths, act *what)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct error err;

        if (!sandbox_enter(profile, paths, NULL, &err)) {
            (void)fprintf(stderr, "# %s\n", err.text);
            _exit(9);
        }
        _exit(what() ? 0 : 1);
    }
    if (waitpid(pid, &status, 0) != pid)
        return -1;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : -1;
    return WEXITSTATUS(status) == 0 ? WORKS : WEXITSTATUS(status) == 1 ? FAILS : -1;
}

TEST(each_profile_allows_and_kills)
{
    const struct {
        const char *name;
        enum sandbox_profile profile;
        act *what;
        int want;
    } rows[] = {
        { "listener ordinary", SANDBOX_GATE_LISTENER, act_ordinary, WORKS },
        { "listener accepts", SANDBOX_GATE_LISTENER, act_accept, WORKS },
        { "listener makes a channel", SANDBOX_GATE_LISTENER, act_socketpair, WORKS },
        { "listener forks", SANDBOX_GATE_LISTENER, act_fork, WORKS },
        { "listener tightens", SANDBOX_GATE_LISTENER, act_tighten, WORKS },
        { "listener's child accepts", SANDBOX_GATE_LISTENER, act_tighten_and_accept, KILLED },
        { "listener opens", SANDBOX_GATE_LISTENER, act_open, KILLED },
        { "listener makes a socket", SANDBOX_GATE_LISTENER, act_socket, KILLED },
        { "listener executes", SANDBOX_GATE_LISTENER, act_execve, KILLED },
        { "listener makes code", SANDBOX_GATE_LISTENER, act_executable_memory, KILLED },
        { "child ordinary", SANDBOX_GATE_CHILD, act_ordinary, WORKS },
        { "child accepts", SANDBOX_GATE_CHILD, act_accept, KILLED },
        { "child makes a channel", SANDBOX_GATE_CHILD, act_socketpair, KILLED },
        { "child forks", SANDBOX_GATE_CHILD, act_fork, KILLED },
        { "child opens", SANDBOX_GATE_CHILD, act_open, KILLED },
        { "child makes a socket", SANDBOX_GATE_CHILD, act_socket, KILLED },
        { "child executes", SANDBOX_GATE_CHILD, act_execve, KILLED },
        { "child signals", SANDBOX_GATE_CHILD, act_ptrace_like, KILLED },
        { "web ordinary", SANDBOX_WEB, act_ordinary, WORKS },
        { "web accepts", SANDBOX_WEB, act_accept, WORKS },
        { "web makes a channel", SANDBOX_WEB, act_socketpair, WORKS },
        { "web starts a thread", SANDBOX_WEB, act_thread, WORKS },
        { "web makes a memfd", SANDBOX_WEB, act_memfd, WORKS },
        { "web forks", SANDBOX_WEB, act_fork, KILLED },
        { "web opens", SANDBOX_WEB, act_open, KILLED },
        { "web makes a socket", SANDBOX_WEB, act_socket, KILLED },
        { "web executes", SANDBOX_WEB, act_execve, KILLED },
        { "lens ordinary", SANDBOX_LENS, act_ordinary, WORKS },
        { "lens accepts", SANDBOX_LENS, act_accept, KILLED },
        { "lens starts a thread", SANDBOX_LENS, act_thread, KILLED },
        { "lens opens", SANDBOX_LENS, act_open, KILLED },
        { "lens makes a socket", SANDBOX_LENS, act_socket, KILLED },
        { "lens executes", SANDBOX_LENS, act_execve, KILLED },
        { "relay ordinary", SANDBOX_RELAY, act_ordinary, WORKS },
        { "relay makes a socket", SANDBOX_RELAY, act_socket, WORKS },
        { "relay connects", SANDBOX_RELAY, act_connect, WORKS },
        { "relay makes a local socket", SANDBOX_RELAY, act_unix_socket, KILLED },
        { "relay binds", SANDBOX_RELAY, act_bind, KILLED },
        { "relay listens", SANDBOX_RELAY, act_listen, KILLED },
        { "relay accepts", SANDBOX_RELAY, act_accept, KILLED },
        { "relay opens", SANDBOX_RELAY, act_open, KILLED },
        { "relay starts a thread", SANDBOX_RELAY, act_thread, KILLED },
        { "relay forks", SANDBOX_RELAY, act_fork, KILLED },
        { "relay executes", SANDBOX_RELAY, act_execve, KILLED },
        { "vault ordinary", SANDBOX_VAULT, act_ordinary, WORKS },
        { "vault starts a thread", SANDBOX_VAULT, act_thread, WORKS },
        { "vault makes a memfd", SANDBOX_VAULT, act_memfd, WORKS },
        { "vault forks", SANDBOX_VAULT, act_fork, KILLED },
        { "vault accepts", SANDBOX_VAULT, act_accept, KILLED },
        { "vault makes a socket", SANDBOX_VAULT, act_socket, KILLED },
        { "vault executes", SANDBOX_VAULT, act_execve, KILLED },
    };

    EACH(row, rows)
    CHECK_ROW(row->name, outcome_of(row->profile, NULL, row->what) == row->want);
}

TEST(vault_keeps_its_directory_and_nothing_else)
{
    char open_path[80];
    struct sandbox_paths paths = { .writable = { open_path }, .readable = { "/nonexistent" } };

    (void)snprintf(folder, sizeof folder, "/tmp/fanal-sandbox-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    (void)snprintf(open_path, sizeof open_path, "%s/open", folder);
    CHECK(mkdir(open_path, 0700) == 0);
    CHECK(outcome_of(SANDBOX_VAULT, &paths, act_write_allowed_file) == WORKS);
    CHECK(outcome_of(SANDBOX_VAULT, NULL, act_write_allowed_file) == FAILS);
    CHECK(outcome_of(SANDBOX_VAULT, &paths, act_meet_landlock) == WORKS);
    CHECK(rmdir(open_path) == 0 && rmdir(folder) == 0);
}

static bool act_has_no_core_and_few_descriptors(void)
{
    struct rlimit core, files;

    return getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 && getrlimit(RLIMIT_NOFILE, &files) == 0
           && files.rlim_max <= 1024;
}

TEST(limits_are_lowered)
{
    CHECK(outcome_of(SANDBOX_GATE_LISTENER, NULL, act_has_no_core_and_few_descriptors) == WORKS);
}

/* What an auditor sees from outside. */
TEST(status_of_the_process_shows_the_filter)
{
    int pipes[2];
    char byte = 0, path[64];
    struct writer status = writer_new(64 * 1024);
    struct error err;
    pid_t pid;

    CHECK(pipe(pipes) == 0);
    pid = fork();
    if (pid == 0) {
        if (sandbox_enter(SANDBOX_LENS, NULL, NULL, &err) && write(pipes[1], "x", 1) == 1)
            for (;;)
                (void)poll(NULL, 0, -1);
        _exit(1);
    }
    (void)close(pipes[1]);
    CHECK(read(pipes[0], &byte, 1) == 1);
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    CHECK(file_slurp(path, &status, &err));
    write_u8(&status, 0);
    CHECK(strstr((const char *)status.ptr, "Seccomp:\t2") != NULL);
    CHECK(strstr((const char *)status.ptr, "NoNewPrivs:\t1") != NULL);
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    (void)close(pipes[0]);
    writer_done(&status);
}

static int listen_anywhere(void **state)
{
    (void)state;
    listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return listening >= 0 && listen(listening, 1) == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = { T(each_profile_allows_and_kills), T(vault_keeps_its_directory_and_nothing_else),
                                        T(limits_are_lowered), T(status_of_the_process_shows_the_filter) };

    if (!sandbox_is_complete()) { /* cmocka's own skip prints "not ok", which TAP counts as a failure */
        (void)puts("1..1\nok 1 - every profile # SKIP no profile is entered in a build with ASan or TSan");
        return 0;
    }
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, listen_anywhere, NULL);
}
