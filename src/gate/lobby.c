/* Connections that have not said a word yet: see lobby.h. */
#include "gate/lobby.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

struct peer peer_of(const struct sockaddr_storage *from)
{
    const struct sockaddr_in *v4 = (const void *)from;
    const struct sockaddr_in6 *v6 = (const void *)from;
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    struct peer p = { 0 };

    if (from->ss_family == AF_INET || (from->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))) {
        memcpy(p.source, mapped, sizeof mapped);
        memcpy(&p.source[12], from->ss_family == AF_INET ? (const void *)&v4->sin_addr : &v6->sin6_addr.s6_addr[12], 4);
        inet_ntop(AF_INET, &p.source[12], p.address, sizeof p.address);
    } else if (from->ss_family == AF_INET6) {
        memcpy(p.source, &v6->sin6_addr, 8);
        inet_ntop(AF_INET6, &v6->sin6_addr, p.address, sizeof p.address);
    }
    return p;
}

bool peer_same_source(const struct peer *a, const struct peer *b)
{
    return memcmp(a->source, b->source, sizeof a->source) == 0;
}

bool lobby_init(struct lobby *lobby, size_t max, size_t source_max, struct error *err)
{
    *lobby = (struct lobby){ .guests = calloc(max, sizeof(struct guest)), .max = max, .source_max = source_max };
    return lobby->guests != NULL || error_set(err, ERR_MEMORY, "lobby of %zu connections", max);
}

void lobby_done(struct lobby *lobby)
{
    for (size_t i = 0; i < lobby->count; i++)
        file_close(&lobby->guests[i].socket);
    free(lobby->guests);
    *lobby = (struct lobby){ 0 };
}

struct guest lobby_leave(struct lobby *lobby, size_t i)
{
    struct guest guest = lobby->guests[i];

    lobby->count--;
    memmove(&lobby->guests[i], &lobby->guests[i + 1], (lobby->count - i) * sizeof guest);
    return guest;
}

bool lobby_enter(struct lobby *lobby, int socket, const struct peer *peer, uint64_t until_ms, struct guest *evicted)
{
    size_t of_source = 0, oldest_of_source = 0;
    bool full;

    for (size_t i = lobby->count; i-- > 0;)
        if (peer_same_source(&lobby->guests[i].peer, peer)) {
            of_source++;
            oldest_of_source = i;
        }
    full = of_source >= lobby->source_max || lobby->count >= lobby->max;
    if (full) {
        *evicted = lobby_leave(lobby, of_source >= lobby->source_max ? oldest_of_source : 0);
        file_close(&evicted->socket);
    }
    lobby->guests[lobby->count++] = (struct guest){ .socket = socket, .until_ms = until_ms, .peer = *peer };
    return full;
}

/* All have the same time from their coming, so the first is the next whose time is over. */
void lobby_expire(struct lobby *lobby, uint64_t now_ms)
{
    while (lobby->count > 0 && lobby->guests[0].until_ms <= now_ms) {
        struct guest late = lobby_leave(lobby, 0);

        file_close(&late.socket);
    }
}

int lobby_timeout_ms(const struct lobby *lobby, uint64_t now_ms)
{
    uint64_t left;

    if (lobby->count == 0)
        return -1;
    left = lobby->guests[0].until_ms > now_ms ? lobby->guests[0].until_ms - now_ms : 0;
    return left < INT_MAX ? (int)left : INT_MAX;
}
