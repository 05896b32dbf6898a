/* Reed-Solomon over sectors. See parity.h. */
#include "vault/parity.h"

#include <assert.h>
#include <isa-l/erasure_code.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_BYTES 32u   /* of ISA-L, a coefficient */
#define SLICE_BYTES 4096u /* of a row at once: it and the parity it goes into stay in the cache */

struct parity_code {
    uint8_t matrix[PARITY_ROWS][DATA_ROWS]; /* Cauchy: every square part of it can be inverted */
    uint8_t tables[TABLE_BYTES * DATA_ROWS * PARITY_ROWS];
};

struct parity_shape parity_shape_of(uint32_t sectors)
{
    struct parity_shape s = { .sectors = sectors };

    assert(sectors > 0 && sectors <= GROUP_SECTORS);
    s.stripes = (sectors + PARITY_ROWS - 1) / PARITY_ROWS; /* parity as long as the data */
    if (s.stripes > STRIPES_LEAST)
        s.stripes = STRIPES_LEAST;
    if (s.stripes < (sectors + DATA_ROWS - 1) / DATA_ROWS)
        s.stripes = (sectors + DATA_ROWS - 1) / DATA_ROWS;
    s.rows = (sectors + s.stripes - 1) / s.stripes;
    return s;
}

struct parity_code *parity_code_new(void)
{
    struct parity_code *code = calloc(1, sizeof *code);
    uint8_t *whole = malloc((size_t)(DATA_ROWS + PARITY_ROWS) * DATA_ROWS);

    if (code != NULL && whole != NULL) {
        gf_gen_cauchy1_matrix(whole, (int)(DATA_ROWS + PARITY_ROWS), (int)DATA_ROWS);
        memcpy(code->matrix, whole + (size_t)DATA_ROWS * DATA_ROWS, sizeof code->matrix);
        ec_init_tables((int)DATA_ROWS, (int)PARITY_ROWS, &code->matrix[0][0], code->tables);
    } else {
        free(code);
        code = NULL;
    }
    free(whole);
    return code;
}

void parity_code_free(struct parity_code *code)
{
    free(code);
}

void parity_add_row(const struct parity_code *code, const struct parity_shape *shape, uint32_t row,
                    const uint8_t *bytes, uint8_t *parity)
{
    size_t row_bytes = (size_t)shape->stripes * SECTOR_BYTES;
    uint8_t *out[PARITY_ROWS];

    for (size_t at = 0; at < row_bytes; at += SLICE_BYTES) {
        size_t n = row_bytes - at < SLICE_BYTES ? row_bytes - at : SLICE_BYTES;

        for (size_t p = 0; p < PARITY_ROWS; p++)
            out[p] = parity + p * row_bytes + at;
        /* ISA-L's signatures know no const: it reads tables and source, and adds to the parity. */
        ec_encode_data_update((int)n, (int)DATA_ROWS, (int)PARITY_ROWS, (int)row, (uint8_t *)code->tables,
                              (uint8_t *)bytes + at, out);
    }
}

/* ---- filling in ---- */

/* What is lost of a stripe, and the parity that stands in for it. */
struct pattern {
    uint32_t count;
    uint8_t lost[PARITY_ROWS];   /* rows of data */
    uint8_t parity[PARITY_ROWS]; /* as many good rows of parity */
};

struct fill {
    const struct parity_code *code;
    const struct parity_shape *shape;
    uint8_t *data;
    const uint8_t *parity;
    uint8_t forward[TABLE_BYTES * DATA_ROWS * PARITY_ROWS]; /* all rows → what is missing of each parity row */
    uint8_t backward[TABLE_BYTES * PARITY_ROWS * PARITY_ROWS];
    uint8_t missing[PARITY_ROWS][GROUP_STRIPES * SECTOR_BYTES];
};

/* False where more is lost than parity is left; *lost counts the rows. */
static bool pattern_of(const struct parity_shape *shape, uint32_t stripe, const uint8_t *bad, const uint8_t *bad_parity,
                       struct pattern *out, uint32_t *lost)
{
    struct pattern p = { 0 };
    uint32_t good = 0;

