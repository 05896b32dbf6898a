/*
 * The data set of a C-STORE on its way to the vault (PS3.4 Annex B, docs/channel.md "Storing").
 *
 * Received straight into the vault's buffer, walked there, handed over in pieces. What does not qualify is kept too,
 * as `refused` or `not-understood`, so that somebody sees it. Only what was cut off leaves nothing.
 */
#include "dicom/dictionary.h"
#include "gate/dicom/association_internal.h"

/* Smaller pieces of the ring are not worth a call. */
#define ROOM_LEAST ((size_t)32 * 1024)
#define BEGIN_MAX_BYTES 256

/* From now on nothing of the object is kept; what still comes is read and dropped. */
static void object_lose(struct association *a, uint16_t status, const struct error *why)
{
    struct object *o = &a->object;

    a->door.put_abort(a->door.context);
    o->room = NULL;
    o->lost = true;
    o->status = status;
    o->why = *why;
    if (why->code == ERR_CLOSED) /* no vault, no answer that would hold */
        association_abort(a, true, why);
}

/* PS3.4 Table B.2-1: what the sender is told of a failure of the vault. */
static uint16_t status_of(enum error_code code)
{
    switch (code) {
    case ERR_NO_SPACE:
    case ERR_IO:
    case ERR_CLOSED:
    case ERR_MEMORY:
    case ERR_BUSY:
    case ERR_TIMEOUT:
    case ERR_SEALED:
        return STATUS_OUT_OF_RESOURCES;
    case ERR_NONE:
        return STATUS_SUCCESS;
    case ERR_TRUNCATED:
    case ERR_MALFORMED:
    case ERR_LIMIT:
    case ERR_UNSUPPORTED:
    case ERR_REFUSED:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_DAMAGED:
    case ERR_USAGE:
    case ERR_ERASED:
    case ERR_EXPIRED:
        return STATUS_CANNOT_UNDERSTAND;
    }
    return STATUS_CANNOT_UNDERSTAND;
}

/* The first thing wrong with an object is its answer. */
static void object_refuse(struct object *o, uint16_t status, enum error_code code, const char *text)
{
    if (o->status != STATUS_SUCCESS)
        return;
    o->status = status;
    o->state = status == STATUS_CANNOT_UNDERSTAND ? "not-understood" : "refused";
    error_set(&o->why, code, "%s", text);
}

/* What the walker said: no data set at all, or one of the UIDs is none. */
static void object_judge_walk(struct association *a, const struct error *walk)
{
    if (walk->code == ERR_MEMORY)
        object_lose(a, STATUS_OUT_OF_RESOURCES, walk);
    else
        object_refuse(&a->object, walk->code == ERR_REFUSED ? STATUS_DATA_SET_DOES_NOT_MATCH : STATUS_CANNOT_UNDERSTAND,
                      walk->code, walk->text);
}

void object_begin(struct association *a)
{
    struct object *o = &a->object;
    const struct negotiated_context *c = negotiated_context_of(&a->negotiated, a->message.context_id);
    struct error err = { 0 };

    o->open = true;
    o->begun = o->lost = false;
    o->status = STATUS_SUCCESS;
    o->state = NULL;
    o->why = (struct error){ 0 };
    o->room = NULL;
    o->bytes = 0;
    if (!walker_begin(o->walker, c->transfer_syntax, &err))
        object_lose(a, STATUS_OUT_OF_RESOURCES, &err);
    else if (!span_equal(a->message.command.affected_sop_class_uid, c->abstract_syntax))
        object_refuse(o, STATUS_SOP_CLASS_NOT_SUPPORTED, ERR_REFUSED,
                      "Affected SOP Class UID is not the presentation context's");
}

/* The erasure unit: the study as soon as it is known, else the object itself. */
static bool object_put_begin(struct association *a, struct error *err)
{
    struct object *o = &a->object;
    struct writer request = writer_new(BEGIN_MAX_BYTES), unit = writer_new(BEGIN_MAX_BYTES);
    struct span study = walker_value(o->walker, FIELD_STUDY_UID);
    struct span sop = walker_value(o->walker, FIELD_SOP_UID);
    bool ok;

    if (sop.len == 0 && uid_is_valid(a->message.command.affected_sop_instance_uid))
        sop = a->message.command.affected_sop_instance_uid;
    write_str(&unit, study.len > 0 ? "study:" : "object:");
    write_span(&unit, study.len > 0 ? study : sop);
    field_put_uint(&request, FIELD_BODY_CLASS, BODY_IMAGES);
    field_put_text(&request, FIELD_UNIT, writer_span(&unit));
    ok = writer_ok(&unit, err, "unit") && writer_ok(&request, err, "PUT_BEGIN")
         && a->door.put_begin(a->door.context, writer_span(&request), err);
    o->begun = ok;
    writer_done(&unit);
    writer_done(&request);
    return ok;
}

