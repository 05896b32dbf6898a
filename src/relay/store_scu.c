/* A DICOM association as requestor: see store_scu.h. */
#include "relay/store_scu.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "dicom/dimse.h"
#include "dicom/part10.h"
#include "dicom/upper_layer.h"

/* What we offer to receive: responses only. */
#define SCU_MAX_PDU ((uint32_t)16384)
/* Fragments we send: a peer that takes more gets no faster by it. */
#define FRAGMENT_MAX ((uint32_t)128 * 1024)
#define REQUEST_MAX_BYTES ((size_t)256 * 1024)

struct scu {
    int fd;
    struct upper_layer ul;
    struct writer out;
    struct writer body; /* of the PDU received last */
    struct arena arena;
    struct associate request; /* until it is sent */
    uint32_t peer_max_pdu_bytes;
    bool accepted[PRESENTATION_CONTEXTS_MAX];
    uint16_t message_id;
    uint8_t buffer[P_DATA_HEADERS_BYTES + FRAGMENT_MAX];
};

/* ---- the socket ---- */

static bool wait_connected(int fd, struct error *err)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    int failed = 0;
    socklen_t len = sizeof failed;

    if (poll(&p, 1, SCU_CONNECT_MAX_MS) <= 0)
        return error_set(err, ERR_TIMEOUT, "no connection within %d s", SCU_CONNECT_MAX_MS / 1000);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0 || failed != 0) {
        errno = failed;
        return error_errno(err, "connect");
    }
    return true;
}

static int connect_to(const char *host, const char *port, struct error *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
    int failed = getaddrinfo(host, port, &hints, &list);
    int fd = -1;

    if (failed != 0)
        error_set(err, ERR_IO, "%s:%s: %s", host, port, gai_strerror(failed));
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
            error_errno(err, "socket");
        else if ((connect(fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS && !error_errno(err, "connect"))
                 || !wait_connected(fd, err))
            file_close(&fd);
        else
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    }
    if (list)
        freeaddrinfo(list);
    return fd;
}

static bool socket_send(struct scu *s, struct span bytes, struct error *err)
{
    while (bytes.len > 0) {
        struct pollfd p = { .fd = s->fd, .events = POLLOUT };
        ssize_t n = send(s->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

        if (n > 0)
            bytes = span_part(bytes, (size_t)n, SIZE_MAX);
        else if (errno == EAGAIN) {
            if (poll(&p, 1, SCU_ANSWER_MAX_MS) == 0)
                return error_set(err, ERR_TIMEOUT, "the peer takes nothing");
        } else if (errno != EINTR)
            return error_set(err, ERR_CLOSED, "the connection is lost");
    }
    return true;
}

static bool socket_receive(struct scu *s, uint8_t *out, size_t len, struct error *err)
{
    while (len > 0) {
        struct pollfd p = { .fd = s->fd, .events = POLLIN };
        ssize_t n;

        /* A peer that leaves Nagle on holds the second half of its answer until we acknowledge the first. */
        (void)setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int));
        n = recv(s->fd, out, len, 0);

        if (n > 0) {
            out += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            if (poll(&p, 1, SCU_ANSWER_MAX_MS) == 0)
                return error_set(err, ERR_TIMEOUT, "no answer within %d s", SCU_ANSWER_MAX_MS / 1000);
        } else if (n == 0 || errno != EINTR)
            return error_set(err, ERR_CLOSED, "the peer closed the connection");
    }
    return true;
}

/* ---- the protocol machine ---- */

static uint64_t now_ms(void)
{
    return clock_monotonic_ms(&clock_system);
}

/* Carries out an event of ours or of the peer's. */
static enum ul_indication happen(struct scu *s, enum ul_event event)
{
    struct ul_intents in = upper_layer_event(&s->ul, event, now_ms());

    writer_reset(&s->out);
    if (in.send == PDU_A_ASSOCIATE_RQ)
        associate_encode(&s->out, PDU_A_ASSOCIATE_RQ, &s->request);
    else if (in.send == PDU_A_RELEASE_RQ || in.send == PDU_A_RELEASE_RP)
        release_encode(&s->out, in.send);
    else if (in.send == PDU_A_ABORT)
        abort_encode(&s->out, in.abort);
    if (s->out.len > 0)
        (void)socket_send(s, writer_span(&s->out), NULL); /* a lost connection shows at the next receive */
    return in.indication;
}

static bool invalid(struct scu *s, struct error *err)
{
    s->ul.invalid_pdu_reason = err->code == ERR_UNSUPPORTED ? ABORT_UNRECOGNIZED_PDU : ABORT_INVALID_PARAMETER_VALUE;
    (void)happen(s, EVT_19);
    return false;
}

