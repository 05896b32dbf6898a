/*
 * Holds a store to what was said before the power went: everything acknowledged is there byte for byte, nothing is
 * there that was never written, the tree agrees with every root that was given out, verify finds nothing, and the
 * store goes on.
 */
#ifndef FANAL_TORTURE_JUDGE_H
#define FANAL_TORTURE_JUDGE_H

#include "tape.h"

#define SECRETS_MAX 8

/* The marks so far, put together. All borrow from the tape. */
struct promises {
    bool created;
    bool calls_failed; /* not only the power: a seal may be said to be lost that was never promised */
    size_t taken; /* marks */
    struct promised {
        const struct mark *mark;
        bool acked, released;
    } * records;
    size_t count, cap;
    const struct mark **roots;
    size_t root_count, root_cap;
    const struct mark **claims;
    size_t claim_count, claim_cap;
    const char *secrets[SECRETS_MAX];
    size_t secret_count;
};

void promises_begin(struct promises *p);
void promises_take(struct promises *p, const struct mark *m);
void promises_done(struct promises *p);

struct tuning;

struct judging {
    const char *dir;
    const struct file_ops *ops;
    void *context;
    bool (*ready)(const char *dir, const struct tuning *t, const struct promises *p, struct error *err); /* as a scenario's */
    bool views;  /* … which must say the same as made anew */
    bool go_on;  /* append and commit, too */
    bool reopen; /* and look again after closing */
};

/* Every record that is there is one that may be there, and all that were acknowledged are. */
bool judge_records(struct store *s, const struct promises *p, struct error *err);
/* False with *err saying what does not hold. */
bool judge(const struct judging *j, const struct promises *p, struct error *err);

#endif
