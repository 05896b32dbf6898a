/* One association, driven by a scripted peer: what is answered, what is kept, what ends it. */
#include "dicom_peer.h"

#define STUDY "1.2.3"
#define SOP "1.2.3.4.5.6"

TEST(an_echo_is_answered)
{
    struct stage *s = stage_new();

    say_associate(s);
    say_echo(s, 7);
    say_release(s);
    stage_run(s, true);
    CHECK(heard_type(s, 0) == PDU_A_ASSOCIATE_AC && heard_status(s, 1, 7) == STATUS_SUCCESS);
    CHECK(heard_type(s, 2) == PDU_A_RELEASE_RP && heard_type(s, 3) == 0);
    CHECK(s->peer.closed && s->peer.established);
    CHECK(strcmp(s->vault.calling_ae, "CT1") == 0 && strcmp(s->vault.called_ae, "FANAL") == 0);
    stage_free(s);
}

TEST(an_object_is_kept_as_it_was_sent)
{
    const struct {
        const char *name;
        size_t chunk;
        uint32_t max_pdu, pixel_bytes;
        bool hesitates;
    } rows[] = {
        { "byte by byte, with pauses", 1, 200, 3000, true },
        { "in sevens, with pauses", 7, 1000, 20000, true },
        { "pauses before whole fragments", 16396, 16384, 600000, true },
        { "whole", 0, 131072, 525000 },
        { "byte by byte", 1, 200, 3000 },
        { "in sevens", 7, 1000, 20000 },
        { "small PDUs", 0, 64, 20000 },
        { "a header with each piece", 16390, 16384, 600000 },
        { "larger than the ring", 100000, 262144, 3500000 },
        { "the largest PDU", 0, PDU_P_DATA_MAX_BYTES, 2100000 },
        { "nothing but its header", 0, 131072, 0 },
    };
    EACH (row, rows) {
        struct stage *s = stage_new();
        struct writer data_set = writer_new((size_t)16 << 20);

        write_data_set(&data_set, CT_CLASS, SOP, STUDY, row->pixel_bytes);
        s->peer.chunk = row->chunk;
        s->peer.hesitates = row->hesitates;
        say_associate(s);
        say_store(s, 3, 1, CT_CLASS, SOP, writer_span(&data_set), row->max_pdu);
        say_echo(s, 2);
        say_store(s, 3, 3, CT_CLASS, SOP, writer_span(&data_set), row->max_pdu);
        say_release(s);
        stage_run(s, true);
        CHECK_ROW(row->name, heard_status(s, 1, 1) == STATUS_SUCCESS && heard_status(s, 2, 2) == STATUS_SUCCESS);
        CHECK_ROW(row->name, heard_status(s, 3, 3) == STATUS_SUCCESS && heard_type(s, 4) == PDU_A_RELEASE_RP);
        CHECK_ROW(row->name, s->vault.kept == 2 && s->vault.begins == 2 && s->vault.aborts == 0);
        CHECK_ROW(row->name, span_equal(writer_span(&s->vault.last_body), writer_span(&data_set)));
        CHECK_ROW(row->name, strcmp(s->vault.unit, "study:" STUDY) == 0);
        writer_done(&data_set);
        stage_free(s);
    }
}

