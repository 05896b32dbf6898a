/*
 * The DICOM Upper Layer protocol machine (PS3.8 §9.2, Table 9-10), acceptor and requestor.
 *
 * Events in, intents out: it sends nothing, closes nothing and reads no clock. Its owner carries an intent out
 * (in the order of the struct), and reports what happens as the next event. PDUs are coded by pdu.h.
 */
#ifndef FANAL_DICOM_UPPER_LAYER_H
#define FANAL_DICOM_UPPER_LAYER_H

#include "dicom/pdu.h"

/* Tables 9-1 to 9-5 */
enum ul_state {
    STA_1 = 1, /* idle */
    STA_2,     /* transport open, awaiting A-ASSOCIATE-RQ */
    STA_3,     /* awaiting local A-ASSOCIATE response */
    STA_4,     /* awaiting transport connection to complete */
    STA_5,     /* awaiting A-ASSOCIATE-AC or -RJ */
    STA_6,     /* ready for data transfer */
    STA_7,     /* awaiting A-RELEASE-RP */
    STA_8,     /* awaiting local A-RELEASE response */
    STA_9,     /* release collision, requestor: awaiting local response */
    STA_10,    /* release collision, acceptor: awaiting A-RELEASE-RP */
    STA_11,    /* release collision, requestor: awaiting A-RELEASE-RP */
    STA_12,    /* release collision, acceptor: awaiting local response */
    STA_13,    /* awaiting transport close */
    STA_COUNT,
};

enum ul_event {
    EVT_1 = 1, /* A-ASSOCIATE request (local user) */
    EVT_2,     /* transport connection confirmed (local transport service) */
    EVT_3,     /* A-ASSOCIATE-AC PDU received */
    EVT_4,     /* A-ASSOCIATE-RJ PDU received */
    EVT_5,     /* transport connection indication (local transport service) */
    EVT_6,     /* A-ASSOCIATE-RQ PDU received */
    EVT_7,     /* A-ASSOCIATE response: accept */
    EVT_8,     /* A-ASSOCIATE response: reject */
    EVT_9,     /* P-DATA request */
    EVT_10,    /* P-DATA-TF PDU received */
    EVT_11,    /* A-RELEASE request */
    EVT_12,    /* A-RELEASE-RQ PDU received */
    EVT_13,    /* A-RELEASE-RP PDU received */
    EVT_14,    /* A-RELEASE response */
    EVT_15,    /* A-ABORT request */
    EVT_16,    /* A-ABORT PDU received */
    EVT_17,    /* transport connection closed */
    EVT_18,    /* ARTIM timer expired */
    EVT_19,    /* unrecognized or invalid PDU received */
    EVT_COUNT,
};

/* Tables 9-6 to 9-9 */
enum ul_action {
    UL_NO_ACTION = 0, /* an empty cell of Table 9-10 */
    AE_1, AE_2, AE_3, AE_4, AE_5, AE_6, AE_7, AE_8,
    DT_1, DT_2,
    AR_1, AR_2, AR_3, AR_4, AR_5, AR_6, AR_7, AR_8, AR_9, AR_10,
    AA_1, AA_2, AA_3, AA_4, AA_5, AA_6, AA_7, AA_8,
};

enum ul_indication {
    UL_NO_INDICATION = 0,
    UL_ASSOCIATE_INDICATION, /* an A-ASSOCIATE-RQ is here: answer with EVT_7 or EVT_8 */
    UL_ASSOCIATE_ACCEPTED,   /* A-ASSOCIATE confirmation */
    UL_ASSOCIATE_REJECTED,
    UL_P_DATA_INDICATION,
    UL_RELEASE_INDICATION, /* answer with EVT_14 */
    UL_RELEASE_CONFIRMATION,
    UL_ABORT_INDICATION,   /* A-ABORT: the peer's service user */
    UL_P_ABORT_INDICATION, /* A-P-ABORT: a provider, ours or the peer's, or the transport */
};

/* What the owner shall do now, in this order. */
struct ul_intents {
    enum ul_indication indication;
    bool connect;           /* open the transport connection */
    enum pdu_type send;     /* 0: nothing. AC, RQ, RJ and P-DATA-TF are the owner's to fill */
    struct associate_abort abort; /* where send is PDU_A_ABORT */
    bool close;             /* the transport connection */
};

struct upper_layer {
    enum ul_state state;
    bool requestor;
    uint32_t artim_ms;          /* how long ARTIM runs: §9.1.5 */
    uint64_t artim_deadline_ms; /* 0: not running */
    uint8_t invalid_pdu_reason; /* for EVT_19: enum abort_reason; set by the owner before */
    struct associate_abort received_abort; /* for EVT_16: set by the owner before */
};

static inline struct upper_layer upper_layer_new(bool requestor, uint32_t artim_ms)
{
    return (struct upper_layer){ .state = STA_1, .requestor = requestor, .artim_ms = artim_ms };
}

/*
 * Moves on. now_ms: a monotonic clock. No peer can bring us to an empty cell of Table 9-10: getting there is our
 * own bug and asserts.
 */
struct ul_intents upper_layer_event(struct upper_layer *ul, enum ul_event event, uint64_t now_ms);

/* EVT_18 is due. */
static inline bool upper_layer_artim_expired(const struct upper_layer *ul, uint64_t now_ms)
{
    return ul->artim_deadline_ms != 0 && now_ms >= ul->artim_deadline_ms;
}

/* The event that receiving a PDU of that type is; EVT_19 for a type nobody knows. */
enum ul_event upper_layer_pdu_event(uint8_t pdu_type);

/* The cell of Table 9-10. */
enum ul_action upper_layer_action(enum ul_event event, enum ul_state state);

#endif
