/* A command and the vault. See local.h. */
#include "cmd/local.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/room/serve.h"
#include "cmd/secret.h"
#include "cmd/tuned.h"
#include "vault/twin.h"

#define SOCKET_NAME "run/fanal.sock"

int local_connect(const char *dir, struct error *err)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    int fd;

    if (!path_join(to.sun_path, sizeof to.sun_path, dir, SOCKET_NAME, err))
        return -1;
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    (void)error_set(err, ERR_NOT_FOUND, "no fanal serve has %s", dir);
    file_close(&fd);
    return -1;
}

bool local_become_owner(const char *dir, struct error *err)
{
    char vault[PATH_MAX];
    struct stat st;

    if (geteuid() != 0)
        return true;
    if (!path_join(vault, sizeof vault, dir, "vault", err))
        return false;
    if (stat(vault, &st) != 0)
        return error_errno(err, "%s", vault);
    if (st.st_uid != 0
        && (setgroups(0, NULL) != 0 || setresgid(st.st_gid, st.st_gid, st.st_gid) != 0
            || setresuid(st.st_uid, st.st_uid, st.st_uid) != 0))
        return error_errno(err, "becoming the owner of %s", vault);
    return true;
}

static bool read_configuration(const char *dir, struct conf *out, struct error *err)
{
    char path[PATH_MAX];
    struct writer text = writer_new(CONF_BYTES_MAX);
    bool ok = path_join(path, sizeof path, dir, "fanal.conf", err) && file_slurp(path, &text, err)
              && conf_parse(writer_span(&text), out, err);

    writer_done(&text);
    return ok;
}

/* A vault process for one command: no gate, no event loop but this session's. What it says goes to standard error. */
static int own_vault(const char *dir, struct writer *secret, struct channel *channel)
{
    static const struct log log = { .fd = STDERR_FILENO, .least = LOG_ERROR, .clock = &clock_system };
    struct room *room = calloc(1, sizeof *room);
    struct error err = { 0 };
    bool ok;

    if (room == NULL || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return 1;
    room->log = log;
    room->epoll_fd = -1;
    ok = read_configuration(dir, &room->conf, &err) && local_become_owner(dir, &err);
    if (ok) {
        const struct tuning tuning = conf_tuning(&room->conf);
        struct vault_options options = {
            .store = { .clock = &clock_system, .log = &room->log, .secret = writer_span(secret),
                       .reserve_bytes = room->conf.disk_reserve, .tuning = &tuning },
            .twin = twin_is_here(dir),
            .timezone = room->conf.timezone,
        };

        ok = room_open(room, dir, &options, &err);
    }
    secret_wipe(secret); /* the master key is open, or it never will be */
    if (ok) {
        room_admit_local(room, channel->fd);
        ok = room_serve(room, NULL, &err);
    } else { /* the command is told why by the first and last word of the conversation */
        struct writer w = writer_new(1024);

        field_put_uint(&w, FIELD_RESULT, err.code);
        field_put_str(&w, FIELD_ERROR_TEXT, err.text);
        (void)channel_send(channel, VERB_REPLY, 0, writer_span(&w), NULL, 0, NULL);
        writer_done(&w);
    }
    room_close(room);
    free(room);
    return ok ? 0 : 1;
}

static bool start_own(struct local *l, const char *dir, const char *key_file, struct error *err)
{
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    struct channel near = { -1 }, far = { -1 };
    bool ok = sodium_init() >= 0 && secret_read(dir, key_file, &secret, err) && channel_pair(&near, &far, err);

    if (ok) {
        l->child = fork();
        if (l->child == 0) {
            int status;

            channel_close(&near);
            status = own_vault(dir, &secret, &far);
            _exit(status);
        }
        if (l->child < 0)
            ok = error_errno(err, "fork");
    }
    secret_wipe(&secret);
    if (far.fd >= 0)
        channel_close(&far);
    if (ok)
        l->session = session_attach(near.fd, err);
    else if (near.fd >= 0)
        channel_close(&near);
    return ok && l->session != NULL;
}

bool local_open(struct local *out, const char *dir, const char *key_file, struct error *err)
{
    struct error none = { 0 };
    int fd;

    *out = (struct local){ .session = NULL };
    fd = local_connect(dir, &none);
    if (fd < 0)
        return start_own(out, dir, key_file, err);
    out->session = session_attach(fd, err);
    return out->session != NULL;
}

void local_close(struct local *l)
{
    int status;

    session_free(l->session);
    l->session = NULL;
    if (l->child > 0)
        while (waitpid(l->child, &status, 0) < 0 && errno == EINTR)
            ;
    l->child = 0;
}

bool local_options(const char *dir, const char *key_file, struct vault_options *options, struct writer *secret,
                   struct error *err)
{
    static const struct log quiet = { .fd = -1, .clock = &clock_system };

    if (sodium_init() < 0 || !secret_read(dir, key_file, secret, err) || !local_become_owner(dir, err))
        return false;
    *options = (struct vault_options){
        .store = { .clock = &clock_system, .log = &quiet, .secret = writer_span(secret) },
        .timezone = "UTC",
    };
    return true;
}
