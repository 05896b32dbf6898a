/* PDUs: what decodes can be encoded again and means the same; headers never let a length pass their limits. */
#include <assert.h>

#include "dicom/pdu.h"

static void associate_both_ways(enum pdu_type type, struct span body)
{
    struct arena arena = arena_new(ASSOCIATE_ARENA_BYTES), again_arena = arena_new(ASSOCIATE_ARENA_BYTES);
    struct writer w = writer_new(4 * (size_t)PDU_ASSOCIATE_MAX_BYTES);
    struct associate a, again;

    if (associate_decode(type, body, &arena, &a, NULL)) {
        associate_encode(&w, type, &a);
        assert(w.failed || associate_decode(type, span_part(writer_span(&w), PDU_HEADER_BYTES, SIZE_MAX), &again_arena, &again, NULL));
        assert(w.failed || (again.context_count == a.context_count && again.user.role_count == a.user.role_count
                            && again.user.max_pdu_bytes == a.user.max_pdu_bytes));
    }
    writer_done(&w);
    arena_done(&arena);
    arena_done(&again_arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span all = span_of(bytes, len), body = span_part(all, PDU_HEADER_BYTES, SIZE_MAX);
    struct associate_reject rj;
    struct associate_abort abort;
    struct pdv_header pdv;
    struct pdu_header h;

    if (len < PDU_HEADER_BYTES)
        return 0;
    h = pdu_header_decode(bytes);
    if (pdu_header_check(h, NULL))
        assert(h.length <= PDU_P_DATA_MAX_BYTES || h.length <= PDU_ASSOCIATE_MAX_BYTES);
    associate_both_ways(PDU_A_ASSOCIATE_RQ, body);
    associate_both_ways(PDU_A_ASSOCIATE_AC, body);
    (void)associate_reject_decode(body, &rj, NULL);
    (void)abort_decode(body, &abort, NULL);
    if (body.len >= PDV_HEADER_BYTES && pdv_header_decode(body.ptr, h.length, &pdv, NULL))
        assert(pdv.length >= 2 && (uint64_t)pdv.length + 4 <= h.length);
    return 0;
}
