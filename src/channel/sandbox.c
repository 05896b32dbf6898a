/*
 * Profiles as tables: which system calls, which arguments, which limits. See sandbox.h.
 *
 * A call that no table names kills the process. Landlock is used by its raw system calls, because the headers of
 * Debian 12 know fewer of its versions than the kernels that Fanal meets.
 */
#include "channel/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- system calls ---- */

/* Memory, time, descriptors that are there already, the end. */
static const int calls_of_all[] = {
    SCMP_SYS(brk),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(dup),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd2),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(fcntl),
    SCMP_SYS(fstat),
    SCMP_SYS(futex),
    SCMP_SYS(getcpu),
    SCMP_SYS(getpeername),
    SCMP_SYS(getpid),
    SCMP_SYS(getppid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getrusage),
    SCMP_SYS(getsockname),
    SCMP_SYS(getsockopt),
    SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(lseek),
    SCMP_SYS(madvise),
    SCMP_SYS(membarrier),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(nanosleep),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(setitimer),
    SCMP_SYS(setsockopt),
    SCMP_SYS(shutdown),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(signalfd4),
    SCMP_SYS(sysinfo),
    SCMP_SYS(time),
    SCMP_SYS(timerfd_create),
    SCMP_SYS(timerfd_gettime),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(write),
    SCMP_SYS(writev),
};

/* A listener takes connections, forks, reaps, ends the oldest; what its child's tighter profile needs to be entered. */
static const int calls_of_listener[] = {
    SCMP_SYS(accept),    SCMP_SYS(accept4), SCMP_SYS(kill),  SCMP_SYS(prctl),
    SCMP_SYS(prlimit64), SCMP_SYS(seccomp), SCMP_SYS(wait4), SCMP_SYS(waitid),
};

static const int calls_of_web[] = {
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(ftruncate), SCMP_SYS(memfd_create),
    SCMP_SYS(pipe2),  SCMP_SYS(select),  SCMP_SYS(pselect6),  SCMP_SYS(uname),
};

/* A relay makes sockets that connect; nothing of it binds, listens or accepts. */
static const int calls_of_relay[] = {
    SCMP_SYS(connect),
};

/* Files: only below the paths that Landlock leaves. mlock: keys stay out of swap. */
static const int calls_of_vault[] = {
    SCMP_SYS(access),    SCMP_SYS(chmod),    SCMP_SYS(faccessat),       SCMP_SYS(faccessat2), SCMP_SYS(fadvise64),
    SCMP_SYS(fallocate), SCMP_SYS(fchmod),   SCMP_SYS(fchmodat),        SCMP_SYS(fdatasync),  SCMP_SYS(flock),
    SCMP_SYS(fstatfs),   SCMP_SYS(fsync),    SCMP_SYS(ftruncate),       SCMP_SYS(getcwd),     SCMP_SYS(getdents64),
    SCMP_SYS(getegid),   SCMP_SYS(geteuid),  SCMP_SYS(getgid),          SCMP_SYS(getuid),     SCMP_SYS(link),
    SCMP_SYS(linkat),    SCMP_SYS(lstat),    SCMP_SYS(memfd_create),    SCMP_SYS(mkdir),      SCMP_SYS(mkdirat),
    SCMP_SYS(mlock),     SCMP_SYS(mlock2),   SCMP_SYS(msync),           SCMP_SYS(munlock),    SCMP_SYS(newfstatat),
    SCMP_SYS(open),      SCMP_SYS(openat),   SCMP_SYS(pipe2),           SCMP_SYS(preadv),     SCMP_SYS(preadv2),
    SCMP_SYS(prlimit64), SCMP_SYS(pwritev),  SCMP_SYS(pwritev2),        SCMP_SYS(readlink),   SCMP_SYS(readlinkat),
    SCMP_SYS(rename),    SCMP_SYS(renameat), SCMP_SYS(renameat2),       SCMP_SYS(rmdir),      SCMP_SYS(stat),
    SCMP_SYS(statfs),    SCMP_SYS(statx),    SCMP_SYS(sync_file_range), SCMP_SYS(umask),      SCMP_SYS(uname),
    SCMP_SYS(unlink),    SCMP_SYS(unlinkat), SCMP_SYS(utimensat),
};

/* A call that depends on an argument, or is answered with an error instead of death (error is not 0). */
struct condition {
    int call;
    int error;
    unsigned argument;
    uint64_t mask;  /* of the argument; 0: whatever it is */
    uint64_t value; /* what the masked argument must be */
};

#define NAMESPACES                                                                                                     \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP)

static const struct condition conditions_of_all[] = {
    { SCMP_SYS(mmap), 0, 2, PROT_EXEC, 0 }, /* nobody makes code */
    { SCMP_SYS(mprotect), 0, 2, PROT_EXEC, 0 },
    { SCMP_SYS(newfstatat), 0, 3, AT_EMPTY_PATH,
      AT_EMPTY_PATH },                     /* glibc's fstat(); a path beside it tells what exists, no more */
    { SCMP_SYS(clone3), ENOSYS, 0, 0, 0 }, /* its flags lie in memory; glibc goes on with clone */
    { SCMP_SYS(ioctl), ENOTTY, 0, 0, 0 },  /* stdio asks whether it writes to a terminal */
};