TEST(facts_say_who_and_what)
{
    struct stage *s = stage_new();
    struct writer data_set = writer_new(65536);
    struct span facts;

    write_data_set(&data_set, CT_CLASS, SOP, STUDY, 100);
    say_associate(s);
    say_store(s, 3, 1, CT_CLASS, SOP, writer_span(&data_set), 16384);
    stage_run(s, true);
    facts = writer_span(&s->vault.last_facts);
    CHECK(span_equal(fields_text(facts, FIELD_STUDY_UID), SPAN_LIT(STUDY)));
    CHECK(span_equal(fields_text(facts, FIELD_SOP_UID), SPAN_LIT(SOP)));
    CHECK(span_equal(fields_text(facts, FIELD_SOP_CLASS), SPAN_LIT(CT_CLASS)));
    CHECK(span_equal(fields_text(facts, FIELD_TRANSFER_SYNTAX), SPAN_LIT(EXPLICIT_LE)));
    CHECK(span_equal(fields_text(facts, FIELD_PATIENT_NAME), SPAN_LIT("Doe^Jane")));
    CHECK(span_equal(fields_text(facts, FIELD_COMMAND_SOP_UID), SPAN_LIT(SOP)));
    CHECK(span_equal(fields_text(facts, FIELD_CALLING_AE), SPAN_LIT("CT1")));
    CHECK(span_equal(fields_text(facts, FIELD_CALLED_AE), SPAN_LIT("FANAL")));
    CHECK(fields_text(facts, FIELD_STATE).len == 0);
    writer_done(&data_set);
    stage_free(s);
}

TEST(a_data_set_without_a_class_has_its_commands)
{
    struct stage *s = stage_new();
    struct writer data_set = writer_new(65536);

    write_data_set(&data_set, NULL, SOP, STUDY, 100);
    say_associate(s);
    say_store(s, 3, 1, CT_CLASS, SOP, writer_span(&data_set), 16384);
    stage_run(s, true);
    CHECK(heard_status(s, 1, 1) == STATUS_SUCCESS);
    CHECK(span_equal(fields_text(writer_span(&s->vault.last_facts), FIELD_SOP_CLASS), SPAN_LIT(CT_CLASS)));
    writer_done(&data_set);
    stage_free(s);
}

TEST(what_does_not_qualify_is_kept_as_refused)
{
    const struct {
        const char *name, *sop_class, *sop, *study, *command_class, *command_sop;
        uint16_t want;
        const char *state, *unit;
    } rows[] = {
        { "no Study UID", CT_CLASS, SOP, NULL, CT_CLASS, SOP, 0xa900, "refused", "object:" SOP },
        { "empty Study UID", CT_CLASS, SOP, "", CT_CLASS, SOP, 0xa900, "refused", "object:" SOP },
        { "no SOP Instance UID", CT_CLASS, NULL, STUDY, CT_CLASS, SOP, 0xa900, "refused", "study:" STUDY },
        { "neither, and none in the command", CT_CLASS, NULL, NULL, CT_CLASS, "", 0xa900, "refused", "object:" },
        { "another SOP Instance UID in the command", CT_CLASS, SOP, STUDY, CT_CLASS, "1.9", 0xa900, "refused",
          "study:" STUDY },
        { "another SOP Class", "1.2.840.10008.5.1.4.1.1.4", SOP, STUDY, CT_CLASS, SOP, 0xa900, "refused",
          "study:" STUDY },
        { "a command of another class than its context", CT_CLASS, SOP, STUDY, "1.2.840.10008.5.1.4.1.1.4", SOP, 0x0122,
          "refused", "study:" STUDY },
        { "a Study UID that is none", CT_CLASS, SOP, "../../etc", CT_CLASS, SOP, 0xa900, "refused", "object:" SOP },
    };
    EACH (row, rows) {
        struct stage *s = stage_new();
        struct writer data_set = writer_new(65536);

        write_data_set(&data_set, row->sop_class, row->sop, row->study, 100);
        say_associate(s);
        say_store(s, 3, 1, row->command_class, row->command_sop, writer_span(&data_set), 16384);
        say_echo(s, 2);
        stage_run(s, true);
        CHECK_ROW(row->name, heard_status(s, 1, 1) == row->want && heard_status(s, 2, 2) == STATUS_SUCCESS);
        CHECK_ROW(row->name, s->vault.kept == 1 && strcmp(s->vault.unit, row->unit) == 0);
        CHECK_ROW(row->name, span_equal(writer_span(&s->vault.last_body), writer_span(&data_set)));
        CHECK_ROW(row->name,
                  span_equal(fields_text(writer_span(&s->vault.last_facts), FIELD_STATE), span_str(row->state)));
        CHECK_ROW(row->name, fields_text(writer_span(&s->vault.last_facts), FIELD_REASON).len > 0);
        writer_done(&data_set);
        stage_free(s);
    }
}

