/* The vault process: opening, the event loop, closing. See room.h. */
#include "cmd/room/room.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/room/anchors.h"
#include "cmd/room/certificate.h"
#include "cmd/room/compare.h"
#include "cmd/room/digest.h"
#include "cmd/room/recheck.h"
#include "cmd/room/repeats.h"
#include "cmd/room/serve.h"

#define EVENTS_PER_TURN 64
#define QUICK_THREADS 2
/* How long the first start waits for the commit of its TLS key: a slow disk's syncs, many times over. */
#define CERTIFICATE_WAIT_MS 20000
#define RULES_LOOK_MS       60000u

/* What else the loop watches, beside sessions. */
struct bell {
    struct watched watched;
    int fd; /* not owned */
};

struct bells {
    struct bell store, vault, quick, slow, comparing, longest, proving, following, space, recheck_timer, recheck_done, control;
    struct role *role; /* NULL for a command's own vault */
};

static void store_ready(struct room *room, struct watched *self)
{
    (void)self;
    put_completed(room);
    store_events_record(room);
}

static void vault_ready(struct room *room, struct watched *self)
{
    (void)self;
    news_out(room);
}

static void quick_ready(struct room *room, struct watched *self)
{
    (void)self;
    jobs_done(room->quick, room);
}

static void slow_ready(struct room *room, struct watched *self)
{
    (void)self;
    jobs_done(room->slow, room);
}

static void comparing_ready(struct room *room, struct watched *self)
{
    (void)self;
    jobs_done(room->comparing, room);
}

static void proving_ready(struct room *room, struct watched *self)
{
    (void)self;
    jobs_done(room->proving, room);
}

static void longest_ready(struct room *room, struct watched *self)
{
    (void)self;
    jobs_done(room->longest, room);
}

/* The vault folds its rules when it is opened: where that would know more now, another one is to be started. */
static void look_for_rules(struct room *room)
{
    const uint64_t now = clock_monotonic_ms(room->clock);

    if (room->rules_looked_ms == 0)
        room->rules_looked_ms = now; /* they were just read */
    if (now - room->rules_looked_ms < RULES_LOOK_MS)
        return;
    room->rules_looked_ms = now;
    if (room->broken || !vault_would_know_more(room->vault))
        return;
    log_warn(&room->log, "vault.rules-again");
    room->broken = true;
}

static void space_ready(struct room *room, struct watched *self)
{
    uint64_t expired;

    (void)self;
    (void)!read(room->space.timer_fd, &expired, sizeof expired);
    space_watch_turn(room);
    follow_turn(room);
    look_for_rules(room);
}

static void recheck_ready(struct room *room, struct watched *self)
{
    (void)self;
    recheck_turn(room->recheck);
}

void room_admit_local(struct room *room, int fd)
{
    struct session *s = session_new(room, PROCESS_LOCAL, fd, SPAN_LIT("local"));

    if (s == NULL)
        return;
    s->rights.admitted = true; /* root or the owner: whoever gave us fd has looked (SO_PEERCRED) */
    (void)snprintf(s->rights.actor, sizeof s->rights.actor, "local");
}

/* JOIN of a gate, a lens or a command: each is a session, but the lens, which is asked. */
static void joined(struct room *room, struct role_event *e)
{
    int fd = e->channel.fd;

    if (e->process == PROCESS_LENS && e->number == RECHECK_NUMBER) {
        recheck_offer(room->recheck, fd);
        return;
    }
    if (e->process == PROCESS_LENS) {
        lens_slot_offer(room->lens, fd);
        return;
    }
    if (e->process == PROCESS_RELAY) {
        anchors_join(room, fd);
        return;
    }
    if (e->process == PROCESS_PULL) {
        follow_joined(room, fd);
        return;
    }
    if (e->process == PROCESS_LOCAL) {
        room_admit_local(room, fd);
        return;
    }
    (void)session_new(room, e->process, fd, SPAN_LIT(""));
}

static void crashed(struct room *room, struct span fields)
{
    struct writer more = writer_new(1024);

    field_put_some(&more, FIELD_NAME, span_part(fields_text(fields, FIELD_NAME), 0, 64));
    field_put_some(&more, FIELD_DETAIL, span_part(fields_text(fields, FIELD_DETAIL), 0, TELL_TEXT_MAX));
    field_put_some(&more, FIELD_REASON, span_part(fields_text(fields, FIELD_REASON), 0, TELL_TEXT_MAX));
    event_record(room, "process.died", NULL, "failed", NULL, writer_span(&more));
    writer_done(&more);
}

