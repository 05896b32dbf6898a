/*
 * What an object says and shows, in two digests: so that a re-encoding is told from a change (docs/channel.md, DIGEST).
 *
 * The elements' digest is dicom/canonical.h's. The pixels' is SHA-256 over the decoded samples of all frames, in
 * order: the same for native, RLE and JPEG lossless encodings of one image.
 */
#ifndef FANAL_LENS_DIGEST_H
#define FANAL_LENS_DIGEST_H

#include "base/error.h"
#include "base/span.h"

#define DIGEST_BYTES 32

struct digest;

struct digest_result {
    uint8_t elements[DIGEST_BYTES];
    uint8_t pixels[DIGEST_BYTES];
    bool has_pixels;
    /* The samples were decoded without loss; otherwise `pixels` is over the encoded bytes: equal is equal, else
     * unknown. */
    bool certain;
};

/* Fetches what it needs of OpenSSL, so it is called before a sandbox closes. ERR_MEMORY → NULL; digest_free(NULL) is
 * allowed. */
struct digest *digest_new(struct error *err);
void digest_free(struct digest *d);

/* Begins an object in the transfer syntax (its UID, without padding). ERR_UNSUPPORTED for one that is not in the table.
 */
bool digest_begin(struct digest *d, struct span transfer_syntax, struct error *err);
/* The next bytes of the data set, cut anywhere; as walker_feed(). */
bool digest_feed(struct digest *d, struct span bytes, struct error *err);
bool digest_finish(struct digest *d, struct digest_result *out, struct error *err);

#endif
