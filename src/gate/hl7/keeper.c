/* An HL7 connection's calls on the vault: see keeper.h. */
#include "gate/hl7/keeper.h"

#define REQUEST_MAX 4096

static bool session_admit(void *context, struct hl7_sender *out, struct error *err)
{
    struct hl7_sender sender = { 0 };
    struct span reply;

    if (!session_call(context, VERB_ADMIT, (struct span){ 0 }, &reply, err))
        return false;
    if (!span_to_str(fields_text(reply, FIELD_ISSUER), sender.issuer, sizeof sender.issuer)
        || !span_to_str(fields_text(reply, FIELD_ZONE), sender.zone, sizeof sender.zone))
        return error_set(err, ERR_LIMIT, "issuer or zone of the sender is longer than %d bytes", KEEPER_TEXT_MAX - 1);
    sender.keep_unsupported = fields_uint(reply, FIELD_KEEP_UNSUPPORTED, 0) != 0;
    *out = sender;
    return true;
}

static bool put_begin(struct session *s, struct span unit, struct error *err)
{
    struct writer w = writer_new(REQUEST_MAX);
    bool ok;

    field_put_uint(&w, FIELD_BODY_CLASS, BODY_RESULTS);
    field_put_text(&w, FIELD_UNIT, unit);
    ok = writer_ok(&w, err, "PUT_BEGIN") && session_put_begin(s, writer_span(&w), err);
    writer_done(&w);
    return ok;
}

static bool put_body(struct session *s, struct span body, struct error *err)
{
    while (body.len > 0) {
        size_t room = 0;
        uint8_t *to = session_put_room(s, 1, &room, err);
        struct span piece = span_part(body, 0, room);

        if (to == NULL)
            return false;
        memcpy(to, piece.ptr, piece.len);
        if (!session_put_fill(s, piece.len, err))
            return false;
        body = span_part(body, piece.len, body.len);
    }
    return true;
}

static bool session_keep(void *context, struct span body, struct span unit, struct span facts, struct error *err)
{
    struct session *s = context;
    struct span reply;

    if (put_begin(s, unit, err) && put_body(s, body, err))
        return session_put_end(s, facts, &reply, err);
    session_put_abort(s);
    return false;
}

struct hl7_keeper session_keeper(struct session *s)
{
    return (struct hl7_keeper){ s, session_admit, session_keep, session_fd(s) };
}
