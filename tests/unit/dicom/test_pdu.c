/* The PDU codec against the tables of PS3.8 §9.3 and PS3.7 D.3.3. */
#include "dicom/pdu.h"

#include "test.h"

/* Table 9-11: called "FANAL", calling "CT1", 32 reserved bytes. */
#define RQ_FIXED                                                                             \
    "0001 0000  46414e414c2020202020202020202020  43543120202020202020202020202020"         \
    "0000000000000000000000000000000000000000000000000000000000000000"
/* 1.2.840.10008.3.1.1.1 */
#define APPLICATION "10 00 0015 312e322e3834302e31303030382e332e312e312e31"
/* 1.2.840.10008.1.1 and 1.2.840.10008.1.2 */
#define VERIFICATION "30 00 0011 312e322e3834302e31303030382e312e31"
#define IMPLICIT_LE "40 00 0011 312e322e3834302e31303030382e312e32"

static struct arena arena;

static bool decode(enum pdu_type type, struct span body, struct associate *a, struct error *err)
{
    arena_done(&arena);
    arena = arena_new(ASSOCIATE_ARENA_BYTES);
    return associate_decode(type, body, &arena, a, err);
}

TEST(associate_rq_is_decoded_as_the_tables_say)
{
    struct associate a;
    struct error err = { 0 };
    struct span body = HEX(RQ_FIXED APPLICATION "20 00 002e 05 00 ff 00" VERIFICATION IMPLICIT_LE "50 00 0052"
                                    "51 00 0004 00020000"
                                    "52 00 0003 312e32"
                                    "53 00 0004 0001 0002"
                                    "54 00 0007 0003 312e33 01 00"
                                    "55 00 0004 46414e20"
                                    "56 00 0007 0003 312e34 aabb"
                                    "57 00 0006 0003 312e35 01"
                                    "58 00 000b 02 01 0003 6d6172 0002 707a"
                                    "77 00 0000");
    CHECK(decode(PDU_A_ASSOCIATE_RQ, body, &a, &err));
    CHECK(a.protocol_version == 1);
    CHECK(span_equal(ae_title(a.called_ae), SPAN_LIT("FANAL")));
    CHECK(span_equal(ae_title(a.calling_ae), SPAN_LIT("CT1")));
    CHECK(span_equal(a.application_context, SPAN_LIT(DICOM_APPLICATION_CONTEXT)));
    CHECK(a.context_count == 1 && a.contexts[0].id == 5);
    CHECK(span_equal(a.contexts[0].abstract_syntax, SPAN_LIT("1.2.840.10008.1.1")));
    CHECK(a.contexts[0].transfer_syntax_count == 1);
    CHECK(span_equal(a.contexts[0].transfer_syntaxes[0], SPAN_LIT("1.2.840.10008.1.2")));
    CHECK(a.user.has_max_pdu_bytes && a.user.max_pdu_bytes == 131072);
    CHECK(span_equal(a.user.implementation_class_uid, SPAN_LIT("1.2")));
    CHECK(span_equal(a.user.implementation_version_name, SPAN_LIT("FAN")));
    CHECK(a.user.has_async_operations && a.user.max_operations_invoked == 1 && a.user.max_operations_performed == 2);
    CHECK(a.user.role_count == 1 && a.user.roles[0].scu && !a.user.roles[0].scp);
    CHECK(span_equal(a.user.roles[0].sop_class_uid, SPAN_LIT("1.3")));
    CHECK(a.user.extended_count == 2 && !a.user.extended[0].common && a.user.extended[1].common);
    CHECK(span_equal(a.user.extended[0].application_information, HEX("aabb")));
    CHECK(a.user.identity.present && a.user.identity.type == 2 && a.user.identity.response_requested);
    CHECK(span_equal(a.user.identity.primary, SPAN_LIT("mar")) && span_equal(a.user.identity.secondary, SPAN_LIT("pz")));
}

