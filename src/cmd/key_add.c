/*
 * fanal key add: one more unlocker. Whatever secret it is, it is made or read here, goes to the vault as a sealed
 * memfd, and is given out only once the vault has taken it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/channel.h"
#include "cmd/cli.h"
#include "cmd/key.h"
#include "cmd/key_page.h"
#include "cmd/options.h"
#include "cmd/secret.h"
#include "vault/custody.h"
#include "vault/store_keys.h"

struct adding {
    const struct key_options *o;
    const char *dir;
    struct writer secret; /* locked */
};

/* `prefix` and 64 hex digits. */
static void make_secret(struct writer *out, const char *prefix)
{
    uint8_t bytes[32];
    char hex[2 * sizeof bytes + 1];

    randombytes_buf(bytes, sizeof bytes);
    write_str(out, prefix);
    write_str(out, sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes));
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(hex, sizeof hex);
}

static bool read_passphrase(struct adding *a, struct error *err)
{
    return secret_read_password(getenv("FANAL_NEW_PASSPHRASE_FILE"), "New passphrase: ", true, &a->secret, err);
}

static bool make_key_file(struct adding *a, struct error *err)
{
    if (a->o->out == NULL)
        return error_set(err, ERR_USAGE, "--out FILE says where the new key file belongs");
    make_secret(&a->secret, SECRET_KEY_FILE_PREFIX);
    return writer_ok(&a->secret, err, "secret");
}

static bool make_credential(struct adding *a, struct error *err)
{
    if (a->o->out == NULL && isatty(STDOUT_FILENO))
        return error_set(err, ERR_USAGE,
                         "it is no text to be shown: --out FILE, or | systemd-creds encrypt --name=fanal - F");
    make_secret(&a->secret, SECRET_CREDENTIAL_PREFIX);
    return writer_ok(&a->secret, err, "secret");
}

static bool make_shares(struct adding *a, struct error *err)
{
    if (a->o->threshold == 0 || a->o->shares == 0 || a->o->threshold > a->o->shares)
        return error_set(err, ERR_USAGE, "--threshold K --shares N, from 2 of 2 to %u of %u", CUSTODIANS_MAX,
                         CUSTODIANS_MAX);
    custody_secret_new(a->secret.ptr);
    a->secret.len = CUSTODY_SECRET_BYTES;
    return true;
}

/* ---- giving it out ---- */

static bool give_file(struct adding *a, unsigned place, struct error *err)
{
    (void)place;
    return file_write_new(a->o->out, writer_span(&a->secret), err);
}

static bool give_credential(struct adding *a, unsigned place, struct error *err)
{
    return a->o->out != NULL ? give_file(a, place, err) : file_write_all(STDOUT_FILENO, writer_span(&a->secret), err);
}

static bool give_page(struct adding *a, const struct keyring_info *info, const struct share *share, struct error *err)
{
    struct writer page = writer_new(KEY_PAGE_BYTES_MAX);
    char path[PATH_MAX], name[64];
    bool ok;

    (void)snprintf(name, sizeof name, "custodian-%u-of-%u.html", share->number, share->shares);
    ok = key_page(share, info, &page, err) && path_join(path, sizeof path, a->o->out, name, err)
         && file_write_new(path, writer_span(&page), err);
    if (page.ptr != NULL)
        sodium_memzero(page.ptr, page.cap);
    writer_done(&page);
    if (ok)
        (void)printf("%s\n", path);
    return ok;
}

/* The words in rows of six, as they are asked for. */
static void print_share(const struct share *share)
{
    char text[SHARE_TEXT_SIZE];

    share_to_text(share, text);
    for (size_t i = 6; i < SHARE_WORDS; i += 6)
        text[i * (SHARE_WORD_LETTERS + 1) - 1] = '\n';
    (void)printf("# custodian %u of %u; %u are needed\n%s\n\n", share->number, share->shares, share->threshold, text);
    sodium_memzero(text, sizeof text);
}

