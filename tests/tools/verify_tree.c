/*
 * The trees of fanal-verify, asked line by line on standard input, so that ten thousand of them take a second:
 *   inclusion POSITION SIZE LEAF ROOT PATH     consistency FIRST ROOT SECOND ROOT PATH     root LEAVES
 * Hashes in hexadecimal, paths and leaves one behind the other, "-" for none. Answers 1, 0 or a root.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/tree.h"

#define LINE_MAX_BYTES (1 << 18)

static size_t unhex(const char *text, uint8_t *out)
{
    size_t n = strcmp(text, "-") == 0 ? 0 : strlen(text) / 2;

    for (size_t i = 0; i < n; i++) {
        unsigned byte;

        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            abort();
        out[i] = (uint8_t)byte;
    }
    return n;
}

static void answer_root(const char *leaves)
{
    static uint8_t bytes[LINE_MAX_BYTES];
    struct tree t = { 0 };
    struct hash h;
    size_t n = unhex(leaves, bytes);

    for (size_t i = 0; i < n; i += HASH_BYTES) {
        memcpy(h.bytes, bytes + i, HASH_BYTES);
        tree_add(&t, &h);
    }
    tree_root(&t, &h);
    for (size_t i = 0; i < HASH_BYTES; i++)
        printf("%02x", h.bytes[i]);
    printf("\n");
}

int main(void)
{
    static char line[LINE_MAX_BYTES], a[65], b[65], rest[LINE_MAX_BYTES];
    static uint8_t path[LINE_MAX_BYTES];
    uint64_t m, n;

    while (fgets(line, sizeof line, stdin) != NULL) {
        struct hash x, y;
        struct bytes p = { path, 0 };

        if (sscanf(line, "inclusion %" SCNu64 " %" SCNu64 " %64s %64s %262143s", &m, &n, a, b, rest) == 5) {
            (void)unhex(a, x.bytes);
            (void)unhex(b, y.bytes);
            p.len = unhex(rest, path);
            printf("%d\n", tree_includes(p, &x, m, n, &y));
        } else if (sscanf(line, "consistency %" SCNu64 " %64s %" SCNu64 " %64s %262143s", &m, a, &n, b, rest) == 5) {
            (void)unhex(a, x.bytes);
            (void)unhex(b, y.bytes);
            p.len = unhex(rest, path);
            printf("%d\n", tree_extends(p, m, &x, n, &y));
        } else if (sscanf(line, "root %262143s", rest) == 1) {
            answer_root(rest);
        } else {
            return 2;
        }
    }
    return 0;
}
