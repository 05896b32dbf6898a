/*
 * JPEG lossless, Huffman coding (T.81 Annex H; DICOM process 14, .57 and .70).
 *
 * Precision 2 to 16, one to four components without subsampling, interleaved or a scan each, every
 * predictor, point transform, restart intervals. A frame without a line count (DNL) is not drawn: no
 * device known to us writes one.
 */
#include <stdlib.h>

#include "lens/codec.h"
#include "lens/huffman.h"
#include "lens/jpeg_marker.h"

#define COMPONENTS_MAX 4

struct scan {
    unsigned count;                     /* components */
    unsigned component[COMPONENTS_MAX]; /* index in the frame */
    const struct huffman *table[COMPONENTS_MAX];
    unsigned predictor; /* §H.1.2.1, Table H.1: 1 … 7 */
    unsigned point_transform;
};

struct decoder {
    const struct jpeg_header *h;
    struct samples out;
    size_t sample_bytes;
    uint8_t id[COMPONENTS_MAX];
    unsigned sampling; /* of every component */
    bool done[COMPONENTS_MAX];
    struct huffman tables[4];
    uint32_t restart_lines; /* 0: none */
    uint16_t *lines;        /* two of columns × components: the one above and the present one; owned */
};

/* Table H.1 */
static inline int predict(unsigned selection, int ra, int rb, int rc)
{
    switch (selection) {
    case 1:
        return ra;
    case 2:
        return rb;
    case 3:
        return rc;
    case 4:
        return ra + rb - rc;
    case 5:
        return ra + ((rb - rc) >> 1);
    case 6:
        return rb + ((ra - rc) >> 1);
    default: /* 7; read_scan_header() lets nothing else pass */
        return (ra + rb) >> 1;
    }
}

/* §H.1.2.2, Table H.2: the difference of category `ssss`. */
static inline int read_difference(struct bits *b, int ssss)
{
    int v;

    if (ssss == 0)
        return 0;
    if (ssss == 16)
        return 32768;
    v = (int)bits_peek(b, (unsigned)ssss);
    bits_drop(b, (unsigned)ssss);
    return v < 1 << (ssss - 1) ? v - (1 << ssss) + 1 : v;
}

/* One line of a scan: samples of its components interleaved in `line`, the line above in `above`. */
static bool decode_line(const struct decoder *d, const struct scan *s, struct bits *b, const uint16_t *above,
                        uint16_t *line, bool first)
{
    int start = 1 << (d->h->precision - s->point_transform - 1);
    size_t n = s->count, len = d->h->columns * n;

    for (size_t i = 0; i < len; i++) {
        unsigned c = (unsigned)(n == 1 ? 0 : i % n);
        int ssss = huffman_decode(s->table[c], b), px;

        if (ssss < 0 || ssss > 16)
            return false;
        if (i < n)
            px = first ? start : above[i];
        else if (first)
            px = line[i - n];
        else
            px = predict(s->predictor, line[i - n], above[i], above[i - n]);
        line[i] = (uint16_t)(px + read_difference(b, ssss)); /* modulo 2^16: §H.1.2.1 */
    }
    return true;
}

static void store_line(const struct decoder *d, const struct scan *s, const uint16_t *line, uint32_t row)
{
    size_t at = (size_t)row * d->h->columns * d->h->components;

    for (size_t x = 0; x < d->h->columns; x++, at += d->h->components)
        for (unsigned c = 0; c < s->count; c++) {
            unsigned v = (unsigned)line[x * s->count + c] << s->point_transform;
            size_t to = (at + s->component[c]) * d->sample_bytes;

            d->out.ptr[to] = (uint8_t)v;
            if (d->sample_bytes == 2)
                d->out.ptr[to + 1] = (uint8_t)(v >> 8);
        }
}

