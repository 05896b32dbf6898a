/* One message a packet over SOCK_SEQPACKET, descriptors beside it. See channel.h. */
#include "channel/channel.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reader.h"

#define HEADER_BYTES 8 /* verb u16le, reserved u16le, id u32le */

/* The kernel doubles it, which leaves room for its own bookkeeping of the largest message. */
#define SOCKET_BUFFER_BYTES ((int)(2 * CHANNEL_MESSAGE_MAX))

/* Ancillary data of one message, aligned as the kernel wants it. */
union ancillary {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(CHANNEL_FDS_MAX * sizeof(int))];
};

static bool verb_is_known(uint16_t v)
{
    switch ((enum verb)v) {
    case VERB_OPEN:
    case VERB_ADMIT:
    case VERB_PUT_BEGIN:
    case VERB_PUT_DATA:
    case VERB_PUT_END:
    case VERB_PUT_ABORT:
    case VERB_GET:
    case VERB_FIND:
    case VERB_CHANGE:
    case VERB_TELL:
    case VERB_WATCH:
    case VERB_COSIGN:
    case VERB_POST:
    case VERB_FOLLOW_STATE:
    case VERB_FOLLOW_READ:
    case VERB_FETCH:
    case VERB_KEYS:
    case VERB_UNSEAL:
    case VERB_OPENED:
    case VERB_REPLY:
    case VERB_ROW:
    case VERB_TAKEN:
    case VERB_NEWS:
    case VERB_DIGEST:
    case VERB_START:
    case VERB_JOIN:
    case VERB_READY:
    case VERB_CRASH:
    case VERB_STOP:
    case VERB_DECODE:
    case VERB_RECHECK:
        return true;
    }
    return false;
}

bool channel_pair(struct channel *a, struct channel *b, struct error *err)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return error_errno(err, "socketpair");
    for (size_t i = 0; i < 2; i++)
        if (setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &(int){ SOCKET_BUFFER_BYTES }, sizeof(int)) != 0) {
            (void)error_errno(err, "SO_SNDBUF of a channel");
            file_close(&fds[0]);
            file_close(&fds[1]);
            return false;
        }
    a->fd = fds[0];
    b->fd = fds[1];
    return true;
}

void channel_close(struct channel *c)
{
    file_close(&c->fd);
}

static bool send_failed(struct error *err)
{
    switch (errno) {
    case EAGAIN:
        return error_set(err, ERR_BUSY, "channel is full");
    case EPIPE:
    case ECONNRESET:
        return error_set(err, ERR_CLOSED, "channel is closed");
    default:
        return error_errno(err, "channel send");
    }
}

static bool send_message(struct channel *c, enum verb verb, uint32_t id, struct span fields, const int *fds,
                         size_t fd_count, int flags, struct error *err)
{
    uint8_t header[HEADER_BYTES] = { (uint8_t)verb,       (uint8_t)(verb >> 8), 0, 0, (uint8_t)id, (uint8_t)(id >> 8),
                                     (uint8_t)(id >> 16), (uint8_t)(id >> 24) };
    struct iovec parts[2] = { { header, sizeof header }, { (void *)(uintptr_t)fields.ptr, fields.len } };
    union ancillary control = { .bytes = { 0 } };
    struct msghdr m = { .msg_iov = parts, .msg_iovlen = fields.len > 0 ? 2 : 1 };
    ssize_t n;

    if (fields.len > CHANNEL_MESSAGE_MAX - HEADER_BYTES || fd_count > CHANNEL_FDS_MAX)
        return error_set(err, ERR_LIMIT, "message of %zu bytes and %zu descriptors", fields.len, fd_count);
    if (fd_count > 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
    }
    do
        n = sendmsg(c->fd, &m, MSG_NOSIGNAL | flags);
    while (n < 0 && errno == EINTR);
    return n >= 0 || send_failed(err); /* a packet goes whole or not at all */
}

