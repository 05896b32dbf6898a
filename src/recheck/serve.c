/* One RECHECK. See serve.h. */
#include "recheck/serve.h"

#include <sys/time.h>

#include "base/cleanup.h"
#include "channel/shared_buffer.h"
#include "recheck/walk.h"

#define REPLY_BYTES_MAX ((size_t)4096)

/* setitimer(2), because alarm(2) is not among the calls that the sandbox leaves. 0: off. */
static void set_timer(time_t seconds)
{
    (void)setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { .tv_sec = seconds } }, NULL);
}

/* Copies a piece out of the buffer, which the vault may fill again after TAKEN, and walks it. */
static bool take_piece(struct channel *c, const struct message *m, const struct shared_buffer *shared, struct writer *piece,
                       struct walk *walk, uint64_t *left, struct error *err)
{
    struct writer taken = writer_new(64);
    const uint64_t length = fields_uint(m->fields, FIELD_LENGTH, 0);
    struct span part;
    bool ok;

    if (m->verb != VERB_PUT_DATA || length > *left
        || !shared_buffer_part(shared, fields_uint(m->fields, FIELD_OFFSET, 0), length, &part))
        return error_set(err, ERR_MALFORMED, "verb %d, or bytes outside of the object or the buffer", (int)m->verb);
    writer_reset(piece);
    write_span(piece, part);
    field_put_uint(&taken, FIELD_LENGTH, length);
    ok = writer_ok(piece, err, "piece") && channel_send(c, VERB_TAKEN, 0, writer_span(&taken), NULL, 0, err);
    writer_done(&taken);
    if (!ok)
        return false;
    *left -= length;
    set_timer(RECHECK_PIECE_S);
    walk_feed(walk, writer_span(piece));
    set_timer(0);
    return true;
}

static bool take_object(struct channel *c, const struct shared_buffer *shared, uint64_t left, uint8_t *buffer,
                        struct walk *walk, struct error *err)
{
    CLEANUP(writer_done) struct writer piece = writer_new(SESSION_BUFFER_BYTES);

    while (left > 0) {
        struct message m;
        bool ok;

        if (!channel_receive(c, buffer, CHANNEL_MESSAGE_MAX, &m, RECHECK_SILENCE_MS, err))
            return false;
        ok = take_piece(c, &m, shared, &piece, walk, &left, err);
        message_done(&m);
        if (!ok)
            return false;
    }
    return true;
}

/* The facts lie at the start of the buffer: they may be longer than a message. */
static bool answer(struct channel *c, uint32_t id, struct walk *walk, struct shared_buffer *shared, struct error *err)
{
    CLEANUP(writer_done) struct writer facts = writer_new(RECHECK_FACTS_MAX);
    CLEANUP(writer_done) struct writer reply = writer_new(REPLY_BYTES_MAX);
    struct error why = { 0 };
    bool understood = false;
    const char *reason = "";

    set_timer(RECHECK_PIECE_S);
    if (walk_finish(walk, &facts, &understood, &reason, &why)) {
        if (facts.len > 0)
            memcpy(shared->ptr, facts.ptr, facts.len);
        field_put_uint(&reply, FIELD_RESULT, ERR_NONE);
        field_put_uint(&reply, FIELD_LENGTH, facts.len);
        field_put_str(&reply, FIELD_STATE, understood ? "stored" : "not-understood");
        if (!understood)
            field_put_str(&reply, FIELD_REASON, reason);
    } else {
        field_put_uint(&reply, FIELD_RESULT, why.code);
        field_put_str(&reply, FIELD_ERROR_TEXT, why.text);
    }
    set_timer(0);
    return writer_ok(&reply, err, "reply") && channel_send(c, VERB_REPLY, id, writer_span(&reply), NULL, 0, err);
}

bool recheck_serve(struct channel *c, struct message *m, uint8_t *buffer, struct error *err)
{
    CLEANUP(shared_buffer_done) struct shared_buffer shared = { .fd = -1 };
    CLEANUP(writer_done) struct writer asked = writer_new(CHANNEL_MESSAGE_MAX); /* m lies in the buffer */
    const uint32_t id = m->id;
    struct walk_request request;
    struct walk *walk;
    bool ok;
    int fd;

    if (m->verb != VERB_RECHECK || m->fd_count != 1)
        return error_set(err, ERR_MALFORMED, "verb %d is not RECHECK with its buffer", (int)m->verb);
    fd = m->fds[0];
    m->fds[0] = -1;
    write_span(&asked, m->fields);
    if (!shared_buffer_map(fd, &shared, err) || !writer_ok(&asked, err, "request"))
        return false;
    request = (struct walk_request){
        .is_message = span_equal(fields_text(writer_span(&asked), FIELD_KIND), SPAN_LIT("hl7")),
        .transfer_syntax = fields_text(writer_span(&asked), FIELD_TRANSFER_SYNTAX),
        .zone = fields_text(writer_span(&asked), FIELD_ZONE),
        .claimed_understood = !span_equal(fields_text(writer_span(&asked), FIELD_STATE), SPAN_LIT("not-understood")),
    };
    walk = walk_new(&request, err);
    ok = walk != NULL
         && take_object(c, &shared, fields_uint(writer_span(&asked), FIELD_LENGTH, 0), buffer, walk, err)
         && answer(c, id, walk, &shared, err);
    walk_free(walk);
    return ok;
}
