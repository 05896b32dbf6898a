/*
 * Anchors: our checkpoints, handed to witnesses and time stamping authorities through the relay, and what they give
 * back, checked and recorded (docs/anchors.md).
 *
 * All of it runs in the loop; proofs and notes are made in a job. The relay and what it brings are not trusted: a
 * cosignature counts when the witness's key fits, a time stamp when its chain leads to the configured trust anchor.
 */
#ifndef FANAL_CMD_ROOM_ANCHORS_H
#define FANAL_CMD_ROOM_ANCHORS_H

#include "cmd/room/room.h"
#include "vault/anchor.h"

/* An anchor is late, and an alarm is raised, when its last success is older than so many times `every`. */
#define ANCHOR_LATE_FACTOR 3
/* After a failure: so long until the next try, then twice as long each time, at most `every`. */
#define ANCHOR_RETRY_FIRST_MS 2000
/* The relay gives up earlier (EXCHANGE_MAX_MS); past this it is taken for dead. */
#define ANCHOR_ANSWER_MAX_MS 25000
/* Sizes a witness may send us back to in one round (409): once is usual, after a restart. */
#define ANCHOR_CONFLICTS_MAX 3
/* Records of our own that the anchors themselves caused, remembered to tell whether there is anything new. */
#define ANCHOR_OWN_MAX 256

enum anchor_state { ANCHOR_RESTS, ANCHOR_PREPARES, ANCHOR_POSTED };

struct anchor {
    const struct conf_anchor *conf;
    struct writer ca; /* PEM: trust anchors of a TSA */
    enum anchor_state state;
    uint32_t id;                     /* of the POST that is under way */
    uint64_t due_ms, posted_ms;
    uint64_t since_ms;               /* of the last success, or of the start */
    unsigned failures, conflicts;    /* in a row; in this round */
    uint64_t known_size;             /* what the witness has cosigned last, as far as we know */
    bool head_there;                 /* head is one that succeeded */
    struct anchor_head head, next;   /* that succeeded last; that is under way */
    struct writer stamp_request;     /* DER, of what is under way */
    uint64_t success_us, recorded_size;
    bool late, refused;              /* told, and not over */
    char fault[ERROR_TEXT_MAX];      /* of the last try; empty: it succeeded, or there was none */
};

struct anchors {
    struct watched timer_watch, relay_watch;
    struct anchor *items; /* owned; one per [witness X] and [timestamp X] */
    size_t count;
    int timer_fd;
    struct channel relay; /* fd -1: not there */
    uint32_t next_id;
    uint64_t own[ANCHOR_OWN_MAX]; /* positions; a ring */
    size_t own_count;
};

/* start: fields of START, whose `anchor` groups bring the trust anchors; empty for a command's own vault, which asks nobody. */
bool anchors_open(struct room *room, struct span start, struct error *err);
void anchors_close(struct room *room);
/* Starts the clock of the anchors: called when the room serves with a relay. */
bool anchors_start(struct room *room, struct error *err);
/* A conversation with the relay, which replaces an earlier one. */
void anchors_join(struct room *room, int fd);
/* A record that exists because of an anchor or a witness: it alone is no reason to ask for the next cosignature. */
void anchors_own(struct room *room, uint64_t position);
/* Whether the records [from, to) are all there only because of anchors. */
bool anchors_only_own(const struct room *room, uint64_t from, uint64_t to);
/* The query `anchors`: a row each. */
void anchors_find(struct room *room, struct session *s, uint32_t id);

/* ---- anchor_answers.c ---- */
void anchor_answered(struct room *room, struct anchor *a, struct span fields);
void anchor_failed(struct room *room, struct anchor *a, const char *why);
/* The anchor says, or shows, that our log is not what it saw: an alarm. */
void anchor_refused(struct room *room, struct anchor *a, const char *why);
/* Prepares and posts at once, or when the job is done. */
void anchor_begin(struct room *room, struct anchor *a);

#endif
