/* The role `hl7` as a process in its sandbox, with the test as supervisor, vault and sender. */
#include "gate/hl7/role.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/role.h"
#include "channel/session.h"
#include "hl7/mllp.h"

#include "../test.h"

#define PATIENCE_MS 10000
#define SESSIONS_MAX 8

/* ---- a vault that admits 127.0.0.1, and keeps ---- */

struct conversation {
    struct channel channel;
    struct shared_buffer shared;
    struct writer body;
    bool is_known;
};

struct vault {
    struct channel listener;
    struct conversation sessions[SESSIONS_MAX];
    size_t count;
    uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct writer kept, facts, unit; /* of the last PUT_END */
    pthread_t thread;
};

static void say(struct channel *c, enum verb verb, uint32_t id, enum field f, uint64_t value, const int *fds)
{
    struct writer w = writer_new(1000);

    field_put_uint(&w, f, value);
    field_put_str(&w, FIELD_ISSUER, "HOSPITAL");
    field_put_str(&w, FIELD_ZONE, "Europe/Paris");
    (void)channel_send(c, verb, id, writer_span(&w), fds, fds != NULL ? 1 : 0, NULL);
    writer_done(&w);
}

static void vault_open_session(struct vault *v, struct message *m)
{
    struct conversation *c = &v->sessions[v->count++];

    c->channel.fd = m->fds[0];
    m->fds[0] = -1;
    c->is_known = span_equal(fields_text(m->fields, FIELD_ADDRESS), SPAN_LIT("127.0.0.1"));
    c->body = writer_new((size_t)32 * 1024 * 1024);
    assert_true(fields_uint(m->fields, FIELD_PROCESS, 0) == PROCESS_HL7_CONNECTION && shared_buffer_new(&c->shared, NULL));
    say(&c->channel, VERB_REPLY, 0, FIELD_RESULT, 0, &c->shared.fd);
}

static void vault_answer(struct vault *v, struct conversation *c, const struct message *m)
{
    struct span part = { 0 };

    if (m->verb == VERB_ADMIT) {
        say(&c->channel, VERB_REPLY, m->id, FIELD_RESULT, c->is_known ? 0 : ERR_REFUSED, NULL);
    } else if (m->verb == VERB_PUT_BEGIN) {
        writer_reset(&c->body);
        writer_reset(&v->unit);
        write_span(&v->unit, fields_text(m->fields, FIELD_UNIT));
    } else if (m->verb == VERB_PUT_DATA) {
        assert_true(shared_buffer_part(&c->shared, fields_uint(m->fields, FIELD_OFFSET, 0),
                                       fields_uint(m->fields, FIELD_LENGTH, 0), &part));
        write_span(&c->body, part);
        say(&c->channel, VERB_TAKEN, 0, FIELD_LENGTH, part.len, NULL);
    } else if (m->verb == VERB_PUT_END) {
        writer_reset(&v->kept);
        writer_reset(&v->facts);
        write_span(&v->kept, writer_span(&c->body));
        write_span(&v->facts, m->fields);
        say(&c->channel, VERB_REPLY, m->id, FIELD_RESULT, 0, NULL);
    }
}

static void *vault_run(void *context)
{
    struct vault *v = context;

    for (;;) {
        struct pollfd polls[SESSIONS_MAX + 1] = { { .fd = v->listener.fd, .events = POLLIN } };
        struct message m = { 0 };

        for (size_t i = 0; i < v->count; i++)
            polls[i + 1] = (struct pollfd){ .fd = v->sessions[i].channel.fd, .events = POLLIN };
        if (poll(polls, (nfds_t)v->count + 1, PATIENCE_MS) <= 0)
            return NULL;
        for (size_t i = 0; i < v->count; i++) {
            struct conversation *c = &v->sessions[i];

            if (polls[i + 1].revents == 0)
                continue;
            if (channel_receive(&c->channel, v->buffer, sizeof v->buffer, &m, 0, NULL))
                vault_answer(v, c, &m);
            else
                channel_close(&c->channel);
            message_done(&m);
        }
        if (polls[0].revents == 0)
            continue;
        if (!channel_receive(&v->listener, v->buffer, sizeof v->buffer, &m, 0, NULL))
            return NULL;
        if (m.verb == VERB_OPEN)
            vault_open_session(v, &m);
        message_done(&m);
    }
}

