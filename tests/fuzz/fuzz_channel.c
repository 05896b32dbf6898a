/* One packet of a channel, the first byte says with how many descriptors: taken whole, or refused and nothing left
 * open. */
#include <assert.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "channel/channel.h"

#define FDS_MOST 6 /* two more than a message may have */

static size_t open_descriptors(void)
{
    size_t n = 0;

    for (int fd = 0; fd < 64; fd++)
        n += dup2(fd, fd) == fd;
    return n;
}

static void send_packet(int to, const uint8_t *bytes, size_t len, size_t fds)
{
    struct iovec part = { (void *)(uintptr_t)bytes, len };
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(FDS_MOST * sizeof(int))];
    } control = { .bytes = { 0 } };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    if (fds > 0) {
        m.msg_control = &control;
        m.msg_controllen = CMSG_SPACE(fds * sizeof(int));
        control.align.cmsg_level = SOL_SOCKET;
        control.align.cmsg_type = SCM_RIGHTS;
        control.align.cmsg_len = CMSG_LEN(fds * sizeof(int)); /* descriptor 0, each time */
    }
    assert(sendmsg(to, &m, 0) == (ssize_t)len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct channel a, b;
    struct message m;
    struct error err = { ERR_NONE, "" };
    size_t before;

    if (len < 2 || len > CHANNEL_MESSAGE_MAX + 16)
        return 0;
    assert(channel_pair(&a, &b, &err));
    before = open_descriptors();
    send_packet(a.fd, bytes + 1, len - 1, bytes[0] % (FDS_MOST + 1));
    if (channel_receive(&b, buffer, sizeof buffer, &m, 0, &err)) {
        struct fields_reader r = fields_over(m.fields);
        struct field_value v;
        size_t fields = 0;

        assert(m.fields.len == len - 1 - 8 && m.fd_count == bytes[0] % (FDS_MOST + 1));
        assert(open_descriptors() == before + m.fd_count);
        while (fields_next(&r, &v))
            fields += 6 + v.value.len;
        assert(fields == m.fields.len);
        message_done(&m);
    } else {
        assert(err.code == ERR_MALFORMED);
    }
    assert(open_descriptors() == before);
    channel_close(&a);
    channel_close(&b);
    return 0;
}
