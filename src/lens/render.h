/*
 * A decoded frame to a picture for the screen: rescale, window (PS3.3 C.11.1, C.11.2), smaller, JPEG.
 */
#ifndef FANAL_LENS_RENDER_H
#define FANAL_LENS_RENDER_H

#include "lens/decode.h"

/* A thumbnail or a first look; a screen of 4096 pixels is filled by the raw frame. */
#define RENDERED_SIDE_MAX 4096

enum voi_function { VOI_LINEAR, VOI_LINEAR_EXACT, VOI_SIGMOID };

struct rendering {
    uint32_t width, height; /* the picture fits into it; never enlarged */
    bool has_window;        /* else from the smallest to the largest value */
    double window_center, window_width;
    enum voi_function voi_function;
    double rescale_slope, rescale_intercept;
    bool has_padding; /* that stored value is no part of the smallest and largest */
    double padding;
};

/* From the fields of a DECODE; what is absent or no number is as if it were not sent. ERR_LIMIT past RENDERED_SIDE_MAX.
 */
bool rendering_read(struct span fields, struct rendering *out, struct error *err);

/*
 * The value of a pixel on the screen, 0 to 255, of a modality value (C.11.2.1.2, C.11.2.1.3).
 */
uint8_t window_apply(const struct rendering *how, double value);

/*
 * Appends a JPEG to *jpeg. frame and samples as lens_decode() made them; *width and *height are the picture's.
 */
bool render_jpeg(const struct rendering *how, const struct frame_result *frame, struct span samples,
                 struct writer *jpeg, uint32_t *width, uint32_t *height, struct error *err);

#endif
