/*
 * What an association asks of the vault (docs/channel.md), behind calls that a test can answer.
 */
#ifndef FANAL_GATE_DICOM_DOOR_H
#define FANAL_GATE_DICOM_DOOR_H

#include "base/error.h"
#include "base/span.h"
#include "channel/session.h"

struct admission {
    bool may_store;
    bool may_query;
    bool may_retrieve;
};

enum admission_refusal { REFUSED_CALLING_AE, REFUSED_CALLED_AE };

struct door {
    void *context;
    /* ERR_REFUSED with *why; another error: the vault cannot be asked. AE titles without padding. */
    bool (*admit)(void *context, struct span calling_ae, struct span called_ae, struct admission *out,
                  enum admission_refusal *why, struct error *err);
    /* The put calls of channel/session.h, which says what they promise. */
    uint8_t *(*put_room)(void *context, size_t least, size_t *room, struct error *err);
    bool (*put_fill)(void *context, size_t len, struct error *err);
    bool (*put_begin)(void *context, struct span request, struct error *err);
    bool (*put_end)(void *context, struct span facts, struct error *err);
    void (*put_abort)(void *context);
};

/* The door over a session, which is borrowed. */
struct door session_door(struct session *s);

#endif
