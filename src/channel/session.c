/*
 * The calls of a gate on the vault. See session.h.
 *
 * The shared buffer is a ring while something is put: [tail, at) is occupied, by pieces that were handed over
 * (PUT_DATA sent, TAKEN not yet received) and by one piece that was filled and not handed over yet.
 */
#include "channel/session.h"

#include <stdlib.h>

#include "base/file.h"

/* A PUT_DATA is worth its system calls from here on, and hardly larger: the vault encrypts while we fill. */
#define PIECE_BYTES ((size_t)256 * 1024)

/* Handed over and not taken: more than a full ring of pieces, so only many tiny ones (many flushes) ever wait. */
#define PIECES_MAX 16

#define NEWS_BYTES_MAX ((size_t)1024 * 1024)

struct piece {
    size_t offset, len;
};

struct session {
    struct channel channel;
    struct shared_buffer shared;
    uint8_t *buffer; /* last message */
    struct writer request;
    uint32_t last_id;
    struct error broken; /* code other than 0: why nothing works any more */

    bool putting; /* PUT_BEGIN was sent, its end not */
    struct piece sent[PIECES_MAX];
    size_t sent_first, sent_count;
    struct piece filled;
    size_t at;   /* next free byte */
    size_t room; /* bytes of the last session_put_room(), at `at` */

    struct writer news; /* queued: u32le length, fields */
    size_t news_read, news_count;
    uint64_t news_lost;
};

int session_open_fd(struct channel *to_vault, enum process_kind kind, struct span address, struct error *err)
{
    struct channel near, far;
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);
    bool sent;

    if (!channel_pair(&near, &far, err))
        return -1;
    field_put_uint(&w, FIELD_PROCESS, kind);
    field_put_text(&w, FIELD_ADDRESS, address);
    sent = writer_ok(&w, err, "OPEN") && channel_send(to_vault, VERB_OPEN, 0, writer_span(&w), &far.fd, 1, err);
    writer_done(&w);
    channel_close(&far);
    if (!sent)
        channel_close(&near);
    return near.fd;
}

/* False with the vault's own words where the REPLY holds a result other than 0. */
static bool reply_is_success(struct span fields, struct error *err)
{
    uint64_t result = fields_uint(fields, FIELD_RESULT, 0);
    struct span text = fields_text(fields, FIELD_ERROR_TEXT);
    enum error_code code = result <= ERR_EXPIRED ? (enum error_code)result : ERR_IO; /* a newer code than we know */

    if (result == 0)
        return true;
    if (text.len == 0)
        text = span_str(error_name(code));
    return error_set(err, code, "%.*s", (int)(text.len < ERROR_TEXT_MAX ? text.len : ERROR_TEXT_MAX), text.ptr);
}

static bool receive_shared_buffer(struct session *s, struct error *err)
{
    struct message m;
    bool good;

    if (!channel_receive(&s->channel, s->buffer, CHANNEL_MESSAGE_MAX, &m, SESSION_ANSWER_MS, err))
        return false;
    good = m.verb == VERB_REPLY && m.id == 0;
    if (!good)
        error_set(err, ERR_MALFORMED, "first word of the vault is verb %d", (int)m.verb);
    good = good && reply_is_success(m.fields, err);
    if (good && m.fd_count != 1)
        good = error_set(err, ERR_MALFORMED, "first word of the vault has %zu descriptors", m.fd_count);
    if (good) {
        good = shared_buffer_map(m.fds[0], &s->shared, err);
        m.fds[0] = -1;
    }
    message_done(&m);
    return good;
}

struct session *session_attach(int fd, struct error *err)
{
    struct session *s = calloc(1, sizeof *s);

    if (s == NULL) {
        file_close(&fd);
        (void)error_set(err, ERR_MEMORY, "session");
        return NULL;
    }
    s->channel.fd = fd;
    s->shared.fd = -1;
    s->request = writer_new(CHANNEL_MESSAGE_MAX);
    s->news = writer_new(NEWS_BYTES_MAX);
    s->buffer = malloc(CHANNEL_MESSAGE_MAX);
    if (s->buffer == NULL)
        error_set(err, ERR_MEMORY, "session");
    if (s->buffer == NULL || !receive_shared_buffer(s, err)) {
        session_free(s);
        return NULL;
    }
    return s;
}

void session_free(struct session *s)
{
    if (s == NULL)
        return;
    channel_close(&s->channel);
    shared_buffer_done(&s->shared);
    writer_done(&s->request);
    writer_done(&s->news);
    free(s->buffer);
    free(s);
}

int session_fd(const struct session *s)
{
    return s->channel.fd;
}

/* After this nothing works: what the two ends believe of the ring and of open calls may differ. */
static bool session_break(struct session *s, const struct error *why, struct error *err)
{
    s->broken = *why;
    return error_set(err, why->code, "%s", why->text);
}

