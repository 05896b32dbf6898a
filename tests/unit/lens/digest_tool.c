/* The digests of one data set on standard input, for the oracle test: digest_tool SYNTAX → "ELEMENTS PIXELS CERTAIN" */
#include <stdio.h>

#include "base/file.h"
#include "lens/digest.h"

#define PIECE ((size_t)4096)

static void print_hex(const uint8_t *bytes)
{
    for (size_t i = 0; i < DIGEST_BYTES; i++)
        (void)printf("%02x", bytes[i]);
    (void)putchar(' ');
}

int main(int argc, char **argv)
{
    struct writer in = writer_new((size_t)1 << 30);
    struct digest_result r;
    struct error err = { 0 };
    struct digest *d = digest_new(&err);

    if (argc != 2 || d == NULL || !file_slurp("/dev/stdin", &in, &err))
        return 2;
    if (!digest_begin(d, span_str(argv[1]), &err))
        goto failed;
    for (size_t at = 0; at < in.len; at += PIECE)
        if (!digest_feed(d, span_part(writer_span(&in), at, PIECE), &err))
            goto failed;
    if (!digest_finish(d, &r, &err))
        goto failed;
    print_hex(r.elements);
    print_hex(r.pixels);
    (void)printf("%d\n", r.certain);
    return 0;
failed:
    (void)fprintf(stderr, "%s: %s\n", error_name(err.code), err.text);
    return 1;
}
