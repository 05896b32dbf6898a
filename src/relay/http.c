/* HTTP/1.1 for one request. See http.h. */
#include "relay/http.h"

#include <arpa/inet.h>
#include <strings.h>

/* ---- where to ---- */

static bool port_parse(struct span text, uint16_t *out)
{
    unsigned n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || i == 5)
            return false;
        n = n * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *out = (uint16_t)n;
    return n > 0 && n <= UINT16_MAX;
}

/* What a host name or a path may hold: nothing that could end the line it is written into. */
static bool is_plain(struct span s, const char *also)
{
    for (size_t i = 0; i < s.len; i++) {
        const uint8_t c = s.ptr[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!letter && (c == 0 || strchr(also, c) == NULL))
            return false;
    }
    return s.len > 0;
}

bool http_address_parse(struct span text, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    char name[INET6_ADDRSTRLEN];

    if (!span_to_str(text, name, sizeof name))
        return false;
    if (inet_pton(AF_INET, name, &v4.sin_addr) == 1) {
        memcpy(out, &v4, sizeof v4);
        return true;
    }
    if (inet_pton(AF_INET6, name, &v6.sin6_addr) != 1)
        return false;
    memcpy(out, &v6, sizeof v6);
    return true;
}

/* host, host:port, [v6], [v6]:port */
static bool authority_parse(struct span text, struct http_url *u)
{
    const bool v6 = text.len > 0 && text.ptr[0] == '[';
    const size_t end = v6 ? span_index(text, ']') : span_index(text, ':');
    struct span host = v6 ? span_part(text, 1, end - 1) : span_part(text, 0, end);
    struct span port = span_part(text, v6 ? end + 1 : end, text.len);

    if ((v6 && end == text.len) || !is_plain(host, v6 ? ":." : "-.") || !span_to_str(host, u->host, sizeof u->host))
        return false;
    u->port = u->tls ? 443 : 80;
    if (port.len > 0 && (port.ptr[0] != ':' || !port_parse(span_part(port, 1, port.len), &u->port)))
        return false;
    u->numeric = http_address_parse(span_str(u->host), u->port, &u->address);
    return !v6 ? !u->numeric || u->address.ss_family == AF_INET : u->numeric && u->address.ss_family == AF_INET6;
}

bool http_url_parse(struct span text, struct http_url *out, struct error *err)
{
    struct http_url u = { .tls = false };
    size_t slash;

    if (text.len >= HTTP_URL_MAX)
        return error_set(err, ERR_USAGE, "a URL of more than %d bytes", HTTP_URL_MAX - 1);
    u.tls = span_starts(text, SPAN_LIT("https://"));
    if (!u.tls && !span_starts(text, SPAN_LIT("http://")))
        return error_set(err, ERR_USAGE, "http://… or https://… belongs here");
    text = span_part(text, u.tls ? 8 : 7, text.len);
    slash = span_index(text, '/');
    if (!authority_parse(span_part(text, 0, slash), &u))
        return error_set(err, ERR_USAGE, "no host, or no port, in the URL");
    text = slash == text.len ? SPAN_LIT("/") : span_part(text, slash, text.len);
    if (!is_plain(text, "/-._~%!$&'()*+,;=:@?") || !span_to_str(text, u.path, sizeof u.path))
        return error_set(err, ERR_USAGE, "a character that a URL's path does not hold");
    *out = u;
    return true;
}

void http_post_write(const struct http_url *to, const char *path_end, struct span content_type, struct span body,
                     struct writer *w)
{
    const size_t len = strlen(to->path);
    const bool v6 = strchr(to->host, ':') != NULL;

