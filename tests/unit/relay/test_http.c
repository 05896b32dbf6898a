/* HTTP as a client: URLs, the request, answers in every piece, and servers that lie. */
#include "relay/http.h"

#include <arpa/inet.h>

#include "../test.h"

TEST(urls)
{
    const struct {
        const char *text, *host, *path;
        bool tls, numeric;
        uint16_t port;
    } rows[] = {
        { "https://127.0.0.1:8444", "127.0.0.1", "/", true, true, 8444 },
        { "http://10.0.0.1/tsr", "10.0.0.1", "/tsr", false, true, 80 },
        { "https://[::1]:8444/w/", "::1", "/w/", true, true, 8444 },
        { "https://witness.example.org/a?b=1", "witness.example.org", "/a?b=1", true, false, 443 },
        { "https://[2001:db8::7]", "2001:db8::7", "/", true, true, 443 },
    };
    const struct {
        const char *name, *text;
    } refused[] = {
        { "no scheme", "127.0.0.1" },        { "another scheme", "ftp://1.2.3.4/" },
        { "no host", "https:///x" },         { "a user", "https://a@b/" },
        { "port 0", "http://1.2.3.4:0/" },   { "port 65536", "http://1.2.3.4:65536/" },
        { "a space", "http://1.2.3.4/a b" }, { "a line", "http://1.2.3.4/a\r\nX: y" },
        { "a fragment", "http://a/#b" },     { "brackets around IPv4", "http://[1.2.3.4]/" },
        { "bracket open", "http://[::1/" },  { "IPv6 without brackets", "http://::1/" },
        { "behind the bracket", "http://[::1]x/" },
    };
    struct http_url u;

    EACH (row, rows) {
        CHECK_ROW(row->text, http_url_parse(span_str(row->text), &u, NULL));
        CHECK_ROW(row->text, strcmp(u.host, row->host) == 0 && strcmp(u.path, row->path) == 0 && u.tls == row->tls
                                 && u.numeric == row->numeric && u.port == row->port);
    }
    EACH (row, refused) {
        struct error err = { 0 };

        CHECK_ROW(row->name, !http_url_parse(span_str(row->text), &u, &err) && err.code == ERR_USAGE);
    }
}

TEST(the_request)
{
    struct writer w = writer_new(1000);
    struct http_url u;

    CHECK(http_url_parse(SPAN_LIT("https://[::1]:8444/w/"), &u, NULL));
    http_post_write(&u, "/add-checkpoint", SPAN_LIT("text/plain"), SPAN_LIT("old 0\n"), &w);
    CHECK(span_equal(writer_span(&w), SPAN_LIT("POST /w/add-checkpoint HTTP/1.1\r\nHost: [::1]:8444\r\nUser-Agent: fanal\r\n"
                                               "Connection: close\r\nContent-Type: text/plain\r\n"
                                               "Content-Length: 6\r\n\r\nold 0\n")));
    writer_reset(&w);
    CHECK(http_url_parse(SPAN_LIT("http://10.0.0.1"), &u, NULL));
    http_post_write(&u, "", SPAN_LIT("a/b"), SPAN_LIT(""), &w);
    CHECK(span_starts(writer_span(&w), SPAN_LIT("POST / HTTP/1.1\r\nHost: 10.0.0.1\r\n")));
    writer_done(&w);
}

