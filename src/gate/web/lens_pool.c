/* The lenses that the gate may ask. See lens_pool.h. */
#include "gate/web/lens_pool.h"

#include <time.h>

void lens_pool_init(struct lens_pool *p)
{
    pthread_condattr_t monotonic;

    *p = (struct lens_pool){ .next_id = 1 };
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&p->freed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
}

void lens_pool_done(struct lens_pool *p)
{
    for (size_t i = 0; i < LENSES_MAX; i++) {
        if (p->slots[i].present)
            channel_close(&p->slots[i].channel);
        if (p->slots[i].replaced)
            channel_close(&p->slots[i].fresh);
    }
    (void)pthread_cond_destroy(&p->freed);
    (void)pthread_mutex_destroy(&p->lock);
}

void lens_pool_join(struct lens_pool *p, unsigned number, struct channel channel)
{
    struct lens_slot *s;

    if (number >= LENSES_MAX) {
        channel_close(&channel);
        return;
    }
    (void)pthread_mutex_lock(&p->lock);
    s = &p->slots[number];
    if (s->busy) {
        if (s->replaced)
            channel_close(&s->fresh);
        s->fresh = channel;
        s->replaced = true;
    } else {
        if (s->present)
            channel_close(&s->channel);
        s->channel = channel;
        s->present = true;
        (void)pthread_cond_signal(&p->freed);
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static struct lens_slot *free_slot(struct lens_pool *p)
{
    for (size_t i = 0; i < LENSES_MAX; i++)
        if (p->slots[i].present && !p->slots[i].busy)
            return &p->slots[i];
    return NULL;
}

static struct lens_slot *take(struct lens_pool *p, uint32_t *id, struct error *err)
{
    struct lens_slot *s;
    struct timespec until;
    int waited = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LENS_WAIT_MS / 1000;
    (void)pthread_mutex_lock(&p->lock);
    while ((s = free_slot(p)) == NULL && waited == 0)
        waited = pthread_cond_timedwait(&p->freed, &p->lock, &until);
    if (s != NULL)
        s->busy = true;
    *id = p->next_id++;
    if (p->next_id == 0)
        p->next_id = 1;
    (void)pthread_mutex_unlock(&p->lock);
    if (s == NULL)
        (void)error_set(err, ERR_BUSY, "no lens is free");
    return s;
}

static void give_back(struct lens_pool *p, struct lens_slot *s, bool healthy)
{
    (void)pthread_mutex_lock(&p->lock);
    s->busy = false;
    if (!healthy || s->replaced) {
        channel_close(&s->channel);
        s->present = s->replaced;
        s->channel = s->fresh;
        s->replaced = false;
    }
    (void)pthread_cond_signal(&p->freed);
    (void)pthread_mutex_unlock(&p->lock);
}

/* *healthy: the lens kept its side of the protocol, whatever it said. */
static bool ask(struct lens_slot *s, uint32_t id, struct span request, const int fds[2], uint8_t *buffer,
                struct span *reply, bool *healthy, struct error *err)
{
    struct message m;
    uint64_t result;

    if (!channel_send(&s->channel, VERB_DECODE, id, request, fds, 2, err)
        || !channel_receive(&s->channel, buffer, CHANNEL_MESSAGE_MAX, &m, LENS_ANSWER_MS, err))
        return false;
    message_done(&m);
    if (m.verb != VERB_REPLY || m.id != id)
        return error_set(err, ERR_MALFORMED, "lens: not the answer that was asked for");
    *healthy = true;
    result = fields_uint(m.fields, FIELD_RESULT, ERR_MALFORMED);
    if (result != ERR_NONE) {
        struct span text = fields_text(m.fields, FIELD_ERROR_TEXT);

        return error_set(err, (enum error_code)result, "%.*s", (int)text.len, (const char *)text.ptr);
    }
    *reply = m.fields;
    return true;
}

bool lens_pool_decode(struct lens_pool *p, struct span request, int input, int output, uint8_t *buffer,
                      struct span *reply, struct error *err)
{
    const int fds[2] = { input, output };
    bool healthy = false, ok;
    uint32_t id;
    struct lens_slot *s = take(p, &id, err);

    if (s == NULL)
        return false;
    ok = ask(s, id, request, fds, buffer, reply, &healthy, err);
    give_back(p, s, healthy);
    return ok;
}
