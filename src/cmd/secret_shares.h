/* Shares of custodians, asked for on the terminal or read from a file, one after the other. */
#ifndef FANAL_CMD_SECRET_SHARES_H
#define FANAL_CMD_SECRET_SHARES_H

#include "base/error.h"
#include "base/writer.h"
#include "vault/custody.h"

/*
 * Enough shares for the vault in dir, put together: from the file that FANAL_SHARES_FILE names (one after the other; a
 * share ends with its 24th word, an empty line or a # line), else asked for on the terminal. *out as secret_read().
 * The error names the share, and the word where one is mistyped.
 */
bool shares_read(const char *dir, struct writer *out, struct error *err);

/* What is done with each share: false ends it with *err. */
typedef bool share_taker(void *context, struct span text, struct error *err);

/* The shares of a text in the form of FANAL_SHARES_FILE. "share 2: …" goes before what the taker says. */
bool shares_of_text(struct span text, share_taker *take, void *context, struct error *err);

/*
 * Asks for one share in rows of six words; what is typed is shown until the row is complete. A word that is none is
 * asked for again at once, with its whole row. prompt: "Share 1 of 3". The 24 words go to take; where it refuses them
 * the share is asked for again, SHARE_TRIES_MAX times in all.
 */
#define SHARE_TRIES_MAX 5
bool share_ask(int tty, const char *prompt, share_taker *take, void *context, struct error *err);

#endif
