/*
 * Walks a data set once, as its bytes arrive, and keeps what the views need of it.
 *
 * Memory is constant: values nobody asked for are skipped over, those that are wanted have a limit each
 * (the table is in walker.c). Nothing is altered and nothing is decided here: a gate reads what was
 * found and answers. One walker serves one association, object after object.
 */
#ifndef FANAL_DICOM_WALKER_H
#define FANAL_DICOM_WALKER_H

#include "base/error.h"
#include "base/writer.h"
#include "dicom/transfer_syntax.h"
#include "record/field.h"

/* Sum of the values kept of one object, as sent. A value that would pass it is left out. */
#define WALKER_KEPT_MAX ((size_t)40 * 1024)
/* Room that walker_facts() may need: kept values in UTF-8 (at most three bytes for one) with their headers. */
#define WALKER_FACTS_MAX ((size_t)124 * 1024)

struct walker;

/* ERR_MEMORY → NULL. walker_free(NULL) is allowed. */
struct walker *walker_new(struct error *err);
void walker_free(struct walker *w);

/*
 * Begins an object: everything of the one before is forgotten. syntax is borrowed (the table's).
 * ERR_MEMORY only (deflated needs a window of 32 KiB, kept for the next object).
 */
bool walker_begin(struct walker *w, const struct transfer_syntax *syntax, struct error *err);

/*
 * The next bytes of the data set, cut anywhere. They are not kept and not borrowed.
 * ERR_MALFORMED, ERR_TRUNCATED (a length points past what encloses it), ERR_LIMIT (sequences deeper than
 * DATA_SET_DEPTH_MAX, more than INFLATE_OUTPUT_MAX bytes inflated): PS3.4 Table B.2-1 answers these C000.
 * After a failure further bytes are ignored and the call fails again in the same way.
 */
bool walker_feed(struct walker *w, struct span bytes, struct error *err);

/*
 * That was all. ERR_TRUNCATED inside an element or a sequence; otherwise as walker_feed(); ERR_REFUSED where all
 * was read, but the Study, Series, SOP Instance or SOP Class UID is none (PS3.5 §9.1): the text says which.
 * A missing or empty UID is no error here: see walker_value().
 */
bool walker_finish(struct walker *w, struct error *err);

/* Whether (0020,000D) was met, with a value or without: its text, if any, is walker_value(w, FIELD_STUDY_UID). */
bool walker_study_uid_known(const struct walker *w);

/*
 * A wanted TEXT attribute of the top level as sent, padding trimmed; empty where it is absent or a UID that
 * is none. Borrowed until walker_begin() or walker_free(). At any time, also after a failure.
 */
struct span walker_value(const struct walker *w, enum field field);

/*
 * Writes the object's facts: fields 30 to 127 that it has, text in UTF-8, padding trimmed, several values
 * joined by a backslash, and TRANSFER_SYNTAX. At any time, also after a failure (what was read until then).
 * PIXEL_OFFSET and PIXEL_LENGTH count from the first byte of the data set as received; a deflated object has
 * none of them, its pixels cannot be read by range.
 * False only where the writer is full or memory runs out.
 */
bool walker_facts(struct walker *w, struct writer *out, struct error *err);

/* Whether walker_facts() met bytes that its character set does not know; they became U+FFFD. */
bool walker_text_was_damaged(const struct walker *w);

#endif
