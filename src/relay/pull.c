/* Pulling: FETCH in, frames out, frames in, REPLY out. See pull.h. */
#include "relay/pull.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/role.h"
#include "channel/sandbox.h"
#include "channel/shared_buffer.h"
#include "channel/wire.h"

struct pull {
    struct pull_settings settings;
    struct sockaddr_storage address;
    socklen_t address_len;
    struct pinned_identity *identity;
    struct pinned *link;         /* NULL: not connected */
    struct shared_buffer buffer; /* the keeper's; ptr NULL until its first FETCH */
    bool told;                   /* that the first is away: once */
    uint8_t message[CHANNEL_MESSAGE_MAX];
    uint8_t fields[WIRE_FIELDS_MAX];
};

static bool port_of(struct span text, uint16_t *out)
{
    unsigned n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || text.len > 5)
            return false;
        n = n * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *out = (uint16_t)n;
    return n > 0 && n <= UINT16_MAX;
}

/* Numeric: nobody is asked for a name when the lights are out. */
static bool address_of_text(struct span text, struct sockaddr_storage *out, socklen_t *len, struct error *err)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    size_t colon = text.len;
    char host[INET6_ADDRSTRLEN];
    uint16_t port;

    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0 || !port_of(span_part(text, colon, text.len), &port))
        return error_set(err, ERR_USAGE, "an address and a port of the first belong here, like 10.0.0.5:7443");
    text = span_part(text, 0, colon - 1);
    if (text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']') {
        v6.sin6_port = htons(port);
        if (!span_to_str(span_part(text, 1, text.len - 2), host, sizeof host)
            || inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
            return error_set(err, ERR_USAGE, "an address of the first belongs here, not a name");
        memcpy(out, &v6, sizeof v6);
        *len = sizeof v6;
        return true;
    }
    v4.sin_port = htons(port);
    if (!span_to_str(text, host, sizeof host) || inet_pton(AF_INET, host, &v4.sin_addr) != 1)
        return error_set(err, ERR_USAGE, "an address of the first belongs here, not a name");
    memcpy(out, &v4, sizeof v4);
    *len = sizeof v4;
    return true;
}

struct pull *pull_new(const struct pull_settings *settings, struct error *err)
{
    struct pull *p = calloc(1, sizeof *p);

    if (p == NULL) {
        (void)error_set(err, ERR_MEMORY, "pull");
        return NULL;
    }
    p->settings = *settings;
    p->buffer.fd = -1;
    if (address_of_text(settings->address, &p->address, &p->address_len, err)
        && (p->identity = pinned_identity_new(settings->key, settings->certificate, false, err)) != NULL)
        return p;
    pull_free(p);
    return NULL;
}

static void hang_up(struct pull *p)
{
    pinned_close(p->link);
    p->link = NULL;
}

void pull_free(struct pull *p)
{
    if (p == NULL)
        return;
    hang_up(p);
    pinned_identity_free(p->identity);
    shared_buffer_done(&p->buffer);
    free(p);
}

/* ---- the connection ---- */

static bool connected(int fd, struct error *err)
{
    struct pollfd f = { .fd = fd, .events = POLLOUT };
    int why = 0;
    socklen_t len = sizeof why;

    if (poll(&f, 1, PULL_CONNECT_MS) <= 0)
        return error_set(err, ERR_TIMEOUT, "the first does not answer");
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) != 0 || why != 0) {
        errno = why;
        return error_errno(err, "connecting to the first");
    }
    return true;
}

