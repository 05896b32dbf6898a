/* Digests of elements and of decoded pixels. See digest.h. */
#include "lens/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "base/reader.h"
#include "dicom/canonical.h"
#include "dicom/walker.h"
#include "lens/decode.h"

#define NATIVE_LITTLE_ENDIAN SPAN_LIT("1.2.840.10008.1.2.1")
#define OFFSET_TABLE_MAX     ((size_t)256 * 1024) /* 65,536 frames; with more a fragment is taken for a frame */

struct digest {
    struct canonical *canonical;
    struct walker *walker;
    EVP_MD *sha256;
    EVP_MD_CTX *samples, *encoded; /* over decoded and over encoded pixels */
    struct canonical_listener listener;
    const struct transfer_syntax *syntax;

    enum canonical_pixels kind;
    bool certain;
    struct writer facts; /* what the description borrows from */
    struct frame_description description;
    uint64_t frames, frames_done;
    struct writer frame; /* encoded bytes of the frame that arrives */

    size_t native_frame_bytes;
    uint64_t items; /* of encapsulated Pixel Data; the first is the Basic Offset Table */
    struct writer table;
    uint64_t frames_begun, next_offset; /* next_offset: where the next fragment begins, as the table counts */
};

struct digest *digest_new(struct error *err)
{
    struct digest *d = calloc(1, sizeof *d);

    if (d == NULL) {
        (void)error_set(err, ERR_MEMORY, "digest");
        return NULL;
    }
    d->facts = writer_new(WALKER_FACTS_MAX);
    d->frame = writer_new(LENS_FRAME_BYTES_MAX);
    d->table = writer_new(OFFSET_TABLE_MAX);
    d->canonical = canonical_new(err);
    d->walker = walker_new(err);
    d->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    d->samples = EVP_MD_CTX_new();
    d->encoded = EVP_MD_CTX_new();
    if (d->canonical == NULL || d->walker == NULL || d->sha256 == NULL || d->samples == NULL || d->encoded == NULL) {
        digest_free(d);
        (void)error_set(err, ERR_MEMORY, "digest");
        return NULL;
    }
    return d;
}

void digest_free(struct digest *d)
{
    if (d == NULL)
        return;
    canonical_free(d->canonical);
    walker_free(d->walker);
    EVP_MD_CTX_free(d->samples);
    EVP_MD_CTX_free(d->encoded);
    EVP_MD_free(d->sha256);
    writer_done(&d->facts);
    writer_done(&d->frame);
    writer_done(&d->table);
    free(d);
}

static bool update(EVP_MD_CTX *md, struct span bytes, struct error *err)
{
    return EVP_DigestUpdate(md, bytes.ptr, bytes.len) == 1 || error_set(err, ERR_MEMORY, "SHA-256");
}

/* ---- frames ---- */

/* The frame that has arrived, decoded and digested; what cannot be decoded makes the whole uncertain. */
static bool flush_frame(struct digest *d, struct error *err)
{
    struct writer samples = writer_new(LENS_FRAME_BYTES_MAX);
    struct frame_result result;
    struct error why;
    bool ok = true;

    if (!d->certain || d->frames_done >= d->frames) {
        d->certain = d->certain && d->frames_done < d->frames;
    } else if (d->frame.failed || !lens_decode(&d->description, writer_span(&d->frame), &samples, &result, &why)
               || !result.lossless) {
        d->certain = false;
    } else {
        ok = update(d->samples, writer_span(&samples), err);
        d->frames_done++;
    }
    writer_done(&samples);
    writer_reset(&d->frame);
    return ok;
}

/* What the data set said until its pixels began. */
static bool read_description(struct digest *d, struct error *err)
{
    struct span fields;

    writer_reset(&d->facts);
    if (!walker_facts(d->walker, &d->facts, err))
        return false;
    fields = writer_span(&d->facts);
    d->frames = fields_uint(fields, FIELD_FRAMES, 1);
    d->certain = frame_description_read(fields, &d->description, err);
    return true;
}

static bool pixels_begin(void *context, enum canonical_pixels kind, struct error *err)
{
    struct digest *d = context;
    const struct frame_description *f = &d->description;
    uint64_t bits;

    if (!read_description(d, err))
        return false;
    d->kind = kind;
    d->frames = d->frames > 0 ? d->frames : 1;
    if (kind != PIXELS_NATIVE || !d->certain)
        return true;
    d->description.transfer_syntax = NATIVE_LITTLE_ENDIAN; /* as such the bytes come */
    d->description.big_endian = false;
    bits = (uint64_t)f->rows * f->columns * f->samples_per_pixel * f->bits_allocated;
    if (f->photometric == PHOTOMETRIC_YBR_FULL_422)
        bits = bits / 3 * 2;
    d->certain = bits % 8 == 0 || d->frames == 1;
    d->native_frame_bytes = (size_t)((bits + 7) / 8);
    return true;
}