static const struct condition conditions_of_listener[] = {
    { SCMP_SYS(clone), 0, 0, NAMESPACES | CLONE_VM | CLONE_THREAD, 0 }, /* fork(), nothing else */
    { SCMP_SYS(socketpair), 0, 0, UINT32_MAX, AF_UNIX },
};

static const struct condition conditions_of_web[] = {
    { SCMP_SYS(clone), 0, 0, NAMESPACES | CLONE_VM | CLONE_THREAD,
      CLONE_VM | CLONE_THREAD }, /* a thread, nothing else */
    { SCMP_SYS(socketpair), 0, 0, UINT32_MAX, AF_UNIX },
    { SCMP_SYS(prctl), 0, 0, UINT32_MAX, PR_SET_NAME },
};

static const struct condition conditions_of_relay[] = {
    { SCMP_SYS(socket), 0, 0, UINT32_MAX, AF_INET },
    { SCMP_SYS(socket), 0, 0, UINT32_MAX, AF_INET6 },
};

static const struct condition conditions_of_vault[] = {
    { SCMP_SYS(clone), 0, 0, NAMESPACES | CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD },
    { SCMP_SYS(prctl), 0, 0, UINT32_MAX, PR_SET_NAME },
    { SCMP_SYS(setpriority), 0, 0, UINT32_MAX, PRIO_PROCESS }, /* the thread that seals and scrubs steps back */
    { SCMP_SYS(ioprio_set), 0, 0, UINT32_MAX, 1 },             /* IOPRIO_WHO_PROCESS */
};

/* ---- profiles ---- */

#define MEBIBYTE ((rlim_t)1 << 20)

struct profile {
    const char *name;
    const int *calls;
    size_t call_count;
    const struct condition *conditions;
    size_t condition_count;
    rlim_t descriptors;   /* RLIMIT_NOFILE */
    rlim_t address_space; /* RLIMIT_AS, bytes; 0: unlimited */
    bool landlock;        /* a gate's child has its listener's */
    bool connects;        /* TCP, outbound: Landlock leaves it that */
};

#define CALLS(table)      .calls = (table), .call_count = COUNT_OF(table)
#define CONDITIONS(table) .conditions = (table), .condition_count = COUNT_OF(table)

static const struct profile profiles[] = {
    [SANDBOX_GATE_LISTENER] = { .name = "gate-listener",
                                CALLS(calls_of_listener),
                                CONDITIONS(conditions_of_listener),
                                .descriptors = 1024,
                                .address_space = 512 * MEBIBYTE,
                                .landlock = true },
    [SANDBOX_GATE_CHILD] = { .name = "gate-child", .descriptors = 32, .address_space = 512 * MEBIBYTE },
    [SANDBOX_WEB] = { .name = "web",
                      CALLS(calls_of_web),
                      CONDITIONS(conditions_of_web),
                      .descriptors = 1024,
                      .landlock = true }, /* a stack of 8 MiB of address space a thread: no useful bound */
    [SANDBOX_LENS] = { .name = "lens", .descriptors = 32, .address_space = 4096 * MEBIBYTE, .landlock = true },
    [SANDBOX_RELAY] = { .name = "relay",
                        CALLS(calls_of_relay),
                        CONDITIONS(conditions_of_relay),
                        .descriptors = 64,
                        .address_space = 512 * MEBIBYTE,
                        .landlock = true,
                        .connects = true },
    [SANDBOX_VAULT] = { .name = "vault",
                        CALLS(calls_of_vault),
                        CONDITIONS(conditions_of_vault),
                        .descriptors = 4096,
                        .landlock = true },
};

static bool add_calls(scmp_filter_ctx ctx, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0) < 0)
            return false;
    return true;
}

static bool add_conditions(scmp_filter_ctx ctx, const struct condition *conditions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct condition *c = &conditions[i];
        uint32_t action = c->error == 0 ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint32_t)c->error);
        struct scmp_arg_cmp cmp = { c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value };

        if (seccomp_rule_add_array(ctx, action, c->call, c->mask != 0 ? 1 : 0, &cmp) < 0)
            return false;
    }
    return true;
}

static bool enter_seccomp(const struct profile *p, struct error *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    bool good;

    if (ctx == NULL)
        return error_set(err, ERR_MEMORY, "seccomp filter");
    good = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) == 0
           && seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0 /* a tree: each call costs us less */
           && add_calls(ctx, calls_of_all, COUNT_OF(calls_of_all)) && add_calls(ctx, p->calls, p->call_count)
           && add_conditions(ctx, conditions_of_all, COUNT_OF(conditions_of_all))
           && add_conditions(ctx, p->conditions, p->condition_count) && seccomp_load(ctx) == 0;
    seccomp_release(ctx);
    return good || error_set(err, ERR_IO, "seccomp profile %s could not be loaded", p->name);
}

