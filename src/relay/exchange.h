/*
 * One request and its answer with a server outside: connect, TLS, send, read, within one deadline.
 *
 * Nothing here waits: whoever has several under way polls exchange_fd() for exchange_events() and calls
 * exchange_step(). The server is a stranger: it may be slow, endless or silent, and costs what http.h allows, no more.
 */
#ifndef FANAL_RELAY_EXCHANGE_H
#define FANAL_RELAY_EXCHANGE_H

#include <openssl/ssl.h>

#include "relay/http.h"

/* From connect to the last byte of the answer. A TSA answers within a second, a witness waits for one commit. */
#define EXCHANGE_MAX_MS 15000

struct destination {
    struct http_url url;
    const char *path_end;            /* constant: "" or "/add-checkpoint" */
    struct sockaddr_storage address; /* where to connect; the URL's host is who must answer */
    SSL_CTX *tls;                    /* owned; NULL for http:// */
};

/*
 * ca: PEM, the trust anchors of an https:// URL (a self-signed certificate of the server itself is one). TLS 1.2 and
 * later; the server's certificate must name the URL's host.
 */
bool destination_init(struct destination *out, const struct http_url *url, const char *path_end,
                      const struct sockaddr_storage *address, struct span ca, struct error *err);
void destination_done(struct destination *d);

struct exchange;

/* to is borrowed. NULL with ERR_MEMORY or ERR_IO. */
struct exchange *exchange_new(const struct destination *to, struct span content_type, struct span body, uint64_t now_ms,
                              struct error *err);
void exchange_free(struct exchange *x); /* NULL allowed; ends it wherever it is */

int exchange_fd(const struct exchange *x);
short exchange_events(const struct exchange *x);
uint64_t exchange_deadline_ms(const struct exchange *x);

enum exchange_progress { EXCHANGE_WAITS, EXCHANGE_DONE, EXCHANGE_FAILED };

/*
 * Goes on as far as it can. EXCHANGE_DONE: *reply is filled, and borrows from x; its body is the caller's.
 * EXCHANGE_FAILED: ERR_TIMEOUT, ERR_IO, ERR_REFUSED (its certificate is not believed), ERR_MALFORMED, ERR_LIMIT.
 */
enum exchange_progress exchange_step(struct exchange *x, uint64_t now_ms, struct http_reply *reply, struct error *err);

#endif
