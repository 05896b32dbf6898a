/* The page's own TLS key and certificate: made once, kept in the log as a rule, handed to the web gate alone. */
#ifndef FANAL_CMD_ROOM_CERTIFICATE_H
#define FANAL_CMD_ROOM_CERTIFICATE_H

#include "cmd/room/room.h"

/*
 * Appends a fresh EC P-256 key and a self-signed certificate for it, in PEM. room NULL: for no address but loopback. The
 * caller wipes *key.
 */
bool certificate_self_signed(const struct room *room, struct writer *key, struct writer *certificate, struct error *err);

/* Makes an EC P-256 key and a self-signed certificate (RFC 5280) and appends them as rule `tls-key`. */
bool certificate_add(struct room *room, struct error *err);

#endif
