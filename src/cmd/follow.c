/* fanal follow: makes a directory a twin, and follows without a secret (docs/twin.md). */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/role.h"
#include "channel/sandbox.h"
#include "cmd/cli.h"
#include "cmd/data_dir.h"
#include "cmd/folder_source.h"
#include "cmd/local.h"
#include "cmd/roles.h"
#include "cmd/room/following.h"
#include "cmd/step_folder.h"
#include "cmd/twin_dir.h"
#include "relay/pull.h"
#include "vault/cosign.h"

struct follow_options {
    const char *dir, *first; /* first: NULL where the directory knows it */
    const char *pin, *folder, *vkey;
    bool once;
};

static const struct log follow_log = {
    .fd = STDERR_FILENO, .least = LOG_INFO, .clock = &clock_system, .process = "follow"
};

/* ---- the process that pulls ---- */

/* Never returns: answers until its parent has gone. */
static void pull_for_ever(struct pull *p, struct channel *vault)
{
    struct error err = { 0 };

    /* It keeps nothing but its end of the conversation: not the lock of DIR either, which goes with its parent. */
    if (dup2(vault->fd, CONTROL_FD) == CONTROL_FD)
        vault->fd = CONTROL_FD;
    if (vault->fd == CONTROL_FD && close_range(CONTROL_FD + 1, ~0u, 0) == 0
        && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && sandbox_enter(SANDBOX_RELAY, NULL, &follow_log, &err))
        while (pull_one(p, vault, -1, &err))
            ;
    if (err.code != ERR_NONE && err.code != ERR_CLOSED)
        log_error(&follow_log, "role.failed", f_err(&err));
    _exit(0);
}

