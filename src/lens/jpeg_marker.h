/* Markers and marker segments of a JPEG codestream (T.81 §B.1.1). */
#ifndef FANAL_LENS_JPEG_MARKER_H
#define FANAL_LENS_JPEG_MARKER_H

#include "base/reader.h"

enum {
    JPEG_SOF3 = 0xc3, /* lossless, Huffman */
    JPEG_DHT = 0xc4,
    JPEG_RST0 = 0xd0,
    JPEG_RST7 = 0xd7,
    JPEG_SOI = 0xd8,
    JPEG_EOI = 0xd9,
    JPEG_SOS = 0xda,
    JPEG_DNL = 0xdc,
    JPEG_DRI = 0xdd,
};

/* The next marker's code, bytes before it skipped. ERR_TRUNCATED at the end. */
bool jpeg_next_marker(struct reader *r, uint8_t *marker, struct error *err);
bool jpeg_marker_is_sof(uint8_t marker);
/* True for markers that no length follows. */
bool jpeg_marker_stands_alone(uint8_t marker);
/* The parameters of a marker segment, length checked; borrows from what r lies over. */
bool jpeg_segment(struct reader *r, struct span *out, struct error *err);

#endif
