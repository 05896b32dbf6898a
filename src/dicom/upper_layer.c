/* The DICOM Upper Layer protocol machine (PS3.8 §9.2): see upper_layer.h. */
#include "dicom/upper_layer.h"

#include <assert.h>

/* Events of a received PDU are an error in every state that has a peer but Sta2 and Sta13, unless said otherwise. */
#define AA_8_BUT_2_AND_13                                                                              \
    [STA_3] = AA_8, [STA_5] = AA_8, [STA_6] = AA_8, [STA_7] = AA_8, [STA_8] = AA_8, [STA_9] = AA_8,    \
    [STA_10] = AA_8, [STA_11] = AA_8, [STA_12] = AA_8

/* The compiler warns of designators that overwrite; here that is the point of a row. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif

/* PS3.8 Table 9-10. */
static const uint8_t transitions[EVT_COUNT][STA_COUNT] = {
    [EVT_1] = { [STA_1] = AE_1 },
    [EVT_2] = { [STA_4] = AE_2 },
    [EVT_3] = { [STA_2] = AA_1, AA_8_BUT_2_AND_13, [STA_5] = AE_3, [STA_13] = AA_6 },
    [EVT_4] = { [STA_2] = AA_1, AA_8_BUT_2_AND_13, [STA_5] = AE_4, [STA_13] = AA_6 },
    [EVT_5] = { [STA_1] = AE_5 },
    [EVT_6] = { [STA_2] = AE_6, AA_8_BUT_2_AND_13, [STA_13] = AA_7 },
    [EVT_7] = { [STA_3] = AE_7 },
    [EVT_8] = { [STA_3] = AE_8 },
    [EVT_9] = { [STA_6] = DT_1, [STA_8] = AR_7 },
    [EVT_10] = { [STA_2] = AA_1, AA_8_BUT_2_AND_13, [STA_6] = DT_2, [STA_7] = AR_6, [STA_13] = AA_6 },
    [EVT_11] = { [STA_6] = AR_1 },
    [EVT_12] = { [STA_2] = AA_1, AA_8_BUT_2_AND_13, [STA_6] = AR_2, [STA_7] = AR_8, [STA_13] = AA_6 },
    [EVT_13] = { [STA_2] = AA_1, AA_8_BUT_2_AND_13, [STA_7] = AR_3, [STA_10] = AR_10, [STA_11] = AR_3,
                 [STA_13] = AA_6 },
    [EVT_14] = { [STA_8] = AR_4, [STA_9] = AR_9, [STA_12] = AR_4 },
    [EVT_15] = { [STA_3] = AA_1, [STA_4] = AA_2, [STA_5] = AA_1, [STA_6] = AA_1, [STA_7] = AA_1, [STA_8] = AA_1,
                 [STA_9] = AA_1, [STA_10] = AA_1, [STA_11] = AA_1, [STA_12] = AA_1 },
    [EVT_16] = { [STA_2] = AA_2, [STA_3] = AA_3, [STA_5] = AA_3, [STA_6] = AA_3, [STA_7] = AA_3, [STA_8] = AA_3,
                 [STA_9] = AA_3, [STA_10] = AA_3, [STA_11] = AA_3, [STA_12] = AA_3, [STA_13] = AA_2 },
    [EVT_17] = { [STA_2] = AA_5, [STA_3] = AA_4, [STA_4] = AA_4, [STA_5] = AA_4, [STA_6] = AA_4, [STA_7] = AA_4,
                 [STA_8] = AA_4, [STA_9] = AA_4, [STA_10] = AA_4, [STA_11] = AA_4, [STA_12] = AA_4,
                 [STA_13] = AR_5 },
    [EVT_18] = { [STA_2] = AA_2, [STA_13] = AA_2 },
    [EVT_19] = { [STA_2] = AA_1, AA_8_BUT_2_AND_13, [STA_13] = AA_7 },
};
#pragma GCC diagnostic pop

enum artim { ARTIM_AS_IS = 0, ARTIM_START, ARTIM_STOP };

/*
 * Tables 9-6 to 9-9: what an action does, and the state it ends in (0: decided by the association's side).
 * AE-6 decides nothing here: whether a request is acceptable is the user's answer, EVT_7 or EVT_8, and both roads of
 * Table 9-6 lead to the same PDUs.
 */
