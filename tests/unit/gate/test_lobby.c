/* The lobby's bounds, order and times; what counts as one source. */
#include "gate/lobby.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/file.h"

#include "../test.h"

static struct peer peer_from(const char *address)
{
    struct sockaddr_storage from = { 0 };
    struct sockaddr_in *v4 = (void *)&from;
    struct sockaddr_in6 *v6 = (void *)&from;

    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1)
        from.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1)
        from.ss_family = AF_INET6;
    return peer_of(&from);
}

static int a_socket(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

TEST(a_source_is_an_ipv4_address_or_an_ipv6_64)
{
    static const struct { const char *a, *b; bool same; const char *address_of_b; } rows[] = {
        { "192.0.2.1", "192.0.2.1", true, "192.0.2.1" },
        { "192.0.2.1", "192.0.2.2", false, "192.0.2.2" },
        { "192.0.2.1", "::ffff:192.0.2.1", true, "192.0.2.1" },
        { "2001:db8::1", "2001:db8::2:0:0:1", true, "2001:db8::2:0:0:1" },
        { "2001:db8::1", "2001:db8:0:1::1", false, "2001:db8:0:1::1" },
        { "", "", true, "" }, /* a family we do not know */
    };

    EACH (row, rows) {
        struct peer a = peer_from(row->a), b = peer_from(row->b);

        CHECK_ROW(row->b, peer_same_source(&a, &b) == row->same);
        CHECK_ROW(row->b, strcmp(b.address, row->address_of_b) == 0);
    }
}

TEST(a_source_pushes_out_its_own_oldest_and_a_full_lobby_the_oldest_of_all)
{
    /* A lobby of 4, 2 of one source. */
    static const struct { const char *address; int evicts; } rows[] = {
        { "192.0.2.9", -1 }, { "192.0.2.1", -1 }, { "192.0.2.1", -1 },
        { "192.0.2.1", 1 }, { "192.0.2.1", 2 },
        { "192.0.2.7", -1 }, { "192.0.2.8", 0 }, { "192.0.2.6", 3 },
    };
    struct lobby lobby;
    int sockets[COUNT_OF(rows)];

    CHECK(lobby_init(&lobby, 4, 2, NULL));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct peer peer = peer_from(rows[i].address);
        struct guest evicted = { .socket = -1 };
        bool full;

        sockets[i] = a_socket();
        full = lobby_enter(&lobby, sockets[i], &peer, 1000 + i, &evicted);
        CHECK_ROW(rows[i].address, full == (rows[i].evicts >= 0));
        CHECK_ROW(rows[i].address, !full || evicted.until_ms == 1000 + (uint64_t)rows[i].evicts);
        CHECK_ROW(rows[i].address, evicted.socket == -1);
    }
    CHECK(lobby.count == 4);
    lobby_done(&lobby);
}

TEST(time_ends_the_oldest_first_and_done_closes_all)
{
    struct lobby lobby;
    struct peer peer = peer_from("192.0.2.1");
    struct guest left, evicted;
    int sockets[4];

    CHECK(lobby_init(&lobby, 10, 10, NULL));
    CHECK(lobby_timeout_ms(&lobby, 5) == -1);
    for (size_t i = 0; i < 4; i++) {
        sockets[i] = a_socket();
        CHECK(!lobby_enter(&lobby, sockets[i], &peer, 100 + i, &evicted));
    }
    CHECK(lobby_timeout_ms(&lobby, 40) == 60);
    CHECK(lobby_timeout_ms(&lobby, 200) == 0);
    left = lobby_leave(&lobby, 2);
    CHECK(left.socket == sockets[2] && lobby.count == 3);
    lobby_expire(&lobby, 99);
    CHECK(lobby.count == 3);
    lobby_expire(&lobby, 101);
    CHECK(lobby.count == 1 && !is_open(sockets[0]) && !is_open(sockets[1]));
    CHECK(is_open(sockets[2]) && is_open(sockets[3]));
    lobby_done(&lobby);
    CHECK(is_open(sockets[2]) && !is_open(sockets[3]));
    close(left.socket);
}

TESTS(T(a_source_is_an_ipv4_address_or_an_ipv6_64),
      T(a_source_pushes_out_its_own_oldest_and_a_full_lobby_the_oldest_of_all),
      T(time_ends_the_oldest_first_and_done_closes_all))