/* The next PDU, and what it means. The connection's end is an error. */
static bool next_pdu(struct scu *s, struct pdu_header *h, enum ul_indication *out, struct error *err)
{
    uint8_t header[PDU_HEADER_BYTES];
    uint8_t *body;

    if (!socket_receive(s, header, sizeof header, err)) {
        (void)happen(s, err->code == ERR_TIMEOUT ? EVT_15 : EVT_17);
        return false;
    }
    *h = pdu_header_decode(header);
    if (!pdu_header_check(*h, err))
        return invalid(s, err);
    writer_reset(&s->body);
    body = write_room(&s->body, h->length);
    if (!body || !socket_receive(s, body, h->length, err)) {
        (void)happen(s, EVT_17);
        return body ? false : error_set(err, ERR_MEMORY, "no memory for a PDU of %u bytes", h->length);
    }
    if (h->type == PDU_A_ABORT && !abort_decode(writer_span(&s->body), &s->ul.received_abort, err))
        return invalid(s, err);
    *out = happen(s, upper_layer_pdu_event(h->type));
    return true;
}

static bool ended(enum ul_indication indication, const struct scu *s, struct error *err)
{
    if (indication == UL_ABORT_INDICATION || indication == UL_P_ABORT_INDICATION)
        return error_set(err, ERR_CLOSED, "aborted (source %u, reason %u)", s->ul.received_abort.source,
                         s->ul.received_abort.reason);
    return error_set(err, ERR_CLOSED, "the peer ended the association");
}

/* ---- associating ---- */

static bool read_answer(struct scu *s, struct scu_context *contexts, size_t count, struct error *err)
{
    struct associate ac;

    if (!associate_decode(PDU_A_ASSOCIATE_AC, writer_span(&s->body), &s->arena, &ac, err))
        return false;
    for (size_t i = 0; i < ac.context_count; i++) {
        const struct presentation_context *pc = &ac.contexts[i];
        struct scu_context *mine = pc->id / 2 < count ? &contexts[pc->id / 2] : NULL;

        /* another syntax than the one proposed is no acceptance */
        if (mine && pc->result == PRESENTATION_ACCEPTED
            && span_equal(pc->transfer_syntaxes[0], mine->transfer_syntax_uid)) {
            mine->accepted = true;
            s->accepted[pc->id / 2] = true;
        }
    }
    s->peer_max_pdu_bytes = ac.user.has_max_pdu_bytes ? ac.user.max_pdu_bytes : SCU_MAX_PDU;
    return true;
}

static bool associate(struct scu *s, struct scu_context *contexts, size_t count, struct error *err)
{
    struct associate_reject rj;
    struct pdu_header h;
    enum ul_indication indication;

    (void)happen(s, EVT_2);
    if (!next_pdu(s, &h, &indication, err))
        return false;
    if (indication == UL_ASSOCIATE_REJECTED) {
        if (!associate_reject_decode(writer_span(&s->body), &rj, err))
            return false;
        return error_set(err, ERR_REFUSED, "association rejected (result %u, source %u, reason %u)", rj.result,
                         rj.source, rj.reason);
    }
    if (indication != UL_ASSOCIATE_ACCEPTED)
        return ended(indication, s, err);
    return read_answer(s, contexts, count, err);
}

static bool propose(struct scu *s, struct span calling_ae, struct span called_ae, const struct scu_context *contexts,
                    size_t count, struct error *err)
{
    struct presentation_context *pcs = arena_alloc(&s->arena, (count + 1) * sizeof *pcs);
    struct span *syntaxes = arena_alloc(&s->arena, (count + 1) * sizeof *syntaxes);

    if (!pcs || !syntaxes)
        return error_set(err, ERR_MEMORY, "no memory for %zu presentation contexts", count);
    for (size_t i = 0; i < count; i++) {
        syntaxes[i] = contexts[i].transfer_syntax_uid;
        pcs[i] = (struct presentation_context){ .id = (uint8_t)(2 * i + 1),
                                                .abstract_syntax = contexts[i].sop_class_uid,
                                                .transfer_syntaxes = &syntaxes[i],
                                                .transfer_syntax_count = 1 };
    }
    s->request = (struct associate){
        .protocol_version = 1,
        .called_ae = called_ae,
        .calling_ae = calling_ae,
        .application_context = SPAN_LIT(DICOM_APPLICATION_CONTEXT),
        .contexts = pcs,
        .context_count = count,
        .user = { .has_max_pdu_bytes = true,
                  .max_pdu_bytes = SCU_MAX_PDU,
                  .implementation_class_uid = SPAN_LIT(IMPLEMENTATION_CLASS_UID),
                  .implementation_version_name = SPAN_LIT(IMPLEMENTATION_VERSION_NAME) },
    };
    return true;
}

struct scu *scu_open(const char *host, const char *port, struct span calling_ae, struct span called_ae,
                     struct scu_context *contexts, size_t count, struct error *err)
{
    struct scu *s = calloc(1, sizeof *s);

    assert(count <= PRESENTATION_CONTEXTS_MAX);
    if (!s) {
        error_set(err, ERR_MEMORY, "no memory for an association");
        return NULL;
    }
    s->ul = upper_layer_new(true, SCU_ANSWER_MAX_MS);
    s->out = writer_new(REQUEST_MAX_BYTES);
    s->body = writer_new(PDU_ASSOCIATE_MAX_BYTES);
    s->arena = arena_new(ASSOCIATE_ARENA_BYTES);
    (void)happen(s, EVT_1);
    s->fd = connect_to(host, port, err);
    if (s->fd < 0 || !propose(s, calling_ae, called_ae, contexts, count, err)
        || !associate(s, contexts, count, err)) {
        scu_close(s);
        return NULL;
    }
    return s;
}