TEST(associate_is_refused_for_its_own_fault)
{
    const struct {
        const char *name;
        struct span body;
        enum error_code want;
    } rows[] = {
        { "nothing", HEX(""), ERR_TRUNCATED },
        { "cut in the reserved bytes", HEX("0001 0000 46414e414c"), ERR_TRUNCATED },
        { "item past the end", HEX(RQ_FIXED "10 00 0016 31"), ERR_TRUNCATED },
        { "item header cut", HEX(RQ_FIXED "10 00 00"), ERR_TRUNCATED },
        { "two application contexts", HEX(RQ_FIXED APPLICATION APPLICATION), ERR_MALFORMED },
        { "even context ID", HEX(RQ_FIXED "20 00 002e 02 00 ff 00" VERIFICATION IMPLICIT_LE), ERR_MALFORMED },
        { "no syntax at all", HEX(RQ_FIXED "20 00 0004 01 00 ff 00"), ERR_MALFORMED },
        { "no transfer syntax", HEX(RQ_FIXED "20 00 0019 01 00 ff 00" VERIFICATION), ERR_MALFORMED },
        { "two abstract syntaxes", HEX(RQ_FIXED "20 00 002e 01 00 ff 00" VERIFICATION VERIFICATION), ERR_MALFORMED },
        { "syntax past its context", HEX(RQ_FIXED "20 00 0008 01 00 ff 00 30 00 ff ff"), ERR_TRUNCATED },
        { "the same ID twice",
          HEX(RQ_FIXED "20 00 002e 01 00 ff 00" VERIFICATION IMPLICIT_LE
                       "20 00 002e 01 00 ff 00" VERIFICATION IMPLICIT_LE),
          ERR_MALFORMED },
        { "maximum length cut", HEX(RQ_FIXED "50 00 0006 51 00 0002 0001"), ERR_TRUNCATED },
        { "role past its item", HEX(RQ_FIXED "50 00 0007 54 00 0003 00ff 31"), ERR_TRUNCATED },
        { "identity cut", HEX(RQ_FIXED "50 00 000d 58 00 0009 02 01 0003 6d6172 0002"), ERR_TRUNCATED },
    };
    EACH (row, rows) {
        struct associate a;
        struct error err = { 0 };
        CHECK_ROW(row->name, !decode(PDU_A_ASSOCIATE_RQ, row->body, &a, &err) && err.code == row->want);
    }
}

/* A request of `contexts` contexts with `syntaxes` transfer syntaxes each, IDs 1, 3, 5 … */
static void write_request(struct writer *w, size_t contexts, size_t syntaxes)
{
    write_span(w, HEX(RQ_FIXED));
    for (size_t i = 0; i < contexts; i++) {
        write_u16be(w, 0x2000);
        write_u16be(w, (uint16_t)(4 + 21 + syntaxes * 68));
        write_u32be(w, (uint32_t)((2 * i + 1) % 256) << 24);
        write_span(w, HEX(VERIFICATION));
        for (size_t k = 0; k < syntaxes; k++) {
            write_u32be(w, 0x40000040);
            write_fill(w, '1', 64);
        }
    }
}

TEST(limits_hold_and_what_is_normal_fits)
{
    const struct {
        const char *name;
        size_t contexts, syntaxes;
        enum error_code want;
    } rows[] = {
        { "128 contexts of 60 long syntaxes", 128, 60, ERR_NONE },
        { "128 contexts of 100", 128, 100, ERR_NONE },
        { "129 contexts", 129, 1, ERR_LIMIT },
        { "syntaxes at the limit", 1, TRANSFER_SYNTAXES_MAX, ERR_NONE },
        { "one syntax more", 1, TRANSFER_SYNTAXES_MAX + 1, ERR_LIMIT },
    };
    EACH (row, rows) {
        struct writer w = writer_new(PDU_ASSOCIATE_MAX_BYTES);
        struct associate a;
        struct error err = { 0 };
        bool ok;

        write_request(&w, row->contexts, row->syntaxes);
        CHECK_ROW(row->name, !w.failed);
        ok = decode(PDU_A_ASSOCIATE_RQ, writer_span(&w), &a, &err);
        CHECK_ROW(row->name, ok == (row->want == ERR_NONE) && err.code == row->want);
        CHECK_ROW(row->name, !ok || a.context_count == row->contexts);
        writer_done(&w);
    }
}

