/*
 * The front door of the DICOM and HL7 gates: accepts connections and forks one process for each.
 *
 * One thread and one poll loop. Reads nothing a peer sends and holds no secret: a connection waits in the lobby
 * until its first byte is there (lobby.h); then the listener asks the vault for a session (OPEN), forks, and reaps.
 * Bounds are kept here, because a child cannot see its brothers: so many processes in all, so many from one source,
 * so many of those not admitted yet; there the oldest goes first, so that a peer that opens connections and says
 * nothing, or half a request, pushes out nobody but itself. What the bytes mean is the child's business
 * (gate/dicom, gate/hl7).
 */
#ifndef FANAL_GATE_LISTENER_H
#define FANAL_GATE_LISTENER_H

#include "base/clock.h"
#include "base/log.h"
#include "channel/channel.h"
#include "gate/lobby.h"

/* Processes of one gate, all sources together; each is a few hundred KiB of private memory. */
#define LISTENER_CHILDREN_MAX 256
/* Of one source (an IPv4 address, an IPv6 /64): a busy modality opens some ten associations at once. */
#define LISTENER_SOURCE_MAX 64
/* Of one source and not admitted: a modality that opens 16 at once must not push out its own before they are served. */
#define LISTENER_SOURCE_WAITING_MAX 32
#define LISTENER_SOCKETS_MAX 8
/* From the accept to the first byte, unless a gate's protocol allows silence. DICOM: PS3.8 §9.1.5, its ARTIM timer. */
#define LISTENER_FIRST_BYTE_MS 30000
/* How long children may take to finish after STOP. */
#define LISTENER_GRACE_MS 1500 /* the supervisor waits ROLE_STOP_MS for the listener itself */
/* Crash events and capacity warnings in one minute; the others are counted, so that a flood is not a flood of records. */
#define LISTENER_NOTICES_PER_MINUTE 10
/*
 * Connections of one source in a minute whose process writes log lines from its first byte; beyond them it does so only
 * once admitted. A sender that connects for each message is admitted each time; a stranger who knocks ten thousand
 * times leaves a hundred lines and a count.
 */
#define LISTENER_LOGGED_PER_MINUTE 60

#define CONNECTION_ADDRESS_SIZE PEER_ADDRESS_SIZE

/* What a child is given. Descriptors are owned by the child; nothing else of the listener's is open in it. */
struct connection {
    int socket;      /* blocking, TCP_NODELAY and keep-alive set */
    int session_fd;  /* for session_attach() */
    int admitted_fd; /* see connection_admitted() */
    char address[CONNECTION_ADDRESS_SIZE]; /* numeric; an IPv4-mapped address as IPv4 */
    struct log log;  /* the listener's; in a crowd (LISTENER_LOGGED_PER_MINUTE) errors only until admitted */
    enum log_level admitted_level; /* what log.least is set to on admission */
};

/*
 * Runs in the new process, enters its sandbox, serves; its return value becomes the exit status. Whatever a peer
 * did ends with EXIT_SUCCESS; anything else counts as a crash and is told to the vault.
 */
typedef int connection_run(void *context, struct connection *c);

/* Called by the child when the vault has admitted the peer: from now on it is not evicted. */
void connection_admitted(struct connection *c);

/* All borrowed. Limits of 0 stand for the constants above (tests ask for smaller ones). */
struct listener_settings {
    enum process_kind child_kind; /* PROCESS_DICOM_ASSOCIATION or PROCESS_HL7_CONNECTION */
    connection_run *run;
    void *context;
    const struct log *log; /* writes to a descriptor below 3: the child keeps no other */
    const struct clock *clock;
    size_t children_max, source_max, source_waiting_max, lobby_max, lobby_source_max;
    uint32_t first_byte_ms;
    bool admitted_by_address; /* a stranger is closed at once and unread, not when he speaks: no lobby while there is a vault */
};

/*
 * Serves the listening sockets (owned, closed at the end) until STOP on the control channel or its end, then
 * tells children to finish (SIGTERM; SIGKILL after LISTENER_GRACE_MS) and returns true.
 * vault: the listener's conversation with the vault, owned; fd -1 where it has none yet. While there is none,
 * nothing is accepted (the backlog waits) until JOIN {process: vault} brings one. False with ERR_MEMORY,
 * ERR_IO, or ERR_LIMIT for more than LISTENER_SOCKETS_MAX sockets.
 */
bool listener_run(const struct listener_settings *settings, const int *sockets, size_t socket_count,
                  struct channel *control, struct channel *vault, struct error *err);

#endif
