/* DIR: the lock, what run/ holds, who may do what with it after root has given its rights away. */
#include "cmd/data_dir.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/privileges.h"

#include "../test.h"

/* A path longer than the name of a socket may be: run/fanal.sock must work below it. */
static char dir[160];

static mode_t mode_of(const char *name)
{
    char path[256];
    struct stat st;

    assert_true(path_join(path, sizeof path, dir, name, NULL));
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

TEST(one_serve_at_a_time)
{
    struct data_dir first, second;
    struct error err;

    CHECK(data_dir_open(dir, &first, &err) && data_dir_lock(&first, &err));
    CHECK(data_dir_open(dir, &second, &err) && !data_dir_lock(&second, &err) && err.code == ERR_BUSY);
    data_dir_close(&first);
    data_dir_close(&second);
    CHECK(data_dir_open(dir, &second, &err) && data_dir_lock(&second, &err));
    data_dir_close(&second);
    CHECK(!data_dir_open("/nonexistent", &second, &err) && err.code == ERR_NOT_FOUND);
}

TEST(ports_are_of_this_serve)
{
    struct data_dir d;
    struct error err;
    char path[256];
    struct writer text = writer_new(100);

    assert_true(path_join(path, sizeof path, dir, "run/ports", &err));
    CHECK(data_dir_open(dir, &d, &err) && data_dir_lock(&d, &err));
    CHECK(data_dir_write_ports(&d, SPAN_LIT("dicom 127.0.0.1:1\n"), &err));
    CHECK(data_dir_write_ports(&d, SPAN_LIT("dicom 127.0.0.1:2\n"), &err));
    CHECK(file_slurp(path, &text, &err) && span_equal(writer_span(&text), SPAN_LIT("dicom 127.0.0.1:2\n")));
    data_dir_close(&d);
    CHECK(data_dir_open(dir, &d, &err) && data_dir_lock(&d, &err) && access(path, F_OK) != 0);
    data_dir_close(&d);
    writer_done(&text);
}

TEST(local_socket_is_the_owners)
{
    struct data_dir d;
    struct error err;
    int again, fd;

    CHECK(data_dir_open(dir, &d, &err) && data_dir_lock(&d, &err));
    fd = data_dir_listen(&d, &err);
    CHECK(fd >= 0 && mode_of("run/fanal.sock") == 0600 && mode_of("run") == 0700 && mode_of("run/lock") == 0600);
    (void)close(fd);
    again = data_dir_listen(&d, &err); /* the stale name of a serve that was killed */
    CHECK(again >= 0);
    (void)close(again);
    data_dir_close(&d);
}

TEST(configuration_is_read_up_to_its_limit)
{
    struct data_dir d;
    struct error err;
    struct writer text = writer_new(5), longer = writer_new(4);
    int fd;

    CHECK(data_dir_open(dir, &d, &err));
    CHECK(!data_dir_read_conf(&d, &text, &err) && strstr(err.text, "fanal.conf") != NULL);
    fd = openat(d.fd, "fanal.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && file_write_all(fd, SPAN_LIT("#abc\n"), &err));
    (void)close(fd);
    CHECK(!data_dir_read_conf(&d, &longer, &err) && err.code == ERR_LIMIT);
    CHECK(data_dir_read_conf(&d, &text, &err) && span_equal(writer_span(&text), SPAN_LIT("#abc\n")));
    data_dir_close(&d);
    writer_done(&text);
    writer_done(&longer);
}

/* In a child, because there is no way back. Exit status: what went wrong first. */
static int drop_and_look(void)
{
    struct conf conf = { .user = "" };
    struct data_dir d;
    struct error err;
    int fd;

    if (!data_dir_open(dir, &d, &err) || !data_dir_lock(&d, &err) || fchdir(d.fd) != 0)
        return 1;
    if (!privileges_drop(&conf, &d, &err)) {
        (void)fprintf(stderr, "# %s\n", err.text);
        return 2;
    }
    if (geteuid() == 0 || getegid() == 0 || setuid(0) == 0)
        return 3;
    fd = open("vault/body/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return 4; /* it is his */
    if (open("fanal.conf", O_RDONLY | O_CLOEXEC) >= 0 || open("run/lock", O_RDONLY | O_CLOEXEC) >= 0)
        return 5; /* these are not */
    if (open("other", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || unlink("fanal.conf") == 0
        || open(".", O_RDONLY | O_CLOEXEC) >= 0)
        return 6; /* nor is DIR */
    return 0;
}

TEST(root_gives_the_vault_away_and_keeps_the_rest)
{
    struct data_dir d;
    struct error err;
    pid_t pid;
    int status;

    if (geteuid() != 0) {
        print_message("# needs root: not run\n"); /* cmocka's own skip prints "not ok", which TAP counts as a failure */
        return;
    }
    CHECK(data_dir_open(dir, &d, &err));
    CHECK(mkdirat(d.fd, "vault", 0700) == 0 && mkdirat(d.fd, "vault/body", 0700) == 0);
    data_dir_close(&d);
    pid = fork();
    if (pid == 0)
        _exit(drop_and_look());
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK_ROW("what failed", WEXITSTATUS(status) == 0);
    CHECK(mode_of("") == 0710 && mode_of("vault") == 0700);
}

TEST(an_unprivileged_user_must_be_one)
{
    const struct {
        const char *user, *want;
    } rows[] = { { "root", "is root" }, { "no-such-user-here", "no user" } };
    struct data_dir d;
    struct error err = { 0 };

    if (geteuid() != 0) {
        print_message("# needs root: not run\n"); /* cmocka's own skip prints "not ok", which TAP counts as a failure */
        return;
    }
    CHECK(data_dir_open(dir, &d, &err));
    EACH(row, rows)
    {
        struct conf conf = { .user = "" };

        CHECK(span_to_str(span_str(row->user), conf.user, sizeof conf.user));
        CHECK_ROW(row->user, !privileges_drop(&conf, &d, &err) && strstr(err.text, row->want) != NULL);
    }
    data_dir_close(&d);
}

static int make_dir(void **state)
{
    char base[] = "/tmp/fanal-data-XXXXXX";

    (void)state;
    (void)umask(022);
    if (mkdtemp(base) == NULL || chmod(base, 0711) != 0)
        return -1;
    (void)snprintf(dir, sizeof dir, "%s/%0110d", base, 0);
    return mkdir(dir, 0700);
}

static int remove_dir(void **state)
{
    static const char *const names[] = { "vault/body/new", "run/ports", "run/lock", "run/fanal.sock", "fanal.conf" };
    static const char *const folders[] = { "vault/body", "vault", "run", "" };
    char path[256];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (path_join(path, sizeof path, dir, names[i], NULL))
            (void)unlink(path);
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        if (path_join(path, sizeof path, dir, folders[i], NULL))
            (void)rmdir(path);
    dir[strlen(dir) - 111] = '\0';
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(one_serve_at_a_time),
        T(ports_are_of_this_serve),
        T(local_socket_is_the_owners),
        T(configuration_is_read_up_to_its_limit),
        T(root_gives_the_vault_away_and_keeps_the_rest),
        T(an_unprivileged_user_must_be_one),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
