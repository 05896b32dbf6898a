/* Presentation context negotiation: what is accepted, in which syntax, with which result (PS3.8 Table 9-18). */
#include "dicom/negotiate.h"

#include "test.h"

#define IMPLICIT_LE "1.2.840.10008.1.2"
#define EXPLICIT_LE "1.2.840.10008.1.2.1"
#define DEFLATED_LE "1.2.840.10008.1.2.1.99"
#define EXPLICIT_BE "1.2.840.10008.1.2.2"
#define JPEG_BASELINE "1.2.840.10008.1.2.4.50"
#define JPEG_LOSSLESS "1.2.840.10008.1.2.4.70"
#define JPEG_2000 "1.2.840.10008.1.2.4.91"
#define CT "1.2.840.10008.5.1.4.1.1.2"
#define VERIFICATION "1.2.840.10008.1.1"
#define STUDY_ROOT_FIND "1.2.840.10008.5.1.4.1.2.2.1"

static struct arena arena;

static const struct span private_classes[] = { { (const uint8_t *)"1.2.9.9", 7 } };

static bool answer(const struct associate *rq, bool may_store, struct associate *ac, struct negotiated *n)
{
    struct negotiation_rules rules = { .may_store = may_store,
                                       .private_storage_classes = private_classes,
                                       .private_storage_class_count = 1,
                                       .max_pdu_bytes = 262144,
                                       .implementation_class_uid = SPAN_LIT("1.2") };

    arena_done(&arena);
    arena = arena_new(ASSOCIATE_ARENA_BYTES);
    return negotiate(rq, &rules, &arena, ac, n, NULL);
}

TEST(a_context_gets_the_syntax_and_result_it_should)
{
    const struct {
        const char *name, *abstract, *syntaxes[8];
        bool may_store;
        uint8_t want;
        const char *syntax;
    } rows[] = {
        { "one syntax: that one", CT, { JPEG_BASELINE }, true, 0, JPEG_BASELINE },
        { "explicit LE first of all",
          CT, { JPEG_BASELINE, JPEG_LOSSLESS, DEFLATED_LE, EXPLICIT_BE, IMPLICIT_LE, EXPLICIT_LE }, true, 0, EXPLICIT_LE },
        { "then implicit LE", CT, { JPEG_BASELINE, JPEG_LOSSLESS, DEFLATED_LE, EXPLICIT_BE, IMPLICIT_LE }, true, 0,
          IMPLICIT_LE },
        { "then explicit BE", CT, { JPEG_BASELINE, JPEG_LOSSLESS, DEFLATED_LE, EXPLICIT_BE }, true, 0, EXPLICIT_BE },
        { "then deflated", CT, { JPEG_BASELINE, JPEG_LOSSLESS, DEFLATED_LE }, true, 0, DEFLATED_LE },
        { "then lossless", CT, { JPEG_BASELINE, JPEG_2000, JPEG_LOSSLESS }, true, 0, JPEG_LOSSLESS },
        { "a private syntax beside a known one", CT, { "1.2.3.4", IMPLICIT_LE }, true, 0, IMPLICIT_LE },
        { "only a private syntax", CT, { "1.2.3.4" }, true, 4, "1.2.3.4" },
        { "a service we do not have", STUDY_ROOT_FIND, { IMPLICIT_LE }, true, 3, IMPLICIT_LE },
        { "a class nobody knows", "1.2.3.4.5", { IMPLICIT_LE }, true, 3, IMPLICIT_LE },
        { "a class that is no UID", "CT", { IMPLICIT_LE }, true, 3, IMPLICIT_LE },
        { "a private class the configuration allows", "1.2.9.9", { IMPLICIT_LE }, true, 0, IMPLICIT_LE },
        { "verification", VERIFICATION, { IMPLICIT_LE }, true, 0, IMPLICIT_LE },
        { "storage for who may not", CT, { IMPLICIT_LE }, false, 1, IMPLICIT_LE },
        { "verification for who may not store", VERIFICATION, { IMPLICIT_LE }, false, 0, IMPLICIT_LE },
    };
    EACH (row, rows) {
        struct span syntaxes[8];
        struct presentation_context pc = { .id = 77, .abstract_syntax = span_str(row->abstract),
                                           .transfer_syntaxes = syntaxes };
        struct associate rq = { .contexts = &pc, .context_count = 1 }, ac;
        struct negotiated n;

        for (; row->syntaxes[pc.transfer_syntax_count]; pc.transfer_syntax_count++)
            syntaxes[pc.transfer_syntax_count] = span_str(row->syntaxes[pc.transfer_syntax_count]);
        CHECK_ROW(row->name, answer(&rq, row->may_store, &ac, &n));
        CHECK_ROW(row->name, ac.context_count == 1 && ac.contexts[0].id == 77 && ac.contexts[0].result == row->want);
        CHECK_ROW(row->name, span_equal(ac.contexts[0].transfer_syntaxes[0], span_str(row->syntax)));
        CHECK_ROW(row->name, (negotiated_context_of(&n, 77) != NULL) == (row->want == 0));
        CHECK_ROW(row->name, row->want != 0 || strcmp(n.contexts[38].transfer_syntax->uid, row->syntax) == 0);
        CHECK_ROW(row->name, !negotiated_context_of(&n, 76) && !negotiated_context_of(&n, 79));
    }
}

TEST(a_hundred_and_twenty_eight_contexts_are_normal)
{
    struct presentation_context pcs[128];
    struct span syntax = SPAN_LIT(EXPLICIT_LE);
    struct associate rq = { .contexts = pcs, .context_count = 128 }, ac;
    struct negotiated n;

    for (size_t i = 0; i < 128; i++)
        pcs[i] = (struct presentation_context){ .id = (uint8_t)(2 * i + 1), .abstract_syntax = SPAN_LIT(CT),
                                                .transfer_syntaxes = &syntax, .transfer_syntax_count = 1 };
    CHECK(answer(&rq, true, &ac, &n) && n.accepted == 128 && ac.context_count == 128);
    for (unsigned id = 1; id < 256; id += 2)
        CHECK(negotiated_context_of(&n, (uint8_t)id));
}

TEST(what_the_peer_takes_is_noted)
{
    struct associate rq = { .called_ae = SPAN_LIT("FANAL "), .calling_ae = SPAN_LIT("CT1\0") }, ac;
    struct negotiated n;

    CHECK(answer(&rq, true, &ac, &n) && n.peer_max_pdu_bytes == 16384 && n.accepted == 0);
    CHECK(span_equal(ac.called_ae, rq.called_ae) && span_equal(ac.calling_ae, rq.calling_ae));
    CHECK(ac.user.has_max_pdu_bytes && ac.user.max_pdu_bytes == 262144);
    rq.user.has_max_pdu_bytes = true;
    CHECK(answer(&rq, true, &ac, &n) && n.peer_max_pdu_bytes == 0);
    arena_done(&arena);
}

TESTS(T(a_context_gets_the_syntax_and_result_it_should), T(a_hundred_and_twenty_eight_contexts_are_normal),
      T(what_the_peer_takes_is_noted))
