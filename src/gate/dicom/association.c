/* One DICOM association as acceptor, its PDUs and its protocol machine: see association.h. */
#include "gate/dicom/association.h"

#include <assert.h>
#include <stdlib.h>

#include "dicom/part10.h"
#include "gate/dicom/association_internal.h"

/* An A-ASSOCIATE-AC of 128 contexts of one syntax each, and user information, is some 12 KiB. */
#define ANSWER_MAX_BYTES ((size_t)128 * 1024)

static uint64_t now_ms(const struct association *a)
{
    return clock_monotonic_ms(a->clock);
}

static void await(struct association *a, uint32_t ms, const char *what)
{
    a->deadline_ms = now_ms(a) + ms;
    a->late = what;
}

/* Between two PDUs: the next message may take its time, the rest of one may not. */
static void await_pdu(struct association *a)
{
    a->phase = READ_PDU_HEADER;
    if (a->message.phase == MESSAGE_NONE)
        await(a, a->settings.idle_max_ms, "idle");
    else
        await(a, a->settings.pdu_max_ms, "message");
}

/* ---- intents ---- */

static void send_pdu(struct association *a, const struct ul_intents *in)
{
    switch (in->send) {
    case PDU_A_ASSOCIATE_AC:
        writer_reset(&a->out);
        associate_encode(&a->out, PDU_A_ASSOCIATE_AC, &a->answer);
        break;
    case PDU_A_ASSOCIATE_RJ:
        writer_reset(&a->out);
        associate_reject_encode(&a->out, a->reject);
        break;
    case PDU_A_RELEASE_RP:
        writer_reset(&a->out);
        release_encode(&a->out, PDU_A_RELEASE_RP);
        break;
    case PDU_A_ABORT:
        writer_reset(&a->out);
        abort_encode(&a->out, a->abort_as_provider ? (struct associate_abort){ ABORT_SERVICE_PROVIDER, 0 } : in->abort);
        a->phase = READ_NOTHING;
        break;
    case PDU_P_DATA_TF: /* message.c wrote it */
        break;
    case PDU_A_ASSOCIATE_RQ:
    case PDU_A_RELEASE_RQ:
        assert(!"an acceptor sends no request");
    }
    if (!writer_ok(&a->out, NULL, "PDU") || !a->transport.send(a->transport.context, writer_span(&a->out)))
        a->lost = true;
}

static void reject(struct association *a, struct associate_reject why, const char *text)
{
    a->reject = why;
    log_warn(a->log, "association.rejected", f_str("reason", text), f_uint("result", why.result),
             f_uint("source", why.source), f_uint("code", why.reason));
    association_event(a, EVT_8);
}

/* Asks the vault who this is. False where the request was rejected. */
static bool admitted(struct association *a, struct admission *out)
{
    struct error err = { 0 };
    enum admission_refusal why = REFUSED_CALLING_AE;

    if (!a->has_door) {
        reject(a, REJECT_TEMPORARY_CONGESTION, "no vault");
        return false;
    }
    if (a->door.admit(a->door.context, ae_title(a->request.calling_ae), ae_title(a->request.called_ae), out, &why, &err))
        return true;
    if (err.code != ERR_REFUSED)
        reject(a, REJECT_TEMPORARY_CONGESTION, error_name(err.code));
    else if (why == REFUSED_CALLED_AE)
        reject(a, REJECT_CALLED_AE, "called AE");
    else
        reject(a, REJECT_CALLING_AE, "calling AE");
    return false;
}

/* PS3.8 Table 9-21: the first thing wrong with a request is its answer. */
static void answer_request(struct association *a)
{
    struct negotiation_rules rules = {
        .private_storage_classes = a->settings.private_storage_classes,
        .private_storage_class_count = a->settings.private_storage_class_count,
        .max_pdu_bytes = a->settings.max_pdu_bytes,
        .implementation_class_uid = SPAN_LIT(IMPLEMENTATION_CLASS_UID),
        .implementation_version_name = SPAN_LIT(IMPLEMENTATION_VERSION_NAME),
    };
    struct admission admission = { 0 };
    struct error err = { 0 };

    if (!(a->request.protocol_version & 1)) {
        reject(a, REJECT_PROTOCOL_VERSION, "protocol version");
        return;
    }
    if (!span_equal(a->request.application_context, SPAN_LIT(DICOM_APPLICATION_CONTEXT))) {
        reject(a, REJECT_APPLICATION_CONTEXT, "application context");
        return;
    }
    if (!admitted(a, &admission))
        return;
    rules.may_store = admission.may_store;
    if (!negotiate(&a->request, &rules, &a->arena, &a->answer, &a->negotiated, &err)) {
        reject(a, REJECT_LOCAL_LIMIT, error_name(err.code));
        return;
    }
    log_info(a->log, "association.accepted", f_span("calling_ae", ae_title(a->request.calling_ae)),
             f_uint("contexts", a->request.context_count), f_uint("accepted", a->negotiated.accepted),
             f_uint("max_pdu_bytes", a->negotiated.peer_max_pdu_bytes));
    association_event(a, EVT_7);
    if (a->settings.established)
        a->settings.established(a->settings.established_context);
}