static bool broken_by(struct session *s, const char *what, struct error *err)
{
    struct error why;

    (void)error_set(&why, ERR_MALFORMED, "vault broke the protocol: %s", what);
    return session_break(s, &why, err);
}

static bool session_sound(const struct session *s, struct error *err)
{
    return s->broken.code == ERR_NONE || error_set(err, s->broken.code, "%s", s->broken.text);
}

static bool send_request(struct session *s, enum verb verb, uint32_t id, struct span fields, struct error *err)
{
    struct error why;

    if (!session_sound(s, err))
        return false;
    if (channel_send(&s->channel, verb, id, fields, NULL, 0, &why))
        return true;
    if (why.code == ERR_LIMIT) /* nothing was sent, nothing is lost */
        return error_set(err, why.code, "%s", why.text);
    return session_break(s, &why, err);
}

static void queue_news(struct session *s, struct span fields)
{
    if (s->news_count >= SESSION_NEWS_MAX || s->news_lost > 0 || fields.len + 4 > NEWS_BYTES_MAX - s->news.len) {
        s->news_lost++;
        return;
    }
    write_u32le(&s->news, (uint32_t)fields.len);
    write_span(&s->news, fields);
    s->news_count++;
    if (s->news.failed) { /* no memory: what was queued is counted as lost too */
        s->news_lost = s->news_count;
        s->news_count = 0;
    }
}

/* TAKEN: so many bytes from the front of what was handed over are free again. */
static bool take_back(struct session *s, uint64_t len)
{
    while (len > 0 && s->sent_count > 0) {
        struct piece *first = &s->sent[s->sent_first];
        size_t part = len < first->len ? (size_t)len : first->len;

        first->offset += part;
        first->len -= part;
        len -= part;
        if (first->len == 0) {
            s->sent_first = (s->sent_first + 1) % PIECES_MAX;
            s->sent_count--;
        }
    }
    return len == 0;
}

/*
 * Waits for one message. TAKEN is accounted for here and still shown; the rest is for the caller. ERR_TIMEOUT leaves
 * the session sound, any other failure breaks it.
 */
static bool next_message(struct session *s, int timeout_ms, struct message *m, struct error *err)
{
    struct error why;

    if (!session_sound(s, err))
        return false;
    if (!channel_receive(&s->channel, s->buffer, CHANNEL_MESSAGE_MAX, m, timeout_ms, &why))
        return why.code == ERR_TIMEOUT ? error_set(err, why.code, "%s", why.text) : session_break(s, &why, err);
    message_done(m); /* no descriptor is expected here */
    if (m->verb == VERB_TAKEN && !take_back(s, fields_uint(m->fields, FIELD_LENGTH, 0)))
        return broken_by(s, "more is taken than was given", err);
    return true;
}

/* As next_message, while the vault owes one: NEWS is queued, and silence breaks the session. */
static bool owed_message(struct session *s, struct message *m, struct error *err)
{
    struct error why;

    for (;;) {
        if (!next_message(s, SESSION_ANSWER_MS, m, &why))
            return session_break(s, &why, err);
        if (m->verb != VERB_NEWS)
            return true;
        queue_news(s, m->fields);
    }
}

/* Waits for a ROW or the REPLY of call `id`. */
static bool next_answer(struct session *s, uint32_t id, struct message *m, struct error *err)
{
    for (;;) {
        if (!owed_message(s, m, err))
            return false;
        if ((m->verb == VERB_REPLY || m->verb == VERB_ROW) && m->id == id)
            return true;
        if (m->verb != VERB_TAKEN)
            return broken_by(s, "an answer to what was not asked", err);
    }
}

static uint32_t new_id(struct session *s)
{
    s->last_id++;
    if (s->last_id == 0) /* 0 is for what wants no answer */
        s->last_id++;
    return s->last_id;
}

static bool call(struct session *s, enum verb verb, struct span request, struct span *reply, struct error *err)
{
    uint32_t id = new_id(s);
    struct message m;

    *reply = (struct span){ NULL, 0 };
    if (!send_request(s, verb, id, request, err) || !next_answer(s, id, &m, err))
        return false;
    if (m.verb != VERB_REPLY)
        return broken_by(s, "a row where a reply belongs", err);
    *reply = m.fields;
    return reply_is_success(m.fields, err);
}

bool session_call(struct session *s, enum verb verb, struct span request, struct span *reply, struct error *err)
{
    return call(s, verb, request, reply, err);
}

bool session_call_fd(struct session *s, enum verb verb, struct span request, int fd, struct span *reply,
                     struct error *err)
{
    uint32_t id = new_id(s);
    struct error why;
    struct message m;

