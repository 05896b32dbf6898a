/*
 * The witness door: HTTPS for logs that this Fanal cosigns (C2SP tlog-witness, add-checkpoint).
 *
 * One process, a thread per connection, as the page's; parses a request's form, asks the vault, passes its answer on.
 * Holds the TLS key; no file, no signing key, and nothing to decide.
 */
#ifndef FANAL_GATE_WITNESS_ROLE_H
#define FANAL_GATE_WITNESS_ROLE_H

int witness_role_run(int control_fd);

#endif
