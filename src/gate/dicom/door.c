/* The door over a session of the channel: see door.h. */
#include "gate/dicom/door.h"

/* An ADMIT holds two AE titles of 16 bytes. */
#define ADMIT_MAX_BYTES 256

static bool door_admit(void *context, struct span calling_ae, struct span called_ae, struct admission *out,
                       enum admission_refusal *why, struct error *err)
{
    struct writer request = writer_new(ADMIT_MAX_BYTES);
    struct span reply = { 0 };
    bool ok;

    field_put_text(&request, FIELD_CALLING_AE, calling_ae);
    field_put_text(&request, FIELD_CALLED_AE, called_ae);
    ok = writer_ok(&request, err, "ADMIT")
         && session_call(context, VERB_ADMIT, writer_span(&request), &reply, err);
    writer_done(&request);
    if (!ok) {
        *why = span_equal(fields_text(reply, FIELD_REASON), SPAN_LIT("called-ae")) ? REFUSED_CALLED_AE
                                                                                   : REFUSED_CALLING_AE;
        return false;
    }
    out->may_store = fields_uint(reply, FIELD_MAY_STORE, 0) != 0;
    out->may_query = fields_uint(reply, FIELD_MAY_QUERY, 0) != 0;
    out->may_retrieve = fields_uint(reply, FIELD_MAY_RETRIEVE, 0) != 0;
    return true;
}

static uint8_t *door_put_room(void *context, size_t least, size_t *room, struct error *err)
{
    return session_put_room(context, least, room, err);
}

static bool door_put_fill(void *context, size_t len, struct error *err)
{
    return session_put_fill(context, len, err);
}

static bool door_put_begin(void *context, struct span request, struct error *err)
{
    return session_put_begin(context, request, err);
}

static bool door_put_end(void *context, struct span facts, struct error *err)
{
    struct span reply;

    return session_put_end(context, facts, &reply, err);
}

static void door_put_abort(void *context)
{
    session_put_abort(context);
}

struct door session_door(struct session *s)
{
    return (struct door){ s, door_admit, door_put_room, door_put_fill, door_put_begin, door_put_end, door_put_abort };
}
