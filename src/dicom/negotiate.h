/*
 * Which presentation contexts an acceptor takes, and in which transfer syntax (PS3.8 §9.3.3.2, PS3.7 Annex D).
 *
 * A context with one syntax is accepted as it is; of several the first in this order is chosen: explicit little
 * endian, implicit little endian, explicit big endian, deflated, lossless, lossy. Everything is stored as received,
 * so a sender is never invited to compress.
 */
#ifndef FANAL_DICOM_NEGOTIATE_H
#define FANAL_DICOM_NEGOTIATE_H

#include "dicom/pdu.h"
#include "dicom/transfer_syntax.h"

#define VERIFICATION_SOP_CLASS_UID "1.2.840.10008.1.1" /* PS3.4 A.4 */

enum context_service { SERVICE_NONE, SERVICE_VERIFICATION, SERVICE_STORAGE };

struct negotiation_rules {
    bool may_store;
    const struct span *private_storage_classes; /* beyond those of PS3.6; borrowed */
    size_t private_storage_class_count;
    uint32_t max_pdu_bytes; /* what we offer to receive */
    struct span implementation_class_uid;
    struct span implementation_version_name;
};

/* A context as both sides now know it. */
struct negotiated_context {
    enum context_service service; /* SERVICE_NONE: not accepted */
    struct span abstract_syntax;  /* borrows from the request */
    const struct transfer_syntax *transfer_syntax;
};

struct negotiated {
    struct negotiated_context contexts[PRESENTATION_CONTEXTS_MAX]; /* by context ID / 2 */
    size_t accepted;
    uint32_t peer_max_pdu_bytes; /* what the peer takes: 0 without limit */
};

/* The accepted context of that ID; NULL where there is none. */
const struct negotiated_context *negotiated_context_of(const struct negotiated *n, uint8_t id);

/*
 * Answers a request: *ac is what to encode (borrows from rq and the arena), *out what was agreed.
 * False with ERR_MEMORY only.
 */
bool negotiate(const struct associate *rq, const struct negotiation_rules *rules, struct arena *arena,
               struct associate *ac, struct negotiated *out, struct error *err);

#endif
