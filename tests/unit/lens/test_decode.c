/* lens_decode: native, RLE and JPEG frames of a few pixels, each for its own rule; vectors are made by hand. */
#include "lens/decode.h"
#include "lens/jpeg_encode.h"
#include "record/field.h"

#include "../test.h"

#define IMPLICIT "1.2.840.10008.1.2"
#define BIG      "1.2.840.10008.1.2.2"
#define RLE      "1.2.840.10008.1.2.5"
#define BASELINE "1.2.840.10008.1.2.4.50"
#define SV1      "1.2.840.10008.1.2.4.70"

/* rows, columns, samples, allocated, stored, high, signed, planar, big */
#define FRAME(uid, r, c, s, a, st, h, sg, pl, be, ph)                                                                  \
    {                                                                                                                  \
        .transfer_syntax = { (const uint8_t *)(uid), sizeof(uid) - 1 }, .rows = r, .columns = c,                       \
        .samples_per_pixel = s, .bits_allocated = a, .bits_stored = st, .high_bit = h, .is_signed = sg, .planar = pl,  \
        .big_endian = be, .photometric = PHOTOMETRIC_##ph                                                              \
    }

static bool decodes_to(const struct frame_description *d, struct span in, struct span want)
{
    struct writer out = writer_new(LENS_FRAME_BYTES_MAX);
    struct frame_result r;
    struct error err = { 0 };
    bool ok = lens_decode(d, in, &out, &r, &err) && span_equal(writer_span(&out), want);

    if (!ok)
        print_error("%s, %zu bytes out\n", err.text, out.len);
    writer_done(&out);
    return ok;
}

static enum error_code fails_with(const struct frame_description *d, struct span in)
{
    struct writer out = writer_new(LENS_FRAME_BYTES_MAX);
    struct frame_result r;
    struct error err = { 0 };
    bool ok = lens_decode(d, in, &out, &r, &err);

    writer_done(&out);
    return ok ? ERR_NONE : err.code;
}

TEST(native_frames_become_little_endian_samples)
{
    const struct {
        const char *name;
        struct frame_description d;
        struct span in, want;
    } rows[] = {
        { "8 bits", FRAME(IMPLICIT, 1, 3, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2), HEX("01 02 ff"), HEX("01 02 ff") },
        { "12 of 16 signed", FRAME(IMPLICIT, 1, 2, 1, 16, 12, 11, 1, 0, 0, MONOCHROME2), HEX("ff f7 00 f8"),
          HEX("ff 07 00 f8") },
        { "12 of 16 at high bit 15", FRAME(IMPLICIT, 1, 1, 1, 16, 12, 15, 0, 0, 0, MONOCHROME1), HEX("4f 12"),
          HEX("24 01") },
        { "16 big endian", FRAME(BIG, 1, 2, 1, 16, 16, 15, 0, 0, 1, MONOCHROME2), HEX("01 02 03 04"),
          HEX("02 01 04 03") },
        { "8 in big endian words", FRAME(BIG, 1, 3, 1, 8, 8, 7, 0, 0, 1, MONOCHROME2), HEX("02 01 00 03"),
          HEX("01 02 03") },
        { "32 bits", FRAME(BIG, 1, 1, 1, 32, 32, 31, 0, 0, 1, MONOCHROME2), HEX("01 02 03 04"), HEX("04 03 02 01") },
        { "planes", FRAME(IMPLICIT, 1, 2, 3, 8, 8, 7, 0, 1, 0, RGB), HEX("01 02 11 12 21 22"),
          HEX("01 11 21 02 12 22") },
        { "single bits", FRAME(IMPLICIT, 1, 9, 1, 1, 1, 0, 0, 0, 0, MONOCHROME2), HEX("05 01"),
          HEX("01 00 01 00 00 00 00 00 01") },
        { "YBR_FULL grey", FRAME(IMPLICIT, 1, 1, 3, 8, 8, 7, 0, 0, 0, YBR_FULL), HEX("40 80 80"), HEX("40 40 40") },
        { "YBR_FULL red", FRAME(IMPLICIT, 1, 1, 3, 8, 8, 7, 0, 0, 0, YBR_FULL), HEX("4c 55 ff"), HEX("fe 00 00") },
        { "YBR_FULL_422", FRAME(IMPLICIT, 1, 2, 3, 8, 8, 7, 0, 0, 0, YBR_FULL_422), HEX("10 20 80 80"),
          HEX("10 10 10 20 20 20") },
    };

    EACH(row, rows)
    CHECK_ROW(row->name, decodes_to(&row->d, row->in, row->want));
}

