/* The listener's bounds: who is evicted, who is refused, what a crash says; with real processes and sockets. */
#include "gate/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

#include "../test.h"

#define PATIENCE_MS 10000

static unsigned open_descriptors(void)
{
    unsigned n = 0;

    for (int fd = 3; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* A child of the tests: does what it is told, a byte at a time, and answers each with the same byte. */
static int obedient(void *context, struct connection *c)
{
    uint8_t order;

    (void)context;
    while (read(c->socket, &order, 1) == 1) {
        if (order == 'a')
            connection_admitted(c);
        if (order == 'x')
            abort();
        if (order == '?')
            order = (uint8_t)('0' + open_descriptors());
        if (order == '@')
            order = (uint8_t)c->address[strlen(c->address) - 1];
        if (write(c->socket, &order, 1) != 1)
            break;
    }
    return EXIT_SUCCESS;
}

struct bench {
    pid_t listener;
    struct channel control, vault; /* our ends */
    uint32_t first_byte_ms;
    struct sockaddr_in address;
};

static int listening_socket(struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof *address;

    *address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)address, len) == 0 && listen(fd, 64) == 0);
    assert_true(getsockname(fd, (struct sockaddr *)address, &len) == 0);
    return fd;
}

static void bench_start(struct bench *b, bool with_vault)
{
    struct channel control, vault;
    struct error err = { 0 };
    int listening = listening_socket(&b->address);

    assert_true(channel_pair(&b->control, &control, &err) && channel_pair(&b->vault, &vault, &err));
    b->listener = fork();
    if (b->listener == 0) {
        static const struct log nowhere = { .fd = -1, .clock = &clock_system };
        struct listener_settings s = { .child_kind = PROCESS_HL7_CONNECTION, .run = obedient, .log = &nowhere,
                                       .clock = &clock_system, .children_max = 5, .source_max = 4,
                                       .source_waiting_max = 2, .lobby_max = 6, .lobby_source_max = 3,
                                       .first_byte_ms = b->first_byte_ms };

        channel_close(&b->control);
        channel_close(&b->vault);
        if (!with_vault)
            channel_close(&vault);
        _exit(listener_run(&s, &listening, 1, &control, &vault, NULL) ? 0 : 1);
    }
    assert_true(b->listener > 0);
    close(listening);
    channel_close(&control);
    channel_close(&vault);
}

static void bench_stop(struct bench *b)
{
    int status = -1;

    (void)channel_send(&b->control, VERB_STOP, 0, (struct span){ 0 }, NULL, 0, NULL);
    assert_int_equal(waitpid(b->listener, &status, 0), b->listener);
    assert_int_equal(status, 0);
    channel_close(&b->control);
    channel_close(&b->vault);
}

/* From 127.0.0.<host>. */
static int connect_from(const struct bench *b, uint8_t host)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u + host) };

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof from) == 0);
    assert_true(connect(fd, (const struct sockaddr *)&b->address, sizeof b->address) == 0);
    return fd;
}

/* The answer to an order; 0 where the connection ends instead, '!' where nothing happens. */
static uint8_t order(int fd, uint8_t what)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    uint8_t answer = 0;

    if (what != 0 && send(fd, &what, 1, MSG_NOSIGNAL) != 1)
        return 0;
    if (poll(&p, 1, PATIENCE_MS) != 1)
        return '!';
    return read(fd, &answer, 1) == 1 ? answer : 0;
}

TEST(an_order_is_heard_and_a_child_has_three_descriptors)
{
    struct bench b = { 0 };
    int fd;

    bench_start(&b, true);
    fd = connect_from(&b, 1);
    CHECK(order(fd, 'h') == 'h');
    CHECK(order(fd, '?') == '3');
    CHECK(order(fd, '@') == '1'); /* 127.0.0.1 */
    close(fd);
    bench_stop(&b);
}

TEST(the_oldest_that_was_not_admitted_goes_and_only_of_its_own_source)
{
    struct bench b = { 0 };
    int fds[4], other;

    bench_start(&b, true);
    other = connect_from(&b, 2);
    CHECK(order(other, 'h') == 'h');
    for (size_t i = 0; i < 2; i++) {
        fds[i] = connect_from(&b, 1);
        CHECK(order(fds[i], 'h') == 'h');
    }
    fds[2] = connect_from(&b, 1); /* third that waits: the first goes */
    CHECK(order(fds[2], 'h') == 'h');
    CHECK(order(fds[0], 0) == 0);
    CHECK(order(fds[1], 'a') == 'a' && order(fds[2], 'a') == 'a');
    fds[3] = connect_from(&b, 1); /* two admitted: they stay */
    CHECK(order(fds[3], 'h') == 'h' && order(fds[1], 'h') == 'h' && order(fds[2], 'h') == 'h');
    CHECK(order(other, 'h') == 'h');
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
    close(other);
    bench_stop(&b);
}

TEST(a_source_full_of_admitted_connections_is_refused_more)
{
    struct bench b = { 0 };
    int fds[4], more, other;

    bench_start(&b, true);
    for (size_t i = 0; i < 4; i++) {
        fds[i] = connect_from(&b, 1);
        CHECK(order(fds[i], 'a') == 'a');
        CHECK(order(fds[i], 'h') == 'h');
    }
    more = connect_from(&b, 1);
    CHECK(order(more, 'h') == 0);
    other = connect_from(&b, 2);
    CHECK(order(other, 'h') == 'h');
    for (size_t i = 0; i < 4; i++) {
        CHECK(order(fds[i], 'h') == 'h');
        close(fds[i]);
    }
    close(more);
    close(other);
    bench_stop(&b);
}

