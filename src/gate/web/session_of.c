/*
 * A connection's session with the vault: opened when first needed, admitted once for a token.
 *
 * The vault authorises; the gate only carries the token from the cookie to each call.
 */
#include <poll.h>

#include "base/cleanup.h"
#include "gate/web/gate.h"

#define RETRY_AFTER_MAX_S 3600u

struct span connection_token(const struct connection *c)
{
    return span_of(c->token, c->token_len);
}

void connection_forget(struct connection *c)
{
    session_free(c->session);
    c->session = NULL;
    c->admitted = false;
    c->token_len = 0;
    c->user[0] = c->display_name[0] = c->role[0] = '\0';
}

static bool session_open(struct connection *c, struct error *err)
{
    struct gate *g = c->gate;
    int fd = -1;

    connection_forget(c);
    (void)pthread_mutex_lock(&g->lock);
    if (g->vault_present)
        fd = session_open_fd(&g->vault, PROCESS_WEB_REQUEST, span_str(c->address), err);
    else
        (void)error_set(err, ERR_CLOSED, "the vault is not there");
    (void)pthread_mutex_unlock(&g->lock);
    if (fd < 0)
        return false;
    c->session = session_attach(fd, err);
    return c->session != NULL;
}

/* A name that does not fit is no name of an account (vault.h: 128 bytes). */
static void keep_text(struct span fields, enum field f, char out[USER_SIZE])
{
    (void)span_to_str(fields_text(fields, f), out, USER_SIZE);
}

bool connection_admit(struct connection *c, struct span who, struct span *reply, struct error *err)
{
    struct span token;

    if (!session_open(c, err))
        return false;
    if (!session_call(c->session, VERB_ADMIT, who, reply, err)) {
        uint64_t wait_s = fields_uint(*reply, FIELD_AFTER, 0);

        c->retry_after_s = wait_s < RETRY_AFTER_MAX_S ? (unsigned)wait_s : RETRY_AFTER_MAX_S;
        connection_forget(c);
        return false;
    }
    token = fields_text(*reply, FIELD_TOKEN);
    if (token.len == 0)
        token = fields_text(who, FIELD_TOKEN);
    if (token.len == 0 || token.len > TOKEN_BYTES_MAX) {
        connection_forget(c);
        return error_set(err, ERR_MALFORMED, "the vault admitted without a token");
    }
    memcpy(c->token, token.ptr, token.len);
    c->token_len = token.len;
    keep_text(*reply, FIELD_USER, c->user);
    keep_text(*reply, FIELD_DISPLAY_NAME, c->display_name);
    keep_text(*reply, FIELD_ROLE, c->role);
    c->admitted = true;
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The cookie's value: the token in lower-case hexadecimal. */
static bool read_cookie(const char *text, uint8_t out[TOKEN_BYTES_MAX], size_t *len)
{
    size_t digits = text != NULL ? strlen(text) : 0;

    if (digits == 0 || digits % 2 != 0 || digits / 2 > TOKEN_BYTES_MAX)
        return false;
    for (size_t i = 0; i < digits; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    *len = digits / 2;
    return true;
}

/* The vault ended the conversation (it was started again): the next call needs a new one. */
static bool session_is_gone(const struct connection *c)
{
    struct pollfd p = { .fd = session_fd(c->session) };

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

bool call_sign_in_by_cookie(struct call *c, struct error *err)
{
    struct connection *n = c->connection;
    CLEANUP(writer_done) struct writer who = writer_new(REQUEST_BYTES_MAX);
    uint8_t token[TOKEN_BYTES_MAX];
    struct span reply;
    size_t len;

    if (!read_cookie(http_cookie(c->request, COOKIE_NAME), token, &len))
        return error_set(err, ERR_REFUSED, "not signed in");
    if (n->session != NULL && n->admitted && span_equal(span_of(token, len), connection_token(n))
        && !session_is_gone(n))
        return true;
    field_put_bytes(&who, FIELD_TOKEN, span_of(token, len));
    return writer_ok(&who, err, "request") && connection_admit(n, writer_span(&who), &reply, err);
}

struct writer call_request(const struct call *c)
{
    struct writer w = writer_new(REQUEST_BYTES_MAX);

    field_put_bytes(&w, FIELD_TOKEN, connection_token(c->connection));
    return w;
}