TEST(a_short_frame_is_truncated_never_padded)
{
    const struct frame_description grey = FRAME(IMPLICIT, 2, 2, 1, 16, 16, 15, 0, 0, 0, MONOCHROME2);
    const struct frame_description bits = FRAME(IMPLICIT, 1, 9, 1, 1, 1, 0, 0, 0, 0, MONOCHROME2);
    const struct frame_description ybr = FRAME(IMPLICIT, 1, 4, 3, 8, 8, 7, 0, 0, 0, YBR_FULL_422);

    CHECK(fails_with(&grey, HEX("01 02 03 04 05 06 07")) == ERR_TRUNCATED);
    CHECK(fails_with(&bits, HEX("01")) == ERR_TRUNCATED);
    CHECK(fails_with(&ybr, HEX("01 02 03 04 05 06 07")) == ERR_TRUNCATED);
}

TEST(descriptions_that_contradict_themselves_are_refused)
{
    const struct {
        const char *name;
        struct frame_description d;
        enum error_code want;
    } rows[] = {
        { "no rows", FRAME(IMPLICIT, 0, 2, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2), ERR_MALFORMED },
        { "rows beyond US", FRAME(IMPLICIT, 65536, 2, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2), ERR_MALFORMED },
        { "two samples", FRAME(IMPLICIT, 1, 2, 2, 8, 8, 7, 0, 0, 0, MONOCHROME2), ERR_UNSUPPORTED },
        { "12 allocated", FRAME(IMPLICIT, 1, 2, 1, 12, 12, 11, 0, 0, 0, MONOCHROME2), ERR_UNSUPPORTED },
        { "stored beyond allocated", FRAME(IMPLICIT, 1, 2, 1, 8, 9, 8, 0, 0, 0, MONOCHROME2), ERR_MALFORMED },
        { "high bit below stored", FRAME(IMPLICIT, 1, 2, 1, 16, 12, 10, 0, 0, 0, MONOCHROME2), ERR_MALFORMED },
        { "RGB of one sample", FRAME(IMPLICIT, 1, 2, 1, 8, 8, 7, 0, 0, 0, RGB), ERR_MALFORMED },
        { "palette without one", FRAME(IMPLICIT, 1, 2, 1, 8, 8, 7, 0, 0, 0, PALETTE_COLOR), ERR_UNSUPPORTED },
        { "larger than LENS_FRAME_BYTES_MAX", FRAME(IMPLICIT, 65535, 65535, 3, 32, 32, 31, 0, 0, 0, RGB), ERR_LIMIT },
        { "JPEG 2000", FRAME("1.2.840.10008.1.2.4.90", 1, 2, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2), ERR_UNSUPPORTED },
    };

    EACH(row, rows)
    CHECK_ROW(row->name, fails_with(&row->d, HEX("00 00 00 00")) == row->want);
}

/* A header of n segments, the first behind it at 64, the others where the hex text says (each u32le). */
static struct span rle_frame(const char *offsets, const char *segments)
{
    static uint8_t frame[256];
    struct span o = hex_span(offsets), s = hex_span(segments);

    memset(frame, 0, sizeof frame);
    memcpy(frame, o.ptr, o.len);
    memcpy(frame + 64, s.ptr, s.len);
    return span_of(frame, 64 + s.len);
}

