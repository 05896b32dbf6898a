/* The protocol machine against PS3.8 Table 9-10, typed here a second time from the standard. */
#include "dicom/upper_layer.h"

#include "test.h"

/* A cell: the action and the state it ends in, spelled as in the standard; "" is an empty cell. */
static const char *const table_9_10[19][13] = {
    /*       Sta1     Sta2     Sta3     Sta4     Sta5     Sta6     Sta7     Sta8     Sta9     Sta10    Sta11    Sta12    Sta13 */
    /*  1 */ { "AE1>4", "", "", "", "", "", "", "", "", "", "", "", "" },
    /*  2 */ { "", "", "", "AE2>5", "", "", "", "", "", "", "", "", "" },
    /*  3 */ { "", "AA1>13", "AA8>13", "", "AE3>6", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA6>13" },
    /*  4 */ { "", "AA1>13", "AA8>13", "", "AE4>1", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA6>13" },
    /*  5 */ { "AE5>2", "", "", "", "", "", "", "", "", "", "", "", "" },
    /*  6 */ { "", "AE6>3", "AA8>13", "", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA7>13" },
    /*  7 */ { "", "", "AE7>6", "", "", "", "", "", "", "", "", "", "" },
    /*  8 */ { "", "", "AE8>13", "", "", "", "", "", "", "", "", "", "" },
    /*  9 */ { "", "", "", "", "", "DT1>6", "", "AR7>8", "", "", "", "", "" },
    /* 10 */ { "", "AA1>13", "AA8>13", "", "AA8>13", "DT2>6", "AR6>7", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA6>13" },
    /* 11 */ { "", "", "", "", "", "AR1>7", "", "", "", "", "", "", "" },
    /* 12 */ { "", "AA1>13", "AA8>13", "", "AA8>13", "AR2>8", "AR8>9/10", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA6>13" },
    /* 13 */ { "", "AA1>13", "AA8>13", "", "AA8>13", "AA8>13", "AR3>1", "AA8>13", "AA8>13", "AR10>12", "AR3>1", "AA8>13", "AA6>13" },
    /* 14 */ { "", "", "", "", "", "", "", "AR4>13", "AR9>11", "", "", "AR4>13", "" },
    /* 15 */ { "", "", "AA1>13", "AA2>1", "AA1>13", "AA1>13", "AA1>13", "AA1>13", "AA1>13", "AA1>13", "AA1>13", "AA1>13", "" },
    /* 16 */ { "", "AA2>1", "AA3>1", "", "AA3>1", "AA3>1", "AA3>1", "AA3>1", "AA3>1", "AA3>1", "AA3>1", "AA3>1", "AA2>1" },
    /* 17 */ { "", "AA5>1", "AA4>1", "AA4>1", "AA4>1", "AA4>1", "AA4>1", "AA4>1", "AA4>1", "AA4>1", "AA4>1", "AA4>1", "AR5>1" },
    /* 18 */ { "", "AA2>1", "", "", "", "", "", "", "", "", "", "", "AA2>1" },
    /* 19 */ { "", "AA1>13", "AA8>13", "", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA8>13", "AA7>13" },
};

static const struct {
    const char *name;
    enum ul_action action;
} action_names[] = {
    { "", UL_NO_ACTION }, { "AE1", AE_1 }, { "AE2", AE_2 }, { "AE3", AE_3 }, { "AE4", AE_4 }, { "AE5", AE_5 },
    { "AE6", AE_6 }, { "AE7", AE_7 }, { "AE8", AE_8 }, { "DT1", DT_1 }, { "DT2", DT_2 }, { "AR1", AR_1 },
    { "AR2", AR_2 }, { "AR3", AR_3 }, { "AR4", AR_4 }, { "AR5", AR_5 }, { "AR6", AR_6 }, { "AR7", AR_7 },
    { "AR8", AR_8 }, { "AR9", AR_9 }, { "AR10", AR_10 }, { "AA1", AA_1 }, { "AA2", AA_2 }, { "AA3", AA_3 },
    { "AA4", AA_4 }, { "AA5", AA_5 }, { "AA6", AA_6 }, { "AA7", AA_7 }, { "AA8", AA_8 },
};

static enum ul_action action_named(const char *cell)
{
    size_t length = strcspn(cell, ">");

    for (size_t i = 0; i < COUNT_OF(action_names); i++)
        if (strlen(action_names[i].name) == length && strncmp(action_names[i].name, cell, length) == 0)
            return action_names[i].action;
    abort();
}

static enum ul_state next_state(const char *cell, bool requestor)
{
    const char *to = strchr(cell, '>') + 1;

    if (!requestor && strchr(to, '/'))
        to = strchr(to, '/') + 1;
    return (enum ul_state)strtol(to, NULL, 10);
}

TEST(every_cell_is_the_standards)
{
    for (int evt = EVT_1; evt < EVT_COUNT; evt++)
        for (int sta = STA_1; sta < STA_COUNT; sta++)
            for (int requestor = 0; requestor < 2; requestor++) {
                const char *cell = table_9_10[evt - 1][sta - 1];
                struct upper_layer ul = upper_layer_new(requestor, 100);

                CHECK_ROW(cell, upper_layer_action(evt, sta) == action_named(cell));
                if (cell[0] == '\0')
                    continue;
                ul.state = sta;
                upper_layer_event(&ul, evt, 5);
                CHECK_ROW(cell, ul.state == next_state(cell, requestor));
            }
}

/* Tables 9-6 to 9-9: what is sent, whether the connection is closed, what ARTIM does. S start, T stop. */
TEST(actions_do_what_their_tables_say)
{
    const struct {
        const char *name;
        enum ul_event event;
        enum ul_state state;
        bool connect;
        uint8_t send;
        bool close;
        char artim;
        enum ul_indication indication;
    } rows[] = {
        { "AE-1", EVT_1, STA_1, true, 0, false, ' ', UL_NO_INDICATION },
        { "AE-2", EVT_2, STA_4, false, PDU_A_ASSOCIATE_RQ, false, ' ', UL_NO_INDICATION },
        { "AE-3", EVT_3, STA_5, false, 0, false, ' ', UL_ASSOCIATE_ACCEPTED },
        { "AE-4", EVT_4, STA_5, false, 0, true, ' ', UL_ASSOCIATE_REJECTED },
        { "AE-5", EVT_5, STA_1, false, 0, false, 'S', UL_NO_INDICATION },
        { "AE-6", EVT_6, STA_2, false, 0, false, 'T', UL_ASSOCIATE_INDICATION },
        { "AE-7", EVT_7, STA_3, false, PDU_A_ASSOCIATE_AC, false, ' ', UL_NO_INDICATION },
        { "AE-8", EVT_8, STA_3, false, PDU_A_ASSOCIATE_RJ, false, 'S', UL_NO_INDICATION },
        { "DT-1", EVT_9, STA_6, false, PDU_P_DATA_TF, false, ' ', UL_NO_INDICATION },
        { "DT-2", EVT_10, STA_6, false, 0, false, ' ', UL_P_DATA_INDICATION },
        { "AR-1", EVT_11, STA_6, false, PDU_A_RELEASE_RQ, false, ' ', UL_NO_INDICATION },
        { "AR-2", EVT_12, STA_6, false, 0, false, ' ', UL_RELEASE_INDICATION },
        { "AR-3", EVT_13, STA_7, false, 0, true, ' ', UL_RELEASE_CONFIRMATION },
        { "AR-4", EVT_14, STA_8, false, PDU_A_RELEASE_RP, false, 'S', UL_NO_INDICATION },
        { "AR-5", EVT_17, STA_13, false, 0, false, 'T', UL_NO_INDICATION },
        { "AR-6", EVT_10, STA_7, false, 0, false, ' ', UL_P_DATA_INDICATION },
        { "AR-7", EVT_9, STA_8, false, PDU_P_DATA_TF, false, ' ', UL_NO_INDICATION },
        { "AR-8", EVT_12, STA_7, false, 0, false, ' ', UL_RELEASE_INDICATION },
        { "AR-9", EVT_14, STA_9, false, PDU_A_RELEASE_RP, false, ' ', UL_NO_INDICATION },
        { "AR-10", EVT_13, STA_10, false, 0, false, ' ', UL_RELEASE_CONFIRMATION },
        { "AA-1", EVT_15, STA_6, false, PDU_A_ABORT, false, 'S', UL_NO_INDICATION },
        { "AA-2", EVT_18, STA_2, false, 0, true, 'T', UL_NO_INDICATION },
        { "AA-3", EVT_16, STA_6, false, 0, true, ' ', UL_ABORT_INDICATION },
        { "AA-4", EVT_17, STA_6, false, 0, false, ' ', UL_P_ABORT_INDICATION },
        { "AA-5", EVT_17, STA_2, false, 0, false, 'T', UL_NO_INDICATION },
        { "AA-6", EVT_10, STA_13, false, 0, false, '=', UL_NO_INDICATION },
        { "AA-7", EVT_19, STA_13, false, PDU_A_ABORT, false, '=', UL_NO_INDICATION },
        { "AA-8", EVT_6, STA_6, false, PDU_A_ABORT, false, 'S', UL_P_ABORT_INDICATION },
    };
    EACH (row, rows) {
        bool was_running = row->artim == 'T' || row->artim == '=';
        struct upper_layer ul = upper_layer_new(true, 100);
        struct ul_intents in;
        uint64_t want = row->artim == 'S' ? 107 : row->artim == '=' ? 50 : 0;

        ul.state = row->state;
        ul.artim_deadline_ms = was_running ? 50 : 0;
        in = upper_layer_event(&ul, row->event, 7);
        CHECK_ROW(row->name, in.connect == row->connect && in.send == row->send && in.close == row->close);
        CHECK_ROW(row->name, in.indication == row->indication);
        CHECK_ROW(row->name, ul.artim_deadline_ms == want);
    }
}

TEST(aborts_say_who_and_why)
{
    const struct {
        const char *name;
        enum ul_event event;
        enum ul_state state;
        uint8_t reason, want_source, want_reason;
    } rows[] = {
        { "unexpected PDU", EVT_10, STA_3, 0, ABORT_SERVICE_PROVIDER, ABORT_UNEXPECTED_PDU },
        { "unrecognized PDU", EVT_19, STA_6, ABORT_UNRECOGNIZED_PDU, ABORT_SERVICE_PROVIDER, ABORT_UNRECOGNIZED_PDU },
        { "invalid value", EVT_19, STA_6, ABORT_INVALID_PARAMETER_VALUE, ABORT_SERVICE_PROVIDER,
          ABORT_INVALID_PARAMETER_VALUE },
        { "by the user", EVT_15, STA_6, 0, ABORT_SERVICE_USER, 0 },
        { "AA-1 before an association", EVT_19, STA_2, ABORT_UNRECOGNIZED_PDU, ABORT_SERVICE_USER, 0 },
    };
    EACH (row, rows) {
        struct upper_layer ul = upper_layer_new(false, 100);
        struct ul_intents in;

        ul.state = row->state;
        ul.invalid_pdu_reason = row->reason;
        in = upper_layer_event(&ul, row->event, 0);
        CHECK_ROW(row->name, in.abort.source == row->want_source && in.abort.reason == row->want_reason);
    }
}

TEST(the_peers_provider_aborts_otherwise_than_its_user)
{
    struct upper_layer ul = upper_layer_new(false, 100);

    ul.state = STA_6;
    ul.received_abort.source = ABORT_SERVICE_PROVIDER;
    CHECK(upper_layer_event(&ul, EVT_16, 0).indication == UL_P_ABORT_INDICATION && ul.state == STA_1);
}

TEST(artim_expires_when_its_time_is_over)
{
    struct upper_layer ul = upper_layer_new(false, 100);

    CHECK(!upper_layer_artim_expired(&ul, UINT64_MAX));
    upper_layer_event(&ul, EVT_5, 1000);
    CHECK(!upper_layer_artim_expired(&ul, 1099) && upper_layer_artim_expired(&ul, 1100));
}

TEST(pdu_types_are_events)
{
    const struct {
        uint8_t type;
        enum ul_event want;
    } rows[] = { { 0, EVT_19 }, { 1, EVT_6 }, { 2, EVT_3 }, { 3, EVT_4 }, { 4, EVT_10 },
                 { 5, EVT_12 }, { 6, EVT_13 }, { 7, EVT_16 }, { 8, EVT_19 }, { 255, EVT_19 } };
    EACH (row, rows)
        CHECK(upper_layer_pdu_event(row->type) == row->want);
}

TESTS(T(every_cell_is_the_standards), T(actions_do_what_their_tables_say), T(aborts_say_who_and_why),
      T(the_peers_provider_aborts_otherwise_than_its_user), T(artim_expires_when_its_time_is_over),
      T(pdu_types_are_events))
