/*
 * One frame through lens_decode() for the oracle test: description in the arguments, encoded bytes on standard
 * input, samples on standard output.
 *
 *   frame_tool SYNTAX ROWS COLUMNS SAMPLES ALLOCATED STORED HIGH SIGNED PLANAR BIG PHOTOMETRIC [DESCRIPTOR FILE]×3
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "lens/decode.h"
#include "record/field.h"

static const enum field numbers[] = {
    FIELD_ROWS,        FIELD_COLUMNS,  FIELD_SAMPLES_PER_PIXEL,    FIELD_BITS_ALLOCATED,
    FIELD_BITS_STORED, FIELD_HIGH_BIT, FIELD_PIXEL_REPRESENTATION, FIELD_PLANAR_CONFIGURATION,
    FIELD_BIG_ENDIAN,
};

static void put_palette(struct writer *w, char **argv)
{
    size_t mark = field_group_begin(w, FIELD_PALETTE);
    struct error err;

    for (int i = 0; i < 6; i += 2) {
        struct writer table = writer_new(1 << 20);

        if (!file_slurp(argv[i + 1], &table, &err))
            exit(2);
        field_put_str(w, FIELD_PALETTE_DESCRIPTOR, argv[i]);
        field_put_bytes(w, FIELD_PALETTE_DATA, writer_span(&table));
        writer_done(&table);
    }
    field_group_end(w, mark);
}

int main(int argc, char **argv)
{
    struct writer fields = writer_new(1 << 22), in = writer_new(LENS_FRAME_BYTES_MAX),
                  out = writer_new(LENS_FRAME_BYTES_MAX);
    struct frame_description d;
    struct frame_result r;
    struct error err = { 0 };

    if (argc != 12 && argc != 18)
        return 2;
    field_put_str(&fields, FIELD_TRANSFER_SYNTAX, argv[1]);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        field_put_uint(&fields, numbers[i], strtoul(argv[2 + i], NULL, 10));
    field_put_str(&fields, FIELD_PHOTOMETRIC, argv[11]);
    if (argc == 18)
        put_palette(&fields, argv + 12);
    if (!file_slurp("/dev/stdin", &in, &err) || !frame_description_read(writer_span(&fields), &d, &err)
        || !lens_decode(&d, writer_span(&in), &out, &r, &err)) {
        (void)fprintf(stderr, "%s: %s\n", error_name(err.code), err.text);
        return 1;
    }
    (void)fprintf(stderr, "%s\n", photometric_name(r.photometric));
    return file_write_all(STDOUT_FILENO, writer_span(&out), &err) ? 0 : 2;
}
