/*
 * What is new, as server-sent events (HTML Living Standard §9.2): one stream a browser, fed by WATCH on its session.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "gate/web/gate.h"
#include "gate/web/json_out.h"

#define NEWS_STEP_MS       1000 /* how soon a stop of the gate is noticed */
#define NEWS_COMMENT_STEPS 15   /* docs/web-api.md: a comment line every 15 s */
#define NEWS_BYTES_MAX     ((size_t)64 * 1024)

struct news {
    struct connection *connection;
    struct writer event; /* being sent */
    size_t sent;
    unsigned quiet; /* steps without a word */
};

static void write_event(struct news *n, struct span fields)
{
    struct json j = json_into(&n->event);

    write_str(&n->event, "event: news\ndata: ");
    json_begin(&j, '{');
    json_fields(&j, fields, NULL);
    json_end(&j, '}');
    write_str(&n->event, "\n\n");
}

/* False at the end: the vault is gone, the session ended, or the gate stops. */
static bool next_event(struct news *n)
{
    struct span fields;
    struct error err;

    writer_reset(&n->event);
    n->sent = 0;
    if (atomic_load(&n->connection->gate->stopping))
        return false;
    if (session_news(n->connection->session, NEWS_STEP_MS, &fields, &err)) {
        write_event(n, fields);
        n->quiet = 0;
    } else if (err.code != ERR_TIMEOUT) {
        return false;
    } else if (++n->quiet >= NEWS_COMMENT_STEPS) {
        write_str(&n->event, ": still here\n\n");
        n->quiet = 0;
    }
    return !n->event.failed;
}

static long news_read(void *context, uint8_t *out, size_t cap)
{
    struct news *n = context;
    struct span rest;

    if (n->sent == n->event.len && !next_event(n))
        return -1;
    rest = span_part(writer_span(&n->event), n->sent, cap);
    if (rest.len > 0)
        memcpy(out, rest.ptr, rest.len);
    n->sent += rest.len;
    return (long)rest.len;
}

/* The session goes too: it watches, and nobody listens any more. */
static void news_free(void *context)
{
    struct news *n = context;

    connection_forget(n->connection);
    writer_done(&n->event);
    free(n);
}

bool handle_news(struct call *c, struct error *err)
{
    CLEANUP(writer_done) struct writer request = call_request(c);
    struct span reply;
    struct news *n;

    if (!writer_ok(&request, err, "request")
        || !session_call(c->connection->session, VERB_WATCH, writer_span(&request), &reply, err))
        return false;
    n = calloc(1, sizeof *n);
    if (n == NULL)
        return error_set(err, ERR_MEMORY, "news");
    n->connection = c->connection;
    n->event = writer_new(NEWS_BYTES_MAX);
    write_str(&n->event, ": hello\n\n"); /* the page knows at once that it listens */
    c->answer->status = 200;
    http_answer_header(c->answer, "Content-Type", "text/event-stream");
    http_answer_header(c->answer, "Cache-Control", "no-store");
    c->answer->stream = (struct http_stream){ news_read, news_free, n };
    return true;
}