TEST(a_data_set_that_is_none_is_not_understood)
{
    const struct {
        const char *name;
        struct span data_set;
    } rows[] = {
        { "garbage", SPAN_LIT("this is no data set at all, is it") },
        { "cut inside an element", HEX("0800 1600 5549 1a00 312e32") },
        { "a length past the end", HEX("0800 1600 5549 0400 312e3200 1000 1000 4c4f ff00 41") },
    };
    EACH (row, rows) {
        struct stage *s = stage_new();

        say_associate(s);
        say_store(s, 3, 1, CT_CLASS, SOP, row->data_set, 16384);
        say_echo(s, 2);
        stage_run(s, true);
        CHECK_ROW(row->name, heard_status(s, 1, 1) == STATUS_CANNOT_UNDERSTAND && heard_status(s, 2, 2) == 0);
        CHECK_ROW(row->name, s->vault.kept == 1 && span_equal(writer_span(&s->vault.last_body), row->data_set));
        CHECK_ROW(row->name, span_equal(fields_text(writer_span(&s->vault.last_facts), FIELD_STATE),
                                        SPAN_LIT("not-understood")));
        stage_free(s);
    }
}

TEST(an_empty_data_set_leaves_nothing)
{
    struct stage *s = stage_new();

    say_associate(s);
    say_store(s, 3, 1, CT_CLASS, SOP, SPAN_LIT(""), 16384);
    stage_run(s, true);
    CHECK(heard_status(s, 1, 1) == STATUS_DATA_SET_DOES_NOT_MATCH && s->vault.kept == 0 && s->vault.begins == 0);
    stage_free(s);
}

/* A data set that the peer cuts off, wherever, leaves nothing and answers nothing. */
TEST(what_is_cut_off_leaves_nothing)
{
    const char *const ends[] = { "close", "abort", "release", "silence" };

    EACH (end, ends) {
        struct stage *s = stage_new();
        struct writer data_set = writer_new(1 << 20);
        struct command_set c = c_store_rq(1, SPAN_LIT(CT_CLASS), SPAN_LIT(SOP));
        uint8_t header[P_DATA_HEADERS_BYTES];

        write_data_set(&data_set, CT_CLASS, SOP, STUDY, 500000);
        say_associate(s);
        say_command(s, 3, &c);
        p_data_header_encode(header, 3, false, false, 400000);
        write_span(&s->peer.says, span_of(header, sizeof header));
        write_span(&s->peer.says, span_part(writer_span(&data_set), 0, 400000));
        if (strcmp(*end, "abort") == 0)
            abort_encode(&s->peer.says, (struct associate_abort){ 0, 0 });
        if (strcmp(*end, "release") == 0)
            say_release(s);
        s->peer.silent_at_end = strcmp(*end, "silence") == 0;
        stage_run(s, true);
        CHECK_ROW(*end, s->vault.kept == 0 && s->vault.begins == 1 && s->vault.aborts == 1 && s->peer.closed);
        CHECK_ROW(*end, heard_type(s, 1) != PDU_P_DATA_TF);
        writer_done(&data_set);
        stage_free(s);
    }
}

TEST(the_vaults_no_becomes_a_status)
{
    const struct {
        enum error_code error;
        uint16_t want;
    } rows[] = { { ERR_NO_SPACE, 0xa700 }, { ERR_IO, 0xa700 }, { ERR_MEMORY, 0xa700 }, { ERR_MALFORMED, 0xc000 },
                 { ERR_REFUSED, 0xc000 } };
    EACH (row, rows)
        for (int at_end = 0; at_end < 2; at_end++) {
            struct stage *s = stage_new();
            struct writer data_set = writer_new(4 << 20);

            write_data_set(&data_set, CT_CLASS, SOP, STUDY, 900000);
            if (at_end)
                s->vault.put_end_error = row->error;
            else
                s->vault.room_error = row->error;
            s->vault.room_fails_at = at_end ? 0 : 2;
            say_associate(s);
            say_store(s, 3, 1, CT_CLASS, SOP, writer_span(&data_set), 16384);
            say_echo(s, 2);
            stage_run(s, true);
            CHECK_ROW(error_name(row->error), heard_status(s, 1, 1) == row->want && s->vault.kept == 0);
            CHECK_ROW(error_name(row->error), heard_status(s, 2, 2) == STATUS_SUCCESS);
            writer_done(&data_set);
            stage_free(s);
        }
}

