/* fanal backup-keys, fanal restore-keys: keyring and configuration in one file, and back. docs/cli.md. */
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/channel.h"
#include "cmd/cli.h"
#include "cmd/conf.h"
#include "cmd/key.h"
#include "cmd/local.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "cmd/secret.h"
#include "vault/store_backup.h"

#define DAYS_MAX        36500u
#define MICROS_PER_DAY  UINT64_C(86400000000)

static void print_until(uint64_t expires_us)
{
    time_t seconds = (time_t)(expires_us / 1000000);
    struct tm tm = { 0 };
    char text[32];

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(text, sizeof text, "%Y-%m-%d", &tm);
    (void)printf(", expires %s", text);
}

/* ---- backup-keys ---- */

static bool ask_backup(const char *dir, const char *key_file, unsigned days, int fd, struct writer *reply,
                       struct error *err)
{
    struct writer conf = writer_new(CONF_BYTES_MAX), request = writer_new(CHANNEL_FIELDS_MAX);
    char path[PATH_MAX];
    bool ok = path_join(path, sizeof path, dir, "fanal.conf", err) && file_slurp(path, &conf, err);

    field_put_str(&request, FIELD_KEY_DEED, "back-up");
    field_put_uint(&request, FIELD_EXPIRES, days == 0 ? 0 : clock_wall_us(&clock_system) + days * MICROS_PER_DAY);
    field_put_text(&request, FIELD_CONFIGURATION, writer_span(&conf));
    ok = ok && writer_ok(&request, err, "request") && key_ask(dir, key_file, writer_span(&request), fd, reply, err);
    writer_done(&conf);
    writer_done(&request);
    return ok;
}

static bool backup(const char *dir, const char *out, const char *key_file, unsigned days, struct error *err)
{
    CLEANUP(file_close) int fd = open(out, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct writer reply = writer_new(CHANNEL_MESSAGE_MAX);
    struct span id;
    char hex[2 * BACKUP_ID_BYTES + 1] = "";
    bool ok;

    if (fd < 0)
        return error_errno(err, "%s", out);
    ok = file_sync_name(out, err) /* while we may */ && ask_backup(dir, key_file, days, fd, &reply, err) && file_sync(fd, err);
    id = fields_text(writer_span(&reply), FIELD_BACKUP_ID);
    if (ok && id.len == BACKUP_ID_BYTES) {
        (void)printf("back-up %s, generation %llu", sodium_bin2hex(hex, sizeof hex, id.ptr, id.len),
                     (unsigned long long)fields_uint(writer_span(&reply), FIELD_GENERATION, 0));
        if (fields_uint(writer_span(&reply), FIELD_EXPIRES, 0) != 0)
            print_until(fields_uint(writer_span(&reply), FIELD_EXPIRES, 0));
        (void)puts("");
    }
    if (!ok)
        (void)unlink(out);
    writer_done(&reply);
    return ok;
}

int cmd_backup_keys(int argc, char **argv)
{
    static const struct option options[] = { { "expires", required_argument, NULL, 'e' },
                                             { "key-file", required_argument, NULL, 'k' },
                                             { "shares", no_argument, NULL, 's' },
                                             { NULL, 0, NULL, 0 } };
    const char *key_file = NULL;
    unsigned days = 0;
    struct error err = { 0 };
    bool good = true;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (option == 'e')
            good = good && conf_number_parse(span_str(optarg), 1, DAYS_MAX, &days);
        else if (option == 'k' || option == 's')
            key_file = option == 'k' ? optarg : secret_of_custodians;
        else
            good = false;
    if (!good || argc - optind != 2) {
        (void)fputs("fanal backup-keys: [--expires DAYS] DIR OUT; see fanal backup-keys --help\n", stderr);
        return CLI_USAGE;
    }
    if (sodium_init() >= 0 && backup(argv[optind], argv[optind + 1], key_file, days, &err))
        return CLI_YES;
    return command_failed("backup-keys", &err);
}

/* ---- restore-keys ---- */

static void report(const struct restored *r)
{
    char hex[2 * BACKUP_ID_BYTES + 1];

    (void)sodium_bin2hex(hex, sizeof hex, r->backup.id, BACKUP_ID_BYTES);
    if (r->kept) {
        (void)printf("the keyring stays: %u slots are filled from back-up %s, what %u others open is lost\n", r->filled, hex,
                     r->lost);
        return;
    }
    (void)printf("the keyring of back-up %s is in its place\n", hex);
    for (uint32_t i = 0; i < r->lost && i < BACKUP_LOST_MAX; i++)
        (void)printf("slot %u was made after the back-up: what it opens is lost\n", r->lost_slots[i]);
    if (r->lost > BACKUP_LOST_MAX)
        (void)printf("and %u more\n", r->lost - BACKUP_LOST_MAX);
}

/* What the configuration was lies beside what is there now, never in its place. */
static int open_beside(const char *dir, char path[PATH_MAX], struct error *err)
{
    int fd = path_join(path, PATH_MAX, dir, "fanal.conf.restored", err)
                 ? open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)
                 : -1;

    if (fd < 0)
        (void)error_errno(err, "%s/fanal.conf.restored", dir);
    return fd;
}

static bool write_conf(int fd, const char *path, struct span conf, struct error *err)
{
    bool ok = (ftruncate(fd, 0) == 0 || error_errno(err, "%s", path)) && file_write_all(fd, conf, err)
              && file_sync(fd, err);

    if (ok)
        (void)printf("the configuration of then is %s\n", path);
    return ok;
}

static bool restore(const char *file, const char *dir, const char *key_file, bool force, struct error *err)
{
    static const struct log quiet = { .fd = -1, .clock = &clock_system };
    struct writer secret = writer_new(SECRET_BYTES_MAX), bytes = writer_new(BACKUP_BYTES_MAX);
    struct store_options options = { .clock = &clock_system, .log = &quiet };
    char path[PATH_MAX];
    CLEANUP(file_close) int fd = open_beside(dir, path, err); /* while we may: DIR is root's, its vault is not */
    struct restored r;
    bool ok = fd >= 0 && file_slurp(file, &bytes, err) && secret_read(file, key_file, &secret, err)
              && local_become_owner(dir, err);

    options.secret = writer_span(&secret);
    ok = ok && store_restore(dir, &options, writer_span(&bytes), force, &r, err);
    secret_wipe(&secret);
    writer_done(&bytes);
    if (!ok)
        return false;
    report(&r);
    ok = r.kept || write_conf(fd, path, writer_span(&r.conf), err);
    writer_done(&r.conf);
    writer_done(&r.checkpoint);
    return ok;
}

int cmd_restore_keys(int argc, char **argv)
{
    static const struct option options[] = { { "force", no_argument, NULL, 'f' },
                                             { "key-file", required_argument, NULL, 'k' },
                                             { "shares", no_argument, NULL, 's' },
                                             { NULL, 0, NULL, 0 } };
    const char *key_file = NULL;
    struct error err = { 0 };
    bool good = true, force = false;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (option == 'f')
            force = true;
        else if (option == 'k' || option == 's')
            key_file = option == 'k' ? optarg : secret_of_custodians;
        else
            good = false;
    if (!good || argc - optind != 2) {
        (void)fputs("fanal restore-keys: [--force] FILE DIR; see fanal restore-keys --help\n", stderr);
        return CLI_USAGE;
    }
    if (sodium_init() >= 0 && restore(argv[optind], argv[optind + 1], key_file, force, &err))
        return CLI_YES;
    return command_failed("restore-keys", &err);
}
