/*
 * A twin that follows over the network: rounds of vault/twin.h whose bytes come through the process that pulls
 * (relay/pull.h). In a thread beside the room, or as all that `fanal follow` does.
 */
#ifndef FANAL_CMD_ROOM_FOLLOWING_H
#define FANAL_CMD_ROOM_FOLLOWING_H

#include <pthread.h>
#include <stdatomic.h>

#include "channel/channel.h"
#include "channel/shared_buffer.h"
#include "cmd/room/follow_fields.h"
#include "vault/twin.h"

#define FOLLOWING_WAIT_MS       1000  /* a question waits so long on the first for news */
#define FOLLOWING_PAUSE_MS      1000  /* after a link that failed */
#define FOLLOWING_REFUSED_MS    30000 /* after a history that was refused: the first may be repaired */
#define FOLLOWING_DAMAGED_MAX   3     /* rounds in a row, then `fanal follow --once` gives up, and others wait longer */
#define FOLLOWING_ANSWER_MS     60000
#define FOLLOWING_CONF_EVERY_US UINT64_C(600000000)

struct following {
    struct twin *twin; /* borrowed */
    const struct log *log;
    const struct clock *clock;
    pthread_t thread;
    bool started;
    atomic_bool stop;
    pthread_mutex_t lock; /* of the rest that others look at */
    pthread_cond_t changed;
    int offered; /* a channel to a process that pulls, not taken up yet; -1: none */
    char refused[ERROR_TEXT_MAX];
    uint64_t heard_us; /* when a round succeeded, or the start: µs since 1970 */
    unsigned alarm_minutes; /* of silence, then following_run() says so; 0: never */
    /* the thread's */
    struct channel channel;
    struct shared_buffer buffer;
    bool buffer_given, link_failed;
    uint32_t next_id;
    uint64_t wait_ms, conf_us;
    unsigned damaged;
    bool silent; /* as logged */
    uint8_t message[CHANNEL_MESSAGE_MAX];
};

/* NULL without memory. twin, log, clock outlive it. */
struct following *following_new(struct twin *twin, const struct log *log, const struct clock *clock);
void following_free(struct following *f); /* stops the thread; NULL allowed */

/* A conversation with a process that pulls; taken over. */
void following_offer(struct following *f, int fd);

bool following_start(struct following *f, struct error *err);

/*
 * Without a thread: until nothing is left or what comes was damaged FOLLOWING_DAMAGED_MAX times running (once), or until what
 * comes is refused: false, and why. Else damage is asked for again every FOLLOWING_REFUSED_MS: the first may be repaired.
 */
bool following_run(struct following *f, bool once, struct error *err);

/* When a round succeeded last, or following began. Any thread. */
uint64_t following_heard_us(struct following *f);
/* Nothing was heard of the first for longer than that. alarm_minutes 0: never so. */
bool following_is_silent(uint64_t heard_us, uint64_t now_us, unsigned alarm_minutes);

/* Why nothing more is taken; false where it is. Any thread. */
bool following_refused(struct following *f, char out[ERROR_TEXT_MAX]);

#endif