static bool heard_abort(const struct stage *s, size_t n, uint8_t source, uint8_t reason)
{
    struct span body;
    struct associate_abort a;

    return heard_pdu(s, n, &body).type == PDU_A_ABORT && abort_decode(body, &a, NULL) && a.source == source
           && a.reason == reason;
}

TEST(a_vault_that_dies_ends_the_association)
{
    const char *const when[] = { "at the end of an object", "in the middle of one", "between two" };

    EACH (at, when) {
        struct stage *s = stage_new();
        struct writer data_set = writer_new(4 << 20);

        write_data_set(&data_set, CT_CLASS, SOP, STUDY, 900000);
        say_associate(s);
        if (at == &when[0])
            s->vault.put_end_error = ERR_CLOSED;
        if (at == &when[1]) {
            s->vault.room_error = ERR_CLOSED;
            s->vault.room_fails_at = 2;
        }
        if (at == &when[2])
            s->peer.silent_at_end = s->peer.vault_dies = true;
        else
            say_store(s, 3, 1, CT_CLASS, SOP, writer_span(&data_set), 16384);
        stage_run(s, true);
        CHECK_ROW(*at, heard_abort(s, 1, ABORT_SERVICE_PROVIDER, 0) && heard_type(s, 2) == 0 && s->vault.kept == 0);
        writer_done(&data_set);
        stage_free(s);
    }
}

static bool heard_reject(const struct stage *s, struct associate_reject want)
{
    struct span body;
    struct associate_reject r;

    return heard_pdu(s, 0, &body).type == PDU_A_ASSOCIATE_RJ && associate_reject_decode(body, &r, NULL)
           && r.result == want.result && r.source == want.source && r.reason == want.reason;
}

TEST(requests_are_rejected_for_their_fault)
{
    const struct {
        const char *name;
        size_t patch_at;
        uint8_t patch;
        enum error_code admit;
        enum admission_refusal refusal;
        bool vault;
        struct associate_reject want;
    } rows[] = {
        { "protocol version 2 only", 7, 2, 0, 0, true, { 1, 2, 2 } },
        { "application context", 78, '9', 0, 0, true, { 1, 1, 2 } },
        { "calling AE", 0, 1, ERR_REFUSED, REFUSED_CALLING_AE, true, { 1, 1, 3 } },
        { "called AE", 0, 1, ERR_REFUSED, REFUSED_CALLED_AE, true, { 1, 1, 7 } },
        { "the vault does not answer", 0, 1, ERR_CLOSED, 0, true, { 2, 3, 1 } },
        { "no vault", 0, 1, 0, 0, false, { 2, 3, 1 } },
    };
    EACH (row, rows) {
        struct stage *s = stage_new();

        s->vault.admit_error = row->admit;
        s->vault.refusal = row->refusal;
        say_associate(s);
        s->peer.says.ptr[row->patch_at] = row->patch;
        stage_run(s, row->vault);
        CHECK_ROW(row->name, heard_reject(s, row->want) && heard_type(s, 1) == 0 && !s->peer.established);
        stage_free(s);
    }
}