static const struct {
    enum ul_indication indication;
    bool connect;
    uint8_t send;
    enum abort_source abort_source;
    enum artim artim;
    bool close;
    enum ul_state next;
} actions[] = {
    [AE_1] = { .connect = true, .next = STA_4 },
    [AE_2] = { .send = PDU_A_ASSOCIATE_RQ, .next = STA_5 },
    [AE_3] = { .indication = UL_ASSOCIATE_ACCEPTED, .next = STA_6 },
    [AE_4] = { .indication = UL_ASSOCIATE_REJECTED, .close = true, .next = STA_1 },
    [AE_5] = { .artim = ARTIM_START, .next = STA_2 },
    [AE_6] = { .artim = ARTIM_STOP, .indication = UL_ASSOCIATE_INDICATION, .next = STA_3 },
    [AE_7] = { .send = PDU_A_ASSOCIATE_AC, .next = STA_6 },
    [AE_8] = { .send = PDU_A_ASSOCIATE_RJ, .artim = ARTIM_START, .next = STA_13 },
    [DT_1] = { .send = PDU_P_DATA_TF, .next = STA_6 },
    [DT_2] = { .indication = UL_P_DATA_INDICATION, .next = STA_6 },
    [AR_1] = { .send = PDU_A_RELEASE_RQ, .next = STA_7 },
    [AR_2] = { .indication = UL_RELEASE_INDICATION, .next = STA_8 },
    [AR_3] = { .indication = UL_RELEASE_CONFIRMATION, .close = true, .next = STA_1 },
    [AR_4] = { .send = PDU_A_RELEASE_RP, .artim = ARTIM_START, .next = STA_13 },
    [AR_5] = { .artim = ARTIM_STOP, .next = STA_1 },
    [AR_6] = { .indication = UL_P_DATA_INDICATION, .next = STA_7 },
    [AR_7] = { .send = PDU_P_DATA_TF, .next = STA_8 },
    [AR_8] = { .indication = UL_RELEASE_INDICATION },
    [AR_9] = { .send = PDU_A_RELEASE_RP, .next = STA_11 },
    [AR_10] = { .indication = UL_RELEASE_CONFIRMATION, .next = STA_12 },
    [AA_1] = { .send = PDU_A_ABORT, .abort_source = ABORT_SERVICE_USER, .artim = ARTIM_START, .next = STA_13 },
    [AA_2] = { .artim = ARTIM_STOP, .close = true, .next = STA_1 },
    [AA_3] = { .indication = UL_ABORT_INDICATION, .close = true, .next = STA_1 },
    [AA_4] = { .indication = UL_P_ABORT_INDICATION, .next = STA_1 },
    [AA_5] = { .artim = ARTIM_STOP, .next = STA_1 },
    [AA_6] = { .next = STA_13 },
    [AA_7] = { .send = PDU_A_ABORT, .abort_source = ABORT_SERVICE_PROVIDER, .next = STA_13 },
    [AA_8] = { .indication = UL_P_ABORT_INDICATION, .send = PDU_A_ABORT, .abort_source = ABORT_SERVICE_PROVIDER,
               .artim = ARTIM_START, .next = STA_13 },
};

enum ul_action upper_layer_action(enum ul_event event, enum ul_state state)
{
    assert(event >= EVT_1 && event < EVT_COUNT && state >= STA_1 && state < STA_COUNT);
    return transitions[event][state];
}

/* Table 9-26: what our A-ABORT gives as its reason. */
static struct associate_abort abort_of(const struct upper_layer *ul, enum ul_event event, enum abort_source source)
{
    if (source == ABORT_SERVICE_USER) /* "not significant" then */
        return (struct associate_abort){ ABORT_SERVICE_USER, ABORT_REASON_NOT_SPECIFIED };
    return (struct associate_abort){ ABORT_SERVICE_PROVIDER,
                                     event == EVT_19 ? ul->invalid_pdu_reason : ABORT_UNEXPECTED_PDU };
}

struct ul_intents upper_layer_event(struct upper_layer *ul, enum ul_event event, uint64_t now_ms)
{
    enum ul_action action = upper_layer_action(event, ul->state);
    struct ul_intents intents = { 0 };

    assert(action != UL_NO_ACTION);
    intents.indication = actions[action].indication;
    intents.connect = actions[action].connect;
    intents.send = actions[action].send;
    intents.close = actions[action].close;
    if (intents.send == PDU_A_ABORT)
        intents.abort = abort_of(ul, event, actions[action].abort_source);
    if (action == AA_3 && ul->received_abort.source == ABORT_SERVICE_PROVIDER)
        intents.indication = UL_P_ABORT_INDICATION;
    if (actions[action].artim == ARTIM_START)
        ul->artim_deadline_ms = now_ms + ul->artim_ms;
    else if (actions[action].artim == ARTIM_STOP || actions[action].next == STA_1)
        ul->artim_deadline_ms = 0;
    ul->state = actions[action].next;
    if (action == AR_8)
        ul->state = ul->requestor ? STA_9 : STA_10;
    return intents;
}

enum ul_event upper_layer_pdu_event(uint8_t pdu_type)
{
    static const uint8_t events[] = {
        [PDU_A_ASSOCIATE_RQ] = EVT_6, [PDU_A_ASSOCIATE_AC] = EVT_3, [PDU_A_ASSOCIATE_RJ] = EVT_4,
        [PDU_P_DATA_TF] = EVT_10,     [PDU_A_RELEASE_RQ] = EVT_12,  [PDU_A_RELEASE_RP] = EVT_13,
        [PDU_A_ABORT] = EVT_16,
    };

    return pdu_type < COUNT_OF(events) && events[pdu_type] != 0 ? events[pdu_type] : EVT_19;
}
