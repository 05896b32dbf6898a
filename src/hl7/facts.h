/*
 * What an understood message says, as a field list (record/field_list.h): whose it is, what was measured, who is
 * who. docs/hl7-profiles.md has the table of HL7 fields and ours.
 *
 * Everything is decoded to UTF-8; times stay as sent. A broken value is shown as it is, never refused: judge.c has
 * decided before. A list past the writer's limit fails the writer.
 */
#ifndef FANAL_HL7_FACTS_H
#define FANAL_HL7_FACTS_H

#include "hl7/judge.h"
#include "hl7/message.h"
#include "record/field.h"

/* One value (an OBX-5, an NTE-3) in a list; a longer one is cut, and says so, because a field list travels whole. */
#define HL7_VALUE_MAX ((size_t)16 * 1024)
/* Repetitions looked at in PID-3 and MRG-1: a patient has a handful of numbers; each of the one is held against the other. */
#define HL7_IDENTIFIERS_MAX 64
/* What a cut value ends with: the original is in the stored message. */
#define HL7_VALUE_CUT " [...]"

/* Type, event, control ID, version, sender, time (MSH); zone where MSH-7 has one, else default_zone (may be empty). */
void hl7_header_facts(const struct hl7_message *m, struct span default_zone, struct writer *w);

/* All that the message's kind says: patient, encounter, reports with observations, ended identifiers. */
void hl7_facts(const struct hl7_message *m, struct writer *w);

/* The parts of hl7_facts(). */
void hl7_patient_facts(const struct hl7_message *m, struct writer *w);   /* PID, EVN, PV1 (adt.c) */
void hl7_merge_facts(const struct hl7_message *m, struct writer *w);     /* MRG (adt.c) */
void hl7_result_facts(const struct hl7_message *m, struct writer *w);    /* OBR, OBX, NTE (results.c) */

/* ---- for both files ---- */

/* Text of a part of the message, if it says anything (not empty, not ""). */
void hl7_put(const struct hl7_message *m, struct writer *w, enum field f, struct span value);
/* As above, component n of the first repetition of field number `field` of a segment. */
void hl7_put_value(const struct hl7_message *m, struct writer *w, enum field f, const struct hl7_segment *s,
                   unsigned field, unsigned component);
/* Text that was put together in *text: taken if not empty, cut at HL7_VALUE_MAX; *text is done afterwards. */
void hl7_put_writer(struct writer *w, enum field f, struct writer *text);
/* A person (XPN, XCN from component `family` on) as readable words, family name first, appended to *text. */
void hl7_person(const struct hl7_message *m, struct span repetition, unsigned family, struct writer *text);

#endif
