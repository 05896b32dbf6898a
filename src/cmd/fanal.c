/* fanal: parse the command line, start a subcommand or a process role. */
#include <stdio.h>

int main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)fputs("fanal: no command is built yet\n", stderr);
    return 2;
}
