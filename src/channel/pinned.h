/*
 * TLS 1.3 between two machines that know each other's certificate by its SHA-256: no authority, no name, no date is asked
 * (docs/twin.md). Blocking, with a deadline for each call.
 */
#ifndef FANAL_CHANNEL_PINNED_H
#define FANAL_CHANNEL_PINNED_H

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"

#define FINGERPRINT_SIZE 65 /* 64 hex digits, lower case, and the end */

/* Our key and certificate, made ready before a sandbox is entered: OpenSSL opens files for it. */
struct pinned_identity;

/* key, certificate: PEM. ERR_MALFORMED. */
struct pinned_identity *pinned_identity_new(struct span key, struct span certificate, bool server, struct error *err);
void pinned_identity_free(struct pinned_identity *i);

/* SHA-256 of a PEM certificate's DER. ERR_MALFORMED. */
bool pinned_fingerprint(struct span certificate, char out[FINGERPRINT_SIZE], struct error *err);
/* 64 hex digits, colons between pairs allowed, either case. */
bool fingerprint_parse(struct span text, char out[FINGERPRINT_SIZE]);

/* A fresh key and a certificate over it, for ten years, appended as PEM. */
bool pinned_make(const char *name, struct writer *key, struct writer *certificate, struct error *err);

struct pinned;

/*
 * The handshake over a connected socket, which it takes over whatever comes back. *peer: who has proven to be there, to be
 * compared by the caller. NULL with ERR_TIMEOUT, ERR_CLOSED, ERR_REFUSED.
 */
struct pinned *pinned_open(const struct pinned_identity *i, int socket, int timeout_ms, char peer[FINGERPRINT_SIZE],
                           struct error *err);
void pinned_close(struct pinned *p); /* NULL allowed */

/* All of it, within the time. ERR_TIMEOUT, ERR_CLOSED. */
bool pinned_read(struct pinned *p, uint8_t *out, size_t len, int timeout_ms, struct error *err);
bool pinned_write(struct pinned *p, struct span bytes, int timeout_ms, struct error *err);

#endif
