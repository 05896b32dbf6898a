/*
 * What the decoders of this folder share: samples before colour and masking.
 *
 * A codec fills `out`, whose length the caller has computed from the description (frame_samples() ×
 * frame_sample_bytes()), with samples in little endian, interleaved by pixel. It is indexed below its known
 * length and never grows.
 */
#ifndef FANAL_LENS_CODEC_H
#define FANAL_LENS_CODEC_H

#include "lens/decode.h"

struct samples {
    uint8_t *ptr;
    size_t len;
};

/* rows × columns × samples; frame_description_check() has seen that it does not wrap. */
size_t frame_samples(const struct frame_description *d);
/* 1, 2 or 4: bytes of one decoded sample. */
size_t frame_sample_bytes(const struct frame_description *d);

/* PS3.5 §8.1, §8.2: uncompressed. */
bool native_decode(const struct frame_description *d, struct span encoded, struct samples out, struct error *err);

/* PS3.5 Annex G. ERR_TRUNCATED where a segment ends early. */
bool rle_decode(const struct frame_description *d, struct span encoded, struct samples out, struct error *err);

/* What a JPEG codestream says of itself, from its frame header (T.81 §B.2.2). */
struct jpeg_header {
    unsigned sof;       /* 0xc0 … 0xcf: which process */
    unsigned precision; /* 2 … 16 */
    uint32_t rows, columns;
    unsigned components;
    bool has_jfif;
    bool has_adobe;
    unsigned adobe_transform; /* 0: none, 1: YCbCr */
    bool subsampled;          /* some component has other sampling factors than the first */
};
bool jpeg_header_read(struct span encoded, struct jpeg_header *out, struct error *err);

/* T.81 baseline and extended sequential and progressive in 8 bits, through libjpeg. Colour becomes RGB. */
bool jpeg_dct_decode(const struct frame_description *d, const struct jpeg_header *h, struct span encoded,
                     struct samples out, struct error *err);

/* T.81 Annex H (process 14), all predictors. */
bool jpeg_lossless_decode(const struct frame_description *d, struct span encoded, struct samples out,
                          struct error *err);

/* Masks to Bits Stored at High Bit and extends the sign, in place (PS3.5 §8.1.1). */
void samples_mask(const struct frame_description *d, struct samples s);

/* YBR_FULL to RGB in place, 8 bits (PS3.3 C.7.6.3.1.2). */
void samples_ybr_to_rgb(struct samples s);

/* One palette index a sample to RGB of 8 bits: out is three bytes for each of them. */
bool samples_palette_to_rgb(const struct frame_description *d, struct samples indexes, struct samples out,
                            struct error *err);

#endif
