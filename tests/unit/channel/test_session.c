/* A gate's calls, with the test as vault: a thread that follows a script and keeps what was put. */
#include "channel/session.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../test.h"

static const struct span nothing = { NULL, 0 };

/* What the vault of a test does besides taking bytes. */
enum script {
    ANSWER,        /* everything as it should be */
    REFUSE,        /* REPLY with ERR_REFUSED and a reason */
    WRONG_ID,      /* REPLY to another call */
    TAKE_TOO_MUCH, /* TAKEN for more than was given */
    LONG_GET,      /* more bytes than were asked for */
    NEWS_FIRST,    /* two NEWS, then the REPLY */
    NEWS_FLOOD,    /* more NEWS than wait, then the REPLY */
    HANG_UP,       /* closes instead of an answer */
};

struct vault {
    struct channel channel;
    enum script script;
    struct shared_buffer shared;
    uint8_t buffer[CHANNEL_MESSAGE_MAX];
    struct writer kept;   /* bytes of PUT_DATA since PUT_BEGIN */
    size_t data_messages; /* PUT_DATA seen */
    size_t aborts;
};

static void say(struct vault *v, enum verb verb, uint32_t id, enum field field, uint64_t value)
{
    struct writer w = writer_new(1000);

    field_put_uint(&w, field, value);
    (void)channel_send(&v->channel, verb, id, writer_span(&w), NULL, 0, NULL);
    writer_done(&w);
}

static void refuse(struct vault *v, uint32_t id)
{
    struct writer w = writer_new(1000);

    field_put_uint(&w, FIELD_RESULT, ERR_REFUSED);
    field_put_str(&w, FIELD_ERROR_TEXT, "no such peer");
    field_put_str(&w, FIELD_REASON, "calling-ae");
    (void)channel_send(&v->channel, VERB_REPLY, id, writer_span(&w), NULL, 0, NULL);
    writer_done(&w);
}

static void take(struct vault *v, const struct message *m)
{
    struct span part;

    assert_true(shared_buffer_part(&v->shared, fields_uint(m->fields, FIELD_OFFSET, 0),
                                   fields_uint(m->fields, FIELD_LENGTH, 0), &part));
    write_span(&v->kept, part);
    v->data_messages++;
    say(v, VERB_TAKEN, 0, FIELD_LENGTH, v->script == TAKE_TOO_MUCH ? part.len + 1 : part.len);
}

static void answer(struct vault *v, const struct message *m)
{
    size_t news = v->script == NEWS_FIRST ? 2 : v->script == NEWS_FLOOD ? SESSION_NEWS_MAX + 5 : 0;

    for (size_t i = 0; i < news; i++)
        say(v, VERB_NEWS, 0, FIELD_POSITION, i + 1);
    if (v->script == REFUSE)
        refuse(v, m->id);
    else if (v->script == WRONG_ID)
        say(v, VERB_REPLY, m->id + 1, FIELD_RESULT, 0);
    else if (m->verb == VERB_GET) {
        memcpy(v->shared.ptr, "stored", 6);
        say(v, VERB_REPLY, m->id, FIELD_LENGTH,
            v->script == LONG_GET ? fields_uint(m->fields, FIELD_LENGTH, 0) + 1 : 6);
    } else {
        for (uint64_t i = 0; m->verb == VERB_FIND && i < 3; i++)
            say(v, VERB_ROW, m->id, FIELD_POSITION, i);
        say(v, VERB_REPLY, m->id, FIELD_POSITION, 41);
    }
}

static void *vault_run(void *context)
{
    struct vault *v = context;
    struct message m;

    while (channel_receive(&v->channel, v->buffer, sizeof v->buffer, &m, -1, NULL)) {
        if (m.verb == VERB_PUT_DATA)
            take(v, &m);
        else if (m.verb == VERB_PUT_BEGIN)
            writer_reset(&v->kept);
        else if (m.verb == VERB_PUT_ABORT)
            v->aborts++;
        else if (v->script == HANG_UP)
            break;
        else
            answer(v, &m);
        message_done(&m);
    }
    channel_close(&v->channel);
    return NULL;
}

struct pair {
    struct vault *vault;
    pthread_t thread;
    struct session *session;
};

static struct pair start(enum script script)
{
    struct pair p = { .vault = test_calloc(1, sizeof *p.vault) };
    struct channel listener, to_vault;
    struct message m;
    struct error err;
    int fd;

