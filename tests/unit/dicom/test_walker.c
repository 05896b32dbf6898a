/* What the walker keeps, in every syntax, and where it stops. */
#include <zlib.h>

#include "dicom/inflate.h"
#include "dicom/walker.h"
#include "dicom/walker_kept.h"

#include "../test.h"
#include "elements.h"

static void put_palette(struct builder *b)
{
    const uint16_t descriptor[] = { 2, 0, 16 }, colours[] = { 0x0102, 0xFFFE };

    for (uint16_t i = 0; i < 3; i++)
        put_words(b, TAG(0x0028, 0x1101 + i), VR_US, descriptor, 3);
    for (uint16_t i = 0; i < 3; i++)
        put_words(b, TAG(0x0028, 0x1201 + i), VR_OW, colours, 2);
}

/* A little of everything. */
static void put_object(struct builder *b)
{
    const uint16_t pixels[] = { 1, 2, 3, 4 }, minus_two = 0xFFFE;

    put_text(b, TAG(0x0008, 0x0005), VR_CS, "ISO_IR 100");
    put_text(b, TAG(0x0008, 0x0016), VR_UI, "1.2.840.10008.5.1.4.1.1.2");
    put_text(b, TAG(0x0008, 0x0018), VR_UI, "1.2.3.4");
    put_text(b, TAG(0x0008, 0x0060), VR_CS, "CT");
    put_text(b, TAG(0x0010, 0x0010), VR_PN, "D\xfcrr^J\xe9r\xf4me==");
    put_text(b, TAG(0x0010, 0x0020), VR_LO, " 4711 ");
    put_text(b, TAG(0x0010, 0x0021), VR_LO, "HOSPITAL");
    begin_sequence(b, TAG(0x0010, 0x1002));
    for (unsigned i = 0; i < 2; i++) {
        begin_item(b);
        put_text(b, TAG(0x0010, 0x0020), VR_LO, i == 0 ? "A" : "B");
        put_text(b, TAG(0x0010, 0x0021), VR_LO, i == 0 ? "X" : "");
        end_item(b);
    }
    end_sequence(b);
    put_text(b, TAG(0x0020, 0x000D), VR_UI, "1.2.3");
    put_text(b, TAG(0x0020, 0x0037), VR_DS, "1\\0\\0\\0\\1\\0");
    put_word(b, TAG(0x0028, 0x0002), 1);
    put_text(b, TAG(0x0028, 0x0008), VR_IS, "12 ");
    put_word(b, TAG(0x0028, 0x0010), 2);
    put_word(b, TAG(0x0028, 0x0011), 512);
    put_word(b, TAG(0x0028, 0x0103), 1);
    put_words(b, TAG(0x0028, 0x0106), VR_SS, &minus_two, 1);
    put_palette(b);
    put_words(b, TAG(0x7FE0, 0x0010), VR_OW, pixels, 4);
}

static struct walker *walk_all(const char *syntax, struct span bytes, size_t piece, bool want)
{
    struct error err = { 0 };
    struct walker *w = walker_new(&err);
    bool ok = walker_begin(w, transfer_syntax_find(span_str(syntax)), &err);

    for (size_t at = 0; at < bytes.len && ok; at += piece)
        ok = walker_feed(w, span_part(bytes, at, piece), &err);
    ok = ok && walker_finish(w, &err);
    if (ok != want)
        print_message("# %s\n", err.text);
    assert_int_equal(ok, want);
    return w;
}

static void expect_text(struct span facts, enum field field, const char *want)
{
    struct span have = fields_text(facts, field);

    if (!span_equal(have, span_str(want)))
        print_message("# %s: \"%.*s\", not \"%s\"\n", field_name(field), (int)have.len, (const char *)have.ptr, want);
    assert_true(span_equal(have, span_str(want)));
}

