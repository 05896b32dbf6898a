/*
 * What a record is, and where its body goes. Numbers are on disk (docs/format.md) and for ever.
 */
#ifndef FANAL_RECORD_KIND_H
#define FANAL_RECORD_KIND_H

enum record_kind {
    RECORD_DICOM = 1, /* object: a DICOM data set as received, without File Meta Information */
    RECORD_HL7 = 2,   /* object: an HL7 v2 message as received, without MLLP framing */
    RECORD_FACT = 3,  /* a change of what is true: user added, identities linked … */
    RECORD_EVENT = 4, /* something that happened: accessed, refused, started … */
    RECORD_RULE = 5,  /* a fact about accounts, keys or rules: chained, folded from the log at each start */
};

enum body_class {
    BODY_IMAGES = 1,
    BODY_RESULTS = 2,
    BODY_RECORDINGS = 3, /* of emergency calls: their own time of keeping */
    BODY_HELD = 4,       /* copied here before their period expired, because somebody holds them */
};

/* Which room a process is (docs/channel.md). */
enum process_kind {
    PROCESS_SUPERVISOR = 1,
    PROCESS_VAULT = 2,
    PROCESS_DICOM_LISTENER = 3,
    PROCESS_DICOM_ASSOCIATION = 4,
    PROCESS_HL7_LISTENER = 5,
    PROCESS_HL7_CONNECTION = 6,
    PROCESS_WEB = 7,         /* the gate's own session: keys, watch */
    PROCESS_WEB_REQUEST = 8, /* one per HTTPS connection thread */
    PROCESS_LENS = 9,
    PROCESS_LOCAL = 10,   /* a command on this machine, owner or root */
    PROCESS_RELAY = 11,   /* outbound connections: witnesses, time stamps */
    PROCESS_WITNESS = 12, /* the door of logs that this Fanal witnesses */
    PROCESS_FOLLOW_LISTENER = 13, /* the door for twins (docs/twin.md) */
    PROCESS_FOLLOWER = 14,        /* one per connection of a twin */
    PROCESS_PULL = 15,            /* on a twin: the connection to the first */
};

#endif
