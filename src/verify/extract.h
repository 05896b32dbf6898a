/*
 * Writes out what shown records hold: documents (DICOM Part 10 files, HL7 messages) and facts in words.
 */
#ifndef VERIFY_EXTRACT_H
#define VERIFY_EXTRACT_H

#include <stdio.h>

#include "record.h"

struct extract {
    int dir_fd;       /* -1: nothing is written */
    FILE *document;   /* of the record that is being read; NULL: none */
    uint64_t written; /* documents */
};

/* As the telling of pack.h; context is a struct extract. */
bool extract_record(struct extract *x, const struct entry *e, uint64_t position, struct bytes facts, struct why *why);
bool extract_body(struct extract *x, struct bytes clear, struct why *why);
bool extract_end(struct extract *x, struct why *why);

#endif