static void indicate(struct association *a, enum ul_indication indication)
{
    switch (indication) {
    case UL_ASSOCIATE_INDICATION:
        answer_request(a);
        break;
    case UL_RELEASE_INDICATION:
        message_drop(a);
        log_info(a->log, "association.released");
        association_event(a, EVT_14);
        break;
    case UL_ABORT_INDICATION:
        message_drop(a);
        log_info(a->log, "association.aborted", f_str("by", "peer"));
        break;
    case UL_P_ABORT_INDICATION:
        message_drop(a);
        log_warn(a->log, "association.aborted", f_str("by", "provider"));
        break;
    case UL_NO_INDICATION:
    case UL_P_DATA_INDICATION: /* read_pdu_header() goes on with its fragments */
        break;
    case UL_ASSOCIATE_ACCEPTED:
    case UL_ASSOCIATE_REJECTED:
    case UL_RELEASE_CONFIRMATION:
        assert(!"an acceptor asked for nothing");
    }
}

void association_event(struct association *a, enum ul_event event)
{
    struct ul_intents in = upper_layer_event(&a->ul, event, now_ms(a));

    if (in.send)
        send_pdu(a, &in);
    indicate(a, in.indication);
}

void association_abort(struct association *a, bool provider, const struct error *why)
{
    log_warn(a->log, "association.failed", f_str("error", error_name(why->code)), f_str("text", why->text));
    message_drop(a);
    a->abort_as_provider = provider;
    association_event(a, EVT_15);
}

/* EVT_19: what came is no PDU, or not one that Table 9-26 has no reason for. */
static void invalid_pdu(struct association *a, const struct error *why)
{
    log_warn(a->log, "pdu.invalid", f_str("error", error_name(why->code)), f_str("text", why->text));
    a->ul.invalid_pdu_reason = why->code == ERR_UNSUPPORTED ? ABORT_UNRECOGNIZED_PDU : ABORT_INVALID_PARAMETER_VALUE;
    association_event(a, EVT_19);
    a->phase = READ_NOTHING; /* where the next PDU begins is not known any more */
}

/* ---- PDUs from the bytes ahead: each returns true where it got on ---- */

static size_t ahead_bytes(const struct association *a)
{
    return a->ahead_end - a->ahead_at;
}

/* The next len bytes ahead; NULL where they are not all here. */
static const uint8_t *ahead_take(struct association *a, size_t len)
{
    const uint8_t *bytes = &a->ahead[a->ahead_at];

    if (ahead_bytes(a) < len)
        return NULL;
    a->ahead_at += len;
    return bytes;
}

static bool read_pdu_header(struct association *a)
{
    const uint8_t *header = ahead_take(a, PDU_HEADER_BYTES);
    struct error err = { 0 };

    if (!header)
        return false;
    a->pdu = pdu_header_decode(header);
    a->pdu_left = a->pdu.length;
    if (!pdu_header_check(a->pdu, &err)) {
        invalid_pdu(a, &err);
        return true;
    }
    if (a->pdu.type != PDU_P_DATA_TF) {
        a->phase = READ_PDU_BODY;
        writer_reset(&a->body);
        return true;
    }
    association_event(a, EVT_10);
    if (a->ul.state != STA_6)
        a->phase = READ_NOTHING; /* AA-6: ignored, and so is all that follows until the connection closes */
    else if (a->phase != READ_NOTHING)
        a->phase = READ_PDV_HEADER;
    return true;
}

