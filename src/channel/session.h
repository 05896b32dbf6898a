/*
 * A gate's conversation with the vault: the calls as functions. Blocking; one thread per session.
 *
 * The vault gives each session one shared buffer (a sealed memfd that cannot change its size) with the
 * answer to the first message; put streams through it as a ring, get fills it. The vault copies from it
 * before it hashes or encrypts, so what a gate does to it afterwards changes nothing.
 */
#ifndef FANAL_CHANNEL_SESSION_H
#define FANAL_CHANNEL_SESSION_H

#include "channel/channel.h"
#include "channel/shared_buffer.h" /* SESSION_BUFFER_BYTES */

/* A vault that does not answer for that long is taken for dead: two orders above a slow disk's worst sync. */
#define SESSION_ANSWER_MS (120 * 1000)

/* NEWS that waits while something else is asked; past it the oldest stay, the rest is counted (as the vault does). */
#define SESSION_NEWS_MAX 1000

struct session;

/*
 * Makes a new conversation over `to_vault` (the listener's or web gate's own channel): a socket pair
 * whose other end travels in OPEN. kind and address are the listener's word, which the vault trusts
 * more than the session's. Returns the near end for session_attach(), possibly in a forked child; -1 on error.
 */
int session_open_fd(struct channel *to_vault, enum process_kind kind, struct span address, struct error *err);

/* Takes over fd, receives the shared buffer. NULL on error. session_free() closes all. */
struct session *session_attach(int fd, struct error *err);
void session_free(struct session *s);

/* The descriptor, for poll(): readable when NEWS is waiting or the vault is gone. */
int session_fd(const struct session *s);

/*
 * One request, one REPLY. *reply borrows until the next call on this session. False with the vault's own code and
 * text where it said no: *reply then still holds its fields, for `reason`. ERR_CLOSED where it is gone, ERR_TIMEOUT,
 * ERR_MALFORMED where it broke the protocol (*reply is empty): every later call fails the same way.
 */
bool session_call(struct session *s, enum verb verb, struct span request, struct span *reply, struct error *err);

/* The same, and a descriptor goes with the request; it stays the caller's. */
bool session_call_fd(struct session *s, enum verb verb, struct span request, int fd, struct span *reply,
                     struct error *err);

/* FIND: each row goes to row(); a row that returns false ends the call early with ERR_REFUSED. */
typedef bool session_row(void *context, struct span row);
bool session_find(struct session *s, struct span request, session_row *row, void *context, struct error *err);

/*
 * GET of [offset, offset + len) of the body at position, len <= SESSION_BUFFER_BYTES. *out borrows from
 * the shared buffer until the next call; shorter than len only at the end of the body. ERR_BUSY during a put.
 * `request` holds further fields (token …) or is empty. ERR_DAMAGED where the stored bytes fail their check.
 */
bool session_get(struct session *s, uint64_t position, uint64_t offset, size_t len, struct span request,
                 struct span *out, struct error *err);

/*
 * A request whose answer has bytes in the shared buffer (`length` of them). *reply and *bytes borrow until the next call.
 */
bool session_fetch(struct session *s, enum verb verb, struct span request, struct span *reply, struct span *bytes,
                   struct error *err);

/* Put, in this order: begin, (room, fill)*, end. One object at a time. */

/*
 * Free contiguous room in the shared buffer, at least `least` bytes (<= SESSION_BUFFER_BYTES / 2) and as
 * much as there is; waits for the vault to take earlier bytes. Usable before session_put_begin(): what was
 * filled is handed over with it. NULL with *err where the vault is gone or (before begin) the ring is full: ERR_LIMIT.
 */
uint8_t *session_put_room(struct session *s, size_t least, size_t *room, struct error *err);
/* The first len bytes of the last room belong to the object. */
bool session_put_fill(struct session *s, size_t len, struct error *err);
bool session_put_begin(struct session *s, struct span request, struct error *err);
/* facts: the object's field list. *reply as session_call: position, state, first_position. */
bool session_put_end(struct session *s, struct span facts, struct span *reply, struct error *err);
/* Forgets the object, begun or not. */
void session_put_abort(struct session *s);

/* Next NEWS after WATCH: waits up to timeout_ms. ERR_TIMEOUT, ERR_CLOSED. */
bool session_news(struct session *s, int timeout_ms, struct span *news, struct error *err);

#endif
