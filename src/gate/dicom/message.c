/* DIMSE messages of an association: commands, their data sets, their answers (PS3.7 §9, PS3.8 Annex E). */
#include "gate/dicom/association_internal.h"

/* A response is some 300 bytes; in fragments of one byte, were the peer to ask for that, each has 12 of headers. */
#define RESPONSE_MAX_BYTES ((size_t)4 * 1024)

static void protocol_error(struct association *a, const char *text)
{
    struct error err = { 0 };

    error_set(&err, ERR_MALFORMED, "%s", text);
    association_abort(a, false, &err);
}

void message_begin_fragment(struct association *a)
{
    struct dimse_message *m = &a->message;

    if (!negotiated_context_of(&a->negotiated, a->pdv.context_id))
        protocol_error(a, "a fragment of a presentation context that was not accepted");
    else if (m->phase != MESSAGE_NONE && a->pdv.context_id != m->context_id)
        protocol_error(a, "a message changes its presentation context");
    else if (a->pdv.command == (m->phase == MESSAGE_DATA_SET))
        protocol_error(a, a->pdv.command ? "a command where a data set belongs" : "a data set without its command");
    else if (m->phase == MESSAGE_NONE) {
        m->phase = MESSAGE_COMMAND;
        m->context_id = a->pdv.context_id;
        writer_reset(&m->command_bytes);
    }
}

static bool is_dropped(const struct association *a)
{
    return a->message.discard || a->object.lost;
}

uint8_t *message_room(struct association *a, size_t wanted, size_t *room)
{
    struct dimse_message *m = &a->message;
    uint8_t *to;
    struct error err = { 0 };

    if (m->phase == MESSAGE_DATA_SET && !is_dropped(a)) {
        to = object_room(a, room);
        if (a->phase == READ_NOTHING)
            return NULL;
        if (to) {
            *room = *room < wanted ? *room : wanted;
            return to;
        }
    }
    if (m->phase == MESSAGE_DATA_SET) {
        *room = wanted < SCRAP_BYTES ? wanted : SCRAP_BYTES;
        return a->scrap;
    }
    if (wanted > COMMAND_SET_MAX_BYTES - m->command_bytes.len) {
        error_set(&err, ERR_LIMIT, "a command set of more than %zu bytes", COMMAND_SET_MAX_BYTES);
        association_abort(a, false, &err);
        return NULL;
    }
    to = write_room(&m->command_bytes, wanted);
    if (!to) {
        error_set(&err, ERR_MEMORY, "no memory for a command set");
        association_abort(a, true, &err);
        return NULL;
    }
    m->command_bytes.len -= wanted; /* nothing is there yet: message_received() counts it */
    *room = wanted;
    return to;
}

void message_received(struct association *a, size_t len)
{
    struct dimse_message *m = &a->message;

    if (m->phase == MESSAGE_COMMAND)
        (void)write_room(&m->command_bytes, len); /* the bytes lie there already */
    else if (!is_dropped(a))
        object_received(a, len);
}

/* ---- answers ---- */

static void respond(struct association *a, uint16_t status)
{
    struct dimse_message *m = &a->message;
    struct command_set rsp = response_to(&m->command, status);
    struct writer bytes = writer_new(RESPONSE_MAX_BYTES);

    command_set_encode(&bytes, &rsp);
    writer_reset(&a->out);
    if (writer_ok(&bytes, NULL, "response"))
        p_data_encode(&a->out, m->context_id, true, writer_span(&bytes), a->negotiated.peer_max_pdu_bytes);
    else
        a->lost = true;
    writer_done(&bytes);
    if (status != STATUS_SUCCESS)
        log_warn(a->log, "message.refused", f_uint("command", m->command.command_field), f_uint("status", status),
                 f_str("reason", a->object.why.text));
    association_event(a, EVT_9);
}

/* C-CANCEL has no response (PS3.7 9.3.2.3), and we asked nothing that a response could answer. */
static bool wants_answer(const struct command_set *c)
{
    return c->command_field != C_CANCEL_RQ && !(c->command_field & COMMAND_RESPONSE_BIT);
}

static void message_complete(struct association *a, uint16_t status)
{
    if (a->phase == READ_NOTHING)
        return;
    a->message.phase = MESSAGE_NONE;
    a->message.discard = false;
    if (wants_answer(&a->message.command))
        respond(a, status);
    a->object.why = (struct error){ 0 };
}

/* What a command gets before its data set is looked at (PS3.7 Annex C). */
static uint16_t judge_command(const struct association *a)
{
    const struct command_set *c = &a->message.command;
    enum context_service service = negotiated_context_of(&a->negotiated, a->message.context_id)->service;

    if (wants_answer(c) && !command_has(c, CMD_MESSAGE_ID))
        return STATUS_MISTYPED_ARGUMENT;
    switch (c->command_field) {
    case C_ECHO_RQ:
        return service == SERVICE_VERIFICATION ? STATUS_SUCCESS : STATUS_SOP_CLASS_NOT_SUPPORTED;
    case C_STORE_RQ:
        if (service != SERVICE_STORAGE)
            return STATUS_SOP_CLASS_NOT_SUPPORTED;
        return command_has_data_set(c) ? STATUS_SUCCESS : STATUS_CANNOT_UNDERSTAND;
    }
    return STATUS_UNRECOGNIZED_OPERATION;
}

static void command_complete(struct association *a)
{
    struct dimse_message *m = &a->message;
    struct error err = { 0 };
    uint16_t status;

    if (!command_set_decode(writer_span(&m->command_bytes), &m->command, &err)) {
        association_abort(a, false, &err);
        return;
    }
    status = judge_command(a);
    if (!command_has_data_set(&m->command)) {
        message_complete(a, status);
        return;
    }
    m->phase = MESSAGE_DATA_SET;
    m->status = status;
    m->discard = status != STATUS_SUCCESS || m->command.command_field != C_STORE_RQ;
    if (!m->discard)
        object_begin(a);
}

void message_end_fragment(struct association *a)
{
    if (!a->pdv.last)
        return;
    if (a->message.phase == MESSAGE_COMMAND)
        command_complete(a);
    else
        message_complete(a, a->message.discard ? a->message.status : object_end(a));
}

void message_drop(struct association *a)
{
    object_drop(a);
    a->message.phase = MESSAGE_NONE;
    a->message.discard = false;
}
