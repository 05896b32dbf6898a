/* Presentation context negotiation: see negotiate.h. */
#include "dicom/negotiate.h"

#include "dicom/dictionary.h"

/* A peer that names no maximum length gets PDUs of this size: every implementation takes them. */
#define PEER_MAX_PDU_UNNAMED 16384

const struct negotiated_context *negotiated_context_of(const struct negotiated *n, uint8_t id)
{
    const struct negotiated_context *c = &n->contexts[id / 2];

    return id % 2 == 1 && c->service != SERVICE_NONE ? c : NULL;
}

static bool is_private_storage(const struct negotiation_rules *rules, struct span uid)
{
    for (size_t i = 0; i < rules->private_storage_class_count; i++)
        if (span_equal(rules->private_storage_classes[i], uid))
            return true;
    return false;
}

static enum context_service service_of(const struct negotiation_rules *rules, struct span abstract_syntax)
{
    if (span_equal(abstract_syntax, SPAN_LIT(VERIFICATION_SOP_CLASS_UID)))
        return SERVICE_VERIFICATION;
    if (sop_class_is_storage(abstract_syntax) || is_private_storage(rules, abstract_syntax))
        return SERVICE_STORAGE;
    return SERVICE_NONE;
}

/* The proposed syntax of the lowest rank; NULL where we know none of them. */
static const struct transfer_syntax *choose_syntax(const struct presentation_context *proposed)
{
    const struct transfer_syntax *best = NULL;

    for (size_t i = 0; i < proposed->transfer_syntax_count; i++) {
        const struct transfer_syntax *s = transfer_syntax_find(proposed->transfer_syntaxes[i]);

        if (s && (!best || transfer_syntax_rank(s) < transfer_syntax_rank(best)))
            best = s;
    }
    return best;
}

/* Table 9-18: the result, and what was agreed where it is acceptance. */
static enum presentation_result judge(const struct presentation_context *proposed,
                                      const struct negotiation_rules *rules, struct negotiated_context *out)
{
    enum context_service service = service_of(rules, proposed->abstract_syntax);
    const struct transfer_syntax *syntax = choose_syntax(proposed);

    if (service == SERVICE_NONE)
        return PRESENTATION_ABSTRACT_SYNTAX_NOT_SUPPORTED;
    if (service == SERVICE_STORAGE && !rules->may_store)
        return PRESENTATION_USER_REJECTION;
    if (!syntax)
        return PRESENTATION_TRANSFER_SYNTAXES_NOT_SUPPORTED;
    *out = (struct negotiated_context){ service, proposed->abstract_syntax, syntax };
    return PRESENTATION_ACCEPTED;
}

bool negotiate(const struct associate *rq, const struct negotiation_rules *rules, struct arena *arena,
               struct associate *ac, struct negotiated *out, struct error *err)
{
    struct presentation_context *contexts = arena_alloc(arena, (rq->context_count + 1) * sizeof *contexts);
    struct span *syntaxes = arena_alloc(arena, (rq->context_count + 1) * sizeof *syntaxes);

    if (!contexts || !syntaxes)
        return error_set(err, ERR_MEMORY, "no memory for %zu presentation contexts", rq->context_count);
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < rq->context_count; i++) {
        struct negotiated_context *agreed = &out->contexts[rq->contexts[i].id / 2];

        contexts[i].id = rq->contexts[i].id;
        contexts[i].result = judge(&rq->contexts[i], rules, agreed);
        /* §9.3.3.2: one transfer syntax sub-item in every case, not significant unless accepted */
        syntaxes[i] = agreed->transfer_syntax ? span_str(agreed->transfer_syntax->uid)
                                              : rq->contexts[i].transfer_syntaxes[0];
        contexts[i].transfer_syntaxes = &syntaxes[i];
        contexts[i].transfer_syntax_count = 1;
        out->accepted += contexts[i].result == PRESENTATION_ACCEPTED;
    }
    out->peer_max_pdu_bytes = rq->user.has_max_pdu_bytes ? rq->user.max_pdu_bytes : PEER_MAX_PDU_UNNAMED;
    *ac = (struct associate){
        .protocol_version = 1,
        .called_ae = rq->called_ae, /* Table 9-17: as received */
        .calling_ae = rq->calling_ae,
        .reserved = rq->reserved,
        .application_context = SPAN_LIT(DICOM_APPLICATION_CONTEXT),
        .contexts = contexts,
        .context_count = rq->context_count,
        .user = { .has_max_pdu_bytes = true,
                  .max_pdu_bytes = rules->max_pdu_bytes,
                  .implementation_class_uid = rules->implementation_class_uid,
                  .implementation_version_name = rules->implementation_version_name },
    };
    return true;
}
