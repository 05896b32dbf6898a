/* The process role `follow`: the door for twins (docs/twin.md, "The first's side"). */
#ifndef FANAL_GATE_FOLLOW_ROLE_H
#define FANAL_GATE_FOLLOW_ROLE_H

#define FOLLOW_HANDSHAKE_MS 10000
#define FOLLOW_IDLE_MS      60000 /* between questions */
#define FOLLOW_ANSWER_MS    30000 /* for an answer to be taken */
#define FOLLOW_WAIT_MAX_MS  30000 /* a twin may ask to be told of news within that time */
#define FOLLOW_LOOK_MS      100   /* how often it is looked for meanwhile */
#define FOLLOW_KEY_WAIT_MS  20000 /* for the vault to give the TLS key */

/* control_fd: the control channel with the supervisor. Returns a process exit status. */
int follow_listener_run(int control_fd);

#endif
