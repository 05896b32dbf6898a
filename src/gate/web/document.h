/*
 * A document inside an HL7 message (OBX-5 of type ED: source ^ type ^ subtype ^ encoding ^ data, v2.5.1 §2.A.24), as
 * the file it is.
 */
#ifndef FANAL_GATE_WEB_DOCUMENT_H
#define FANAL_GATE_WEB_DOCUMENT_H

#include "base/error.h"
#include "base/writer.h"

enum document_encoding { DOCUMENT_PLAIN, DOCUMENT_HEX, DOCUMENT_BASE64 };

/* The largest document decoded. A scan of many pages takes some ten megabytes. */
#define DOCUMENT_BYTES_MAX ((size_t)48 * 1024 * 1024)

struct document {
    enum document_encoding encoding;
    bool is_pdf;
    struct span delimiters; /* what ends the data: field, component, repetition, subcomponent; borrows */
    uint8_t escape;
};

/*
 * Reads what an ED says of its data. head: the message's first bytes (MSH and its delimiters); before: the bytes that
 * end where the data begins. ERR_MALFORMED where they are not the components of an ED.
 */
bool document_describe(struct span head, struct span before, struct document *out, struct error *err);

/* Decodes data as it comes, cut anywhere. */
struct document_decoder {
    const struct document *document;
    struct writer *out;
    uint32_t bits;
    unsigned count; /* of bits */
    bool escaped;   /* between two escape characters: \.br\ that a sender put into its Base64 */
    bool ended;     /* a delimiter or the end of the segment was met */
};

/* False with ERR_MALFORMED for a character that its encoding does not know, ERR_LIMIT past the writer's. */
bool document_decode(struct document_decoder *d, struct span bytes, struct error *err);

#endif