/* ---- Landlock (Documentation/userspace-api/landlock.rst) ---- */

struct landlock_attributes {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* from version 4 */
    uint64_t scoped;             /* from version 6 */
};

#define FS_ALL_OF_VERSION_1              (((uint64_t)LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FS_REFER                         ((uint64_t)1 << 13) /* version 2 */
#define FS_TRUNCATE                      ((uint64_t)1 << 14) /* version 3 */
#define FS_IOCTL_DEV                     ((uint64_t)1 << 15) /* version 5 */
#define NET_BIND_TCP                     ((uint64_t)1) /* version 4 */
#define NET_CONNECT_TCP                  ((uint64_t)2)
#define SCOPE_ABSTRACT_SOCKET_AND_SIGNAL ((uint64_t)3)

#define FS_READ ((uint64_t)(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR))
#define FS_WRITE                                                                                                       \
    (FS_READ | FS_REFER | FS_TRUNCATE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR                  \
     | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG)

/* What this version of Landlock can take away; *size: how much of the struct it knows. */
static struct landlock_attributes attributes_of(long version, bool connects, size_t *size)
{
    struct landlock_attributes a = { .handled_access_fs = FS_ALL_OF_VERSION_1 };

    if (version >= 2)
        a.handled_access_fs |= FS_REFER;
    if (version >= 3)
        a.handled_access_fs |= FS_TRUNCATE;
    if (version >= 5)
        a.handled_access_fs |= FS_IOCTL_DEV;
    if (version >= 4)
        a.handled_access_net = connects ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
    if (version >= 6)
        a.scoped = SCOPE_ABSTRACT_SOCKET_AND_SIGNAL;
    *size = version >= 6 ? sizeof a : version >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    return a;
}

static bool leave_paths(int ruleset, const char *const *paths, uint64_t access, bool must_exist, struct error *err)
{
    for (size_t i = 0; i < SANDBOX_PATHS_MAX && paths[i] != NULL; i++) {
        CLEANUP(file_close) int fd = open(paths[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct landlock_path_beneath_attr rule = { .allowed_access = access, .parent_fd = fd };

        if (fd < 0 && !must_exist && errno == ENOENT)
            continue;
        if (fd < 0 || syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
            return error_errno(err, "Landlock rule for %s", paths[i]);
    }
    return true;
}

/* *version: 0 where the kernel has no Landlock. */
static bool enter_landlock(const struct profile *p, const struct sandbox_paths *paths, long *version, struct error *err)
{
    CLEANUP(file_close) int ruleset = -1;
    struct landlock_attributes a;
    size_t size;

    *version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (*version <= 0) {
        *version = 0;
        return true;
    }
    a = attributes_of(*version, p->connects, &size);
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &a, size, 0);
    if (ruleset < 0)
        return error_errno(err, "landlock_create_ruleset");
    if (paths != NULL
        && (!leave_paths(ruleset, paths->writable, FS_WRITE & a.handled_access_fs, true, err)
            || !leave_paths(ruleset, paths->readable, FS_READ, false, err)))
        return false;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        return error_errno(err, "landlock_restrict_self");
    return true;
}

/* ---- entry ---- */

static bool limit(int resource, rlim_t most, struct error *err)
{
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)resource, &now) != 0)
        return error_errno(err, "getrlimit");
    if (now.rlim_max != RLIM_INFINITY && now.rlim_max < most)
        most = now.rlim_max;
    if (setrlimit((__rlimit_resource_t)resource, &(struct rlimit){ most, most }) != 0)
        return error_errno(err, "setrlimit");
    return true;
}

bool sandbox_is_complete(void)
{
    return !SANITIZED;
}

bool sandbox_enter(enum sandbox_profile profile, const struct sandbox_paths *paths, const struct log *log,
                   struct error *err)
{
    const struct profile *p = &profiles[profile];
    long version = 0;

    if (profile == SANDBOX_GATE_CHILD && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return error_errno(err, "PR_SET_PDEATHSIG");
    if (!limit(RLIMIT_CORE, 0, err) || !limit(RLIMIT_NOFILE, p->descriptors, err))
        return error_within(err, "sandbox %s", p->name);
    if (!sandbox_is_complete()) {
        log_warn(log, "sandbox.skipped", f_str("profile", p->name), f_str("reason", "sanitizer"));
        return true;
    }
    if (p->address_space != 0 && !limit(RLIMIT_AS, p->address_space, err))
        return error_within(err, "sandbox %s", p->name);
    if (prctl(PR_SET_DUMPABLE, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_errno(err, "sandbox %s: prctl", p->name);
    if ((p->landlock && !enter_landlock(p, paths, &version, err)) || !enter_seccomp(p, err))
        return error_within(err, "sandbox %s", p->name);
    if (p->landlock && version == 0)
        log_warn(log, "sandbox.no-landlock", f_str("profile", p->name));
    log_debug(log, "sandbox.entered", f_str("profile", p->name), f_int("landlock", version));
    return true;
}
