/*
 * A gate's listener as a process in its sandbox, with the test as its supervisor and vault: what test_dicom_role.c and
 * test_hl7_role.c share.
 */
#ifndef FANAL_TESTS_GATE_FIXTURE_H
#define FANAL_TESTS_GATE_FIXTURE_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/role.h"
#include "channel/session.h"

#include "../test.h"

#define PATIENCE_MS  10000
#define SESSIONS_MAX 1100

/* ---- a vault that admits 127.0.0.1, and keeps ---- */

struct conversation {
    struct channel channel;
    struct shared_buffer shared;
    struct writer body;
    bool is_known;
};

struct vault {
    struct channel listener;
    enum process_kind expected; /* of every session */
    struct conversation sessions[SESSIONS_MAX];
    size_t count;
    uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct pollfd polls[SESSIONS_MAX + 1];
    struct writer kept, facts, unit; /* of the last PUT_END */
    size_t kept_count;
    pthread_t thread;
};

static inline void say(struct channel *c, enum verb verb, uint32_t id, enum field f, uint64_t value, const int *fds)
{
    struct writer w = writer_new(1000);

    field_put_uint(&w, f, value);
    field_put_str(&w, FIELD_REASON, "calling-ae");
    field_put_uint(&w, FIELD_MAY_STORE, 1);
    field_put_str(&w, FIELD_ISSUER, "HOSPITAL");
    field_put_str(&w, FIELD_ZONE, "Europe/Paris");
    (void)channel_send(c, verb, id, writer_span(&w), fds, fds != NULL ? 1 : 0, NULL);
    writer_done(&w);
}

static inline void vault_open_session(struct vault *v, struct message *m)
{
    struct conversation *c = &v->sessions[v->count++];

    c->channel.fd = m->fds[0];
    m->fds[0] = -1;
    c->is_known = span_equal(fields_text(m->fields, FIELD_ADDRESS), SPAN_LIT("127.0.0.1"));
    c->body = writer_new((size_t)32 * 1024 * 1024);
    assert_true(fields_uint(m->fields, FIELD_PROCESS, 0) == v->expected && shared_buffer_new(&c->shared, NULL));
    say(&c->channel, VERB_REPLY, 0, FIELD_RESULT, 0, &c->shared.fd);
}

static inline void vault_answer(struct vault *v, struct conversation *c, const struct message *m)
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
        v->kept_count++;
        say(&c->channel, VERB_REPLY, m->id, FIELD_RESULT, 0, NULL);
    }
}

static inline void *vault_run(void *context)
{
    struct vault *v = context;

    for (;;) {
        struct message m = { 0 };

        v->polls[0] = (struct pollfd){ .fd = v->listener.fd, .events = POLLIN };

        for (size_t i = 0; i < v->count; i++)
            v->polls[i + 1] = (struct pollfd){ .fd = v->sessions[i].channel.fd, .events = POLLIN };
        if (poll(v->polls, (nfds_t)v->count + 1, PATIENCE_MS) <= 0)
            return NULL;
        for (size_t i = 0; i < v->count; i++) {
            struct conversation *c = &v->sessions[i];

            if (v->polls[i + 1].revents == 0)
                continue;
            if (channel_receive(&c->channel, v->buffer, sizeof v->buffer, &m, 0, NULL))
                vault_answer(v, c, &m);
            else {
                channel_close(&c->channel);
                shared_buffer_done(&c->shared);
            }
            message_done(&m);
        }
        if (v->polls[0].revents == 0)
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

static inline void join_vault(struct house *h, struct channel *far)
{
    struct writer w = writer_new(100);

    field_put_uint(&w, FIELD_PROCESS, PROCESS_VAULT);
    assert_true(channel_send(&h->control, VERB_JOIN, 0, writer_span(&w), &far->fd, 1, NULL));
    channel_close(far);
    writer_done(&w);
}

/* `role` becomes the process of the gate, whose sessions are of the kind `session`. */
static inline void house_open(struct house *h, int (*role)(int), enum process_kind session)
{
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof h->address;
    struct channel gate_control, gate_vault;
    uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct message m = { 0 };

    h->address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_true(bind(listening, (struct sockaddr *)&h->address, len) == 0 && listen(listening, 1024) == 0);
    assert_true(getsockname(listening, (struct sockaddr *)&h->address, &len) == 0);
    assert_true(channel_pair(&h->control, &gate_control, NULL));
    h->gate = fork();
    if (h->gate == 0) {
        if (dup2(gate_control.fd, CONTROL_FD) < 0 || close_range(CONTROL_FD + 1, ~0U, 0) != 0)
            _exit(100);
        exit(role(CONTROL_FD));
    }
    channel_close(&gate_control);
    assert_true(channel_send(&h->control, VERB_START, 0, (struct span){ 0 }, &listening, 1, NULL));
    close(listening);
    h->vault = calloc(1, sizeof *h->vault);
    assert_non_null(h->vault);
    h->vault->expected = session;
    h->vault->kept = h->vault->facts = h->vault->unit = writer_new((size_t)32 * 1024 * 1024);
    assert_true(channel_pair(&h->vault->listener, &gate_vault, NULL));
    join_vault(h, &gate_vault);
    assert_int_equal(pthread_create(&h->vault->thread, NULL, vault_run, h->vault), 0);
    assert_true(channel_receive(&h->control, buffer, sizeof buffer, &m, PATIENCE_MS, NULL) && m.verb == VERB_READY);
}

static inline void house_close(struct house *h)
{
    int status = -1;

    assert_true(channel_send(&h->control, VERB_STOP, 0, (struct span){ 0 }, NULL, 0, NULL));
    assert_int_equal(waitpid(h->gate, &status, 0), h->gate);
    assert_int_equal(status, 0);
    pthread_join(h->vault->thread, NULL);
    for (size_t i = 0; i < h->vault->count; i++) {
        if (h->vault->sessions[i].channel.fd >= 0) {
            channel_close(&h->vault->sessions[i].channel);
            shared_buffer_done(&h->vault->sessions[i].shared);
        }
        writer_done(&h->vault->sessions[i].body);
    }
    writer_done(&h->vault->kept);
    writer_done(&h->vault->facts);
    writer_done(&h->vault->unit);
    channel_close(&h->vault->listener);
    channel_close(&h->control);
    free(h->vault);
}

static inline int connect_from(const struct house *h, uint8_t host)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u + host) };

    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&from, sizeof from) == 0);
    assert_true(connect(fd, (const struct sockaddr *)&h->address, sizeof h->address) == 0);
    return fd;
}

#endif