static bool give_shares(struct adding *a, unsigned place, struct error *err)
{
    struct share shares[CUSTODIANS_MAX];
    struct keyring_info info;
    bool ok = store_keys_peek(a->dir, &info, err) && custody_split(&info, place, writer_span(&a->secret), shares, err);

    if (ok && a->o->out != NULL && mkdir(a->o->out, 0700) != 0 && errno != EEXIST)
        ok = error_errno(err, "%s", a->o->out);
    ok = ok && (a->o->out == NULL || file_sync_name(a->o->out, err));
    for (unsigned i = 0; ok && i < a->o->shares; i++) {
        if (a->o->out != NULL)
            ok = give_page(a, &info, &shares[i], err);
        else
            print_share(&shares[i]);
    }
    if (ok && fflush(stdout) != 0)
        ok = error_errno(err, "standard output");
    sodium_memzero(shares, sizeof shares);
    return ok;
}

static bool give_nothing(struct adding *a, unsigned place, struct error *err)
{
    (void)a;
    (void)place;
    (void)err;
    return true;
}

static const struct kind {
    const char *name;
    bool (*make)(struct adding *a, struct error *err);
    bool (*give)(struct adding *a, unsigned place, struct error *err);
} kinds[] = {
    { "passphrase", read_passphrase, give_nothing },
    { "file", make_key_file, give_file },
    { "custodians", make_shares, give_shares },
    { "credential", make_credential, give_credential },
};

/* ---- asking the vault ---- */

static bool ask_add(struct adding *a, unsigned *place, struct error *err)
{
    struct writer request = writer_new(256), reply = writer_new(CHANNEL_MESSAGE_MAX);
    CLEANUP(file_close) int fd = -1;
    bool ok;

    field_put_str(&request, FIELD_KEY_DEED, "add");
    field_put_uint(&request, FIELD_THRESHOLD, a->o->threshold);
    field_put_uint(&request, FIELD_SHARES, a->o->shares);
    ok = secret_seal(&a->secret, &fd, err) && key_ask(a->dir, a->o->key_file, writer_span(&request), fd, &reply, err);
    if (ok)
        *place = (unsigned)fields_uint(writer_span(&reply), FIELD_UNLOCKER_NUMBER, 1) - 1;
    writer_done(&request);
    writer_done(&reply);
    return ok;
}

/* What could not be given out must not stay: nobody has it. */
static void take_back(struct adding *a, unsigned place)
{
    struct writer request = writer_new(256), reply = writer_new(CHANNEL_MESSAGE_MAX);
    struct error err = { 0 };

    field_put_str(&request, FIELD_KEY_DEED, "remove");
    field_put_uint(&request, FIELD_UNLOCKER_NUMBER, place + 1);
    if (!key_ask(a->dir, a->o->key_file, writer_span(&request), -1, &reply, &err))
        (void)fprintf(stderr, "fanal key: unlocker %u is there and nobody has its secret: remove it (%s)\n", place + 1,
                      err.text);
    writer_done(&request);
    writer_done(&reply);
}

int key_add(const struct key_options *o)
{
    struct adding a = { .o = o, .dir = o->arguments[1], .secret = writer_new(SECRET_BYTES_MAX) };
    const struct kind *kind = NULL;
    struct error err = { 0 };
    unsigned place = 0;
    bool ok, added;

    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (span_equal(span_str(o->arguments[0]), span_str(kinds[i].name)))
            kind = &kinds[i];
    if (kind == NULL) {
        (void)fputs("fanal key add: passphrase, file, custodians or credential; see fanal key --help\n", stderr);
        return CLI_USAGE;
    }
    ok = secret_room(&a.secret, &err) && kind->make(&a, &err);
    added = ok && ask_add(&a, &place, &err);
    ok = added && kind->give(&a, place, &err);
    if (added && !ok)
        take_back(&a, place);
    secret_wipe(&a.secret);
    if (!ok)
        return command_failed("key", &err);
    (void)fprintf(stderr, "unlocker %u (%s) opens the vault from now on\n", place + 1, o->arguments[0]);
    return CLI_YES;
}
