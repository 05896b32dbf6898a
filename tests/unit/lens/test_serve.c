/* Requests to a lens over a real channel: what is answered, and what ends the conversation. */
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/shared_buffer.h"
#include "lens/serve.h"

#include "../test.h"

struct fixture {
    struct channel asker, lens;
    uint8_t *buffer;
    struct digest *digest;
    struct message answer;
};

static void begin(struct fixture *f)
{
    struct error err;

    f->buffer = malloc(CHANNEL_MESSAGE_MAX);
    f->digest = digest_new(&err);
    if (f->buffer == NULL || f->digest == NULL || !channel_pair(&f->asker, &f->lens, &err))
        abort();
}

static void end(struct fixture *f)
{
    channel_close(&f->asker);
    channel_close(&f->lens);
    digest_free(f->digest);
    free(f->buffer);
}

static void send(struct fixture *f, enum verb verb, struct writer *fields, const int *fds, size_t count)
{
    struct error err;

    if (!channel_send(&f->asker, verb, verb == VERB_PUT_DATA ? 0 : 7, writer_span(fields), fds, count, &err))
        abort();
    writer_reset(fields);
}

/* One message served. */
static bool serve(struct fixture *f)
{
    struct message m;
    struct error err;
    bool ok;

    if (!channel_receive(&f->lens, f->buffer, CHANNEL_MESSAGE_MAX, &m, 0, &err))
        abort();
    ok = lens_serve(&f->lens, &m, f->buffer, f->digest, &err);
    message_done(&m);
    return ok;
}

/* The next answer's verb; its fields lie in the buffer. */
static enum verb answer(struct fixture *f)
{
    struct error err;

    if (!channel_receive(&f->asker, f->buffer, CHANNEL_MESSAGE_MAX, &f->answer, 0, &err))
        return (enum verb)0;
    message_done(&f->answer);
    return f->answer.verb;
}

static uint64_t result(const struct fixture *f)
{
    return fields_uint(f->answer.fields, FIELD_RESULT, UINT64_MAX);
}

static int memory(struct span content, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    struct error err;

    if (fd < 0 || ftruncate(fd, (off_t)len) != 0 || !file_write_at(fd, content, 0, &err))
        abort();
    return fd;
}

static void describe(struct writer *w, uint64_t length)
{
    field_put_str(w, FIELD_TRANSFER_SYNTAX, "1.2.840.10008.1.2.1");
    field_put_uint(w, FIELD_ROWS, 1);
    field_put_uint(w, FIELD_COLUMNS, 4);
    field_put_uint(w, FIELD_BITS_ALLOCATED, 8);
    field_put_str(w, FIELD_PHOTOMETRIC, "MONOCHROME2");
    field_put_uint(w, FIELD_LENGTH, length);
}

TEST(a_frame_is_decoded_into_the_askers_memory)
{
    struct writer w = writer_new(4096);
    struct fixture f;
    int fds[2] = { memory(HEX("01 02 03 04"), 4), memory(HEX("00"), 4) };
    uint8_t out[4];
    struct error err;

    begin(&f);
    describe(&w, 4);
    send(&f, VERB_DECODE, &w, fds, 2);
    CHECK(serve(&f) && answer(&f) == VERB_REPLY && f.answer.id == 7 && result(&f) == ERR_NONE);
    CHECK(fields_uint(f.answer.fields, FIELD_LENGTH, 0) == 4);
    CHECK(file_read_at(fds[1], out, 4, 0, &err) && memcmp(out, "\1\2\3\4", 4) == 0);
    end(&f);
    writer_done(&w);
    (void)close(fds[0]);
    (void)close(fds[1]);
}

TEST(what_cannot_be_decoded_is_answered_and_the_lens_goes_on)
{
    const struct {
        const char *name;
        uint64_t length;
        size_t output, fds;
        enum error_code want;
    } rows[] = {
        { "output too small", 4, 3, 2, ERR_LIMIT },
        { "input shorter than named", 5, 4, 2, ERR_TRUNCATED },
        { "nothing named", 0, 4, 2, ERR_TRUNCATED },
        { "an absurd length", UINT64_MAX, 4, 2, ERR_TRUNCATED },
        { "frame too short", 3, 4, 2, ERR_TRUNCATED },
        { "one descriptor", 4, 4, 1, ERR_MALFORMED },
    };
    struct writer w = writer_new(4096);
    struct fixture f;

    begin(&f);
    EACH (row, rows) {
        int fds[2] = { memory(HEX("01 02 03 04"), 4), memory(HEX("00"), row->output) };

        describe(&w, row->length);
        send(&f, VERB_DECODE, &w, fds, row->fds);
        CHECK_ROW(row->name, serve(&f) && answer(&f) == VERB_REPLY && result(&f) == row->want);
        (void)close(fds[0]);
        (void)close(fds[1]);
    }
    end(&f);
    writer_done(&w);
}

