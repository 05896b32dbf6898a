/*
 * Reed-Solomon parity: whatever up to 16 sectors a stripe loses come back as they were, more never come back wrong.
 */
#include <time.h>
#include <unistd.h>

#include "vault/parity.h"

#include "../test.h"

/* A group in memory: the bytes as they were, and a copy that is damaged. */
struct group {
    struct parity_shape shape;
    size_t cells; /* rows × stripes */
    uint8_t *whole, *data, *parity, *bad, *bad_parity;
};

static struct parity_code *code;

/* Bytes that repeat nowhere, quickly (xorshift). */
static void noise(uint8_t *out, size_t len)
{
    uint64_t x = (uint64_t)random() << 32 | (uint64_t)random() | 1;

    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        out[i] = (uint8_t)(x >> (i % 8 * 8));
    }
}

static void group_make(struct group *g, uint32_t sectors)
{
    g->shape = parity_shape_of(sectors);
    g->cells = (size_t)g->shape.rows * g->shape.stripes;
    g->whole = calloc(g->cells, SECTOR_BYTES);
    g->data = malloc(g->cells * SECTOR_BYTES);
    g->parity = calloc(parity_sectors(&g->shape), SECTOR_BYTES);
    g->bad = calloc(g->cells, 1);
    g->bad_parity = calloc(parity_sectors(&g->shape), 1);
    if (g->whole == NULL || g->data == NULL || g->parity == NULL || g->bad == NULL || g->bad_parity == NULL)
        abort();
    noise(g->whole, (size_t)sectors * SECTOR_BYTES);
    for (uint32_t row = 0; row < g->shape.rows; row++)
        parity_add_row(code, &g->shape, row, g->whole + (size_t)row * g->shape.stripes * SECTOR_BYTES, g->parity);
}

static void group_free(struct group *g)
{
    free(g->whole);
    free(g->data);
    free(g->parity);
    free(g->bad);
    free(g->bad_parity);
}

/* Every sector that is marked is made worthless first. */
static uint32_t group_fill(struct group *g)
{
    memcpy(g->data, g->whole, g->cells * SECTOR_BYTES);
    for (size_t i = 0; i < g->cells; i++)
        if (g->bad[i] != 0)
            memset(g->data + i * SECTOR_BYTES, (int)random() & 0xff, SECTOR_BYTES);
    return parity_fill(code, &g->shape, g->data, g->parity, g->bad, g->bad_parity);
}

static void group_heal(struct group *g)
{
    memset(g->bad, 0, g->cells);
    memset(g->bad_parity, 0, parity_sectors(&g->shape));
}

/* Everything that is not marked lost is as it was. */
static bool group_fits(const struct group *g)
{
    for (size_t i = 0; i < g->cells; i++)
        if (g->bad[i] == 0 && memcmp(g->data + i * SECTOR_BYTES, g->whole + i * SECTOR_BYTES, SECTOR_BYTES) != 0)
            return false;
    return true;
}

static void seed(const char *what)
{
    unsigned value = getenv("FANAL_SEED") != NULL ? (unsigned)strtoul(getenv("FANAL_SEED"), NULL, 10)
                                                  : (unsigned)getpid() ^ (unsigned)time(NULL);

    print_message("# %s: seed %u\n", what, value);
    srandom(value);
}

TEST(a_shape_holds_every_sector_and_bounds_the_parity)
{
    for (uint32_t n = 1; n <= GROUP_SECTORS; n++) {
        struct parity_shape s = parity_shape_of(n);

        CHECK(s.rows <= DATA_ROWS && s.rows * s.stripes >= n && (s.rows - 1) * s.stripes < n);
        CHECK(parity_sectors(&s) <= (n + PARITY_ROWS - 1) / PARITY_ROWS * PARITY_ROWS || s.stripes * DATA_ROWS < n + DATA_ROWS);
        /* A megabyte that does not begin on a sector, anywhere. */
        CHECK(s.rows <= PARITY_ROWS || (2049 + s.stripes - 1) / s.stripes <= PARITY_ROWS);
    }
    CHECK(parity_sectors(&(struct parity_shape){ .stripes = parity_shape_of(GROUP_SECTORS).stripes }) * 8
          == GROUP_SECTORS); /* 12.5 % */
}

