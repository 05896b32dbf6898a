/*
 * JPEG with DCT in 8 bits, through libjpeg-turbo: decoding frames, encoding what is rendered.
 *
 * libjpeg leaves by longjmp: each entry sets one target in its own frame, and what must survive it lives
 * in struct failure or with the caller. Messages of libjpeg go into the error's text, never to stderr.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

#include "lens/codec.h"
#include "lens/jpeg_encode.h"

/*
 * Progressive files may repeat a scan for ever at the price of a few bytes each; real ones have at most some ten
 * per component (libjpeg-turbo's own guard against the same abuse asks for 500).
 */
#define JPEG_SCANS_MAX 100

struct failure {
    struct jpeg_error_mgr manager; /* first: libjpeg hands it back */
    jmp_buf target;
    struct error *err;
};

static _Noreturn void fail(j_common_ptr c);

static void fail(j_common_ptr c)
{
    struct failure *f = (struct failure *)c->err;
    char text[JMSG_LENGTH_MAX];

    c->err->format_message(c, text);
    (void)error_set(f->err, c->err->msg_code == JERR_OUT_OF_MEMORY ? ERR_MEMORY : ERR_MALFORMED, "JPEG: %s", text);
    longjmp(f->target, 1);
}

/* Level -1 is damaged data that libjpeg would paint over: a picture that is not what was sent is none. */
static void warn(j_common_ptr c, int level)
{
    if (level < 0 && c->err->msg_code != JWRN_EXTRANEOUS_DATA && c->err->msg_code != JWRN_ADOBE_XFORM)
        fail(c);
}

static void say_nothing(j_common_ptr c)
{
    (void)c;
}

static struct jpeg_error_mgr *failure_init(struct failure *f, struct error *err)
{
    (void)jpeg_std_error(&f->manager);
    f->manager.error_exit = fail;
    f->manager.emit_message = warn;
    f->manager.output_message = say_nothing;
    f->err = err;
    return &f->manager;
}

/*
 * Which colours the components are. The Adobe marker says so; else a JFIF file or subsampled chroma can only be
 * YCbCr; else the data set's word holds.
 */
static J_COLOR_SPACE colours_of(const struct frame_description *d, const struct jpeg_header *h)
{
    if (h->components == 1)
        return JCS_GRAYSCALE;
    if (h->has_adobe)
        return h->adobe_transform == 0 ? JCS_RGB : JCS_YCbCr;
    if (h->has_jfif || h->subsampled)
        return JCS_YCbCr;
    return d->photometric == PHOTOMETRIC_RGB ? JCS_RGB : JCS_YCbCr;
}

static void decode_rows(struct jpeg_decompress_struct *c, struct samples out, size_t stride)
{
    while (c->output_scanline < c->output_height) {
        JSAMPROW row = &out.ptr[c->output_scanline * stride];

        (void)jpeg_read_scanlines(c, &row, 1);
    }
}

static bool fits(const struct jpeg_decompress_struct *c, const struct frame_description *d)
{
    return c->output_width == d->columns && c->output_height == d->rows
           && (unsigned)c->output_components == d->samples_per_pixel;
}

static void count_scans(j_common_ptr c)
{
    if (((j_decompress_ptr)c)->input_scan_number > JPEG_SCANS_MAX)
        ERREXIT(c, JERR_BAD_PROGRESSION);
}

bool jpeg_dct_decode(const struct frame_description *d, const struct jpeg_header *h, struct span encoded,
                     struct samples out, struct error *err)
{
    struct failure failure;
    struct jpeg_decompress_struct c = { .err = failure_init(&failure, err) };
    struct jpeg_progress_mgr progress = { .progress_monitor = count_scans };
    bool ok = false;

    if (setjmp(failure.target) != 0) {
        jpeg_destroy_decompress(&c);
        return false;
    }
    jpeg_create_decompress(&c);
    c.progress = &progress;
    jpeg_mem_src(&c, encoded.ptr, encoded.len);
    (void)jpeg_read_header(&c, TRUE);
    c.jpeg_color_space = colours_of(d, h);
    c.out_color_space = h->components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    c.dct_method = JDCT_ISLOW; /* what dcmtk and every reference use */
    (void)jpeg_start_decompress(&c);
    if (fits(&c, d)) {
        decode_rows(&c, out, (size_t)d->columns * d->samples_per_pixel);
        (void)jpeg_finish_decompress(&c);
        ok = true;
    } else {
        (void)error_set(err, ERR_MALFORMED, "JPEG header and data set disagree on the size of the frame");
    }
    jpeg_destroy_decompress(&c);
    return ok;
}

/* ---- encoding into a writer ---- */

#define ENCODED_PIECE ((size_t)16 * 1024)

struct destination {
    struct jpeg_destination_mgr manager; /* first: libjpeg hands it back */
    struct writer *out;
    JOCTET piece[ENCODED_PIECE];
};

static void piece_begin(j_compress_ptr c)
{
    struct destination *to = (struct destination *)c->dest;

    to->manager.next_output_byte = to->piece;
    to->manager.free_in_buffer = sizeof to->piece;
}

static boolean piece_full(j_compress_ptr c)
{
    struct destination *to = (struct destination *)c->dest;

    write_span(to->out, span_of(to->piece, sizeof to->piece));
    piece_begin(c);
    return TRUE;
}

static void piece_end(j_compress_ptr c)
{
    struct destination *to = (struct destination *)c->dest;

    write_span(to->out, span_of(to->piece, sizeof to->piece - to->manager.free_in_buffer));
}

bool jpeg_encode(const struct picture *p, struct writer *out, struct error *err)
{
    struct failure failure;
    struct destination to = { .manager = { .init_destination = piece_begin,
                                           .empty_output_buffer = piece_full,
                                           .term_destination = piece_end },
                              .out = out };
    struct jpeg_compress_struct c = { .err = failure_init(&failure, err) };

    if (setjmp(failure.target) != 0) {
        jpeg_destroy_compress(&c);
        return false;
    }
    jpeg_create_compress(&c);
    c.dest = &to.manager;
    c.image_width = p->width;
    c.image_height = p->height;
    c.input_components = (int)p->samples;
    c.in_color_space = p->samples == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, JPEG_QUALITY, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = &p->ptr[(size_t)c.next_scanline * p->width * p->samples];

        (void)jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return writer_ok(out, err, "rendered JPEG");
}
