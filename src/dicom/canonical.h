/*
 * A digest of what a data set says, whatever it is encoded as: equal for the same object in another transfer
 * syntax, with other lengths, padding or character set. It tells an alternate from a conflict.
 *
 * SHA-256 over, in the order of the data set,
 *   an element    'E', its tag (u32le), its value in blocks: length (u16le) and bytes; the first block
 *                 shorter than CANONICAL_BLOCK_BYTES is the last
 *   a sequence    'S', tag; for each item 'I', its elements, 'i'; 's'; without items: as an empty element
 *   fragments     'F', tag; for each fragment 'f' and its blocks; 's' (an icon's; see below for Pixel Data)
 * VRs and lengths are left out: for an attribute of PS3.6 the tag says the VR, for a private one implicit VR
 * would not tell it. A value is what the dictionary's VR makes of it: text in UTF-8 without trailing spaces and
 * NULs, numbers in little endian, of odd length a zero behind. A private value is its bytes, in little endian.
 *
 * Left out, because it describes only the encoding:
 *   (gggg,0000), (0008,0001)   lengths
 *   group 0002, (FFFC,FFFC)    of files; padding
 *   (0008,0005)                text is digested as UTF-8
 *   (0028,0006)                pixels are compared as interleaved samples
 *   (7FE0,0001..0003)          where fragments lie, and how long they are
 *   (7FE0,0010)                of the top level: the pixels have a digest of their own
 * and a Photometric Interpretation of the top level that begins with YBR_ counts as RGB, because colour pixels are
 * compared as RGB. The order of elements counts: PS3.5 §7.1 fixes it, and a re-encoder keeps it.
 *
 * Pixel Data goes to the caller, who decodes what is encapsulated and digests samples; for native pixels a digest
 * of the samples as they are, in little endian, is made here too.
 */
#ifndef FANAL_DICOM_CANONICAL_H
#define FANAL_DICOM_CANONICAL_H

#include "base/error.h"
#include "base/span.h"
#include "dicom/transfer_syntax.h"

#define CANONICAL_DIGEST_BYTES 32
#define CANONICAL_BLOCK_BYTES  4096

enum canonical_pixels { PIXELS_NONE, PIXELS_NATIVE, PIXELS_ENCAPSULATED };

/* Hears Pixel Data as it passes; each function may be NULL. False with *err ends the digest. */
struct canonical_listener {
    bool (*begin)(void *context, enum canonical_pixels kind, struct error *err);
    /* A fragment of that many bytes begins; the first one is the Basic Offset Table (PS3.5 §A.4). */
    bool (*fragment)(void *context, uint32_t length, struct error *err);
    /* Bytes of the fragment, or of native samples in little endian; borrowed until it returns. */
    bool (*bytes)(void *context, struct span bytes, struct error *err);
    bool (*end)(void *context, struct error *err);
    void *context;
};

struct canonical_result {
    uint8_t digest[CANONICAL_DIGEST_BYTES];
    enum canonical_pixels pixels;
    uint8_t native_digest[CANONICAL_DIGEST_BYTES]; /* of PIXELS_NATIVE; zeros otherwise */
};

struct canonical;

/* ERR_MEMORY → NULL. Fetches SHA-256, so it is called before a sandbox closes. canonical_free(NULL) is allowed. */
struct canonical *canonical_new(struct error *err);
void canonical_free(struct canonical *c);

/* Begins an object. syntax and *listener (NULL: nobody listens) are borrowed until canonical_finish(). */
bool canonical_begin(struct canonical *c, const struct transfer_syntax *syntax,
                     const struct canonical_listener *listener, struct error *err);

/* As walker_feed(), but a value that only looks like a sequence is ERR_MALFORMED: no digest is better than a wrong one.
 */
bool canonical_feed(struct canonical *c, struct span bytes, struct error *err);

/* The digests of what was fed, all of which succeeded. */
bool canonical_finish(struct canonical *c, struct canonical_result *out, struct error *err);

#endif
