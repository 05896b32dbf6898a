/* One request and its answer. See exchange.h. */
#include "relay/exchange.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"

#define PIECE_BYTES 4096
/* Pieces read before the others have their turn. */
#define PIECES_PER_STEP 16

/* ---- destinations ---- */

/* The newest reason OpenSSL has, and an empty queue. */
static const char *ssl_reason(void)
{
    const unsigned long code = ERR_peek_last_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return text != NULL ? text : "no reason given";
}

static bool add_anchors(SSL_CTX *ctx, struct span pem, struct error *err)
{
    BIO *b = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    size_t count = 0;
    X509 *x;

    while (b != NULL && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_cert(store, x) == 1;
        X509_free(x);
    }
    BIO_free(b);
    ERR_clear_error(); /* the end of the file is an error to PEM_read_bio_X509() */
    return count > 0 || error_set(err, ERR_USAGE, "no certificate in PEM form");
}

static SSL_CTX *context_new(struct span ca, struct error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1) {
        (void)error_set(err, ERR_MEMORY, "TLS: %s", ssl_reason());
    } else if (add_anchors(ctx, ca, err)) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        /* A trust anchor need not be a root: a server's own certificate, pinned, is one. */
        (void)X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
        return ctx;
    }
    SSL_CTX_free(ctx);
    return NULL;
}

bool destination_init(struct destination *out, const struct http_url *url, const char *path_end,
                      const struct sockaddr_storage *address, struct span ca, struct error *err)
{
    struct destination d = { .url = *url, .path_end = path_end, .address = *address };

    if (url->tls && (d.tls = context_new(ca, err)) == NULL)
        return error_within(err, "ca");
    *out = d;
    return true;
}

void destination_done(struct destination *d)
{
    SSL_CTX_free(d->tls);
    d->tls = NULL;
}

/* ---- exchanges ---- */

enum phase { CONNECTS, SHAKES_HANDS, SENDS, READS };

struct exchange {
    const struct destination *to;
    enum phase phase;
    int fd;
    SSL *ssl; /* NULL for http:// */
    struct writer request;
    size_t sent;
    struct writer answer;
    uint64_t deadline_ms;
    short events;
};

static bool ssl_begin(struct exchange *x)
{
    const struct http_url *url = &x->to->url;
    X509_VERIFY_PARAM *param;

    x->ssl = SSL_new(x->to->tls);
    if (x->ssl == NULL || SSL_set_fd(x->ssl, x->fd) != 1)
        return false;
    param = SSL_get0_param(x->ssl);
    SSL_set_connect_state(x->ssl);
    if (url->numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(param, url->host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, url->host, 0) == 1 && SSL_set_tlsext_host_name(x->ssl, url->host) == 1;
}

static bool connect_begin(struct exchange *x, struct error *err)
{
    const struct sockaddr_storage *a = &x->to->address;
    const socklen_t len = a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    x->fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (x->fd < 0)
        return error_errno(err, "socket");
    if (connect(x->fd, (const struct sockaddr *)a, len) != 0 && errno != EINPROGRESS)
        return error_errno(err, "connecting");
    return x->to->tls == NULL || ssl_begin(x) || error_set(err, ERR_MEMORY, "TLS: %s", ssl_reason());
}

struct exchange *exchange_new(const struct destination *to, struct span content_type, struct span body, uint64_t now_ms,
                              struct error *err)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (x == NULL) {
        (void)error_set(err, ERR_MEMORY, "exchange");
        return NULL;
    }
    *x = (struct exchange){ .to = to,
                            .fd = -1,
                            .request = writer_new(body.len + 4096),
                            .answer = writer_new(HTTP_ANSWER_BYTES_MAX + PIECE_BYTES),
                            .deadline_ms = now_ms + EXCHANGE_MAX_MS,
                            .events = POLLOUT };
    http_post_write(&to->url, to->path_end, content_type, body, &x->request);
    if (writer_ok(&x->request, err, "request") && connect_begin(x, err))
        return x;
    exchange_free(x);
    return NULL;
}

void exchange_free(struct exchange *x)
{
    if (x == NULL)
        return;
    SSL_free(x->ssl);
    file_close(&x->fd);
    writer_done(&x->request);
    writer_done(&x->answer);
    free(x);
}

int exchange_fd(const struct exchange *x)
{
    return x->fd;
}

short exchange_events(const struct exchange *x)
{
    return x->events;
}

uint64_t exchange_deadline_ms(const struct exchange *x)
{
    return x->deadline_ms;
}

/* What a call that moved no byte means: wait, or failed. */
static enum exchange_progress ssl_waits(struct exchange *x, int result, struct error *err)
{
    const int why = SSL_get_error(x->ssl, result);
    const long verified = SSL_get_verify_result(x->ssl);

    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        x->events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        return EXCHANGE_WAITS;
    }
    if (verified != X509_V_OK)
        (void)error_set(err, ERR_REFUSED, "its certificate: %s", X509_verify_cert_error_string(verified));
    else
        (void)error_set(err, ERR_IO, "TLS: %s", ssl_reason());
    ERR_clear_error();
    return EXCHANGE_FAILED;
}