/* As many sectors of each stripe as parity can stand, of data and parity alike, at random. */
TEST(a_thousand_random_patterns_come_back)
{
    static const uint32_t sizes[] = { 1, 2, 15, 16, 17, 129, 500, 1000, 2064, 2065, 4000, 6000 };

    seed("patterns");
    for (int round = 0; round < 1000; round++) {
        struct group g;
        uint32_t sectors = round % 100 == 0 ? GROUP_SECTORS / 8 : sizes[(size_t)random() % COUNT_OF(sizes)];

        group_make(&g, sectors);
        for (uint32_t s = 0; s < g.shape.stripes; s++)
            for (uint32_t n = 0, most = (uint32_t)random() % (PARITY_ROWS + 1); n < most; n++) {
                uint32_t row = (uint32_t)random() % (g.shape.rows + PARITY_ROWS);
                size_t at = (size_t)row * g.shape.stripes + s;

                if (row >= g.shape.rows)
                    g.bad_parity[at - g.cells] = 1;
                else if (at < sectors)
                    g.bad[at] = 1;
            }
        CHECK(group_fill(&g) == 0 && group_fits(&g));
        group_free(&g);
    }
}

TEST(any_megabyte_comes_back)
{
    static const uint32_t sizes[] = { 700, 2048, 2049, 2064, 2065, 2100, 4096, 9000, 16512, 16513, 20000, GROUP_SECTORS };

    seed("megabytes");
    EACH (size, sizes) {
        struct group g;

        group_make(&g, *size);
        for (int n = 0; n < 12; n++) {
            uint32_t most = *size > 2049 ? *size - 2049 : 0;
            uint32_t from = n == 0 ? 0 : n == 1 ? most : most == 0 ? 0 : (uint32_t)random() % most;

            for (uint32_t i = from; i < *size && i < from + 2049; i++)
                g.bad[i] = 1;
            CHECK(group_fill(&g) == 0 && group_fits(&g));
        }
        group_free(&g);
    }
}

/* Of data and parity; then so many that some stay lost: those are named, the others are right. */
TEST(two_in_a_hundred_come_back_and_more_is_named)
{
    struct group g;

    seed("per cent");
    group_make(&g, GROUP_SECTORS);
    for (size_t i = 0; i < g.cells; i++)
        g.bad[i] = random() % 100 < 2;
    for (size_t i = 0; i < parity_sectors(&g.shape); i++)
        g.bad_parity[i] = random() % 100 < 2;
    CHECK(group_fill(&g) == 0 && group_fits(&g));
    group_heal(&g);
    for (size_t i = 0; i < g.cells; i++)
        g.bad[i] = random() % 100 < 13;
    {
        uint32_t lost = group_fill(&g), named = 0;

        for (size_t i = 0; i < g.cells; i++)
            named += g.bad[i];
        CHECK(lost > 0 && lost == named && lost < g.cells / 5 && group_fits(&g));
    }
    group_free(&g);
}

TEST(one_more_than_the_parity_is_lost_and_said)
{
    struct group g;

    group_make(&g, 5000);
    for (uint32_t row = 0; row <= PARITY_ROWS; row++)
        g.bad[(size_t)row * g.shape.stripes + 7] = 1;
    g.bad[8] = 1; /* of another stripe */
    CHECK(group_fill(&g) == PARITY_ROWS + 1 && g.bad[8] == 0 && g.bad[7] == 1 && group_fits(&g));
    group_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests_[] = { T(a_shape_holds_every_sector_and_bounds_the_parity),
                                         T(a_thousand_random_patterns_come_back),
                                         T(any_megabyte_comes_back),
                                         T(two_in_a_hundred_come_back_and_more_is_named),
                                         T(one_more_than_the_parity_is_lost_and_said) };
    int failed;

    cmocka_set_message_output(CM_OUTPUT_TAP);
    code = parity_code_new();
    failed = code == NULL ? 1 : cmocka_run_group_tests(tests_, NULL, NULL);
    parity_code_free(code);
    return failed;
}
