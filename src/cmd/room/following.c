/* Following. See following.h. */
#include "cmd/room/following.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/file.h"
#include "channel/wire.h"

struct following *following_new(struct twin *twin, const struct log *log, const struct clock *clock)
{
    struct following *f = calloc(1, sizeof *f);
    pthread_condattr_t monotonic;

    if (f == NULL)
        return NULL;
    f->twin = twin;
    f->log = log;
    f->clock = clock;
    f->heard_us = clock_wall_us(clock);
    f->offered = f->channel.fd = f->buffer.fd = -1;
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&f->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    return f;
}

void following_free(struct following *f)
{
    if (f == NULL)
        return;
    (void)pthread_mutex_lock(&f->lock);
    atomic_store(&f->stop, true);
    if (f->channel.fd >= 0)
        (void)shutdown(f->channel.fd, SHUT_RDWR); /* wakes the thread that waits for an answer */
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
    if (f->started)
        (void)pthread_join(f->thread, NULL);
    file_close(&f->offered);
    channel_close(&f->channel);
    shared_buffer_done(&f->buffer);
    (void)pthread_cond_destroy(&f->changed);
    (void)pthread_mutex_destroy(&f->lock);
    free(f);
}

void following_offer(struct following *f, int fd)
{
    (void)pthread_mutex_lock(&f->lock);
    file_close(&f->offered);
    f->offered = fd;
    (void)pthread_cond_broadcast(&f->changed);
    (void)pthread_mutex_unlock(&f->lock);
}

/* ---- questions ---- */

static void hang_up(struct following *f)
{
    (void)pthread_mutex_lock(&f->lock);
    channel_close(&f->channel);
    (void)pthread_mutex_unlock(&f->lock);
    f->buffer_given = false;
}

/* The newest conversation with a process that pulls. */
static bool have_channel(struct following *f, struct error *err)
{
    (void)pthread_mutex_lock(&f->lock);
    if (f->offered >= 0) {
        channel_close(&f->channel);
        f->channel.fd = f->offered;
        f->offered = -1;
        f->buffer_given = false;
    }
    (void)pthread_mutex_unlock(&f->lock);
    if (f->channel.fd < 0)
        return error_set(err, ERR_CLOSED, "nobody pulls");
    if (f->buffer.ptr == NULL && !shared_buffer_new(&f->buffer, err))
        return false;
    return true;
}

/* What the first says no to: only "it is not there" and "it is damaged" mean something to a round. */
static bool said_no(struct span fields, struct error *err)
{
    enum error_code code = (enum error_code)fields_uint(fields, FIELD_RESULT, ERR_NONE);
    char text[160];

    if (code == ERR_NONE)
        return true;
    if (!span_to_str(span_part(fields_text(fields, FIELD_ERROR_TEXT), 0, sizeof text - 1), text, sizeof text))
        text[0] = '\0';
    return error_set(err, code == ERR_NOT_FOUND || code == ERR_DAMAGED ? code : ERR_CLOSED, "%s", text);
}

static bool receive(struct following *f, uint32_t id, struct span *fields, struct error *err)
{
    struct message m;

    do {
        if (!channel_receive(&f->channel, f->message, sizeof f->message, &m, FOLLOWING_ANSWER_MS, err))
            return false;
        message_done(&m);
    } while (m.verb == VERB_REPLY && m.id != id);
    if (m.verb != VERB_REPLY)
        return error_set(err, ERR_CLOSED, "the process that pulls says verb %d", (int)m.verb);
    *fields = m.fields;
    return true;
}

/* One question to the first. *fields borrow until the next one; *len bytes lie in the shared buffer. */
static bool ask(struct following *f, enum verb verb, struct writer *question, struct span *fields, size_t *len,
                struct error *err)
{
    uint32_t id = ++f->next_id;
    bool ok = have_channel(f, err);

    field_put_uint(question, FIELD_TWIN_VERB, verb);
    ok = ok && writer_ok(question, err, "question")
         && channel_send(&f->channel, VERB_FETCH, id, writer_span(question), &f->buffer.fd, f->buffer_given ? 0 : 1,
                         err);
    if (!ok || !receive(f, id, fields, err)) {
        hang_up(f);
        (void)error_set(err, ERR_CLOSED, "the process that pulls is away");
        f->link_failed = true;
        return false;
    }
    f->buffer_given = true;
    *len = (size_t)fields_uint(*fields, FIELD_TWIN_VERB, 0); /* its first field: how many bytes came */
    if (*len > f->buffer.len)
        return error_set(err, ERR_CLOSED, "more bytes than the buffer holds");
    return said_no(*fields, err);
}

static bool source_head(void *context, address from, uint64_t position, uint64_t applied, struct follow_head *out,
                        struct error *err)
{
    struct following *f = context;
    struct follow_question q = { from, position, applied };
    struct writer w = writer_new(1024);
    struct span fields;
    size_t len;
    bool ok;

    follow_question_write(&q, f->wait_ms, &w);
    ok = ask(f, VERB_FOLLOW_STATE, &w, &fields, &len, err) && follow_head_read(fields, out, err);
    writer_done(&w);
    if (!ok && err->code != ERR_CLOSED)
        (void)error_set(err, ERR_DAMAGED, "the first's head cannot be read");
    return ok;
}

static bool source_read(void *context, const struct follow_range *range, uint8_t *out, size_t len, size_t *got,
                        struct error *err)
{
    struct following *f = context;
    struct writer w = writer_new(1024);
    struct span fields;
    size_t n = 0;
    bool ok;

