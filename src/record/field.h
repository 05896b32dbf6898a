/*
 * The plain values that travel: lists of named fields.
 *
 * What a gate claims of an object, what a fact changes, what an event says, what a call between
 * processes asks and answers: each is a list of (field, value), written in order, with groups for what
 * repeats. The facts part of a log entry is such a list, so the encoding below is also a disk format
 * (docs/format.md): field numbers are never reused.
 *
 *   field  u16le   number in field_list.h
 *   length u32le   bytes of value
 *   value  text in UTF-8, or a u64le of 8 bytes, or raw bytes, or (for a group) a nested list
 *
 * A list from another process or from disk is untrusted bytes like any other: read it with a
 * fields_reader, which checks every length and ends at the first broken one.
 */
#ifndef FANAL_RECORD_FIELD_H
#define FANAL_RECORD_FIELD_H

#include "base/error.h"
#include "base/reader.h"
#include "base/span.h"
#include "base/writer.h"

enum field_type { FIELD_TYPE_TEXT, FIELD_TYPE_UINT, FIELD_TYPE_BYTES, FIELD_TYPE_GROUP };

enum field {
    FIELD_NONE = 0,
#define FIELD(number, symbol, name, type) FIELD_##symbol = (number),
#include "record/field_list.h"
#undef FIELD
};

/* The stable name ("study_uid"), also the JSON key; NULL for a number nobody defined. */
const char *field_name(enum field f);
enum field_type field_type_of(enum field f);

/* Writing. A failed writer (limit, memory) is noticed by its owner with writer_ok(). */
void field_put_text(struct writer *w, enum field f, struct span text);
void field_put_str(struct writer *w, enum field f, const char *text);
void field_put_uint(struct writer *w, enum field f, uint64_t value);
void field_put_bytes(struct writer *w, enum field f, struct span bytes);
/* Text unless it is empty. */
void field_put_some(struct writer *w, enum field f, struct span text);

/* Opens a group; everything until field_group_end(w, mark) is inside it. */
size_t field_group_begin(struct writer *w, enum field f);
void field_group_end(struct writer *w, size_t mark);

struct field_value {
    enum field field;
    struct span value; /* borrows from the list */
};

struct fields_reader {
    struct reader r;
};

static inline struct fields_reader fields_over(struct span list)
{
    return (struct fields_reader){ reader_over(list) };
}

/* The next pair, or false at the end or where the list is broken (fields_complete() tells which). */
bool fields_next(struct fields_reader *r, struct field_value *out);
bool fields_complete(const struct fields_reader *r, struct error *err);

/* The value of a UINT field; 0 where it is not 8 bytes long. */
uint64_t field_uint(struct span value);

/* First value of that field at the top level of the list; false where there is none. */
bool fields_find(struct span list, enum field f, struct span *out);
/* As above; empty (or the fallback) where there is none. */
struct span fields_text(struct span list, enum field f);
uint64_t fields_uint(struct span list, enum field f, uint64_t fallback);

#endif
