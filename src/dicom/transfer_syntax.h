/*
 * Transfer syntaxes: how a data set lies in bytes (PS3.5 Annex A), as rows of data/uids.tsv.
 */
#ifndef FANAL_DICOM_TRANSFER_SYNTAX_H
#define FANAL_DICOM_TRANSFER_SYNTAX_H

#include "base/span.h"

enum loss { LOSS_NONE, LOSS_LOSSLESS, LOSS_LOSSY };

/* What a frame of Pixel Data is coded as. */
enum frame_coding {
    FRAME_NATIVE,
    FRAME_NATIVE_BIG_ENDIAN, /* the pixel words of a data set that is little endian otherwise */
    FRAME_UNCOMPRESSED,      /* native frames in fragments (A.4.11) */
    FRAME_REFERENCED,        /* JPIP: the object holds a URL */
    FRAME_RLE,
    FRAME_DEFLATED,
    FRAME_JPEG_BASELINE,
    FRAME_JPEG_EXTENDED,
    FRAME_JPEG_LOSSLESS,
    FRAME_JPEG_OTHER, /* retired processes */
    FRAME_JPEG_LS,
    FRAME_JPEG_2000,
    FRAME_JPEG_2000_PART_2,
    FRAME_HTJ2K,
    FRAME_JPEG_XL,
    FRAME_VIDEO,
};

struct transfer_syntax {
    const char *uid;
    const char *keyword;
    bool big_endian;
    bool explicit_vr;
    bool deflated;     /* the whole data set (A.5) */
    bool encapsulated; /* Pixel Data in fragments (A.4) */
    enum loss loss;
    enum frame_coding coding;
};

/* uid: without padding. NULL for one that is not in the table. Constant. */
const struct transfer_syntax *transfer_syntax_find(struct span uid);

/*
 * Which of several proposed syntaxes to accept; the lowest wins: explicit little endian, implicit little
 * endian, big endian, deflated, lossless, lossy. We never invite a sender to compress.
 */
unsigned transfer_syntax_rank(const struct transfer_syntax *syntax);

#endif
