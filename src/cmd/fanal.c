/* fanal: starts a command, or (re-executed by the supervisor) a process role. */
#include <stdio.h>
#include <string.h>

#include "channel/role.h"
#include "cmd/cli.h"
#include "cmd/roles.h"

/* `fanal --role NAME`: for the supervisor only (cmd/spawn.h). */
static const struct {
    const char *name;
    int (*run)(int control_fd);
} roles[] = {
    { "unseal", unseal_role_run }, { "vault", vault_role_run }, { "dicom", dicom_listener_run }, { "hl7", hl7_listener_run },
    { "web", web_role_run },     { "lens", lens_role_run },
    { "relay", relay_role_run }, { "witness", witness_role_run },
    { "recheck", recheck_role_run },
    { "follow", follow_listener_run }, { "pull", pull_role_run },
};

static int role_run(const char *name)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i].name, name) == 0)
            return roles[i].run(CONTROL_FD);
    (void)fprintf(stderr, "fanal: there is no role \"%s\"\n", name);
    return ROLE_EXIT_REFUSED;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--role") == 0)
        return role_run(argv[2]);
    return cli_run(argc, argv);
}
