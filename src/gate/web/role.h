/*
 * The web gate's process (docs/channel.md): one port, HTTPS, a thread and a vault session for each connection.
 *
 * Holds its TLS key and the sessions of whoever is signed in; no file, no data key.
 */
#ifndef FANAL_GATE_WEB_ROLE_H
#define FANAL_GATE_WEB_ROLE_H

/* Where START names none. A browser opens six; a department behind one address is many browsers. */
#define WEB_CONNECTIONS_MAX             256u
#define WEB_CONNECTIONS_PER_ADDRESS_MAX 64u
/* The vault may be unsealing its key when we ask for ours. */
#define WEB_KEY_WAIT_MS 60000

/* Runs until STOP; the process's exit status. */
int web_role_run(int control_fd);

#endif
