/*
 * Who may open a store, and changing it while it serves: unlockers and the master key (docs/format.md, "Keyring").
 *
 * The changes may be made by any thread, one at a time; confirms wait meanwhile, commits and reads go on.
 */
#ifndef FANAL_VAULT_STORE_KEYS_H
#define FANAL_VAULT_STORE_KEYS_H

#include "vault/keyring.h"
#include "vault/store.h"

/*
 * What the keyring of dir/vault says in clear, without a secret; where dir is a file, the keyring in that back-up.
 * ERR_NOT_FOUND, ERR_DAMAGED.
 */
bool store_keys_peek(const char *dir, struct keyring_info *out, struct error *err);
/* Does the secret open it? Changes nothing. *place (NULL allowed): the unlocker, from 0. ERR_SEALED where it does not.
 */
bool store_keys_try(const char *dir, struct span secret, unsigned *place, struct error *err);

void store_keys(struct store *s, struct keyring_info *out);
/*
 * As keyring_add(), keyring_remove(), keyring_rotate(). After ERR_IO the store takes nothing more until it is opened
 * again.
 */
bool store_keys_add(struct store *s, const struct new_unlocker *new, unsigned *place, struct error *err);
bool store_keys_remove(struct store *s, unsigned place, struct error *err);
bool store_keys_rotate(struct store *s, struct error *err);

#endif
