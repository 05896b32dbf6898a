/*
 * DIR/fanal.conf as plain values (fanal.conf(5)).
 *
 * The whole file is checked before anything starts: an unknown section or key, a value out of its range, a section or
 * key given twice is an error with its line. Sections may come in any order.
 */
#ifndef FANAL_CMD_CONF_H
#define FANAL_CMD_CONF_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/span.h"
#include "record/note.h"

#define CONF_BYTES_MAX           ((size_t)64 * 1024) /* travels to the vault in one message */
#define CONF_PEERS_MAX           256
#define CONF_SENDERS_MAX         256
#define CONF_NETWORKS_MAX        32 /* addresses of one peer or sender */
#define CONF_LISTEN_MAX          4  /* addresses of one service: descriptors of one message */
#define CONF_STORAGE_CLASSES_MAX 64
#define CONF_TWINS_MAX           8
#define CONF_TWIN_ALARM_DEFAULT  15 /* minutes */

#define CONF_ANCHORS_MAX         16 /* witnesses and time stamps together */
#define CONF_LOGS_MAX            16

#define CONF_NAME_SIZE   33 /* X of [peer X], [sender X] */
#define CONF_AE_SIZE     17 /* PS3.5 Table 6.2-1: 16 bytes */
#define CONF_ISSUER_SIZE 129
#define CONF_UID_SIZE    65 /* PS3.5 §9.1: 64 bytes */
#define CONF_ZONE_SIZE   65
#define CONF_USER_SIZE   33
#define CONF_URL_SIZE    181 /* a line has 190 bytes */
#define CONF_PATH_SIZE   181
#define CONF_ADDRESS_SIZE 46 /* INET6_ADDRSTRLEN */

#define CONF_CA_BYTES_MAX      ((size_t)16 * 1024) /* trust anchors of one anchor … */
#define CONF_CA_BYTES_ALL_MAX  ((size_t)40 * 1024) /* … and of all: they travel to the vault in one message with the configuration */
#define CONF_WITNESS_EVERY_S   60
#define CONF_TIMESTAMP_EVERY_S 3600
#define CONF_EVERY_LEAST_S     1
#define CONF_EVERY_MOST_S      (31 * 86400)
#define CONF_FINGERPRINT_SIZE 65 /* SHA-256 of a certificate: 64 hex digits */
#define CONF_ENDPOINT_SIZE    64

/* Scrubbing reads that much, at most, and begins a round that often: a terabyte takes a day and a half. */
#define CONF_SCRUB_RATE_DEFAULT     ((uint64_t)8 << 20)
#define CONF_SCRUB_RATE_LEAST       ((uint64_t)1 << 20)
#define CONF_SCRUB_RATE_MOST        ((uint64_t)1 << 30)
#define CONF_SCRUB_INTERVAL_DEFAULT 24
#define CONF_SCRUB_INTERVAL_MOST    8760

/* A log segment's offsets have 32 bits, and a commit may pass its end; a file is the unit in which bodies expire. */
#define CONF_SEGMENT_LEAST   ((uint64_t)1 << 20)
#define CONF_SEGMENT_MOST    ((uint64_t)1 << 30)
#define CONF_BODY_FILE_LEAST ((uint64_t)1 << 20)
#define CONF_BODY_FILE_MOST  ((uint64_t)16 << 30)

#define CONF_CONNECTIONS_DEFAULT             256
#define CONF_CONNECTIONS_PER_ADDRESS_DEFAULT 64
#define CONF_CONNECTIONS_LIMIT               1000 /* nobody may ask for more: each DICOM or HL7 connection is a process */

/* A range of addresses; IPv4 as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2). */
struct conf_network {
    uint8_t bytes[16];
    unsigned prefix_bits;
};

struct conf_networks {
    struct conf_network items[CONF_NETWORKS_MAX];
    size_t count;
};

struct conf_peer {
    char name[CONF_NAME_SIZE];
    char ae[CONF_AE_SIZE];
    struct conf_networks address;
    bool may_store, may_query, may_retrieve;
    char issuer[CONF_ISSUER_SIZE];
};

struct conf_sender {
    char name[CONF_NAME_SIZE];
    struct conf_networks address;
    char issuer[CONF_ISSUER_SIZE];
    bool keep_unsupported; /* unsupported = keep: answered AA */
};

/* [witness X] or [timestamp X] (docs/anchors.md). */
struct conf_anchor {
    char name[CONF_NAME_SIZE];
    bool is_witness;
    char url[CONF_URL_SIZE];
    char address[CONF_ADDRESS_SIZE]; /* where to connect, where the URL names a host; else empty */
    char ca[CONF_PATH_SIZE];         /* PEM file, relative to the data directory; empty: none */
    struct vkey key;                 /* of a witness */
    unsigned every_s;
    unsigned line;
};

