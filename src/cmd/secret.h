/*
 * What opens the master key: the bytes of a key file, or a passphrase.
 *
 * It lives in one block of memory from the moment it is read until secret_wipe(), and is passed to other processes as a
 * sealed memfd, never in a message, an argument or the environment.
 */
#ifndef FANAL_CMD_SECRET_H
#define FANAL_CMD_SECRET_H

#include "base/error.h"
#include "base/writer.h"

#define SECRET_BYTES_MAX 65536 /* a passphrase or key file; longer ones are refused when they are read */

/* Given as key_file, compared by its address: the shares of custodians open the vault (--shares). */
extern const char secret_of_custodians[];

/*
 * Opens the vault in dir: the bytes of key_file as they are, or shares of custodians (secret_shares.h); where key_file
 * is NULL, the file that FANAL_PASSPHRASE_FILE names (without the newline at its end), else the shares in
 * FANAL_SHARES_FILE, else what is asked for on the terminal: a passphrase, unseen, or shares where only they open.
 *
 * *out is empty, with a limit of at least SECRET_BYTES_MAX; secret_wipe() it whatever comes back. From here on this
 * process leaves no core; *out is locked in memory. ERR_USAGE where there is nobody to ask, or nothing was said;
 * ERR_MEMORY where it cannot be locked.
 */
bool secret_read(const char *dir, const char *key_file, struct writer *out, struct error *err);

/* For a new secret, of a key file or (NULL) a passphrase: asks twice. */
bool secret_read_new(const char *key_file, struct writer *out, struct error *err);

/*
 * A person's password: from `file` (without the newline at its end) where it is not NULL, else asked for on the terminal
 * with `prompt`, unseen; twice where it is a new one. As secret_read otherwise.
 */
bool secret_read_password(const char *file, const char *prompt, bool is_new, struct writer *out, struct error *err);

/* Room for a secret in *out, locked; what it holds is kept out of core dumps with all of this process. */
bool secret_room(struct writer *out, struct error *err);

/* One line from the terminal, which does not show it. */
bool secret_ask(int tty, const char *prompt, struct writer *out, struct error *err);

/* Overwrites and frees. */
void secret_wipe(struct writer *secret);

/*
 * Puts the secret into a memfd that nobody can change any more. *fd is the caller's. Read it with pread(): all who
 * have it share one file position.
 */
bool secret_seal(const struct writer *secret, int *fd, struct error *err);

#endif
