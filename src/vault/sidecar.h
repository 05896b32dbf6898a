/*
 * The seal beside a full file: its format, making one, asking one (docs/format.md, "Seals").
 *
 * "Seal" is also what seal.h does with bytes; here the file NAME.seal is called the sidecar. Makes and reads, decides
 * nothing: when a file is sealed is sealer.h's, what becomes of damage mend.h's.
 */
#ifndef FANAL_VAULT_SIDECAR_H
#define FANAL_VAULT_SIDECAR_H

#include "vault/parity.h"
#include "vault/store_internal.h"

#define SIDECAR_NAME_BYTES   64u /* names of sealed files are our own and shorter */
#define SIDECAR_HEADER_BYTES 512u
#define SIDECAR_SUFFIX       ".seal"
#define TABLE_BLOCK_BYTES    508u /* of a sector; the rest is its CRC */

/* Tables of a group at their longest: hash, CRCs of data, CRCs of parity. */
#define GROUP_TABLES_MAX (HASH_BYTES + 4u * (GROUP_SECTORS + GROUP_STRIPES * PARITY_ROWS))

struct sidecar_header {
    bool was_damaged;
    char name[SIDECAR_NAME_BYTES + 1];
    uint64_t length;
    uint64_t made_us;
    struct hash sha256;
    uint64_t first, behind; /* positions; 0, 0: none */
    uint64_t tables;        /* bytes */
    struct hash tables_sha256;
};

/* Where things are; a function of the file's length and that of its table of contents. */
struct sidecar_layout {
    uint64_t length;
    uint64_t groups;
    uint64_t contents; /* offset of the table of contents in the tables */
    uint64_t tables;
    uint64_t blocks;
    uint64_t parity_sectors;
    uint64_t parity_at, again_at, size; /* offsets in the sidecar */
};

/* ERR_LIMIT for an empty file and one beyond BODY_BYTES_MAX and its tags. */
bool sidecar_layout_of(uint64_t length, uint64_t contents_bytes, struct sidecar_layout *out, struct error *err);

/* Sectors of group g. */
uint32_t layout_group_sectors(const struct sidecar_layout *l, uint64_t g);
/* Where in the tables group g's begin, and where in the sidecar its parity. */
uint64_t layout_group_tables(uint64_t g);
uint64_t layout_group_parity(const struct sidecar_layout *l, uint64_t g);

void sidecar_name(const char *name, char out[NAME_BYTES_MAX]);

/* Removes the seal that an earlier file of that name may have left: before the name is written to again. */
bool sidecar_drop(struct store *s, const char *name, struct error *err);

uint32_t sector_crc(const uint8_t sector[SECTOR_BYTES]);

/* ---- making ---- */

/* Called with the bytes that were read and written since last; false ends the work (ERR_BUSY). */
typedef bool pace_fn(void *context, uint64_t bytes);

struct sidecar_order {
    const char *name;
    bool was_damaged;
    uint64_t first, behind;
    struct span contents;         /* of a log segment: 4 bytes an entry */
    const struct hash *must_be;   /* NULL, or the SHA-256 that the file must have: ERR_DAMAGED */
    uint64_t made_us;
    pace_fn *pace;                /* NULL: as fast as it goes */
    void *pace_context;
};

/* Reads the file once, writes NAME.seal; *size gets its length. ERR_NO_SPACE, ERR_IO: the old one, if any, stays. */
bool sidecar_make(struct store *s, const struct parity_code *code, const struct sidecar_order *order, uint64_t *size,
                  struct error *err);

/* ---- asking ---- */

struct sidecar {
    int fd;
    struct sidecar_header h;
    struct sidecar_layout l;
    bool header_bad[2];
};

/*
 * Opens the sidecar of a file below root (the store's own, or a copy's): at least one header is whole and this vault's.
 * ERR_NOT_FOUND where there is none, ERR_DAMAGED.
 */
bool sidecar_open(struct store *s, const char *root, const char *name, struct sidecar *out, struct error *err);
void sidecar_close(struct sidecar *sc);

/* What the tables say of one group. */
struct group_tables {
    bool hash_known;
    struct hash hash;
    uint32_t sectors, parity;
    uint32_t unknown;                      /* CRCs lost, of data and parity */
    uint8_t raw[GROUP_TABLES_MAX];
    uint8_t lost[GROUP_TABLES_MAX / 4 + 1]; /* a byte for each four of raw */
};

/* Reads from whichever copy of each block is whole. *bad_blocks counts copies that are not. False: no such group. */
bool sidecar_group(const struct sidecar *sc, uint64_t g, struct group_tables *out, uint64_t *bad_blocks);

/* Both copies of block n are whole. */
bool sidecar_block_is_whole(const struct sidecar *sc, uint64_t n);

/* CRC of data sector i, or of parity sector i - sectors; false where it is lost. */
bool group_tables_crc(const struct group_tables *t, uint32_t i, uint32_t *out);

/* The tables fit the hash in the header: only then do they decide what is written. Reads all of them. */
bool sidecar_tables_fit(struct store *s, const struct sidecar *sc, uint64_t *bad_blocks, struct error *err);

/* The table of contents of a log segment (appended to *out); ERR_DAMAGED where a block of it is lost. */
bool sidecar_contents(const struct sidecar *sc, struct writer *out, struct error *err);

#endif
