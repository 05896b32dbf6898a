/*
 * A checkpoint that somebody kept outside, on paper or as a scanned note, as `fanal verify --paper` takes it, and the
 * sentence that says what became of it.
 */
#ifndef FANAL_CMD_KEPT_H
#define FANAL_CMD_KEPT_H

#include "record/paper.h"
#include "vault/anchor.h"

struct kept {
    struct writer text; /* owned: what was read; kept_done() */
    char origin[NOTE_NAME_MAX + 1];
    uint64_t size;
    uint8_t root[ROOT_BYTES];
    uint64_t time_s;  /* when it was printed; 0: a note does not say */
    bool signed_note; /* it is a whole note */
};

/* path: a file, or "-" for standard input. ERR_USAGE says what is wrong with it, a typing error by its line. */
bool kept_read(const char *path, struct kept *out, struct error *err);
void kept_done(struct kept *k);

/*
 * Prints one line. verdict: what the vault says; origin: this vault's own; now: its size. key: of its checkpoints; a
 * note is checked by it. True where the log holds it.
 */
bool kept_say(const struct kept *k, const char *verdict, const char *origin, uint64_t now, const struct vkey *key);

#endif
