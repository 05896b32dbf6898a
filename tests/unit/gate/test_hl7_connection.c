/* The connection over a socket pair: order, timers, ends. Time is the test's: nothing sleeps. */
#include "gate/hl7/connection.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "hl7/mllp.h"

#include "../test.h"

#define MESSAGE(id) "\x0bMSH|^~\\&|LIS|LAB|||20260101||SIU^S12|" id "|P|2.5\r\x1c\r"

static const struct log nowhere = { .fd = -1, .clock = &clock_system };

/* A clock that goes on by a second whenever it is asked. */
struct fast_clock {
    struct clock clock;
    uint64_t now_ms;
};

static uint64_t fast_wall(const struct clock *self)
{
    (void)self;
    return 1700000000000000;
}

static uint64_t fast_monotonic(const struct clock *self)
{
    return ((struct fast_clock *)(uintptr_t)self)->now_ms += 1000;
}

static bool keep(void *context, struct span body, struct span unit, struct span facts, struct error *err)
{
    const enum error_code *code = context;

    (void)body;
    (void)unit;
    (void)facts;
    return *code == ERR_NONE || error_set(err, *code, "as the test asks");
}

struct line {
    int near, far;
    enum error_code vault;
    struct fast_clock fast;
    struct receipt receipt;
    struct error err;
};

static void line_open(struct line *l)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    *l = (struct line){ .near = fds[0], .far = fds[1] };
    l->receipt = (struct receipt){ .keeper = { &l->vault, NULL, keep, -1 }, .clock = &clock_system, .log = &nowhere };
}

static void line_use_fast_clock(struct line *l)
{
    l->fast.clock = (struct clock){ fast_wall, fast_monotonic };
    l->receipt.clock = &l->fast.clock;
}

static void line_close(struct line *l)
{
    close(l->near);
    file_close(&l->far);
}