TEST(roles_are_limited)
{
    struct writer w = writer_new(PDU_ASSOCIATE_MAX_BYTES);
    struct associate a;
    struct error err = { 0 };

    write_span(&w, HEX(RQ_FIXED));
    write_u16be(&w, 0x5000);
    write_u16be(&w, (USER_ITEMS_MAX + 1) * 8);
    for (size_t i = 0; i < USER_ITEMS_MAX + 1; i++)
        write_span(&w, HEX("54 00 0004 0000 01 01"));
    CHECK(!decode(PDU_A_ASSOCIATE_RQ, writer_span(&w), &a, &err) && err.code == ERR_LIMIT);
    writer_done(&w);
}

TEST(associate_survives_encode_and_decode)
{
    struct span syntaxes[] = { SPAN_LIT("1.2.840.10008.1.2.1"), SPAN_LIT("1.2.840.10008.1.2") };
    struct presentation_context contexts[] = {
        { .id = 1, .abstract_syntax = SPAN_LIT("1.2.3"), .transfer_syntaxes = syntaxes, .transfer_syntax_count = 2 },
        { .id = 255, .abstract_syntax = SPAN_LIT("1.2.4"), .transfer_syntaxes = syntaxes, .transfer_syntax_count = 1 },
    };
    struct role_selection roles[] = { { SPAN_LIT("1.2.3"), true, true } };
    struct extended_negotiation extended[] = { { false, SPAN_LIT("1.2.3"), SPAN_LIT("\1\2") },
                                               { true, SPAN_LIT("1.2.4"), SPAN_LIT("\3") } };
    struct associate a = {
        .protocol_version = 1,
        .called_ae = SPAN_LIT("FANAL"),
        .calling_ae = SPAN_LIT("A TITLE OF 16 CH"),
        .application_context = SPAN_LIT(DICOM_APPLICATION_CONTEXT),
        .contexts = contexts,
        .context_count = 2,
        .user = { .has_max_pdu_bytes = true,
                  .max_pdu_bytes = 65536,
                  .implementation_class_uid = SPAN_LIT("1.2.9"),
                  .implementation_version_name = SPAN_LIT("X_1"),
                  .has_async_operations = true,
                  .max_operations_invoked = 3,
                  .roles = roles,
                  .role_count = 1,
                  .extended = extended,
                  .extended_count = 2,
                  .identity = { true, 1, false, SPAN_LIT("u"), SPAN_LIT("") } },
    };
    struct writer w = writer_new(4096), again = writer_new(4096);
    struct pdu_header h;
    struct associate b;
    struct error err = { 0 };

    associate_encode(&w, PDU_A_ASSOCIATE_RQ, &a);
    CHECK(writer_ok(&w, &err, "request"));
    h = pdu_header_decode(w.ptr);
    CHECK(h.type == PDU_A_ASSOCIATE_RQ && h.length == w.len - PDU_HEADER_BYTES && pdu_header_check(h, &err));
    CHECK(decode(PDU_A_ASSOCIATE_RQ, span_part(writer_span(&w), PDU_HEADER_BYTES, SIZE_MAX), &b, &err));
    CHECK(b.context_count == 2 && b.contexts[1].id == 255 && b.contexts[0].transfer_syntax_count == 2);
    associate_encode(&again, PDU_A_ASSOCIATE_RQ, &b);
    CHECK(span_equal(writer_span(&w), writer_span(&again)));
    writer_done(&w);
    writer_done(&again);
}

