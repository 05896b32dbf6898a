/*
 * People's sessions in memory: sign-in tokens, the one-time enrolment code, slow-down of guesses.
 *
 * Accounts themselves are facts of the log (vault_account()); nothing here survives the process, so that a restart
 * signs everybody out and makes a new enrolment code.
 */
#ifndef FANAL_CMD_ROOM_ACCOUNTS_H
#define FANAL_CMD_ROOM_ACCOUNTS_H

#include "base/clock.h"
#include "base/span.h"

#define TOKEN_BYTES 32
#define TOKENS_MAX 256               /* signed-in browsers at once; the one unused longest is signed out */
#define TOKEN_LIFE_MS (12 * 3600000) /* a shift; then sign in again */
#define GUESSES_FREE 5               /* wrong tries before waiting starts */
#define GUESS_WAIT_MAX_MS 60000      /* never longer: nobody may lock the emergency department out */
#define GUESSERS_MAX 256
#define ENROLMENT_CODE_CHARS 16      /* of 30 letters: 78 bits */

struct token {
    uint8_t bytes[TOKEN_BYTES];
    char user[65];
    uint64_t since_ms, used_ms; /* since_ms 0: free */
};

/* One address and user name that guessed wrong. */
struct guesser {
    char address[64];
    char user[65];
    unsigned wrong;
    uint64_t last_ms;
};

struct accounts {
    struct token tokens[TOKENS_MAX];
    struct guesser guessers[GUESSERS_MAX];
    char enrolment_code[ENROLMENT_CODE_CHARS + 4]; /* XXXX-XXXX-XXXX-XXXX; empty: nobody may enrol */
};

/* Makes a new enrolment code. */
void accounts_offer_enrolment(struct accounts *a);
/* Compares in constant time, ignoring case, spaces and dashes. A right code is used up by accounts_enrolled(). */
bool accounts_code_is(const struct accounts *a, struct span code);
void accounts_enrolled(struct accounts *a);

/* A new session for user; its bytes go to the browser. */
const struct token *accounts_sign_in(struct accounts *a, const char *user, uint64_t now_ms);
/* The session of these bytes, NULL where there is none (any more). Marks it used. */
const struct token *accounts_find(struct accounts *a, struct span bytes, uint64_t now_ms);
void accounts_sign_out(struct accounts *a, struct span bytes);
/* All sessions of that user. */
void accounts_sign_out_user(struct accounts *a, const char *user);

/* Milliseconds to wait before this address may try this user again; 0: now. */
uint64_t accounts_wait_ms(const struct accounts *a, const char *address, const char *user, uint64_t now_ms);
void accounts_guessed(struct accounts *a, const char *address, const char *user, bool right, uint64_t now_ms);

#endif
