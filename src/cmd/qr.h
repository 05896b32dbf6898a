/* A QR code (ISO/IEC 18004) of a text in UTF-8, on a terminal or as SVG. On libqrencode. */
#ifndef FANAL_CMD_QR_H
#define FANAL_CMD_QR_H

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"

/* Error correction level M (15 %): a creased paper is read. ERR_LIMIT for a text that no code holds. */

/* Half blocks, two modules a character, with the quiet zone of §6.3.8; for a dark terminal and for a light one (SGR). */
bool qr_terminal(struct span text, struct writer *out, struct error *err);
/* An <svg> element of `millimetres` width, quiet zone included. */
bool qr_svg(struct span text, unsigned millimetres, struct writer *out, struct error *err);

#endif
