/*
 * Accounts, the TLS key, what this Fanal saw of the logs it witnesses: RECORD_RULE facts (docs/facts.md), folded in memory from the store's authenticated
 * chain at each start, never from the views. Safe for any number of threads.
 */
#ifndef FANAL_VAULT_RULES_H
#define FANAL_VAULT_RULES_H

#include "record/note.h"
#include "vault/copies.h"
#include "vault/erasures.h"
#include "vault/retention.h"
#include "vault/rules_keys.h"
#include "vault/vault.h"

struct rules;

#define WITNESSED_MAX 64 /* logs ever witnessed; one more is not cosigned */
#define ACCOUNTS_MAX 10000 /* beyond it a new account is not taken in */

/* Empty. NULL without memory. */
struct rules *rules_new(void);
void rules_free(struct rules *r); /* wipes; NULL allowed */

/*
 * Into a new *r. A want of ours (error_is_want()) and more than RULES_MEMORY_MAX of rules (ERR_LIMIT) fail it: rules are
 * never left out silently. One that passes a limit of its own is logged, one that cannot be read is missed, below.
 */
bool rules_load(struct rules *r, struct store *s, const struct log *log, struct error *err);
/*
 * One fact, newer than all before it, of the record at `position`. A fact it does not know changes nothing. ERR_MEMORY,
 * ERR_LIMIT, another code for one that says nothing valid.
 */
bool rules_apply(struct rules *r, uint64_t position, struct span facts, struct error *err);

/* The record at `position` is a rule, or may be one, and could not be read. The one that the chain names first. */
void rules_miss(struct rules *r, uint64_t position);
/* The oldest that was missed; UINT64_MAX: none. What is below it is known whole. */
uint64_t rules_missed_first(struct rules *r);
/* One of those that were missed, another at each call, can be read now: loading the rules anew knows more. */
bool rules_would_know_more(struct rules *r, struct store *s);

bool rules_account(struct rules *r, struct span user, struct account *out);
/* The n-th account, in the order they were added; false behind the last. */
bool rules_account_at(struct rules *r, size_t n, struct account *out);
size_t rules_count(struct rules *r);
/* What was asked to be erased, and held: copies whose lists stay until rules_free(). False behind the last. */
bool rules_erasure_at(struct rules *r, size_t n, struct erasure *out);
bool rules_hold_at(struct rules *r, size_t n, struct hold *out);
uint64_t rules_tombstones(struct rules *r);
void rules_retention(struct rules *r, struct retention out[RETAINED_COUNT]);
bool rules_copy_at(struct rules *r, size_t n, struct copy *out);
bool rules_has_copy(struct rules *r, struct span name);
bool rules_list_twin(struct rules *r, const char *name, const char *certificate, struct error *err);
uint64_t rules_twin_applied(struct rules *r, struct span certificate);
/* Is there a tombstone at or behind `from`, below `below`? */
bool rules_tombstone_within(struct rules *r, uint64_t from, uint64_t below);
/* copies_pending() */
void rules_pending(struct rules *r, uint64_t tombstone, uint64_t now_us, struct writer *out);
/* Borrowed until rules_free(). */
bool rules_tls(struct rules *r, struct span *key, struct span *certificate);
/* What the log says of the keyring. */
void rules_keys(struct rules *r, struct keys_said *out);


/*
 * A rule that may say more of the logs than what is known could not be read or taken in: what was cosigned last of any of
 * them is not known for sure, and nothing may be cosigned.
 */
bool rules_witness_in_doubt(struct rules *r);
/* What was cosigned last of a log; false (0 records) where nothing was. */
bool rules_witnessed(struct rules *r, struct span origin, uint64_t *size, uint8_t root[ROOT_BYTES]);
/*
 * The facts of a `log-witnessed`: all logs as they stand, this one with its new state. committed: nothing else is on its way
 * that they would not know of, so that a walk may go on before all rules of this kind. ERR_LIMIT past WITNESSED_MAX.
 */
bool rules_put_witnessed(struct rules *r, struct span origin, uint64_t size, const uint8_t root[ROOT_BYTES],
                         bool committed, struct writer *facts, struct error *err);

#endif
