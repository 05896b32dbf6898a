/*
 * Routes as a table (docs/web-api.md), and what every request is held to before its handler runs.
 */
#include "gate/web/gate.h"

#include <arpa/inet.h>
#include <strings.h>

enum access {
    ANYBODY,   /* before sign-in too */
    SIGNED_IN, /* the cookie is admitted by the vault first */
};

struct route {
    const char *method;
    const char *pattern; /* a star is one part of the path */
    enum access access;
    call_handler *handler;
};

static const struct route routes[] = {
    { "GET", "/api/start", ANYBODY, handle_start },
    { "POST", "/api/enrol", ANYBODY, handle_enrol },
    { "POST", "/api/sign-in", ANYBODY, handle_sign_in },
    { "POST", "/api/sign-out", SIGNED_IN, handle_sign_out },
    { "GET", "/api/sources", SIGNED_IN, handle_sources },
    { "GET", "/api/patients", SIGNED_IN, handle_patients },
    { "GET", "/api/patients/*", SIGNED_IN, handle_patient },
    { "GET", "/api/patients/*/observations", SIGNED_IN, handle_observations },
    { "GET", "/api/studies/*/series", SIGNED_IN, handle_series },
    { "GET", "/api/series/*/instances", SIGNED_IN, handle_instances },
    { "GET", "/api/instances/*", SIGNED_IN, handle_instance },
    { "GET", "/api/instances/*/frames/*", SIGNED_IN, handle_frame },
    { "GET", "/api/instances/*/rendered", SIGNED_IN, handle_rendered },
    { "GET", "/api/observations/*/document", SIGNED_IN, handle_document },
    { "GET", "/api/attention", SIGNED_IN, handle_attention },
    { "GET", "/api/journal", SIGNED_IN, handle_journal },
    { "GET", "/api/status", SIGNED_IN, handle_status },
    { "GET", "/api/news", SIGNED_IN, handle_news },
    { "GET", "/", ANYBODY, handle_page },
    { "GET", "/*", ANYBODY, handle_page },
    { "GET", "/assets/*", ANYBODY, handle_page },
};

/* Cuts the part before the next slash off the front of *path. */
static struct span next_part(struct span *path)
{
    struct span part = span_part(*path, 0, span_index(*path, '/'));

    *path = span_part(*path, part.len + 1, path->len);
    return part;
}

static bool matches(const char *pattern, struct span path, struct span parts[2])
{
    struct span want = span_str(pattern);
    size_t stars = 0, slashes = 0;

    for (size_t i = 0; i < want.len; i++)
        slashes += want.ptr[i] == '/';
    for (size_t i = 0; i < path.len; i++)
        slashes -= path.ptr[i] == '/';
    if (slashes != 0)
        return false;
    while (want.len > 0) {
        struct span w = next_part(&want), p = next_part(&path);

        if (!span_equal(w, SPAN_LIT("*"))) {
            if (!span_equal(w, p))
                return false;
        } else if (p.len == 0) {
            return false;
        } else if (stars < 2) {
            parts[stars++] = p;
        }
    }
    return path.len == 0;
}

/* *known: the path is one of ours, whatever the method. */
static const struct route *find_route(const char *method, struct span path, struct span parts[2], bool *known)
{
    *known = false;
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (matches(routes[i].pattern, path, parts)) {
            *known = true;
            if (strcmp(method, routes[i].method) == 0)
                return &routes[i];
        }
    return NULL;
}

/*
 * A page of another site reaches us by making its own name resolve to our address (DNS rebinding): then Host is that
 * name. Addresses and localhost cannot be such names.
 */
bool host_is_ours(const char *host)
{
    struct span h = host != NULL ? span_str(host) : span_of(NULL, 0);
    char name[HTTP_ADDRESS_SIZE];
    struct in6_addr address;

    if (h.len > 0 && h.ptr[0] == '[') {
        size_t end = span_index(h, ']');

        return span_to_str(span_part(h, 1, end - 1), name, sizeof name) && end < h.len
               && inet_pton(AF_INET6, name, &address) == 1;
    }
    if (!span_to_str(span_part(h, 0, span_index(h, ':')), name, sizeof name))
        return false;
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &address) == 1;
}

/* What another site's page can make a browser send is refused before anything is looked at. */
static bool is_from_our_page(const struct http_request *r, struct error *err)
{
    const char *site = http_header(r, "Sec-Fetch-Site");

    if (!host_is_ours(http_header(r, "Host")))
        return error_set(err, ERR_USAGE, "this name is not Fanal's");
    if (strcmp(http_method(r), "GET") == 0)
        return true;
    if (http_header(r, "X-Fanal") == NULL || strcmp(http_header(r, "X-Fanal"), "1") != 0)
        return error_set(err, ERR_REFUSED, "the X-Fanal header is missing");
    if (site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return error_set(err, ERR_REFUSED, "a request of another site");
    return true;
}

/* The vault said no: because the token is worth nothing any more, or because this user may not. */
static void fail_refused(struct call *c, const struct error *err)
{
    struct error why = { 0 };

    c->connection->admitted = false;
    if (!call_sign_in_by_cookie(c, &why) && why.code == ERR_REFUSED)
        answer_error(c->answer, 401, "signed-out", "sign in again");
    else
        call_fail(c, err);
}

static void run_route(struct call *c, const struct route *route)
{
    struct error err = { 0 };

    if (!is_from_our_page(c->request, &err)) {
        call_fail(c, &err);
    } else if (route->access == SIGNED_IN && !call_sign_in_by_cookie(c, &err)) {
        if (err.code == ERR_REFUSED)
            answer_error(c->answer, 401, "signed-out", "sign in first");
        else
            call_fail(c, &err);
    } else if (!route->handler(c, &err)) {
        if (route->access == SIGNED_IN && err.code == ERR_REFUSED)
            fail_refused(c, &err);
        else
            call_fail(c, &err);
    }
    if (c->answer->body.failed)
        answer_error(c->answer, 500, "limit", "the answer is too large");
}

void gate_answer(void *gate, void *connection, const struct http_request *r, struct http_answer *a)
{
    struct call c = { .gate = gate, .connection = connection, .request = r, .answer = a };
    uint64_t began = clock_monotonic_ms(c.gate->clock);
    bool known;
    const struct route *route = find_route(http_method(r), span_str(http_path(r)), c.parts, &known);

    if (atomic_load(&c.gate->sealed)) {
        sealed_answer(c.gate, a);
        route = NULL;
    } else if (connection == NULL)
        answer_error(a, 503, "memory", "no memory for this connection");
    else if (route != NULL)
        run_route(&c, route);
    else if (known)
        answer_error(a, 405, "method", "this path takes another method");
    else
        answer_error(a, 404, "not-found", "there is nothing under this path");
    log_info(c.gate->log, "web.request", f_str("route", route != NULL ? route->pattern : "none"),
             f_uint("status", a->status), f_uint("ms", clock_monotonic_ms(c.gate->clock) - began));
}
