/*
 * The vault process from inside: one event loop that owns the vault, sessions that ask, jobs that take long.
 *
 * This is where it is decided who may do what (docs/channel.md, "Who may say what"): every call of a gate
 * passes session_dispatch() in room_session.c, and what is allowed there is recorded by the same call.
 * The loop's thread owns everything here; a job's thread sees its own job and nothing else.
 */
#ifndef FANAL_CMD_ROOM_ROOM_H
#define FANAL_CMD_ROOM_ROOM_H

#include <limits.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/log.h"
#include "channel/channel.h"
#include "channel/shared_buffer.h"
#include "cmd/conf.h"
#include "cmd/room/accounts.h"
#include "cmd/room/jobs.h"
#include "vault/space.h"
#include "vault/vault.h"

/* Conversations at once, listeners and lenses included; one more is closed at once. */
#define SESSIONS_MAX 1024
/* The longest text of an event that a gate tells. */
#define TELL_TEXT_MAX 200
/* Reads remembered as recorded, so that scrolling leaves one event an image. */
#define RECORDED_MAX 4096

/* Refusals of one address in a minute that become events and log lines each; the others are counted into one. */
#define STRANGER_EVENTS_PER_MINUTE 10
/* Addresses whose refusals are counted at once; one more takes the place of another. */
#define STRANGERS_MAX 64

/* Somebody who was not let in, and how often in this minute. */
struct stranger {
    char address[64];
    uint64_t minute;
    uint64_t events, untold;
};

/* Events that the disk had no room for, kept until it has. */
#define LATE_BYTES_MAX ((size_t)1 << 20)
struct late {
    struct writer events; /* received (8), length (4), field list; whole ones */
    size_t kept;
    uint64_t counted; /* beyond those: their number is all that is known */
    uint64_t since;   /* µs: the first of them */
};

/* The disk as it was last looked at (room_space.c). */
struct space_watch {
    struct late late;
    enum space_level level; /* as recorded */
    bool measuring;         /* a job looks */
    uint64_t measured_ms;   /* 0: never */
    int timer_fd;
};

/* New states of logs that a witness keeps in a minute, of all of them; beyond it they are answered 429. */
#define COSIGNED_PER_MINUTE 240

struct room;

/* Something in the epoll set; the first member of what is watched. */
struct watched {
    void (*ready)(struct room *room, struct watched *self);
};

/* What an admitted session may do, decided once by room_admit.c from the configuration or an account. */
struct rights {
    bool admitted;
    bool store, query, retrieve;
    bool keep_unsupported;
    char source[CONF_NAME_SIZE]; /* [peer X] or [sender X]; empty for people */
    char issuer[CONF_ISSUER_SIZE];
    char actor[129]; /* user name, AE title, sender name or "local": for events */
    char role[17];
};

struct session {
    struct watched watched;
    LIST_ENTRY(session) all;
    struct channel channel;
    struct shared_buffer buffer;
    enum process_kind kind;
    char address[64]; /* the listener's word */
    uint64_t number;  /* for logs */
    struct rights rights;
    struct body *body;        /* the object that arrives; owned */
    enum body_class body_class;
    char unit[UNIT_TEXT_MAX + 1];
    int twin;                 /* which [twin] of the configuration, once admitted */
    bool putting;             /* between PUT_BEGIN and PUT_END */
    struct error put_fault;   /* first fault of this put; the rest of it is drained */
    bool busy;                /* a job or a commit holds it: nothing more is read from it */
    bool dead;                /* freed as soon as it is not busy */
    bool watching;
    uint64_t news_dropped;
};

/* What an appended record's cookie points at: called in the loop when its commit is done, or has failed. */
struct awaited {
    void (*committed)(struct room *room, struct awaited *self, const struct completion *c);
};

/* A twin as the first last heard of it (room_follow.c). Times: µs since 1970. */
struct twin_watch {
    uint64_t position, applied;       /* as it said last */
    uint64_t told;                    /* of applied, what is recorded */
    uint64_t current_us;              /* it has everything that was committed then */
    uint64_t promise_size, promise_us; /* what was committed when it asked: once it has that, current_us is then */
    bool silent;                   /* as recorded */
};