static enum exchange_progress socket_waits(struct exchange *x, short events, const char *what, struct error *err)
{
    if (errno == EAGAIN || errno == EINTR) {
        x->events = events;
        return EXCHANGE_WAITS;
    }
    (void)error_errno(err, "%s", what);
    return EXCHANGE_FAILED;
}

static enum exchange_progress step_connect(struct exchange *x, struct error *err)
{
    struct pollfd p = { .fd = x->fd, .events = POLLOUT };
    int fault = 0;
    socklen_t len = sizeof fault;

    if (poll(&p, 1, 0) == 0)
        return EXCHANGE_WAITS;
    if (getsockopt(x->fd, SOL_SOCKET, SO_ERROR, &fault, &len) != 0 || fault != 0) {
        errno = fault;
        (void)error_errno(err, "connecting");
        return EXCHANGE_FAILED;
    }
    x->phase = x->ssl != NULL ? SHAKES_HANDS : SENDS;
    return EXCHANGE_DONE;
}

static enum exchange_progress step_handshake(struct exchange *x, struct error *err)
{
    const int r = SSL_do_handshake(x->ssl);

    if (r != 1)
        return ssl_waits(x, r, err);
    x->phase = SENDS;
    return EXCHANGE_DONE;
}

static enum exchange_progress step_send(struct exchange *x, struct error *err)
{
    while (x->sent < x->request.len) {
        const size_t left = x->request.len - x->sent;
        size_t n = 0;

        if (x->ssl != NULL) {
            const int r = SSL_write_ex(x->ssl, x->request.ptr + x->sent, left, &n);

            if (r != 1)
                return ssl_waits(x, r, err);
        } else {
            const ssize_t r = send(x->fd, x->request.ptr + x->sent, left, MSG_NOSIGNAL);

            if (r < 0)
                return socket_waits(x, POLLOUT, "sending", err);
            n = (size_t)r;
        }
        x->sent += n;
    }
    x->phase = READS;
    x->events = POLLIN;
    return EXCHANGE_DONE;
}

/* *n bytes more; 0 with EXCHANGE_DONE: the other side has ended. */
static enum exchange_progress read_piece(struct exchange *x, uint8_t *piece, size_t *n, struct error *err)
{
    ssize_t r;
    int ssl;

    *n = 0;
    if (x->ssl != NULL) {
        ssl = SSL_read_ex(x->ssl, piece, PIECE_BYTES, n);
        if (ssl == 1)
            return EXCHANGE_DONE;
        return SSL_get_error(x->ssl, ssl) == SSL_ERROR_ZERO_RETURN ? EXCHANGE_DONE : ssl_waits(x, ssl, err);
    }
    r = recv(x->fd, piece, PIECE_BYTES, 0);
    if (r < 0)
        return socket_waits(x, POLLIN, "reading", err);
    *n = (size_t)r;
    return EXCHANGE_DONE;
}

static enum exchange_progress step_read(struct exchange *x, struct http_reply *reply, struct error *err)
{
    uint8_t piece[PIECE_BYTES];

    for (unsigned i = 0; i < PIECES_PER_STEP; i++) {
        size_t n;
        enum exchange_progress p = read_piece(x, piece, &n, err);

        if (p != EXCHANGE_DONE)
            return p;
        write_span(&x->answer, span_of(piece, n));
        if (!writer_ok(&x->answer, err, "HTTP answer"))
            return EXCHANGE_FAILED;
        switch (http_reply_parse(writer_span(&x->answer), n == 0, reply, err)) {
        case HTTP_DONE:
            return EXCHANGE_DONE;
        case HTTP_BROKEN:
            return EXCHANGE_FAILED;
        case HTTP_MORE:
            break;
        }
    }
    x->events = POLLIN | POLLOUT; /* TLS may hold bytes that the socket does not show: come back at once */
    return EXCHANGE_WAITS;
}

enum exchange_progress exchange_step(struct exchange *x, uint64_t now_ms, struct http_reply *reply, struct error *err)
{
    enum exchange_progress p = EXCHANGE_DONE;

    if (now_ms >= x->deadline_ms) {
        (void)error_set(err, ERR_TIMEOUT, "no whole answer within %d s", EXCHANGE_MAX_MS / 1000);
        return EXCHANGE_FAILED;
    }
    ERR_clear_error();
    if (x->phase == CONNECTS)
        p = step_connect(x, err);
    if (p == EXCHANGE_DONE && x->phase == SHAKES_HANDS)
        p = step_handshake(x, err);
    if (p == EXCHANGE_DONE && x->phase == SENDS)
        p = step_send(x, err);
    if (p == EXCHANGE_DONE && x->phase == READS)
        p = step_read(x, reply, err);
    return p;
}
