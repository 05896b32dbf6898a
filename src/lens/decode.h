/*
 * One frame in, its samples out: the interface in front of all decoders.
 *
 * A frame_description is what the data set says of its pixels (PS3.3 C.7.6.3); the encoded bytes are one
 * frame of Pixel Data (PS3.5 §8, Annex A.4). What the bytes themselves say (a JPEG header's precision,
 * dimensions) is checked against it, and wins where the two are about the coding only.
 * Codecs here touch no file, socket or clock.
 */
#ifndef FANAL_LENS_DECODE_H
#define FANAL_LENS_DECODE_H

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"

/* The largest frame drawn: 16384 × 16384 in 8 bits, or a 512-MiB wide one. The lens's memory limit follows it. */
#define LENS_FRAME_BYTES_MAX ((size_t)512 * 1024 * 1024)

enum photometric {
    PHOTOMETRIC_OTHER = 0, /* valid somewhere, not drawn by us */
    PHOTOMETRIC_MONOCHROME1,
    PHOTOMETRIC_MONOCHROME2,
    PHOTOMETRIC_PALETTE_COLOR,
    PHOTOMETRIC_RGB,
    PHOTOMETRIC_YBR_FULL,
    PHOTOMETRIC_YBR_FULL_422,
};

/* PS3.3 C.7.6.3.1.2: the defined term, blanks trimmed. */
enum photometric photometric_of(struct span term);
const char *photometric_name(enum photometric p);

/* One Palette Color Lookup Table (PS3.3 C.7.6.3.1.5); data borrows. */
struct palette_table {
    uint32_t entries; /* 1 … 65536 */
    int32_t first;    /* first stored value mapped */
    uint32_t bits;    /* 8 or 16 */
    struct span data; /* words, little endian, or bytes two in a word */
};

struct frame_description {
    struct span transfer_syntax;
    uint32_t rows, columns, samples_per_pixel;
    uint32_t bits_allocated, bits_stored, high_bit;
    bool is_signed;  /* Pixel Representation 1 */
    bool planar;     /* Planar Configuration 1: RRR… GGG… BBB… */
    bool big_endian; /* of native words */
    enum photometric photometric;
    bool has_palette;
    struct palette_table palette[3];
};

/*
 * Reads a description from the fields of a DECODE (docs/channel.md); *out borrows from them.
 * ERR_MALFORMED where the values contradict each other, ERR_UNSUPPORTED for depths nobody draws, ERR_LIMIT beyond
 * LENS_FRAME_BYTES_MAX.
 */
bool frame_description_read(struct span fields, struct frame_description *out, struct error *err);

/* ERR_… as above for a description made by hand. */
bool frame_description_check(const struct frame_description *d, struct error *err);

struct frame_result {
    uint32_t rows, columns, samples_per_pixel;
    uint32_t bits_allocated; /* 8, 16 or 32 */
    bool is_signed;
    enum photometric photometric; /* MONOCHROME1, MONOCHROME2 or RGB */
    bool lossless;                /* the samples are exactly what was encoded */
};

/*
 * Decodes one frame. The samples are appended to *out (little endian, interleaved, masked to Bits Stored and
 * sign-extended), exactly rows × columns × samples × bytes of them; nothing promised of *out on failure.
 * Colour comes out as RGB; MONOCHROME1 is named in *result, not inverted.
 * ERR_UNSUPPORTED names the transfer syntax or coding that is not drawn.
 */
bool lens_decode(const struct frame_description *d, struct span encoded, struct writer *out,
                 struct frame_result *result, struct error *err);

/* Whether lens_decode() may do anything but refuse it as unsupported. */
bool lens_knows(struct span transfer_syntax);

#endif
