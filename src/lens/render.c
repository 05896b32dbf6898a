/* Decoded frames to pictures. See render.h. */
#include "lens/render.h"

#include <math.h>
#include <stdlib.h>

#include "lens/jpeg_encode.h"
#include "record/field.h"

/* The first value of a DS (PS3.5 §6.2: at most 16 characters); false where it is none. */
static bool read_ds(struct span fields, enum field f, double *out)
{
    struct span all = fields_text(fields, f);
    struct span first = span_trim(span_part(all, 0, span_index(all, '\\')), " ");
    char text[32], *end;
    double v;

    if (first.len == 0 || !span_to_str(first, text, sizeof text))
        return false;
    v = strtod(text, &end);
    if (*end != '\0' || !isfinite(v))
        return false;
    *out = v;
    return true;
}

static enum voi_function voi_function_of(struct span term)
{
    term = span_trim(term, " ");
    if (span_equal(term, SPAN_LIT("LINEAR_EXACT")))
        return VOI_LINEAR_EXACT;
    return span_equal(term, SPAN_LIT("SIGMOID")) ? VOI_SIGMOID : VOI_LINEAR;
}

bool rendering_read(struct span fields, struct rendering *out, struct error *err)
{
    uint64_t width = fields_uint(fields, FIELD_WIDTH, 0), height = fields_uint(fields, FIELD_HEIGHT, 0);
    struct rendering r = { .rescale_slope = 1,
                           .voi_function = voi_function_of(fields_text(fields, FIELD_VOI_LUT_FUNCTION)) };

    if (width == 0 || height == 0 || width > RENDERED_SIDE_MAX || height > RENDERED_SIDE_MAX)
        return error_set(err, ERR_LIMIT, "a picture is 1 to %d pixels wide and high", RENDERED_SIDE_MAX);
    r.width = (uint32_t)width;
    r.height = (uint32_t)height;
    r.has_window = read_ds(fields, FIELD_WINDOW_CENTER, &r.window_center)
                   && read_ds(fields, FIELD_WINDOW_WIDTH, &r.window_width)
                   && (r.voi_function == VOI_LINEAR ? r.window_width >= 1 : r.window_width > 0);
    if (!read_ds(fields, FIELD_RESCALE_SLOPE, &r.rescale_slope) || r.rescale_slope == 0)
        r.rescale_slope = 1;
    (void)read_ds(fields, FIELD_RESCALE_INTERCEPT, &r.rescale_intercept);
    r.has_padding = read_ds(fields, FIELD_PIXEL_PADDING, &r.padding);
    *out = r;
    return true;
}

uint8_t window_apply(const struct rendering *how, double x)
{
    double c = how->window_center, w = how->window_width, y = 0;

    switch (how->voi_function) {
    case VOI_LINEAR: /* C.11.2.1.2.1 */
        if (x <= c - 0.5 - (w - 1) / 2)
            return 0;
        if (x > c - 0.5 + (w - 1) / 2)
            return 255;
        y = ((x - (c - 0.5)) / (w - 1) + 0.5) * 255;
        break;
    case VOI_LINEAR_EXACT: /* C.11.2.1.3.2 */
        if (x <= c - w / 2)
            return 0;
        if (x > c + w / 2)
            return 255;
        y = ((x - c) / w + 0.5) * 255;
        break;
    case VOI_SIGMOID: /* C.11.2.1.3.1 */
        y = 255 / (1 + exp(-4 * (x - c) / w));
        break;
    }
    return (uint8_t)(y + 0.5);
}

/* The stored value number i of a frame. */
static double stored_value(const struct frame_result *f, struct span samples, size_t i)
{
    size_t width = f->bits_allocated / 8;
    uint32_t v = 0;

    for (size_t byte = 0; byte < width; byte++)
        v |= (uint32_t)samples.ptr[i * width + byte] << (8 * byte);
    if (f->is_signed && v >> (f->bits_allocated - 1) != 0)
        return (double)v - (double)(UINT64_C(1) << f->bits_allocated);
    return v;
}

