/*
 * A DICOM peer, a vault and a clock in memory, for tests of an association: what the peer says is a script, what it
 * hears is kept, silence turns the clock.
 */
#ifndef FANAL_TEST_DICOM_PEER_H
#define FANAL_TEST_DICOM_PEER_H

#include "dicom/dimse.h"
#include "gate/dicom/association.h"

#include "../test.h"

#define CT_CLASS "1.2.840.10008.5.1.4.1.1.2"
#define EXPLICIT_LE "1.2.840.10008.1.2.1"

/* Bodies the vault was given, and how it behaves. */
struct fake_vault {
    uint8_t ring[SESSION_BUFFER_BYTES];
    size_t ring_at;
    bool begun;
    size_t begins, aborts, kept;
    char unit[200];
    struct writer body;       /* of the object under way */
    struct writer last_body;  /* of the last one kept */
    struct writer last_facts;
    enum error_code put_end_error, room_error, admit_error;
    enum admission_refusal refusal;
    size_t room_fails_at; /* the n-th put_room() fails with room_error; 0: none */
    size_t rooms;
    bool may_not_store;
    char calling_ae[20], called_ae[20];
};

struct fake_peer {
    struct clock clock; /* first member: the clock is the peer */
    uint64_t now_ms;
    struct writer says;
    size_t said;
    size_t chunk;    /* how many bytes come at once */
    bool hesitates;  /* every other time nothing is there yet */
    bool hesitated;
    uint32_t ms_per_chunk; /* a slow peer */
    bool silent_at_end; /* does not close, waits */
    bool vault_dies;    /* told by wait() */
    struct writer hears;
    bool closed;
    bool established;
};

struct stage {
    struct fake_peer peer;
    struct fake_vault vault;
    struct transport transport;
    struct door door;
    struct log log;
    struct association_settings settings;
};

static inline uint64_t stage_monotonic(const struct clock *c)
{
    return ((const struct fake_peer *)(const void *)c)->now_ms;
}

static inline uint64_t stage_wall(const struct clock *c)
{
    return ((const struct fake_peer *)(const void *)c)->now_ms * 1000;
}

static inline ssize_t stage_receive(void *context, const struct iovec *parts, int count)
{
    struct fake_peer *p = context;
    size_t left = p->says.len - p->said, done = 0;

    if (left == 0)
        return p->silent_at_end ? TRANSPORT_WOULD_BLOCK : TRANSPORT_CLOSED;
    p->hesitated = p->hesitates && !p->hesitated;
    if (p->hesitated)
        return TRANSPORT_WOULD_BLOCK;
    if (p->chunk && left > p->chunk)
        left = p->chunk;
    p->now_ms += p->ms_per_chunk;
    for (int i = 0; i < count && left > 0; i++) {
        size_t n = parts[i].iov_len < left ? parts[i].iov_len : left;

        if (n > 0)
            memcpy(parts[i].iov_base, p->says.ptr + p->said, n);
        p->said += n;
        done += n;
        left -= n;
    }
    return (ssize_t)done;
}

static inline bool stage_send(void *context, struct span bytes)
{
    struct fake_peer *p = context;

    write_span(&p->hears, bytes);
    return true;
}

static inline enum transport_ready stage_wait(void *context, int timeout_ms)
{
    struct fake_peer *p = context;

    if (p->vault_dies) {
        p->vault_dies = false;
        return TRANSPORT_VAULT_GONE;
    }
    if (p->hesitated)
        return TRANSPORT_READABLE;
    p->now_ms += (uint64_t)timeout_ms;
    return TRANSPORT_TIMEOUT;
}

static inline void stage_close(void *context)
{
    ((struct fake_peer *)context)->closed = true;
}

static inline void stage_established(void *context)
{
    ((struct fake_peer *)context)->established = true;
}

static inline bool stage_admit(void *context, struct span calling, struct span called, struct admission *out,
                               enum admission_refusal *why, struct error *err)
{
    struct fake_vault *v = context;

    (void)span_to_str(calling, v->calling_ae, sizeof v->calling_ae);
    (void)span_to_str(called, v->called_ae, sizeof v->called_ae);
    *why = v->refusal;
    if (v->admit_error)
        return error_set(err, v->admit_error, "not admitted");
    *out = (struct admission){ .may_store = !v->may_not_store };
    return true;
}

