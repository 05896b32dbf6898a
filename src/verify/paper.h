/*
 * A checkpoint on paper (docs/anchors.md, "Paper"): five numbered lines of Crockford's base 32, each with a check.
 */
#ifndef VERIFY_PAPER_H
#define VERIFY_PAPER_H

#include "note.h"

#define PAPER_ORIGIN_BYTES (6 + 32) /* "fanal/" and the vault's id in hexadecimal */

/* Lines that do not begin with a number and a colon are passed over. origin is written, and *out borrows from it. */
bool paper_parse(struct bytes text, uint8_t origin[PAPER_ORIGIN_BYTES], struct checkpoint *out, struct why *why);

#endif