/* ---- C-STORE ---- */

static bool send_command(struct scu *s, uint8_t context_id, const struct command_set *c, struct error *err)
{
    struct writer bytes = writer_new(COMMAND_SET_MAX_BYTES);
    bool ok;

    command_set_encode(&bytes, c);
    (void)happen(s, EVT_9);
    writer_reset(&s->out);
    p_data_encode(&s->out, context_id, true, writer_span(&bytes), s->peer_max_pdu_bytes);
    ok = writer_ok(&bytes, err, "command") && writer_ok(&s->out, err, "command")
         && socket_send(s, writer_span(&s->out), err);
    writer_done(&bytes);
    return ok;
}

/* Header and fragment leave in one call, so that they share packets. */
static bool send_data_set(struct scu *s, uint8_t context_id, scu_source *source, void *context, struct error *err)
{
    uint32_t most = p_data_fragment_max(s->peer_max_pdu_bytes);
    uint8_t *fragment = &s->buffer[P_DATA_HEADERS_BYTES];
    size_t have = 0;
    bool last = false;

    if (most > FRAGMENT_MAX)
        most = FRAGMENT_MAX;
    most -= most > 1 ? most % 2 : 0; /* PS3.8 E.2: fragments of even length */
    while (!last) {
        size_t n = 0;

        while (have < most && !last) {
            if (!source(context, &fragment[have], most - have, &n, err))
                return false;
            have += n;
            last = n == 0;
        }
        (void)happen(s, EVT_9);
        p_data_header_encode(s->buffer, context_id, false, last, (uint32_t)have);
        if (!socket_send(s, span_of(s->buffer, P_DATA_HEADERS_BYTES + have), err))
            return false;
        have = 0;
    }
    return true;
}

/* The response to message_id; a response is one PDV of one PDU, or several of each. */
static bool await_response(struct scu *s, struct command_set *out, struct error *err)
{
    struct writer command = writer_new(COMMAND_SET_MAX_BYTES);
    bool whole = false, ok = true;

    while (ok && !whole) {
        enum ul_indication indication = UL_NO_INDICATION;
        struct pdu_header h;
        struct reader r;

        ok = next_pdu(s, &h, &indication, err);
        if (ok && indication != UL_P_DATA_INDICATION)
            ok = ended(indication, s, err);
        r = reader_over(writer_span(&s->body));
        while (ok && reader_left(&r) > 0) {
            struct pdv_header pdv;
            uint32_t left = (uint32_t)reader_left(&r);
            struct span header = read_span(&r, PDV_HEADER_BYTES);

            ok = reader_complete(&r, err, "PDV") && pdv_header_decode(header.ptr, left, &pdv, err);
            if (!ok)
                break;
            write_span(&command, read_span(&r, pdv.length - 2));
            whole = pdv.last;
        }
    }
    ok = ok && writer_ok(&command, err, "response") && command_set_decode(writer_span(&command), out, err);
    writer_done(&command); /* only numbers of it are used */
    return ok;
}

bool scu_store(struct scu *s, size_t index, struct span sop_class_uid, struct span sop_instance_uid,
               scu_source *source, void *context, uint16_t *status, struct error *err)
{
    struct command_set rq = c_store_rq(++s->message_id, sop_class_uid, sop_instance_uid), rsp;
    uint8_t context_id = (uint8_t)(2 * index + 1);

    assert(index < PRESENTATION_CONTEXTS_MAX && s->accepted[index]);
    if (s->ul.state != STA_6)
        return error_set(err, ERR_CLOSED, "the association is over");
    if (!send_command(s, context_id, &rq, err) || !send_data_set(s, context_id, source, context, err)
        || !await_response(s, &rsp, err))
        goto failed;
    if (rsp.command_field != C_STORE_RSP || rsp.message_id_responded != rq.message_id) {
        error_set(err, ERR_MALFORMED, "the answer is to something else");
        goto failed;
    }
    *status = rsp.status;
    return true;
failed:
    if (s->ul.state == STA_6)
        (void)happen(s, EVT_15);
    return false;
}

void scu_close(struct scu *s)
{
    struct pdu_header h;
    enum ul_indication indication = UL_NO_INDICATION;
    struct error err = { 0 };

    if (!s)
        return;
    if (s->ul.state == STA_6)
        (void)happen(s, EVT_11);
    while (s->ul.state == STA_7 || s->ul.state == STA_11) {
        if (!next_pdu(s, &h, &indication, &err))
            break;
        if (s->ul.state == STA_9) /* both wanted to release */
            (void)happen(s, EVT_14);
    }
    file_close(&s->fd);
    writer_done(&s->out);
    writer_done(&s->body);
    arena_done(&s->arena);
    free(s);
}
