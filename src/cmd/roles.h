/*
 * The functions that fanal.c starts: one per process role and one per command.
 *
 * A role gets the descriptor of its control channel and returns its exit status (channel/role.h: ROLE_EXIT_…). A
 * command gets its own argv (argv[0] is its name) and returns 0, 1 (said no) or 2 (usage). --help never reaches it.
 */
#ifndef FANAL_CMD_ROLES_H
#define FANAL_CMD_ROLES_H

int unseal_role_run(int control_fd);
int vault_role_run(int control_fd);
int dicom_listener_run(int control_fd);
int hl7_listener_run(int control_fd);
int web_role_run(int control_fd);
int lens_role_run(int control_fd);
int relay_role_run(int control_fd);
int witness_role_run(int control_fd);
int recheck_role_run(int control_fd);
int follow_listener_run(int control_fd);
int pull_role_run(int control_fd);

int cmd_init(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_checkpoint(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_rebuild(int argc, char **argv);
int cmd_repair(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_prove(int argc, char **argv);
int cmd_backup_keys(int argc, char **argv);
int cmd_restore_keys(int argc, char **argv);
int cmd_key(int argc, char **argv);
int cmd_unseal(int argc, char **argv);
int cmd_send(int argc, char **argv);
int cmd_follow(int argc, char **argv);
int cmd_segments(int argc, char **argv);
int cmd_promote(int argc, char **argv);
int cmd_user(int argc, char **argv);
int cmd_erase(int argc, char **argv);
int cmd_approve(int argc, char **argv);
int cmd_withdraw(int argc, char **argv);
int cmd_erasures(int argc, char **argv);
int cmd_hold(int argc, char **argv);
int cmd_lift(int argc, char **argv);
int cmd_holds(int argc, char **argv);
int cmd_retain(int argc, char **argv);
int cmd_expire(int argc, char **argv);
int cmd_copy(int argc, char **argv);

#endif
