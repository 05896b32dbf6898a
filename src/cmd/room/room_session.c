/*
 * Sessions: conversations with gates, each able to say what its kind may say and nothing else.
 */
#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "base/file.h"
#include "cmd/room/change.h"

/* A reader that takes no answer for this long is ended: a held session holds memory. */
#define ANSWER_WAIT_MS 10000
/* Messages read from one session before the others have their turn. */
#define MESSAGES_PER_TURN 8

typedef void verb_handler(struct room *room, struct session *s, const struct message *m);

static void open_session(struct room *room, struct session *s, const struct message *m);

/* docs/channel.md, "Who may say what". What is not here ends the conversation. */
static const struct verb_rule {
    enum process_kind kind;
    enum verb verb;
    bool admitted; /* only after a successful ADMIT */
    verb_handler *handler;
} verb_rules[] = {
    { PROCESS_DICOM_LISTENER, VERB_OPEN, false, open_session },
    { PROCESS_DICOM_LISTENER, VERB_TELL, false, ask_tell },
    { PROCESS_DICOM_ASSOCIATION, VERB_ADMIT, false, admit },
    { PROCESS_DICOM_ASSOCIATION, VERB_PUT_BEGIN, true, put_begin },
    { PROCESS_DICOM_ASSOCIATION, VERB_PUT_DATA, true, put_take },
    { PROCESS_DICOM_ASSOCIATION, VERB_PUT_END, true, put_finish },
    { PROCESS_DICOM_ASSOCIATION, VERB_PUT_ABORT, true, put_forget },
    { PROCESS_DICOM_ASSOCIATION, VERB_TELL, true, ask_tell },
    { PROCESS_HL7_LISTENER, VERB_OPEN, false, open_session },
    { PROCESS_HL7_LISTENER, VERB_TELL, false, ask_tell },
    { PROCESS_HL7_CONNECTION, VERB_ADMIT, false, admit },
    { PROCESS_HL7_CONNECTION, VERB_PUT_BEGIN, true, put_begin },
    { PROCESS_HL7_CONNECTION, VERB_PUT_DATA, true, put_take },
    { PROCESS_HL7_CONNECTION, VERB_PUT_END, true, put_finish },
    { PROCESS_HL7_CONNECTION, VERB_PUT_ABORT, true, put_forget },
    { PROCESS_HL7_CONNECTION, VERB_TELL, true, ask_tell },
    { PROCESS_WEB, VERB_OPEN, false, open_session },
    { PROCESS_WEB, VERB_FIND, false, ask_find }, /* tls-key and status: the query table says so */
    { PROCESS_WEB, VERB_TELL, false, ask_tell },
    { PROCESS_WEB_REQUEST, VERB_ADMIT, false, admit },
    { PROCESS_WEB_REQUEST, VERB_FIND, false, ask_find }, /* each call carries its token */
    { PROCESS_WEB_REQUEST, VERB_GET, false, ask_get },
    { PROCESS_WEB_REQUEST, VERB_TELL, false, ask_tell },
    { PROCESS_WEB_REQUEST, VERB_WATCH, false, ask_watch },
    { PROCESS_WEB_REQUEST, VERB_CHANGE, false, change },
    { PROCESS_WITNESS, VERB_FIND, false, ask_find }, /* tls-key */
    { PROCESS_WITNESS, VERB_COSIGN, false, cosign_asked },
    { PROCESS_FOLLOW_LISTENER, VERB_OPEN, false, open_session },
    { PROCESS_FOLLOW_LISTENER, VERB_FIND, false, ask_find }, /* tls-key */
    { PROCESS_FOLLOW_LISTENER, VERB_TELL, false, ask_tell },
    { PROCESS_FOLLOWER, VERB_ADMIT, false, admit },
    { PROCESS_FOLLOWER, VERB_FOLLOW_STATE, true, follow_state },
    { PROCESS_FOLLOWER, VERB_FOLLOW_READ, true, follow_read },
    { PROCESS_LOCAL, VERB_FIND, true, ask_find },
    { PROCESS_LOCAL, VERB_GET, true, ask_get },
    { PROCESS_LOCAL, VERB_CHANGE, true, change },
    { PROCESS_LOCAL, VERB_KEYS, true, ask_keys },
    { PROCESS_LOCAL, VERB_FOLLOW_STATE, true, follow_state }, /* fanal segments */
    { PROCESS_LOCAL, VERB_FOLLOW_READ, true, follow_read },
};

