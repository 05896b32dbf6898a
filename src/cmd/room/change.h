/*
 * CHANGE: what people ask to be made true (docs/channel.md, "Changing"). One table says which facts there are and who
 * may ask for them; who signs is checked here, what a fact does is in room_change.c (accounts) and room_erase.c.
 */
#ifndef FANAL_CMD_ROOM_CHANGE_H
#define FANAL_CMD_ROOM_CHANGE_H

#include "cmd/room/room.h"

#define CHANGE_HASH_SIZE     129 /* as struct account has it */
#define CHANGE_PASSWORD_MIN  10
#define CHANGE_PASSWORD_MAX  256
#define CHANGE_REASON_MAX    400
#define CHANGE_REQUEST_BYTES ((size_t)16 * 1024)
#define FACTS_OF_CHANGE_MAX  ((size_t)1 << 20) /* as much as an entry holds */

struct change;
typedef void change_step(struct room *room, struct change *c);

/* Who may ask for a fact. */
enum change_signer {
    SIGNER_ADMIN = 1,   /* an account of that role */
    SIGNER_DPO = 2,     /* an account of that role */
    SIGNER_MACHINE = 4, /* root or the owner at the machine, without an account */
};

struct change_rule {
    const char *fact;
    unsigned signers;
    const char *event;  /* what is recorded of it, done or refused */
    change_step *begin; /* in the loop, once the signer is known and the new password hashed */
};

/* One change on its way. Held by its session until change_answer(). */
struct change {
    struct job job;
    struct awaited awaited;
    struct room *room;
    struct session *session; /* held; NULL: nobody asked, it was time (room_retention.c) */
    uint32_t id;
    const struct change_rule *rule;
    struct writer request; /* a copy, wiped: it may hold passwords */
    char actor[65];
    char acting_hash[CHANGE_HASH_SIZE]; /* of the account that signs; empty: the session is enough */
    char new_hash[CHANGE_HASH_SIZE];    /* of the new password */
    bool signature_right, ran;
    change_step *next;   /* after the commit of what was appended, or after a job */
    uint64_t position;   /* of what was appended last */
    struct error err;
    char detail[201];    /* for the event: no patient's data */
    struct writer reply; /* fields of the answer */
    void *more;          /* of who begins it; more_done() frees it */
    void (*more_done)(void *more);
};

/* A change of Fanal's own: nobody waits for its answer. NULL without memory. */
struct change *change_own(struct room *room, const char *fact, const char *actor);

/* The verb. */
void change(struct room *room, struct session *s, const struct message *m);

/* Appends a rule (facts without `fact` and `actor`, which are put before) and goes on with `next` once it is committed. */
void change_append(struct room *room, struct change *c, const char *fact, struct span facts, change_step *next);
/* Runs in a thread of `jobs`, then goes on with `next` in the loop. */
void change_run(struct room *room, struct change *c, struct jobs *jobs,
                void (*run)(struct job *, struct vault_reader *), change_step *next);
/* The last step: event, answer, end. c->err says what became of it. */
void change_answer(struct room *room, struct change *c);
/* The same, refused. */
void change_refuse(struct room *room, struct change *c, enum error_code code, const char *why);

/* A text of the request. */
static inline struct span change_text(const struct change *c, enum field f)
{
    return fields_text(writer_span(&c->request), f);
}

/* ---- room_accounts.c ---- */
change_step account_add, account_change, account_disable;
/* ERR_REFUSED, and what is wanted, for a password that is too short or easily guessed. */
bool account_password_is_sound(struct span password, struct span user, struct error *err);

/* ---- room_copies.c ---- */
change_step copy_add, copy_applied, copy_remove;

/* ---- room_retention.c ---- */
change_step retention_ask, retention_approve, retention_run, retention_plan;

/* ---- room_erase.c ---- */
change_step erasure_request, erasure_approve, erasure_withdraw, hold_set, hold_lift;

#endif
