/* A role's start and what it hears afterwards, with the test as supervisor. */
#include "channel/role.h"

#include <unistd.h>

#include "../test.h"

static const struct span nothing = { NULL, 0 };

/* A begun role and the supervisor's end. */
static struct role begun(struct channel *supervisor, struct span settings)
{
    struct channel mine;
    struct role role;
    struct error err;

    assert_true(channel_pair(supervisor, &mine, &err));
    assert_true(channel_send(supervisor, VERB_START, 0, settings, (int[]){ 0, 1 }, 2, &err));
    assert_true(role_begin(&role, "test", mine.fd, &err));
    return role;
}

TEST(start_brings_settings_and_descriptors)
{
    struct channel supervisor;
    struct writer w = writer_new(1000);
    struct role role;
    struct error err;
    struct message m;
    static uint8_t buffer[CHANNEL_MESSAGE_MAX];

    field_put_uint(&w, FIELD_CONNECTIONS_MAX, 12);
    role = begun(&supervisor, writer_span(&w));
    CHECK(role.fd_count == 2 && role.fds[0] > 2 && role.fds[1] > 2);
    CHECK(fields_uint(role.fields, FIELD_CONNECTIONS_MAX, 0) == 12);
    CHECK(role_ready(&role, &err));
    CHECK(channel_receive(&supervisor, buffer, sizeof buffer, &m, 0, &err) && m.verb == VERB_READY);
    role_end(&role);
    channel_close(&supervisor);
    writer_done(&w);
}

TEST(anything_but_start_is_refused)
{
    struct channel supervisor, mine;
    struct role role;
    struct error err;

    CHECK(channel_pair(&supervisor, &mine, &err));
    CHECK(channel_send(&supervisor, VERB_STOP, 0, nothing, (int[]){ 0 }, 1, &err));
    CHECK(!role_begin(&role, "test", mine.fd, &err) && err.code == ERR_MALFORMED);
    channel_close(&supervisor);
}

TEST(join_stop_and_the_end_are_heard)
{
    struct channel supervisor, near, far;
    struct role role = begun(&supervisor, nothing);
    struct writer w = writer_new(1000);
    struct role_event e;
    struct error err;

    CHECK(channel_pair(&near, &far, &err));
    field_put_uint(&w, FIELD_PROCESS, PROCESS_LENS);
    field_put_uint(&w, FIELD_PROCESS_ID, 1);
    CHECK(channel_send(&supervisor, VERB_JOIN, 0, writer_span(&w), &far.fd, 1, &err));
    CHECK(role_next(&role, -1, &e, &err));
    CHECK(e.kind == ROLE_JOIN && e.process == PROCESS_LENS && e.number == 1 && e.channel.fd > 2);
    channel_close(&e.channel);
    CHECK(!role_next(&role, 0, &e, &err) && err.code == ERR_TIMEOUT);
    CHECK(channel_send(&supervisor, VERB_CRASH, 0, nothing, NULL, 0, &err));
    CHECK(role_next(&role, 0, &e, &err) && e.kind == ROLE_CRASH);
    CHECK(channel_send(&supervisor, VERB_STOP, 0, nothing, NULL, 0, &err));
    CHECK(role_next(&role, 0, &e, &err) && e.kind == ROLE_STOP);
    CHECK(channel_send(&supervisor, VERB_JOIN, 0, writer_span(&w), NULL, 0, &err));
    CHECK(!role_next(&role, 0, &e, &err) && err.code == ERR_MALFORMED);
    CHECK(channel_send(&supervisor, VERB_GET, 0, nothing, &far.fd, 1, &err));
    CHECK(!role_next(&role, 0, &e, &err) && err.code == ERR_MALFORMED);
    channel_close(&supervisor);
    CHECK(!role_next(&role, -1, &e, &err) && err.code == ERR_CLOSED);
    channel_close(&near);
    channel_close(&far);
    role_end(&role);
    writer_done(&w);
}

TESTS(T(start_brings_settings_and_descriptors), T(anything_but_start_is_refused), T(join_stop_and_the_end_are_heard))