/* ---- the house around it ---- */

struct house {
    pid_t gate;
    struct channel control;
    struct vault *vault;
    struct sockaddr_in address;
};

static void join_vault(struct house *h, struct channel *far)
{
    struct writer w = writer_new(100);

    field_put_uint(&w, FIELD_PROCESS, PROCESS_VAULT);
    assert_true(channel_send(&h->control, VERB_JOIN, 0, writer_span(&w), &far->fd, 1, NULL));
    channel_close(far);
    writer_done(&w);
}

static void house_open(struct house *h)
{
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof h->address;
    struct channel gate_control, gate_vault;
    uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct message m = { 0 };

    h->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_true(bind(listening, (struct sockaddr *)&h->address, len) == 0 && listen(listening, 16) == 0);
    assert_true(getsockname(listening, (struct sockaddr *)&h->address, &len) == 0);
    assert_true(channel_pair(&h->control, &gate_control, NULL));
    h->gate = fork();
    if (h->gate == 0) {
        if (dup2(gate_control.fd, CONTROL_FD) < 0 || close_range(CONTROL_FD + 1, ~0U, 0) != 0)
            _exit(100);
        exit(hl7_listener_run(CONTROL_FD));
    }
    channel_close(&gate_control);
    assert_true(channel_send(&h->control, VERB_START, 0, (struct span){ 0 }, &listening, 1, NULL));
    close(listening);
    h->vault = calloc(1, sizeof *h->vault);
    assert_non_null(h->vault);
    h->vault->kept = h->vault->facts = h->vault->unit = writer_new((size_t)32 * 1024 * 1024);
    assert_true(channel_pair(&h->vault->listener, &gate_vault, NULL));
    join_vault(h, &gate_vault);
    assert_int_equal(pthread_create(&h->vault->thread, NULL, vault_run, h->vault), 0);
    assert_true(channel_receive(&h->control, buffer, sizeof buffer, &m, PATIENCE_MS, NULL) && m.verb == VERB_READY);
}

static void house_close(struct house *h)
{
    int status = -1;

    assert_true(channel_send(&h->control, VERB_STOP, 0, (struct span){ 0 }, NULL, 0, NULL));
    assert_int_equal(waitpid(h->gate, &status, 0), h->gate);
    assert_int_equal(status, 0);
    pthread_join(h->vault->thread, NULL);
    for (size_t i = 0; i < h->vault->count; i++) {
        channel_close(&h->vault->sessions[i].channel);
        shared_buffer_done(&h->vault->sessions[i].shared);
        writer_done(&h->vault->sessions[i].body);
    }
    writer_done(&h->vault->kept);
    writer_done(&h->vault->facts);
    writer_done(&h->vault->unit);
    channel_close(&h->vault->listener);
    channel_close(&h->control);
    free(h->vault);
}

static int connect_from(const struct house *h, uint8_t host)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u + host) };

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof from) == 0);
    assert_true(connect(fd, (const struct sockaddr *)&h->address, sizeof h->address) == 0);
    return fd;
}

/* The next framed answer into *out; false at the end of the connection. */
static bool read_answer(int fd, struct mllp *p)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    uint8_t byte;

    while (poll(&ready, 1, PATIENCE_MS) == 1 && read(fd, &byte, 1) == 1) {
        struct span input = span_of(&byte, 1);

        if (mllp_take(p, &input) == MLLP_MESSAGE)
            return true;
    }
    return false;
}

static bool contains(struct span text, const char *what)
{
    struct span wanted = span_str(what);

    for (size_t i = 0; i + wanted.len <= text.len; i++)
        if (span_equal(span_part(text, i, wanted.len), wanted))
            return true;
    return false;
}

