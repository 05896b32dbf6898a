#include "dicom/dictionary.h"
#include "dicom/transfer_syntax.h"

#include "../test.h"

TEST(vrs_of_tags)
{
    const struct {
        const char *name;
        uint32_t tag;
        enum vr want;
    } rows[] = {
        { "Patient's Name", TAG(0x0010, 0x0010), VR_PN },
        { "Study Instance UID", TAG(0x0020, 0x000D), VR_UI },
        { "first of the table", TAG(0x0000, 0x0002), VR_UI },
        { "last of the table", TAG(0xFFFC, 0xFFFC), VR_OB },
        { "Smallest Image Pixel Value", TAG(0x0028, 0x0106), VR_US_SS },
        { "Pixel Data", TAG(0x7FE0, 0x0010), VR_OB_OW },
        { "Per-Frame Functional Groups", TAG(0x5200, 0x9230), VR_SQ },
        { "group length of any group", TAG(0x0008, 0x0000), VR_UL },
        { "group length, private", TAG(0x0009, 0x0000), VR_UL },
        { "Overlay Data of the third overlay", TAG(0x6004, 0x3000), VR_OB_OW },
        { "Overlay Rows", TAG(0x6000, 0x0010), VR_US },
        { "Curve Data", TAG(0x5002, 0x3000), VR_OB_OW },
        { "Source Image IDs", TAG(0x0020, 0x3142), VR_CS },
        { "private creator", TAG(0x0009, 0x0010), VR_LO },
        { "private, odd 60xx group is no overlay", TAG(0x6001, 0x3000), VR_UN },
        { "private", TAG(0x0009, 0x1001), VR_UN },
        { "unknown", TAG(0x0008, 0xFFF0), VR_UN },
    };

    EACH(row, rows)
    CHECK_ROW(row->name, dictionary_vr(row->tag) == row->want);
}

TEST(vrs_of_letters)
{
    CHECK(vr_of_letters('P', 'N') == VR_PN && vr_of_letters('U', 'V') == VR_UV && vr_of_letters('A', 'E') == VR_AE);
    CHECK(vr_of_letters('U', 'S') == VR_US); /* not the dictionary's US/SS */
    CHECK(vr_of_letters('?', '?') == VR_NONE && vr_of_letters(' ', ' ') == VR_NONE
          && vr_of_letters('p', 'n') == VR_NONE);
    for (enum vr vr = VR_AE; vr < VR_US_SS; vr++)
        CHECK(vr_of_letters((uint8_t)vr_name(vr)[0], (uint8_t)vr_name(vr)[1]) == vr);
}

/* PS3.5 Table 7.1-1. */
TEST(long_headers_are_those_of_the_standard)
{
    const char *const want = "OB OD OF OL OV OW SQ SV UC UN UR UT UV";

    for (enum vr vr = VR_AE; vr < VR_US_SS; vr++)
        CHECK_ROW(vr_name(vr), vr_has_long_header(vr) == (strstr(want, vr_name(vr)) != NULL));
}

TEST(uids_are_found)
{
    const struct {
        const char *uid;
        bool known, storage;
    } rows[] = {
        { "1.2.840.10008.1.1", true, false },           /* Verification */
        { "1.2.840.10008.5.1.4.1.1.2", true, true },    /* CT */
        { "1.2.840.10008.5.1.4.1.1.6", true, true },    /* ultrasound, retired */
        { "1.2.840.10008.5.1.1.29", true, true },       /* hardcopy grayscale, retired */
        { "1.2.840.10008.5.1.4.1.1.88.2", true, true }, /* Audio SR, trial */
        { "1.2.840.10008.5.1.4.38.1", true, true },     /* Hanging Protocol: PS3.4 Annex GG */
        { "1.2.840.10008.5.1.4.1.1.66.7", true, true }, /* Label Map Segmentation: 2024 */
        { "1.2.840.10008.1.20.1", true, false },        /* Storage Commitment */
        { "1.2.840.10008.1.3.10", true, false },        /* a DICOMDIR: of media, not of networks */
        { "1.2.840.10008.5.1.4.1.2.2.1", true, false }, /* Study Root FIND */
        { "1.2.840.10008.1.2.1", true, false },
        { "1.2.840.10008.5.1.4.1.1", false, false },
        { "", false, false },
        { "1.2.3", false, false },
    };

    EACH(row, rows)
    {
        CHECK_ROW(row->uid, (uid_find(span_str(row->uid)) != NULL) == row->known);
        CHECK_ROW(row->uid, sop_class_is_storage(span_str(row->uid)) == row->storage);
    }
}

