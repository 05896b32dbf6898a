/*
 * A custodian's share as 24 words that can be read aloud, typed and checked (docs/format.md, "Shares").
 *
 * A word is 16 bits as five letters, consonant and vowel in turn (the alphabet of proquints). Three words of a
 * Reed-Solomon code over GF(2^16) name the word that was mistyped, or say that more than one was.
 */
#ifndef FANAL_VAULT_SHARE_H
#define FANAL_VAULT_SHARE_H

#include "vault/keyring.h"

#define SHARE_WORDS          24u
#define SHARE_WORD_LETTERS   5u
#define SHARE_TEXT_SIZE      (SHARE_WORDS * (SHARE_WORD_LETTERS + 1)) /* spaces between, a NUL behind */
#define SHARE_VAULT_ID_BYTES 6u                                       /* the first of the vault's */
#define SHARE_VERSION        1u

struct share {
    uint8_t vault_id[SHARE_VAULT_ID_BYTES];
    uint16_t set;                       /* the last 16 bits of the keyring's generation that added these custodians */
    unsigned threshold, shares, number; /* k, n, and 1 to n */
    uint8_t bytes[KEY_BYTES];
};

void share_to_text(const struct share *s, char out[SHARE_TEXT_SIZE]);

/* One word, in small or capital letters. False where it is none. */
bool share_word(struct span text, uint16_t *out);

/* ERR_DAMAGED: "word 7 is mistyped", "more than one word is mistyped"; ERR_UNSUPPORTED for a later version. */
bool share_of_words(const uint16_t words[SHARE_WORDS], struct share *out, struct error *err);

/* 24 words with white space between. ERR_MALFORMED for another number of words or one that is none (said which). */
bool share_of_text(struct span text, struct share *out, struct error *err);

#endif