    assert_true(channel_pair(&listener, &to_vault, &err));
    fd = session_open_fd(&to_vault, PROCESS_DICOM_ASSOCIATION, SPAN_LIT("127.0.0.1"), &err);
    assert_true(fd >= 0);
    assert_true(channel_receive(&listener, p.vault->buffer, CHANNEL_MESSAGE_MAX, &m, 0, &err));
    assert_true(m.verb == VERB_OPEN && m.fd_count == 1);
    assert_true(fields_uint(m.fields, FIELD_PROCESS, 0) == PROCESS_DICOM_ASSOCIATION);
    p.vault->channel.fd = m.fds[0];
    p.vault->script = script;
    p.vault->kept = writer_new((size_t)64 << 20);
    assert_true(shared_buffer_new(&p.vault->shared, &err));
    assert_true(channel_send(&p.vault->channel, VERB_REPLY, 0, nothing, &p.vault->shared.fd, 1, &err));
    assert_int_equal(pthread_create(&p.thread, NULL, vault_run, p.vault), 0);
    p.session = session_attach(fd, &err);
    assert_non_null(p.session);
    channel_close(&listener);
    channel_close(&to_vault);
    return p;
}

/* The vault's thread has ended; its findings may be read until release(). */
static void finish(struct pair *p)
{
    session_free(p->session);
    assert_int_equal(pthread_join(p->thread, NULL), 0);
}

static void release(struct pair *p)
{
    shared_buffer_done(&p->vault->shared);
    writer_done(&p->vault->kept);
    test_free(p->vault);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Fills `total` bytes of a pattern through rooms of random size, begins after `before` of them. */
static void put_pattern(struct session *s, size_t total, size_t before, uint32_t *seed)
{
    struct error err = { 0 };
    bool begun = false;

    for (size_t done = 0; done < total || !begun;) {
        size_t least = next_random(seed) % 5000 + 1, room, len;
        uint8_t *to;

        if (!begun && done >= before) {
            assert_true(session_put_begin(s, nothing, &err));
            begun = true;
        }
        to = session_put_room(s, least, &room, &err);
        assert_non_null(to);
        assert_true(room >= least);
        len = next_random(seed) % 70000;
        len = len < room ? len : room;
        len = len < total - done ? len : total - done;
        for (size_t i = 0; i < len; i++)
            to[i] = (uint8_t)((done + i) * 31 >> 3);
        assert_true(session_put_fill(s, len, &err));
        done += len;
    }
}

static bool is_pattern(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != (uint8_t)(i * 31 >> 3))
            return false;
    return true;
}

TEST(objects_of_any_size_arrive_whole)
{
    const struct {
        const char *name;
        size_t total, before;
    } rows[] = {
        { "empty", 0, 0 },
        { "one byte", 1, 0 },
        { "begun after the first bytes", 300000, 100000 },
        { "one ring before it is begun", 3 << 20, 900000 },
        { "many times the ring", 20 << 20, 0 },
    };
    struct pair p = start(ANSWER);
    uint32_t seed = 20261123;

    EACH(row, rows)
    {
        struct error err;
        struct span reply;

        put_pattern(p.session, row->total, row->before, &seed);
        CHECK_ROW(row->name, session_put_end(p.session, nothing, &reply, &err));
        CHECK_ROW(row->name, fields_uint(reply, FIELD_POSITION, 0) == 41);
        CHECK_ROW(row->name, p.vault->kept.len == row->total && is_pattern(writer_span(&p.vault->kept)));
    }
    finish(&p);
    release(&p);
}

/* What makes a put cheap: some 130 pieces for 20 MiB, though it is filled in hundreds of parts. */
TEST(bytes_are_handed_over_in_large_pieces)
{
    struct pair p = start(ANSWER);
    struct span reply;
    struct error err;
    uint32_t seed = 1;

    put_pattern(p.session, 20 << 20, 0, &seed);
    CHECK(session_put_end(p.session, nothing, &reply, &err));
    finish(&p);
    CHECK(p.vault->data_messages < 200);
    release(&p);
}