/* A whole PDU other than P-DATA-TF. */
static void pdu_complete(struct association *a)
{
    struct span body = writer_span(&a->body);
    struct error err = { 0 };

    await_pdu(a);
    if (a->pdu.type == PDU_A_ASSOCIATE_RQ && a->ul.state == STA_2) {
        /* the request is kept: contexts borrow from it */
        struct writer kept = a->request_bytes;

        a->request_bytes = a->body;
        a->body = kept;
        if (!associate_decode(PDU_A_ASSOCIATE_RQ, body, &a->arena, &a->request, &err)) {
            invalid_pdu(a, &err);
            return;
        }
    }
    if (a->pdu.type == PDU_A_ABORT && !abort_decode(body, &a->ul.received_abort, &err)) {
        invalid_pdu(a, &err);
        return;
    }
    association_event(a, upper_layer_pdu_event(a->pdu.type));
}

static bool read_pdu_body(struct association *a)
{
    size_t len = ahead_bytes(a) < a->pdu_left ? ahead_bytes(a) : a->pdu_left;

    if (len == 0 && a->pdu_left > 0)
        return false;
    write_span(&a->body, span_of(ahead_take(a, len), len));
    a->pdu_left -= (uint32_t)len;
    if (a->body.failed) {
        a->lost = true; /* no memory for a request: nothing to say it with either */
        return true;
    }
    if (a->pdu_left == 0)
        pdu_complete(a);
    return true;
}

static bool read_pdv_header(struct association *a)
{
    const uint8_t *header;
    struct error err = { 0 };

    if (a->pdu_left < PDV_HEADER_BYTES) {
        error_set(&err, ERR_TRUNCATED, "%u bytes of a P-DATA-TF are no PDV", a->pdu_left);
        invalid_pdu(a, &err);
        return true;
    }
    header = ahead_take(a, PDV_HEADER_BYTES);
    if (!header)
        return false;
    if (!pdv_header_decode(header, a->pdu_left, &a->pdv, &err)) {
        invalid_pdu(a, &err);
        return true;
    }
    a->pdu_left -= PDV_HEADER_BYTES;
    a->fragment_left = a->pdv.length - 2;
    a->phase = READ_FRAGMENT;
    message_begin_fragment(a);
    return true;
}

static void fragment_received(struct association *a, size_t len)
{
    a->fragment_left -= (uint32_t)len;
    a->pdu_left -= (uint32_t)len;
    message_received(a, len);
}

/* From the bytes ahead; receive() takes care of those still on the wire. */
static bool read_fragment(struct association *a)
{
    if (a->fragment_left == 0) {
        message_end_fragment(a);
        if (a->phase == READ_NOTHING)
            return true;
        if (a->pdu_left > 0)
            a->phase = READ_PDV_HEADER;
        else
            await_pdu(a);
        return true;
    }
    if (ahead_bytes(a) > 0) {
        size_t room, len;
        uint8_t *to = message_room(a, a->fragment_left, &room);

        if (!to)
            return true;
        len = ahead_bytes(a) < room ? ahead_bytes(a) : room;
        memcpy(to, ahead_take(a, len), len);
        fragment_received(a, len);
        return true;
    }
    return false;
}

static bool read_on(struct association *a)
{
    switch (a->phase) {
    case READ_PDU_HEADER:
        return read_pdu_header(a);
    case READ_PDU_BODY:
        return read_pdu_body(a);
    case READ_PDV_HEADER:
        return read_pdv_header(a);
    case READ_FRAGMENT:
        return read_fragment(a);
    case READ_NOTHING:
        a->ahead_at = a->ahead_end;
        return false;
    }
    return false;
}

/* ---- the connection ---- */

static void ahead_compact(struct association *a)
{
    size_t left = ahead_bytes(a);

    memmove(a->ahead, &a->ahead[a->ahead_at], left);
    a->ahead_at = 0;
    a->ahead_end = left;
}

