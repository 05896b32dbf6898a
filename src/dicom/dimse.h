/*
 * DIMSE command sets (PS3.7 §6.3, §9.3, Annex E): implicit VR little endian, group 0000.
 *
 * Turns a whole command set into a struct, and back. Which service answers what is the gate's affair.
 * Whatever is decoded borrows from the input.
 */
#ifndef FANAL_DICOM_DIMSE_H
#define FANAL_DICOM_DIMSE_H

#include "base/error.h"
#include "base/reader.h"
#include "base/writer.h"

/* PS3.7 Table E.1-1, Command Field */
enum command_field {
    C_STORE_RQ = 0x0001,
    C_STORE_RSP = 0x8001,
    C_GET_RQ = 0x0010,
    C_GET_RSP = 0x8010,
    C_FIND_RQ = 0x0020,
    C_FIND_RSP = 0x8020,
    C_MOVE_RQ = 0x0021,
    C_MOVE_RSP = 0x8021,
    C_ECHO_RQ = 0x0030,
    C_ECHO_RSP = 0x8030,
    N_EVENT_REPORT_RQ = 0x0100,
    N_EVENT_REPORT_RSP = 0x8100,
    N_GET_RQ = 0x0110,
    N_GET_RSP = 0x8110,
    N_SET_RQ = 0x0120,
    N_SET_RSP = 0x8120,
    N_ACTION_RQ = 0x0130,
    N_ACTION_RSP = 0x8130,
    N_CREATE_RQ = 0x0140,
    N_CREATE_RSP = 0x8140,
    N_DELETE_RQ = 0x0150,
    N_DELETE_RSP = 0x8150,
    C_CANCEL_RQ = 0x0fff,
};
#define COMMAND_RESPONSE_BIT 0x8000

#define NO_DATA_SET 0x0101 /* (0000,0800): anything else means that a data set follows */
#define DATA_SET_FOLLOWS 0x0001
#define PRIORITY_MEDIUM 0

/* PS3.7 Annex C, PS3.4 Table B.2-1 */
enum dimse_status {
    STATUS_SUCCESS = 0x0000,
    STATUS_NO_SUCH_SOP_CLASS = 0x0118,
    STATUS_PROCESSING_FAILURE = 0x0110,
    STATUS_DUPLICATE_INVOCATION = 0x0210,
    STATUS_UNRECOGNIZED_OPERATION = 0x0211,
    STATUS_MISTYPED_ARGUMENT = 0x0212,
    STATUS_SOP_CLASS_NOT_SUPPORTED = 0x0122,
    STATUS_NOT_AUTHORIZED = 0x0124,
    STATUS_OUT_OF_RESOURCES = 0xa700,
    STATUS_DATA_SET_DOES_NOT_MATCH = 0xa900, /* the SOP class: B.2.3 */
    STATUS_CANNOT_UNDERSTAND = 0xc000,
    STATUS_COERCION = 0xb000,
    STATUS_DATA_SET_WARNING = 0xb007,
    STATUS_ELEMENTS_DISCARDED = 0xb006,
};

/* Success or a warning: the object was kept (PS3.7 C.1, PS3.4 B.2.3). */
static inline bool status_is_kept(uint16_t status)
{
    return status == STATUS_SUCCESS || (status & 0xf000) == 0xb000 || status == 0x0001;
}

/*
 * A command set is some hundred bytes; the longest thing in one is the attribute list of an N-GET. What is longer
 * than this is no command.
 */
#define COMMAND_SET_MAX_BYTES ((size_t)64 * 1024)

/* Which elements a command set has: one bit a row of PS3.7 Table E.1-1, in its order. */
enum command_element {
    CMD_AFFECTED_SOP_CLASS_UID,
    CMD_REQUESTED_SOP_CLASS_UID,
    CMD_COMMAND_FIELD,
    CMD_MESSAGE_ID,
    CMD_MESSAGE_ID_RESPONDED,
    CMD_MOVE_DESTINATION,
    CMD_PRIORITY,
    CMD_DATA_SET_TYPE,
    CMD_STATUS,
    CMD_OFFENDING_ELEMENT,
    CMD_ERROR_COMMENT,
    CMD_ERROR_ID,
    CMD_AFFECTED_SOP_INSTANCE_UID,
    CMD_REQUESTED_SOP_INSTANCE_UID,
    CMD_EVENT_TYPE_ID,
    CMD_ATTRIBUTE_IDENTIFIER_LIST,
    CMD_ACTION_TYPE_ID,
    CMD_REMAINING_SUBOPERATIONS,
    CMD_COMPLETED_SUBOPERATIONS,
    CMD_FAILED_SUBOPERATIONS,
    CMD_WARNING_SUBOPERATIONS,
    CMD_MOVE_ORIGINATOR_AE,
    CMD_MOVE_ORIGINATOR_MESSAGE_ID,
};

struct command_set {
    uint32_t present; /* 1u << enum command_element */
    struct span affected_sop_class_uid;
    struct span requested_sop_class_uid;
    uint16_t command_field;
    uint16_t message_id;
    uint16_t message_id_responded;
    struct span move_destination;
    uint16_t priority;
    uint16_t data_set_type;
    uint16_t status;
    struct span offending_element; /* AT: pairs of u16le */
    struct span error_comment;
    uint16_t error_id;
    struct span affected_sop_instance_uid;
    struct span requested_sop_instance_uid;
    uint16_t event_type_id;
    struct span attribute_identifier_list; /* AT */
    uint16_t action_type_id;
    uint16_t remaining_suboperations;
    uint16_t completed_suboperations;
    uint16_t failed_suboperations;
    uint16_t warning_suboperations;
    struct span move_originator_ae;
    uint16_t move_originator_message_id;
};

static inline bool command_has(const struct command_set *c, enum command_element e)
{
    return c->present >> e & 1;
}

static inline bool command_has_data_set(const struct command_set *c)
{
    return c->data_set_type != NO_DATA_SET;
}

/*
 * Decodes a whole command set. Elements nobody knows are skipped, so is the group length, which devices get wrong;
 * text loses its padding. ERR_TRUNCATED where a length points past the end, ERR_MALFORMED for another group, a number
 * that is not two bytes, or where Command Field or Command Data Set Type is missing.
 */
bool command_set_decode(struct span bytes, struct command_set *out, struct error *err);

/* Appends the command set: what is `present`, in order, with a right group length. Notice failures with writer_ok(). */
void command_set_encode(struct writer *w, const struct command_set *c);

/* The response to a request: its class, instance and message ID, no data set. Borrows what rq borrows. */
struct command_set response_to(const struct command_set *rq, uint16_t status);

struct command_set c_echo_rq(uint16_t message_id);
/* Affected SOP Class and Instance UID are borrowed. */
struct command_set c_store_rq(uint16_t message_id, struct span sop_class_uid, struct span sop_instance_uid);

#endif
