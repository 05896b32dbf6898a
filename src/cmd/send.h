/*
 * The command `fanal send` (docs/cli.md).
 */
#ifndef FANAL_CMD_SEND_H
#define FANAL_CMD_SEND_H

/* argv[0] is the command's name. Returns 0 (all kept), 1 (some were not) or 2 (usage). */
int cmd_send(int argc, char **argv);

#endif
