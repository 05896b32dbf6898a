/* See serve_secret.h. */
#include "cmd/serve_secret.h"

#include <limits.h>
#include <stdlib.h>

#include "base/file.h"
#include "cmd/secret.h"
#include "vault/store_keys.h"

/*
 * systemd's credential, where it opens the vault. Where it does not (another TPM, a restored disk), the machine starts
 * sealed and says so: a start that fails would be tried again and again by systemd, and nobody could give another secret.
 */
static bool read_credential(const char *dir, struct writer *out, struct error *err)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char file[PATH_MAX];

    if (directory == NULL)
        return error_set(err, ERR_NOT_FOUND, "CREDENTIALS_DIRECTORY is not set: systemd hands over no credential");
    return path_join(file, sizeof file, directory, "fanal", err) && secret_read(dir, file, out, err)
           && store_keys_try(dir, writer_span(out), NULL, err);
}

bool serve_secret(const char *dir, const char *key_file, enum conf_unseal at_start, const struct log *log, int *fd,
                  struct error *err)
{
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    struct error why = { 0 };
    bool sealed = false, ok = true;

    if (key_file != NULL || at_start == UNSEAL_ASK) {
        ok = secret_read(dir, key_file, &secret, err);
    } else if (at_start == UNSEAL_STAY_SEALED) {
        sealed = true;
    } else if (!read_credential(dir, &secret, &why)) {
        log_error(log, "unseal.no-credential", f_err(&why));
        sealed = true;
    }
    ok = ok && (sealed || secret_seal(&secret, fd, err));
    secret_wipe(&secret);
    return ok;
}
