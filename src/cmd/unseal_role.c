/*
 * The role `unseal`: stands in the vault's place while nobody has given the secret (docs/operations.md, "Started
 * sealed").
 *
 * It answers gates that the vault is sealed, takes shares, a passphrase or a key file from `fanal unseal` through the
 * local socket, one after the other, keeps what it is given in locked memory for fifteen minutes, and hands the secret
 * that opens the keyring to the supervisor, which then starts the vault. It reads the keyring's header and no more.
 */
#include <limits.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>

#include "base/file.h"
#include "channel/role.h"
#include "channel/sandbox.h"
#include "channel/shared_buffer.h"
#include "cmd/roles.h"
#include "cmd/room/certificate.h"
#include "cmd/secret.h"
#include "vault/custody.h"
#include "vault/locked.h"
#include "vault/store_keys.h"

#define TALKS_MAX      64                         /* conversations at once; one more is closed */
#define SHARES_KEPT_MS ((uint64_t)15 * 60 * 1000) /* from the last one given; then all are forgotten */
#define PEM_BYTES_MAX  16384

static const struct span nothing = { NULL, 0 };

struct talk {
    struct channel channel;
    enum process_kind kind;
    struct shared_buffer buffer; /* a command's: what a session begins with */
};

struct unseal {
    struct role role;
    char dir[PATH_MAX];
    struct keyring_info info;
    struct custody *custody; /* NULL: this vault has no custodians */
    uint8_t *secret;         /* SECRET_BYTES_MAX, locked: what was given last, while it is tried */
    uint64_t forget_ms;      /* 0: no share is kept */
    struct talk talks[TALKS_MAX];
    size_t talk_count;
    struct writer key, certificate; /* of the page that says "sealed": made at each start, in PEM */
    bool opened;
    uint8_t message[CHANNEL_MESSAGE_MAX];
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ms(&clock_system);
}

static unsigned given(const struct unseal *u)
{
    return u->custody != NULL ? custody_given(u->custody) : 0;
}

static unsigned needed(const struct unseal *u)
{
    return u->custody != NULL ? custody_needed(u->custody) : 0;
}

/* ---- answers ---- */

static void put_state(const struct unseal *u, struct writer *w)
{
    field_put_str(w, FIELD_STATE, u->opened ? "opened" : "sealed");
    field_put_bytes(w, FIELD_VAULT_ID, span_of(u->info.vault_id, VAULT_ID_BYTES));
    field_put_uint(w, FIELD_SHARES_GIVEN, given(u));
    field_put_uint(w, FIELD_THRESHOLD, needed(u));
}

static void reply(struct unseal *u, struct talk *t, uint32_t id, const struct error *err)
{
    struct writer w = writer_new(1024);

    field_put_uint(&w, FIELD_RESULT, err == NULL ? ERR_NONE : err->code);
    if (err != NULL)
        field_put_str(&w, FIELD_ERROR_TEXT, err->text);
    put_state(u, &w);
    if (id != 0)
        (void)channel_try_send(&t->channel, VERB_REPLY, id, writer_span(&w), NULL, 0, NULL);
    writer_done(&w);
}

static void reply_sealed(struct unseal *u, struct talk *t, uint32_t id)
{
    struct error err = { 0 };

    (void)error_set(&err, ERR_SEALED, "the vault is sealed: %u of %u shares given", given(u), needed(u));
    reply(u, t, id, &err);
}

/* A new conversation of a gate: its first word is that there is no vault. The peer is told to come back. */
static void refuse_opening(struct unseal *u, struct message *m)
{
    struct talk t = { .channel = { m->fd_count == 1 ? m->fds[0] : -1 } };
    struct writer w = writer_new(256);

    (void)u;
    if (m->fd_count != 1)
        return;
    m->fds[0] = -1;
    field_put_uint(&w, FIELD_RESULT, ERR_SEALED);
    field_put_str(&w, FIELD_ERROR_TEXT, "the vault is sealed");
    (void)channel_try_send(&t.channel, VERB_REPLY, 0, writer_span(&w), NULL, 0, NULL);
    writer_done(&w);
    channel_close(&t.channel);
}

static void answer_find(struct unseal *u, struct talk *t, const struct message *m)
{
    struct span query = fields_text(m->fields, FIELD_QUERY);
    struct writer row = writer_new(CHANNEL_MESSAGE_MAX);
    bool key = t->kind == PROCESS_WEB && span_equal(query, SPAN_LIT("tls-key"));

    if (key || span_equal(query, SPAN_LIT("status"))) {
        if (key) {
            field_put_bytes(&row, FIELD_TLS_KEY, writer_span(&u->key));
            field_put_bytes(&row, FIELD_TLS_CERTIFICATE, writer_span(&u->certificate));
        }
        put_state(u, &row);
        (void)channel_try_send(&t->channel, VERB_ROW, m->id, writer_span(&row), NULL, 0, NULL);
        reply(u, t, m->id, NULL);
    } else {
        reply_sealed(u, t, m->id);
    }
    writer_done(&row);
}