/* An object of four UIDs and nothing else, explicit little endian. */
#define OBJECT                                                                                        \
    "08 00 16 00 55 49 02 00 31 00 08 00 18 00 55 49 02 00 31 00 20 00 0d 00 55 49 02 00 31 00 "      \
    "20 00 0e 00 55 49 02 00 31 00"

static void send_pieces(struct fixture *f, const struct shared_buffer *shared, struct span object, uint64_t offset)
{
    struct writer w = writer_new(4096);

    field_put_str(&w, FIELD_TRANSFER_SYNTAX, "1.2.840.10008.1.2.1");
    field_put_uint(&w, FIELD_LENGTH, object.len);
    send(f, VERB_DIGEST, &w, &shared->fd, 1);
    memcpy(shared->ptr, object.ptr, object.len);
    for (size_t at = 0; at < object.len; at += 16) {
        field_put_uint(&w, FIELD_OFFSET, offset + at);
        field_put_uint(&w, FIELD_LENGTH, object.len - at < 16 ? object.len - at : 16);
        send(f, VERB_PUT_DATA, &w, NULL, 0);
    }
    writer_done(&w);
}

TEST(an_object_is_digested_piece_by_piece)
{
    struct shared_buffer shared;
    struct fixture f;
    struct error err;

    begin(&f);
    CHECK(shared_buffer_new(&shared, &err));
    for (int twice = 0; twice < 2; twice++) {
        send_pieces(&f, &shared, HEX(OBJECT), 0);
        CHECK(serve(&f));
        for (int piece = 0; piece < 3; piece++)
            CHECK(answer(&f) == VERB_TAKEN && fields_uint(f.answer.fields, FIELD_LENGTH, 0) == (piece < 2 ? 16 : 8));
        CHECK(answer(&f) == VERB_REPLY && f.answer.id == 7 && result(&f) == ERR_NONE);
        CHECK(fields_text(f.answer.fields, FIELD_DIGEST).len == DIGEST_BYTES);
        CHECK(fields_text(f.answer.fields, FIELD_PIXEL_DIGEST).len == 0);
    }
    shared_buffer_done(&shared);
    end(&f);
}

TEST(a_broken_object_is_answered_and_what_follows_of_it_ignored)
{
    struct shared_buffer shared;
    struct fixture f;
    struct error err;

    begin(&f);
    CHECK(shared_buffer_new(&shared, &err));
    /* the sequence holds no item, which shows in the third piece; a fourth is still to come */
    send_pieces(&f, &shared, HEX("08 00 16 00 55 49 02 00 31 00 08 00 18 00 55 49 02 00 31 00 08 00 40 11 53 51 00 00 10 00 00 00 "
                                 "08 00 16 00 55 49 02 00 31 00 08 00 18 00 55 49 02 00 31 00 08 00 05 00 43 53 00 00"), 0);
    CHECK(serve(&f));
    for (int i = 0; i < 3; i++)
        CHECK(answer(&f) == VERB_TAKEN);
    CHECK(answer(&f) == VERB_REPLY && result(&f) == ERR_MALFORMED);
    CHECK(serve(&f));
    CHECK(answer(&f) == (enum verb)0);
    shared_buffer_done(&shared);
    end(&f);
}

TEST(what_is_no_request_ends_the_conversation)
{
    struct writer w = writer_new(4096);
    struct shared_buffer shared;
    struct fixture f;
    struct error err;

    begin(&f);
    send(&f, VERB_GET, &w, NULL, 0);
    CHECK(!serve(&f));
    CHECK(shared_buffer_new(&shared, &err));
    send_pieces(&f, &shared, HEX(OBJECT), SESSION_BUFFER_BYTES - 8);
    CHECK(!serve(&f));
    shared_buffer_done(&shared);
    end(&f);
    writer_done(&w);
}

TESTS(T(a_frame_is_decoded_into_the_askers_memory), T(what_cannot_be_decoded_is_answered_and_the_lens_goes_on),
      T(an_object_is_digested_piece_by_piece), T(a_broken_object_is_answered_and_what_follows_of_it_ignored),
      T(what_is_no_request_ends_the_conversation))