    follow_range_write(range, len, &w);
    ok = ask(f, VERB_FOLLOW_READ, &w, &fields, &n, err);
    writer_done(&w);
    if (ok && n > len)
        ok = error_set(err, ERR_DAMAGED, "more bytes than were asked for");
    if (ok) {
        memcpy(out, f->buffer.ptr, n);
        *got = n;
    }
    return ok;
}

/* The first's configuration, for a promotion one day. */
static void fetch_conf(struct following *f)
{
    struct follow_range range = { .part = FOLLOW_CONF };
    uint64_t now = clock_wall_us(f->clock);
    uint8_t *text;
    size_t got = 0;
    struct error err = { 0 };

    if (f->conf_us != 0 && now - f->conf_us < FOLLOWING_CONF_EVERY_US)
        return;
    f->conf_us = now;
    text = malloc(WIRE_BYTES_MAX);
    if (text == NULL || !source_read(f, &range, text, WIRE_BYTES_MAX, &got, &err)
        || !twin_keep_conf(f->twin, span_of(text, got), &err))
        log_warn(f->log, "twin.no-configuration", f_err(&err));
    free(text);
}

/* ---- rounds ---- */

static void pause_ms(struct following *f, unsigned ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&f->lock);
    if (!atomic_load(&f->stop))
        (void)pthread_cond_timedwait(&f->changed, &f->lock, &until);
    (void)pthread_mutex_unlock(&f->lock);
}

static void set_refused(struct following *f, const struct error *why)
{
    (void)pthread_mutex_lock(&f->lock);
    (void)snprintf(f->refused, sizeof f->refused, "%s", why == NULL ? "" : why->text);
    (void)pthread_mutex_unlock(&f->lock);
}

bool following_refused(struct following *f, char out[ERROR_TEXT_MAX])
{
    (void)pthread_mutex_lock(&f->lock);
    memcpy(out, f->refused, ERROR_TEXT_MAX);
    (void)pthread_mutex_unlock(&f->lock);
    return out[0] != '\0';
}

/* What a round that failed means; how long to wait. */
static unsigned failed(struct following *f, const struct error *why)
{
    if (why->code == ERR_REFUSED) {
        log_error(f->log, "twin.refused", f_err(why));
        set_refused(f, why);
        return FOLLOWING_REFUSED_MS;
    }
    if (why->code == ERR_DAMAGED || why->code == ERR_MALFORMED) {
        log_error(f->log, "twin.damaged", f_err(why));
        f->damaged++;
        if (f->damaged >= FOLLOWING_DAMAGED_MAX)
            set_refused(f, why);
        return f->damaged >= FOLLOWING_DAMAGED_MAX ? FOLLOWING_REFUSED_MS : FOLLOWING_PAUSE_MS;
    }
    if (why->code == ERR_NO_SPACE || why->code == ERR_IO)
        log_error(f->log, "twin.failed", f_err(why));
    return FOLLOWING_PAUSE_MS;
}

static bool gave_up(struct following *f)
{
    return f->refused[0] != '\0';
}

uint64_t following_heard_us(struct following *f)
{
    uint64_t heard;

    (void)pthread_mutex_lock(&f->lock);
    heard = f->heard_us;
    (void)pthread_mutex_unlock(&f->lock);
    return heard;
}

bool following_is_silent(uint64_t heard_us, uint64_t now_us, unsigned alarm_minutes)
{
    return alarm_minutes > 0 && now_us > heard_us && (now_us - heard_us) / 60000000 >= alarm_minutes;
}

static void heard(struct following *f)
{
    (void)pthread_mutex_lock(&f->lock);
    f->heard_us = clock_wall_us(f->clock);
    (void)pthread_mutex_unlock(&f->lock);
}

/* Beside a room it is the room that says so, and records it. */
static void tell_silence(struct following *f)
{
    uint64_t now = clock_wall_us(f->clock), since = following_heard_us(f);
    bool silent = following_is_silent(since, now, f->alarm_minutes);

    if (silent && !f->silent)
        log_error(f->log, "twin.first-silent", f_uint("seconds", (now - since) / 1000000));
    else if (!silent && f->silent)
        log_info(f->log, "twin.first-back", f_uint("seconds", 0));
    f->silent = silent;
}

static void follow(struct following *f, bool once, bool strict, struct error *err)
{
    struct twin_source source = { f, source_head, source_read };

    while (!atomic_load(&f->stop)) {
        bool more = false;

        *err = (struct error){ .code = ERR_NONE };
        if (twin_round(f->twin, &source, &more, err)) {
            heard(f);
            if (strict)
                tell_silence(f);
            if (gave_up(f))
                set_refused(f, NULL);
            f->damaged = 0;
            f->wait_ms = more ? 0 : FOLLOWING_WAIT_MS;
            if (!more)
                fetch_conf(f);
            if (once && !more)
                return;
            continue;
        }
        f->wait_ms = 0;
        if (atomic_load(&f->stop))
            return;
        if (strict)
            tell_silence(f);
        pause_ms(f, strict && err->code == ERR_REFUSED ? 0 : failed(f, err));
        if (strict && (err->code == ERR_REFUSED || (once && gave_up(f)) || (f->channel.fd < 0 && f->offered < 0)))
            return;
    }
}

bool following_run(struct following *f, bool once, struct error *err)
{
    follow(f, once, true, err);
    return err->code == ERR_NONE;
}

static void *follow_main(void *context)
{
    struct error err = { 0 };

    follow(context, false, false, &err);
    return NULL;
}

bool following_start(struct following *f, struct error *err)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    f->started = pthread_create(&f->thread, NULL, follow_main, f) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return f->started || error_set(err, ERR_MEMORY, "no thread to follow with");
}