TEST(messages_nobody_serves_get_their_status)
{
    const struct {
        const char *name;
        uint8_t context;
        uint16_t command, data_set_type, want;
    } rows[] = {
        { "C-FIND", 3, C_FIND_RQ, 1, STATUS_UNRECOGNIZED_OPERATION },
        { "N-ACTION without data set", 3, N_ACTION_RQ, 0x0101, STATUS_UNRECOGNIZED_OPERATION },
        { "an operation of no standard", 3, 0x0777, 0x0101, STATUS_UNRECOGNIZED_OPERATION },
        { "C-STORE in the verification context", 1, C_STORE_RQ, 1, STATUS_SOP_CLASS_NOT_SUPPORTED },
        { "C-ECHO in a storage context", 3, C_ECHO_RQ, 0x0101, STATUS_SOP_CLASS_NOT_SUPPORTED },
        { "C-STORE without data set", 3, C_STORE_RQ, 0x0101, STATUS_CANNOT_UNDERSTAND },
        { "C-ECHO with a data set", 1, C_ECHO_RQ, 1, STATUS_SUCCESS },
    };
    EACH (row, rows) {
        struct stage *s = stage_new();
        struct command_set c = c_store_rq(5, SPAN_LIT(CT_CLASS), SPAN_LIT(SOP));

        c.command_field = row->command;
        c.data_set_type = row->data_set_type;
        say_associate(s);
        say_command(s, row->context, &c);
        if (row->data_set_type != NO_DATA_SET)
            p_data_encode(&s->peer.says, row->context, false, SPAN_LIT("whatever it holds"), 16384);
        say_echo(s, 6);
        stage_run(s, true);
        CHECK_ROW(row->name, heard_status(s, 1, 5) == row->want && heard_status(s, 2, 6) == STATUS_SUCCESS);
        CHECK_ROW(row->name, s->vault.kept == 0);
        stage_free(s);
    }
}

TEST(a_cancel_and_a_response_are_not_answered)
{
    struct stage *s = stage_new();
    struct command_set cancel = c_echo_rq(1), response = response_to(&cancel, 0);

    cancel.command_field = C_CANCEL_RQ;
    say_associate(s);
    say_command(s, 1, &cancel);
    say_command(s, 1, &response);
    say_echo(s, 6);
    stage_run(s, true);
    CHECK(heard_status(s, 1, 6) == STATUS_SUCCESS && heard_type(s, 2) == 0);
    stage_free(s);
}

/* What comes behind a good association, and the A-ABORT it gets. */
TEST(broken_conversations_are_aborted)
{
    const struct {
        const char *name;
        struct span bytes;
        uint8_t source, reason;
    } rows[] = {
        { "an unknown PDU", HEX("08 00 00000004 00000000"), 2, 1 },
        { "a P-DATA-TF of 4 GiB", HEX("04 00 ffffffff"), 2, 6 },
        { "an A-ASSOCIATE-RQ of 4 GiB", HEX("01 00 ffffffff"), 2, 6 },
        { "an A-RELEASE-RQ of 5 bytes", HEX("05 00 00000005 0000000000"), 2, 6 },
        { "an A-RELEASE-RP nobody asked for", HEX("06 00 00000004 00000000"), 2, 2 },
        { "an A-ASSOCIATE-RJ", HEX("03 00 00000004 00010101"), 2, 2 },
        { "a PDV past its PDU", HEX("04 00 00000008 000000ff 01 03 0000"), 2, 6 },
        { "an empty P-DATA-TF", HEX("04 00 00000000"), 2, 6 },
        { "three bytes of a PDV", HEX("04 00 00000003 000000"), 2, 6 },
        { "a PDV in an even context", HEX("04 00 00000008 00000004 02 03 0000"), 2, 6 },
        { "a context that was refused", HEX("04 00 00000008 00000004 07 03 0000"), 0, 0 },
        { "a context that was not proposed", HEX("04 00 00000008 00000004 ff 03 0000"), 0, 0 },
        { "a data set without a command", HEX("04 00 00000008 00000004 03 02 0000"), 0, 0 },
        { "a command that is none", HEX("04 00 00000008 00000004 03 03 0000"), 0, 0 },
        { "a command set of nothing", HEX("04 00 00000006 00000002 03 03"), 0, 0 },
        { "a message that changes its context",
          HEX("04 00 0000000e 00000004 03 01 0000 00000002 01 03"), 0, 0 },
    };
    EACH (row, rows)
        for (size_t chunk = 0; chunk < 3; chunk++) {
            struct stage *s = stage_new();

            s->peer.chunk = chunk;
            say_associate(s);
            write_span(&s->peer.says, row->bytes);
            write_fill(&s->peer.says, 0x04, 100); /* and more, which nobody may take for PDUs */
            stage_run(s, true);
            CHECK_ROW(row->name, heard_abort(s, 1, row->source, row->reason) && heard_type(s, 2) == 0);
            CHECK_ROW(row->name, s->peer.closed);
            stage_free(s);
        }
}