static bool connect_to_first(struct pull *p, struct error *err)
{
    int fd = socket(p->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    char peer[FINGERPRINT_SIZE];

    if (fd < 0)
        return error_errno(err, "socket");
    if ((connect(fd, (struct sockaddr *)&p->address, p->address_len) != 0 && errno != EINPROGRESS)
        || !connected(fd, err)) {
        if (err != NULL && err->code == ERR_NONE)
            (void)error_errno(err, "connecting to the first");
        file_close(&fd);
        return false;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    p->link = pinned_open(p->identity, fd, PULL_CONNECT_MS, peer, err);
    if (p->link == NULL)
        return error_within(err, "the first");
    if (strcmp(peer, p->settings.pin) == 0)
        return true;
    hang_up(p);
    return error_set(err, ERR_CLOSED, "the first shows another certificate: %s", peer);
}

/* One question and its answer: fields in p->fields, bytes in the shared buffer. */
static bool exchange(struct pull *p, enum verb verb, struct span question, struct wire_header *answer,
                     struct error *err)
{
    uint8_t head[WIRE_HEADER_BYTES];
    struct wire_header h = { .verb = verb, .fields = (uint32_t)question.len };

    wire_header_encode(&h, head);
    if (!pinned_write(p->link, span_of(head, sizeof head), PULL_CONNECT_MS, err)
        || !pinned_write(p->link, question, PULL_CONNECT_MS, err)
        || !pinned_read(p->link, head, sizeof head, PULL_ANSWER_MS, err)
        || !wire_header_decode(span_of(head, sizeof head), answer, err))
        return false;
    if (answer->verb != VERB_REPLY || answer->bytes > p->buffer.len)
        return error_set(err, ERR_MALFORMED, "the first answers something else");
    return pinned_read(p->link, p->fields, answer->fields, PULL_ANSWER_MS, err)
           && pinned_read(p->link, p->buffer.ptr, answer->bytes, PULL_ANSWER_MS, err)
           && wire_fields_check(span_of(p->fields, answer->fields), err);
}

/* The keeper waits for one REPLY: what the first said, or why there is nothing. */
static bool answer(struct pull *p, struct channel *vault, const struct message *m, struct error *err)
{
    enum verb verb = (enum verb)fields_uint(m->fields, FIELD_TWIN_VERB, 0);
    struct writer w = writer_new(WIRE_FIELDS_MAX + 1024);
    struct error why = { .code = ERR_NONE };
    struct wire_header got = { .bytes = 0 };
    bool ok = p->link != NULL || connect_to_first(p, &why);

    ok = ok && exchange(p, verb, m->fields, &got, &why);
    if (ok) {
        p->told = false;
        field_put_uint(&w, FIELD_TWIN_VERB, got.bytes); /* first, so that nothing of the first's can stand in for it */
        write_span(&w, span_of(p->fields, got.fields));
    } else {
        hang_up(p);
        if (!p->told)
            log_warn(p->settings.log, "pull.failed", f_str("reason", error_name(why.code)), f_err(&why));
        p->told = true;
        field_put_uint(&w, FIELD_RESULT, why.code == ERR_NONE ? ERR_IO : why.code);
        field_put_str(&w, FIELD_ERROR_TEXT, why.text);
    }
    ok = writer_ok(&w, err, "answer") && channel_send(vault, VERB_REPLY, m->id, writer_span(&w), NULL, 0, err);
    writer_done(&w);
    return ok;
}

/* A keeper brings its buffer with its first question. */
static bool take_buffer(struct pull *p, struct message *m, struct error *err)
{
    int fd = m->fds[0];

    if (m->fd_count == 0)
        return p->buffer.ptr != NULL || error_set(err, ERR_MALFORMED, "FETCH without a buffer");
    m->fds[0] = -1;
    shared_buffer_done(&p->buffer);
    return shared_buffer_map(fd, &p->buffer, err);
}

bool pull_one(struct pull *p, struct channel *vault, int timeout_ms, struct error *err)
{
    struct message m;
    bool ok;

    if (!channel_receive(vault, p->message, sizeof p->message, &m, timeout_ms, err))
        return err->code == ERR_TIMEOUT;
    if (m.verb != VERB_FETCH || m.fields.len > WIRE_FIELDS_MAX) {
        message_done(&m);
        return error_set(err, ERR_MALFORMED, "verb %d where FETCH belongs", (int)m.verb);
    }
    ok = take_buffer(p, &m, err) && answer(p, vault, &m, err);
    message_done(&m);
    return ok;
}

/* ---- the role ---- */

struct pull_role {
    struct role role;
    struct channel vault;
    struct pull *pull;
};

/* False when it is time to go. */
static bool supervisor_says(struct pull_role *r, struct error *err)
{
    struct role_event e;

    if (!role_next(&r->role, 0, &e, err))
        return err->code == ERR_TIMEOUT;
    if (e.kind == ROLE_STOP)
        return error_set(err, ERR_CLOSED, "stopped");
    if (e.kind != ROLE_JOIN)
        return true;
    channel_close(&r->vault);
    r->vault = e.channel;
    return true;
}

static bool serve(struct pull_role *r, struct error *err)
{
    for (;;) {
        struct pollfd f[] = { { .fd = role_fd(&r->role), .events = POLLIN }, { .fd = r->vault.fd, .events = POLLIN } };

        if (poll(f, COUNT_OF(f), -1) < 0 && errno != EINTR)
            return error_errno(err, "poll");
        if (f[0].revents != 0 && !supervisor_says(r, err))
            return err->code == ERR_CLOSED;
        if (f[1].revents != 0 && !pull_one(r->pull, &r->vault, 0, err))
            channel_close(&r->vault); /* the vault is away: JOIN brings the next */
    }
}

int pull_role_run(int control_fd)
{
    struct pull_role r = { .vault = { -1 } };
    struct error err = { 0 };
    struct pull_settings settings = { .log = &r.role.log };
    bool ok;

    if (!role_begin(&r.role, "pull", control_fd, &err))
        return ROLE_EXIT_FAILED;
    settings.address = fields_text(r.role.fields, FIELD_TWIN);
    settings.key = settings.certificate = fields_text(r.role.fields, FIELD_TLS_PEM);
    ok = span_to_str(fields_text(r.role.fields, FIELD_CERTIFICATE), settings.pin, sizeof settings.pin)
         && (r.pull = pull_new(&settings, &err)) != NULL && sandbox_enter(SANDBOX_RELAY, NULL, &r.role.log, &err)
         && role_ready(&r.role, &err) && serve(&r, &err);
    if (!ok)
        log_error(&r.role.log, "role.failed", f_err(&err));
    pull_free(r.pull);
    channel_close(&r.vault);
    role_end(&r.role);
    return ok ? ROLE_EXIT_OK : ROLE_EXIT_FAILED;
}