/* Hands over what was received into the room. */
static bool object_fill(struct association *a, struct error *err)
{
    struct object *o = &a->object;
    size_t len = o->room_at;

    if (o->room == NULL || len == 0)
        return true;
    o->room = NULL;
    return a->door.put_fill(a->door.context, len, err);
}

uint8_t *object_room(struct association *a, size_t *room)
{
    struct object *o = &a->object;
    struct error err = { 0 };

    if (!o->room) {
        o->room = a->door.put_room(a->door.context, ROOM_LEAST, &o->room_bytes, &err);
        if (!o->room && err.code == ERR_LIMIT && !o->begun) { /* full, and the study not known yet */
            err = (struct error){ 0 };
            if (object_put_begin(a, &err))
                o->room = a->door.put_room(a->door.context, ROOM_LEAST, &o->room_bytes, &err);
        }
        if (!o->room) {
            object_lose(a, status_of(err.code), &err);
            return NULL;
        }
        o->room_at = 0;
        if (o->room_bytes > FILL_BYTES)
            o->room_bytes = FILL_BYTES;
    }
    *room = o->room_bytes - o->room_at;
    return &o->room[o->room_at];
}

void object_received(struct association *a, size_t len)
{
    struct object *o = &a->object;
    struct error walk = { 0 }, err = { 0 };

    if (!walker_feed(o->walker, span_of(&o->room[o->room_at], len), &walk))
        object_judge_walk(a, &walk);
    if (o->lost)
        return;
    o->bytes += len;
    o->room_at += len;
    if (!o->begun && walker_study_uid_known(o->walker) && !object_put_begin(a, &err))
        object_lose(a, status_of(err.code), &err);
    else if (o->room_at == o->room_bytes && !object_fill(a, &err))
        object_lose(a, status_of(err.code), &err);
}

/* PS3.4 B.2.3: what a whole data set must have, and what its command said of it. */
static void object_judge(struct association *a)
{
    struct object *o = &a->object;
    const struct command_set *c = &a->message.command;
    struct span study = walker_value(o->walker, FIELD_STUDY_UID);
    struct span sop = walker_value(o->walker, FIELD_SOP_UID);
    struct span sop_class = walker_value(o->walker, FIELD_SOP_CLASS);
    const uint16_t refused = STATUS_DATA_SET_DOES_NOT_MATCH;

    if (study.len == 0)
        object_refuse(o, refused, ERR_REFUSED, "no Study Instance UID");
    if (sop.len == 0)
        object_refuse(o, refused, ERR_REFUSED, "no SOP Instance UID");
    if (sop_class.len > 0 && !span_equal(sop_class, c->affected_sop_class_uid))
        object_refuse(o, refused, ERR_REFUSED, "SOP Class UID is not the command's");
    if (!span_equal(sop, c->affected_sop_instance_uid))
        object_refuse(o, refused, ERR_REFUSED, "SOP Instance UID is not the command's");
}

static bool object_facts(struct association *a, struct error *err)
{
    struct object *o = &a->object;

    writer_reset(&o->facts);
    if (!walker_facts(o->walker, &o->facts, err))
        return false;
    if (walker_value(o->walker, FIELD_SOP_CLASS).len == 0) /* then it is what its command calls it (PS3.7 9.1.1.1.3) */
        field_put_some(&o->facts, FIELD_SOP_CLASS, a->message.command.affected_sop_class_uid);
    field_put_some(&o->facts, FIELD_COMMAND_SOP_UID, a->message.command.affected_sop_instance_uid);
    field_put_text(&o->facts, FIELD_CALLING_AE, ae_title(a->request.calling_ae));
    field_put_text(&o->facts, FIELD_CALLED_AE, ae_title(a->request.called_ae));
    if (o->state) {
        field_put_str(&o->facts, FIELD_STATE, o->state);
        field_put_str(&o->facts, FIELD_REASON, o->why.text);
    }
    return writer_ok(&o->facts, err, "facts");
}

uint16_t object_end(struct association *a)
{
    struct object *o = &a->object;
    struct error walk = { 0 }, err = { 0 };

    if (!o->lost && !walker_finish(o->walker, &walk))
        object_judge_walk(a, &walk);
    o->open = false;
    if (o->lost) {
        o->lost = false;
        return o->status;
    }
    object_judge(a);
    if (o->bytes == 0) { /* nothing that could be kept */
        a->door.put_abort(a->door.context);
        return o->status;
    }
    if (!object_fill(a, &err) || (!o->begun && !object_put_begin(a, &err)) || !object_facts(a, &err)) {
        object_lose(a, status_of(err.code), &err);
        o->lost = false;
        return o->status;
    }
    if (!a->door.put_end(a->door.context, writer_span(&o->facts), &err)) {
        o->why = err;
        if (err.code == ERR_CLOSED)
            association_abort(a, true, &err);
        return status_of(err.code);
    }
    return o->status;
}

void object_drop(struct association *a)
{
    struct object *o = &a->object;

    if (o->open && !o->lost)
        a->door.put_abort(a->door.context);
    o->open = false;
    o->lost = false;
    o->room = NULL;
}
