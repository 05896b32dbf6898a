/*
 * A step of a first machine as a file: what a twin behind a one-way link needs to go from one signed head to the next
 * (docs/twin.md, "Step files"). Written once, in order; read whole before anything of it is believed.
 *
 * The file's own hash tells what the way has cut or changed; what is in it is verified by the twin like anything that comes.
 */
#ifndef FANAL_CMD_STEP_FILE_H
#define FANAL_CMD_STEP_FILE_H

#include <sodium.h>

#include "vault/twin.h"

#define STEP_PIECE_MAX ((size_t)1 << 20) /* of bytes in one part */
#define STEP_PARTS_MAX (1u << 20)        /* of one file: a terabyte in one step is more than a body may have */
#define STEP_NAME_SIZE 64

/* "00000000000000000012-00000000000000000034.step" */
void step_name(uint64_t from, uint64_t to, char out[STEP_NAME_SIZE]);
/* False for any other name. */
bool step_name_parse(const char *name, uint64_t *from, uint64_t *to);

/* ---- writing ---- */

struct step_writer {
    int fd;
    crypto_hash_sha256_state hash;
    uint32_t parts;
};

/* fd: an empty file; the caller's. from: records the twin has before it, end: where its log ends then. */
bool step_write_begin(struct step_writer *w, int fd, const struct follow_head *head, uint64_t from, address end,
                      struct error *err);
/* Bytes of range->part at range->offset, at most STEP_PIECE_MAX. absent: the first has no such file any more (no bytes). */
bool step_write_part(struct step_writer *w, const struct follow_range *range, bool absent, struct span bytes,
                     struct error *err);
/* Ends and syncs it. */
bool step_write_end(struct step_writer *w, struct error *err);

/* ---- reading ---- */

struct step_file;

/*
 * Opens and reads the whole file: constant memory but for 40 bytes a part. ERR_TRUNCATED where its end is missing,
 * ERR_DAMAGED where it is not as it was written, ERR_MALFORMED for what is no step. path is borrowed for texts.
 */
struct step_file *step_open(const char *path, struct error *err);
/* The same of a file that is open; takes over fd. */
struct step_file *step_read(int fd, const char *path, struct error *err);
void step_close(struct step_file *f); /* NULL allowed */

const struct follow_head *step_head(const struct step_file *f);
uint64_t step_from(const struct step_file *f);
/* A source over it. public_key: as pinned; a file brings no key. The file outlives it. */
struct twin_source step_source(struct step_file *f, const uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES]);

#endif
