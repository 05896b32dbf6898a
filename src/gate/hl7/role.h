/*
 * The process role `hl7`: listens, and forks one process for each connection (gate/listener.h), which asks the vault
 * who is there, enters its sandbox and serves (connection.h).
 */
#ifndef FANAL_GATE_HL7_ROLE_H
#define FANAL_GATE_HL7_ROLE_H

/* Runs until STOP or the end of the control channel; returns the exit status. control_fd: see channel/role.h. */
int hl7_listener_run(int control_fd);

#endif