TEST(rle_segments_are_bytes_most_significant_first)
{
    const struct frame_description grey = FRAME(RLE, 1, 4, 1, 16, 16, 15, 0, 0, 0, MONOCHROME2);
    const struct frame_description rgb = FRAME(RLE, 1, 2, 3, 8, 8, 7, 0, 0, 0, RGB);

    /* high bytes: a run of four 12; low bytes: a no-operation, a literal of two, a run of two */
    CHECK(decodes_to(&grey, rle_frame("02 00 00 00 40 00 00 00 42 00 00 00", "fd 12  80 01 0a 0b ff 0c"),
                     HEX("0a 12 0b 12 0c 12 0c 12")));
    CHECK(decodes_to(&rgb, rle_frame("03 00 00 00 40 00 00 00 42 00 00 00 44 00 00 00", "ff 01  ff 02  01 03 04"),
                     HEX("01 02 03 01 02 04")));
    /* a run longer than the image is cut */
    CHECK(decodes_to(&grey, rle_frame("02 00 00 00 40 00 00 00 42 00 00 00", "fd 12  81 0a"),
                     HEX("0a 12 0a 12 0a 12 0a 12")));
}

TEST(rle_that_lies_is_refused)
{
    const struct frame_description grey = FRAME(RLE, 1, 4, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2);

    CHECK(fails_with(&grey, HEX("01 00 00 00 40")) == ERR_TRUNCATED);
    CHECK(fails_with(&grey, rle_frame("02 00 00 00 40 00 00 00 40 00 00 00", "fd 12")) == ERR_MALFORMED);
    CHECK(fails_with(&grey, rle_frame("01 00 00 00 ff ff ff ff", "fd 12")) == ERR_MALFORMED);
    CHECK(fails_with(&grey, rle_frame("01 00 00 00 10 00 00 00", "fd 12")) == ERR_MALFORMED);
    CHECK(fails_with(&grey, rle_frame("01 00 00 00 40 00 00 00", "fe 12")) == ERR_TRUNCATED);
    CHECK(fails_with(&grey, rle_frame("01 00 00 00 40 00 00 00", "03 12")) == ERR_TRUNCATED);
}

TEST(palette_indexes_become_rgb)
{
    struct frame_description d = FRAME(IMPLICIT, 1, 4, 1, 8, 8, 7, 0, 0, 0, PALETTE_COLOR);

    d.has_palette = true;
    d.palette[0] = (struct palette_table){ 2, 1, 16, HEX("00 01 00 02") };
    d.palette[1] = (struct palette_table){ 2, 1, 8, HEX("03 04") };
    d.palette[2] = (struct palette_table){ 2, 1, 8, HEX("05 00 06 00") };
    CHECK(decodes_to(&d, HEX("00 01 02 ff"), HEX("01 03 05  01 03 05  02 04 06  02 04 06")));
    d.palette[2].data = HEX("05");
    CHECK(fails_with(&d, HEX("00 01 02 ff")) == ERR_TRUNCATED);
}

TEST(a_description_is_read_from_fields)
{
    struct writer w = writer_new(4096);
    struct frame_description d;
    struct error err;
    size_t mark;

    field_put_str(&w, FIELD_TRANSFER_SYNTAX, IMPLICIT);
    field_put_uint(&w, FIELD_ROWS, 2);
    field_put_uint(&w, FIELD_COLUMNS, 3);
    field_put_uint(&w, FIELD_BITS_ALLOCATED, 16);
    field_put_uint(&w, FIELD_BITS_STORED, 12);
    field_put_str(&w, FIELD_PHOTOMETRIC, "PALETTE COLOR ");
    CHECK(!frame_description_read(writer_span(&w), &d, &err) && err.code == ERR_UNSUPPORTED);
    mark = field_group_begin(&w, FIELD_PALETTE);
    for (int i = 0; i < 3; i++) {
        field_put_str(&w, FIELD_PALETTE_DESCRIPTOR, i == 2 ? "0\\-5\\16" : "2\\0\\8");
        field_put_bytes(&w, FIELD_PALETTE_DATA, HEX("01 02"));
    }
    field_group_end(&w, mark);
    CHECK(frame_description_read(writer_span(&w), &d, &err));
    CHECK(d.rows == 2 && d.columns == 3 && d.samples_per_pixel == 1 && d.high_bit == 11 && !d.is_signed);
    CHECK(d.palette[0].entries == 2 && d.palette[2].entries == 65536 && d.palette[2].first == -5);
    writer_done(&w);
}

