/*
 * Folding of text for search: lower case, accents off, for Latin, Greek and Cyrillic letters.
 *
 * Ideographic and phonetic writing stays as it is. What is not UTF-8 passes byte by byte, so that equal
 * input stays equal. Only for finding: what is shown is always the text as sent.
 */
#ifndef FANAL_RECORD_FOLD_H
#define FANAL_RECORD_FOLD_H

#include "base/writer.h"

/* Appends the folded text to *w; at most 3 bytes for each byte of text. */
void fold_text(struct span text, struct writer *w);

/*
 * Calls word() for each folded word of a person's name (PS3.5 §6.2, VR PN; HL7 XPN with ^): the parts between
 * separators (^ = space - ' , . and kin), and each component written together ("o'brien" is "o", "brien" and
 * "obrien"). At most FOLD_WORDS_MAX words of at most FOLD_WORD_BYTES each, longer ones cut between characters.
 * The word lives during the call. scratch is the caller's, and is reset.
 */
typedef void fold_word(void *context, struct span word);
#define FOLD_WORDS_MAX 40
#define FOLD_WORD_BYTES 64
void fold_name_words(struct span name, struct writer *scratch, fold_word *word, void *context);

#endif