/* Without a window of its own the picture shows from the smallest to the largest value. */
static struct rendering with_window(const struct rendering *how, const struct frame_result *f, struct span samples)
{
    struct rendering r = *how;
    size_t count = (size_t)f->rows * f->columns;
    double least = INFINITY, most = -INFINITY;

    if (r.has_window)
        return r;
    for (size_t i = 0; i < count; i++) {
        double v = stored_value(f, samples, i);

        if (r.has_padding && v == r.padding)
            continue;
        least = v < least ? v : least;
        most = v > most ? v : most;
    }
    if (least > most)
        least = most = 0;
    least = least * r.rescale_slope + r.rescale_intercept;
    most = most * r.rescale_slope + r.rescale_intercept;
    r.voi_function = VOI_LINEAR_EXACT;
    r.window_center = (least + most) / 2;
    r.window_width = fabs(most - least) > 0 ? fabs(most - least) : 1;
    return r;
}

/* The mean of one sample over the source pixels that a picture's pixel covers. */
static double mean_of(const struct frame_result *f, struct span samples, const uint32_t box[4], unsigned sample)
{
    double sum = 0;

    for (uint32_t y = box[1]; y < box[3]; y++)
        for (uint32_t x = box[0]; x < box[2]; x++)
            sum += stored_value(f, samples, ((size_t)y * f->columns + x) * f->samples_per_pixel + sample);
    return sum / ((double)(box[2] - box[0]) * (box[3] - box[1]));
}

static uint8_t shade(const struct rendering *how, const struct frame_result *f, double stored)
{
    uint8_t v;

    if (f->samples_per_pixel == 3)
        return (uint8_t)(stored / (f->bits_allocated == 8 ? 1 : f->bits_allocated == 16 ? 257 : 16843009) + 0.5);
    v = window_apply(how, stored * how->rescale_slope + how->rescale_intercept);
    return f->photometric == PHOTOMETRIC_MONOCHROME1 ? 255 - v : v;
}

static void draw(const struct rendering *how, const struct frame_result *f, struct span samples,
                 const struct picture *p)
{
    size_t at = 0;

    for (uint32_t y = 0; y < p->height; y++)
        for (uint32_t x = 0; x < p->width; x++) {
            const uint32_t box[4] = {
                (uint32_t)((uint64_t)x * f->columns / p->width),
                (uint32_t)((uint64_t)y * f->rows / p->height),
                (uint32_t)((uint64_t)(x + 1) * f->columns / p->width),
                (uint32_t)((uint64_t)(y + 1) * f->rows / p->height),
            };

            for (unsigned sample = 0; sample < p->samples; sample++)
                p->ptr[at++] = shade(how, f, mean_of(f, samples, box, sample));
        }
}

/* The largest size within width × height that keeps the shape and does not enlarge; at least one pixel. */
static void fit(const struct rendering *how, const struct frame_result *f, struct picture *p)
{
    uint64_t w = f->columns, h = f->rows;

    if (w > how->width) {
        h = h * how->width / w;
        w = how->width;
    }
    if (h > how->height) {
        w = w * how->height / h;
        h = how->height;
    }
    p->width = (uint32_t)(w > 0 ? w : 1);
    p->height = (uint32_t)(h > 0 ? h : 1);
}

bool render_jpeg(const struct rendering *how, const struct frame_result *frame, struct span samples,
                 struct writer *jpeg, uint32_t *width, uint32_t *height, struct error *err)
{
    struct rendering windowed = frame->samples_per_pixel == 1 ? with_window(how, frame, samples) : *how;
    struct picture p = { .samples = frame->samples_per_pixel };
    bool ok;

    fit(how, frame, &p);
    p.ptr = malloc((size_t)p.width * p.height * p.samples);
    if (p.ptr == NULL)
        return error_set(err, ERR_MEMORY, "picture");
    draw(&windowed, frame, samples, &p);
    ok = jpeg_encode(&p, jpeg, err);
    free(p.ptr);
    if (!ok)
        return false;
    *width = p.width;
    *height = p.height;
    return true;
}
