/* The page's own TLS key and certificate: made once, kept in the log as a rule, handed to the web gate alone. */
#ifndef FANAL_CMD_ROOM_CERTIFICATE_H
#define FANAL_CMD_ROOM_CERTIFICATE_H

#include "cmd/room/room.h"

/* Makes an EC P-256 key and a self-signed certificate (RFC 5280) and appends them as rule `tls-key`. */
bool certificate_add(struct room *room, struct error *err);

#endif
