/* Command sets against PS3.7 §9.3 and Annex E. */
#include "dicom/dimse.h"

#include "test.h"

/* PS3.7 Table 9.3-12, C-ECHO-RQ with message ID 7 */
#define ECHO_RQ                                                                                              \
    "0000 0000 04000000 38000000  0000 0200 12000000 312e322e3834302e31303030382e312e3100"                    \
    "0000 0001 02000000 3000      0000 1001 02000000 0700      0000 0008 02000000 0101"

TEST(an_echo_request_has_the_bytes_of_its_table)
{
    struct writer w = writer_new(COMMAND_SET_MAX_BYTES);
    struct command_set rq = c_echo_rq(7), back;
    struct error err = { 0 };

    command_set_encode(&w, &rq);
    CHECK(span_equal(writer_span(&w), HEX(ECHO_RQ)));
    CHECK(command_set_decode(writer_span(&w), &back, &err));
    CHECK(back.command_field == C_ECHO_RQ && back.message_id == 7 && !command_has_data_set(&back));
    CHECK(span_equal(back.affected_sop_class_uid, SPAN_LIT("1.2.840.10008.1.1")));
    CHECK(!command_has(&back, CMD_STATUS));
    writer_done(&w);
}

TEST(a_response_repeats_what_it_answers)
{
    struct writer w = writer_new(COMMAND_SET_MAX_BYTES);
    struct command_set rq = c_store_rq(513, SPAN_LIT("1.2.3"), SPAN_LIT("1.2.3.4"));
    struct command_set rsp = response_to(&rq, STATUS_OUT_OF_RESOURCES), back;

    command_set_encode(&w, &rsp);
    CHECK(command_set_decode(writer_span(&w), &back, NULL));
    CHECK(back.command_field == C_STORE_RSP && back.message_id_responded == 513 && back.status == 0xa700);
    CHECK(span_equal(back.affected_sop_class_uid, SPAN_LIT("1.2.3")));
    CHECK(span_equal(back.affected_sop_instance_uid, SPAN_LIT("1.2.3.4")));
    CHECK(!command_has(&back, CMD_MESSAGE_ID) && !command_has_data_set(&back));
    writer_done(&w);
}

TEST(every_element_survives)
{
    struct writer w = writer_new(COMMAND_SET_MAX_BYTES), again = writer_new(COMMAND_SET_MAX_BYTES);
    struct command_set c = {
        .present = (1u << (CMD_MOVE_ORIGINATOR_MESSAGE_ID + 1)) - 1,
        .affected_sop_class_uid = SPAN_LIT("1.2"), .requested_sop_class_uid = SPAN_LIT("1.2.3"),
        .command_field = N_EVENT_REPORT_RQ, .message_id = 1, .message_id_responded = 2,
        .move_destination = SPAN_LIT("DEST"), .priority = 3, .data_set_type = 4, .status = 5,
        .offending_element = SPAN_LIT("\x08\x00\x18\x00"), .error_comment = SPAN_LIT("why"), .error_id = 6,
        .affected_sop_instance_uid = SPAN_LIT("1.2.4"), .requested_sop_instance_uid = SPAN_LIT("1.2.5"),
        .event_type_id = 7, .attribute_identifier_list = SPAN_LIT("\x10\x00\x10\x00"), .action_type_id = 8,
        .remaining_suboperations = 9, .completed_suboperations = 10, .failed_suboperations = 11,
        .warning_suboperations = 12, .move_originator_ae = SPAN_LIT("ORIGIN"), .move_originator_message_id = 13,
    };
    struct command_set back;

    command_set_encode(&w, &c);
    CHECK(command_set_decode(writer_span(&w), &back, NULL) && back.present == c.present);
    CHECK(span_equal(back.error_comment, SPAN_LIT("why")) && back.move_originator_message_id == 13);
    command_set_encode(&again, &back);
    CHECK(span_equal(writer_span(&w), writer_span(&again)));
    writer_done(&w);
    writer_done(&again);
}

TEST(command_sets_are_judged)
{
    const struct {
        const char *name;
        struct span bytes;
        enum error_code want;
    } rows[] = {
        { "the echo request", HEX(ECHO_RQ), ERR_NONE },
        { "a group length that lies",
          HEX("0000 0000 04000000 ffffffff 0000 0001 02000000 3000 0000 0008 02000000 0101"), ERR_NONE },
        { "no group length", HEX("0000 0001 02000000 3000 0000 0008 02000000 0101"), ERR_NONE },
        { "an element nobody knows",
          HEX("0000 0001 02000000 3000 0000 0208 03000000 010203 0000 0008 02000000 0101"), ERR_NONE },
        { "nothing", HEX(""), ERR_MALFORMED },
        { "no command field", HEX("0000 0008 02000000 0101"), ERR_MALFORMED },
        { "no data set type", HEX("0000 0001 02000000 3000"), ERR_MALFORMED },
        { "another group", HEX("0800 0001 02000000 3000"), ERR_MALFORMED },
        { "a number of four bytes", HEX("0000 0001 04000000 30000000"), ERR_MALFORMED },
        { "an empty number", HEX("0000 0001 00000000"), ERR_MALFORMED },
        { "value past the end", HEX("0000 0001 03000000 3000"), ERR_TRUNCATED },
        { "a length of 4 GiB", HEX("0000 0001 ffffffff 3000"), ERR_TRUNCATED },
        { "half a header", HEX("0000 0001 02"), ERR_TRUNCATED },
    };
    EACH (row, rows) {
        struct command_set c;
        struct error err = { 0 };
        CHECK_ROW(row->name, command_set_decode(row->bytes, &c, &err) == (row->want == ERR_NONE)
                                 && err.code == row->want);
    }
}

TEST(padding_is_no_part_of_a_value)
{
    struct command_set c;

    CHECK(command_set_decode(HEX("0000 0001 02000000 0100 0000 0008 02000000 0000"
                                 "0000 0200 04000000 312e3220 0000 3010 04000000 41452020 0000 0010 04000000 312e3300"),
                             &c, NULL));
    CHECK(span_equal(c.affected_sop_class_uid, SPAN_LIT("1.2")) && span_equal(c.move_originator_ae, SPAN_LIT("AE")));
    CHECK(span_equal(c.affected_sop_instance_uid, SPAN_LIT("1.3")) && command_has_data_set(&c));
}

TEST(statuses_that_mean_kept)
{
    const struct {
        uint16_t status;
        bool want;
    } rows[] = { { 0, true }, { 0xb000, true }, { 0xb007, true }, { 0xa700, false }, { 0xa900, false },
                 { 0xc000, false }, { 0x0110, false }, { 0x0122, false }, { 0xfe00, false } };
    EACH (row, rows)
        CHECK(status_is_kept(row->status) == row->want);
}

TESTS(T(an_echo_request_has_the_bytes_of_its_table), T(a_response_repeats_what_it_answers), T(every_element_survives),
      T(command_sets_are_judged), T(padding_is_no_part_of_a_value), T(statuses_that_mean_kept))
