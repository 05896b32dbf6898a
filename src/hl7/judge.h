/*
 * May this message be understood? The order and the reasons of docs/hl7-profiles.md, "What is answered".
 *
 * Looks at structure and required fields only; what the values say is left to results.c and adt.c.
 */
#ifndef FANAL_HL7_JUDGE_H
#define FANAL_HL7_JUDGE_H

#include "hl7/message.h"

/* In the words of an original mode acknowledgement (table 0008). */
enum hl7_verdict {
    HL7_ACCEPT, /* AA: understood */
    HL7_ERROR,  /* AE: bad content */
    HL7_REJECT, /* AR: no usable MSH, or nothing we do */
    HL7_SILENT, /* an acknowledgement or another answer: never answered */
};

/* Message error condition codes (table 0357) that we use. */
enum hl7_condition {
    HL7_NO_CONDITION = 0,
    HL7_SEGMENT_SEQUENCE = 100,
    HL7_REQUIRED_FIELD = 101,
    HL7_UNSUPPORTED_TYPE = 200,
    HL7_UNSUPPORTED_EVENT = 201,
    HL7_UNSUPPORTED_VERSION = 203,
    HL7_INTERNAL_ERROR = 207,
};

struct hl7_judgement {
    enum hl7_verdict verdict;
    enum hl7_condition condition;
    char segment[4];     /* where: its ID; empty where nowhere in particular */
    unsigned occurrence; /* of that ID, 1 … */
    unsigned field;      /* 0: the segment as a whole */
    const char *reason;  /* constant text without patient data; "" for HL7_ACCEPT */
};

/* What a message is about, as far as its header says. Spans borrow from the message. */
enum hl7_kind {
    HL7_OTHER,
    HL7_RESULTS,  /* ORU^R01 */
    HL7_VISIT,    /* ADT^A01, A03, A04, A08: patient and encounter */
    HL7_PERSON,   /* ADT^A28, A31: patient */
    HL7_MERGE,    /* ADT^A40 */
};

enum hl7_kind hl7_kind_of(const struct hl7_message *m);
struct hl7_judgement hl7_judge(const struct hl7_message *m);

/*
 * For bytes that hl7_message_parse() refused with `code`: what they look like instead (HPRIM, a batch, nothing),
 * or the limit of ours they passed.
 */
struct hl7_judgement hl7_judge_no_message(struct span bytes, enum error_code code);

/* "PID-3", "OBX[2]-5", "OBR": as in FIELD_ERROR_LOCATION. */
#define HL7_LOCATION_SIZE 32
void hl7_location(const struct hl7_judgement *j, char out[HL7_LOCATION_SIZE]);

/* PID-3, or up to version 2.3 PID-2 or PID-4 where PID-3 has none: the field that identifies; 0: none does. */
unsigned hl7_identifier_field(const struct hl7_message *m, const struct hl7_segment *pid);
/* A repetition of a CX (or an older CK, CM) field that has an identifier. */
bool hl7_names_identifier(const struct hl7_message *m, struct span repetition);

#endif