static const struct verb_rule *rule_for(const struct session *s, enum verb verb)
{
    for (size_t i = 0; i < COUNT_OF(verb_rules); i++)
        if (verb_rules[i].kind == s->kind && verb_rules[i].verb == verb
            && (!verb_rules[i].admitted || s->rights.admitted))
            return &verb_rules[i];
    return NULL;
}

/* Which kinds a listener may open: the child it forks, no more. */
static bool may_open(enum process_kind opener, enum process_kind kind)
{
    return (opener == PROCESS_DICOM_LISTENER && kind == PROCESS_DICOM_ASSOCIATION)
           || (opener == PROCESS_HL7_LISTENER && kind == PROCESS_HL7_CONNECTION)
           || (opener == PROCESS_FOLLOW_LISTENER && kind == PROCESS_FOLLOWER)
           || (opener == PROCESS_WEB && kind == PROCESS_WEB_REQUEST);
}

static void misbehaved(struct room *room, struct session *s, const char *how)
{
    log_warn(&room->log, "session.misbehaved", f_uint("session", s->number), f_uint("kind", s->kind), f_str("how", how));
    event_record(room, "session.misbehaved", s, "refused", how, (struct span){ NULL, 0 });
    session_end(room, s);
}

static void open_session(struct room *room, struct session *s, const struct message *m)
{
    enum process_kind kind = (enum process_kind)fields_uint(m->fields, FIELD_PROCESS, 0);
    struct message *own = (struct message *)m; /* the descriptor is taken out of it */

    if (m->fd_count != 1 || !may_open(s->kind, kind)) {
        misbehaved(room, s, "opened what it may not open");
        return;
    }
    (void)session_new(room, kind, own->fds[0], fields_text(m->fields, FIELD_ADDRESS));
    own->fds[0] = -1;
}

static void dispatch(struct room *room, struct session *s, struct message *m)
{
    const struct verb_rule *rule = rule_for(s, m->verb);

    if (rule == NULL)
        misbehaved(room, s, "said what it may not say");
    else
        rule->handler(room, s, m);
    message_done(m);
}

static void session_ready(struct room *room, struct watched *w)
{
    struct session *s = (struct session *)w;

    for (unsigned i = 0; i < MESSAGES_PER_TURN && !s->busy && !s->dead; i++) {
        struct message m;
        struct error err = { 0 };

        if (channel_receive(&s->channel, room->message, sizeof room->message, &m, 0, &err))
            dispatch(room, s, &m);
        else if (err.code == ERR_MALFORMED)
            misbehaved(room, s, "sent a broken message");
        else if (err.code == ERR_TIMEOUT)
            return;
        else
            session_end(room, s);
    }
}

static bool watch(struct room *room, struct session *s)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = &s->watched };

    return epoll_ctl(room->epoll_fd, EPOLL_CTL_ADD, s->channel.fd, &e) == 0;
}

static void unwatch(struct room *room, struct session *s)
{
    (void)epoll_ctl(room->epoll_fd, EPOLL_CTL_DEL, s->channel.fd, NULL);
}

/* The vault's first word: here is your buffer. Listeners and lenses have none. */
static bool greet(struct session *s, struct error *err)
{
    struct writer w = writer_new(64);
    bool ok = shared_buffer_new(&s->buffer, err);

    if (ok) {
        field_put_uint(&w, FIELD_RESULT, ERR_NONE);
        ok = channel_try_send(&s->channel, VERB_REPLY, 0, writer_span(&w), &s->buffer.fd, 1, err);
    }
    writer_done(&w);
    return ok;
}