bool channel_send(struct channel *c, enum verb verb, uint32_t id, struct span fields, const int *fds, size_t fd_count,
                  struct error *err)
{
    return send_message(c, verb, id, fields, fds, fd_count, 0, err);
}

bool channel_try_send(struct channel *c, enum verb verb, uint32_t id, struct span fields, const int *fds,
                      size_t fd_count, struct error *err)
{
    return send_message(c, verb, id, fields, fds, fd_count, MSG_DONTWAIT, err);
}

static int64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail: the clock exists, the pointer is ours */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* True once a packet or the end is there. timeout_ms as channel_receive. */
static bool wait_readable(int fd, int timeout_ms, struct error *err)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    int64_t end = timeout_ms < 0 ? 0 : now_ms() + timeout_ms;

    for (;;) {
        int n = poll(&p, 1, timeout_ms);

        if (n > 0)
            return true;
        if (n == 0)
            return error_set(err, ERR_TIMEOUT, "no message in time");
        if (errno != EINTR)
            return error_errno(err, "poll of a channel");
        if (timeout_ms > 0) { /* a signal took part of the time */
            int64_t left = end - now_ms();

            timeout_ms = left > 0 ? (int)left : 0;
        }
    }
}

/* Moves every descriptor that came into *m; those past CHANNEL_FDS_MAX cannot come: there is no room for them. */
static void take_descriptors(struct msghdr *h, struct message *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL; c = CMSG_NXTHDR(h, c)) {
        size_t count;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(0))
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && m->fd_count < CHANNEL_FDS_MAX; i++)
            memcpy(&m->fds[m->fd_count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
}

static bool parse(struct span packet, struct message *m, struct error *err)
{
    struct reader r = reader_over(packet);
    uint16_t verb = read_u16le(&r);
    uint16_t reserved = read_u16le(&r);
    struct fields_reader fields;
    struct field_value v;

    m->id = read_u32le(&r);
    if (r.dry)
        return error_set(err, ERR_MALFORMED, "channel message of %zu bytes", packet.len);
    if (!verb_is_known(verb) || reserved != 0)
        return error_set(err, ERR_MALFORMED, "channel message with verb %u, reserved %u", verb, reserved);
    m->verb = (enum verb)verb;
    m->fields = span_part(packet, HEADER_BYTES, packet.len);
    fields = fields_over(m->fields);
    while (fields_next(&fields, &v))
        ;
    return fields_complete(&fields, NULL) || error_set(err, ERR_MALFORMED, "channel message with a broken field list");
}

bool channel_receive(struct channel *c, uint8_t *buffer, size_t cap, struct message *out, int timeout_ms,
                     struct error *err)
{
    struct iovec part = { buffer, cap < CHANNEL_MESSAGE_MAX ? cap : CHANNEL_MESSAGE_MAX };
    union ancillary control = { .bytes = { 0 } };
    struct msghdr h = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
    };
    struct message m = { .fds = { -1, -1, -1, -1 } };
    ssize_t n;

    do {
        if (timeout_ms != 0 && !wait_readable(c->fd, timeout_ms, err))
            return false;
        n = recvmsg(c->fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (n < 0 && (errno == EINTR || (errno == EAGAIN && timeout_ms < 0)));
    if (n < 0 && errno == EAGAIN)
        return error_set(err, ERR_TIMEOUT, "no message in time");
    if (n < 0 && errno != ECONNRESET)
        return error_errno(err, "channel receive");
    if (n <= 0)
        return error_set(err, ERR_CLOSED, "channel is closed");
    take_descriptors(&h, &m);
    if ((h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        message_done(&m);
        return error_set(err, ERR_MALFORMED, "channel message past its limits");
    }
    if (!parse(span_of(buffer, (size_t)n), &m, err)) {
        message_done(&m);
        return false;
    }
    *out = m;
    return true;
}

void message_done(struct message *m)
{
    for (size_t i = 0; i < m->fd_count; i++)
        file_close(&m->fds[i]);
    m->fd_count = 0;
}
