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
/*
 * A file without a seal: one that was sealed goes back to be sealed, one that is not full yet is checked against the log
 * (*damaged).
 */
bool scrub_unsealed(struct sealer *sl, size_t directory, const char *name, bool *damaged, struct error *err);
/* Keyring copies, confirm files, ledger: doubled or made from the log, they are mended without a seal. */
bool scrub_rest(struct sealer *sl, struct error *err);
/* The index's addresses of a segment's entries, against its table of contents (4 bytes an entry, from position first on). */
bool scrub_index(struct sealer *sl, uint32_t segment, uint64_t first, struct span contents, struct error *err);

/* Shared body files in which nothing can be read any more: the data key of every record in them was destroyed. */
struct erased_files {
    uint8_t *states; /* by number */
    size_t count;
};

/* Reads every entry up to the confirmed end. *out (zeros before): to be given to erased_files_done(), in any case. */
bool erased_files_find(struct store *s, struct erased_files *out, struct error *err);
bool erased_files_has(const struct erased_files *f, uint32_t number);
void erased_files_done(struct erased_files *f);

#endif