struct following;

LIST_HEAD(session_list, session);
LIST_HEAD(settling_list, settling);
struct lens_slot;
struct anchors;
struct cosigning;
struct recheck;
struct repeats;

struct room {
    struct vault *vault;
    struct store *store;
    struct conf conf;
    struct log log;
    const struct clock *clock;
    char dir[PATH_MAX];
    int epoll_fd;
    bool stopping;
    bool broken; /* the store takes nothing any more until it is opened again */
    struct session_list sessions;
    size_t session_count;
    bool some_dead;
    uint64_t next_session;
    struct accounts accounts;
    struct jobs *quick; /* find, get */
    struct jobs *slow;  /* sign-in */
    struct jobs *comparing; /* resends: a queue of its own, so that a sender keeps nobody from signing in */
    struct jobs *longest; /* verify */
    struct jobs *proving; /* evidence: a queue of its own, so that it waits for nothing of these */
    struct span start;             /* fields of START, borrowed; empty for a command's own vault */
    struct anchors *anchors;       /* owned; anchors.h */
    struct cosigning *cosigning;   /* as a witness: the one request that waits for its commit */
    uint64_t rules_looked_ms;      /* when it was last looked whether the vault would know more rules */
    bool witness_doubted;          /* as logged */
    uint64_t cosigned_minute;
    unsigned cosigned_count;       /* new states kept in that minute */
    struct jobs *following_jobs; /* what twins ask */
    struct twin_watch twins[CONF_TWINS_MAX];
    struct span conf_text;       /* of fanal.conf; borrowed */
    struct following *following; /* a twin that follows while it serves */
    uint64_t follow_since;       /* µs since 1970: before, nothing was listened for */
    bool first_silent;           /* as recorded */
    struct store *own;           /* a twin's own log: who reads there */
    struct lens_slot *lens;        /* for digests; the comparing queue's thread uses it */
    struct recheck *recheck;       /* NULL where a command has its own vault */
    struct settling_list settling; /* resends that wait for the first one's commit */
    uint64_t recorded[RECORDED_MAX];   /* marks of (actor, position) */
    struct stranger strangers[STRANGERS_MAX];
    uint64_t retention_due_ms; /* 0: not thought of yet */
    struct space_watch space;
    struct repeats *repeats;
    char no_password[129];             /* hash of nothing: checked where there is no such user */
    uint8_t message[CHANNEL_MESSAGE_MAX];
};

/* ---- room_session.c ---- */

/* Takes over fd. NULL (and fd closed) where there are too many. */
struct session *session_new(struct room *room, enum process_kind kind, int fd, struct span address);
/* Ends the conversation; s lives until sessions_bury(). */
void session_end(struct room *room, struct session *s);
/* Frees what ended and is not held. Called once a turn of the loop, when nobody points at a session. */
void sessions_bury(struct room *room);
/* No more requests are read until session_release(): one at a time, and the session stays while it is held. */
void session_hold(struct room *room, struct session *s);
void session_release(struct room *room, struct session *s);

/*
 * The last answer to request `id`: result, error_text, then the fields of `more` (may be empty). Waits for nobody: false
 * where the reader is gone or has not taken what was sent before, which ends a gate that stopped reading, not the loop.
 */
bool session_reply(struct session *s, uint32_t id, const struct error *result, struct span more);
/* A job's thread only, while it holds the session: a row; waits for room. False where the reader is gone or too slow. */
bool session_row_out(struct session *s, uint32_t id, struct span row);
/* Likewise: waits until the REPLY that follows the rows finds room, at most ANSWER_WAIT_MS. */
bool session_has_room(struct session *s);

/* ---- room_put.c ---- */
void put_begin(struct room *room, struct session *s, const struct message *m);
void put_take(struct room *room, struct session *s, const struct message *m);
void put_finish(struct room *room, struct session *s, const struct message *m);
void put_forget(struct room *room, struct session *s, const struct message *m);
/* What the store has committed: answers those who wait, in log order. */
void put_completed(struct room *room);

