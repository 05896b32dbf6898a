#include "dicom/dictionary.h"
#include "dicom/part10.h"

#include "../test.h"
#include "elements.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"

TEST(a_header_reads_back)
{
    struct writer out = writer_new(4096);
    struct error err = { 0 };
    struct part10 file;

    CHECK(part10_header(&out, span_str(CT), span_str("1.2.3"), span_str(BASELINE), span_str("CT1"), &err));
    CHECK(out.len % 2 == 0);
    write_str(&out, "data set");
    CHECK(part10_read(writer_span(&out), &file, &err) && file.has_meta);
    CHECK(span_equal(file.sop_class_uid, span_str(CT)) && span_equal(file.sop_instance_uid, span_str("1.2.3")));
    CHECK(file.syntax == transfer_syntax_find(span_str(BASELINE)) && file.data_set_offset == out.len - 8);
    writer_done(&out);
}

/* PS3.10 Table 7.1-1, byte by byte. */
TEST(a_header_is_what_the_standard_says)
{
    struct writer out = writer_new(4096);
    struct error err = { 0 };

    CHECK(part10_header(&out, span_str("1.2.34"), span_str("1.2"), span_str("1.2.5"), span_str(""), &err));
    for (size_t i = 0; i < 128; i++)
        CHECK(out.ptr[i] == 0);
    CHECK(span_equal(span_part(writer_span(&out), 128, 16), HEX("4449434d 0200 0000 554c 0400 7a000000")));
    CHECK(span_equal(span_part(writer_span(&out), 144, 14), HEX("0200 0100 4f42 0000 02000000 0001")));
    CHECK(span_equal(span_part(writer_span(&out), 158, 14), HEX("0200 0200 5549 0600 312e322e3334")));
    CHECK(span_equal(span_part(writer_span(&out), 172, 12), HEX("0200 0300 5549 0400 312e3200")));
    CHECK(span_equal(span_part(writer_span(&out), 184, 14), HEX("0200 1000 5549 0600 312e322e3500")));
    CHECK(out.len == 144 + 0x7a); /* the group length is right */
    CHECK(uid_is_valid(span_str(IMPLEMENTATION_CLASS_UID)));
    writer_done(&out);
}

TEST(a_header_needs_valid_uids)
{
    struct writer out = writer_new(4096);
    struct error err = { 0 };

    CHECK(!part10_header(&out, span_str(CT), span_str("x"), span_str(BASELINE), span_str(""), &err));
    CHECK(err.code == ERR_MALFORMED && out.len == 0);
    out.limit = 100;
    CHECK(!part10_header(&out, span_str(CT), span_str("1.2"), span_str(BASELINE), span_str(""), &err));
    CHECK(err.code == ERR_LIMIT || err.code == ERR_MEMORY);
    writer_done(&out);
}

TEST(files_of_all_sorts)
{
    const struct {
        const char *name;
        struct span head;
        const char *syntax; /* NULL: refused */
        size_t offset;
        enum error_code error;
    } rows[] = {
        { "no preamble, group 2", HEX("0200 1000 5549 1400 312e322e3834302e31303030382e312e322e3100 0800 0500"),
          EXPLICIT, 28, 0 },
        { "group 2 in implicit VR", HEX("0200 1000 12000000 312e322e3834302e31303030382e312e3200 0800 0500"), IMPLICIT,
          26, 0 },
        { "bare, explicit", HEX("0800 0500 4353 0a00"), EXPLICIT, 0, 0 },
        { "bare, implicit", HEX("0800 0500 0a000000"), IMPLICIT, 0, 0 },
        { "bare, big endian", HEX("0008 0005 4353 000a"), BIG, 0, 0 },
        { "ends in group 2", HEX("0200 1000 5549 1400 312e"), NULL, 0, ERR_TRUNCATED },
        { "text", SPAN_LIT("%PDF-1.4 and so on"), NULL, 0, ERR_MALFORMED },
        { "zeros", HEX("0000000000000000 0000000000000000"), NULL, 0, ERR_MALFORMED },
        { "nothing", SPAN_LIT(""), NULL, 0, ERR_MALFORMED },
    };

    EACH(row, rows)
    {
        struct part10 file;
        struct error err = { 0 };
        bool ok = part10_read(row->head, &file, &err);

        CHECK_ROW(row->name, ok == (row->syntax != NULL) && err.code == row->error);
        if (ok)
            CHECK_ROW(row->name, span_equal(file.transfer_syntax_uid, span_str(row->syntax))
                                     && file.data_set_offset == row->offset);
    }
}

TESTS(T(a_header_reads_back), T(a_header_is_what_the_standard_says), T(a_header_needs_valid_uids),
      T(files_of_all_sorts))
