/* The TCP connection of an association: see transport.h. */
#include "gate/dicom/transport.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

static ssize_t tcp_receive(void *context, const struct iovec *parts, int count)
{
    const struct tcp_transport *tcp = context;
    struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count };

    for (;;) {
        ssize_t n = recvmsg(tcp->fd, &m, MSG_DONTWAIT);

        if (n > 0)
            return n;
        if (n == 0)
            return TRANSPORT_CLOSED;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return TRANSPORT_WOULD_BLOCK;
        if (errno != EINTR)
            return TRANSPORT_CLOSED;
    }
}

/* Waits until the socket takes bytes again, at most until deadline_ms. */
static bool wait_writable(const struct tcp_transport *tcp, uint64_t deadline_ms)
{
    uint64_t now = clock_monotonic_ms(&clock_system);
    struct pollfd p = { .fd = tcp->fd, .events = POLLOUT };

    if (now >= deadline_ms)
        return false;
    return poll(&p, 1, (int)(deadline_ms - now)) > 0 || errno == EINTR;
}

static bool tcp_send(void *context, struct span bytes)
{
    const struct tcp_transport *tcp = context;
    uint64_t deadline_ms = clock_monotonic_ms(&clock_system) + SEND_MAX_MS;

    while (bytes.len > 0) {
        ssize_t n = send(tcp->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0)
            bytes = span_part(bytes, (size_t)n, SIZE_MAX);
        else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (!wait_writable(tcp, deadline_ms))
                return false;
        } else if (n < 0 && errno != EINTR)
            return false;
    }
    return true;
}

/*
 * A sender that leaves Nagle's algorithm on keeps the tail of an object until we acknowledge what came before, and
 * we would delay that acknowledgement by 40 ms: so it is asked for each time before we wait. The kernel forgets the
 * option by itself, hence every time.
 */
static void acknowledge_now(int fd)
{
    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int));
}

static enum transport_ready tcp_wait(void *context, int timeout_ms)
{
    struct tcp_transport *tcp = context;
    struct pollfd p[2] = { { .fd = tcp->fd, .events = POLLIN }, { .fd = tcp->vault_fd } };
    int n;

    acknowledge_now(tcp->fd);
    do
        n = poll(p, 2, timeout_ms);
    while (n < 0 && errno == EINTR);
    if (p[1].revents & (POLLHUP | POLLERR | POLLNVAL)) {
        tcp->vault_fd = -1; /* said once */
        return TRANSPORT_VAULT_GONE;
    }
    return n == 0 ? TRANSPORT_TIMEOUT : TRANSPORT_READABLE;
}

static void tcp_close(void *context)
{
    struct tcp_transport *tcp = context;

    file_close(&tcp->fd);
}

struct transport tcp_transport(struct tcp_transport *tcp)
{
    (void)setsockopt(tcp->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    return (struct transport){ tcp, tcp_receive, tcp_send, tcp_wait, tcp_close };
}
