/*
 * RFC 3161 time stamps over a checkpoint: the request, and whether a response may be believed (docs/anchors.md).
 *
 * On OpenSSL's TS_ functions. A response is a stranger's bytes; it is bounded before it comes here (relay/http.h).
 */
#ifndef FANAL_VAULT_STAMP_H
#define FANAL_VAULT_STAMP_H

#include "base/error.h"
#include "base/span.h"
#include "base/writer.h"

#define STAMP_REQUEST_TYPE "application/timestamp-query" /* RFC 3161 §3.4 */
#define STAMP_REPLY_TYPE   "application/timestamp-reply"

#define STAMP_TOKEN_MAX ((size_t)48 * 1024)

/* TimeStampReq (§2.4.1), DER: SHA-256 of the note, a random nonce of 64 bits, certReq. */
bool stamp_request(struct span note, struct writer *der, struct error *err);

/*
 * TimeStampResp (§2.4.2), DER, to that request: granted, the same imprint and nonce, signed by a certificate for
 * time stamping alone that one of the trust anchors (ca, PEM) leads to. *token: the TimeStampToken, DER; *time_us: its
 * genTime. ERR_REFUSED where the TSA said no (its PKIFailureInfo in the text), ERR_DAMAGED where it is not to be believed.
 */
bool stamp_read(struct span request, struct span response, struct span ca, struct writer *token, uint64_t *time_us,
                struct error *err);

#endif
