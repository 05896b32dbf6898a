/* DIMSE command sets (PS3.7 §6.3, Annex E): see dimse.h. */
#include "dicom/dimse.h"

#define VERIFICATION_SOP_CLASS "1.2.840.10008.1.1"

enum value_kind { VALUE_US, VALUE_UI, VALUE_TEXT, VALUE_AT };

/* PS3.7 Table E.1-1, in the order of its tags and of enum command_element. */
static const struct {
    uint16_t element;
    enum value_kind kind;
    size_t offset; /* in struct command_set */
} elements[] = {
#define ROW(index, tag, kind, member) [index] = { tag, kind, offsetof(struct command_set, member) }
    ROW(CMD_AFFECTED_SOP_CLASS_UID, 0x0002, VALUE_UI, affected_sop_class_uid),
    ROW(CMD_REQUESTED_SOP_CLASS_UID, 0x0003, VALUE_UI, requested_sop_class_uid),
    ROW(CMD_COMMAND_FIELD, 0x0100, VALUE_US, command_field),
    ROW(CMD_MESSAGE_ID, 0x0110, VALUE_US, message_id),
    ROW(CMD_MESSAGE_ID_RESPONDED, 0x0120, VALUE_US, message_id_responded),
    ROW(CMD_MOVE_DESTINATION, 0x0600, VALUE_TEXT, move_destination),
    ROW(CMD_PRIORITY, 0x0700, VALUE_US, priority),
    ROW(CMD_DATA_SET_TYPE, 0x0800, VALUE_US, data_set_type),
    ROW(CMD_STATUS, 0x0900, VALUE_US, status),
    ROW(CMD_OFFENDING_ELEMENT, 0x0901, VALUE_AT, offending_element),
    ROW(CMD_ERROR_COMMENT, 0x0902, VALUE_TEXT, error_comment),
    ROW(CMD_ERROR_ID, 0x0903, VALUE_US, error_id),
    ROW(CMD_AFFECTED_SOP_INSTANCE_UID, 0x1000, VALUE_UI, affected_sop_instance_uid),
    ROW(CMD_REQUESTED_SOP_INSTANCE_UID, 0x1001, VALUE_UI, requested_sop_instance_uid),
    ROW(CMD_EVENT_TYPE_ID, 0x1002, VALUE_US, event_type_id),
    ROW(CMD_ATTRIBUTE_IDENTIFIER_LIST, 0x1005, VALUE_AT, attribute_identifier_list),
    ROW(CMD_ACTION_TYPE_ID, 0x1008, VALUE_US, action_type_id),
    ROW(CMD_REMAINING_SUBOPERATIONS, 0x1020, VALUE_US, remaining_suboperations),
    ROW(CMD_COMPLETED_SUBOPERATIONS, 0x1021, VALUE_US, completed_suboperations),
    ROW(CMD_FAILED_SUBOPERATIONS, 0x1022, VALUE_US, failed_suboperations),
    ROW(CMD_WARNING_SUBOPERATIONS, 0x1023, VALUE_US, warning_suboperations),
    ROW(CMD_MOVE_ORIGINATOR_AE, 0x1030, VALUE_TEXT, move_originator_ae),
    ROW(CMD_MOVE_ORIGINATOR_MESSAGE_ID, 0x1031, VALUE_US, move_originator_message_id),
#undef ROW
};

static uint16_t *number_of(struct command_set *c, size_t row)
{
    return (uint16_t *)(void *)((char *)c + elements[row].offset);
}

static struct span *text_of(struct command_set *c, size_t row)
{
    return (struct span *)(void *)((char *)c + elements[row].offset);
}

static size_t row_of(uint16_t element)
{
    size_t row = 0;

    while (row < COUNT_OF(elements) && elements[row].element != element)
        row++;
    return row;
}

static bool decode_value(struct command_set *c, size_t row, struct span value, struct error *err)
{
    struct reader r = reader_over(value);

    switch (elements[row].kind) {
    case VALUE_US:
        if (value.len != 2)
            return error_set(err, ERR_MALFORMED, "(0000,%04x) of %zu bytes is no US", elements[row].element, value.len);
        *number_of(c, row) = read_u16le(&r);
        break;
    case VALUE_UI:
    case VALUE_TEXT: /* some devices pad a UID with a space: the trim takes both */
        *text_of(c, row) = span_trim(value, " ");
        break;
    case VALUE_AT:
        *text_of(c, row) = value;
        break;
    }
    c->present |= 1u << row;
    return true;
}