TEST(before_begin_one_ring_is_all_there_is)
{
    struct pair p = start(ANSWER);
    struct span reply;
    struct error err;
    size_t room;

    CHECK(session_put_room(p.session, 1, &room, &err) != NULL && room == SESSION_BUFFER_BYTES);
    CHECK(session_put_fill(p.session, room, &err));
    CHECK(session_put_room(p.session, 1, &room, &err) == NULL && err.code == ERR_LIMIT);
    CHECK(session_put_begin(p.session, nothing, &err));
    CHECK(session_put_room(p.session, SESSION_BUFFER_BYTES / 2, &room, &err) != NULL);
    CHECK(session_put_room(p.session, SESSION_BUFFER_BYTES / 2 + 1, &room, &err) == NULL && err.code == ERR_LIMIT);
    CHECK(session_put_end(p.session, nothing, &reply, &err));
    finish(&p);
    CHECK(p.vault->kept.len == SESSION_BUFFER_BYTES);
    release(&p);
}

TEST(aborted_objects_leave_the_ring_whole)
{
    struct pair p = start(ANSWER);
    struct span reply, bytes;
    struct error err;
    uint32_t seed = 7;
    size_t room;

    for (int i = 0; i < 20; i++) {
        put_pattern(p.session, 700000, i % 2 == 0 ? 0 : 200000, &seed);
        session_put_abort(p.session);
    }
    CHECK(session_put_room(p.session, 1, &room, &err) != NULL && room == SESSION_BUFFER_BYTES);
    session_put_abort(p.session);
    put_pattern(p.session, 3000000, 0, &seed);
    CHECK(!session_get(p.session, 1, 0, 10, nothing, &bytes, &err) && err.code == ERR_BUSY);
    CHECK(!session_put_begin(p.session, nothing, &err) && err.code == ERR_BUSY);
    CHECK(session_put_end(p.session, nothing, &reply, &err));
    CHECK(!session_put_end(p.session, nothing, &reply, &err) && err.code == ERR_USAGE);
    finish(&p);
    CHECK(p.vault->aborts == 20 && p.vault->kept.len == 3000000 && is_pattern(writer_span(&p.vault->kept)));
    release(&p);
}

TEST(get_gives_what_is_stored)
{
    struct pair p = start(ANSWER);
    struct span bytes;
    struct error err;

    CHECK(session_get(p.session, 9, 0, 100, nothing, &bytes, &err) && span_equal(bytes, SPAN_LIT("stored")));
    CHECK(!session_get(p.session, 9, 0, SESSION_BUFFER_BYTES + 1, nothing, &bytes, &err) && err.code == ERR_LIMIT);
    finish(&p);
    release(&p);
}

static bool count_row(void *context, struct span row)
{
    size_t *rows = context;

    assert_true(fields_uint(row, FIELD_POSITION, 99) == *rows);
    return ++*rows < 99;
}

static bool refuse_row(void *context, struct span row)
{
    (void)row;
    ++*(size_t *)context;
    return false;
}

TEST(find_gives_rows_until_one_is_refused)
{
    struct pair p = start(ANSWER);
    struct span reply;
    struct error err;
    size_t rows = 0;

    CHECK(session_find(p.session, nothing, count_row, &rows, &err) && rows == 3);
    rows = 0;
    CHECK(!session_find(p.session, nothing, refuse_row, &rows, &err) && err.code == ERR_REFUSED && rows == 1);
    CHECK(session_call(p.session, VERB_TELL, nothing, &reply, &err)); /* the refused rest was read */
    finish(&p);
    release(&p);
}

TEST(refusal_comes_with_its_reason)
{
    struct pair p = start(REFUSE);
    struct span reply;
    struct error err;

    CHECK(!session_call(p.session, VERB_ADMIT, nothing, &reply, &err));
    CHECK(err.code == ERR_REFUSED && strcmp(err.text, "no such peer") == 0);
    CHECK(span_equal(fields_text(reply, FIELD_REASON), SPAN_LIT("calling-ae")));
    CHECK(!session_call(p.session, VERB_ADMIT, nothing, &reply, &err) && err.code == ERR_REFUSED); /* still sound */
    finish(&p);
    release(&p);
}