static inline uint8_t *stage_put_room(void *context, size_t least, size_t *room, struct error *err)
{
    struct fake_vault *v = context;

    if (v->room_fails_at && ++v->rooms == v->room_fails_at) {
        error_set(err, v->room_error, "no room");
        return NULL;
    }
    if (SESSION_BUFFER_BYTES - v->ring_at < least) {
        if (!v->begun) {
            error_set(err, ERR_LIMIT, "full before PUT_BEGIN");
            return NULL;
        }
        v->ring_at = 0;
    }
    *room = SESSION_BUFFER_BYTES - v->ring_at;
    return &v->ring[v->ring_at];
}

static inline bool stage_put_fill(void *context, size_t len, struct error *err)
{
    struct fake_vault *v = context;

    (void)err;
    write_span(&v->body, span_of(&v->ring[v->ring_at], len));
    v->ring_at += len;
    return true;
}

static inline bool stage_put_begin(void *context, struct span request, struct error *err)
{
    struct fake_vault *v = context;

    (void)err;
    v->begun = true;
    v->begins++;
    (void)span_to_str(fields_text(request, FIELD_UNIT), v->unit, sizeof v->unit);
    return true;
}

static inline bool stage_put_end(void *context, struct span facts, struct error *err)
{
    struct fake_vault *v = context;

    if (!v->begun)
        abort();
    v->begun = false;
    v->ring_at = 0;
    if (v->put_end_error) {
        writer_reset(&v->body);
        return error_set(err, v->put_end_error, "not kept");
    }
    v->kept++;
    writer_reset(&v->last_body);
    write_span(&v->last_body, writer_span(&v->body));
    writer_reset(&v->last_facts);
    write_span(&v->last_facts, facts);
    writer_reset(&v->body);
    return true;
}

static inline void stage_put_abort(void *context)
{
    struct fake_vault *v = context;

    v->aborts++;
    v->begun = false;
    v->ring_at = 0;
    writer_reset(&v->body);
}

static inline struct stage *stage_new(void)
{
    struct stage *s = calloc(1, sizeof *s);

    s->peer.clock = (struct clock){ stage_wall, stage_monotonic };
    s->peer.now_ms = 1000;
    s->peer.says = writer_new((size_t)64 << 20);
    s->peer.hears = writer_new((size_t)16 << 20);
    s->vault.body = writer_new((size_t)64 << 20);
    s->vault.last_body = writer_new((size_t)64 << 20);
    s->vault.last_facts = writer_new((size_t)1 << 20);
    s->transport = (struct transport){ &s->peer, stage_receive, stage_send, stage_wait, stage_close };
    s->door = (struct door){ &s->vault, stage_admit, stage_put_room, stage_put_fill,
                             stage_put_begin, stage_put_end, stage_put_abort };
    s->log = (struct log){ .fd = -1, .clock = &s->peer.clock };
    s->settings = association_settings_default();
    s->settings.established = stage_established;
    s->settings.established_context = &s->peer;
    return s;
}

/* Runs one association over the script, with or without a vault. */
static inline void stage_run(struct stage *s, bool with_vault)
{
    struct association *a = association_new(&s->settings, &s->transport, with_vault ? &s->door : NULL, &s->peer.clock,
                                            &s->log, NULL);

    association_run(a);
    association_free(a);
}

static inline void stage_free(struct stage *s)
{
    writer_done(&s->peer.says);
    writer_done(&s->peer.hears);
    writer_done(&s->vault.body);
    writer_done(&s->vault.last_body);
    writer_done(&s->vault.last_facts);
    free(s);
}

/* ---- what a peer says ---- */

/* Context 1: Verification, 3: CT, 5: Secondary Capture, each explicit little endian; 7: a class nobody has. */
static inline void say_associate(struct stage *s)
{
    struct span syntax = SPAN_LIT(EXPLICIT_LE);
    struct presentation_context contexts[] = {
        { .id = 1, .abstract_syntax = SPAN_LIT("1.2.840.10008.1.1") },
        { .id = 3, .abstract_syntax = SPAN_LIT(CT_CLASS) },
        { .id = 5, .abstract_syntax = SPAN_LIT("1.2.840.10008.5.1.4.1.1.7") },
        { .id = 7, .abstract_syntax = SPAN_LIT("1.2.3.4") },
    };
    struct associate rq = { .protocol_version = 1,
                            .called_ae = SPAN_LIT("FANAL"),
                            .calling_ae = SPAN_LIT(" CT1"),
                            .application_context = SPAN_LIT(DICOM_APPLICATION_CONTEXT),
                            .contexts = contexts,
                            .context_count = COUNT_OF(contexts),
                            .user = { .has_max_pdu_bytes = true, .max_pdu_bytes = 16384 } };

    EACH (c, contexts) {
        c->transfer_syntaxes = &syntax;
        c->transfer_syntax_count = 1;
    }
    associate_encode(&s->peer.says, PDU_A_ASSOCIATE_RQ, &rq);
}

