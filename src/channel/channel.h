/*
 * Calls between our processes: one SOCK_SEQPACKET socket pair per conversation, one message a packet,
 * descriptors passed beside it. docs/channel.md is the specification.
 *
 * A message: verb u16le, reserved u16le, id u32le, then a field list (record/field.h). A request has an
 * id other than 0 chosen by the asker; its answers carry the same id. The one that receives checks
 * every byte: a peer that says what its kind may not say, or a broken message, ends the conversation.
 */
#ifndef FANAL_CHANNEL_CHANNEL_H
#define FANAL_CHANNEL_CHANNEL_H

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"
#include "record/field.h"
#include "record/kind.h"

#define CHANNEL_MESSAGE_MAX ((size_t)128 * 1024) /* header and fields; a longer one is refused by both ends */
#define CHANNEL_FIELDS_MAX  (CHANNEL_MESSAGE_MAX - 8)
#define CHANNEL_FDS_MAX     4
#define RECHECK_NUMBER      3 /* of the processes that read for the vault (PROCESS_LENS), the one that walks again */

enum verb {
    /* asked of the vault */
    VERB_OPEN = 1,      /* a listener or the web gate: here is the other end (fd) of a new conversation */
    VERB_ADMIT = 2,     /* who is there: AE titles, a password, an enrolment code, a token */
    VERB_PUT_BEGIN = 3, /* an object comes: body_class, unit */
    VERB_PUT_DATA = 4,  /* bytes at offset,length of the shared buffer belong to it; no answer but TAKEN */
    VERB_PUT_END = 5,   /* that was all; its facts; answered after the commit */
    VERB_PUT_ABORT = 6, /* forget it; no answer */
    VERB_GET = 7,       /* bytes of a stored body, into the shared buffer */
    VERB_FIND = 8,      /* rows of a named query */
    VERB_CHANGE = 9,    /* a fact */
    VERB_TELL = 10,     /* an event; answered */
    VERB_WATCH = 11,    /* from now on, NEWS */
    VERB_POST = 12,     /* the vault, to the relay: these bytes go to that anchor; answered with what came back */
    VERB_COSIGN = 13,   /* the witness door: a log's checkpoint and consistency proof */
    /* of a twin (docs/twin.md); also on the wire between two machines */
    VERB_FOLLOW_STATE = 16, /* what is committed: a signed head */
    VERB_FOLLOW_READ = 17,  /* stored bytes, as they lie there, into the shared buffer */
    VERB_FETCH = 18,        /* to the process that pulls: put this question to the first */
    VERB_KEYS = 21,   /* unlockers, rotation, back-up of the keyring: what `key_deed` says */
    VERB_UNSEAL = 22, /* to a sealed vault: a share or a secret (fd) */
    /* the vault's words */
    VERB_REPLY = 32,  /* last answer to a request: result, error_text, … */
    VERB_ROW = 33,    /* one row of a FIND, before its REPLY */
    VERB_TAKEN = 34,  /* length bytes of the shared buffer are free again */
    VERB_NEWS = 35,   /* something new is committed: what kind, whose (patient_key), position */
    VERB_DIGEST = 36, /* to a lens: digest the object that PUT_DATA brings (two of them are compared) */
    /* between supervisor and roles, over the control channel (fd CONTROL_FD) */
    VERB_START = 64, /* to a role: your settings, your sockets */
    VERB_JOIN = 65,  /* to a role: a conversation with process_kind `process` (fd) */
    VERB_READY = 66, /* from a role: serving */
    VERB_CRASH = 67, /* to the vault: a process died; becomes an event record */
    VERB_STOP = 68,  /* to a role: finish and exit */
    VERB_OPENED = 69, /* from the role `unseal`: the secret (fd) opens the vault */
    /* to a lens (docs/channel.md, "The lens") */
    VERB_DECODE = 80,
    /* to a recheck ("The second walk") */
    VERB_RECHECK = 81, /* say the facts of the object that PUT_DATA brings */
};

struct channel {
    int fd; /* owned */
};

struct message {
    enum verb verb;
    uint32_t id;
    struct span fields;       /* borrows from the caller's buffer */
    int fds[CHANNEL_FDS_MAX]; /* owned by the receiver; -1 where none */
    size_t fd_count;
};

/* A connected pair, close-on-exec. */
bool channel_pair(struct channel *a, struct channel *b, struct error *err);
void channel_close(struct channel *c);

/*
 * Sends one message; fds are passed, not closed. Blocks while the other end is slow.
 * ERR_CLOSED where it is gone, ERR_LIMIT past CHANNEL_MESSAGE_MAX.
 */
bool channel_send(struct channel *c, enum verb verb, uint32_t id, struct span fields, const int *fds, size_t fd_count,
                  struct error *err);

/* As channel_send, but ERR_BUSY instead of waiting: for the vault, which waits for nobody. */
bool channel_try_send(struct channel *c, enum verb verb, uint32_t id, struct span fields, const int *fds,
                      size_t fd_count, struct error *err);

/*
 * Waits up to timeout_ms (-1: for ever; 0: not at all) for one message, into buffer (at least
 * CHANNEL_MESSAGE_MAX). ERR_CLOSED at the end, ERR_TIMEOUT, ERR_MALFORMED for what is no message.
 */
bool channel_receive(struct channel *c, uint8_t *buffer, size_t cap, struct message *out, int timeout_ms,
                     struct error *err);

/* Closes what descriptors of the message were not taken (set to -1 by whoever takes one). */
void message_done(struct message *m);

#endif
