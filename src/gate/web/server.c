/* HTTPS through libmicrohttpd and GnuTLS. See server.h. */
#include "gate/web/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

/* TLS 1.2 and 1.3 with ephemeral keys and AEAD, nothing else (GnuTLS priority string). */
#define TLS_PRIORITIES                                                                                                 \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA:-CIPHER-ALL:"                          \
    "+AES-256-GCM:+AES-128-GCM:+CHACHA20-POLY1305:-MAC-ALL:+AEAD:%SERVER_PRECEDENCE"
#define STREAM_BLOCK 4096
/* Of a chunked body that is too long we read so much, to answer; then the connection is closed. */
#define DROPPED_MAX ((size_t)256 * 1024)

struct http_server {
    struct MHD_Daemon *daemon;
    const struct http_handler *handler;
    void *context; /* the handler's */
    bool any_type;
};

struct http_request {
    struct MHD_Connection *connection;
    const char *method, *path;
    struct writer body;
    unsigned refused; /* status that the body earned; 0: none */
    size_t dropped;   /* bytes of a body that has earned it */
};

/* ---- what a handler asks of a request ---- */

const char *http_method(const struct http_request *r)
{
    return strcmp(r->method, MHD_HTTP_METHOD_HEAD) == 0 ? MHD_HTTP_METHOD_GET : r->method;
}

const char *http_path(const struct http_request *r)
{
    return r->path;
}

struct span http_body(const struct http_request *r)
{
    return writer_span(&r->body);
}

const char *http_query(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *http_cookie(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, name);
}

void http_answer_header(struct http_answer *a, const char *name, const char *format, ...)
{
    va_list args;
    int n;

    assert(a->header_count < HTTP_HEADERS_MAX);
    va_start(args, format);
    n = vsnprintf(a->headers[a->header_count].value, sizeof a->headers[0].value, format, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof a->headers[0].value);
    a->headers[a->header_count++].name = name;
}

/* ---- answers ---- */

/* On every answer (docs/web-api.md). */
static const char *const headers_of_all[][2] = {
    { "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
      "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
    { "X-Content-Type-Options", "nosniff" },
    { "Referrer-Policy", "no-referrer" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Strict-Transport-Security", "max-age=31536000" },
};

struct mapping {
    void *ptr;
    size_t len;
};

static void mapping_free(void *context)
{
    struct mapping *m = context;

    (void)munmap(m->ptr, m->len);
    free(m);
}

static ssize_t stream_read(void *context, uint64_t position, char *out, size_t cap)
{
    struct http_stream *s = context;
    long n = s->read(s->context, (uint8_t *)out, cap);

    (void)position;
    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)n;
}

static void stream_free(void *context)
{
    struct http_stream *s = context;

    s->free(s->context);
    free(s);
}

static struct MHD_Response *response_of_mapping(struct http_answer *a)
{
    struct mapping *m = malloc(sizeof *m);
    struct MHD_Response *response;

    if (m == NULL)
        return NULL;
    *m = (struct mapping){ a->mapped, a->mapped_len };
    response = MHD_create_response_from_buffer_with_free_callback_cls(a->mapped_used, a->mapped, mapping_free, m);
    if (response == NULL)
        free(m);
    else
        a->mapped = NULL;
    return response;
}

static struct MHD_Response *response_of_stream(struct http_answer *a)
{
    struct http_stream *s = malloc(sizeof *s);
    struct MHD_Response *response;

    if (s == NULL)
        return NULL;
    *s = a->stream;
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, s, stream_free);
    if (response == NULL)
        free(s);
    else
        a->stream.read = NULL;
    return response;
}

static struct MHD_Response *response_of_body(struct http_answer *a)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(a->body.len, a->body.ptr, MHD_RESPMEM_MUST_FREE);

    if (response != NULL)
        a->body = writer_new(0); /* the response owns the bytes now */
    return response;
}

static struct MHD_Response *response_of(struct http_answer *a)
{
    if (a->stream.read != NULL)
        return response_of_stream(a);
    if (a->mapped != NULL)
        return response_of_mapping(a);
    if (a->constant.len > 0)
        return MHD_create_response_from_buffer(a->constant.len, (void *)(uintptr_t)a->constant.ptr,
                                               MHD_RESPMEM_PERSISTENT);
    return response_of_body(a);
}

static void answer_done(struct http_answer *a)
{
    writer_done(&a->body);
    if (a->mapped != NULL)
        (void)munmap(a->mapped, a->mapped_len);
    if (a->stream.read != NULL)
        a->stream.free(a->stream.context);
}

static enum MHD_Result send_answer(struct MHD_Connection *c, struct http_answer *a)
{
    struct MHD_Response *response = response_of(a);
    enum MHD_Result result = MHD_YES;

    for (size_t i = 0; response != NULL && i < COUNT_OF(headers_of_all); i++)
        if (MHD_add_response_header(response, headers_of_all[i][0], headers_of_all[i][1]) != MHD_YES)
            result = MHD_NO;
    for (size_t i = 0; response != NULL && i < a->header_count; i++)
        if (MHD_add_response_header(response, a->headers[i].name, a->headers[i].value) != MHD_YES)
            result = MHD_NO;
    if (response == NULL || result != MHD_YES) /* no memory: the connection ends without an answer */
        result = MHD_NO;
    else
        result = MHD_queue_response(c, a->status, response);
    if (response != NULL)
        MHD_destroy_response(response);
    answer_done(a);
    return result;
}

/* ---- requests ---- */

/*
 * What a request's headers say against its body: compressed ones are refused (a small body may become a huge one),
 * others than JSON too, and what is too long before a byte of it is read.
 */
