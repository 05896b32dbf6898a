/*
 * An association against anything: it ends, leaves no object half kept, and answers with whole PDUs.
 * First byte: bit 0 a good A-ASSOCIATE-RQ goes before, bits 1-3 how the bytes are cut, bit 4 the peer falls silent,
 * bit 5 a C-STORE-RQ goes before (its data set is what follows), bit 6 it pauses between the pieces.
 */
#include <assert.h>

#include "../unit/gate/dicom_peer.h"

static void check_answers(const struct stage *s)
{
    size_t at = 0;

    while (at < s->peer.hears.len) {
        struct pdu_header h;

        assert(s->peer.hears.len - at >= PDU_HEADER_BYTES);
        h = pdu_header_decode(&s->peer.hears.ptr[at]);
        assert(pdu_header_check(h, NULL) && s->peer.hears.len - at - PDU_HEADER_BYTES >= h.length);
        at += PDU_HEADER_BYTES + h.length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const size_t chunks[] = { 0, 1, 2, 7, 12, 100, 1000, 8192 };
    uint8_t how = len > 0 ? bytes[0] : 0;
    struct span script = span_part(span_of(bytes, len), 1, SIZE_MAX);
    struct stage *s = stage_new();

    if (how & 1)
        say_associate(s);
    if ((how & 33) == 33)
        say_store(s, 3, 1, CT_CLASS, "1.2.3", script, 16384);
    else
        write_span(&s->peer.says, script);
    s->peer.chunk = chunks[how >> 1 & 7];
    s->peer.silent_at_end = how >> 4 & 1;
    s->peer.hesitates = how >> 6 & 1;
    stage_run(s, true);
    assert(s->peer.closed && !s->vault.begun && s->vault.kept <= s->vault.begins);
    check_answers(s);
    stage_free(s);
    return 0;
}
