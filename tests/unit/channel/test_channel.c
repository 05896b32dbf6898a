/* Messages between processes: what goes in comes out, what is broken is refused, no descriptor is lost. */
#include "channel/channel.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../test.h"

static uint8_t buffer[CHANNEL_MESSAGE_MAX];

static size_t open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    while (readdir(d) != NULL)
        n++;
    (void)closedir(d);
    return n;
}

TEST(message_comes_out_as_it_went_in)
{
    struct channel a, b;
    struct error err;
    struct writer w = writer_new(1000);
    struct message m;

    CHECK(channel_pair(&a, &b, &err));
    field_put_uint(&w, FIELD_OFFSET, 77);
    CHECK(channel_send(&a, VERB_GET, 0x01020304, writer_span(&w), NULL, 0, &err));
    CHECK(channel_receive(&b, buffer, sizeof buffer, &m, -1, &err));
    CHECK(m.verb == VERB_GET && m.id == 0x01020304 && m.fd_count == 0);
    CHECK(fields_uint(m.fields, FIELD_OFFSET, 0) == 77);
    CHECK(channel_send(&b, VERB_STOP, 0, (struct span){ NULL, 0 }, NULL, 0, &err));
    CHECK(channel_receive(&a, buffer, sizeof buffer, &m, 1000, &err));
    CHECK(m.verb == VERB_STOP && m.fields.len == 0);
    writer_done(&w);
    channel_close(&a);
    channel_close(&b);
}

TEST(descriptors_travel_and_are_closed_when_not_wanted)
{
    size_t before = open_descriptors();
    struct channel a, b;
    struct error err;
    struct message m;
    int fds[CHANNEL_FDS_MAX] = { 0, 1, 2, 0 };

    CHECK(channel_pair(&a, &b, &err));
    CHECK(channel_send(&a, VERB_JOIN, 0, (struct span){ NULL, 0 }, fds, CHANNEL_FDS_MAX, &err));
    CHECK(channel_receive(&b, buffer, sizeof buffer, &m, 0, &err));
    CHECK(m.fd_count == CHANNEL_FDS_MAX && open_descriptors() == before + 2 + CHANNEL_FDS_MAX);
    CHECK((fcntl(m.fds[3], F_GETFD) & FD_CLOEXEC) != 0);
    message_done(&m);
    CHECK(open_descriptors() == before + 2);
    channel_close(&a);
    channel_close(&b);
    CHECK(open_descriptors() == before);
}

TEST(largest_message_passes_and_a_larger_one_does_not)
{
    static uint8_t value[CHANNEL_MESSAGE_MAX];
    struct channel a, b;
    struct error err;
    struct writer w = writer_new(2 * CHANNEL_MESSAGE_MAX);
    struct message m;

    CHECK(channel_pair(&a, &b, &err));
    field_put_bytes(&w, FIELD_TOKEN, span_of(value, CHANNEL_MESSAGE_MAX - 8 - 6));
    CHECK(channel_try_send(&a, VERB_FIND, 1, writer_span(&w), NULL, 0, &err));
    CHECK(channel_receive(&b, buffer, sizeof buffer, &m, 0, &err));
    CHECK(m.fields.len == CHANNEL_MESSAGE_MAX - 8);
    write_u8(&w, 0);
    CHECK(!channel_send(&a, VERB_FIND, 1, writer_span(&w), NULL, 0, &err) && err.code == ERR_LIMIT);
    CHECK(!channel_send(&a, VERB_FIND, 1, (struct span){ NULL, 0 }, (int[5]){ 0 }, 5, &err) && err.code == ERR_LIMIT);
    writer_done(&w);
    channel_close(&a);
    channel_close(&b);
}

