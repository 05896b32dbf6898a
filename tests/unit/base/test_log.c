/* Log lines: one fact a line, whatever a peer puts into a value. */
#include "base/log.h"

#include <unistd.h>

#include "../test.h"

static uint64_t fixed_wall(const struct clock *c)
{
    (void)c;
    return 1795461504123456;
}

static const struct clock fixed = { fixed_wall, fixed_wall };

static struct span logged(const struct log_field *fields, char *out, size_t cap)
{
    int ends[2];
    struct log log = { .least = LOG_INFO, .clock = &fixed };
    ssize_t n;

    if (pipe(ends) != 0)
        abort();
    log.fd = ends[1];
    log_write(&log, LOG_DEBUG, "never.seen", LOG_FIELDS());
    log_write(&log, LOG_INFO, "association.accepted", fields);
    n = read(ends[0], out, cap);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return span_of(out, n < 0 ? 0 : (size_t)n);
}

TEST(a_line_has_time_level_event_and_fields)
{
    char out[LOG_LINE_MAX + 16];

    CHECK(span_equal(logged(LOG_FIELDS(f_str("calling_ae", "CT1"), f_uint("contexts", 4), f_int("delta", -1)), out, sizeof out),
                     SPAN_LIT("2026-11-23T19:18:24.123456Z info association.accepted calling_ae=CT1 contexts=4 delta=-1\n")));
}

TEST(a_peer_cannot_forge_a_line)
{
    char out[LOG_LINE_MAX + 16];
    struct span line = logged(LOG_FIELDS(f_str("calling_ae", "X\n2026 info forged=1 \"\x1b[2J")), out, sizeof out);

    CHECK(span_index(line, '\n') == line.len - 1);
    CHECK(memmem(line.ptr, line.len, "\\x0a2026 info forged=1 \\x22\\x1b[2J", 33) != NULL);
}

TEST(a_long_line_is_cut_and_says_so)
{
    char out[LOG_LINE_MAX + 16], long_value[3000];
    struct span line;

    memset(long_value, 'a', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    line = logged(LOG_FIELDS(f_str("x", "1"), f_str("long", long_value)), out, sizeof out);
    CHECK(line.len <= LOG_LINE_MAX + 8 && line.ptr[line.len - 1] == '\n');
    CHECK(memmem(line.ptr, line.len, "\xe2\x80\xa6", 3) != NULL);
}

TESTS(T(a_line_has_time_level_event_and_fields), T(a_peer_cannot_forge_a_line), T(a_long_line_is_cut_and_says_so))
