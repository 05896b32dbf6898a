/*
 * PDU codec of the DICOM Upper Layer (PS3.8 §9.3, Annex D; PS3.7 Annex D.3.3).
 *
 * Turns the bytes of one whole PDU into values, and back. Knows nothing of associations: upper_layer.h says
 * whether a PDU is welcome now, negotiate.h what is answered. P-DATA-TF is the exception: its fragments may be
 * larger than anyone wants to hold, so only the headers are coded here. Whatever is decoded borrows from the
 * input, lists live in the arena given.
 */
#ifndef FANAL_DICOM_PDU_H
#define FANAL_DICOM_PDU_H

#include "base/arena.h"
#include "base/error.h"
#include "base/reader.h"
#include "base/writer.h"

/* PS3.8 §9.3.1 */
enum pdu_type {
    PDU_A_ASSOCIATE_RQ = 0x01,
    PDU_A_ASSOCIATE_AC = 0x02,
    PDU_A_ASSOCIATE_RJ = 0x03,
    PDU_P_DATA_TF = 0x04,
    PDU_A_RELEASE_RQ = 0x05,
    PDU_A_RELEASE_RP = 0x06,
    PDU_A_ABORT = 0x07,
};

#define PDU_HEADER_BYTES 6 /* type, reserved, length */
#define PDV_HEADER_BYTES 6 /* length, presentation context ID, message control header */
#define AE_TITLE_BYTES 16
#define UID_MAX_BYTES 64 /* PS3.5 §9.1 */

/*
 * 128 contexts of 60 transfer syntaxes of 64 characters make 530 KiB; PS3.8 names no limit. What is longer is
 * no association we could want.
 */
#define PDU_ASSOCIATE_MAX_BYTES ((uint32_t)1024 * 1024)
/* A-ASSOCIATE-RJ, A-RELEASE and A-ABORT have a length of 4 (Tables 9-21, 9-24, 9-25, 9-26). */
#define PDU_SHORT_BYTES 4
/* The longest P-DATA-TF we offer to receive, and so the longest we take. */
#define PDU_P_DATA_MAX_BYTES ((uint32_t)1024 * 1024)

#define PRESENTATION_CONTEXTS_MAX 128 /* odd IDs from 1 to 255: §9.3.2.2 */
/* PS3.6 Table A-1 knows about 60 transfer syntaxes; nobody has reason to offer twice as many. */
#define TRANSFER_SYNTAXES_MAX 128
/* Role selections, or extended negotiations: one per SOP class is the use, and PS3.6 has some 400 classes. */
#define USER_ITEMS_MAX 1024
/* What an arena must be able to hold for associate_decode(). */
#define ASSOCIATE_ARENA_BYTES ((size_t)512 * 1024)

#define DICOM_APPLICATION_CONTEXT "1.2.840.10008.3.1.1.1"

/* The type and length of a PDU. */
struct pdu_header {
    uint8_t type;
    uint32_t length; /* bytes behind the header */
};

/* header: PDU_HEADER_BYTES of them. */
struct pdu_header pdu_header_decode(const uint8_t header[PDU_HEADER_BYTES]);

/*
 * Whether a PDU of that type may be that long: ERR_UNSUPPORTED for a type PS3.8 does not know, ERR_LIMIT where it
 * is longer than the limits above, ERR_MALFORMED where its type fixes another length.
 */
bool pdu_header_check(struct pdu_header h, struct error *err);

/* ---- A-ASSOCIATE-RQ and -AC (§9.3.2, §9.3.3) ---- */

enum presentation_result { /* Table 9-18 */
    PRESENTATION_ACCEPTED = 0,
    PRESENTATION_USER_REJECTION = 1,
    PRESENTATION_NO_REASON = 2,
    PRESENTATION_ABSTRACT_SYNTAX_NOT_SUPPORTED = 3,
    PRESENTATION_TRANSFER_SYNTAXES_NOT_SUPPORTED = 4,
};

struct presentation_context {
    uint8_t id;
    uint8_t result;              /* AC only: enum presentation_result */
    struct span abstract_syntax; /* RQ only */
    struct span *transfer_syntaxes; /* RQ: as proposed, in their order; AC: the chosen one */
    size_t transfer_syntax_count;
};

struct role_selection { /* PS3.7 D.3.3.4 */
    struct span sop_class_uid;
    bool scu;
    bool scp;
};

struct extended_negotiation { /* PS3.7 D.3.3.5, or D.3.3.6 where `common` */
    bool common;
    struct span sop_class_uid;
    struct span application_information; /* of a common one: service class UID item and what follows, raw */
};

struct user_identity { /* PS3.7 D.3.3.7: a request (58H) has a type, a response (59H) only `primary` */
    bool present;
    uint8_t type;
    bool response_requested;
    struct span primary;
    struct span secondary;
};

struct user_information {
    bool has_max_pdu_bytes;
    uint32_t max_pdu_bytes; /* 0: no limit. D.1.1 */
    struct span implementation_class_uid;
    struct span implementation_version_name;
    bool has_async_operations; /* PS3.7 D.3.3.3 */
    uint16_t max_operations_invoked;
    uint16_t max_operations_performed;
    struct role_selection *roles;
    size_t role_count;
    struct extended_negotiation *extended;
    size_t extended_count;
    struct user_identity identity;
};

