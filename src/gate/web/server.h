/*
 * HTTPS, behind one file: TLS, connections, request lines, bodies in and out. The rest of the gate knows only this.
 *
 * Each connection has a thread of its own; answer() runs on it, blocking. What is refused before a handler may
 * see it: too many connections in all or from one address, bodies that are too long, compressed or not JSON.
 */
#ifndef FANAL_GATE_WEB_SERVER_H
#define FANAL_GATE_WEB_SERVER_H

#include "base/error.h"
#include "base/writer.h"

/* Largest body a page sends: a few short texts. */
#define HTTP_BODY_MAX ((size_t)16 * 1024)
/* Largest answer that is put together in memory: a page of 1000 rows of a busy patient. */
#define HTTP_ANSWER_MAX   ((size_t)64 * 1024 * 1024)
#define HTTP_HEADERS_MAX  10
#define HTTP_ADDRESS_SIZE 46 /* INET6_ADDRSTRLEN */
/* A connection that says nothing for so long is closed. The news stream speaks every 15 s. */
#define HTTP_IDLE_S 60
/* What one connection may hold of headers, and its thread's stack. */
#define HTTP_HEADER_BYTES_MAX ((size_t)32 * 1024)
#define HTTP_STACK_BYTES      ((size_t)512 * 1024)

struct http_request; /* borrowed during answer() */

const char *http_method(const struct http_request *r); /* HEAD comes as GET */
const char *http_path(const struct http_request *r);   /* percent-decoded, without the query */
struct span http_body(const struct http_request *r);
/* NULL where there is none. */
const char *http_query(const struct http_request *r, const char *name);
const char *http_header(const struct http_request *r, const char *name);
const char *http_cookie(const struct http_request *r, const char *name);

/* A body that is made while it is sent. */
struct http_stream {
    /* Up to cap bytes into out, waiting for them; 0: a moment passed without any; -1: the end. */
    long (*read)(void *context, uint8_t *out, size_t cap);
    void (*free)(void *context);
    void *context;
};

struct http_answer {
    unsigned status;
    struct writer body; /* owned by the answer */
    struct {
        const char *name; /* constant */
        char value[512];
    } headers[HTTP_HEADERS_MAX];
    size_t header_count;
    struct span constant;      /* instead of body: bytes that live as long as the process */
    void *mapped;              /* instead of body: a mapping that the answer owns … */
    size_t mapped_len;         /* … unmapped whole … */
    size_t mapped_used;        /* … of which so much is sent */
    struct http_stream stream; /* instead of body where .read is set; owned */
};

/* A header that is too long or one too many is left out (and asserts: the names and values are ours). */
void http_answer_header(struct http_answer *a, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct http_handler {
    /* A connection began; its own state, or NULL to refuse it. */
    void *(*opened)(void *context, const char *address);
    void (*closed)(void *context, void *connection);
    /* Always fills *a; status 500 where memory ran out. */
    void (*answer)(void *context, void *connection, const struct http_request *r, struct http_answer *a);
    /* What a body that is refused unread is answered: 413 or 415. */
    void (*refuse)(void *context, unsigned status, struct http_answer *a);
};

struct http_settings {
    const char *key, *certificate; /* PEM; borrowed while the server runs */
    unsigned connections_max, connections_per_address_max;
    bool any_type; /* of a body; else only JSON */
};

struct http_server;

/* Serves on a listening socket, which it takes over; context goes to the handler. Threads start at once. */
struct http_server *http_server_start(int listen_fd, const struct http_settings *settings,
                                      const struct http_handler *handler, void *context, struct error *err);
/* Waits for the threads; streams must end by themselves within a moment. */
void http_server_stop(struct http_server *s);

#endif