bool command_set_decode(struct span bytes, struct command_set *out, struct error *err)
{
    struct reader r = reader_over(bytes);
    struct command_set c = { 0 };

    while (reader_left(&r) > 0) {
        uint16_t group = read_u16le(&r);
        uint16_t element = read_u16le(&r);
        struct span value = read_span(&r, read_u32le(&r));
        size_t row = row_of(element);

        if (!reader_complete(&r, err, "command set"))
            return false;
        if (group != 0)
            return error_set(err, ERR_MALFORMED, "(%04x,%04x) in a command set", group, element);
        if (row < COUNT_OF(elements) && !decode_value(&c, row, value, err))
            return false;
    }
    if (!command_has(&c, CMD_COMMAND_FIELD) || !command_has(&c, CMD_DATA_SET_TYPE))
        return error_set(err, ERR_MALFORMED, "a command set without (0000,0100) or (0000,0800)");
    *out = c;
    return true;
}

static void encode_element(struct writer *w, struct command_set *c, size_t row)
{
    struct span value;

    write_u16le(w, 0);
    write_u16le(w, elements[row].element);
    if (elements[row].kind == VALUE_US) {
        write_u32le(w, 2);
        write_u16le(w, *number_of(c, row));
        return;
    }
    value = *text_of(c, row);
    write_u32le(w, (uint32_t)(value.len + value.len % 2));
    write_span(w, value);
    write_fill(w, elements[row].kind == VALUE_TEXT ? ' ' : 0, value.len % 2); /* PS3.5 §6.2 */
}

void command_set_encode(struct writer *w, const struct command_set *command)
{
    struct command_set c = *command;
    size_t length_at;

    write_u32le(w, 0); /* (0000,0000) Command Group Length */
    write_u32le(w, 4);
    length_at = w->len;
    write_u32le(w, 0);
    for (size_t row = 0; row < COUNT_OF(elements); row++)
        if (command_has(&c, row))
            encode_element(w, &c, row);
    if (!w->failed)
        write_patch_u32le(w, length_at, (uint32_t)(w->len - length_at - 4));
}

#define HAS(element) (1u << (element))

struct command_set response_to(const struct command_set *rq, uint16_t status)
{
    struct command_set rsp = {
        .present = HAS(CMD_COMMAND_FIELD) | HAS(CMD_MESSAGE_ID_RESPONDED) | HAS(CMD_DATA_SET_TYPE) | HAS(CMD_STATUS)
                   | (rq->present & (HAS(CMD_AFFECTED_SOP_CLASS_UID) | HAS(CMD_AFFECTED_SOP_INSTANCE_UID))),
        .affected_sop_class_uid = rq->affected_sop_class_uid,
        .affected_sop_instance_uid = rq->affected_sop_instance_uid,
        .command_field = rq->command_field | COMMAND_RESPONSE_BIT,
        .message_id_responded = rq->message_id,
        .data_set_type = NO_DATA_SET,
        .status = status,
    };

    return rsp;
}

struct command_set c_echo_rq(uint16_t message_id)
{
    return (struct command_set){
        .present = HAS(CMD_AFFECTED_SOP_CLASS_UID) | HAS(CMD_COMMAND_FIELD) | HAS(CMD_MESSAGE_ID)
                   | HAS(CMD_DATA_SET_TYPE),
        .affected_sop_class_uid = SPAN_LIT(VERIFICATION_SOP_CLASS),
        .command_field = C_ECHO_RQ,
        .message_id = message_id,
        .data_set_type = NO_DATA_SET,
    };
}

struct command_set c_store_rq(uint16_t message_id, struct span sop_class_uid, struct span sop_instance_uid)
{
    return (struct command_set){
        .present = HAS(CMD_AFFECTED_SOP_CLASS_UID) | HAS(CMD_COMMAND_FIELD) | HAS(CMD_MESSAGE_ID) | HAS(CMD_PRIORITY)
                   | HAS(CMD_DATA_SET_TYPE) | HAS(CMD_AFFECTED_SOP_INSTANCE_UID),
        .affected_sop_class_uid = sop_class_uid,
        .command_field = C_STORE_RQ,
        .message_id = message_id,
        .priority = PRIORITY_MEDIUM,
        .data_set_type = DATA_SET_FOLLOWS,
        .affected_sop_instance_uid = sop_instance_uid,
    };
}
