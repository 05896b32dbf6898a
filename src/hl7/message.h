/*
 * HL7 v2 messages, version 2.1 to 2.8 (chapter 2, "Control"): bytes in, spans of segments, fields, repetitions,
 * components and subcomponents out.
 *
 * Knows delimiters, not meanings: judge.c knows what a message must hold, results.c and adt.c what it says.
 * Spans borrow from the message's bytes (or its arena: UTF-16) and hold text as sent; hl7_text() decodes.
 */
#ifndef FANAL_HL7_MESSAGE_H
#define FANAL_HL7_MESSAGE_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"
#include "hl7/charset.h"

/* One message. HL7 has no limit; a report with its PDF is 1 to 10 MB. */
#define HL7_MESSAGE_MAX ((size_t)16 * 1024 * 1024)
/* The longest result messages (antibiograms, device data) have some thousand segments. */
#define HL7_SEGMENTS_MAX 20000
/* For hl7_message_parse(): segments, and a UTF-16 message as UTF-8. */
#define HL7_ARENA_MAX (HL7_MESSAGE_MAX * 2)

/* 2.5.4 "Message delimiters". 0: the message has none of that kind. */
struct hl7_delimiters {
    uint8_t field, component, repetition, escape, subcomponent, truncation;
};

struct hl7_segment {
    struct span text; /* without its end */
};

struct hl7_message {
    struct span bytes; /* as received */
    struct span text;  /* what the spans below lie in: part of bytes, or its UTF-8 form */
    bool transcoded;   /* UTF-16: offsets into text say nothing about bytes */
    struct hl7_delimiters delimiters;
    enum charset charset;
    const struct hl7_segment *segments; /* [0] is MSH */
    size_t segment_count;
};

/*
 * Cuts bytes into segments. Tolerated in front: byte order mark, VT, NUL, blanks, line ends; segments end with
 * CR, LF or both; empty lines are skipped. *out borrows from bytes and from arena.
 * ERR_MALFORMED where no usable MSH begins it (MSH-1 and MSH-2 decide), ERR_LIMIT, ERR_MEMORY.
 */
bool hl7_message_parse(struct arena *arena, struct span bytes, struct hl7_message *out, struct error *err);

/* The segment ID, three bytes; empty where the line is none ("[A-Z][A-Z0-9]{2}" and a field separator or the end). */
struct span hl7_segment_id(const struct hl7_message *m, const struct hl7_segment *s);
bool hl7_segment_is(const struct hl7_message *m, const struct hl7_segment *s, const char *id);
/* First segment of that ID from index `from` on; m->segment_count where there is none. */
size_t hl7_segment_find(const struct hl7_message *m, const char *id, size_t from);

/* Field n (1 …) with all its repetitions, blanks around it removed; empty where the segment is shorter. */
struct span hl7_field(const struct hl7_message *m, const struct hl7_segment *s, unsigned n);

/* Takes the next repetition off *rest; false after the last. An empty field has none. */
bool hl7_next_repetition(const struct hl7_message *m, struct span *rest, struct span *repetition);

/* Component n (1 …) of a repetition, subcomponent n of a component; blanks around it removed. */
struct span hl7_component(const struct hl7_message *m, struct span repetition, unsigned n);
struct span hl7_subcomponent(const struct hl7_message *m, struct span component, unsigned n);

/* Component n of the first repetition of field f. */
struct span hl7_value(const struct hl7_message *m, const struct hl7_segment *s, unsigned f, unsigned n);

/* "" in quotes: the sender says there is nothing (2.5.3). */
bool hl7_is_null(struct span value);

/*
 * Appends text as UTF-8 with escape sequences resolved (2.7): \F\ \S\ \T\ \R\ \E\ \P\ \Xhh…\; \.br\ \.sp\ \.ce\
 * become line ends, other formatting and highlighting disappears, what is unknown stays as it is. CR and CR LF
 * become LF; other control characters but TAB become U+FFFD.
 */
void hl7_text(const struct hl7_message *m, struct span text, struct writer *w);

#endif
