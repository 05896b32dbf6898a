/* Opening, serving and closing the vault's room: for the vault role and for a command's own vault. */
#ifndef FANAL_CMD_ROOM_SERVE_H
#define FANAL_CMD_ROOM_SERVE_H

#include "channel/role.h"
#include "cmd/room/room.h"

/* room is zeroed but for conf and log. room_close() is called whatever comes back. */
bool room_open(struct room *room, const char *dir, const struct vault_options *options, struct error *err);
/* Before serving gates: TLS key, enrolment code, the event that says so. */
bool room_prepare(struct room *room, struct error *err);
/* Takes over fd: a command's conversation. */
void room_admit_local(struct room *room, int fd);
/* Until STOP; without a role (a command's own vault): until its last session has ended. */
bool room_serve(struct room *room, struct role *role, struct error *err);
void room_close(struct room *room);

#endif