static void control_ready(struct room *room, struct watched *self)
{
    struct bells *bells = (struct bells *)((char *)self - offsetof(struct bells, control));
    struct role_event e;
    struct error err = { 0 };

    if (!role_next(bells->role, 0, &e, &err)) {
        if (err.code != ERR_TIMEOUT)
            room->stopping = true; /* nobody is left to serve for */
        return;
    }
    switch (e.kind) {
    case ROLE_JOIN:
        joined(room, &e);
        return;
    case ROLE_STOP:
        room->stopping = true;
        return;
    case ROLE_CRASH:
        crashed(room, e.fields);
        return;
    }
}

static void following_ready(struct room *room, struct watched *self)
{
    (void)self;
    jobs_done(room->following_jobs, room);
}

static bool ring(struct room *room, struct bell *bell, int fd, void (*ready)(struct room *, struct watched *),
                 struct error *err)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = &bell->watched };

    *bell = (struct bell){ { ready }, fd };
    if (fd >= 0 && epoll_ctl(room->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
        return error_errno(err, "epoll_ctl");
    return true;
}

static bool hang_bells(struct room *room, struct bells *bells, struct error *err)
{
    return ring(room, &bells->store, store_event_fd(room->store), store_ready, err)
           && ring(room, &bells->vault, vault_event_fd(room->vault), vault_ready, err)
           && ring(room, &bells->quick, jobs_fd(room->quick), quick_ready, err)
           && ring(room, &bells->slow, jobs_fd(room->slow), slow_ready, err)
           && ring(room, &bells->comparing, jobs_fd(room->comparing), comparing_ready, err)
           && ring(room, &bells->proving, jobs_fd(room->proving), proving_ready, err)
           && ring(room, &bells->longest, jobs_fd(room->longest), longest_ready, err)
           && ring(room, &bells->following, jobs_fd(room->following_jobs), following_ready, err)
           && ring(room, &bells->space, room->space.timer_fd, space_ready, err)
           && ring(room, &bells->recheck_timer, room->recheck == NULL ? -1 : recheck_timer_fd(room->recheck), recheck_ready,
                   err)
           && ring(room, &bells->recheck_done, room->recheck == NULL ? -1 : recheck_done_fd(room->recheck), recheck_ready,
                   err)
           && ring(room, &bells->control, bells->role == NULL ? -1 : role_fd(bells->role), control_ready, err);
}

static bool turn(struct room *room, struct error *err)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(room->epoll_fd, events, EVENTS_PER_TURN, -1);

    if (n < 0 && errno != EINTR)
        return error_errno(err, "epoll_wait");
    for (int i = 0; i < n; i++) {
        struct watched *w = events[i].data.ptr;

        w->ready(room, w);
    }
    sessions_bury(room);
    return true;
}

/* Lets what was appended commit, so that an orderly stop loses no answer. */
static void settle(struct room *room)
{
    struct session *s;

    LIST_FOREACH (s, &room->sessions, all)
        session_end(room, s);
    strangers_tell(room, true);
    if (room->recheck != NULL)
        recheck_stop(room->recheck);
    space_watch_stop(room);
    store_kick(room->store);
    put_completed(room);
}

/* Somebody put an older keyring back, or the power went between a tombstone and its slots. */
static void tell_reapplied(struct room *room)
{
    struct writer more = writer_new(64);

    field_put_uint(&more, FIELD_COUNT, vault_reapplied(room->vault));
    if (vault_reapplied(room->vault) > 0)
        event_record(room, "erasure.reapplied", NULL, "success", "the keyring was older than the erasures of the log",
                     writer_span(&more));
    writer_done(&more);
}

