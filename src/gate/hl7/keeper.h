/*
 * What an HL7 connection asks of the vault, as three functions, so that a test can stand in for it.
 */
#ifndef FANAL_GATE_HL7_KEEPER_H
#define FANAL_GATE_HL7_KEEPER_H

#include "channel/session.h"

#define KEEPER_TEXT_MAX 128 /* issuer, zone: from fanal.conf */

/* What ADMIT says of the sender. */
struct hl7_sender {
    char issuer[KEEPER_TEXT_MAX]; /* of identifiers without assigning authority */
    char zone[KEEPER_TEXT_MAX];   /* of times without one */
    bool keep_unsupported;        /* AA for types and events that are not understood */
};

struct hl7_keeper {
    void *context;
    /* ERR_REFUSED: no [sender] has this address (the vault has recorded it). */
    bool (*admit)(void *context, struct hl7_sender *out, struct error *err);
    /*
     * Keeps body with its facts under an erasure unit; returns once it is committed. ERR_CLOSED, ERR_TIMEOUT and
     * ERR_MALFORMED: the vault is gone, nobody knows; anything else: it said no, and nothing was kept.
     */
    bool (*keep)(void *context, struct span body, struct span unit, struct span facts, struct error *err);
    int fd; /* readable where the vault speaks unasked: it is gone. -1: none */
};

/* The vault behind a session, which is borrowed. */
struct hl7_keeper session_keeper(struct session *s);

#endif