TEST(the_house_full_evicts_who_waits)
{
    struct bench b = { 0 };
    int admitted[4], waiting, guest;

    bench_start(&b, true);
    waiting = connect_from(&b, 2);
    CHECK(order(waiting, 'h') == 'h');
    for (size_t i = 0; i < 4; i++) {
        admitted[i] = connect_from(&b, (uint8_t)(3 + i));
        CHECK(order(admitted[i], 'a') == 'a' && order(admitted[i], 'h') == 'h');
    }
    guest = connect_from(&b, 9);
    CHECK(order(guest, 'h') == 'h');
    CHECK(order(waiting, 0) == 0);
    for (size_t i = 0; i < 4; i++)
        close(admitted[i]);
    close(waiting);
    close(guest);
    bench_stop(&b);
}

/* True where the vault was asked for a session by now; the question is taken. */
static bool session_was_opened(struct bench *b, int patience_ms)
{
    uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct message m = { 0 };
    bool opened = channel_receive(&b->vault, buffer, sizeof buffer, &m, patience_ms, NULL) && m.verb == VERB_OPEN;

    message_done(&m);
    return opened;
}

TEST(who_says_nothing_gets_no_session_and_pushes_out_only_its_own)
{
    struct bench b = { 0 };
    int crowd[4], other, closed;

    bench_start(&b, true);
    other = connect_from(&b, 2);
    for (size_t i = 0; i < 4; i++)
        crowd[i] = connect_from(&b, 1);
    CHECK(order(crowd[0], 0) == 0); /* the fourth pushed out the first */
    closed = connect_from(&b, 3);
    shutdown(closed, SHUT_WR); /* came and went without a byte */
    CHECK(order(closed, 0) == 0);
    CHECK(!session_was_opened(&b, 0));
    CHECK(order(other, 'h') == 'h' && session_was_opened(&b, PATIENCE_MS));
    CHECK(order(crowd[1], 'h') == 'h' && session_was_opened(&b, PATIENCE_MS));
    CHECK(order(crowd[2], 'h') == 'h' && session_was_opened(&b, PATIENCE_MS) && !session_was_opened(&b, 0));
    for (size_t i = 0; i < 4; i++)
        close(crowd[i]);
    close(other);
    close(closed);
    bench_stop(&b);
}

TEST(a_silent_connection_ends_when_its_time_is_over)
{
    struct bench b = { .first_byte_ms = 20 };
    int silent;

    bench_start(&b, true);
    silent = connect_from(&b, 1);
    CHECK(order(silent, 0) == 0);
    CHECK(!session_was_opened(&b, 0));
    close(silent);
    bench_stop(&b);
}

TEST(a_byte_before_the_end_is_still_served)
{
    struct bench b = { 0 };
    int fd;

    bench_start(&b, true);
    fd = connect_from(&b, 1);
    CHECK(send(fd, "h", 1, MSG_NOSIGNAL) == 1 && shutdown(fd, SHUT_WR) == 0);
    CHECK(order(fd, 0) == 'h');
    close(fd);
    bench_stop(&b);
}

TEST(a_crash_is_told_to_the_vault)
{
    struct bench b = { 0 };
    uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct message m = { 0 };
    int fd;

    bench_start(&b, true);
    fd = connect_from(&b, 1);
    CHECK(order(fd, 'x') == 0);
    CHECK(channel_receive(&b.vault, buffer, sizeof buffer, &m, PATIENCE_MS, NULL) && m.verb == VERB_OPEN);
    CHECK(m.fd_count == 1 && span_equal(fields_text(m.fields, FIELD_ADDRESS), SPAN_LIT("127.0.0.1")));
    message_done(&m);
    CHECK(channel_receive(&b.vault, buffer, sizeof buffer, &m, PATIENCE_MS, NULL) && m.verb == VERB_TELL);
    CHECK(span_equal(fields_text(m.fields, FIELD_EVENT), SPAN_LIT("connection.crashed")));
    message_done(&m);
    close(fd);
    bench_stop(&b);
}

TEST(without_a_vault_the_backlog_waits_until_one_joins)
{
    struct bench b = { 0 };
    struct channel near, far;
    struct writer w = writer_new(100);
    int fd;

    bench_start(&b, false);
    fd = connect_from(&b, 1);
    CHECK(send(fd, "h", 1, MSG_NOSIGNAL) == 1);
    CHECK(channel_pair(&near, &far, NULL));
    field_put_uint(&w, FIELD_PROCESS, PROCESS_VAULT);
    CHECK(channel_send(&b.control, VERB_JOIN, 0, writer_span(&w), &far.fd, 1, NULL));
    CHECK(order(fd, 0) == 'h');
    writer_done(&w);
    channel_close(&near);
    channel_close(&far);
    close(fd);
    bench_stop(&b);
}

TESTS(T(an_order_is_heard_and_a_child_has_three_descriptors),
      T(the_oldest_that_was_not_admitted_goes_and_only_of_its_own_source),
      T(a_source_full_of_admitted_connections_is_refused_more), T(the_house_full_evicts_who_waits),
      T(who_says_nothing_gets_no_session_and_pushes_out_only_its_own), T(a_silent_connection_ends_when_its_time_is_over),
      T(a_byte_before_the_end_is_still_served),
      T(a_crash_is_told_to_the_vault), T(without_a_vault_the_backlog_waits_until_one_joins))