/* What is there: a fragment goes where it belongs, what lies behind it (the next header) ahead. */
static void receive(struct association *a)
{
    struct iovec parts[2];
    int count = 0;
    size_t room = 0;
    bool fresh = a->phase == READ_PDU_HEADER && ahead_bytes(a) == 0;
    ssize_t n;

    ahead_compact(a);
    if (a->phase == READ_FRAGMENT) {
        uint8_t *to = message_room(a, a->fragment_left, &room);

        if (!to)
            return;
        parts[count++] = (struct iovec){ to, room };
    }
    if (room == a->fragment_left || a->phase != READ_FRAGMENT)
        parts[count++] = (struct iovec){ &a->ahead[a->ahead_end], AHEAD_BYTES - a->ahead_end };
    n = a->transport.receive(a->transport.context, parts, count);
    if (n == TRANSPORT_CLOSED) {
        a->lost = true;
    } else if (n == TRANSPORT_WOULD_BLOCK) {
        a->must_wait = true;
    } else {
        size_t direct = (size_t)n < room ? (size_t)n : room;

        a->ahead_end += (size_t)n - direct;
        if (direct > 0)
            fragment_received(a, direct);
        if (fresh)
            await(a, a->settings.pdu_max_ms, "pdu");
    }
}

/* The next moment at which something is due; ARTIM rules while it runs, else what is awaited (not in Sta2, Sta13). */
static uint64_t due_ms(const struct association *a)
{
    return a->ul.artim_deadline_ms ? a->ul.artim_deadline_ms : a->deadline_ms;
}

/* True where something was due. */
static bool expire(struct association *a)
{
    struct error err = { 0 };

    if (now_ms(a) < due_ms(a))
        return false;
    if (upper_layer_artim_expired(&a->ul, now_ms(a))) {
        log_warn(a->log, "association.late", f_str("what", "ARTIM"));
        association_event(a, EVT_18);
        return true;
    }
    error_set(&err, ERR_TIMEOUT, "%s took too long", a->late);
    association_abort(a, true, &err);
    return true;
}

static void wait_for_peer(struct association *a)
{
    uint64_t now = now_ms(a), due = due_ms(a);
    struct error err = { 0 };

    a->must_wait = false;
    if (a->transport.wait(a->transport.context, due > now ? (int)(due - now) : 0) != TRANSPORT_VAULT_GONE)
        return;
    a->has_door = false;
    if (a->ul.state == STA_6) {
        error_set(&err, ERR_CLOSED, "the vault is gone");
        association_abort(a, true, &err);
    }
}

void association_run(struct association *a)
{
    association_event(a, EVT_5);
    await_pdu(a);
    while (a->ul.state != STA_1) {
        if (a->lost)
            association_event(a, EVT_17);
        else if (read_on(a) || expire(a))
            continue;
        else if (a->must_wait)
            wait_for_peer(a);
        else
            receive(a);
    }
    message_drop(a);
    a->transport.close(a->transport.context);
}

/* ---- life ---- */

struct association_settings association_settings_default(void)
{
    return (struct association_settings){
        .artim_ms = ARTIM_MS,
        .idle_max_ms = IDLE_MAX_MS,
        .pdu_max_ms = PDU_MAX_MS,
        .max_pdu_bytes = MAX_PDU_OFFERED,
    };
}

struct association *association_new(const struct association_settings *settings, const struct transport *transport,
                                    const struct door *door, const struct clock *clock, const struct log *log,
                                    struct error *err)
{
    struct association *a = calloc(1, sizeof *a);

    if (!a) {
        error_set(err, ERR_MEMORY, "no memory for an association");
        return NULL;
    }
    a->settings = *settings;
    a->transport = *transport;
    a->has_door = door != NULL;
    if (door)
        a->door = *door;
    a->clock = clock;
    a->log = log;
    a->ul = upper_layer_new(false, settings->artim_ms);
    a->body = writer_new(PDU_ASSOCIATE_MAX_BYTES);
    a->request_bytes = writer_new(PDU_ASSOCIATE_MAX_BYTES);
    a->out = writer_new(ANSWER_MAX_BYTES);
    a->arena = arena_new(ASSOCIATE_ARENA_BYTES);
    a->message.command_bytes = writer_new(COMMAND_SET_MAX_BYTES);
    a->object.facts = writer_new(CHANNEL_MESSAGE_MAX);
    a->object.walker = walker_new(err);
    if (!a->object.walker) {
        association_free(a);
        return NULL;
    }
    return a;
}

void association_free(struct association *a)
{
    if (!a)
        return;
    walker_free(a->object.walker);
    writer_done(&a->object.facts);
    writer_done(&a->message.command_bytes);
    writer_done(&a->body);
    writer_done(&a->request_bytes);
    writer_done(&a->out);
    arena_done(&a->arena);
    free(a);
}