bool room_open(struct room *room, const char *dir, const struct vault_options *options, struct error *err)
{
    room->clock = options->store.clock;
    room->space.timer_fd = -1;
    room->space.late.events = writer_new(LATE_BYTES_MAX);
    (void)snprintf(room->dir, sizeof room->dir, "%s", dir);
    LIST_INIT(&room->sessions);
    LIST_INIT(&room->settling);
    room->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (room->epoll_fd < 0)
        return error_errno(err, "epoll_create1");
    room->vault = vault_open(dir, options, err);
    if (room->vault == NULL)
        return false;
    room->store = vault_store(room->vault);
    if (!anchors_open(room, room->start, err))
        return false;
    room->lens = lens_slot_new();
    room->repeats = repeats_new();
    room->quick = jobs_new(room->vault, QUICK_THREADS, err);
    room->slow = room->quick == NULL ? NULL : jobs_new(room->vault, 1, err);
    room->comparing = room->slow == NULL ? NULL : jobs_new(NULL, 1, err);
    room->longest = room->comparing == NULL ? NULL : jobs_new(room->vault, 1, err);
    room->proving = room->longest == NULL ? NULL : jobs_new(room->vault, 1, err);
    if (room->proving == NULL || room->lens == NULL || room->repeats == NULL || !follow_open(room, dir, options, err))
        return false;
    tell_reapplied(room);
    return true;
}

bool room_serve(struct room *room, struct role *role, struct error *err)
{
    struct bells bells = { .role = role };
    bool ok = (role == NULL || (space_watch_start(room, err) && follow_start(room, err)))
              && (role == NULL || vault_twin(room->vault) != NULL /* what is appended comes from its first */
                  || (anchors_start(room, err) && (room->recheck = recheck_new(room, err)) != NULL))
              && hang_bells(room, &bells, err) && (role == NULL || role_ready(role, err));

    while (ok && !room->stopping && !room->broken && (role != NULL || room->session_count > 0))
        ok = turn(room, err);
    settle(room);
    if (room->broken)
        ok = error_set(err, ERR_IO, "the store takes nothing until it is opened again");
    return ok;
}

void room_close(struct room *room)
{
    follow_close(room);
    recheck_free(room->recheck);
    room->recheck = NULL;
    jobs_free(room->proving, room);
    jobs_free(room->longest, room);
    jobs_free(room->comparing, room);
    put_settle_stop(room);
    jobs_free(room->slow, room);
    jobs_free(room->quick, room);
    anchors_close(room);
    lens_slot_free(room->lens);
    repeats_free(room->repeats);
    space_watch_done(room);
    vault_close(room->vault);
    conf_done(&room->conf);
    sodium_memzero(&room->accounts, sizeof room->accounts);
    file_close(&room->epoll_fd);
}

/*
 * A hash that no password has, so that somebody without an account waits as long for a 'no' as somebody with one. Random
 * bytes in the form of crypto_pwhash_str(): computing a real one would keep every start waiting 100 ms.
 */
static void hash_of_nothing(char *out, size_t cap)
{
    uint8_t random[16 + 32]; /* salt, hash */
    char salt[32], hash[48];

    randombytes_buf(random, sizeof random);
    (void)sodium_bin2base64(salt, sizeof salt, random, 16, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void)sodium_bin2base64(hash, sizeof hash, random + 16, 32, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void)snprintf(out, cap, "$argon2id$v=19$m=65536,t=3,p=1$%s$%s", salt, hash);
}

/* The web gate asks for its key as soon as we are ready: it must be committed, since a rule holds only then. */
static bool certificate_make(struct room *room, struct error *err)
{
    struct pollfd committed = { .fd = store_event_fd(room->store), .events = POLLIN };
    struct span key, certificate;

    if (!certificate_add(room, err))
        return false;
    while (!vault_tls(room->vault, &key, &certificate)) {
        if (poll(&committed, 1, CERTIFICATE_WAIT_MS) == 0)
            return error_set(err, ERR_TIMEOUT, "the TLS key was not committed in %d ms", CERTIFICATE_WAIT_MS);
        put_completed(room);
    }
    return true;
}

bool room_prepare(struct room *room, struct error *err)
{
    struct span key, certificate;

    if (vault_twin(room->vault) == NULL && !vault_tls(room->vault, &key, &certificate) && !certificate_make(room, err))
        return false;
    hash_of_nothing(room->no_password, sizeof room->no_password);
    if (vault_account_count(room->vault) == 0 && vault_twin(room->vault) == NULL)
        accounts_offer_enrolment(&room->accounts);
    keys_compare(room);
    event_record(room, "vault.started", NULL, "success", NULL, (struct span){ NULL, 0 });
    return true;
}