/* Forked before anything of the vault is open. *keeper: our end of the conversation. */
static bool start_pulling(const struct conf *conf, struct span pem, int *keeper, struct error *err)
{
    struct pull_settings settings = {
        .address = span_str(conf->following.first), .key = pem, .certificate = pem, .log = &follow_log
    };
    struct channel near = { -1 }, far = { -1 };
    struct pull *p;
    pid_t child;

    (void)snprintf(settings.pin, sizeof settings.pin, "%s", conf->following.pin);
    p = pull_new(&settings, err);
    if (p == NULL || !channel_pair(&near, &far, err)) {
        pull_free(p);
        return false;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a first that hangs up is an answer */
    child = fork();
    if (child == 0) {
        channel_close(&near);
        pull_for_ever(p, &far);
    }
    pull_free(p);
    channel_close(&far);
    if (child < 0) {
        channel_close(&near);
        return error_errno(err, "fork");
    }
    *keeper = near.fd;
    return true;
}

/* ---- following ---- */

static struct twin *open_twin(const char *dir, struct error *err)
{
    struct store_options options = { .clock = &clock_system, .log = &follow_log };

    return twin_open(dir, &options, err);
}

static bool confine(const char *dir, struct error *err)
{
    char vault[PATH_MAX];
    struct sandbox_paths paths = { .writable = { vault } };

    return path_join(vault, sizeof vault, dir, "vault", err) && sandbox_enter(SANDBOX_VAULT, &paths, &follow_log, err);
}

static void tell(struct twin *t)
{
    struct twin_figures f;

    twin_figures(t, &f);
    (void)printf("records %llu\n", (unsigned long long)f.size);
    (void)fflush(stdout);
}

static bool follow_network(const struct follow_options *o, const struct conf *conf, struct span pem, struct error *err)
{
    struct following *f = NULL;
    struct twin *t = NULL;
    int keeper = -1;
    bool ok = start_pulling(conf, pem, &keeper, err) && local_become_owner(o->dir, err)
              && (t = open_twin(o->dir, err)) != NULL;

    if (ok) {
        f = following_new(t, &follow_log, &clock_system);
        ok = f != NULL || error_set(err, ERR_MEMORY, "following");
    }
    if (ok) {
        f->alarm_minutes = conf->following.alarm_minutes;
        following_offer(f, keeper);
        keeper = -1;
        (void)puts("following");
        (void)fflush(stdout);
        ok = confine(o->dir, err) && following_run(f, o->once, err);
    }
    if (t != NULL)
        tell(t);
    following_free(f);
    twin_close(t);
    file_close(&keeper);
    return ok;
}

/* The verifier key of the first, as its status says it: pinned before anything is taken from a folder. */
static bool pin_vkey(struct twin *t, const char *text, struct error *err)
{
    uint8_t vault_id[VAULT_ID_BYTES];
    struct vkey key;
    size_t len = 0;

    if (text == NULL)
        return true;
    if (!vkey_read(span_str(text), &key, err))
        return false;
    if (strncmp(key.name, "fanal/", 6) != 0
        || sodium_hex2bin(vault_id, sizeof vault_id, key.name + 6, strlen(key.name + 6), NULL, &len, NULL) != 0
        || len != sizeof vault_id)
        return error_set(err, ERR_USAGE, "the verifier key is not of a fanal");
    return twin_pin(t, vault_id, key.key, err);
}

static bool is_copy(const char *folder)
{
    char path[PATH_MAX];

    return path_join(path, sizeof path, folder, "checkpoint", NULL) && access(path, F_OK) == 0;
}

static bool take_folder(const struct follow_options *o, struct twin *t, struct error *err)
{
    static const uint8_t nobody[FOLLOW_PUBLIC_KEY_BYTES];
    struct folder_source f = { .path = o->folder };
    struct twin_figures figures;
    struct seal_suite suite;
    struct twin_source source;
    struct seal seal;
    bool more = true, ok;

    twin_figures(t, &figures);
    if (memcmp(figures.public_key, nobody, sizeof nobody) == 0)
        return error_set(err, ERR_USAGE, "no key is pinned yet: --vkey KEY says whose checkpoints are believed");
    memcpy(f.vault_id, figures.vault_id, VAULT_ID_BYTES);
    memcpy(f.public_key, figures.public_key, FOLLOW_PUBLIC_KEY_BYTES);
    if (step_folder_is(o->folder))
        return step_folder_take(t, o->folder, err);
    if (!is_copy(o->folder))
        return error_set(err, ERR_NOT_FOUND, "%s holds neither steps nor the copy of a vault", o->folder);
    if (!seal_suite_init(&suite, err))
        return false;
    ok = seal_init(&seal, &suite, err);
    f.seal = &seal;
    source = folder_source(&f);
    while (ok && more)
        ok = twin_round(t, &source, &more, err);
    seal_done(&seal);
    seal_suite_done(&suite);
    return ok;
}

static bool follow_folder(const struct follow_options *o, struct error *err)
{
    struct twin *t = NULL;
    bool ok = local_become_owner(o->dir, err) && (t = open_twin(o->dir, err)) != NULL && pin_vkey(t, o->vkey, err)
              && take_folder(o, t, err);

    if (t != NULL)
        tell(t);
    twin_close(t);
    return ok;
}

/* ---- the directory ---- */

/* The first time DIR is made; afterwards it knows whom it follows. */
static bool make_if_new(const struct follow_options *o, struct error *err)
{
    char pin[FINGERPRINT_SIZE] = "";
    struct sockaddr_storage there;

    if (twin_is_here(o->dir))
        return true;
    if (o->folder == NULL && (o->first == NULL || o->pin == NULL))
        return error_set(err, ERR_USAGE, "%s is no twin yet: --pin FINGERPRINT and HOST:PORT of the first belong here",
                         o->dir);
    if (o->pin != NULL && !fingerprint_parse(span_str(o->pin), pin))
        return error_set(err, ERR_USAGE, "--pin is the SHA-256 of the first's certificate: 64 hex digits");
    if (o->first != NULL && !conf_listen_parse(span_str(o->first), &there))
        return error_set(err, ERR_USAGE, "HOST:PORT is an address and a port, like 10.0.0.5:7443");
    return twin_dir_make(o->dir, o->first != NULL ? o->first : "", pin, err);
}

static bool read_conf(const char *dir, struct conf *out, struct error *err)
{
    struct writer text = writer_new(CONF_BYTES_MAX);
    char path[PATH_MAX];
    bool ok = path_join(path, sizeof path, dir, "fanal.conf", err) && file_slurp(path, &text, err)
              && conf_parse(writer_span(&text), out, err);

    writer_done(&text);
    return ok;
}

static bool follow(const struct follow_options *o, struct error *err)
{
    struct data_dir d = { -1, -1, -1, 0, 0 };
    struct writer pem = writer_new(TWIN_PEM_BYTES_MAX);
    char fingerprint[FINGERPRINT_SIZE];
    struct conf conf = { .peers = NULL };
    bool ok = (sodium_init() >= 0 || error_set(err, ERR_IO, "libsodium does not start")) && make_if_new(o, err)
              && data_dir_open(o->dir, &d, err) && data_dir_lock(&d, err) && read_conf(o->dir, &conf, err)
              && twin_pem_read(o->dir, &pem, err) && pinned_fingerprint(writer_span(&pem), fingerprint, err);

    if (ok && o->folder == NULL) {
        (void)printf("certificate %s\n", fingerprint);
        (void)fflush(stdout);
    }
    if (ok && o->folder == NULL && conf.following.first[0] == '\0')
        ok = error_set(err, ERR_USAGE, "%s/fanal.conf: [follow] first says whom to follow", o->dir);
    ok = ok && (o->folder != NULL ? follow_folder(o, err) : follow_network(o, &conf, writer_span(&pem), err));
    if (pem.ptr != NULL)
        explicit_bzero(pem.ptr, pem.len);
    writer_done(&pem);
    conf_done(&conf);
    data_dir_close(&d);
    return ok;
}

static bool parse(int argc, char **argv, struct follow_options *o)
{
    static const struct option options[] = {
        { "pin", required_argument, NULL, 'p' },  { "from", required_argument, NULL, 'f' },
        { "vkey", required_argument, NULL, 'v' }, { "once", no_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p')
            o->pin = optarg;
        else if (option == 'f')
            o->folder = optarg;
        else if (option == 'v')
            o->vkey = optarg;
        else if (option == 'o')
            o->once = true;
        else
            return false;
    }
    if (argc - optind < 1 || argc - optind > 2 || (o->folder != NULL && argc - optind != 1))
        return false;
    o->dir = argv[optind];
    o->first = argc - optind == 2 ? argv[optind + 1] : NULL;
    return true;
}

int cmd_follow(int argc, char **argv)
{
    struct follow_options o = { .dir = NULL };
    struct error err = { 0 };

    if (!parse(argc, argv, &o)) {
        (void)fputs("fanal follow: DIR, and the first time HOST:PORT, belong here; see fanal follow --help\n", stderr);
        return CLI_USAGE;
    }
    if (follow(&o, &err))
        return CLI_YES;
    (void)fprintf(stderr, "fanal follow: %s\n", err.text);
    return err.code == ERR_USAGE ? CLI_USAGE : CLI_NO;
}