    /* A prefix may end with a slash or not: the path has one between its parts. */
    write_printf(w, "POST %.*s%s HTTP/1.1\r\n",
                 (int)(path_end[0] == '/' && to->path[len - 1] == '/' ? len - 1 : len), to->path, path_end);
    write_printf(w, "Host: %s%s%s", v6 ? "[" : "", to->host, v6 ? "]" : "");
    if (to->port != (to->tls ? 443 : 80))
        write_printf(w, ":%u", to->port);
    write_str(w, "\r\nUser-Agent: fanal\r\nConnection: close\r\nContent-Type: ");
    write_span(w, content_type);
    write_printf(w, "\r\nContent-Length: %zu\r\n\r\n", body.len);
    write_span(w, body);
}

/* ---- what came back ---- */

struct head {
    unsigned status;
    struct span content_type;
    bool chunked, has_length;
    size_t length;
};

static bool broken(struct error *err, const char *what)
{
    return error_set(err, ERR_MALFORMED, "an HTTP answer with %s", what);
}

/* The next line without its end (CRLF, or LF alone: RFC 9112 §2.2); false where its end is not there. */
static bool line_next(struct span *left, struct span *line)
{
    const size_t end = span_index(*left, '\n');

    if (end == left->len)
        return false;
    *line = span_part(*left, 0, end > 0 && left->ptr[end - 1] == '\r' ? end - 1 : end);
    *left = span_part(*left, end + 1, left->len);
    return true;
}

static bool named(struct span name, const char *want)
{
    return name.len == strlen(want) && strncasecmp((const char *)name.ptr, want, name.len) == 0;
}

static bool number_parse(struct span text, unsigned base, size_t most, size_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = text.ptr[i];
        const unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                               : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                               : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                      : 99;

        if (digit >= base || !size_mul(n, base, &n) || !size_add(n, digit, &n) || n > most)
            return false;
    }
    *out = n;
    return text.len > 0;
}

static bool status_line(struct span line, struct head *h, struct error *err)
{
    size_t status;

    if ((!span_starts(line, SPAN_LIT("HTTP/1.1 ")) && !span_starts(line, SPAN_LIT("HTTP/1.0 "))) || line.len < 12
        || (line.len > 12 && line.ptr[12] != ' ') || !number_parse(span_part(line, 9, 3), 10, 599, &status)
        || status < 100)
        return broken(err, "another status line");
    h->status = (unsigned)status;
    return true;
}

