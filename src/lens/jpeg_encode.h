/* A picture for the screen to JPEG (T.81 baseline, 8 bits). */
#ifndef FANAL_LENS_JPEG_ENCODE_H
#define FANAL_LENS_JPEG_ENCODE_H

#include "base/error.h"
#include "base/writer.h"

#define JPEG_QUALITY 90 /* of a first look and of thumbnails; nothing is read from them */

struct picture {
    uint32_t width, height;
    unsigned samples; /* 1: grey, 3: RGB */
    uint8_t *ptr;     /* width × height × samples bytes; borrowed */
};

bool jpeg_encode(const struct picture *p, struct writer *out, struct error *err);

#endif