static void expect_object(struct span facts)
{
    struct span group;

    expect_text(facts, FIELD_PATIENT_NAME, "Dürr^Jérôme");
    expect_text(facts, FIELD_PATIENT_ID, "4711");
    expect_text(facts, FIELD_ISSUER, "HOSPITAL");
    expect_text(facts, FIELD_STUDY_UID, "1.2.3");
    expect_text(facts, FIELD_SOP_UID, "1.2.3.4");
    expect_text(facts, FIELD_IMAGE_ORIENTATION, "1\\0\\0\\0\\1\\0");
    expect_text(facts, FIELD_SMALLEST_PIXEL, "-2");
    expect_text(facts, FIELD_CHARACTER_SET, "ISO_IR 100");
    assert_int_equal(fields_uint(facts, FIELD_FRAMES, 0), 12);
    assert_int_equal(fields_uint(facts, FIELD_COLUMNS, 0), 512);
    assert_true(fields_find(facts, FIELD_OTHER_ID, &group));
    expect_text(group, FIELD_PATIENT_ID, "A");
    expect_text(group, FIELD_ISSUER, "X");
    assert_true(fields_find(facts, FIELD_PALETTE, &group));
    expect_text(group, FIELD_PALETTE_DESCRIPTOR, "2\\0\\16");
    assert_true(span_equal(fields_text(group, FIELD_PALETTE_DATA), HEX("0201 feff")));
}

TEST(an_object_is_the_same_in_every_syntax)
{
    const char *const syntaxes[] = { IMPLICIT, EXPLICIT, BIG };

    EACH(syntax, syntaxes)
    for (size_t piece = 1; piece < 900; piece = piece * 3 + 1) {
        struct builder b = builder_new(*syntax);
        struct writer facts = writer_new(WALKER_FACTS_MAX);
        struct error err = { 0 };
        struct walker *w;

        put_object(&b);
        w = walk_all(*syntax, writer_span(&b.w), piece, true);
        CHECK(walker_study_uid_known(w) && span_equal(walker_value(w, FIELD_STUDY_UID), span_str("1.2.3")));
        CHECK(walker_facts(w, &facts, &err) && !walker_text_was_damaged(w));
        expect_object(writer_span(&facts));
        expect_text(writer_span(&facts), FIELD_TRANSFER_SYNTAX, *syntax);
        CHECK(fields_uint(writer_span(&facts), FIELD_PIXEL_LENGTH, 0) == 8);
        CHECK(fields_uint(writer_span(&facts), FIELD_PIXEL_OFFSET, 0) == b.w.len - 8);
        CHECK(fields_uint(writer_span(&facts), FIELD_BIG_ENDIAN, 0) == (strcmp(*syntax, BIG) == 0));
        walker_free(w);
        writer_done(&facts);
        writer_done(&b.w);
    }
}

/* Raw deflate (PS3.5 §A.5). */
static void deflate_all(struct span bytes, struct writer *out)
{
    z_stream z = { 0 };

    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (z_const Bytef *)bytes.ptr;
    z.avail_in = (unsigned)bytes.len;
    z.avail_out = (unsigned)deflateBound(&z, bytes.len);
    z.next_out = write_room(out, z.avail_out);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len -= z.avail_out;
    (void)deflateEnd(&z);
}

TEST(a_deflated_object_is_read_and_has_no_pixel_range)
{
    struct builder b = builder_new(EXPLICIT);
    struct writer deflated = writer_new(1 << 20), facts = writer_new(WALKER_FACTS_MAX);
    struct error err = { 0 };
    struct span unused;

    put_object(&b);
    deflate_all(writer_span(&b.w), &deflated);
    write_u8(&deflated, 0); /* pads to even length */
    for (size_t piece = 1; piece < 900; piece = piece * 3 + 1) {
        struct walker *w = walk_all(DEFLATED, writer_span(&deflated), piece, true);

        writer_reset(&facts);
        CHECK(walker_facts(w, &facts, &err));
        expect_object(writer_span(&facts));
        CHECK(!fields_find(writer_span(&facts), FIELD_PIXEL_OFFSET, &unused));
        walker_free(w);
    }
    walker_free(walk_all(DEFLATED, span_part(writer_span(&deflated), 0, deflated.len / 2), 100, false));
    walker_free(walk_all(DEFLATED, HEX("ffffffffffff"), 100, false));
    writer_done(&deflated);
    writer_done(&facts);
    writer_done(&b.w);
}

