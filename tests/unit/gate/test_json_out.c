/* JSON from senders' text: always valid, numbers as they were sent, repeated fields as arrays. */
#include "gate/web/json_out.h"

#include "../test.h"

static bool text_becomes(struct span in, const char *want)
{
    struct writer w = writer_new(1000);
    struct json j = json_into(&w);
    bool good;

    json_text(&j, in);
    good = span_equal(writer_span(&w), span_str(want));
    writer_done(&w);
    return good;
}

#define BAD "\xef\xbf\xbd"

TEST(text_is_always_valid)
{
    const struct {
        const char *name;
        struct span in;
        const char *want;
    } rows[] = {
        { "empty", HEX(""), "\"\"" },
        { "quotes and backslash", HEX("22 5c 2f"), "\"\\\"\\\\/\"" },
        { "controls", HEX("00 0a 1f 7f"), "\"\\u0000\\u000a\\u001f\\u007f\"" },
        { "two, three, four bytes", HEX("c3 89 e5 b1 b1 f0 9f 8f ae"), "\"É山🏮\"" },
        { "a lone continuation", HEX("41 80 42"), "\"A" BAD "B\"" },
        { "overlong", HEX("c0 af"), "\"" BAD BAD "\"" },
        { "overlong of three", HEX("e0 80 af"), "\"" BAD BAD BAD "\"" },
        { "a surrogate", HEX("ed a0 80"), "\"" BAD BAD BAD "\"" },
        { "beyond Unicode", HEX("f4 90 80 80"), "\"" BAD BAD BAD BAD "\"" },
        { "cut short", HEX("e5 b1"), "\"" BAD BAD "\"" },
        { "Latin-1", HEX("44 e9 66"), "\"D" BAD "f\"" },
    };

    EACH (row, rows)
        CHECK_ROW(row->name, text_becomes(row->in, row->want));
}

TEST(fields_become_members)
{
    static const enum field repeated[] = { FIELD_DISCREPANCY, FIELD_REPLACED, FIELD_MODALITY, FIELD_NONE };
    struct writer list = writer_new(4096), w = writer_new(4096);
    struct json j = json_into(&w);
    size_t mark;

    field_put_str(&list, FIELD_VALUE, "1.10");
    field_put_str(&list, FIELD_DISCREPANCY, "sex");
    field_put_uint(&list, FIELD_RECEIVED, UINT64_C(1763000000000000));
    field_put_str(&list, FIELD_VALUE, "the second is not told");
    field_put_bytes(&list, FIELD_TOKEN, SPAN_LIT("never"));
    field_put_uint(&list, (enum field)9999, 1);
    mark = field_group_begin(&list, FIELD_REPLACED);
    field_put_str(&list, FIELD_STATUS, "P");
    field_group_end(&list, mark);
    field_put_str(&list, FIELD_DISCREPANCY, "birth_date");
    json_begin(&j, '{');
    json_fields(&j, writer_span(&list), repeated);
    json_end(&j, '}');
    CHECK(span_equal(writer_span(&w), span_str("{\"value\":\"1.10\",\"received\":1763000000000000,"
                                               "\"discrepancy\":[\"sex\",\"birth_date\"],\"replaced\":[{\"status\":\"P\"}],"
                                               "\"modality\":[]}")));
    writer_reset(&w);
    j = json_into(&w);
    json_begin(&j, '{'); /* a list cut in its second field */
    json_fields(&j, span_part(writer_span(&list), 0, 14), NULL);
    json_end(&j, '}');
    CHECK(span_equal(writer_span(&w), span_str("{\"value\":\"1.10\"}")));
    writer_done(&list);
    writer_done(&w);
}

/* Groups in groups end at a bound, however deep another process nests them. */
TEST(groups_are_followed_to_a_depth)
{
    struct writer list = writer_new(4096), w = writer_new(4096);
    struct json j = json_into(&w);
    size_t marks[100];

    for (size_t i = 0; i < COUNT_OF(marks); i++)
        marks[i] = field_group_begin(&list, FIELD_PREVIOUS);
    for (size_t i = COUNT_OF(marks); i-- > 0;)
        field_group_end(&list, marks[i]);
    json_fields(&j, writer_span(&list), NULL);
    CHECK(w.len < 100 && !w.failed);
    writer_done(&list);
    writer_done(&w);
}

TESTS(T(text_is_always_valid), T(fields_become_members), T(groups_are_followed_to_a_depth))
