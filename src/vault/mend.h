/*
 * What becomes of damage in a sealed file: found against its seal, solved from parity or another copy, written back
 * (docs/format.md, "Seals").
 *
 * Nothing is written that does not fit the sector's CRC and a hash that the seal's header vouches for.
 */
#ifndef FANAL_VAULT_MEND_H
#define FANAL_VAULT_MEND_H

#include "vault/sidecar.h"

/* What was found in a file and its seal, in sectors and blocks of 512 bytes. */
struct mend_result {
    uint64_t bad;      /* sectors of the file that were not as they were sealed */
    uint64_t repaired; /* of them: written back */
    uint64_t solvable; /* of them: could be written back */
    uint64_t lost;     /* of them: neither parity nor the copy gives them */
    uint64_t bad_seal; /* headers, blocks and parity sectors of the seal */
    bool length_bad;   /* the file is longer or shorter than it was */
    bool forged;       /* every CRC fits and a hash does not: no accident */
    bool was_damaged;  /* it was sealed so */
};

static inline bool mend_is_whole(const struct mend_result *r)
{
    return r->bad == 0 && r->bad_seal == 0 && !r->length_bad && !r->forged;
}

struct mender;
/* ERR_MEMORY. One thread at a time. 18 MiB more while a group is solved. */
struct mender *mender_new(struct store *s, struct error *err);
void mender_free(struct mender *m);
const struct parity_code *mender_code(const struct mender *m);

struct mend_order {
    const char *name;
    const char *copy;      /* NULL, or the directory `vault` of another copy */
    bool write;            /* false: only look */
    verify_report *report; /* NULL, or a sentence for each group or seal that is damaged */
    void *report_context;
    pace_fn *pace;
    void *pace_context;
};

/*
 * Looks at a sealed file and repairs what it can. ERR_NOT_FOUND without a seal, ERR_DAMAGED where its headers are,
 * ERR_BUSY where pace ended it, ERR_IO where writing failed. Damage found is no failure: it is in *out.
 */
bool mend_file(struct mender *m, const struct mend_order *order, struct mend_result *out, struct error *err);

/* Makes the seal of a file again as it was, where the file fits it. Only after mend_file() left nothing bad in it. */
bool mend_seal(struct mender *m, const char *name, pace_fn *pace, void *pace_context, struct error *err);

/*
 * For readers that met damage: bytes of a sealed file, solved where they are bad. The caller checks what they say.
 * Remembers the file for the background. ERR_DAMAGED where they are lost, ERR_NOT_FOUND without a seal,
 * another code where nobody knows (no memory, no descriptor). Any thread.
 */
bool mend_read(struct store *s, const char *name, uint64_t offset, uint8_t *out, size_t len, struct error *err);
/* Gives back what readers hold of the last group: a file was mended. Any thread. */
void mend_forget(struct store *s);

#endif
