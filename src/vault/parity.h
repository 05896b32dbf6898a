/*
 * Reed-Solomon parity over sectors of 512 bytes: 128 of data, 16 of parity (docs/format.md, "Seals").
 *
 * Pure: bytes in, bytes out. A file is cut into groups of at most GROUP_SECTORS; a group is a table of rows and stripes,
 * filled row by row, so that what lies side by side in the file falls into different stripes. Each stripe stands the loss
 * of any PARITY_ROWS of its sectors, parity included. Arithmetic in GF(2^8) and its speed are ISA-L's.
 */
#ifndef FANAL_VAULT_PARITY_H
#define FANAL_VAULT_PARITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECTOR_BYTES  512u
#define DATA_ROWS     128u
#define PARITY_ROWS   16u
#define GROUP_STRIPES 256u
#define GROUP_SECTORS (DATA_ROWS * GROUP_STRIPES) /* 16 MiB */
#define GROUP_BYTES   (GROUP_SECTORS * SECTOR_BYTES)

/*
 * Stripes of a group that is not full: at least so many that a megabyte anywhere (2048 sectors, and one more where it
 * does not begin on a sector) takes no more than PARITY_ROWS of any stripe, or that the parity is as long as the data.
 */
#define STRIPES_LEAST 129u

/* The table of a group of `sectors`, 1 to GROUP_SECTORS. Sector i is in row i / stripes of stripe i % stripes. */
struct parity_shape {
    uint32_t sectors;
    uint32_t stripes;
    uint32_t rows; /* of data; the last may be short: what is missing of it counts as zeros */
};
struct parity_shape parity_shape_of(uint32_t sectors);

static inline uint32_t parity_sectors(const struct parity_shape *shape)
{
    return shape->stripes * PARITY_ROWS;
}

/* The code's tables: made once, read by anybody. */
struct parity_code;
struct parity_code *parity_code_new(void); /* NULL: no memory */
void parity_code_free(struct parity_code *code);

/*
 * Adds row `row` of a group to its parity: bytes are stripes × SECTOR_BYTES (padded with zeros). parity is
 * parity_sectors() × SECTOR_BYTES, zeros before the first row; parity sector p of stripe s is at (p × stripes + s).
 */
void parity_add_row(const struct parity_code *code, const struct parity_shape *shape, uint32_t row,
                    const uint8_t *bytes, uint8_t *parity);

/*
 * Fills in the sectors of a group that are bad. data: rows × stripes sectors (padded with zeros, never bad); bad and
 * bad_parity: a byte a sector, not 0 where it is lost. What was filled in is no longer marked. Returns how many sectors
 * of data stay lost, because more than PARITY_ROWS of their stripe are; those are zeros. Parity is not made again.
 * UINT32_MAX without memory: nothing was filled in.
 */
uint32_t parity_fill(const struct parity_code *code, const struct parity_shape *shape, uint8_t *data,
                     const uint8_t *parity, uint8_t *bad, const uint8_t *bad_parity);

#endif