TEST(an_endless_command_is_cut)
{
    struct stage *s = stage_new();
    uint8_t header[P_DATA_HEADERS_BYTES];

    say_associate(s);
    for (int i = 0; i < 5; i++) {
        p_data_header_encode(header, 3, true, false, 16384);
        write_span(&s->peer.says, span_of(header, sizeof header));
        write_fill(&s->peer.says, 0, 16384);
    }
    stage_run(s, true);
    CHECK(heard_abort(s, 1, ABORT_SERVICE_USER, 0));
    stage_free(s);
}

TEST(before_an_association_anything_else_is_aborted)
{
    const struct {
        const char *name;
        struct span bytes;
        bool aborted;
    } rows[] = {
        { "P-DATA-TF", HEX("04 00 00000008 00000004 01 03 0000"), true },
        { "A-RELEASE-RQ", HEX("05 00 00000004 00000000"), true },
        { "HTTP", SPAN_LIT("GET / HTTP/1.1\r\n\r\n"), true },
        { "a request that is cut short", HEX("01 00 00000004 00010000"), true },
        { "a context with an even ID",
          HEX("01 00 0000004c 0001 0000 20202020202020202020202020202020 20202020202020202020202020202020"
              "0000000000000000000000000000000000000000000000000000000000000000 20 00 0004 02 00 00 00"), true },
        { "A-ABORT", HEX("07 00 00000004 00000000"), false },
        { "nothing", HEX(""), false },
        { "half a header", HEX("01 00"), false },
    };
    EACH (row, rows) {
        struct stage *s = stage_new();

        write_span(&s->peer.says, row->bytes);
        stage_run(s, true);
        CHECK_ROW(row->name, heard_type(s, 0) == (row->aborted ? PDU_A_ABORT : 0) && heard_type(s, 1) == 0);
        CHECK_ROW(row->name, s->peer.closed && !s->peer.established);
        stage_free(s);
    }
}

TEST(timers_end_the_silent_and_the_slow)
{
    const struct {
        const char *name;
        size_t bytes_of_request; /* SIZE_MAX: all */
        bool object;
        uint32_t ms_per_byte;
        uint64_t want_ms;
        uint8_t want_last;
    } rows[] = {
        { "says nothing", 0, false, 0, ARTIM_MS, 0 },
        { "stops in its request", 40, false, 0, ARTIM_MS, 0 },
        { "a byte each 2 s", SIZE_MAX, false, 2000, ARTIM_MS, 0 },
        { "idle", SIZE_MAX, false, 0, IDLE_MAX_MS + ARTIM_MS, PDU_A_ABORT },
        { "stops in an object", SIZE_MAX, true, 0, PDU_MAX_MS + ARTIM_MS, PDU_A_ABORT },
    };
    EACH (row, rows) {
        struct stage *s = stage_new();
        struct command_set c = c_store_rq(1, SPAN_LIT(CT_CLASS), SPAN_LIT(SOP));
        uint64_t took;

        say_associate(s);
        if (row->bytes_of_request < s->peer.says.len)
            s->peer.says.len = row->bytes_of_request;
        if (row->object) {
            say_command(s, 3, &c);
            write_span(&s->peer.says, HEX("04 00 00001000 00000ffa 03 00 0800"));
        }
        s->peer.chunk = row->ms_per_byte ? 1 : 0;
        s->peer.ms_per_chunk = row->ms_per_byte;
        s->peer.silent_at_end = true;
        stage_run(s, true);
        took = s->peer.now_ms - 1000;
        CHECK_ROW(row->name, took >= row->want_ms && took <= row->want_ms + 2000);
        CHECK_ROW(row->name, heard_type(s, 1) == row->want_last && s->peer.closed);
        stage_free(s);
    }
}

