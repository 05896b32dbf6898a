/* Windows of PS3.3 C.11.2.1 at their edges, sizes, MONOCHROME1, and what a picture of a frame is. */
#include "lens/render.h"
#include "record/field.h"

#include "../test.h"

TEST(windows_follow_their_formulas)
{
    const struct {
        const char *name;
        enum voi_function f;
        double c, w, x;
        uint8_t want;
    } rows[] = {
        /* C.11.2.1.2.1, Note 2: c = 2048, w = 4096: 0 at 0, full at 4095 */
        { "linear at the lower edge", VOI_LINEAR, 2048, 4096, 0, 0 },
        { "linear above the lower edge", VOI_LINEAR, 2048, 4096, 17, 1 },
        { "linear at the upper edge", VOI_LINEAR, 2048, 4096, 4095, 255 },
        { "linear in the middle", VOI_LINEAR, 2048, 4096, 2047.5, 128 },
        { "width 1 is a threshold: at it", VOI_LINEAR, 100, 1, 99.5, 0 },
        { "width 1 is a threshold: above", VOI_LINEAR, 100, 1, 100, 255 },
        { "exact at the lower edge", VOI_LINEAR_EXACT, 50, 100, 0, 0 },
        { "exact in the middle", VOI_LINEAR_EXACT, 50, 100, 50, 128 },
        { "exact above", VOI_LINEAR_EXACT, 50, 100, 101, 255 },
        { "sigmoid in the middle", VOI_SIGMOID, 50, 100, 50, 128 },
        { "sigmoid far below", VOI_SIGMOID, 50, 100, -1000, 0 },
        { "sigmoid one width above", VOI_SIGMOID, 50, 100, 150, 250 },
    };

    EACH(row, rows)
    {
        struct rendering how = { .window_center = row->c, .window_width = row->w, .voi_function = row->f };

        CHECK_ROW(row->name, window_apply(&how, row->x) == row->want);
    }
}

static bool read_rendering(struct writer *w, struct rendering *out)
{
    struct error err;

    return rendering_read(writer_span(w), out, &err);
}

TEST(what_is_no_number_is_as_if_it_were_not_sent)
{
    struct writer w = writer_new(1000);
    struct rendering r;

    CHECK(!read_rendering(&w, &r));
    field_put_uint(&w, FIELD_WIDTH, 100);
    field_put_uint(&w, FIELD_HEIGHT, RENDERED_SIDE_MAX);
    CHECK(read_rendering(&w, &r) && !r.has_window && r.rescale_slope == 1);
    field_put_str(&w, FIELD_WINDOW_CENTER, " 40 \\400");
    field_put_str(&w, FIELD_WINDOW_WIDTH, "0.5");
    CHECK(read_rendering(&w, &r) && !r.has_window); /* LINEAR asks for 1 at least: C.11.2.1.2.1 */
    field_put_str(&w, FIELD_VOI_LUT_FUNCTION, "LINEAR_EXACT");
    field_put_str(&w, FIELD_RESCALE_SLOPE, "nan");
    field_put_str(&w, FIELD_RESCALE_INTERCEPT, "-1024");
    CHECK(read_rendering(&w, &r) && r.has_window && r.window_center == 40 && r.rescale_slope == 1
          && r.rescale_intercept == -1024);
    writer_reset(&w);
    field_put_uint(&w, FIELD_WIDTH, RENDERED_SIDE_MAX + 1);
    field_put_uint(&w, FIELD_HEIGHT, 1);
    CHECK(!read_rendering(&w, &r));
    writer_done(&w);
}

/* The grey of a picture of one pixel or one flat area: its JPEG decoded again. */
static int grey_of(const struct rendering *how, const struct frame_result *f, struct span samples)
{
    struct writer jpeg = writer_new(1 << 20), again = writer_new(1 << 20);
    struct frame_description d = { .transfer_syntax = SPAN_LIT("1.2.840.10008.1.2.4.50"),
                                   .samples_per_pixel = 1,
                                   .bits_allocated = 8,
                                   .bits_stored = 8,
                                   .high_bit = 7,
                                   .photometric = PHOTOMETRIC_MONOCHROME2 };
    struct frame_result r;
    struct error err;
    int grey = -1;

    if (render_jpeg(how, f, samples, &jpeg, &d.columns, &d.rows, &err)
        && lens_decode(&d, writer_span(&jpeg), &again, &r, &err))
        grey = again.ptr[0];
    writer_done(&jpeg);
    writer_done(&again);
    return grey;
}

TEST(a_picture_is_rescaled_windowed_averaged_and_inverted)
{
    struct rendering how = { .width = 1,
                             .height = 1,
                             .has_window = true,
                             .window_center = 50,
                             .window_width = 100,
                             .voi_function = VOI_LINEAR_EXACT,
                             .rescale_slope = 2,
                             .rescale_intercept = -50 };
    struct frame_result f = {
        .rows = 2, .columns = 2, .samples_per_pixel = 1, .bits_allocated = 16, .photometric = PHOTOMETRIC_MONOCHROME2
    };
    struct span samples = HEX("32 00 32 00 34 00 30 00"); /* mean 50 → 50 → the middle */

    CHECK(grey_of(&how, &f, samples) == 128);
    f.photometric = PHOTOMETRIC_MONOCHROME1;
    CHECK(grey_of(&how, &f, samples) == 127);
    f.is_signed = true;
    CHECK(grey_of(&how, &f, HEX("ff ff ff ff ff ff ff ff")) == 255); /* -1 → below → black → inverted */
    how.has_window = false; /* from the smallest to the largest, the padding left out */
    how.has_padding = true;
    how.padding = -1;
    how.width = how.height = 2;
    f.photometric = PHOTOMETRIC_MONOCHROME2;
    CHECK(grey_of(&how, &f, HEX("0a 00 0a 00 0a 00 0a 00")) == 128); /* one value only */
    CHECK(grey_of(&how, &f, HEX("ff ff ff ff ff ff ff ff")) >= 0);   /* padding only */
}

TEST(a_picture_fits_and_is_never_enlarged)
{
    const struct {
        const char *name;
        uint32_t columns, rows, width, height, want_width, want_height;
    } rows[] = {
        { "wide", 400, 200, 100, 100, 100, 50 },
        { "high", 200, 400, 100, 100, 50, 100 },
        { "small", 10, 20, 100, 100, 10, 20 },
        { "a line", 1000, 1, 100, 100, 100, 1 },
    };

    EACH(row, rows)
    {
        struct rendering how = { .width = row->width, .height = row->height, .rescale_slope = 1 };
        struct frame_result f = { .rows = row->rows,
                                  .columns = row->columns,
                                  .samples_per_pixel = 1,
                                  .bits_allocated = 8,
                                  .photometric = PHOTOMETRIC_MONOCHROME2 };
        struct writer samples = writer_new(1 << 20), jpeg = writer_new(1 << 20);
        uint32_t width = 0, height = 0;
        struct error err;

        write_fill(&samples, 7, (size_t)row->columns * row->rows);
        CHECK_ROW(row->name, render_jpeg(&how, &f, writer_span(&samples), &jpeg, &width, &height, &err));
        CHECK_ROW(row->name, width == row->want_width && height == row->want_height);
        writer_done(&samples);
        writer_done(&jpeg);
    }
}

TESTS(T(windows_follow_their_formulas), T(what_is_no_number_is_as_if_it_were_not_sent),
      T(a_picture_is_rescaled_windowed_averaged_and_inverted), T(a_picture_fits_and_is_never_enlarged))
