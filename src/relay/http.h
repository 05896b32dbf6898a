/*
 * HTTP/1.1 as a client that posts and reads one answer (RFC 9110, RFC 9112): where to, what is sent, what came back.
 *
 * Bytes in, values out. Who connects and waits is exchange.h. What is parsed borrows from its input.
 */
#ifndef FANAL_RELAY_HTTP_H
#define FANAL_RELAY_HTTP_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"

#define HTTP_URL_MAX          512
#define HTTP_HOST_SIZE        256
#define HTTP_HEAD_MAX         ((size_t)8 * 1024)  /* status line and header fields of an answer */
#define HTTP_ANSWER_BODY_MAX  ((size_t)48 * 1024) /* a token with a long certificate chain has 10 KiB */
#define HTTP_ANSWER_BYTES_MAX (HTTP_HEAD_MAX + 2 * HTTP_ANSWER_BODY_MAX) /* as sent: chunks of one byte pass no limit else */

struct http_url {
    bool tls;
    char host[HTTP_HOST_SIZE]; /* without brackets */
    bool numeric;
    uint16_t port;
    char path[HTTP_URL_MAX]; /* begins with / */
    struct sockaddr_storage address; /* where numeric: host and port */
};

/* http://… or https://…, no user, no fragment. ERR_USAGE says what is wrong. */
bool http_url_parse(struct span text, struct http_url *out, struct error *err);

/* "10.1.2.3" or "2001:db8::1" and a port; false where it is no address. */
bool http_address_parse(struct span text, uint16_t port, struct sockaddr_storage *out);

/* The whole request. path_end is put behind the URL's path ("" or "/add-checkpoint"). */
void http_post_write(const struct http_url *to, const char *path_end, struct span content_type, struct span body,
                     struct writer *w);

struct http_reply {
    unsigned status;
    struct span content_type; /* borrows from what was parsed; empty where there was none */
    struct writer body;       /* owned; http_reply_done() */
};

enum http_progress { HTTP_MORE, HTTP_DONE, HTTP_BROKEN };

/*
 * bytes: what has come so far, from the first; ended: nothing will follow. HTTP_DONE fills *out; HTTP_BROKEN with
 * ERR_MALFORMED, or ERR_LIMIT past a limit above.
 */
enum http_progress http_reply_parse(struct span bytes, bool ended, struct http_reply *out, struct error *err);
void http_reply_done(struct http_reply *r);

#endif
