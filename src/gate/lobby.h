/*
 * Accepted connections that have not sent their first byte: they cost a descriptor, no process and no session.
 *
 * A plain list, oldest first, with its bounds; it polls, reads and logs nothing: the listener does (listener.c).
 */
#ifndef FANAL_GATE_LOBBY_H
#define FANAL_GATE_LOBBY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

/*
 * Of one gate, all sources together: with LISTENER_CHILDREN_MAX processes within the sandbox's 1024 descriptors.
 * A source has a quarter of it, so that one silent machine does not fill the lobby.
 */
#define LOBBY_MAX 512
/* Of one source: twice what it may have in processes. */
#define LOBBY_SOURCE_MAX 128

#define PEER_SOURCE_SIZE 16  /* an IPv6 address; IPv4 as mapped, IPv6 cut to its /64 */
#define PEER_ADDRESS_SIZE 46 /* INET6_ADDRSTRLEN */

/* Who is at the other end: what bounds are counted by, and what logs and the vault are told. */
struct peer {
    uint8_t source[PEER_SOURCE_SIZE];
    char address[PEER_ADDRESS_SIZE]; /* numeric; an IPv4-mapped address as IPv4; empty for any other family */
};

struct peer peer_of(const struct sockaddr_storage *from);
bool peer_same_source(const struct peer *a, const struct peer *b);

struct guest {
    int socket; /* owned */
    uint64_t until_ms;
    struct peer peer;
};

struct lobby {
    struct guest *guests; /* max slots, owned; the oldest first */
    size_t count, max, source_max;
};

/* ERR_MEMORY. */
bool lobby_init(struct lobby *lobby, size_t max, size_t source_max, struct error *err);
void lobby_done(struct lobby *lobby); /* closes all */

/*
 * Takes the socket. Where a bound is met, the oldest guest goes first (of the same source, or of all): true then,
 * with *evicted, whose socket is closed already.
 */
bool lobby_enter(struct lobby *lobby, int socket, const struct peer *peer, uint64_t until_ms, struct guest *evicted);

/* Takes guest i out of the list; its socket is the caller's now. */
struct guest lobby_leave(struct lobby *lobby, size_t i);

/* Closes all guests whose time is over. */
void lobby_expire(struct lobby *lobby, uint64_t now_ms);

/* How long until the next one's time is over, at least 0; -1 for an empty lobby (poll's timeout). */
int lobby_timeout_ms(const struct lobby *lobby, uint64_t now_ms);

#endif