TEST(uids_are_digits_and_dots)
{
    const struct {
        const char *uid;
        bool valid;
    } rows[] = {
        { "1.2.840.10008.1.1", true },
        { "0", true },
        { "1.02.3", true }, /* a leading zero breaks §9.1, and devices send it */
        { "1234567890123456789012345678901234567890123456789012345678901234", true },
        { "12345678901234567890123456789012345678901234567890123456789012345", false },
        { "", false },
        { ".1", false },
        { "1.", false },
        { "1..2", false },
        { "1.2a", false },
        { "1.2\\1.3", false },
        { "../1", false },
        { " 1.2", false },
    };

    EACH(row, rows)
    CHECK_ROW(row->uid, uid_is_valid(span_str(row->uid)) == row->valid);
    CHECK(span_equal(uid_trim(SPAN_LIT("1.2\0")), SPAN_LIT("1.2")));
}

TEST(transfer_syntaxes_have_their_properties)
{
    const struct {
        const char *uid;
        bool big_endian, explicit_vr, deflated, encapsulated;
        enum loss loss;
        unsigned rank;
    } rows[] = {
        { "1.2.840.10008.1.2.1", false, true, false, false, LOSS_NONE, 1 },
        { "1.2.840.10008.1.2", false, false, false, false, LOSS_NONE, 2 },
        { "1.2.840.10008.1.2.2", true, true, false, false, LOSS_NONE, 3 },
        { "1.2.840.10008.1.2.1.99", false, true, true, false, LOSS_NONE, 4 },
        { "1.2.840.10008.1.2.4.70", false, true, false, true, LOSS_LOSSLESS, 5 },
        { "1.2.840.10008.1.2.5", false, true, false, true, LOSS_LOSSLESS, 5 },
        { "1.2.840.10008.1.2.4.80", false, true, false, true, LOSS_LOSSLESS, 5 },
        { "1.2.840.10008.1.2.4.90", false, true, false, true, LOSS_LOSSLESS, 5 },
        { "1.2.840.10008.1.2.4.201", false, true, false, true, LOSS_LOSSLESS, 5 },
        { "1.2.840.10008.1.2.4.50", false, true, false, true, LOSS_LOSSY, 6 },
        { "1.2.840.10008.1.2.4.91", false, true, false, true, LOSS_LOSSY, 6 },
        { "1.2.840.10008.1.2.4.102", false, true, false, true, LOSS_LOSSY, 6 },
    };

    EACH(row, rows)
    {
        const struct transfer_syntax *s = transfer_syntax_find(span_str(row->uid));

        CHECK_ROW(row->uid, s != NULL && s->big_endian == row->big_endian && s->explicit_vr == row->explicit_vr);
        CHECK_ROW(row->uid, s->deflated == row->deflated && s->encapsulated == row->encapsulated);
        CHECK_ROW(row->uid, s->loss == row->loss && transfer_syntax_rank(s) == row->rank);
    }
    CHECK(transfer_syntax_find(span_str("1.2.840.10008.1.1")) == NULL && transfer_syntax_find(span_str("")) == NULL);
}

TESTS(T(vrs_of_tags), T(vrs_of_letters), T(long_headers_are_those_of_the_standard), T(uids_are_found),
      T(uids_are_digits_and_dots), T(transfer_syntaxes_have_their_properties))
