/* Finds the command, shows help. See cli.h; commands.c is the table. */
#include "cmd/cli.h"

#include <stdio.h>
#include <string.h>

static void show_all(FILE *out)
{
    (void)fputs("usage: fanal COMMAND …\n\n", out);
    for (size_t i = 0; i < cli_command_count; i++)
        (void)fprintf(out, "  %-8s %s\n", cli_commands[i].name, cli_commands[i].summary);
    (void)fputs("\nfanal COMMAND --help says more; fanal --version which Fanal this is.\n"
                "Exit code: 0 yes, 1 no, 2 the command line or configuration is wrong.\n",
                out);
}

static void show_one(const struct cli_command *c)
{
    (void)printf("usage: fanal %s %s\n\n%s.\n\n%s", c->name, c->arguments, c->summary, c->help);
}

static const struct cli_command *find(const char *name)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i].name, name) == 0)
            return &cli_commands[i];
    return NULL;
}

/* --help anywhere before a "--" asks for help. */
static int wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    return 0;
}

int cli_run(int argc, char **argv)
{
    const struct cli_command *command;

    if (argc < 2) {
        show_all(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        show_all(stdout);
        return CLI_YES;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)puts("fanal " FANAL_VERSION);
        return CLI_YES;
    }
    command = find(argv[1]);
    if (command == NULL) {
        (void)fprintf(stderr, "fanal: there is no command \"%s\"; see fanal --help\n", argv[1]);
        return CLI_USAGE;
    }
    if (wants_help(argc - 1, argv + 1)) {
        show_one(command);
        return CLI_YES;
    }
    return command->run(argc - 1, argv + 1);
}