struct associate {
    uint16_t protocol_version; /* bit 0: version 1 */
    struct span called_ae;     /* the 16 bytes as sent: see ae_title() */
    struct span calling_ae;
    struct span reserved; /* 32 bytes that an AC repeats from the RQ; may be empty when encoding */
    struct span application_context;
    struct presentation_context *contexts;
    size_t context_count;
    struct user_information user;
};

/* Without the leading and trailing spaces that PS3.8 Table 9-11 calls insignificant, nor the NULs some send. */
struct span ae_title(struct span field);

/*
 * Decodes the bytes behind the header of an A-ASSOCIATE-RQ or -AC. Item types nobody knows are skipped (§9.3.1).
 * ERR_TRUNCATED where a length points past its item, ERR_LIMIT past a limit above, ERR_MALFORMED for an even or
 * repeated context ID, a context without its syntaxes or an item that comes twice; ERR_MEMORY.
 */
bool associate_decode(enum pdu_type type, struct span body, struct arena *arena, struct associate *out,
                      struct error *err);

/* Appends the whole PDU, header included. Notice a failure with writer_ok(). */
void associate_encode(struct writer *w, enum pdu_type type, const struct associate *a);

/* ---- A-ASSOCIATE-RJ (§9.3.4, Table 9-21) ---- */

struct associate_reject {
    uint8_t result;
    uint8_t source;
    uint8_t reason;
};

#define REJECT_PERMANENT 1
#define REJECT_TRANSIENT 2
/* { result, source, reason } */
#define REJECT_APPLICATION_CONTEXT ((struct associate_reject){ REJECT_PERMANENT, 1, 2 })
#define REJECT_CALLING_AE ((struct associate_reject){ REJECT_PERMANENT, 1, 3 })
#define REJECT_CALLED_AE ((struct associate_reject){ REJECT_PERMANENT, 1, 7 })
#define REJECT_PROTOCOL_VERSION ((struct associate_reject){ REJECT_PERMANENT, 2, 2 })
#define REJECT_TEMPORARY_CONGESTION ((struct associate_reject){ REJECT_TRANSIENT, 3, 1 })
#define REJECT_LOCAL_LIMIT ((struct associate_reject){ REJECT_TRANSIENT, 3, 2 })

bool associate_reject_decode(struct span body, struct associate_reject *out, struct error *err);
void associate_reject_encode(struct writer *w, struct associate_reject r);

/* ---- A-RELEASE, A-ABORT (§9.3.6 - §9.3.8) ---- */

void release_encode(struct writer *w, enum pdu_type type);

enum abort_source { ABORT_SERVICE_USER = 0, ABORT_SERVICE_PROVIDER = 2 };
enum abort_reason { /* Table 9-26; significant from the service provider only */
    ABORT_REASON_NOT_SPECIFIED = 0,
    ABORT_UNRECOGNIZED_PDU = 1,
    ABORT_UNEXPECTED_PDU = 2,
    ABORT_UNRECOGNIZED_PARAMETER = 4,
    ABORT_UNEXPECTED_PARAMETER = 5,
    ABORT_INVALID_PARAMETER_VALUE = 6,
};
struct associate_abort {
    uint8_t source;
    uint8_t reason;
};

bool abort_decode(struct span body, struct associate_abort *out, struct error *err);
void abort_encode(struct writer *w, struct associate_abort a);

/* ---- P-DATA-TF (§9.3.5, Annex E) ---- */

struct pdv_header {
    uint32_t length; /* of the item: 2 more than the fragment */
    uint8_t context_id;
    bool command; /* E.2: bit 0 */
    bool last;    /* bit 1 */
};

/*
 * header: PDV_HEADER_BYTES of them; pdu_left: bytes of the PDU from this header on.
 * ERR_TRUNCATED where the item is longer than what is left, ERR_MALFORMED below 2 bytes or for an even ID.
 */
bool pdv_header_decode(const uint8_t header[PDV_HEADER_BYTES], uint32_t pdu_left, struct pdv_header *out,
                       struct error *err);

#define P_DATA_HEADERS_BYTES (PDU_HEADER_BYTES + PDV_HEADER_BYTES)

/* The headers of a P-DATA-TF of one PDV whose fragment has fragment_bytes. */
void p_data_header_encode(uint8_t out[P_DATA_HEADERS_BYTES], uint8_t context_id, bool command, bool last,
                          uint32_t fragment_bytes);

/*
 * Appends bytes as P-DATA-TF PDUs of one PDV each, none longer than max_pdu_bytes (the peer's maximum length;
 * 0: without limit, then one of at most PDU_P_DATA_MAX_BYTES). The last fragment is marked so. For command sets and
 * other small things.
 */
void p_data_encode(struct writer *w, uint8_t context_id, bool command, struct span bytes, uint32_t max_pdu_bytes);

/* How many bytes of a fragment fit into a PDU of the peer's maximum length. */
uint32_t p_data_fragment_max(uint32_t max_pdu_bytes);

#endif
