/*
 * Runs a fuzz target without libFuzzer: every file of a corpus folder, every beginning of short ones, then mutations.
 *
 *   replay_NAME CORPUS [MUTATIONS [SEED]]     prints TAP; a crash or a sanitizer's report is the failure
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define SEEDS_MAX      256
#define SEED_BYTES_MAX ((size_t)1 << 20)
#define CUT_BYTES_MAX  2048 /* up to this length every beginning is tried */

static struct writer seeds[SEEDS_MAX];
static size_t seed_count;

static uint64_t next_random(uint64_t *state) /* xorshift64* */
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

/* The input in memory of exactly its size, so that a sanitizer sees the first byte beyond. */
static void run(struct span input)
{
    uint8_t *exact = malloc(input.len > 0 ? input.len : 1);

    if (exact == NULL)
        abort();
    if (input.len > 0)
        memcpy(exact, input.ptr, input.len);
    (void)LLVMFuzzerTestOneInput(exact, input.len);
    free(exact);
}

static bool load(const char *folder)
{
    DIR *d = opendir(folder);
    struct dirent *e;
    struct error err;

    if (d == NULL)
        return false;
    while (seed_count < SEEDS_MAX && (e = readdir(d)) != NULL) {
        char path[4096];

        if (e->d_name[0] == '.' || !path_join(path, sizeof path, folder, e->d_name, &err))
            continue;
        seeds[seed_count] = writer_new(SEED_BYTES_MAX);
        if (file_slurp(path, &seeds[seed_count], &err))
            seed_count++;
        else
            writer_done(&seeds[seed_count]);
    }
    (void)closedir(d);
    return seed_count > 0;
}

static void mutate(uint64_t *state)
{
    static const uint8_t edges[] = { 0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff };
    struct span seed = writer_span(&seeds[next_random(state) % seed_count]);
    struct writer w = writer_new(2 * SEED_BYTES_MAX);
    size_t changes = 1 + next_random(state) % 8;

    write_span(&w, seed);
    for (size_t i = 0; i < changes && w.len > 0; i++) {
        size_t at = next_random(state) % w.len;

        switch (next_random(state) % 4) {
        case 0:
            w.ptr[at] ^= (uint8_t)(1u << next_random(state) % 8);
            break;
        case 1:
            w.ptr[at] = edges[next_random(state) % sizeof edges];
            break;
        case 2:
            w.len = at;
            break;
        case 3:
            write_span(&w, span_part(seed, next_random(state) % seed.len, next_random(state) % 64));
            break;
        }
    }
    run(writer_span(&w));
    writer_done(&w);
}

int main(int argc, char **argv)
{
    unsigned long mutations = argc > 2 ? strtoul(argv[2], NULL, 10) : 2000;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL) + 1, state = seed;

    (void)setvbuf(stdout, NULL, _IONBF, 0);
    if (argc < 2 || !load(argv[1])) {
        (void)puts("1..1\nnot ok 1 - a corpus folder with files in it");
        return 1;
    }
    (void)printf("1..2\n# seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < seed_count; i++) {
        struct span whole = writer_span(&seeds[i]);

        run(whole);
        for (size_t len = 0; len < whole.len && whole.len <= CUT_BYTES_MAX; len++)
            run(span_part(whole, 0, len));
    }
    (void)printf("ok 1 - %zu files of the corpus and their beginnings\n", seed_count);
    for (unsigned long i = 0; i < mutations; i++)
        mutate(&state);
    (void)printf("ok 2 - %lu mutations\n", mutations);
    for (size_t i = 0; i < seed_count; i++)
        writer_done(&seeds[i]);
    return 0;
}