/* ---- unsealing ---- */

static void forget(struct unseal *u, const char *why)
{
    if (given(u) > 0)
        log_info(&u->role.log, "unseal.forgotten", f_uint("shares", given(u)), f_str("reason", why));
    if (u->custody != NULL)
        custody_reset(u->custody);
    u->forget_ms = 0;
}

/* The secret goes to the supervisor as a sealed memfd, and is gone from here when this process ends. */
static bool hand_over(struct unseal *u, size_t len, struct error *err)
{
    const struct writer secret = { .ptr = u->secret, .len = len };
    CLEANUP(file_close) int fd = -1;

    return secret_seal(&secret, &fd, err)
           && channel_send(&u->role.control, VERB_OPENED, 0, nothing, &fd, 1, err);
}

static bool try_secret(struct unseal *u, size_t len, struct error *err)
{
    unsigned place;

    if (!store_keys_try(u->dir, span_of(u->secret, len), &place, err) || !hand_over(u, len, err))
        return false;
    u->opened = true;
    log_info(&u->role.log, "unseal.opened", f_uint("unlocker", place + 1),
             f_str("kind", unlocker_kind_name(u->info.unlockers[place].kind)));
    return true;
}

static bool take_share(struct unseal *u, size_t len, struct error *err)
{
    if (u->custody == NULL)
        return error_set(err, ERR_NOT_FOUND, "this vault has no custodians");
    if (!custody_give(u->custody, span_of(u->secret, len), err))
        return false;
    u->forget_ms = now_ms() + SHARES_KEPT_MS;
    log_info(&u->role.log, "unseal.share", f_uint("given", given(u)), f_uint("needed", needed(u)));
    if (given(u) < needed(u))
        return true;
    if (custody_secret(u->custody, u->secret, err) && try_secret(u, CUSTODY_SECRET_BYTES, err))
        return true;
    forget(u, "they do not open it together");
    return false;
}

static bool read_given(struct unseal *u, int fd, size_t *len, struct error *err)
{
    uint64_t size;

    if (!file_size(fd, &size, err))
        return error_within(err, "secret");
    if (size == 0 || size > SECRET_BYTES_MAX)
        return error_set(err, ERR_USAGE, "a secret of %llu bytes", (unsigned long long)size);
    *len = (size_t)size;
    return file_read_at(fd, u->secret, *len, 0, err);
}

static void unseal(struct unseal *u, struct talk *t, const struct message *m)
{
    struct span deed = fields_text(m->fields, FIELD_KEY_DEED);
    struct error err = { 0 };
    size_t len = 0;
    bool ok;

    if (t->kind != PROCESS_LOCAL || m->fd_count != 1)
        ok = error_set(&err, ERR_REFUSED, "not from here");
    else if (!read_given(u, m->fds[0], &len, &err))
        ok = false;
    else if (span_equal(deed, SPAN_LIT("share")))
        ok = take_share(u, len, &err);
    else
        ok = try_secret(u, len, &err);
    sodium_memzero(u->secret, SECRET_BYTES_MAX);
    if (!ok)
        log_warn(&u->role.log, "unseal.refused", f_err(&err));
    reply(u, t, m->id, ok ? NULL : &err);
}

/* ---- conversations ---- */

static void talk_end(struct unseal *u, size_t i)
{
    shared_buffer_done(&u->talks[i].buffer);
    channel_close(&u->talks[i].channel);
    u->talks[i] = u->talks[--u->talk_count];
}

static void talk_begin(struct unseal *u, struct role_event *e)
{
    struct talk *t = &u->talks[u->talk_count];
    struct writer w = writer_new(64);
    bool ok = u->talk_count < TALKS_MAX && e->process != PROCESS_LENS;

    if (!ok) {
        channel_close(&e->channel);
        return;
    }
    *t = (struct talk){ .channel = e->channel, .kind = e->process, .buffer = { .fd = -1 } };
    u->talk_count++;
    if (e->process == PROCESS_LOCAL) {
        field_put_uint(&w, FIELD_RESULT, ERR_NONE);
        ok = shared_buffer_new(&t->buffer, NULL)
             && channel_try_send(&t->channel, VERB_REPLY, 0, writer_span(&w), &t->buffer.fd, 1, NULL);
    }
    writer_done(&w);
    if (!ok)
        talk_end(u, u->talk_count - 1);
}

