/*
 * The connection that an association has: a TCP socket, or in a test anything that behaves like one.
 */
#ifndef FANAL_GATE_DICOM_TRANSPORT_H
#define FANAL_GATE_DICOM_TRANSPORT_H

#include <sys/types.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/span.h"

#define TRANSPORT_WOULD_BLOCK 0
#define TRANSPORT_CLOSED (-1)

enum transport_ready {
    TRANSPORT_READABLE,
    TRANSPORT_TIMEOUT,
    TRANSPORT_VAULT_GONE, /* the other thing an association waits for */
};

struct transport {
    void *context;
    /* What is there now, at most what fits: its length, or one of the two above. */
    ssize_t (*receive)(void *context, const struct iovec *parts, int count);
    /* All of it, or false where the peer is gone or takes nothing for SEND_MAX_MS. */
    bool (*send)(void *context, struct span bytes);
    enum transport_ready (*wait)(void *context, int timeout_ms);
    void (*close)(void *context);
};

/* A peer that reads nothing of what it asked for this long is gone. */
#define SEND_MAX_MS 30000

struct tcp_transport {
    int fd;       /* owned */
    int vault_fd; /* borrowed; -1: none */
};

/* Sets the socket up (TCP_NODELAY) and returns calls over it. tcp is borrowed and must outlive the transport. */
struct transport tcp_transport(struct tcp_transport *tcp);

#endif