    *reply = (struct span){ NULL, 0 };
    if (!session_sound(s, err))
        return false;
    if (!channel_send(&s->channel, verb, id, request, &fd, 1, &why))
        return session_break(s, &why, err);
    if (!next_answer(s, id, &m, err))
        return false;
    if (m.verb != VERB_REPLY)
        return broken_by(s, "a row where a reply belongs", err);
    *reply = m.fields;
    return reply_is_success(m.fields, err);
}

bool session_find(struct session *s, struct span request, session_row *row, void *context, struct error *err)
{
    uint32_t id = new_id(s);
    struct message m;
    bool wanted = true;

    if (!send_request(s, VERB_FIND, id, request, err))
        return false;
    for (;;) {
        if (!next_answer(s, id, &m, err))
            return false;
        if (m.verb == VERB_REPLY)
            break;
        wanted = wanted && row(context, m.fields); /* what is not wanted is still read, up to the REPLY */
    }
    if (!reply_is_success(m.fields, err))
        return false;
    return wanted || error_set(err, ERR_REFUSED, "a row was refused");
}

static bool ring_is_empty(const struct session *s)
{
    return s->sent_count == 0 && s->filled.len == 0;
}

bool session_get(struct session *s, uint64_t position, uint64_t offset, size_t len, struct span request,
                 struct span *out, struct error *err)
{
    struct span reply;
    uint64_t got;

    if (s->putting || !ring_is_empty(s))
        return error_set(err, ERR_BUSY, "get during a put");
    if (len > SESSION_BUFFER_BYTES)
        return error_set(err, ERR_LIMIT, "get of %zu bytes", len);
    writer_reset(&s->request);
    field_put_uint(&s->request, FIELD_POSITION, position);
    field_put_uint(&s->request, FIELD_OFFSET, offset);
    field_put_uint(&s->request, FIELD_LENGTH, len);
    write_span(&s->request, request);
    if (!writer_ok(&s->request, err, "GET") || !call(s, VERB_GET, writer_span(&s->request), &reply, err))
        return false;
    got = fields_uint(reply, FIELD_LENGTH, 0);
    if (got > len)
        return broken_by(s, "more bytes than were asked for", err);
    *out = span_of(s->shared.ptr, (size_t)got);
    return true;
}

bool session_fetch(struct session *s, enum verb verb, struct span request, struct span *reply, struct span *bytes,
                   struct error *err)
{
    uint64_t got;

    if (!session_call(s, verb, request, reply, err))
        return false;
    got = fields_uint(*reply, FIELD_LENGTH, 0);
    if (got > SESSION_BUFFER_BYTES)
        return broken_by(s, "more bytes than the buffer holds", err);
    *bytes = span_of(s->shared.ptr, (size_t)got);
    return true;
}

/* ---- put ---- */

/* Waits until the vault has taken something. */
static bool wait_taken(struct session *s, struct error *err)
{
    struct message m;

    if (!owed_message(s, &m, err))
        return false;
    return m.verb == VERB_TAKEN || broken_by(s, "an answer during a put", err);
}

/* Hands over what is filled, in pieces. */
static bool hand_over(struct session *s, struct error *err)
{
    while (s->filled.len > 0) {
        struct piece p = { s->filled.offset, s->filled.len < 2 * PIECE_BYTES ? s->filled.len : PIECE_BYTES };

        while (s->sent_count == PIECES_MAX)
            if (!wait_taken(s, err))
                return false;
        writer_reset(&s->request);
        field_put_uint(&s->request, FIELD_OFFSET, p.offset);
        field_put_uint(&s->request, FIELD_LENGTH, p.len);
        if (!writer_ok(&s->request, err, "PUT_DATA")
            || !send_request(s, VERB_PUT_DATA, 0, writer_span(&s->request), err))
            return false;
        s->sent[(s->sent_first + s->sent_count++) % PIECES_MAX] = p;
        s->filled.offset += p.len;
        s->filled.len -= p.len;
    }
    return true;
}

/* Contiguous free bytes at `at`. */
static size_t ring_room(struct session *s)
{
    size_t tail;

    if (ring_is_empty(s)) {
        s->at = 0;
        return SESSION_BUFFER_BYTES;
    }
    tail = s->sent_count > 0 ? s->sent[s->sent_first].offset : s->filled.offset;
    return tail < s->at ? SESSION_BUFFER_BYTES - s->at : tail - s->at;
}

/* Whether free bytes may lie before the tail, once `at` goes back to the start of the ring. */
static bool ring_may_wrap(const struct session *s)
{
    size_t tail = s->sent_count > 0 ? s->sent[s->sent_first].offset : s->filled.offset;

    return tail < s->at && tail > 0;
}

