/*
 * What the commands share that change something in the vault (user, erase, approve, hold …): their options, how their
 * user signs, one CHANGE.
 */
#ifndef FANAL_CMD_ADMIN_H
#define FANAL_CMD_ADMIN_H

#include "cmd/local.h"

#define ADMIN_ARGUMENTS_MAX 4

/* Which options a command takes. */
enum admin_option_set {
    ADMIN_JSON = 1,
    ADMIN_SIGN = 2,      /* --user U, --password-file F: who signs */
    ADMIN_ACCOUNT = 4,   /* --role R, --name N, --password-file F: of the account */
    ADMIN_SELECT = 8,    /* --study UID, --patient ISSUER ID, --unit NAME: exactly one */
    ADMIN_REASON = 16,   /* --reason TEXT, which must be there */
    ADMIN_RETENTION = 32, /* --class C, --keep "N months" */
    ADMIN_PLAN = 64,      /* --plan: nothing is changed */
};

struct admin_options {
    const char *arguments[ADMIN_ARGUMENTS_MAX]; /* borrow from argv */
    size_t argument_count;
    const char *key_file, *user, *password_file, *role, *name, *study, *issuer, *patient, *unit, *reason, *class, *keep;
    bool json, plan;
};

/*
 * argv[0] is the command's name. Prints what is wrong to standard error and returns false (the command exits 2) unless
 * there are `least` to `most` arguments and every option is one of the set.
 */
bool admin_parse(int argc, char **argv, size_t least, size_t most, unsigned set, struct admin_options *out);

/* A request for `fact`, begun; signed by --user with the password from --password-file or the terminal where there is
 * one. secret_wipe() it. */
bool admin_begin(const struct admin_options *o, const char *fact, struct writer *request, struct error *err);
/* Sends it. *reply borrows until the next call on the session. */
bool admin_change(struct local *l, struct writer *request, struct span *reply, struct error *err);

#endif
