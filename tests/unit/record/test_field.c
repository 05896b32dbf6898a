/* Field lists: what is written is read back; what lies ends at the lie. */
#include "record/field.h"

#include "../test.h"

TEST(a_list_is_read_as_it_was_written)
{
    struct writer w = writer_new(1000);
    struct fields_reader r;
    struct field_value v;
    size_t group;

    field_put_str(&w, FIELD_STUDY_UID, "1.2.3");
    field_put_uint(&w, FIELD_ROWS, 512);
    field_put_some(&w, FIELD_ACCESSION, SPAN_LIT(""));
    group = field_group_begin(&w, FIELD_REPORT);
    field_put_str(&w, FIELD_CODE, "K");
    field_group_end(&w, group);
    field_put_str(&w, FIELD_PATIENT_ID, "42");
    r = fields_over(writer_span(&w));
    CHECK(fields_next(&r, &v) && v.field == FIELD_STUDY_UID && span_equal(v.value, SPAN_LIT("1.2.3")));
    CHECK(fields_next(&r, &v) && v.field == FIELD_ROWS && field_uint(v.value) == 512);
    CHECK(fields_next(&r, &v) && v.field == FIELD_REPORT && span_equal(fields_text(v.value, FIELD_CODE), SPAN_LIT("K")));
    CHECK(fields_next(&r, &v) && v.field == FIELD_PATIENT_ID);
    CHECK(!fields_next(&r, &v) && fields_complete(&r, NULL));
    CHECK(fields_uint(writer_span(&w), FIELD_COLUMNS, 7) == 7);
    writer_done(&w);
}

TEST(a_length_that_lies_ends_the_list)
{
    struct fields_reader r = fields_over(HEX("3200 05000000 312e"));
    struct field_value v;
    struct error err = { 0 };

    CHECK(!fields_next(&r, &v));
    CHECK(!fields_complete(&r, &err) && err.code == ERR_TRUNCATED);
    CHECK(field_uint(HEX("01 02")) == 0);
}

TEST(every_field_has_one_number_and_one_name)
{
    static const enum field all[] = {
#define FIELD(number, symbol, name, type) FIELD_##symbol,
#include "record/field_list.h"
#undef FIELD
    };

    for (size_t i = 0; i < COUNT_OF(all); i++)
        for (size_t j = i + 1; j < COUNT_OF(all); j++)
            CHECK_ROW(field_name(all[i]), strcmp(field_name(all[i]), field_name(all[j])) != 0);
    CHECK(field_name((enum field)9999) == NULL);
}

TESTS(T(a_list_is_read_as_it_was_written), T(a_length_that_lies_ends_the_list), T(every_field_has_one_number_and_one_name))