static const char oru[] = "MSH|^~\\&|LIS|LAB|FANAL|ER|20260101120000||ORU^R01^ORU_R01|C1|P|2.5\r"
                          "PID|1||4711^^^HOP^PI||DOE^JANE||19800101|F\rOBR|1||F1|GLU^Glucose\r"
                          "OBX|1|NM|GLU^Glucose||5.1|mmol/L|||||F\r";

TEST(a_result_is_kept_as_received_then_answered)
{
    struct house h;
    struct mllp answer = mllp_new(65536);
    struct writer framed = writer_new(65536);
    int fd;

    house_open(&h);
    fd = connect_from(&h, 1);
    mllp_frame(span_str(oru), &framed);
    CHECK(file_write_all(fd, span_part(writer_span(&framed), 0, 40), NULL));
    CHECK(file_write_all(fd, span_part(writer_span(&framed), 40, framed.len), NULL));
    CHECK(read_answer(fd, &answer));
    CHECK(contains(mllp_message(&answer), "\rMSA|AA|C1\r"));
    CHECK(span_equal(writer_span(&h.vault->kept), span_str(oru)));
    CHECK(span_equal(writer_span(&h.vault->unit), SPAN_LIT("results:HOP:4711")));
    CHECK(span_equal(fields_text(writer_span(&h.vault->facts), FIELD_ZONE), SPAN_LIT("Europe/Paris")));
    /* the second on the same connection, of another kind */
    writer_reset(&framed);
    mllp_frame(SPAN_LIT("MSH|^~\\&|A|B|||20260101||SIU^S12|C2|P|2.3.1\r"), &framed);
    CHECK(file_write_all(fd, writer_span(&framed), NULL) && read_answer(fd, &answer));
    CHECK(contains(mllp_message(&answer), "\rMSA|AR|C2|"));
    CHECK(span_equal(fields_text(writer_span(&h.vault->facts), FIELD_STATE), SPAN_LIT("not-understood")));
    close(fd);
    house_close(&h);
    mllp_done(&answer);
    writer_done(&framed);
}

TEST(a_message_larger_than_the_ring_arrives_whole)
{
    struct house h;
    struct mllp answer = mllp_new(65536);
    struct writer message = writer_new((size_t)8 * 1024 * 1024), framed = writer_new((size_t)8 * 1024 * 1024);
    int fd;

    house_open(&h);
    fd = connect_from(&h, 1);
    write_str(&message, oru);
    write_str(&message, "OBX|2|ED|DOC^Report||^application^pdf^Base64^");
    write_fill(&message, 'A', (size_t)5 * 1024 * 1024);
    write_str(&message, "||||||F\r");
    mllp_frame(writer_span(&message), &framed);
    CHECK(file_write_all(fd, writer_span(&framed), NULL) && read_answer(fd, &answer));
    CHECK(contains(mllp_message(&answer), "\rMSA|AA|C1\r"));
    CHECK(span_equal(writer_span(&h.vault->kept), writer_span(&message)));
    close(fd);
    house_close(&h);
    mllp_done(&answer);
    writer_done(&message);
    writer_done(&framed);
}

TEST(an_unknown_sender_is_closed_unread)
{
    struct house h;
    struct mllp answer = mllp_new(65536);
    struct writer framed = writer_new(65536);
    int fd;

    house_open(&h);
    fd = connect_from(&h, 2);
    mllp_frame(span_str(oru), &framed);
    (void)send(fd, framed.ptr, framed.len, MSG_NOSIGNAL);
    CHECK(!read_answer(fd, &answer));
    CHECK(h.vault->kept.len == 0);
    close(fd);
    house_close(&h);
    mllp_done(&answer);
    writer_done(&framed);
}

TESTS(T(a_result_is_kept_as_received_then_answered), T(a_message_larger_than_the_ring_arrives_whole),
      T(an_unknown_sender_is_closed_unread))
