/*
 * The command line's frame: a table of commands, their help, and which words mean which exit code (docs/cli.md).
 */
#ifndef FANAL_CMD_CLI_H
#define FANAL_CMD_CLI_H

#include <stddef.h>

#define CLI_YES   0
#define CLI_NO    1 /* it was understood, and the answer is no */
#define CLI_USAGE 2 /* it was not understood */

struct cli_command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *arguments; /* "DIR", as the usage line shows them */
    const char *summary;   /* one line */
    const char *help;      /* what --help shows below; lines of at most 79 characters */
};

/* Every command, sorted as --help shows them. */
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

/* Runs argv[1] …: a command, --help, --version. */
int cli_run(int argc, char **argv);

#endif