static inline void say_command(struct stage *s, uint8_t context_id, const struct command_set *c)
{
    struct writer w = writer_new(COMMAND_SET_MAX_BYTES);

    command_set_encode(&w, c);
    p_data_encode(&s->peer.says, context_id, true, writer_span(&w), 16384);
    writer_done(&w);
}

static inline void say_echo(struct stage *s, uint16_t message_id)
{
    struct command_set c = c_echo_rq(message_id);

    say_command(s, 1, &c);
}

static inline void write_element(struct writer *w, uint16_t group, uint16_t element, const char *vr, const char *value)
{
    size_t len = strlen(value);

    write_u16le(w, group);
    write_u16le(w, element);
    write_str(w, vr);
    write_u16le(w, (uint16_t)(len + len % 2));
    write_str(w, value);
    write_fill(w, vr[0] == 'U' ? 0 : ' ', len % 2);
}

/* A small data set of explicit little endian with pixel_bytes of pixels; NULL leaves an attribute out. */
static inline void write_data_set(struct writer *w, const char *sop_class, const char *sop, const char *study,
                                  uint32_t pixel_bytes)
{
    uint8_t *pixels;

    if (sop_class)
        write_element(w, 0x0008, 0x0016, "UI", sop_class);
    if (sop)
        write_element(w, 0x0008, 0x0018, "UI", sop);
    write_element(w, 0x0008, 0x0060, "CS", "CT");
    write_element(w, 0x0010, 0x0010, "PN", "Doe^Jane");
    if (study)
        write_element(w, 0x0020, 0x000d, "UI", study);
    write_element(w, 0x0020, 0x000e, "UI", "1.2.3.4.5");
    write_span(w, HEX("e07f 1000 4f57 0000"));
    write_u32le(w, pixel_bytes);
    pixels = write_room(w, pixel_bytes);
    for (uint32_t i = 0; i < pixel_bytes; i++)
        pixels[i] = (uint8_t)(i * 7 + i / 251);
}

static inline void say_store(struct stage *s, uint8_t context_id, uint16_t message_id, const char *sop_class,
                             const char *sop, struct span data_set, uint32_t max_pdu)
{
    struct command_set c = c_store_rq(message_id, span_str(sop_class), span_str(sop));

    say_command(s, context_id, &c);
    p_data_encode(&s->peer.says, context_id, false, data_set, max_pdu);
}

static inline void say_release(struct stage *s)
{
    release_encode(&s->peer.says, PDU_A_RELEASE_RQ);
}

/* ---- what it hears ---- */

/* The n-th PDU heard (from 0); type 0 where there is none. */
static inline struct pdu_header heard_pdu(const struct stage *s, size_t n, struct span *body)
{
    struct span left = writer_span(&s->peer.hears);

    for (;; n--) {
        struct pdu_header h;

        if (left.len < PDU_HEADER_BYTES)
            return (struct pdu_header){ 0 };
        h = pdu_header_decode(left.ptr);
        *body = span_part(left, PDU_HEADER_BYTES, h.length);
        if (body->len != h.length)
            return (struct pdu_header){ 0 };
        if (n == 0)
            return h;
        left = span_part(left, PDU_HEADER_BYTES + h.length, SIZE_MAX);
    }
}

static inline uint8_t heard_type(const struct stage *s, size_t n)
{
    struct span body;

    return heard_pdu(s, n, &body).type;
}

/* The status of the response in the n-th PDU; 0xffff where it is none. */
static inline uint16_t heard_status(const struct stage *s, size_t n, uint16_t message_id)
{
    struct span body;
    struct command_set c;

    if (heard_pdu(s, n, &body).type != PDU_P_DATA_TF
        || !command_set_decode(span_part(body, PDV_HEADER_BYTES, SIZE_MAX), &c, NULL)
        || c.message_id_responded != message_id)
        return 0xffff;
    return c.status;
}

#endif
