/*
 * A checkpoint on paper: five short lines that a person can read, type back, and be told in which line a finger slipped
 * (docs/anchors.md, "Paper").
 *
 *   1: 04K7M XQ2VD 9R0AB 3FZ1C 7T
 *
 * Twenty characters of Crockford's base 32 (no I, L, O, U) and two that check them and the line's number.
 */
#ifndef FANAL_RECORD_PAPER_H
#define FANAL_RECORD_PAPER_H

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"
#include "record/note.h"

#define PAPER_LINES      5
#define PAPER_LINE_DATA  20 /* characters of a line that carry bits … */
#define PAPER_LINE_CHECK 2  /* … and that check them */
#define PAPER_ID_BYTES   16
#define PAPER_TEXT_MAX   ((size_t)16 * 1024) /* typed text, or a scanned note */

struct paper {
    uint8_t vault_id[PAPER_ID_BYTES];
    uint64_t size;
    uint64_t time_s; /* of printing, since 1970; below 2^40 */
    uint8_t root[ROOT_BYTES];
};

/* The five lines. */
void paper_write(const struct paper *p, struct writer *w);

/*
 * What was typed: case and spacing as they come, O for 0 and I or L for 1; lines that do not begin with their number are
 * passed over where others do. ERR_USAGE with "line N: what" where a line is missing, has the wrong number of
 * characters, a character that is none, or check characters that do not fit.
 */
bool paper_parse(struct span text, struct paper *out, struct error *err);

#endif
