/*
 * The page while the vault is sealed: that it is, and how many of the custodians' shares are given. Nothing else is
 * answered, whatever is asked. See gate.h.
 */
#include "base/cleanup.h"
#include "gate/web/gate.h"

#define STATUS_ANSWER_MS 2000

static void write_state(struct gate *g, struct writer *out)
{
    CLEANUP(writer_done) struct writer row = writer_new(REQUEST_BYTES_MAX);
    struct error err;
    uint64_t given, needed;

    if (!gate_find_own(g, "status", STATUS_ANSWER_MS, &row, &err))
        return;
    given = fields_uint(writer_span(&row), FIELD_SHARES_GIVEN, 0);
    needed = fields_uint(writer_span(&row), FIELD_THRESHOLD, 0);
    if (needed > 0)
        write_printf(out,
                     "<p lang=\"fr\">%llu part(s) de gardien sur %llu données.</p>\n"
                     "<p lang=\"en\">%llu of %llu custodians’ shares given.</p>\n",
                     (unsigned long long)given, (unsigned long long)needed, (unsigned long long)given,
                     (unsigned long long)needed);
}

void sealed_answer(struct gate *g, struct http_answer *a)
{
    a->status = 503;
    http_answer_header(a, "Content-Type", "text/html; charset=utf-8");
    http_answer_header(a, "Cache-Control", "no-store");
    http_answer_header(a, "Retry-After", "10");
    write_str(&a->body, "<!doctype html>\n<html lang=\"fr\">\n<meta charset=\"utf-8\">\n"
                        "<meta http-equiv=\"refresh\" content=\"10\">\n<title>Fanal</title>\n"
                        "<h1>Fanal : scellé / sealed</h1>\n"
                        "<p lang=\"fr\">La machine a démarré et attend d’être ouverte. Rien ne peut être montré "
                        "jusque-là.</p>\n"
                        "<p lang=\"en\">The machine has started and waits to be opened. Nothing can be shown until "
                        "then.</p>\n");
    write_state(g, &a->body);
    write_str(&a->body, "</html>\n");
}
