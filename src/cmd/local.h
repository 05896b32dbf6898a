/*
 * A command's conversation with the vault: through the local socket of a running `fanal serve`, else with a vault
 * process of its own that ends with the command. Either way the same calls, the same rules, the same events.
 */
#ifndef FANAL_CMD_LOCAL_H
#define FANAL_CMD_LOCAL_H

#include <sys/types.h>

#include "channel/session.h"

struct local {
    struct session *session; /* owned; NULL where it could not be opened */
    pid_t child;             /* the own vault process; 0: a `serve` answers */
};

/*
 * dir: the data directory. The secret (key_file, FANAL_PASSPHRASE_FILE, or asked for) is read only where no `serve`
 * answers. local_close() is called whatever comes back.
 */
bool local_open(struct local *out, const char *dir, const char *key_file, struct error *err);
void local_close(struct local *l);

/* Connects to the socket of a running `serve`; -1 with ERR_NOT_FOUND where none has dir. */
int local_connect(const char *dir, struct error *err);

/* In a child or before opening files: becomes the owner of DIR/vault where root asks, so that what is written stays his. */
bool local_become_owner(const char *dir, struct error *err);

/*
 * For commands that open the store themselves: reads the secret (*secret is to be wiped with secret_wipe()), becomes the
 * owner, sets *options. Nothing is logged.
 */
struct vault_options;
bool local_options(const char *dir, const char *key_file, struct vault_options *options, struct writer *secret,
                   struct error *err);

#endif