static bool swallow(void *context, struct span bytes, struct error *err)
{
    (void)context;
    (void)bytes;
    (void)err;
    return true;
}

TEST(what_inflates_without_end_is_stopped)
{
    struct builder zeros = builder_new(EXPLICIT);
    struct writer deflated = writer_new(1 << 21);
    struct inflate z = { 0 };
    struct error err = { 0 };

    write_fill(&zeros.w, 0, 1 << 20);
    deflate_all(writer_span(&zeros.w), &deflated);
    CHECK(inflate_begin(&z, &err) && z.limit == INFLATE_OUTPUT_MAX);
    z.limit = (1 << 20) - 1;
    CHECK(!inflate_feed(&z, writer_span(&deflated), swallow, NULL, &err) && err.code == ERR_LIMIT);
    CHECK(inflate_begin(&z, &err));
    z.limit = 1 << 20;
    CHECK(inflate_feed(&z, writer_span(&deflated), swallow, NULL, &err) && inflate_finish(&z, &err));
    inflate_done(&z);
    writer_done(&deflated);
    writer_done(&zeros.w);
}

TEST(encapsulated_pixels_are_pointed_at)
{
    struct builder b = builder_new(BASELINE);
    struct writer facts = writer_new(WALKER_FACTS_MAX);
    struct error err = { 0 };
    struct walker *w;
    struct span unused;
    size_t value;

    put_word(&b, TAG(0x0028, 0x0010), 2);
    put_header(&b, TAG(0x7FE0, 0x0010), VR_OB, UINT32_MAX);
    value = b.w.len;
    put_header(&b, TAG(0xFFFE, 0xE000), VR_NONE, 0);
    put_header(&b, TAG(0xFFFE, 0xE000), VR_NONE, 2);
    write_u16be(&b.w, 0xFFD8);
    end_sequence(&b);
    w = walk_all(BASELINE, writer_span(&b.w), 7, true);
    CHECK(walker_facts(w, &facts, &err));
    CHECK(fields_uint(writer_span(&facts), FIELD_PIXEL_OFFSET, 0) == value);
    CHECK(fields_uint(writer_span(&facts), FIELD_PIXEL_ENCAPSULATED, 0) == 1);
    CHECK(!fields_find(writer_span(&facts), FIELD_PIXEL_LENGTH, &unused));
    walker_free(w);
    writer_done(&facts);
    writer_done(&b.w);
}

/* A functional group: a sequence of one item with one attribute. */
static void put_group(struct builder *b, uint32_t sequence, uint32_t tag, const char *value)
{
    begin_sequence(b, sequence);
    begin_item(b);
    put_text(b, tag, VR_DS, value);
    end_item(b);
    end_sequence(b);
}