TEST(associate_ac_carries_results)
{
    struct span syntax = SPAN_LIT("1.2.840.10008.1.2");
    struct presentation_context contexts[] = {
        { .id = 1, .result = PRESENTATION_ACCEPTED, .transfer_syntaxes = &syntax, .transfer_syntax_count = 1 },
        { .id = 3, .result = PRESENTATION_ABSTRACT_SYNTAX_NOT_SUPPORTED },
    };
    struct associate a = { .protocol_version = 1,
                           .application_context = SPAN_LIT(DICOM_APPLICATION_CONTEXT),
                           .contexts = contexts,
                           .context_count = 2 };
    struct writer w = writer_new(4096);
    struct associate b;
    struct error err = { 0 };

    associate_encode(&w, PDU_A_ASSOCIATE_AC, &a);
    CHECK(decode(PDU_A_ASSOCIATE_AC, span_part(writer_span(&w), PDU_HEADER_BYTES, SIZE_MAX), &b, &err));
    CHECK(b.context_count == 2 && b.contexts[0].result == 0 && b.contexts[1].result == 3);
    CHECK(span_equal(b.contexts[0].transfer_syntaxes[0], syntax));
    CHECK(!decode(PDU_A_ASSOCIATE_AC, HEX(RQ_FIXED "21 00 0004 01 00 00 00"), &b, &err) && err.code == ERR_MALFORMED);
    writer_done(&w);
}

TEST(headers_are_checked_before_anything_is_read)
{
    const struct {
        const char *name;
        struct pdu_header h;
        enum error_code want;
    } rows[] = {
        { "P-DATA-TF at the limit", { PDU_P_DATA_TF, PDU_P_DATA_MAX_BYTES }, ERR_NONE },
        { "P-DATA-TF beyond", { PDU_P_DATA_TF, PDU_P_DATA_MAX_BYTES + 1 }, ERR_LIMIT },
        { "A-ASSOCIATE-RQ at the limit", { PDU_A_ASSOCIATE_RQ, PDU_ASSOCIATE_MAX_BYTES }, ERR_NONE },
        { "A-ASSOCIATE-RQ beyond", { PDU_A_ASSOCIATE_RQ, 0xffffffff }, ERR_LIMIT },
        { "A-ASSOCIATE-AC beyond", { PDU_A_ASSOCIATE_AC, 0xffffffff }, ERR_LIMIT },
        { "A-RELEASE-RQ of 5", { PDU_A_RELEASE_RQ, 5 }, ERR_MALFORMED },
        { "A-RELEASE-RP of 4", { PDU_A_RELEASE_RP, 4 }, ERR_NONE },
        { "A-ABORT of 0", { PDU_A_ABORT, 0 }, ERR_MALFORMED },
        { "A-ASSOCIATE-RJ of 4", { PDU_A_ASSOCIATE_RJ, 4 }, ERR_NONE },
        { "type 0", { 0, 4 }, ERR_UNSUPPORTED },
        { "type 8", { 8, 4 }, ERR_UNSUPPORTED },
    };
    EACH (row, rows) {
        struct error err = { 0 };
        CHECK_ROW(row->name, pdu_header_check(row->h, &err) == (row->want == ERR_NONE) && err.code == row->want);
    }
}

TEST(short_pdus_have_the_bytes_of_their_tables)
{
    struct writer w = writer_new(100);
    struct associate_reject rj;
    struct associate_abort ab;

    associate_reject_encode(&w, REJECT_CALLING_AE);
    associate_reject_encode(&w, REJECT_LOCAL_LIMIT);
    release_encode(&w, PDU_A_RELEASE_RQ);
    release_encode(&w, PDU_A_RELEASE_RP);
    abort_encode(&w, (struct associate_abort){ ABORT_SERVICE_PROVIDER, ABORT_UNEXPECTED_PDU });
    CHECK(span_equal(writer_span(&w), HEX("0300 00000004 00 01 01 03  0300 00000004 00 02 03 02"
                                          "0500 00000004 00000000     0600 00000004 00000000"
                                          "0700 00000004 0000 02 02")));
    writer_done(&w);
    CHECK(associate_reject_decode(HEX("00 01 02 03"), &rj, NULL) && rj.result == 1 && rj.source == 2 && rj.reason == 3);
    CHECK(abort_decode(HEX("0000 02 06"), &ab, NULL) && ab.source == 2 && ab.reason == 6);
    CHECK(!abort_decode(HEX("0000 02"), &ab, NULL) && !associate_reject_decode(HEX("00 01 02"), &rj, NULL));
}