/*
 * T.81 Annex H by hand: 3 columns, 2 lines, precision 8, one table with categories 0 (code 0), 1 (10), 2 (110).
 * Values 128 129 127 / 128 130 130 with the given predictor; differences follow from Table H.1.
 */
#define SOF3           "ff c3 00 0b 08 00 02 00 03 01 01 11 00 "
#define TABLE          "ff c4 00 16 00 01 01 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 02 "
#define SOS(predictor) "ff da 00 08 01 01 00 " predictor " 00 00 "

TEST(lossless_predictors_follow_table_h1)
{
    const struct frame_description d = FRAME(SV1, 2, 3, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2);
    const struct span want = HEX("80 81 7f 80 82 82");
    /*
     * First line: 0, +1, -2 → 0 | 10 1 | 110 01. Second line: 0 from above, then by predictor
     *   1 (Ra)               +2  0 → 0 11010 0        2 (Rb)               +1 +3 → 0 101 11011
     *   3 (Rc)               +2 +1 → 0 11010 101      4 (Ra + Rb - Rc)     +1 +2 → 0 101 11010
     *   5 (Ra + (Rb - Rc)/2) +2 +1 → 0 11010 101      6 (Rb + (Ra - Rc)/2) +1 +3 → 0 101 11011
     *   7 ((Ra + Rb)/2)      +2 +2 → 0 11010 11010
     */
    const struct {
        const char *name;
        struct span in;
    } rows[] = {
        { "1", HEX("ff d8 " SOF3 TABLE SOS("01") "5c b4 ff d9") },
        { "2", HEX("ff d8 " SOF3 TABLE SOS("02") "5c ae ff 00 ff d9") },
        { "3", HEX("ff d8 " SOF3 TABLE SOS("03") "5c b5 7f ff d9") },
        { "4", HEX("ff d8 " SOF3 TABLE SOS("04") "5c ae bf ff d9") },
        { "5", HEX("ff d8 " SOF3 TABLE SOS("05") "5c b5 7f ff d9") },
        { "6", HEX("ff d8 " SOF3 TABLE SOS("06") "5c ae ff 00 ff d9") },
        { "7", HEX("ff d8 " SOF3 TABLE SOS("07") "5c b5 af ff d9") },
    };

    EACH(row, rows)
    CHECK_ROW(row->name, decodes_to(&d, row->in, want));
}