TEST(enhanced_objects_say_it_in_their_first_frame)
{
    struct builder b = builder_new(EXPLICIT);
    struct writer facts = writer_new(WALKER_FACTS_MAX);
    struct error err = { 0 };
    struct walker *w;

    begin_sequence(&b, TAG(0x5200, 0x9229));
    begin_item(&b);
    put_group(&b, TAG(0x0028, 0x9110), TAG(0x0028, 0x0030), "0.5\\0.5");
    put_group(&b, TAG(0x0028, 0x9145), TAG(0x0028, 0x1053), "1");
    end_item(&b);
    end_sequence(&b);
    begin_sequence(&b, TAG(0x5200, 0x9230));
    for (unsigned frame = 1; frame <= 3; frame++) {
        begin_item(&b);
        put_group(&b, TAG(0x0020, 0x9113), TAG(0x0020, 0x0032), frame == 1 ? "1\\2\\3" : "9\\9\\9");
        put_group(&b, TAG(0x0028, 0x9145), TAG(0x0028, 0x1053), frame == 1 ? "2" : "3");
        end_item(&b);
    }
    end_sequence(&b);
    w = walk_all(EXPLICIT, writer_span(&b.w), 11, true);
    CHECK(walker_facts(w, &facts, &err));
    expect_text(writer_span(&facts), FIELD_IMAGE_POSITION, "1\\2\\3");
    expect_text(writer_span(&facts), FIELD_PIXEL_SPACING, "0.5\\0.5");
    expect_text(writer_span(&facts), FIELD_RESCALE_SLOPE, "2"); /* its own before what is shared */
    walker_free(w);
    writer_done(&facts);
    writer_done(&b.w);
}

TEST(what_is_no_uid_is_refused_by_name)
{
    const struct {
        const char *name;
        uint32_t tag;
        const char *uid;
    } rows[] = {
        { "Study Instance UID", TAG(0x0020, 0x000D), "../../etc/passwd" },
        { "Series Instance UID", TAG(0x0020, 0x000E), "1.2.a" },
        { "SOP Instance UID", TAG(0x0008, 0x0018), "1.2\\1.3" },
        { "SOP Class UID", TAG(0x0008, 0x0016),
          "1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24.25.26.27.28.29" },
    };

    EACH(row, rows)
    {
        struct builder b = builder_new(EXPLICIT);
        struct error err = { 0 };
        struct walker *w = walker_new(&err);
        struct writer facts = writer_new(WALKER_FACTS_MAX);

        put_text(&b, row->tag, VR_UI, row->uid);
        put_text(&b, TAG(0x0040, 0x0001), VR_AE, "X");
        CHECK(walker_begin(w, b.syntax, &err) && walker_feed(w, writer_span(&b.w), &err));
        CHECK_ROW(row->name, !walker_finish(w, &err) && err.code == ERR_REFUSED);
        CHECK_ROW(row->name, strstr(err.text, row->name) != NULL && strstr(err.text, row->uid) == NULL);
        CHECK_ROW(row->name, !walker_finish(w, &err) && err.code == ERR_REFUSED);
        CHECK_ROW(row->name, walker_facts(w, &facts, &err) && walker_value(w, FIELD_STUDY_UID).len == 0);
        walker_free(w);
        writer_done(&facts);
        writer_done(&b.w);
    }
}

TEST(values_beyond_their_limit_are_left_out_whole)
{
    struct builder b = builder_new(EXPLICIT);
    struct writer facts = writer_new(WALKER_FACTS_MAX);
    struct error err = { 0 };
    struct walker *w;

    put_header(&b, TAG(0x0010, 0x0020), VR_LO, 1024);
    write_fill(&b.w, '1', 1024);
    put_header(&b, TAG(0x0010, 0x0021), VR_LO, 1026);
    write_fill(&b.w, '2', 1026);
    w = walk_all(EXPLICIT, writer_span(&b.w), 100, true);
    CHECK(walker_facts(w, &facts, &err));
    CHECK(fields_text(writer_span(&facts), FIELD_PATIENT_ID).len == 1024);
    CHECK(fields_text(writer_span(&facts), FIELD_ISSUER).len == 0);
    walker_free(w);
    writer_done(&facts);
    writer_done(&b.w);
}