uint8_t *session_put_room(struct session *s, size_t least, size_t *room, struct error *err)
{
    size_t free_bytes;

    if (least == 0 || least > SESSION_BUFFER_BYTES / 2) {
        (void)error_set(err, ERR_LIMIT, "room of %zu bytes", least);
        return NULL;
    }
    while (!s->putting && s->filled.len == 0 && s->sent_count > 0) /* a new object finds the whole ring */
        if (!wait_taken(s, err))
            return NULL;
    while ((free_bytes = ring_room(s)) < least) {
        if (!s->putting && s->filled.len > 0) {
            (void)error_set(err, ERR_LIMIT, "%zu bytes before the object is begun", s->filled.len);
            return NULL;
        }
        if (ring_may_wrap(s)) {
            if (!hand_over(s, err))
                return NULL;
            s->at = 0;
        } else if (s->sent_count > 0 ? !wait_taken(s, err)
                                     : !hand_over(s, err)) { /* small pieces only when none is on its way */
            return NULL;
        }
    }
    if (!session_sound(s, err))
        return NULL;
    s->room = free_bytes;
    *room = free_bytes;
    return s->shared.ptr + s->at;
}

bool session_put_fill(struct session *s, size_t len, struct error *err)
{
    if (len > s->room)
        return error_set(err, ERR_LIMIT, "%zu bytes into room for %zu", len, s->room);
    if (s->filled.len == 0)
        s->filled.offset = s->at;
    s->filled.len += len;
    s->at += len;
    s->room -= len;
    return !s->putting || s->filled.len < PIECE_BYTES || hand_over(s, err);
}

bool session_put_begin(struct session *s, struct span request, struct error *err)
{
    if (s->putting)
        return error_set(err, ERR_BUSY, "an object is begun already");
    if (!send_request(s, VERB_PUT_BEGIN, 0, request, err))
        return false;
    s->putting = true;
    return s->filled.len < PIECE_BYTES || hand_over(s, err);
}

/* Facts too long for a message travel in the ring, once the vault has taken everything else from it. */
static bool lay_out(struct session *s, struct span *facts, struct error *err)
{
    if (facts->len <= CHANNEL_FIELDS_MAX)
        return true;
    if (facts->len > SESSION_BUFFER_BYTES)
        return error_set(err, ERR_LIMIT, "facts of %zu bytes", facts->len);
    while (s->sent_count > 0)
        if (!wait_taken(s, err))
            return false;
    memcpy(s->shared.ptr, facts->ptr, facts->len);
    writer_reset(&s->request);
    field_put_uint(&s->request, FIELD_OFFSET, 0);
    field_put_uint(&s->request, FIELD_LENGTH, facts->len);
    *facts = writer_span(&s->request);
    return writer_ok(&s->request, err, "PUT_END");
}

bool session_put_end(struct session *s, struct span facts, struct span *reply, struct error *err)
{
    *reply = (struct span){ NULL, 0 };
    if (!s->putting)
        return error_set(err, ERR_USAGE, "no object is begun");
    if (!hand_over(s, err) || !lay_out(s, &facts, err))
        return false;
    s->room = 0;
    s->putting = false;
    return call(s, VERB_PUT_END, facts, reply, err);
}

void session_put_abort(struct session *s)
{
    if (s->putting)
        (void)send_request(s, VERB_PUT_ABORT, 0, (struct span){ NULL, 0 },
                           NULL); /* a broken session shows at its next call */
    s->putting = false;
    s->filled.len = 0;
    s->room = 0;
    if (s->sent_count > 0) { /* free again is what lies behind the last piece that was handed over */
        const struct piece *last = &s->sent[(s->sent_first + s->sent_count - 1) % PIECES_MAX];

        s->at = last->offset + last->len;
    }
}

/* ---- news ---- */

/* The next queued NEWS; false where there is none. */
static bool queued_news(struct session *s, struct span *news)
{
    struct reader r = reader_over(span_part(writer_span(&s->news), s->news_read, s->news.len));

    if (s->news_count == 0) {
        writer_reset(&s->news);
        s->news_read = 0;
        if (s->news_lost == 0)
            return false;
        field_put_uint(&s->news, FIELD_COUNT, s->news_lost);
        s->news_lost = 0;
        *news = writer_span(&s->news);
        s->news_read = s->news.len;
        return true;
    }
    *news = read_span(&r, read_u32le(&r));
    s->news_read += 4 + news->len;
    s->news_count--;
    return true;
}

bool session_news(struct session *s, int timeout_ms, struct span *news, struct error *err)
{
    struct message m;

    if (queued_news(s, news))
        return true;
    do
        if (!next_message(s, timeout_ms, &m, err))
            return false;
    while (m.verb == VERB_TAKEN);
    if (m.verb != VERB_NEWS)
        return broken_by(s, "an answer to what was not asked", err);
    *news = m.fields;
    return true;
}
