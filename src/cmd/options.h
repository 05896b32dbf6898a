/* The options of the commands that ask the vault (status, verify, rebuild, list, export), parsed one way. */
#ifndef FANAL_CMD_OPTIONS_H
#define FANAL_CMD_OPTIONS_H

#include "base/error.h"
#include "base/span.h"

#define OPTIONS_ARGUMENTS_MAX 2

/* Which options a command takes. */
enum option_set {
    OPTION_JSON = 1,
    OPTION_SELECT = 2, /* --study UID, --object POSITION, --message POSITION: exactly one */
    OPTION_PRINT = 4,  /* --qr, --print */
    OPTION_PAPER = 8,  /* --paper FILE */
    OPTION_FROM = 16,  /* --from COPYDIR */
};

struct options {
    const char *arguments[OPTIONS_ARGUMENTS_MAX]; /* borrow from argv */
    const char *key_file;                         /* --key-file F, or secret_of_custodians (--shares); NULL: secret.h says */
    bool json;
    const char *study;
    const char *object, *message; /* as given; *position below is what they say */
    uint64_t position;
    bool qr, print;
    const char *paper; /* NULL: none was given */
    const char *from;  /* NULL: none was given */
};

/*
 * argv[0] is the command's name. Prints what is wrong to standard error and returns false (the command exits 2)
 * unless there are exactly `arguments` arguments and every option is one of the set.
 */
bool options_parse(int argc, char **argv, size_t arguments, unsigned set, struct options *out);

/* Prints "fanal COMMAND: what went wrong"; returns the exit code for it: 2 for ERR_USAGE, else 1. */
int command_failed(const char *command, const struct error *err);

#endif