static bool header_line(struct span line, struct head *h, struct error *err)
{
    const size_t colon = span_index(line, ':');
    const struct span name = span_part(line, 0, colon), value = span_trim(span_part(line, colon + 1, line.len), " \t");
    size_t length;

    if (colon == 0 || colon == line.len || name.ptr[colon - 1] == ' ' || line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return broken(err, "a line that is no header field");
    if (named(name, "content-type")) {
        h->content_type = value;
    } else if (named(name, "transfer-encoding")) {
        if (!named(value, "chunked") || h->chunked)
            return broken(err, "a transfer coding other than chunked");
        h->chunked = true;
    } else if (named(name, "content-length")) {
        if (!number_parse(value, 10, HTTP_ANSWER_BODY_MAX, &length))
            return error_set(err, ERR_LIMIT, "an HTTP answer of more than %zu bytes", HTTP_ANSWER_BODY_MAX);
        if (h->has_length && h->length != length)
            return broken(err, "two lengths");
        h->has_length = true;
        h->length = length;
    }
    return true;
}

/* HTTP_DONE: the head is complete, *left is behind it. */
static enum http_progress head_parse(struct span *left, struct head *out, struct error *err)
{
    struct head h = { .status = 0 };
    struct span rest = *left, line;

    while (line_next(&rest, &line)) {
        if (left->len - rest.len > HTTP_HEAD_MAX)
            break;
        if (h.status == 0) {
            if (!status_line(line, &h, err))
                return HTTP_BROKEN;
        } else if (line.len > 0) {
            if (!header_line(line, &h, err))
                return HTTP_BROKEN;
        } else {
            if (h.chunked && h.has_length) { /* RFC 9112 §6.1: smuggling, or worse */
                (void)broken(err, "a length and chunks");
                return HTTP_BROKEN;
            }
            *left = rest;
            *out = h;
            return HTTP_DONE;
        }
    }
    if (left->len <= HTTP_HEAD_MAX)
        return HTTP_MORE;
    (void)error_set(err, ERR_LIMIT, "the head of an HTTP answer is longer than %zu bytes", HTTP_HEAD_MAX);
    return HTTP_BROKEN;
}

/* RFC 9112 §7.1. Trailers are read past. */
static enum http_progress chunks_parse(struct span left, struct writer *body, struct error *err)
{
    struct span line;
    size_t size;

    while (line_next(&left, &line)) {
        const size_t digits = span_index(line, ';');

        if (!number_parse(span_trim(span_part(line, 0, digits), " \t"), 16, HTTP_ANSWER_BODY_MAX - body->len, &size)) {
            (void)error_set(err, ERR_LIMIT, "an HTTP answer with a chunk that is none, or more than %zu bytes",
                            HTTP_ANSWER_BODY_MAX);
            return HTTP_BROKEN;
        }
        if (size == 0) {
            while (line_next(&left, &line))
                if (line.len == 0)
                    return HTTP_DONE;
            return HTTP_MORE;
        }
        if (left.len < size)
            return HTTP_MORE;
        write_span(body, span_part(left, 0, size));
        left = span_part(left, size, left.len);
        if (left.len > 0 && left.ptr[0] != '\r' && left.ptr[0] != '\n') {
            (void)broken(err, "a chunk longer than it says");
            return HTTP_BROKEN;
        }
        if (!line_next(&left, &line))
            return HTTP_MORE;
    }
    return HTTP_MORE;
}

static enum http_progress body_parse(const struct head *h, struct span left, bool ended, struct writer *body,
                                     struct error *err)
{
    if (h->status == 204 || h->status == 304)
        return HTTP_DONE;
    if (h->chunked)
        return chunks_parse(left, body, err);
    if (h->has_length ? left.len < h->length : !ended && left.len <= HTTP_ANSWER_BODY_MAX)
        return HTTP_MORE;
    if (!h->has_length && left.len > HTTP_ANSWER_BODY_MAX) {
        (void)error_set(err, ERR_LIMIT, "an HTTP answer of more than %zu bytes", HTTP_ANSWER_BODY_MAX);
        return HTTP_BROKEN;
    }
    write_span(body, span_part(left, 0, h->has_length ? h->length : left.len));
    return HTTP_DONE;
}

enum http_progress http_reply_parse(struct span bytes, bool ended, struct http_reply *out, struct error *err)
{
    struct writer body = writer_new(HTTP_ANSWER_BODY_MAX);
    struct span left = bytes;
    struct head h;
    enum http_progress p;

    do /* interim answers (1xx) go before the one that counts */
        p = head_parse(&left, &h, err);
    while (p == HTTP_DONE && h.status < 200);
    if (p == HTTP_DONE)
        p = body_parse(&h, left, ended, &body, err);
    if (p == HTTP_MORE && bytes.len >= HTTP_ANSWER_BYTES_MAX) {
        (void)error_set(err, ERR_LIMIT, "an HTTP answer of more than %zu bytes as sent", HTTP_ANSWER_BYTES_MAX);
        p = HTTP_BROKEN;
    }
    if (p == HTTP_MORE && ended) {
        (void)error_set(err, ERR_TRUNCATED, "an HTTP answer ended early");
        p = HTTP_BROKEN;
    }
    if (p == HTTP_DONE && !writer_ok(&body, err, "HTTP answer"))
        p = HTTP_BROKEN;
    if (p == HTTP_DONE)
        *out = (struct http_reply){ .status = h.status, .content_type = h.content_type, .body = body };
    else
        writer_done(&body);
    return p;
}

void http_reply_done(struct http_reply *r)
{
    writer_done(&r->body);
}
