/* fanal unseal: gives a share, a passphrase or a key file to a Fanal that waits sealed. docs/cli.md. */
#include <fcntl.h>
#include <getopt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cmd/cli.h"
#include "cmd/local.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "cmd/secret.h"
#include "cmd/secret_shares.h"

struct giving {
    struct session *session;
    bool opened;
    unsigned given, needed;
};

static bool give(struct giving *g, const char *deed, const struct writer *secret, struct error *err)
{
    struct writer request = writer_new(256);
    CLEANUP(file_close) int fd = -1;
    struct span reply;
    bool ok;

    field_put_str(&request, FIELD_KEY_DEED, deed);
    ok = secret_seal(secret, &fd, err)
         && session_call_fd(g->session, VERB_UNSEAL, writer_span(&request), fd, &reply, err);
    writer_done(&request);
    if (ok) {
        g->opened = span_equal(fields_text(reply, FIELD_STATE), SPAN_LIT("opened"));
        g->given = (unsigned)fields_uint(reply, FIELD_SHARES_GIVEN, 0);
        g->needed = (unsigned)fields_uint(reply, FIELD_THRESHOLD, 0);
    }
    return ok;
}

static bool give_share(void *context, struct span text, struct error *err)
{
    struct giving *g = context;
    const struct writer secret = { .ptr = (uint8_t *)(uintptr_t)text.ptr, .len = text.len };

    if (g->opened)
        return true; /* one more than was needed */
    if (!give(g, "share", &secret, err))
        return false;
    if (!g->opened)
        (void)printf("%u of %u shares given\n", g->given, g->needed);
    return true;
}

static bool take_row(void *context, struct span row)
{
    struct giving *g = context;
    struct span id = fields_text(row, FIELD_VAULT_ID);
    char hex[2 * VAULT_ID_BYTES + 1];

    g->opened = !span_equal(fields_text(row, FIELD_STATE), SPAN_LIT("sealed"));
    if (!g->opened && id.len == VAULT_ID_BYTES)
        (void)printf("vault %s, sealed\n", sodium_bin2hex(hex, sizeof hex, id.ptr, id.len));
    return true;
}

/* Is it sealed at all? */
static bool is_sealed(struct giving *g, struct error *err)
{
    struct writer request = writer_new(64);
    bool ok;

    field_put_str(&request, FIELD_QUERY, "status");
    ok = session_find(g->session, writer_span(&request), take_row, g, err);
    writer_done(&request);
    if (ok && g->opened)
        return error_set(err, ERR_EXISTS, "the vault is open already");
    (void)fflush(stdout);
    return ok;
}

static bool give_shares(struct giving *g, struct error *err)
{
    const char *path = getenv("FANAL_SHARES_FILE");
    struct writer text = writer_new(SECRET_BYTES_MAX);
    CLEANUP(file_close) int tty = -1;
    bool ok;

    if (path != NULL) {
        ok = secret_read_new(path, &text, err) && shares_of_text(writer_span(&text), give_share, g, err);
        secret_wipe(&text);
        return ok;
    }
    tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty < 0)
        return error_set(err, ERR_USAGE, "no FANAL_SHARES_FILE, no terminal to ask for a share on");
    return share_ask(tty, "Your share", give_share, g, err);
}

static bool give_secret(struct giving *g, const char *dir, const char *key_file, struct error *err)
{
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    bool ok = secret_read(dir, key_file, &secret, err) && give(g, "secret", &secret, err);

    secret_wipe(&secret);
    return ok;
}

int cmd_unseal(int argc, char **argv)
{
    struct giving g = { .session = NULL };
    struct options o;
    struct error err = { 0 };
    bool ok;
    int fd;

    if (!options_parse(argc, argv, 1, 0, &o))
        return CLI_USAGE;
    fd = sodium_init() < 0 ? -1 : local_connect(o.arguments[0], &err);
    if (fd >= 0)
        g.session = session_attach(fd, &err);
    ok = g.session != NULL && is_sealed(&g, &err)
         && (o.key_file == secret_of_custodians ? give_shares(&g, &err)
                                                : give_secret(&g, o.arguments[0], o.key_file, &err));
    session_free(g.session);
    if (!ok)
        return command_failed("unseal", &err);
    if (g.opened)
        (void)puts("the vault is open");
    return CLI_YES;
}