/* §E.2.4: the bits left are dropped, the marker that follows is the number-th RST. */
static bool restart(struct bits *b, unsigned number, struct error *err)
{
    struct reader r = { .bytes = b->in, .at = b->at };
    uint8_t marker;

    if (!jpeg_next_marker(&r, &marker, err))
        return false;
    if (marker != JPEG_RST0 + number % 8)
        return error_set(err, ERR_MALFORMED, "JPEG restart marker %u is missing", number % 8);
    *b = bits_over(b->in, r.at);
    return true;
}

static bool decode_scan(struct decoder *d, const struct scan *s, struct reader *r, struct error *err)
{
    struct bits b = bits_over(r->bytes, r->at);
    size_t len = (size_t)d->h->columns * s->count;
    uint16_t *line = d->lines, *above = d->lines + len;
    unsigned restarts = 0;

    for (uint32_t y = 0; y < d->h->rows; y++) {
        bool first = d->restart_lines > 0 ? y % d->restart_lines == 0 : y == 0;
        uint16_t *other = above;

        if (first && y > 0 && !restart(&b, restarts++, err))
            return false;
        if (!decode_line(d, s, &b, above, line, first))
            return error_set(err, ERR_MALFORMED, "JPEG line %u: a code that no table has", (unsigned)y);
        if (bits_dry(&b))
            return error_set(err, ERR_TRUNCATED, "JPEG ends in line %u", (unsigned)y);
        store_line(d, s, line, y);
        above = line;
        line = other;
    }
    for (unsigned c = 0; c < s->count; c++)
        d->done[s->component[c]] = true;
    r->at = b.at;
    return true;
}

/* §B.2.3 with §H.2: Ss is the predictor, Al the point transform. */
static bool read_scan_header(const struct decoder *d, struct span segment, struct scan *s, struct error *err)
{
    struct reader r = reader_over(segment);

    s->count = read_u8(&r);
    if (s->count == 0 || s->count > d->h->components)
        return error_set(err, ERR_MALFORMED, "JPEG scan of %u components", s->count);
    for (unsigned i = 0; i < s->count; i++) {
        uint8_t id = read_u8(&r), table = read_u8(&r) >> 4;
        unsigned c = 0;

        while (c < d->h->components && (d->id[c] != id || d->done[c]))
            c++;
        if (c == d->h->components || (i > 0 && c <= s->component[i - 1]))
            return error_set(err, ERR_MALFORMED, "JPEG scan names a component that is not there or was there");
        if (table > 3 || !d->tables[table].present)
            return error_set(err, ERR_MALFORMED, "JPEG scan uses a Huffman table that is not there");
        s->component[i] = c;
        s->table[i] = &d->tables[table];
    }
    s->predictor = read_u8(&r);
    read_skip(&r, 1);
    s->point_transform = read_u8(&r) & 15;
    if (!reader_complete(&r, err, "JPEG scan header"))
        return false;
    if (s->predictor < 1 || s->predictor > 7)
        return error_set(err, ERR_MALFORMED, "JPEG predictor %u", s->predictor);
    if (s->point_transform >= d->h->precision)
        return error_set(err, ERR_MALFORMED, "JPEG point transform %u", s->point_transform);
    if (s->count > 1 && d->sampling != 0x11)
        return error_set(err, ERR_UNSUPPORTED, "JPEG lossless, interleaved with sampling factors");
    return true;
}

static bool read_tables(struct decoder *d, struct span segment, struct error *err)
{
    struct reader r = reader_over(segment);

    while (reader_left(&r) > 0) {
        uint8_t class_and_place = read_u8(&r);

        if (class_and_place > 3) /* lossless has DC tables only: §H.2 */
            return error_set(err, ERR_MALFORMED, "JPEG Huffman table for place %u", class_and_place);
        if (!huffman_read(&r, &d->tables[class_and_place], err))
            return false;
    }
    return true;
}

