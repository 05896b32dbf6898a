/*
 * A folder as the source of a twin: a copy of a first machine's vault directory, as rsync or a one-way link brings it
 * (docs/twin.md, "One way"). What it holds is verified like anything else that comes.
 */
#ifndef FANAL_CMD_FOLDER_SOURCE_H
#define FANAL_CMD_FOLDER_SOURCE_H

#include "vault/twin.h"

struct folder_source {
    const char *path;     /* the vault directory; borrowed */
    struct seal *seal;    /* borrowed */
    uint8_t vault_id[VAULT_ID_BYTES];
    uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES]; /* as pinned: a folder brings no key */
};

/* A source over f, which outlives it. */
struct twin_source folder_source(struct folder_source *f);

#endif