static bool has_buffer(enum process_kind kind)
{
    return kind != PROCESS_DICOM_LISTENER && kind != PROCESS_HL7_LISTENER && kind != PROCESS_WITNESS
           && kind != PROCESS_FOLLOW_LISTENER;
}

struct session *session_new(struct room *room, enum process_kind kind, int fd, struct span address)
{
    struct session *s = room->session_count < SESSIONS_MAX ? calloc(1, sizeof *s) : NULL;
    struct error err = { 0 };

    if (s == NULL) {
        log_warn(&room->log, "session.too-many", f_uint("sessions", room->session_count));
        file_close(&fd);
        return NULL;
    }
    *s = (struct session){ .watched = { session_ready }, .channel = { fd }, .buffer = { .fd = -1 }, .kind = kind };
    s->number = ++room->next_session;
    (void)span_to_str(span_part(address, 0, sizeof s->address - 1), s->address, sizeof s->address);
    if ((has_buffer(kind) && !greet(s, &err)) || !watch(room, s)) {
        log_warn(&room->log, "session.not-opened", f_uint("kind", kind), f_err(&err));
        shared_buffer_done(&s->buffer);
        channel_close(&s->channel);
        free(s);
        return NULL;
    }
    LIST_INSERT_HEAD(&room->sessions, s, all);
    room->session_count++;
    return s;
}

void session_end(struct room *room, struct session *s)
{
    if (s->dead)
        return;
    s->dead = true;
    if (!s->busy)
        unwatch(room, s);
    room->some_dead = true;
}

void sessions_bury(struct room *room)
{
    struct session *next;

    if (!room->some_dead)
        return;
    room->some_dead = false;
    for (struct session *s = LIST_FIRST(&room->sessions); s != NULL; s = next) {
        next = LIST_NEXT(s, all);
        if (!s->dead)
            continue;
        if (s->busy) { /* a job or a commit still looks at it */
            room->some_dead = true;
            continue;
        }
        LIST_REMOVE(s, all);
        room->session_count--;
        body_free(s->body);
        shared_buffer_done(&s->buffer);
        channel_close(&s->channel);
        free(s);
    }
}

void session_hold(struct room *room, struct session *s)
{
    assert(!s->busy && !s->dead);
    s->busy = true;
    unwatch(room, s);
}

void session_release(struct room *room, struct session *s)
{
    assert(s->busy);
    s->busy = false;
    if (!s->dead && !watch(room, s))
        session_end(room, s);
}

bool session_has_room(struct session *s)
{
    struct pollfd p = { .fd = s->channel.fd, .events = POLLOUT };

    return poll(&p, 1, ANSWER_WAIT_MS) > 0 && (p.revents & POLLOUT) != 0;
}

bool session_reply(struct session *s, uint32_t id, const struct error *result, struct span more)
{
    struct writer w = writer_new(CHANNEL_MESSAGE_MAX);
    bool ok;

    field_put_uint(&w, FIELD_RESULT, result == NULL ? ERR_NONE : result->code);
    if (result != NULL && result->code != ERR_NONE)
        field_put_str(&w, FIELD_ERROR_TEXT, result->text);
    write_span(&w, more);
    ok = writer_ok(&w, NULL, "reply") && channel_try_send(&s->channel, VERB_REPLY, id, writer_span(&w), NULL, 0, NULL);
    writer_done(&w);
    return ok;
}

bool session_row_out(struct session *s, uint32_t id, struct span row)
{
    struct error err = { 0 };

    while (!channel_try_send(&s->channel, VERB_ROW, id, row, NULL, 0, &err))
        if (err.code != ERR_BUSY || !session_has_room(s))
            return false;
    return true;
}