TEST(broken_packets_are_refused)
{
    const struct {
        const char *name;
        struct span packet;
    } rows[] = {
        { "shorter than its header", HEX("08 00 00 00 01 00 00") },
        { "unknown verb", HEX("63 00 00 00 01 00 00 00") },
        { "verb zero", HEX("00 00 00 00 01 00 00 00") },
        { "reserved not zero", HEX("08 00 01 00 01 00 00 00") },
        { "field header cut", HEX("08 00 00 00 01 00 00 00  01 00 08 00 00") },
        { "length past the end", HEX("08 00 00 00 01 00 00 00  01 00 ff ff ff ff 00") },
    };

    EACH(row, rows)
    {
        struct channel a, b;
        struct error err = { 0 };
        struct message m;

        CHECK(channel_pair(&a, &b, &err));
        CHECK(send(a.fd, row->packet.ptr, row->packet.len, 0) == (ssize_t)row->packet.len);
        CHECK_ROW(row->name, !channel_receive(&b, buffer, sizeof buffer, &m, 0, &err));
        CHECK_ROW(row->name, err.code == ERR_MALFORMED);
        channel_close(&a);
        channel_close(&b);
    }
}

/* More descriptors, or more bytes, than a message may have: refused, and nothing stays open. */
TEST(packets_past_the_limits_leave_nothing_behind)
{
    struct channel a, b;
    struct error err;
    struct message m;
    static uint8_t big[CHANNEL_MESSAGE_MAX + 1] = { VERB_FIND };
    struct iovec part = { big, 8 };
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(6 * sizeof(int))];
    } control = { .bytes = { 0 } };
    struct msghdr h = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.bytes
    };
    size_t before;

    CHECK(channel_pair(&a, &b, &err));
    before = open_descriptors();
    control.align.cmsg_level = SOL_SOCKET;
    control.align.cmsg_type = SCM_RIGHTS;
    control.align.cmsg_len = CMSG_LEN(6 * sizeof(int));
    CHECK(sendmsg(a.fd, &h, 0) == 8); /* six times descriptor 0 */
    CHECK(!channel_receive(&b, buffer, sizeof buffer, &m, 0, &err) && err.code == ERR_MALFORMED);
    CHECK(send(a.fd, big, sizeof big, 0) == (ssize_t)sizeof big);
    CHECK(!channel_receive(&b, buffer, sizeof buffer, &m, 0, &err) && err.code == ERR_MALFORMED);
    CHECK(open_descriptors() == before);
    channel_close(&a);
    channel_close(&b);
}

TEST(full_closed_and_silent_channels_say_so)
{
    struct channel a, b;
    struct error err;
    struct message m;
    static uint8_t value[60000];
    struct writer w = writer_new(100000);
    size_t sent = 0;

    CHECK(channel_pair(&a, &b, &err));
    CHECK(!channel_receive(&b, buffer, sizeof buffer, &m, 0, &err) && err.code == ERR_TIMEOUT);
    CHECK(!channel_receive(&b, buffer, sizeof buffer, &m, 1, &err) && err.code == ERR_TIMEOUT);
    field_put_bytes(&w, FIELD_TOKEN, span_of(value, sizeof value));
    while (channel_try_send(&a, VERB_NEWS, 0, writer_span(&w), NULL, 0, &err))
        CHECK(++sent < 1000);
    CHECK(err.code == ERR_BUSY && sent >= 2);
    for (; sent > 0; sent--)
        CHECK(channel_receive(&b, buffer, sizeof buffer, &m, 0, &err));
    channel_close(&a);
    CHECK(!channel_receive(&b, buffer, sizeof buffer, &m, -1, &err) && err.code == ERR_CLOSED);
    CHECK(!channel_send(&b, VERB_STOP, 0, (struct span){ NULL, 0 }, NULL, 0, &err) && err.code == ERR_CLOSED);
    channel_close(&b);
    writer_done(&w);
}

TESTS(T(message_comes_out_as_it_went_in), T(descriptors_travel_and_are_closed_when_not_wanted),
      T(largest_message_passes_and_a_larger_one_does_not), T(broken_packets_are_refused),
      T(packets_past_the_limits_leave_nothing_behind), T(full_closed_and_silent_channels_say_so))
