/*
 * One HL7 connection of the gate on a TCP port of its own, with a vault that keeps nothing and always says yes: prints
 * the port, serves one sender, ends.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/file.h"
#include "gate/hl7/connection.h"

static bool keep_nothing(void *context, struct span body, struct span unit, struct span facts, struct error *err)
{
    (void)context;
    (void)body;
    (void)unit;
    (void)facts;
    (void)err;
    return true;
}

int main(void)
{
    static const struct connection_limits limits = { 0 };
    struct log log = { .fd = -1, .clock = &clock_system };
    struct receipt receipt = { .keeper = { NULL, NULL, keep_nothing, -1 }, .sender = { "HOSPITAL", "Europe/Paris", false },
                               .clock = &clock_system, .log = &log };
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    CLEANUP(file_close) int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CLEANUP(file_close) int peer = -1;
    struct error err = { 0 };

    if (listening < 0 || bind(listening, (struct sockaddr *)&address, len) != 0 || listen(listening, 1) != 0
        || getsockname(listening, (struct sockaddr *)&address, &len) != 0)
        return EXIT_FAILURE;
    printf("%u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    peer = accept(listening, NULL, NULL);
    return peer >= 0 && connection_serve(peer, &receipt, &limits, &err) == CONNECTION_CLOSED ? EXIT_SUCCESS : EXIT_FAILURE;
}