/* False where the other end is gone. */
static bool talk_hear(struct unseal *u, struct talk *t)
{
    struct error err = { 0 };
    struct message m;

    if (!channel_receive(&t->channel, u->message, sizeof u->message, &m, 0, &err))
        return err.code == ERR_TIMEOUT;
    if (m.verb == VERB_OPEN)
        refuse_opening(u, &m);
    else if (m.verb == VERB_FIND)
        answer_find(u, t, &m);
    else if (m.verb == VERB_UNSEAL)
        unseal(u, t, &m);
    else if (m.verb == VERB_TELL)
        reply(u, t, m.id, NULL);
    else
        reply_sealed(u, t, m.id);
    message_done(&m);
    return true;
}

/* False when it is time to go. */
static bool control_hear(struct unseal *u, struct error *err)
{
    struct role_event e;

    if (!role_next(&u->role, 0, &e, err))
        return err->code == ERR_TIMEOUT;
    switch (e.kind) {
    case ROLE_JOIN:
        talk_begin(u, &e);
        return true;
    case ROLE_STOP:
        return error_set(err, ERR_CLOSED, "stopped");
    case ROLE_CRASH:
        return true; /* it is in the supervisor's log; there is no journal to write to */
    }
    return true;
}

static bool turn(struct unseal *u, struct error *err)
{
    struct pollfd fds[1 + TALKS_MAX] = { { .fd = role_fd(&u->role), .events = POLLIN } };
    size_t count = u->talk_count;
    uint64_t now = now_ms();

    if (u->forget_ms != 0 && u->forget_ms <= now)
        forget(u, "fifteen minutes have passed");
    for (size_t i = 0; i < count; i++)
        fds[1 + i] = (struct pollfd){ .fd = u->talks[i].channel.fd, .events = POLLIN };
    if (poll(fds, (nfds_t)(1 + count), u->forget_ms == 0 ? -1 : (int)(u->forget_ms - now)) <= 0)
        return true;
    for (size_t i = count; i-- > 0;) /* from the end: one that ends is replaced by the last */
        if (fds[1 + i].revents != 0 && !talk_hear(u, &u->talks[i]))
            talk_end(u, i);
    return fds[0].revents == 0 || control_hear(u, err);
}

/* ---- the role ---- */

static bool prepare(struct unseal *u, struct error *err)
{
    char vault[PATH_MAX];
    struct sandbox_paths paths = { .readable = { vault } };

    if (!span_to_str(fields_text(u->role.fields, FIELD_DIRECTORY), u->dir, sizeof u->dir))
        return error_set(err, ERR_MALFORMED, "START without a directory");
    if (!path_join(vault, sizeof vault, u->dir, "vault", err) || !store_keys_peek(u->dir, &u->info, err)
        || !certificate_self_signed(NULL, &u->key, &u->certificate, err)
        || !sandbox_enter(SANDBOX_VAULT, &paths, &u->role.log, err))
        return false;
    u->secret = locked_new(SECRET_BYTES_MAX, err);
    if (u->secret == NULL)
        return false;
    u->custody = custody_new(&u->info, err);
    return (u->custody != NULL || err->code == ERR_NOT_FOUND) && role_ready(&u->role, err);
}

static void unseal_done(struct unseal *u)
{
    while (u->talk_count > 0)
        talk_end(u, u->talk_count - 1);
    custody_free(u->custody);
    locked_free(u->secret);
    if (u->key.ptr != NULL)
        sodium_memzero(u->key.ptr, u->key.cap);
    writer_done(&u->key);
    writer_done(&u->certificate);
    role_end(&u->role);
    free(u);
}

int unseal_role_run(int control_fd)
{
    struct unseal *u = calloc(1, sizeof *u);
    struct error err = { 0 };
    bool ok;

    if (u == NULL || sodium_init() < 0 || !role_begin(&u->role, "unseal", control_fd, &err)) {
        free(u);
        return ROLE_EXIT_FAILED;
    }
    u->key = writer_new(PEM_BYTES_MAX);
    u->certificate = writer_new(PEM_BYTES_MAX);
    ok = prepare(u, &err);
    if (ok) {
        log_warn(&u->role.log, "unseal.waiting", f_uint("needed", needed(u)));
        while (!u->opened && turn(u, &err))
            ;
        ok = u->opened || err.code == ERR_CLOSED;
    }
    if (!ok)
        log_error(&u->role.log, "unseal.failed", f_err(&err));
    unseal_done(u);
    return ok ? ROLE_EXIT_OK : err.code == ERR_NOT_FOUND || err.code == ERR_DAMAGED ? ROLE_EXIT_REFUSED : ROLE_EXIT_FAILED;
}