/* Everything wanted, as long as it may be and in bytes that triple: the facts still fit their limit. */
TEST(the_fullest_object_fits_the_limit_of_facts)
{
    struct builder b = builder_new(IMPLICIT);
    struct writer facts = writer_new(WALKER_FACTS_MAX);
    struct error err = { 0 };
    struct walker *w;

    for (size_t i = 0; i < WANTED_TOP_COUNT; i++) {
        put_header(&b, wanted_top[i].tag, VR_LO,
                   wanted_top[i].form == FORM_PALETTE_DATA ? 8192
                   : wanted_top[i].form == FORM_TEXT       ? 1024
                                                           : 0);
        write_fill(&b.w, 0xE9,
                   wanted_top[i].form == FORM_PALETTE_DATA ? 8192
                   : wanted_top[i].form == FORM_TEXT       ? 1024
                                                           : 0);
    }
    w = walk_all(IMPLICIT, writer_span(&b.w), 5000, true);
    CHECK(walker_facts(w, &facts, &err) && walker_text_was_damaged(w));
    walker_free(w);
    writer_done(&facts);
    writer_done(&b.w);
}

TEST(sent_as_un_and_of_two_the_first)
{
    struct builder b = builder_new(EXPLICIT);
    struct writer facts = writer_new(WALKER_FACTS_MAX);
    struct error err = { 0 };
    struct walker *w;

    put_text(&b, TAG(0x0008, 0x0005), VR_UN, "ISO_IR 100");
    put_text(&b, TAG(0x0010, 0x0010), VR_UN, "D\xfcrr");
    put_text(&b, TAG(0x0010, 0x0010), VR_PN, "Other");
    put_header(&b, TAG(0x0028, 0x0010), VR_UN, 2);
    write_u16le(&b.w, 7);
    w = walk_all(EXPLICIT, writer_span(&b.w), 3, true);
    CHECK(walker_facts(w, &facts, &err));
    expect_text(writer_span(&facts), FIELD_PATIENT_NAME, "Dürr");
    CHECK(fields_uint(writer_span(&facts), FIELD_ROWS, 0) == 7);
    walker_free(w);
    writer_done(&facts);
    writer_done(&b.w);
}

TEST(a_walker_forgets_the_object_before)
{
    struct builder b = builder_new(EXPLICIT), empty = builder_new(EXPLICIT);
    struct writer facts = writer_new(WALKER_FACTS_MAX);
    struct error err = { 0 };
    struct walker *w;

    put_object(&b);
    w = walk_all(EXPLICIT, span_part(writer_span(&b.w), 0, b.w.len - 1), 999, false);
    CHECK(!walker_feed(w, HEX("00"), &err) && err.code == ERR_TRUNCATED); /* fails again in the same way */
    CHECK(walker_begin(w, empty.syntax, &err) && walker_finish(w, &err) && walker_facts(w, &facts, &err));
    CHECK(!walker_study_uid_known(w) && fields_text(writer_span(&facts), FIELD_PATIENT_NAME).len == 0);
    walker_free(w);
    writer_done(&facts);
    writer_done(&b.w);
    writer_done(&empty.w);
}

TEST(the_table_ascends)
{
    for (size_t i = 1; i < WANTED_TOP_COUNT; i++)
        CHECK(wanted_top[i - 1].tag < wanted_top[i].tag);
    CHECK(wanted_top[WANTED_TOP_COUNT - 1].field != FIELD_NONE);
    CHECK(wanted_groups[WANTED_GROUPS_COUNT - 1].field != FIELD_NONE);
}

TESTS(T(an_object_is_the_same_in_every_syntax), T(a_deflated_object_is_read_and_has_no_pixel_range),
      T(what_inflates_without_end_is_stopped), T(encapsulated_pixels_are_pointed_at),
      T(enhanced_objects_say_it_in_their_first_frame), T(what_is_no_uid_is_refused_by_name),
      T(values_beyond_their_limit_are_left_out_whole), T(the_fullest_object_fits_the_limit_of_facts),
      T(sent_as_un_and_of_two_the_first), T(a_walker_forgets_the_object_before), T(the_table_ascends))
