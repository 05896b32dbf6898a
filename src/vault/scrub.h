/* What scrubbing shares with a repair by hand (sealer.h). */
#ifndef FANAL_VAULT_SCRUB_H
#define FANAL_VAULT_SCRUB_H

#include "vault/sealer.h"

/* Of a round, from 0 on; NULL behind the last. */
const char *scrub_directory(size_t n);
/* The names of full and other data files in a directory that sort after `after`: the first SCRUB_NAMES_MAX. */
bool names_load(struct name_list *l, struct store *s, const char *dir, const char *after, struct error *err);
/* The same below another copy's directory `vault`. */
bool names_load_below(struct name_list *l, const char *root, const char *dir, const char *after, struct error *err);
/* The seal of a file is lost: where it had one, sealing goes back to it. */
void scrub_seal_lost(struct sealer *sl, size_t directory, const char *name);
/* Keyring copies, confirm files, ledger: doubled or made from the log, they are mended without a seal. */
bool scrub_rest(struct sealer *sl, struct error *err);

#endif
