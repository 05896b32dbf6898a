/* fanal init DIR: an empty vault and a fanal.conf that lets nobody in. The first serve offers the enrolment code. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cli.h"
#include "cmd/conf.h"
#include "cmd/roles.h"
#include "cmd/secret.h"
#include "vault/vault.h"

static bool is_there(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    return path_join(path, sizeof path, dir, name, NULL) && lstat(path, &st) == 0;
}

static bool write_conf(const char *dir, struct error *err)
{
    char path[PATH_MAX];

    return path_join(path, sizeof path, dir, "fanal.conf", err)
           && file_write_new(path, span_str(conf_default_text()), err);
}

/* The name of dir itself lies in the one above. */
static bool sync_above(const char *dir, struct error *err)
{
    char beside[PATH_MAX];

    return path_join(beside, sizeof beside, dir, "../.", err) && file_sync_name(beside, err);
}

/* The configuration comes last: a DIR that has one is whole. */
static bool init(const char *dir, const char *key_file, struct error *err)
{
    static const struct log log = { .fd = STDERR_FILENO, .least = LOG_WARN, .clock = &clock_system };
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    struct vault_options options = { .store = { .clock = &clock_system, .log = &log }, .timezone = "UTC" };
    bool good;

    if (is_there(dir, "fanal.conf"))
        return error_set(err, ERR_EXISTS, "%s has a fanal.conf already", dir);
    if (sodium_init() < 0)
        return error_set(err, ERR_IO, "libsodium does not start");
    good = secret_read_new(key_file, &secret, err);
    if (good && mkdir(dir, 0700) != 0 && errno != EEXIST)
        good = error_errno(err, "%s", dir);
    options.store.secret = writer_span(&secret);
    good = good && vault_create(dir, &options, err) && write_conf(dir, err) && sync_above(dir, err);
    secret_wipe(&secret);
    return good;
}

int cmd_init(int argc, char **argv)
{
    static const struct option options[] = { { "key-file", required_argument, NULL, 'k' }, { NULL, 0, NULL, 0 } };
    const char *key_file = NULL;
    struct error err = { 0 };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) == 'k')
        key_file = optarg;
    if (option != -1 || argc - optind != 1) {
        (void)fputs("fanal init: one DIR belongs here; see fanal init --help\n", stderr);
        return CLI_USAGE;
    }
    if (init(argv[optind], key_file, &err))
        return CLI_YES;
    (void)fprintf(stderr, "fanal init: %s\n", err.text);
    return err.code == ERR_USAGE ? CLI_USAGE : CLI_NO;
}
