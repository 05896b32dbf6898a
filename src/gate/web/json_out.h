/*
 * JSON being written (RFC 8259), straight into a writer.
 *
 * Text from senders is made valid on the way: bytes that are no UTF-8 become U+FFFD, control characters are
 * escaped. Numbers that a sender wrote stay text: "1.10" is not 1.1.
 */
#ifndef FANAL_GATE_WEB_JSON_OUT_H
#define FANAL_GATE_WEB_JSON_OUT_H

#include "base/writer.h"
#include "record/field.h"

struct json {
    struct writer *out; /* borrowed */
    bool comma;         /* a value stands before the next one */
};

static inline struct json json_into(struct writer *out)
{
    return (struct json){ .out = out };
}

void json_begin(struct json *j, char bracket); /* '{' or '[' */
void json_end(struct json *j, char bracket);   /* '}' or ']' */
void json_key(struct json *j, const char *name);
void json_text(struct json *j, struct span utf8);
void json_uint(struct json *j, uint64_t value);
void json_bool(struct json *j, bool value);

/*
 * The members of a field list, without brackets: UINT a number, TEXT a string, GROUP an object. `repeated` (ends with
 * FIELD_NONE, may be NULL) become arrays, empty where there is none; of any other field the first counts. BYTES and
 * palettes are not for the page and left out. A list that is broken ends at its break.
 */
void json_fields(struct json *j, struct span list, const enum field *repeated);

#endif
