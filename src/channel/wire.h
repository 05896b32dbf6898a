/*
 * What travels between a first machine and its twin, over TLS: frames of a verb, a field list and bytes (docs/twin.md, "On
 * the wire"). Bytes in, values out; knows no socket.
 */
#ifndef FANAL_CHANNEL_WIRE_H
#define FANAL_CHANNEL_WIRE_H

#include "channel/channel.h"

#define WIRE_HEADER_BYTES 16u
#define WIRE_FIELDS_MAX   8192u
#define WIRE_BYTES_MAX    ((size_t)1 << 20)

struct wire_header {
    enum verb verb;
    uint32_t fields, bytes; /* lengths of what follows, in this order */
};

void wire_header_encode(const struct wire_header *h, uint8_t out[WIRE_HEADER_BYTES]);

/* bytes: exactly a header. ERR_MALFORMED for what is none, ERR_LIMIT for lengths beyond the limits. */
bool wire_header_decode(struct span bytes, struct wire_header *out, struct error *err);

/* A whole field list, no more than its fields. ERR_MALFORMED. */
bool wire_fields_check(struct span fields, struct error *err);

/* A question: FOLLOW_STATE or FOLLOW_READ, without bytes. */
bool wire_is_question(const struct wire_header *h);

#endif
