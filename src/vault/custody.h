/*
 * Making shares for custodians, and putting k of them together again: which belong to this vault and to one another,
 * which were given already. In locked memory; nothing of it is written anywhere.
 */
#ifndef FANAL_VAULT_CUSTODY_H
#define FANAL_VAULT_CUSTODY_H

#include "vault/share.h"

#define CUSTODY_SECRET_BYTES (sizeof SECRET_SHARES_PREFIX - 1 + 2 * (size_t)KEY_BYTES)

/* "shares:" and 64 hex digits of a fresh random secret; out has CUSTODY_SECRET_BYTES, no NUL. */
void custody_secret_new(uint8_t out[CUSTODY_SECRET_BYTES]);

/* Shares 1 to n of such a secret for the unlocker of that keyring. ERR_USAGE where secret or unlocker is of another
 * kind. */
bool custody_split(const struct keyring_info *info, unsigned place, struct span secret, struct share *out,
                   struct error *err);

struct custody;

/* For the keyring that info tells of. ERR_NOT_FOUND where it has no custodians. */
struct custody *custody_new(const struct keyring_info *info, struct error *err);
void custody_free(struct custody *c); /* wipes; NULL allowed */

/*
 * Takes one share. ERR_REFUSED for one of another vault, of other custodians than the first one given, or given
 * already; else as share_of_text(). What was given before stays.
 */
bool custody_give(struct custody *c, struct span text, struct error *err);
/* Forgets all shares. */
void custody_reset(struct custody *c);

unsigned custody_given(const struct custody *c);
/* How many are needed; where no share is given yet and there are several sets of custodians: the least of them. */
unsigned custody_needed(const struct custody *c);

/* The secret, once enough are given. out has CUSTODY_SECRET_BYTES. ERR_BUSY before. */
bool custody_secret(const struct custody *c, uint8_t out[CUSTODY_SECRET_BYTES], struct error *err);

#endif
