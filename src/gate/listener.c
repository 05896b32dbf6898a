/*
 * The front door of the DICOM and HL7 gates: see listener.h. Speaks to the vault as docs/channel.md says.
 */
#include "gate/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "channel/session.h"

/* Connections taken from one backlog in a round: a crowd is sorted out quickly, and who has spoken is served between. */
#define ACCEPTS_PER_ROUND 32
/* Where accept(2) finds no descriptor or memory, the next try comes after this. */
#define ACCEPT_PAUSE_MS 200
/* What connection_run() gets, in this order; everything above is closed in the child. */
enum { CHILD_SOCKET = 3, CHILD_SESSION, CHILD_ADMITTED, CHILD_FDS_END };

/* A peer that vanished without a word is noticed after KEEPALIVE_IDLE_S + 4 × KEEPALIVE_INTERVAL_S. */
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_COUNT 4

struct child {
    pid_t pid;       /* 0: free slot */
    int admitted_fd; /* reads one byte on admission, the end when the process is gone */
    bool admitted;
    struct peer peer;
    uint64_t started_order; /* smaller is older */
};

/* Connections of one source in this minute. One place for all sources whose hash is the same: the last one's. */
struct crowd {
    struct peer peer;
    uint64_t minute;
    size_t count;
};

#define CROWDS_MAX 64

struct listener {
    const struct listener_settings *s;
    int sockets[LISTENER_SOCKETS_MAX]; /* owned */
    size_t socket_count;
    struct channel *control;
    struct channel *vault;
    struct lobby lobby;     /* accepted, not a byte yet */
    struct child *children; /* children_max slots, owned */
    struct pollfd *polls;   /* owned */
    uint8_t *message;       /* CHANNEL_MESSAGE_MAX bytes, owned */
    size_t children_max, source_max, source_waiting_max;
    uint64_t first_byte_ms;
    uint64_t next_order;
    uint64_t accept_after_ms;
    uint64_t notice_minute; /* minute the count below is of */
    size_t notices;
    struct crowd crowds[CROWDS_MAX];
    bool stopping;
};

void connection_admitted(struct connection *c)
{
    const uint8_t yes = 1;

    c->log.least = c->admitted_level;
    if (c->admitted_fd >= 0)
        (void)file_write_all(c->admitted_fd, span_of(&yes, 1), NULL); /* without a listener nobody counts */
    /* The descriptor stays open: its end tells the listener that the process is gone. */
}

/* One more connection of that source; true where there were more than LISTENER_LOGGED_PER_MINUTE in this minute. */
static bool is_crowded(struct listener *l, const struct peer *peer)
{
    uint64_t minute = clock_monotonic_ms(l->s->clock) / 60000;
    unsigned hash = 0;
    struct crowd *c;

    for (size_t i = 0; i < sizeof peer->source; i++)
        hash = hash * 31 + peer->source[i];
    c = &l->crowds[hash % CROWDS_MAX];
    if (c->minute != minute || !peer_same_source(&c->peer, peer))
        *c = (struct crowd){ .peer = *peer, .minute = minute };
    if (++c->count == LISTENER_LOGGED_PER_MINUTE + 1)
        log_warn(l->s->log, "connection.crowd", f_str("address", peer->address), f_uint("logged", LISTENER_LOGGED_PER_MINUTE));
    return c->count > LISTENER_LOGGED_PER_MINUTE;
}

/* ---- children ---- */

/* True for the first LISTENER_NOTICES_PER_MINUTE calls of a minute. */
static bool notice_due(struct listener *l)
{
    uint64_t minute = clock_monotonic_ms(l->s->clock) / 60000;

    if (minute != l->notice_minute) {
        l->notice_minute = minute;
        l->notices = 0;
    }
    return l->notices++ < LISTENER_NOTICES_PER_MINUTE;
}