TEST(lossless_that_lies_is_refused)
{
    const struct frame_description d = FRAME(SV1, 2, 3, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2);
    const struct {
        const char *name;
        struct span in;
        enum error_code want;
    } rows[] = {
        { "nothing", HEX(""), ERR_MALFORMED },
        { "SOI only", HEX("ff d8"), ERR_TRUNCATED },
        { "no frame header", HEX("ff d8 ff d9"), ERR_MALFORMED },
        { "segment of length 1", HEX("ff d8 ff e0 00 01"), ERR_MALFORMED },
        { "other size", HEX("ff d8 ff c3 00 0b 08 00 02 00 04 01 01 11 00 ff d9"), ERR_MALFORMED },
        { "precision 17", HEX("ff d8 ff c3 00 0b 11 00 02 00 03 01 01 11 00 ff d9"), ERR_MALFORMED },
        { "precision above the cell", HEX("ff d8 ff c3 00 0b 0c 00 02 00 03 01 01 11 00 ff d9"), ERR_MALFORMED },
        { "no table", HEX("ff d8 " SOF3 SOS("01") "5c d2 ff d9"), ERR_MALFORMED },
        { "predictor 0", HEX("ff d8 " SOF3 TABLE SOS("00") "5c d2 ff d9"), ERR_MALFORMED },
        { "predictor 8", HEX("ff d8 " SOF3 TABLE SOS("08") "5c d2 ff d9"), ERR_MALFORMED },
        { "component that is not there", HEX("ff d8 " SOF3 TABLE "ff da 00 08 01 02 00 01 00 00 5c d2 ff d9"),
          ERR_MALFORMED },
        { "a code no table has", HEX("ff d8 " SOF3 TABLE SOS("01") "ff 00 ff 00 ff d9"), ERR_MALFORMED },
        { "ends in a line", HEX("ff d8 " SOF3 TABLE SOS("01") "5c ff d9"), ERR_TRUNCATED },
        { "restart not of lines", HEX("ff d8 " SOF3 TABLE "ff dd 00 04 00 02 " SOS("01") "5c d2 ff d9"),
          ERR_MALFORMED },
        { "restart is missing", HEX("ff d8 " SOF3 TABLE "ff dd 00 04 00 03 " SOS("01") "5c ff 00 ff d9"),
          ERR_MALFORMED },
        { "more codes than bits",
          HEX("ff d8 " SOF3 "ff c4 00 16 00 03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 02 " SOS("01")),
          ERR_MALFORMED },
        { "arithmetic", HEX("ff d8 ff cb 00 0b 08 00 02 00 03 01 01 11 00 ff d9"), ERR_UNSUPPORTED },
    };

    EACH(row, rows)
    CHECK_ROW(row->name, fails_with(&d, row->in) == row->want);
}

TEST(lossless_restarts_begin_anew)
{
    const struct frame_description d = FRAME(SV1, 2, 3, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2);

    /* both lines: 0 | 101 | 11001, padded with ones */
    CHECK(decodes_to(&d, HEX("ff d8 " SOF3 TABLE "ff dd 00 04 00 03 " SOS("07") "5c ff 00 ff d0 5c ff 00 ff d9"),
                     HEX("80 81 7f 80 81 7f")));
}

TEST(baseline_goes_through_libjpeg_and_its_failures_are_contained)
{
    uint8_t grey[64];
    struct picture p = { .width = 8, .height = 8, .samples = 1, .ptr = grey };
    const struct frame_description d = FRAME(BASELINE, 8, 8, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2);
    const struct frame_description wide = FRAME(BASELINE, 8, 9, 1, 8, 8, 7, 0, 0, 0, MONOCHROME2);
    struct writer jpeg = writer_new(1 << 16);
    struct error err;

    memset(grey, 0x55, sizeof grey);
    CHECK(jpeg_encode(&p, &jpeg, &err));
    CHECK(decodes_to(&d, writer_span(&jpeg), span_of(grey, sizeof grey)));
    CHECK(fails_with(&wide, writer_span(&jpeg)) == ERR_MALFORMED);
    for (size_t len = 0; len + 2 < jpeg.len; len++)
        CHECK(fails_with(&d, span_part(writer_span(&jpeg), 0, len)) != ERR_NONE);
    writer_done(&jpeg);
}

TESTS(T(native_frames_become_little_endian_samples), T(a_short_frame_is_truncated_never_padded),
      T(descriptions_that_contradict_themselves_are_refused), T(rle_segments_are_bytes_most_significant_first),
      T(rle_that_lies_is_refused), T(palette_indexes_become_rgb), T(a_description_is_read_from_fields),
      T(lossless_predictors_follow_table_h1), T(lossless_that_lies_is_refused), T(lossless_restarts_begin_anew),
      T(baseline_goes_through_libjpeg_and_its_failures_are_contained))