/* A PDU that trickles is bounded as a whole, not per byte. */
TEST(a_trickling_pdu_is_bounded_as_a_whole)
{
    struct stage *s = stage_new();
    struct writer data_set = writer_new(65536);

    write_data_set(&data_set, CT_CLASS, SOP, STUDY, 50000);
    say_associate(s);
    stage_run(s, true);
    writer_reset(&s->peer.hears);
    say_store(s, 3, 1, CT_CLASS, SOP, writer_span(&data_set), 0);
    s->peer.said = 0;
    s->peer.chunk = 100;
    s->peer.ms_per_chunk = 1000;
    s->peer.silent_at_end = true;
    stage_run(s, true);
    CHECK(heard_abort(s, 1, ABORT_SERVICE_PROVIDER, 0) && s->vault.kept == 0);
    writer_done(&data_set);
    stage_free(s);
}

TEST(a_peer_that_takes_tiny_pdus_gets_tiny_pdus)
{
    struct stage *s = stage_new();
    struct span body;
    size_t n = 1;

    say_associate(s);
    say_echo(s, 1);
    for (size_t i = 0; i + 8 < s->peer.says.len; i++) /* 51H, 0004, 16384 → 32 */
        if (memcmp(&s->peer.says.ptr[i], "\x51\x00\x00\x04\x00\x00\x40\x00", 8) == 0)
            memcpy(&s->peer.says.ptr[i + 4], "\x00\x00\x00\x20", 4);
    stage_run(s, true);
    while (heard_type(s, n) == PDU_P_DATA_TF) {
        CHECK(heard_pdu(s, n, &body).length <= 32 && (body.ptr[5] == 3) == (heard_type(s, n + 1) == 0));
        n++;
    }
    CHECK(n > 3);
    stage_free(s);
}

TEST(who_may_not_store_may_still_echo)
{
    struct stage *s = stage_new();
    struct arena arena = arena_new(ASSOCIATE_ARENA_BYTES);
    struct associate ac;
    struct span body;

    s->vault.may_not_store = true;
    say_associate(s);
    say_echo(s, 1);
    stage_run(s, true);
    heard_pdu(s, 0, &body);
    CHECK(associate_decode(PDU_A_ASSOCIATE_AC, body, &arena, &ac, NULL) && ac.context_count == 4);
    CHECK(ac.contexts[0].result == 0 && ac.contexts[1].result == 1 && ac.contexts[2].result == 1);
    CHECK(ac.contexts[3].result == 3 && ac.user.max_pdu_bytes == MAX_PDU_OFFERED);
    CHECK(heard_status(s, 1, 1) == STATUS_SUCCESS);
    arena_done(&arena);
    stage_free(s);
}

TESTS(T(an_echo_is_answered), T(an_object_is_kept_as_it_was_sent), T(facts_say_who_and_what),
      T(a_data_set_without_a_class_has_its_commands),
      T(what_does_not_qualify_is_kept_as_refused), T(a_data_set_that_is_none_is_not_understood),
      T(an_empty_data_set_leaves_nothing), T(what_is_cut_off_leaves_nothing), T(the_vaults_no_becomes_a_status),
      T(a_vault_that_dies_ends_the_association), T(requests_are_rejected_for_their_fault),
      T(messages_nobody_serves_get_their_status), T(a_cancel_and_a_response_are_not_answered),
      T(broken_conversations_are_aborted), T(an_endless_command_is_cut),
      T(before_an_association_anything_else_is_aborted), T(timers_end_the_silent_and_the_slow),
      T(a_trickling_pdu_is_bounded_as_a_whole), T(a_peer_that_takes_tiny_pdus_gets_tiny_pdus),
      T(who_may_not_store_may_still_echo))
