/*
 * What the files of an association share: association.c (PDUs and the protocol machine), message.c (DIMSE messages),
 * object.c (the data set of a C-STORE on its way to the vault).
 */
#ifndef FANAL_GATE_DICOM_ASSOCIATION_INTERNAL_H
#define FANAL_GATE_DICOM_ASSOCIATION_INTERNAL_H

#include "dicom/dimse.h"
#include "dicom/upper_layer.h"
#include "dicom/walker.h"
#include "gate/dicom/association.h"

/* Where bytes go that nobody wants. */
#define SCRAP_BYTES 32768
/* Read beyond what is needed now: small messages come with one call, large ones are copied by at most this much. */
#define AHEAD_BYTES 8192
/* Handed to the vault in pieces of this size; half of its ring, so that it encrypts while we receive. */
#define FILL_BYTES (SESSION_BUFFER_BYTES / 4)

/* ---- object.c: one data set between C-STORE-RQ and C-STORE-RSP ---- */

struct object {
    bool open;
    bool begun;            /* PUT_BEGIN is said */
    bool lost;             /* the vault takes no more of it: the rest is read and dropped */
    uint16_t status;       /* what will be answered, as far as is known */
    struct error why;      /* of a status other than success */
    uint8_t *room;         /* in the vault's buffer: room_at bytes of it are received, not handed over */
    size_t room_bytes;
    size_t room_at;
    uint64_t bytes;        /* of the data set so far */
    const char *state;     /* with which it will be kept; NULL: as the vault finds */
    struct writer facts;
    struct walker *walker; /* owned, for all objects of the association */
};

/* ---- message.c: commands and their data sets ---- */

enum message_phase {
    MESSAGE_NONE,     /* a command may begin */
    MESSAGE_COMMAND,  /* fragments of it are here */
    MESSAGE_DATA_SET, /* the command is whole; its data set comes */
};

struct dimse_message {
    enum message_phase phase;
    uint8_t context_id;
    struct writer command_bytes; /* bounded by COMMAND_SET_MAX_BYTES */
    struct command_set command;  /* borrows from command_bytes */
    bool discard;                /* the data set belongs to a command that is refused: read, not kept */
    uint16_t status;             /* then: why */
};

/* ---- association.c ---- */

enum read_phase {
    READ_PDU_HEADER,
    READ_PDU_BODY, /* of any PDU but P-DATA-TF */
    READ_PDV_HEADER,
    READ_FRAGMENT,
    READ_NOTHING, /* after an A-ABORT of ours, or when framing is lost: bytes are drained until the peer closes */
};

struct association {
    struct association_settings settings;
    struct transport transport;
    struct door door;
    bool has_door;
    const struct clock *clock;
    const struct log *log;
    struct upper_layer ul;
    bool lost;      /* the connection is: EVT_17 is due */
    bool must_wait; /* nothing to receive just now */

    enum read_phase phase;
    uint8_t scrap[SCRAP_BYTES];
    uint8_t ahead[AHEAD_BYTES]; /* received, not looked at yet: [ahead_at, ahead_end) */
    size_t ahead_at, ahead_end;
    struct pdu_header pdu;
    uint32_t pdu_left;
    struct pdv_header pdv;
    uint32_t fragment_left;
    struct writer body;
    uint64_t deadline_ms; /* of what is awaited now, beside ARTIM */
    const char *late;     /* what that is, for the log */

    struct arena arena;
    struct associate request; /* borrows from request_bytes and arena */
    struct writer request_bytes;
    struct associate answer; /* borrows from request and arena */
    struct associate_reject reject;
    struct negotiated negotiated;
    bool abort_as_provider; /* EVT_15 by us is no user's wish */
    struct writer out;

    struct dimse_message message;
    struct object object;
};

/* Carries an event out: the protocol machine, then its intents. */
void association_event(struct association *a, enum ul_event event);

/* Ends the association from our side: A-ABORT, source service provider where `provider`. Logs why. */
void association_abort(struct association *a, bool provider, const struct error *why);

/* A PDV header was read: the message must be in a phase for it, else the association is aborted. */
void message_begin_fragment(struct association *a);
/*
 * Where the next bytes of the current fragment go: *room bytes, at most `wanted`. NULL where there is no such place
 * (the association was aborted).
 */
uint8_t *message_room(struct association *a, size_t wanted, size_t *room);
/* len bytes lie in the last room. */
void message_received(struct association *a, size_t len);
/* The current fragment is whole. */
void message_end_fragment(struct association *a);
/* The association ends: what is half received is forgotten. */
void message_drop(struct association *a);

void object_begin(struct association *a);
/* As message_room(), for an object that is not lost. */
uint8_t *object_room(struct association *a, size_t *room);
void object_received(struct association *a, size_t len);
/* The data set is whole: hands it over, waits for the commit, returns the status to answer. */
uint16_t object_end(struct association *a);
void object_drop(struct association *a);

#endif