static unsigned body_fault(struct MHD_Connection *c, bool any_type)
{
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *encoding = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_ENCODING);
    const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *chunked = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    unsigned long long bytes = length != NULL ? strtoull(length, NULL, 10) : 0;

    if (encoding != NULL && strcasecmp(encoding, "identity") != 0)
        return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    if (bytes > HTTP_BODY_MAX)
        return MHD_HTTP_CONTENT_TOO_LARGE;
    if (!any_type && (bytes > 0 || chunked != NULL) && (type == NULL || strncasecmp(type, "application/json", 16) != 0))
        return MHD_HTTP_UNSUPPORTED_MEDIA_TYPE;
    return 0;
}

static void *connection_state(struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

static enum MHD_Result refuse(struct http_server *s, struct MHD_Connection *c, unsigned status)
{
    struct http_answer a = { .status = status, .body = writer_new(HTTP_ANSWER_MAX) };

    s->handler->refuse(s->context, status, &a);
    http_answer_header(&a, MHD_HTTP_HEADER_CONNECTION, "close"); /* what follows on it is the body, unread */
    return send_answer(c, &a);
}

static enum MHD_Result begin(struct http_server *s, struct MHD_Connection *c, const char *method, const char *path,
                             void **state)
{
    struct http_request *r;
    unsigned fault = body_fault(c, s->any_type);

    if (fault != 0)
        return refuse(s, c, fault);
    r = calloc(1, sizeof *r);
    if (r == NULL)
        return MHD_NO;
    *r = (struct http_request){ .connection = c, .method = method, .path = path, .body = writer_new(HTTP_BODY_MAX) };
    *state = r;
    return MHD_YES;
}

/* libmicrohttpd calls this once for the headers, once for each piece of a body, and once at its end. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *c, const char *path, const char *method,
                                  const char *version, const char *upload, size_t *upload_len, void **state)
{
    struct http_server *s = context;
    struct http_request *r = *state;
    struct http_answer a = { .status = MHD_HTTP_INTERNAL_SERVER_ERROR, .body = writer_new(HTTP_ANSWER_MAX) };

    (void)version;
    if (r == NULL)
        return begin(s, c, method, path, state);
    if (*upload_len > 0) {
        write_span(&r->body, span_of(upload, *upload_len));
        if (r->body.failed) { /* a chunked body grew past its bound */
            r->refused = MHD_HTTP_CONTENT_TOO_LARGE;
            r->dropped += *upload_len;
        }
        *upload_len = 0;
        return r->dropped > DROPPED_MAX ? MHD_NO : MHD_YES;
    }
    if (r->refused != 0)
        return refuse(s, c, r->refused);
    s->handler->answer(s->context, connection_state(c), r, &a);
    return send_answer(c, &a);
}

static void on_completed(void *context, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    struct http_request *r = *state;

    (void)context;
    (void)c;
    (void)why;
    if (r == NULL)
        return;
    writer_done(&r->body);
    free(r);
    *state = NULL;
}

/* The other side's numeric address, an IPv4 one in its own form also when the socket is IPv6. */
static void address_of(struct MHD_Connection *c, char out[HTTP_ADDRESS_SIZE])
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *a = info != NULL ? info->client_addr : NULL;
    char text[HTTP_ADDRESS_SIZE] = "";

    if (a != NULL && a->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a)->sin_addr, text, sizeof text);
    else if (a != NULL && a->sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr, text, sizeof text);
    (void)snprintf(out, HTTP_ADDRESS_SIZE, "%s", strncmp(text, "::ffff:", 7) == 0 ? &text[7] : text);
}

static void on_connection(void *context, struct MHD_Connection *c, void **state,
                          enum MHD_ConnectionNotificationCode code)
{
    struct http_server *s = context;
    char address[HTTP_ADDRESS_SIZE];

    switch (code) {
    case MHD_CONNECTION_NOTIFY_STARTED:
        address_of(c, address);
        *state = s->handler->opened(s->context, address);
        break;
    case MHD_CONNECTION_NOTIFY_CLOSED:
        if (*state != NULL)
            s->handler->closed(s->context, *state);
        *state = NULL;
        break;
    }
}

/* A path or query that holds an escaped NUL stays as it came: a C string would end there, and name something else. */
static size_t on_unescape(void *context, struct MHD_Connection *c, char *text)
{
    (void)context;
    (void)c;
    return strstr(text, "%00") != NULL ? strlen(text) : MHD_http_unescape(text);
}

struct http_server *http_server_start(int listen_fd, const struct http_settings *settings,
                                      const struct http_handler *handler, void *context, struct error *err)
{
    struct http_server *s = calloc(1, sizeof *s);

    if (s == NULL) {
        (void)close(listen_fd);
        (void)error_set(err, ERR_MEMORY, "HTTPS server");
        return NULL;
    }
    s->handler = handler;
    s->context = context;
    s->any_type = settings->any_type;
    s->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_TLS | MHD_USE_ITC, 0,
        NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_HTTPS_MEM_KEY, settings->key,
        MHD_OPTION_HTTPS_MEM_CERT, settings->certificate, MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES,
        MHD_OPTION_CONNECTION_LIMIT, settings->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        settings->connections_per_address_max, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_HEADER_BYTES_MAX, MHD_OPTION_THREAD_STACK_SIZE, HTTP_STACK_BYTES,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_END);
    if (s->daemon == NULL) {
        (void)close(listen_fd);
        free(s);
        (void)error_set(err, ERR_IO, "the HTTPS server could not start");
        return NULL;
    }
    return s;
}

void http_server_stop(struct http_server *s)
{
    MHD_stop_daemon(s->daemon);
    free(s);
}
