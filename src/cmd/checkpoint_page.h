/* A checkpoint as one printable page, in French and English (docs/anchors.md, "Paper"). */
#ifndef FANAL_CMD_CHECKPOINT_PAGE_H
#define FANAL_CMD_CHECKPOINT_PAGE_H

#include "record/paper.h"

/* A whole HTML document: no script, nothing fetched. note: the signed note; it goes into the QR code, too. */
bool checkpoint_page(const struct paper *p, struct span origin, struct span note, struct writer *out, struct error *err);

#endif