static void report_crash(struct listener *l, pid_t pid, int status)
{
    struct writer w = writer_new(1024);

    if (!notice_due(l))
        return;
    log_error(l->s->log, "connection.crashed", f_int("pid", pid),
              f_int("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
              f_int("exit_status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
    field_put_str(&w, FIELD_EVENT, "connection.crashed");
    field_put_str(&w, FIELD_OUTCOME, "failed");
    field_put_uint(&w, FIELD_PROCESS, l->s->child_kind);
    if (writer_ok(&w, NULL, "event") && l->vault->fd >= 0)
        (void)channel_try_send(l->vault, VERB_TELL, 0, writer_span(&w), NULL, 0, NULL);
    writer_done(&w);
}

static void child_reap(struct listener *l, struct child *c, bool expected)
{
    int status = 0;

    /* A hijacked child may close its end and live on. What is already exiting keeps its status. */
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!expected && !l->stopping && !(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS))
        report_crash(l, c->pid, status);
    file_close(&c->admitted_fd);
    *c = (struct child){ .admitted_fd = -1 };
}

static void child_spoke(struct listener *l, struct child *c)
{
    uint8_t byte;
    ssize_t n = read(c->admitted_fd, &byte, 1);

    if (n == 1)
        c->admitted = true;
    else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        child_reap(l, c, false);
}

struct census {
    size_t children, of_source, waiting_of_source;
    struct child *free_slot, *oldest_waiting, *oldest_waiting_of_source;
};

static struct census take_census(struct listener *l, const struct peer *peer)
{
    struct census n = { 0 };

    for (size_t i = 0; i < l->children_max; i++) {
        struct child *c = &l->children[i];
        bool same = c->pid != 0 && peer_same_source(&c->peer, peer);

        if (c->pid == 0) {
            n.free_slot = n.free_slot == NULL ? c : n.free_slot;
            continue;
        }
        n.children++;
        n.of_source += same;
        if (c->admitted)
            continue;
        if (n.oldest_waiting == NULL || c->started_order < n.oldest_waiting->started_order)
            n.oldest_waiting = c;
        n.waiting_of_source += same;
        if (same && (n.oldest_waiting_of_source == NULL
                     || c->started_order < n.oldest_waiting_of_source->started_order))
            n.oldest_waiting_of_source = c;
    }
    return n;
}

/* A slot for one more child of that source, after evicting where a bound is met; NULL: no. */
static struct child *slot_for(struct listener *l, const struct peer *peer)
{
    struct census n = take_census(l, peer);
    struct child *victim = NULL;

    if (n.waiting_of_source >= l->source_waiting_max || n.of_source >= l->source_max)
        victim = n.oldest_waiting_of_source;
    else if (n.children >= l->children_max)
        victim = n.oldest_waiting;
    else
        return n.free_slot;

    if (notice_due(l))
        log_warn(l->s->log, victim != NULL ? "connection.evicted" : "connection.refused", f_str("address", peer->address),
                 f_uint("of_source", n.of_source), f_uint("in_all", n.children));
    if (victim != NULL)
        child_reap(l, victim, true);
    return victim;
}

/*
 * In the child: the three descriptors at their places, everything above closed. Only with calls that the listener's
 * sandbox profile has: a duplicate takes the lowest free number, so they are made in order.
 */
static bool keep_only(int socket, int session, int admitted)
{
    int wanted[] = { socket, session, admitted };

    for (size_t i = 0; i < COUNT_OF(wanted); i++) /* up first, out of the way */
        if ((wanted[i] = fcntl(wanted[i], F_DUPFD_CLOEXEC, CHILD_FDS_END)) < 0)
            return false;
    if (close_range(CHILD_SOCKET, CHILD_FDS_END - 1, 0) != 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        if (fcntl(wanted[i], F_DUPFD_CLOEXEC, CHILD_SOCKET) != CHILD_SOCKET + (int)i)
            return false;
    return close_range(CHILD_FDS_END, ~0U, 0) == 0;
}

static void child_main(struct listener *l, int socket, int session, int admitted, const char *address, bool crowded)
{
    struct connection c = { .socket = CHILD_SOCKET, .session_fd = CHILD_SESSION, .admitted_fd = CHILD_ADMITTED,
                            .log = *l->s->log, .admitted_level = l->s->log->least };

    signal(SIGTERM, SIG_DFL);
    memcpy(c.address, address, sizeof c.address);
    if (crowded)
        c.log.least = LOG_ERROR;
    if (!keep_only(socket, session, admitted))
        exit(EXIT_FAILURE);
    exit(l->s->run(l->s->context, &c));
}

/* ---- accepting ---- */

static void vault_lost(struct listener *l)
{
    log_warn(l->s->log, "vault.away");
    channel_close(l->vault);
    l->vault->fd = -1;
}

static void socket_prepare(int socket)
{
    /* Answers are small and awaited: no Nagle. Keep-alive ends what no timer of the protocol sees. */
    static const struct { int level, name, value; } options[] = {
        { IPPROTO_TCP, TCP_NODELAY, 1 },
        { SOL_SOCKET, SO_KEEPALIVE, 1 },
        { IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S },
        { IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S },
        { IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT },
    };

    for (size_t i = 0; i < COUNT_OF(options); i++)
        (void)setsockopt(socket, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

/* socket is the caller's, who closes it; the child has its own copy. */
static void connection_start(struct listener *l, int socket, const struct peer *peer)
{
    CLEANUP(file_close) int session = -1;
    CLEANUP(file_close) int admitted_read = -1;
    CLEANUP(file_close) int admitted_write = -1;
    int pair[2];
    struct error err = { 0 };
    struct child *slot = slot_for(l, peer);
    bool crowded = is_crowded(l, peer);
    pid_t pid;

    if (slot == NULL)
        return;
    session = session_open_fd(l->vault, l->s->child_kind, span_str(peer->address), &err);
    if (session < 0) {
        log_warn(l->s->log, "session.failed", f_err(&err));
        if (err.code == ERR_CLOSED)
            vault_lost(l);
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    admitted_read = pair[0];
    admitted_write = pair[1];
    pid = fork();
    if (pid == 0)
        child_main(l, socket, session, admitted_write, peer->address, crowded);
    if (pid < 0) {
        log_error(l->s->log, "fork.failed", f_int("errno", errno));
        return;
    }
    *slot = (struct child){ .pid = pid, .admitted_fd = admitted_read, .peer = *peer, .started_order = l->next_order++ };
    admitted_read = -1;
}

/* One from the backlog into the lobby; false: nobody there, or no room for a descriptor. */
static bool listener_accept(struct listener *l, int listening)
{
    struct sockaddr_storage from = { 0 };
    socklen_t from_len = sizeof from;
    int socket = accept4(listening, (struct sockaddr *)&from, &from_len, SOCK_CLOEXEC);
    uint64_t now = clock_monotonic_ms(l->s->clock);
    struct guest evicted;
    struct peer peer;

    if (socket < 0) { /* one that died in the backlog is only passed over */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            l->accept_after_ms = now + ACCEPT_PAUSE_MS;
        return errno == ECONNABORTED;
    }
    socket_prepare(socket);
    peer = peer_of(&from);
    if (l->s->admitted_by_address && l->vault->fd >= 0) {
        connection_start(l, socket, &peer);
        file_close(&socket);
        return true;
    }
    if (lobby_enter(&l->lobby, socket, &peer, now + l->first_byte_ms, &evicted) && notice_due(l))
        log_warn(l->s->log, "connection.evicted", f_str("address", evicted.peer.address),
                 f_uint("silent_in_all", l->lobby.count));
    return true;
}

/* The first byte came, or the end. The byte is looked for, never taken: it is the child's. */
static void guest_spoke(struct listener *l, size_t i)
{
    struct guest guest = lobby_leave(&l->lobby, i);
    uint8_t first;

    if (recv(guest.socket, &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
        connection_start(l, guest.socket, &guest.peer);
    file_close(&guest.socket);
}

/* ---- the vault and the supervisor ---- */

static void take_vault(struct listener *l, struct message *m)
{
    if (fields_uint(m->fields, FIELD_PROCESS, 0) != PROCESS_VAULT || m->fd_count == 0 || m->fds[0] < 0)
        return;
    channel_close(l->vault);
    l->vault->fd = m->fds[0];
    m->fds[0] = -1;
    log_info(l->s->log, "vault.joined");
}

static void control_spoke(struct listener *l)
{
    struct message m = { 0 };
    struct error err = { 0 };

    if (!channel_receive(l->control, l->message, CHANNEL_MESSAGE_MAX, &m, 0, &err)) {
        if (err.code != ERR_TIMEOUT)
            l->stopping = true; /* no supervisor, no gate */
        return;
    }
    if (m.verb == VERB_JOIN)
        take_vault(l, &m);
    else if (m.verb == VERB_STOP)
        l->stopping = true;
    message_done(&m);
}

/* The vault answers OPEN on the session and TELL id 0 not at all: a message here is its end or nothing to us. */
static void vault_spoke(struct listener *l)
{
    struct message m = { 0 };
    struct error err = { 0 };

    if (channel_receive(l->vault, l->message, CHANNEL_MESSAGE_MAX, &m, 0, &err))
        message_done(&m);
    else if (err.code != ERR_TIMEOUT)
        vault_lost(l);
}

/* ---- the loop ---- */

enum { POLL_CONTROL, POLL_VAULT, POLL_FIXED };

static bool may_accept(const struct listener *l)
{
    return l->vault->fd >= 0 && !l->stopping && clock_monotonic_ms(l->s->clock) >= l->accept_after_ms;
}

static nfds_t polls_fill(struct listener *l)
{
    nfds_t n = POLL_FIXED;
    bool accepting = may_accept(l);

    l->polls[POLL_CONTROL] = (struct pollfd){ .fd = l->stopping ? -1 : l->control->fd, .events = POLLIN };
    l->polls[POLL_VAULT] = (struct pollfd){ .fd = l->vault->fd, .events = POLLIN }; /* negative: not polled */
    for (size_t i = 0; i < l->socket_count; i++)
        l->polls[n++] = (struct pollfd){ .fd = accepting ? l->sockets[i] : -1, .events = POLLIN };
    for (size_t i = 0; i < l->children_max; i++)
        l->polls[n++] = (struct pollfd){ .fd = l->children[i].pid != 0 ? l->children[i].admitted_fd : -1,
                                         .events = POLLIN };
    for (size_t i = 0; i < l->lobby.count; i++) /* without a vault they wait where they are */
        l->polls[n++] = (struct pollfd){ .fd = l->vault->fd >= 0 ? l->lobby.guests[i].socket : -1, .events = POLLIN };
    return n;
}

/* guests: as polled. From the youngest down, because one that leaves moves those that came after it. */
static void guests_serve(struct listener *l, const struct pollfd *guests, size_t count)
{
    for (size_t i = count; i-- > 0;)
        if (guests[i].revents != 0 && l->vault->fd >= 0)
            guest_spoke(l, i);
}

/* One round: waits at most timeout_ms, then serves what is ready. Children first: they free slots. */
static void listener_round(struct listener *l, int timeout_ms)
{
    nfds_t n = polls_fill(l);
    size_t guest_count = l->lobby.count;
    const struct pollfd *sockets = &l->polls[POLL_FIXED];
    const struct pollfd *children = &sockets[l->socket_count];

    if (poll(l->polls, n, timeout_ms) <= 0)
        return;
    for (size_t i = 0; i < l->children_max; i++)
        if (children[i].revents != 0)
            child_spoke(l, &l->children[i]);
    if (l->polls[POLL_CONTROL].revents != 0)
        control_spoke(l);
    if (l->polls[POLL_VAULT].revents != 0 && l->vault->fd == l->polls[POLL_VAULT].fd)
        vault_spoke(l);
    guests_serve(l, &children[l->children_max], guest_count);
    for (size_t i = 0; i < l->socket_count; i++)
        for (size_t k = 0; k < ACCEPTS_PER_ROUND && sockets[i].revents != 0 && may_accept(l); k++)
            if (!listener_accept(l, l->sockets[i]))
                break;
}

/* poll's timeout until something is due: the next accept after a pause, the end of a silent connection. */
static int next_due_ms(const struct listener *l)
{
    uint64_t now = clock_monotonic_ms(l->s->clock);
    int due = lobby_timeout_ms(&l->lobby, now);

    if (l->accept_after_ms > now && (due < 0 || due > ACCEPT_PAUSE_MS))
        due = ACCEPT_PAUSE_MS;
    return due;
}

static bool children_left(const struct listener *l)
{
    for (size_t i = 0; i < l->children_max; i++)
        if (l->children[i].pid != 0)
            return true;
    return false;
}

static void listener_finish(struct listener *l)
{
    uint64_t until = clock_monotonic_ms(l->s->clock) + LISTENER_GRACE_MS;

    l->stopping = true;
    lobby_done(&l->lobby);
    for (size_t i = 0; i < l->children_max; i++)
        if (l->children[i].pid != 0)
            kill(l->children[i].pid, SIGTERM);
    for (uint64_t now = clock_monotonic_ms(l->s->clock); children_left(l) && now < until;
         now = clock_monotonic_ms(l->s->clock))
        listener_round(l, (int)(until - now));
    for (size_t i = 0; i < l->children_max; i++)
        if (l->children[i].pid != 0)
            child_reap(l, &l->children[i], true);
}

static void listener_done(struct listener *l)
{
    for (size_t i = 0; i < l->socket_count; i++)
        file_close(&l->sockets[i]);
    channel_close(l->vault);
    lobby_done(&l->lobby);
    free(l->children);
    free(l->polls);
    free(l->message);
}

bool listener_run(const struct listener_settings *s, const int *sockets, size_t socket_count,
                  struct channel *control, struct channel *vault, struct error *err)
{
    CLEANUP(listener_done) struct listener l = {
        .s = s, .control = control, .vault = vault,
        .children_max = s->children_max != 0 ? s->children_max : LISTENER_CHILDREN_MAX,
        .source_max = s->source_max != 0 ? s->source_max : LISTENER_SOURCE_MAX,
        .source_waiting_max = s->source_waiting_max != 0 ? s->source_waiting_max : LISTENER_SOURCE_WAITING_MAX,
        .first_byte_ms = s->first_byte_ms != 0 ? s->first_byte_ms : LISTENER_FIRST_BYTE_MS,
    };
    size_t lobby_max = s->lobby_max != 0 ? s->lobby_max : LOBBY_MAX;
    size_t lobby_source_max = s->lobby_source_max != 0 ? s->lobby_source_max : LOBBY_SOURCE_MAX;

    if (socket_count > LISTENER_SOCKETS_MAX)
        return error_set(err, ERR_LIMIT, "%zu listening sockets, at most %d", socket_count, LISTENER_SOCKETS_MAX);
    memcpy(l.sockets, sockets, socket_count * sizeof *sockets);
    l.socket_count = socket_count;
    for (size_t i = 0; i < socket_count; i++) /* a connection that died in the backlog must not block accept(2) */
        if (fcntl(l.sockets[i], F_SETFL, O_NONBLOCK) < 0)
            return error_errno(err, "listening socket");
    l.children = calloc(l.children_max, sizeof *l.children);
    l.polls = calloc(POLL_FIXED + socket_count + l.children_max + lobby_max, sizeof *l.polls);
    l.message = malloc(CHANNEL_MESSAGE_MAX);
    if (l.children == NULL || l.polls == NULL || l.message == NULL)
        return error_set(err, ERR_MEMORY, "listener of %zu children", l.children_max);
    if (!lobby_init(&l.lobby, lobby_max, lobby_source_max, err))
        return false;

    signal(SIGPIPE, SIG_IGN);
    while (!l.stopping) {
        listener_round(&l, next_due_ms(&l));
        lobby_expire(&l.lobby, clock_monotonic_ms(s->clock));
    }
    listener_finish(&l);
    return true;
}