/* [log X]: one that this Fanal witnesses. Its origin is the name of its key. */
struct conf_log {
    char name[CONF_NAME_SIZE];
    struct vkey key;
};

/* One that may follow (docs/twin.md). */
struct conf_twin {
    char name[CONF_NAME_SIZE];
    char certificate[CONF_FINGERPRINT_SIZE];
    unsigned alarm_minutes;
};

/* Of a twin: whom it follows. first is empty where nobody is followed. */
struct conf_follow {
    char first[CONF_ENDPOINT_SIZE]; /* address:port */
    char pin[CONF_FINGERPRINT_SIZE];
    unsigned alarm_minutes;
};

/* One service of [listen] and its limits. */
struct conf_service {
    struct sockaddr_storage addresses[CONF_LISTEN_MAX];
    size_t address_count; /* 0: the service is off */
    unsigned connections, connections_per_address;
};

/* Where the secret comes from when serve starts without --key-file or --shares. */
enum conf_unseal {
    UNSEAL_ASK,         /* FANAL_PASSPHRASE_FILE, FANAL_SHARES_FILE, or the terminal */
    UNSEAL_CREDENTIAL,  /* systemd's credential "fanal"; without it, sealed */
    UNSEAL_STAY_SEALED, /* nobody: it waits for `fanal unseal` */
};

struct conf {
    char timezone[CONF_ZONE_SIZE];
    char user[CONF_USER_SIZE]; /* empty: chosen at start (docs/operations.md) */
    bool listen_public;        /* public addresses are allowed in [listen] */
    struct conf_service dicom, hl7, https, witness, follow;
    char ae[CONF_AE_SIZE];
    char storage_classes[CONF_STORAGE_CLASSES_MAX][CONF_UID_SIZE]; /* private ones, beside those of PS3.6 */
    size_t storage_class_count;
    enum conf_unseal at_start; /* [unseal] */
    uint64_t disk_reserve; /* bytes; 0: the vault's default */
    uint64_t scrub_rate;   /* bytes a second; 0: off */
    unsigned scrub_interval_hours;
    uint64_t segment_bytes, body_file_bytes; /* 0: the vault's defaults */
    struct conf_peer *peers; /* owned */
    size_t peer_count;
    struct conf_sender *senders; /* owned */
    size_t sender_count;
    struct conf_anchor *anchors; /* owned; NULL where there is none */
    size_t anchor_count;
    struct conf_log *logs; /* owned; NULL where there is none */
    size_t log_count;
    struct conf_twin twins[CONF_TWINS_MAX];
    size_t twin_count;
    struct conf_follow following;
};

/* Reads the text of a fanal.conf. ERR_USAGE with "line N: what"; ERR_MEMORY. conf_done() frees *out. */
bool conf_parse(struct span text, struct conf *out, struct error *err);
void conf_done(struct conf *c);

/*
 * The peer that calls itself calling_ae (padding spaces and NULs do not count, case does: PS3.8 §9.3.2) from that
 * numeric address; NULL where there is none. Borrows from c.
 */
const struct conf_peer *conf_peer_match(const struct conf *c, struct span calling_ae, struct span address);
const struct conf_sender *conf_sender_match(const struct conf *c, struct span address);

/* Whether a called AE title names this system. */
bool conf_is_our_ae(const struct conf *c, struct span called_ae);

/* Decimal digits, at most eight. */
bool conf_number_parse(struct span text, unsigned least, unsigned most, unsigned *out);

/* "500 MiB", "2 GiB", "1 TiB": a number of at most eight digits and its unit. */
bool conf_size_parse(struct span text, uint64_t least, uint64_t most, uint64_t *out);

/* "30 s", "1 min", "2 h", "1 d". */
bool conf_duration_parse(struct span text, unsigned least_s, unsigned most_s, unsigned *out);

/* "127.0.0.1:11112", "[::1]:11112"; port 0: the system chooses one. */
bool conf_listen_parse(struct span text, struct sockaddr_storage *out);

/* "1.2.3.4", "::1", "10.0.0.0/8", "2001:db8::/32". False where it is no such thing, or has bits behind its prefix. */
bool conf_network_parse(struct span text, struct conf_network *out);
bool conf_network_overlap(const struct conf_network *a, const struct conf_network *b);
/* address: numeric, as in the log; a zone ("%eth0") does not count. */
bool conf_networks_hold(const struct conf_networks *n, struct span address);

/* Loopback, private or link-local (RFC 1918, 3927, 4193, 4291): what [listen] takes without `public = yes`. */
bool conf_address_is_local(const struct sockaddr_storage *address);

/* What `fanal init` writes: every key with its default in a comment, no peer and no sender. */
const char *conf_default_text(void);

#endif