/* Whether the table says that a frame begins where the next fragment does; without a table each fragment is one. */
static bool begins_frame(const struct digest *d)
{
    struct reader r = reader_over(span_part(writer_span(&d->table), d->frames_begun * 4, 4));

    if (d->frames == 1)
        return d->frames_begun == 0;
    if (d->table.failed || d->table.len != d->frames * 4)
        return true;
    return read_u32le(&r) == d->next_offset && !r.dry;
}

static bool fragment_begin(void *context, uint32_t length, struct error *err)
{
    struct digest *d = context;

    if (d->items++ == 0)
        return true; /* the table */
    if (begins_frame(d)) {
        if (d->frames_begun > 0 && !flush_frame(d, err))
            return false;
        d->frames_begun++;
    }
    d->next_offset += 8 + (uint64_t)length;
    return true;
}

static bool native_bytes(struct digest *d, struct span bytes, struct error *err)
{
    while (bytes.len > 0 && d->certain && d->frames_done < d->frames) {
        struct span part = span_part(bytes, 0, d->native_frame_bytes - d->frame.len);

        write_span(&d->frame, part);
        bytes = span_part(bytes, part.len, bytes.len);
        if (d->frame.len == d->native_frame_bytes && !flush_frame(d, err))
            return false;
        d->certain = d->certain && !d->frame.failed;
    }
    return true; /* what follows the last frame is padding */
}

static bool pixel_bytes(void *context, struct span bytes, struct error *err)
{
    struct digest *d = context;

    if (d->kind == PIXELS_ENCAPSULATED && d->items == 1) {
        write_span(&d->table, bytes);
        return true;
    }
    if (!update(d->encoded, bytes, err))
        return false;
    if (d->kind == PIXELS_NATIVE)
        return native_bytes(d, bytes, err);
    if (d->certain)
        write_span(&d->frame, bytes);
    return true;
}

static bool pixels_end(void *context, struct error *err)
{
    struct digest *d = context;

    if (d->kind == PIXELS_ENCAPSULATED && d->frames_begun > 0 && !flush_frame(d, err))
        return false;
    d->certain = d->certain && d->frames_done == d->frames;
    return true;
}

/* ---- objects ---- */

bool digest_begin(struct digest *d, struct span transfer_syntax, struct error *err)
{
    d->syntax = transfer_syntax_find(transfer_syntax);
    if (d->syntax == NULL)
        return error_set(err, ERR_UNSUPPORTED, "transfer syntax is not in the table");
    d->kind = PIXELS_NONE;
    d->certain = false;
    d->frames = d->frames_done = d->frames_begun = d->items = d->next_offset = 0;
    d->native_frame_bytes = 0;
    writer_reset(&d->facts);
    writer_reset(&d->frame);
    writer_reset(&d->table);
    d->listener = (struct canonical_listener){ pixels_begin, fragment_begin, pixel_bytes, pixels_end, d };
    if (EVP_DigestInit_ex2(d->samples, d->sha256, NULL) != 1 || EVP_DigestInit_ex2(d->encoded, d->sha256, NULL) != 1)
        return error_set(err, ERR_MEMORY, "SHA-256");
    return update(d->encoded, transfer_syntax, err) && walker_begin(d->walker, d->syntax, err)
           && canonical_begin(d->canonical, d->syntax, &d->listener, err);
}

/* The walker first: when the pixels begin it has read what describes them. */
bool digest_feed(struct digest *d, struct span bytes, struct error *err)
{
    return walker_feed(d->walker, bytes, err) && canonical_feed(d->canonical, bytes, err);
}

static bool finish(EVP_MD_CTX *md, uint8_t out[DIGEST_BYTES], struct error *err)
{
    unsigned len;

    return EVP_DigestFinal_ex(md, out, &len) == 1 || error_set(err, ERR_MEMORY, "SHA-256");
}

bool digest_finish(struct digest *d, struct digest_result *out, struct error *err)
{
    struct canonical_result elements;
    struct digest_result r = { 0 };

    if (!walker_finish(d->walker, err) || !canonical_finish(d->canonical, &elements, err))
        return false;
    memcpy(r.elements, elements.digest, sizeof r.elements);
    r.has_pixels = d->kind != PIXELS_NONE;
    r.certain = d->certain || !r.has_pixels; /* without pixels there is nothing to doubt */
    if (r.has_pixels && !finish(d->certain ? d->samples : d->encoded, r.pixels, err))
        return false;
    *out = r;
    return true;
}
