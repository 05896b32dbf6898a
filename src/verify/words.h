/*
 * What is shown: text that came from the pack, made safe for a terminal; times; names of facts.
 */
#ifndef VERIFY_WORDS_H
#define VERIFY_WORDS_H

#include <stdio.h>

#include "bytes.h"

/* UTF-8 as it is, control characters as spaces. */
void print_text(FILE *out, struct bytes text);
/* "2026-11-28T04:00:00Z" into out[24]; returns it. */
const char *time_text(uint64_t seconds, char out[24]);
/* Of a fact's number; NULL where this program does not know it. *is_number: its value is a number. */
const char *fact_name(unsigned number, bool *is_number);
/* One "name: value" a line; groups and what is not known are left out. */
void print_facts(FILE *out, struct bytes facts);

#endif