/* Answers in order, "AR C1,AR C2,", of what was sent before the sender stopped sending. */
static void answers(struct line *l, char *out, size_t cap)
{
    struct mllp p = mllp_new(65536);
    struct writer w = writer_new(cap - 1);
    uint8_t bytes[8192];
    ssize_t n;

    while ((n = recv(l->far, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        struct span input = span_of(bytes, (size_t)n);

        while (mllp_take(&p, &input) == MLLP_MESSAGE) {
            struct span text = mllp_message(&p), msa = span_part(text, span_index(text, '\r') + 5, 5);

            write_span(&w, msa);
            write_str(&w, ",");
        }
    }
    assert_true(span_to_str(writer_span(&w), out, cap));
    mllp_done(&p);
    writer_done(&w);
}

TEST(several_messages_and_noise_between_are_answered_in_order)
{
    static const struct {
        const char *name;
        struct span sent;
        const char *answers;
    } rows[] = {
        { "one", SPAN_LIT(MESSAGE("C1")), "AR|C1," },
        { "three at once", SPAN_LIT(MESSAGE("C1") MESSAGE("C2") MESSAGE("C3")), "AR|C1,AR|C2,AR|C3," },
        { "NUL, CR and LF between", SPAN_LIT("\0\r\n" MESSAGE("C1") "\n\0\0" MESSAGE("C2")), "AR|C1,AR|C2," },
        { "no start byte", SPAN_LIT("MSH|^~\\&|lost\x1c\r" MESSAGE("C1")), "AR|C1," },
        { "no CR behind FS", SPAN_LIT("\x0bMSH|^~\\&|||||||SIU^S12|C1|P|2.5\r\x1c" MESSAGE("C2")), "AR|C1,AR|C2," },
        { "given up and begun again", SPAN_LIT("\x0bMSH|^~\\&|||||||SIU^S12|C0|P|2" MESSAGE("C1")), "AR|C1," },
        { "never ended", SPAN_LIT("\x0bMSH|^~\\&|"), "" },
    };

    EACH (row, rows) {
        struct line l;
        char got[256];
        struct connection_limits limits = { 0 };

        line_open(&l);
        CHECK(file_write_all(l.far, row->sent, NULL) && shutdown(l.far, SHUT_WR) == 0);
        CHECK_ROW(row->name, connection_serve(l.near, &l.receipt, &limits, &l.err) == CONNECTION_CLOSED);
        answers(&l, got, sizeof got);
        CHECK_ROW(row->name, strcmp(got, row->answers) == 0);
        line_close(&l);
    }
}

TEST(time_runs_out_for_who_says_nothing_and_for_who_does_not_finish)
{
    static const struct {
        const char *name;
        struct span sent;
        enum connection_end end;
    } rows[] = {
        { "nothing", { NULL, 0 }, CONNECTION_IDLE },
        { "half a message", SPAN_LIT("\x0bMSH|"), CONNECTION_TOO_SLOW },
        { "half a message behind a whole one", SPAN_LIT(MESSAGE("C1") "\x0bMSH|"), CONNECTION_TOO_SLOW },
    };

    EACH (row, rows) {
        struct line l;
        struct connection_limits limits = { .idle_ms = 5000, .message_ms = 3000 };

        line_open(&l);
        line_use_fast_clock(&l);
        CHECK(row->sent.len == 0 || file_write_all(l.far, row->sent, NULL));
        CHECK_ROW(row->name, connection_serve(l.near, &l.receipt, &limits, &l.err) == row->end);
        CHECK_ROW(row->name, l.err.code == ERR_TIMEOUT);
        line_close(&l);
    }
}

TEST(an_fs_without_cr_is_answered_after_a_pause)
{
    struct line l;
    char got[256];
    struct connection_limits limits = { .idle_ms = 100, .pause_ms = 10 };

    line_open(&l);
    CHECK(file_write_all(l.far, SPAN_LIT("\x0bMSH|^~\\&|||||||SIU^S12|C1|P|2.5\r\x1c"), NULL));
    CHECK(connection_serve(l.near, &l.receipt, &limits, &l.err) == CONNECTION_IDLE);
    answers(&l, got, sizeof got);
    CHECK(strcmp(got, "AR|C1,") == 0);
    line_close(&l);
}

TEST(a_sender_that_takes_no_answers_is_left)
{
    struct line l;
    struct connection_limits limits = { .answer_ms = 3000 };
    const int small = 2048;
    struct writer many = writer_new((size_t)1024 * 1024);

    line_open(&l);
    line_use_fast_clock(&l);
    CHECK(setsockopt(l.near, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
    for (int i = 0; i < 600; i++)
        write_str(&many, MESSAGE("C1"));
    CHECK(file_write_all(l.far, writer_span(&many), NULL));
    CHECK(connection_serve(l.near, &l.receipt, &limits, &l.err) == CONNECTION_TOO_SLOW);
    writer_done(&many);
    line_close(&l);
}

TEST(without_a_vault_the_connection_ends_unanswered)
{
    struct line l;
    char got[256];
    struct connection_limits limits = { 0 };

    line_open(&l);
    l.vault = ERR_CLOSED;
    CHECK(file_write_all(l.far, SPAN_LIT(MESSAGE("C1") MESSAGE("C2")), NULL));
    CHECK(connection_serve(l.near, &l.receipt, &limits, &l.err) == CONNECTION_NO_VAULT);
    answers(&l, got, sizeof got);
    CHECK(strcmp(got, "") == 0);
    line_close(&l);
}

TEST(a_message_past_the_limit_is_refused_and_the_next_one_found)
{
    struct line l;
    char got[256];
    struct connection_limits limits = { .message_max = 64 };
    struct writer sent = writer_new(65536);

    line_open(&l);
    write_str(&sent, "\x0bMSH|^~\\&|LIS|LAB|||20260101||SIU^S12|C1|P|2.5\r");
    write_fill(&sent, 'x', 5000);
    write_str(&sent, "\x1c\r" MESSAGE("C2"));
    CHECK(file_write_all(l.far, writer_span(&sent), NULL) && shutdown(l.far, SHUT_WR) == 0);
    CHECK(connection_serve(l.near, &l.receipt, &limits, &l.err) == CONNECTION_CLOSED);
    answers(&l, got, sizeof got);
    CHECK(strcmp(got, "AR|C1,AR|C2,") == 0);
    writer_done(&sent);
    line_close(&l);
}

TESTS(T(several_messages_and_noise_between_are_answered_in_order),
      T(time_runs_out_for_who_says_nothing_and_for_who_does_not_finish), T(an_fs_without_cr_is_answered_after_a_pause),
      T(a_sender_that_takes_no_answers_is_left), T(without_a_vault_the_connection_ends_unanswered),
      T(a_message_past_the_limit_is_refused_and_the_next_one_found))