static const struct {
    const char *name;
    const char *text;
    bool by_close; /* its end is the end of the connection */
    unsigned status;
    const char *body, *type;
} answers[] = {
    { "length", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc", false, 200, "abc", "text/plain" },
    { "chunks", "HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\nab\r\n1 \r\nc\r\n0\r\nX: y\r\n\r\n", false, 200, "abc", "" },
    { "close", "HTTP/1.0 409 Conflict\r\nCONTENT-TYPE:text/x.tlog.size\r\n\r\n12\n", true, 409, "12\n", "text/x.tlog.size" },
    { "nothing", "HTTP/1.1 204 No Content\r\n\r\n", false, 204, "", "" },
    { "an interim answer", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", false, 403, "", "" },
    { "bare line ends", "HTTP/1.1 200 OK\nContent-Length: 1\n\nx", false, 200, "x", "" },
};

TEST(answers_come_in_every_piece)
{
    EACH (row, answers) {
        const struct span all = span_str(row->text);
        struct http_reply r;

        for (size_t n = 0; n < all.len; n++)
            CHECK_ROW(row->name, http_reply_parse(span_part(all, 0, n), false, &r, NULL) == HTTP_MORE);
        CHECK_ROW(row->name, http_reply_parse(all, row->by_close, &r, NULL) == HTTP_DONE);
        CHECK_ROW(row->name, r.status == row->status && span_equal(writer_span(&r.body), span_str(row->body))
                                 && span_equal(r.content_type, span_str(row->type)));
        http_reply_done(&r);
        for (size_t n = 0; n < all.len && !row->by_close; n++) {
            struct error err = { 0 };

            CHECK_ROW(row->name, http_reply_parse(span_part(all, 0, n), true, &r, &err) == HTTP_BROKEN && err.code == ERR_TRUNCATED);
        }
    }
}

TEST(what_is_no_answer)
{
    const struct {
        const char *name, *text;
        enum error_code want;
    } rows[] = {
        { "another protocol", "SSH-2.0-OpenSSH\r\n", ERR_MALFORMED },
        { "another version", "HTTP/2.0 200 OK\r\n", ERR_MALFORMED },
        { "status of letters", "HTTP/1.1 2x0 OK\r\n", ERR_MALFORMED },
        { "status 99", "HTTP/1.1 099 OK\r\n", ERR_MALFORMED },
        { "no colon", "HTTP/1.1 200 OK\r\nabc\r\n", ERR_MALFORMED },
        { "a folded field", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n", ERR_MALFORMED },
        { "a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n", ERR_MALFORMED },
        { "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n", ERR_MALFORMED },
        { "a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_MALFORMED },
        { "compressed", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ERR_MALFORMED },
        { "negative length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", ERR_LIMIT },
        { "huge length", "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551617\r\n", ERR_LIMIT },
        { "one byte too long", "HTTP/1.1 200 OK\r\nContent-Length: 49153\r\n", ERR_LIMIT },
        { "a chunk of letters", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxy\r\n", ERR_LIMIT },
        { "a huge chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", ERR_LIMIT },
        { "a chunk longer than it says", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", ERR_MALFORMED },
    };
    struct http_reply r;

    EACH (row, rows) {
        struct error err = { 0 };

        CHECK_ROW(row->name, http_reply_parse(span_str(row->text), false, &r, &err) == HTTP_BROKEN && err.code == row->want);
    }
}

TEST(an_endless_answer_meets_a_limit)
{
    const struct {
        const char *name, *head, *piece;
    } rows[] = {
        { "status line", "HTTP/1.1 200 ", "OK OK OK OK " },
        { "header fields", "HTTP/1.1 200 OK\r\n", "A: b\r\n" },
        { "interim answers", "", "HTTP/1.1 100 Continue\r\n\r\n" },
        { "body", "HTTP/1.1 200 OK\r\n\r\n", "0123456789" },
        { "chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "a\r\n0123456789\r\n" },
        { "small chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\n0\r\n" },
        { "trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "A: b\r\n" },
        { "a chunk's extension", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "abcdefgh" },
    };

    EACH (row, rows) {
        struct writer w = writer_new(2 * HTTP_ANSWER_BYTES_MAX);
        struct error err = { 0 };
        struct http_reply r;
        enum http_progress p = HTTP_MORE;

        write_str(&w, row->head);
        while (p == HTTP_MORE && w.len <= HTTP_ANSWER_BYTES_MAX) {
            for (int i = 0; i < 100; i++)
                write_str(&w, row->piece);
            p = http_reply_parse(writer_span(&w), false, &r, &err);
        }
        CHECK_ROW(row->name, p == HTTP_BROKEN && err.code == ERR_LIMIT);
        writer_done(&w);
    }
}

TESTS(T(urls), T(the_request), T(answers_come_in_every_piece), T(what_is_no_answer), T(an_endless_answer_meets_a_limit))