TEST(a_vault_that_breaks_the_protocol_ends_the_session)
{
    const struct {
        const char *name;
        enum script script;
        enum error_code want;
    } rows[] = {
        { "answer to another call", WRONG_ID, ERR_MALFORMED },
        { "more taken than given", TAKE_TOO_MUCH, ERR_MALFORMED },
        { "more got than asked for", LONG_GET, ERR_MALFORMED },
        { "gone", HANG_UP, ERR_CLOSED },
    };

    EACH(row, rows)
    {
        struct pair p = start(row->script);
        struct error err = { 0 };
        struct span out;
        uint32_t seed = 3;
        bool good;

        if (row->script == TAKE_TOO_MUCH) {
            put_pattern(p.session, 200, 0, &seed);
            good = session_put_end(p.session, nothing, &out, &err);
        } else {
            good = session_get(p.session, 0, 0, 5, nothing, &out, &err);
        }
        CHECK_ROW(row->name, !good && err.code == row->want);
        CHECK_ROW(row->name, !session_call(p.session, VERB_TELL, nothing, &out, &err) && err.code == row->want);
        CHECK_ROW(row->name, !session_news(p.session, 0, &out, &err) && err.code == row->want);
        finish(&p);
        release(&p);
    }
}

TEST(news_waits_while_something_else_is_asked)
{
    struct pair p = start(NEWS_FIRST);
    struct span out;
    struct error err;

    CHECK(!session_news(p.session, 0, &out, &err) && err.code == ERR_TIMEOUT);
    CHECK(session_call(p.session, VERB_WATCH, nothing, &out, &err) && fields_uint(out, FIELD_POSITION, 0) == 41);
    for (uint64_t i = 1; i <= 2; i++)
        CHECK(session_news(p.session, 0, &out, &err) && fields_uint(out, FIELD_POSITION, 0) == i);
    CHECK(!session_news(p.session, 0, &out, &err) && err.code == ERR_TIMEOUT);
    finish(&p);
    release(&p);
}

TEST(too_much_news_is_counted)
{
    struct pair p = start(NEWS_FLOOD);
    struct span out;
    struct error err;

    CHECK(session_call(p.session, VERB_WATCH, nothing, &out, &err));
    for (uint64_t i = 1; i <= SESSION_NEWS_MAX; i++)
        CHECK(session_news(p.session, 0, &out, &err) && fields_uint(out, FIELD_POSITION, 0) == i);
    CHECK(session_news(p.session, 0, &out, &err) && fields_uint(out, FIELD_COUNT, 0) == 5);
    CHECK(!session_news(p.session, 0, &out, &err) && err.code == ERR_TIMEOUT);
    finish(&p);
    release(&p);
}

/* A descriptor that could be cut under the mapping, or has another size, is no shared buffer. */
TEST(only_a_sealed_buffer_is_mapped)
{
    struct shared_buffer b = { .fd = -1 };
    struct error err;
    int unsealed = memfd_create("unsealed", MFD_CLOEXEC);
    int small = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    CHECK(ftruncate(unsealed, (off_t)SESSION_BUFFER_BYTES) == 0);
    CHECK(!shared_buffer_map(unsealed, &b, &err) && err.code == ERR_MALFORMED);
    CHECK(ftruncate(small, 4096) == 0);
    CHECK(fcntl(small, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
    CHECK(!shared_buffer_map(small, &b, &err) && err.code == ERR_MALFORMED);
    CHECK(!shared_buffer_map(-1, &b, &err));
}

TEST(parts_lie_inside_the_buffer)
{
    const struct {
        const char *name;
        uint64_t offset, len;
        bool want;
    } rows[] = {
        { "all", 0, SESSION_BUFFER_BYTES, true },
        { "nothing at the end", SESSION_BUFFER_BYTES, 0, true },
        { "one past the end", 1, SESSION_BUFFER_BYTES, false },
        { "offset outside", SESSION_BUFFER_BYTES + 1, 0, false },
        { "sum that wraps", UINT64_MAX, 2, false },
        { "length that wraps", 2, UINT64_MAX, false },
    };
    struct shared_buffer b;
    struct error err;
    struct span part;

    CHECK(shared_buffer_new(&b, &err));
    EACH(row, rows)
    CHECK_ROW(row->name, shared_buffer_part(&b, row->offset, row->len, &part) == row->want);
    CHECK(ftruncate(b.fd, 0) != 0); /* sealed */
    shared_buffer_done(&b);
}

TESTS(T(objects_of_any_size_arrive_whole), T(bytes_are_handed_over_in_large_pieces),
      T(before_begin_one_ring_is_all_there_is), T(aborted_objects_leave_the_ring_whole), T(get_gives_what_is_stored),
      T(find_gives_rows_until_one_is_refused), T(refusal_comes_with_its_reason),
      T(a_vault_that_breaks_the_protocol_ends_the_session), T(news_waits_while_something_else_is_asked),
      T(too_much_news_is_counted), T(only_a_sealed_buffer_is_mapped), T(parts_lie_inside_the_buffer))
