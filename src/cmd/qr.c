/* QR codes. See qr.h. */
#include "cmd/qr.h"

#include <qrencode.h>

#define QUIET 4 /* modules of quiet zone */
#define ECI_UTF8 26 /* or a reader takes the em dash of a note for three letters of ISO 8859-1 */

static QRcode *encode(struct span text, struct error *err)
{
    QRinput *input = QRinput_new2(0, QR_ECLEVEL_M);
    QRcode *code = NULL;

    if (input != NULL && text.len <= INT16_MAX && QRinput_appendECIheader(input, ECI_UTF8) == 0
        && QRinput_append(input, QR_MODE_8, (int)text.len, text.ptr) == 0)
        code = QRcode_encodeInput(input);
    QRinput_free(input);
    if (code == NULL)
        (void)error_set(err, ERR_LIMIT, "no QR code holds %zu bytes", text.len);
    return code;
}

static bool is_dark(const QRcode *q, int x, int y)
{
    return x >= 0 && y >= 0 && x < q->width && y < q->width && (q->data[y * q->width + x] & 1) != 0;
}

bool qr_terminal(struct span text, struct writer *out, struct error *err)
{
    /* by upper and lower module: light is the foreground */
    static const char *const blocks[2][2] = { { "\xe2\x96\x88", "\xe2\x96\x80" }, { "\xe2\x96\x84", " " } };
    QRcode *q = encode(text, err);

    if (q == NULL)
        return false;
    for (int y = -QUIET; y < q->width + QUIET; y += 2) {
        write_str(out, "\x1b[97;40m"); /* white on black, whatever the terminal's own colours are */
        for (int x = -QUIET; x < q->width + QUIET; x++)
            write_str(out, blocks[is_dark(q, x, y)][is_dark(q, x, y + 1)]);
        write_str(out, "\x1b[0m\n");
    }
    QRcode_free(q);
    return writer_ok(out, err, "QR code");
}

bool qr_svg(struct span text, unsigned millimetres, struct writer *out, struct error *err)
{
    QRcode *q = encode(text, err);

    if (q == NULL)
        return false;
    write_printf(out,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%umm\" height=\"%umm\" viewBox=\"%d %d %d %d\""
                 " shape-rendering=\"crispEdges\" role=\"img\" aria-label=\"QR\"><path fill=\"#fff\" d=\"M%d %dh%dv%dh-%dz\"/>"
                 "<path fill=\"#000\" d=\"",
                 millimetres, millimetres, -QUIET, -QUIET, q->width + 2 * QUIET, q->width + 2 * QUIET, -QUIET, -QUIET,
                 q->width + 2 * QUIET, q->width + 2 * QUIET, q->width + 2 * QUIET);
    for (int y = 0; y < q->width; y++)
        for (int x = 0; x < q->width; x++)
            if (is_dark(q, x, y))
                write_printf(out, "M%d %dh1v1h-1z", x, y);
    write_str(out, "\"/></svg>\n");
    QRcode_free(q);
    return writer_ok(out, err, "QR code");
}