    *lost = 0;
    for (uint32_t row = 0; row < shape->rows; row++)
        if (bad[row * shape->stripes + stripe] != 0 && (*lost)++ < PARITY_ROWS)
            p.lost[p.count++] = (uint8_t)row;
    for (uint32_t row = 0; row < PARITY_ROWS && good < p.count; row++)
        if (bad_parity[row * shape->stripes + stripe] == 0)
            p.parity[good++] = (uint8_t)row;
    *out = p;
    return *lost == good;
}

/* The tables of a pattern. Its square part of the Cauchy matrix always has an inverse. */
static void prepare(struct fill *f, const struct pattern *p)
{
    uint8_t square[PARITY_ROWS * PARITY_ROWS], inverse[PARITY_ROWS * PARITY_ROWS];
    uint8_t rows[PARITY_ROWS * DATA_ROWS];
    uint32_t n = p->count;
    int singular;

    for (uint32_t i = 0; i < n; i++) {
        memcpy(rows + (size_t)i * f->shape->rows, f->code->matrix[p->parity[i]], f->shape->rows);
        for (uint32_t j = 0; j < n; j++)
            square[i * n + j] = f->code->matrix[p->parity[i]][p->lost[j]];
    }
    singular = gf_invert_matrix(square, inverse, (int)n);
    assert(singular == 0);
    ec_init_tables((int)f->shape->rows, (int)n, rows, f->forward);
    ec_init_tables((int)n, (int)n, inverse, f->backward);
}

/* Stripes `from` on, `count` of them, all with the same pattern; its rows are zeros there. */
static void fill_run(struct fill *f, const struct pattern *p, uint32_t from, uint32_t count)
{
    size_t row_bytes = (size_t)f->shape->stripes * SECTOR_BYTES, at = (size_t)from * SECTOR_BYTES;
    size_t len = (size_t)count * SECTOR_BYTES;
    uint8_t *in[DATA_ROWS], *missing[PARITY_ROWS], *out[PARITY_ROWS];

    for (uint32_t row = 0; row < f->shape->rows; row++)
        in[row] = f->data + row * row_bytes + at;
    for (uint32_t i = 0; i < p->count; i++) {
        missing[i] = f->missing[i];
        out[i] = in[p->lost[i]];
    }
    prepare(f, p);
    ec_encode_data((int)len, (int)f->shape->rows, (int)p->count, f->forward, in, missing);
    for (uint32_t i = 0; i < p->count; i++) {
        const uint8_t *want = f->parity + p->parity[i] * row_bytes + at;

        for (size_t b = 0; b < len; b++)
            missing[i][b] ^= want[b];
    }
    ec_encode_data((int)len, (int)p->count, (int)p->count, f->backward, missing, out);
}

static void clear_bad(const struct parity_shape *shape, uint8_t *data, const uint8_t *bad)
{
    for (size_t i = 0; i < (size_t)shape->rows * shape->stripes; i++)
        if (bad[i] != 0)
            memset(data + i * SECTOR_BYTES, 0, SECTOR_BYTES);
}

uint32_t parity_fill(const struct parity_code *code, const struct parity_shape *shape, uint8_t *data,
                     const uint8_t *parity, uint8_t *bad, const uint8_t *bad_parity)
{
    struct fill *f = malloc(sizeof *f);
    uint32_t still_lost = 0, next;

    if (f == NULL)
        return UINT32_MAX;
    f->code = code;
    f->shape = shape;
    f->data = data;
    f->parity = parity;
    clear_bad(shape, data, bad);
    for (uint32_t stripe = 0; stripe < shape->stripes; stripe = next) {
        struct pattern p, q;
        uint32_t lost;
        bool can = pattern_of(shape, stripe, bad, bad_parity, &p, &lost);

        next = stripe + 1;
        still_lost += can ? 0 : lost;
        if (!can || lost == 0)
            continue;
        while (next < shape->stripes && pattern_of(shape, next, bad, bad_parity, &q, &lost)
               && memcmp(&p, &q, sizeof p) == 0)
            next++;
        fill_run(f, &p, stripe, next - stripe);
        for (uint32_t s = stripe; s < next; s++)
            for (uint32_t i = 0; i < p.count; i++)
                bad[p.lost[i] * shape->stripes + s] = 0;
    }
    free(f);
    return still_lost;
}
