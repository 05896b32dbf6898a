/* fanal repair. docs/cli.md is the specification. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/json_row.h"
#include "cmd/local.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "cmd/secret.h"
#include "vault/vault.h"

static void print_sentence(void *context, const char *text)
{
    (void)context;
    (void)puts(text);
}

/* A sentence, or the figures, which come last. */
static bool take_row(void *context, struct span row)
{
    struct store_repair *done = context;
    struct span text = fields_text(row, FIELD_DETAIL);

    if (text.len > 0) {
        print_plain(stdout, text);
        (void)putchar('\n');
        return true;
    }
    done->sectors = fields_uint(row, FIELD_REPAIRED_SECTORS, 0);
    done->seals = fields_uint(row, FIELD_SEALS_MADE, 0);
    done->lost = fields_uint(row, FIELD_LOST_SECTORS, 0);
    return true;
}

static bool repair_served(int fd, struct store_repair *done, struct error *err)
{
    struct session *s = session_attach(fd, err);
    struct writer request = writer_new(256);
    bool ok;

    field_put_str(&request, FIELD_QUERY, "repair");
    ok = s != NULL && session_find(s, writer_span(&request), take_row, done, err);
    writer_done(&request);
    session_free(s);
    return ok;
}

/* The directory `vault` of the copy: COPYDIR may be that itself. */
static bool find_copy(const char *from, char out[PATH_MAX], struct error *err)
{
    char log[PATH_MAX];

    if (!path_join(out, PATH_MAX, from, "vault", err) || !path_join(log, sizeof log, out, "log", err))
        return false;
    if (access(log, R_OK | X_OK) == 0)
        return true;
    if (!path_join(log, sizeof log, from, "log", err) || !path_join(out, PATH_MAX, from, "", err))
        return false;
    return access(log, R_OK | X_OK) == 0
           || error_set(err, ERR_USAGE, "%s holds no copy of a vault that the owner of DIR may read", from);
}

static bool repair_alone(const struct options *o, struct store_repair *done, struct error *err)
{
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    struct vault_options options;
    struct store *store = NULL;
    char copy[PATH_MAX];
    bool ok = local_options(o->arguments[0], o->key_file, &options, &secret, err)
              && (o->from == NULL || find_copy(o->from, copy, err)); /* as the owner of DIR, who has to read it */

    if (ok)
        store = store_open(o->arguments[0], &options.store, err);
    ok = store != NULL && store_repair(store, o->from != NULL ? copy : NULL, print_sentence, NULL, done, err);
    if (store != NULL)
        store_close(store);
    secret_wipe(&secret);
    return ok;
}

int cmd_repair(int argc, char **argv)
{
    struct options o;
    struct error err = { 0 };
    struct store_repair done = { 0 };
    bool ok;
    int fd;

    if (!options_parse(argc, argv, 1, OPTION_FROM, &o))
        return 2;
    fd = local_connect(o.arguments[0], &err);
    if (fd >= 0 && o.from != NULL) { /* the serving vault sees nothing but its own directory */
        (void)close(fd);
        (void)error_set(&err, ERR_BUSY,
                        "fanal serve has %s and may open nothing outside of it: to take from a copy, stop it first "
                        "(systemctl stop fanal), then give this command again",
                        o.arguments[0]);
        return command_failed("repair", &err);
    }
    ok = fd >= 0 ? repair_served(fd, &done, &err) : repair_alone(&o, &done, &err);
    if (!ok)
        return command_failed("repair", &err);
    (void)printf("%" PRIu64 " sectors repaired, %" PRIu64 " seals made, %" PRIu64 " sectors stay damaged\n",
                 done.sectors, done.seals, done.lost);
    return done.lost == 0 ? 0 : 1;
}
