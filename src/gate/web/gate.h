/*
 * What the web gate's files share: the gate, a connection with its vault session, a call being answered.
 *
 * A connection is used by its own thread only. The gate's lock guards the vault channel and what JOINs replace.
 */
#ifndef FANAL_GATE_WEB_GATE_H
#define FANAL_GATE_WEB_GATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "channel/session.h"
#include "gate/web/lens_pool.h"
#include "gate/web/server.h"

#define TOKEN_BYTES_MAX   64
#define COOKIE_NAME       "__Host-fanal"
#define USER_SIZE         256
#define REQUEST_BYTES_MAX ((size_t)64 * 1024) /* of a call on the vault */

struct gate {
    const struct log *log;     /* borrowed */
    const struct clock *clock; /* borrowed */
    const char *version;
    pthread_mutex_t lock;
    struct channel vault; /* the gate's own conversation; replaced when the vault is started again */
    bool vault_present;
    uint32_t next_id;
    struct lens_pool lenses;
    atomic_bool enrolled; /* an account exists: once true, for ever */
    atomic_bool stopping;
    atomic_bool sealed; /* nobody has opened the vault: the key is not the page's own, and there is one answer */
};

void gate_init(struct gate *g, const struct log *log, const struct clock *clock);
void gate_done(struct gate *g);

/* Takes over the channel of a JOIN. */
void gate_join_vault(struct gate *g, struct channel vault);

/* What is answered while the vault is sealed. */
void sealed_answer(struct gate *g, struct http_answer *a);

/* A FIND of the gate's own (tls-key, status): its only row, appended to *row. Any thread. */
bool gate_find_own(struct gate *g, const char *query, int timeout_ms, struct writer *row, struct error *err);

struct connection {
    struct gate *gate;
    char address[HTTP_ADDRESS_SIZE];
    struct session *session; /* NULL until a request needs it */
    bool admitted;           /* the token below was admitted on it */
    uint8_t token[TOKEN_BYTES_MAX];
    size_t token_len;
    char user[USER_SIZE], display_name[USER_SIZE], role[USER_SIZE];
    unsigned retry_after_s; /* what the vault said with its last ERR_BUSY; 0: nothing */
};

/* The bytes of the token admitted on this connection; borrowed. */
struct span connection_token(const struct connection *c);

/* One request being answered. */
struct call {
    struct gate *gate;
    struct connection *connection;
    const struct http_request *request;
    struct http_answer *answer;
    struct span parts[2]; /* what the pattern's stars stood for; borrowed from the path */
};

/* Fills c->answer, or false with what is wrong: answered by call_fail(). */
typedef bool call_handler(struct call *c, struct error *err);

/* ---- sessions (session_of.c) ---- */

/*
 * ADMITs on a fresh vault session: `who` is a field list. On success *reply borrows until the next call on the session,
 * and the connection holds the token that came with it (or was sent). ERR_REFUSED: wrong, ERR_BUSY: too many tries.
 */
bool connection_admit(struct connection *c, struct span who, struct span *reply, struct error *err);

/* Makes the request's cookie the connection's admitted token. ERR_REFUSED where there is none or it is worth nothing.
 */
bool call_sign_in_by_cookie(struct call *c, struct error *err);

/* Forgets session and token. */
void connection_forget(struct connection *c);

/* A request on the vault with the token in it; writer_done() it. */
struct writer call_request(const struct call *c);

/* ---- answers (answer.c) ---- */

/* 200 with a JSON body begun; end it with the closing bracket. */
struct json call_json(struct call *c, unsigned status);
/* The JSON error of docs/web-api.md for a status. */
void answer_error(struct http_answer *a, unsigned status, const char *code, const char *text);
/* The same for a failure of a call. */
void call_fail(struct call *c, const struct error *err);

/* Query parameter as a span (empty where absent), as a number (fallback where absent or none). */
struct span call_text(const struct call *c, const char *name);
uint64_t call_number(const struct call *c, const char *name, uint64_t fallback);
/* A decimal of at most 19 digits, nothing else. */
bool number_of(struct span digits, uint64_t *out);

/* ---- handlers, by file ---- */

call_handler handle_start, handle_enrol, handle_sign_in, handle_sign_out; /* sign_in.c */
call_handler handle_patients, handle_patient, handle_observations, handle_series, handle_instances, handle_instance,
    handle_sources, handle_attention, handle_journal, handle_status; /* records.c */
call_handler handle_frame, handle_rendered;                          /* frames.c */
call_handler handle_document;                                        /* documents.c */
call_handler handle_news;                                            /* news.c */
call_handler handle_page;                                            /* page.c */

/* Finds the route, checks what it asks for, runs it, logs it (routes.c). */
void gate_answer(void *gate, void *connection, const struct http_request *r, struct http_answer *a);
/* True for a Host header that no other site can have made a browser send: an address, or localhost. */
bool host_is_ours(const char *host);

#endif