TEST(pdv_headers_stay_inside_their_pdu)
{
    const struct {
        const char *name;
        struct span header;
        uint32_t left;
        enum error_code want;
    } rows[] = {
        { "exactly", HEX("00000010 01 03"), 20, ERR_NONE },
        { "one too long", HEX("00000011 01 03"), 20, ERR_TRUNCATED },
        { "wraps", HEX("ffffffff 01 03"), 20, ERR_TRUNCATED },
        { "nearly wraps", HEX("fffffffc 01 03"), 0xfffffffd, ERR_TRUNCATED },
        { "no room for its header", HEX("00000001 01 03"), 20, ERR_MALFORMED },
        { "an empty fragment", HEX("00000002 01 02"), 6, ERR_NONE },
        { "even ID", HEX("00000010 02 03"), 20, ERR_MALFORMED },
    };
    uint8_t out[P_DATA_HEADERS_BYTES];
    struct pdv_header h;

    EACH (row, rows) {
        struct error err = { 0 };
        CHECK_ROW(row->name, pdv_header_decode(row->header.ptr, row->left, &h, &err) == (row->want == ERR_NONE)
                                 && err.code == row->want);
    }
    p_data_header_encode(out, 7, true, false, 0x01020304 - 6);
    CHECK(span_equal(span_of(out, sizeof out), HEX("04 00 01020304 01020300 07 01")));
    CHECK(pdv_header_decode(&out[PDU_HEADER_BYTES], 0x01020304, &h, NULL) && h.command && !h.last && h.context_id == 7);
}

TEST(ae_titles_lose_what_is_insignificant)
{
    const struct {
        const char *name;
        struct span field, want;
    } rows[] = {
        { "trailing spaces", SPAN_LIT("CT1             "), SPAN_LIT("CT1") },
        { "leading spaces", SPAN_LIT("   CT1          "), SPAN_LIT("CT1") },
        { "NULs", SPAN_LIT("CT1\0\0\0\0\0\0\0\0\0\0\0\0\0"), SPAN_LIT("CT1") },
        { "inner space", SPAN_LIT("CT 1            "), SPAN_LIT("CT 1") },
        { "only spaces", SPAN_LIT("                "), SPAN_LIT("") },
    };
    EACH (row, rows)
        CHECK_ROW(row->name, span_equal(ae_title(row->field), row->want));
}

/* Every prefix of a good request is refused, none is read past its end (ASan holds that). */
TEST(every_truncation_is_noticed)
{
    struct writer w = writer_new(PDU_ASSOCIATE_MAX_BYTES);

    write_request(&w, 3, 2);
    for (size_t len = 0; len < w.len; len++) {
        uint8_t *copy = malloc(len + 1);
        struct associate a;
        struct error err = { 0 };
        bool whole = len >= 68 && (len - 68) % (4 + 4 + 21 + 2 * 68) == 0; /* between two contexts */

        memcpy(copy, w.ptr, len);
        CHECK(decode(PDU_A_ASSOCIATE_RQ, span_of(copy, len), &a, &err) == whole);
        free(copy);
    }
    writer_done(&w);
    arena_done(&arena);
}

TESTS(T(associate_rq_is_decoded_as_the_tables_say), T(associate_is_refused_for_its_own_fault),
      T(limits_hold_and_what_is_normal_fits), T(roles_are_limited), T(associate_survives_encode_and_decode),
      T(associate_ac_carries_results), T(headers_are_checked_before_anything_is_read),
      T(short_pdus_have_the_bytes_of_their_tables), T(pdv_headers_stay_inside_their_pdu),
      T(ae_titles_lose_what_is_insignificant), T(every_truncation_is_noticed))
