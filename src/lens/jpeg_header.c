/*
 * The markers of a JPEG codestream up to its frame header (T.81 Annex B).
 *
 * The process and the precision decide which decoder is asked; Bits Stored does not (dcmtk writes images
 * of 12 bits with a precision of 16).
 */
#include "base/reader.h"
#include "lens/codec.h"
#include "lens/jpeg_marker.h"

bool jpeg_next_marker(struct reader *r, uint8_t *marker, struct error *err)
{
    uint8_t b = read_u8(r);

    while (!r->dry && b != 0xff) /* bytes that belong to no segment: some encoders leave them */
        b = read_u8(r);
    while (!r->dry && b == 0xff) /* §B.1.1.2: any number of fill bytes */
        b = read_u8(r);
    *marker = b;
    return reader_complete(r, err, "JPEG markers");
}

bool jpeg_marker_is_sof(uint8_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != JPEG_DHT && marker != 0xc8 && marker != 0xcc;
}

bool jpeg_marker_stands_alone(uint8_t marker)
{
    return marker == JPEG_SOI || marker == JPEG_EOI || marker == 0x01 || (marker >= JPEG_RST0 && marker <= JPEG_RST7);
}

bool jpeg_segment(struct reader *r, struct span *out, struct error *err)
{
    uint16_t len = read_u16be(r);

    if (!r->dry && len < 2)
        return error_set(err, ERR_MALFORMED, "JPEG segment of length %u", len);
    *out = read_span(r, len < 2 ? 0 : len - 2u);
    return reader_complete(r, err, "JPEG segment");
}

static bool read_frame_header(struct span segment, uint8_t marker, struct jpeg_header *h, struct error *err)
{
    struct reader r = reader_over(segment);
    uint8_t first = 0;

    h->sof = marker;
    h->precision = read_u8(&r);
    h->rows = read_u16be(&r);
    h->columns = read_u16be(&r);
    h->components = read_u8(&r);
    for (unsigned i = 0; i < h->components; i++) {
        uint8_t factors;

        read_skip(&r, 1);
        factors = read_u8(&r);
        read_skip(&r, 1);
        if (i == 0)
            first = factors;
        else if (factors != first)
            h->subsampled = true;
    }
    return reader_complete(&r, err, "JPEG frame header");
}

/* Adobe's APP14: "Adobe", version, two flags, transform. */
static void read_adobe(struct span segment, struct jpeg_header *h)
{
    struct reader r = reader_over(segment);
    struct span name = read_span(&r, 5);
    uint8_t transform;

    read_skip(&r, 6);
    transform = read_u8(&r);
    if (!r.dry && span_equal(name, SPAN_LIT("Adobe"))) {
        h->has_adobe = true;
        h->adobe_transform = transform;
    }
}

bool jpeg_header_read(struct span encoded, struct jpeg_header *out, struct error *err)
{
    struct reader r = reader_over(encoded);
    struct jpeg_header h = { 0 };

    if (read_u8(&r) != 0xff || read_u8(&r) != JPEG_SOI)
        return error_set(err, ERR_MALFORMED, "no JPEG: it does not begin with SOI");
    for (;;) {
        struct span segment;
        uint8_t marker;

        if (!jpeg_next_marker(&r, &marker, err))
            return false;
        if (marker == JPEG_EOI || marker == JPEG_SOS)
            return error_set(err, ERR_MALFORMED, "JPEG without a frame header");
        if (jpeg_marker_stands_alone(marker))
            continue;
        if (!jpeg_segment(&r, &segment, err))
            return false;
        if (marker == 0xe0 && span_starts(segment, SPAN_LIT("JFIF")))
            h.has_jfif = true;
        else if (marker == 0xee)
            read_adobe(segment, &h);
        else if (jpeg_marker_is_sof(marker)) {
            if (!read_frame_header(segment, marker, &h, err))
                return false;
            *out = h;
            return true;
        }
    }
}