/* ---- room_admit.c ---- */
void admit(struct room *room, struct session *s, const struct message *m);

/* ---- room_ask.c ---- */
void ask_find(struct room *room, struct session *s, const struct message *m);
void ask_get(struct room *room, struct session *s, const struct message *m);
void ask_tell(struct room *room, struct session *s, const struct message *m);
void ask_watch(struct room *room, struct session *s, const struct message *m);
/* A web request whose token is somebody's who may still sign in; then rights.actor and rights.role say who. */
bool ask_person(struct room *room, struct session *s, struct span request);
void news_out(struct room *room);

/* ---- room_cosign.c ---- */
void cosign_asked(struct room *room, struct session *s, const struct message *m);

/* ---- room_keys.c ---- */
void ask_keys(struct room *room, struct session *s, const struct message *m);
/* At the start: is the keyring as new as the log says; a rotation that could not be recorded is. */
void keys_compare(struct room *room);

/* ---- room_event.c ---- */

/*
 * Appends an event record (RECORD_EVENT) to this month's events unit: who did what with what outcome. more: further
 * fields. Failing to record is logged and latched in the status: it never stops care.
 */
void event_record(struct room *room, const char *event, const struct session *s, const char *outcome, const char *reason,
                  struct span more);

/* Records what the store's background did: seals, repairs, damage. */
void store_events_record(struct room *room);

/*
 * The same for what somebody does who was not let in: at most STRANGER_EVENTS_PER_MINUTE of an address in a minute,
 * so that knocking fills neither the log of records nor that of lines. What was left out is counted and follows as one
 * event. False where this one was only counted.
 */
bool stranger_event_record(struct room *room, const char *event, const struct session *s, const char *outcome,
                           const char *reason, struct span more);

/* Appends one event as it is. False with *err: nothing of it is recorded. */
bool event_append(struct room *room, uint64_t received_us, struct span facts, struct error *err);

/* Records the counts of minutes that are over; `all`: of this one too. */
void strangers_tell(struct room *room, bool all);

/* ---- room_follow.c ---- */
const struct conf_twin *follow_admit(struct room *room, struct session *s, struct span certificate);
void follow_state(struct room *room, struct session *s, const struct message *m);
void follow_read(struct room *room, struct session *s, const struct message *m);
/* Raises and ends the alarm of a twin that is behind for too long. Called every SPACE_TICK_S. */
void follow_turn(struct room *room);
/* What a status says of twins, as fields. */
void follow_status(struct room *room, struct writer *w);
/* A twin's own log is opened (or made), what twins ask gets its queue. */
bool follow_open(struct room *room, const char *dir, const struct vault_options *options, struct error *err);
bool follow_start(struct room *room, struct error *err);
/* A conversation with the process that pulls; taken over. */
void follow_joined(struct room *room, int fd);
void follow_close(struct room *room);
/* On a twin: an event goes into its own log. */
bool follow_own_append(struct room *room, const struct append *a, struct error *err);

/* ---- room_retention.c ---- */

#define RETENTION_FIRST_MS 600000u   /* after the start */
#define RETENTION_EVERY_MS 86400000u
/* Once a day what the rules of retention make due is erased. */
void retention_tick(struct room *room);

/* ---- room_space.c ---- */

/* Begins to look at the disk every SPACE_TICK_S seconds. */
#define SPACE_TICK_S 5
bool space_watch_start(struct room *room, struct error *err);
void space_watch_done(struct room *room);
/* The timer's turn: records what waited for space, measures now and then, raises and ends alarms. */
void space_watch_turn(struct room *room);
/* An object was refused for want of space: everybody is to know. */
void space_refused(struct room *room);
/* The disk takes no event now: this one is recorded when it does (facts empty: only counted). */
void space_event_late(struct room *room, uint64_t received_us, struct span facts);
/* At an orderly stop: records what can be, says in the log what cannot. */
void space_watch_stop(struct room *room);

#endif