/* §B.2.4.4; §H.1.1: whole lines only. */
static bool read_restart_interval(struct decoder *d, struct span segment, struct error *err)
{
    struct reader r = reader_over(segment);
    uint16_t samples = read_u16be(&r);

    if (!reader_complete(&r, err, "JPEG restart interval"))
        return false;
    if (samples % d->h->columns != 0)
        return error_set(err, ERR_MALFORMED, "JPEG restart interval is not of whole lines");
    d->restart_lines = samples / d->h->columns;
    return true;
}

static void read_components(struct decoder *d, struct span segment)
{
    struct reader r = reader_over(segment);

    read_skip(&r, 6);
    for (unsigned c = 0; c < d->h->components; c++) {
        d->id[c] = read_u8(&r);
        d->sampling = read_u8(&r);
        read_skip(&r, 1);
    }
}

static bool all_done(const struct decoder *d)
{
    for (unsigned c = 0; c < d->h->components; c++)
        if (!d->done[c])
            return false;
    return true;
}

static bool decode_segments(struct decoder *d, struct span encoded, struct error *err)
{
    struct reader r = reader_over(encoded);

    while (!all_done(d)) {
        struct scan scan = { 0 };
        struct span segment;
        uint8_t marker;

        if (!jpeg_next_marker(&r, &marker, err))
            return false;
        if (marker == JPEG_EOI)
            return error_set(err, ERR_TRUNCATED, "JPEG ends before all its components");
        if (jpeg_marker_stands_alone(marker))
            continue;
        if (!jpeg_segment(&r, &segment, err))
            return false;
        if (marker == JPEG_SOF3)
            read_components(d, segment);
        else if (marker == JPEG_DHT && !read_tables(d, segment, err))
            return false;
        else if (marker == JPEG_DRI && !read_restart_interval(d, segment, err))
            return false;
        else if (marker == JPEG_SOS && (!read_scan_header(d, segment, &scan, err) || !decode_scan(d, &scan, &r, err)))
            return false;
    }
    return true;
}

static bool check_header(const struct jpeg_header *h, size_t sample_bytes, struct error *err)
{
    if (h->sof != JPEG_SOF3)
        return error_set(err, ERR_UNSUPPORTED, "JPEG process SOF%u is not lossless Huffman", h->sof & 15);
    if (h->precision < 2 || h->precision > 16)
        return error_set(err, ERR_MALFORMED, "JPEG lossless of precision %u", h->precision);
    if (h->precision > 8 * sample_bytes)
        return error_set(err, ERR_MALFORMED, "JPEG precision %u in cells of %zu bits", h->precision, 8 * sample_bytes);
    if (h->subsampled || h->components > COMPONENTS_MAX)
        return error_set(err, ERR_UNSUPPORTED, "JPEG lossless with subsampling");
    if (h->rows == 0)
        return error_set(err, ERR_UNSUPPORTED, "JPEG without a line count");
    return true;
}

bool jpeg_lossless_decode(const struct frame_description *f, struct span encoded, struct samples out, struct error *err)
{
    struct jpeg_header h;
    struct decoder *d;
    bool ok;

    if (!jpeg_header_read(encoded, &h, err) || !check_header(&h, frame_sample_bytes(f), err))
        return false;
    if (h.rows != f->rows || h.columns != f->columns || h.components != f->samples_per_pixel)
        return error_set(err, ERR_MALFORMED, "JPEG header and data set disagree on the size of the frame");
    d = calloc(1, sizeof *d);
    if (d == NULL)
        return error_set(err, ERR_MEMORY, "JPEG lossless decoder");
    d->h = &h;
    d->out = out;
    d->sample_bytes = frame_sample_bytes(f);
    d->lines = calloc((size_t)h.columns * h.components * 2, sizeof *d->lines);
    ok = d->lines != NULL ? decode_segments(d, encoded, err) : error_set(err, ERR_MEMORY, "JPEG lines");
    free(d->lines);
    free(d);
    return ok;
}
