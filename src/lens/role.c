/* The lens process. See role.h. */
#include "lens/role.h"

#include <poll.h>
#include <stdlib.h>

#include "channel/role.h"
#include "channel/sandbox.h"
#include "lens/serve.h"

struct conversation {
    bool open;
    enum process_kind with;
    unsigned number;
    struct channel channel;
};

struct lens {
    struct role role;
    struct conversation conversations[LENS_CONVERSATIONS_MAX];
    uint8_t *buffer;       /* of CHANNEL_MESSAGE_MAX; owned */
    struct digest *digest; /* owned */
};

static void conversation_close(struct conversation *c)
{
    if (c->open)
        channel_close(&c->channel);
    c->open = false;
}

/* A conversation replaces an earlier one with the same process (docs/channel.md, JOIN). */
static void join(struct lens *lens, struct role_event *event)
{
    struct conversation *place = NULL;

    for (size_t i = 0; i < LENS_CONVERSATIONS_MAX; i++) {
        struct conversation *c = &lens->conversations[i];

        if (c->open && c->with == event->process && c->number == event->number) {
            place = c;
            break;
        }
        if (!c->open && place == NULL)
            place = c;
    }
    if (place == NULL) {
        log_warn(&lens->role.log, "lens.conversations", f_uint("most", LENS_CONVERSATIONS_MAX));
        channel_close(&event->channel);
        return;
    }
    conversation_close(place);
    *place = (struct conversation){ true, event->process, event->number, event->channel };
}

/* One request. A decoder that hangs ends the process, and the asker sees the conversation end. */
static void serve(struct lens *lens, struct conversation *c)
{
    struct message m;
    struct error err;

    if (!channel_receive(&c->channel, lens->buffer, CHANNEL_MESSAGE_MAX, &m, 0, &err)) {
        if (err.code != ERR_TIMEOUT)
            conversation_close(c);
        return;
    }
    if (!lens_serve(&c->channel, &m, lens->buffer, lens->digest, &err)) {
        log_warn(&lens->role.log, "lens.conversation-broken", f_err(&err));
        conversation_close(c);
    }
    message_done(&m);
}

/* False when it is time to go. */
static bool supervisor_says(struct lens *lens)
{
    struct role_event event;
    struct error err;

    if (!role_next(&lens->role, 0, &event, &err))
        return err.code == ERR_TIMEOUT;
    if (event.kind == ROLE_JOIN)
        join(lens, &event);
    return event.kind != ROLE_STOP;
}

static void run(struct lens *lens)
{
    for (;;) {
        struct pollfd fds[LENS_CONVERSATIONS_MAX + 1] = { { .fd = role_fd(&lens->role), .events = POLLIN } };

        for (size_t i = 0; i < LENS_CONVERSATIONS_MAX; i++)
            fds[i + 1] = (struct pollfd){
                .fd = lens->conversations[i].open ? lens->conversations[i].channel.fd : -1,
                .events = POLLIN,
            };
        if (poll(fds, LENS_CONVERSATIONS_MAX + 1, -1) < 0)
            continue; /* EINTR */
        for (size_t i = 0; i < LENS_CONVERSATIONS_MAX; i++)
            if (fds[i + 1].revents != 0)
                serve(lens, &lens->conversations[i]);
        if (fds[0].revents != 0 && !supervisor_says(lens))
            return;
    }
}

int lens_role_run(int control_fd)
{
    struct lens lens = { 0 };
    struct error err;
    int status = ROLE_EXIT_FAILED;

    if (!role_begin(&lens.role, "lens", control_fd, &err))
        return ROLE_EXIT_FAILED;
    lens.buffer = malloc(CHANNEL_MESSAGE_MAX);
    lens.digest = digest_new(&err);
    if (lens.buffer == NULL || lens.digest == NULL || !sandbox_enter(SANDBOX_LENS, NULL, &lens.role.log, &err)
        || !role_ready(&lens.role, &err)) {
        log_error(&lens.role.log, "lens.not-started", f_str("error", lens.buffer == NULL ? "memory" : err.text));
    } else {
        run(&lens);
        status = ROLE_EXIT_OK;
    }
    for (size_t i = 0; i < LENS_CONVERSATIONS_MAX; i++)
        conversation_close(&lens.conversations[i]);
    digest_free(lens.digest);
    free(lens.buffer);
    role_end(&lens.role);
    return status;
}
