/*
 * One HL7 connection: MLLP in, answers out, one message after the other. See receipt.h for what becomes of a message.
 */
#ifndef FANAL_GATE_HL7_CONNECTION_H
#define FANAL_GATE_HL7_CONNECTION_H

#include "gate/hl7/receipt.h"

/* Limits of 0 stand for these. */
#define HL7_IDLE_MS (24 * 3600 * 1000)   /* between messages: engines keep a connection for days; keep-alive finds the dead */
#define HL7_MESSAGE_MS (120 * 1000)      /* from VT to FS: 16 MiB at 1 Mbit/s */
#define HL7_ANSWER_MS (30 * 1000)        /* for the sender to take an answer */
#define HL7_PAUSE_MS 500                 /* an FS without CR ends its message when nothing follows for that long */

struct connection_limits {
    uint32_t idle_ms, message_ms, answer_ms, pause_ms;
    size_t message_max;
};

enum connection_end {
    CONNECTION_CLOSED,   /* by the sender */
    CONNECTION_IDLE,     /* nothing came for too long */
    CONNECTION_TOO_SLOW, /* a message did not end, or an answer was not taken */
    CONNECTION_FAILED,   /* read or write failed */
    CONNECTION_NO_VAULT, /* nobody keeps: the sender shall try again */
};

/* Serves socket (borrowed) until one of the ends; *err says more where it failed. */
enum connection_end connection_serve(int socket, struct receipt *receipt, const struct connection_limits *limits,
                                     struct error *err);

const char *connection_end_name(enum connection_end end);

#endif
