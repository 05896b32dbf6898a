/*
 * Acknowledgements (HL7 v2.5.1 chapter 2, 2.9): whether one is due, and its bytes in the sender's own version,
 * delimiters and character set.
 *
 * Texts are constants of ours: nothing of a patient travels back.
 */
#ifndef FANAL_HL7_ACKNOWLEDGE_H
#define FANAL_HL7_ACKNOWLEDGE_H

#include "hl7/judge.h"

/* Whatever is copied from the sender's header is cut here; MSH-10 is at most 199 characters in any version. */
#define HL7_ACK_FIELD_MAX 1024

/*
 * The code to answer with, "AA" to "CR"; NULL where no answer is due. m is NULL where nothing could be parsed.
 * Original mode, or enhanced mode where MSH-15 or MSH-16 has a value: MSH-15 (AL, ER, SU, NE; table 0155) decides about
 * the accept acknowledgement; where it asks for none, MSH-16 decides about the application acknowledgement.
 */
const char *hl7_answer_code(const struct hl7_message *m, enum hl7_verdict verdict);

struct hl7_acknowledgement {
    const char *code;                /* of hl7_answer_code() */
    const struct hl7_judgement *why; /* ERR and MSA-3 come from here unless its verdict is HL7_ACCEPT */
    uint64_t wall_us;                /* MSH-7 */
    const char *control_id;          /* MSH-10, unique; at most 20 characters (2.1 to 2.6) */
};

/* Appends the acknowledgement of m (NULL: of something without MSH), segments ended by CR, without MLLP framing. */
void hl7_acknowledge(const struct hl7_message *m, const struct hl7_acknowledgement *ack, struct writer *w);

#endif
