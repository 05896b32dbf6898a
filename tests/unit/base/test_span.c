/* Spans: comparing, cutting, trimming; sizes that refuse to wrap. */
#include "base/span.h"

#include "../test.h"

TEST(spans_compare_as_unsigned_bytes)
{
    const struct { const char *name; struct span a, b; int want; } rows[] = {
        { "equal", SPAN_LIT("ab"), SPAN_LIT("ab"), 0 },
        { "prefix first", SPAN_LIT("a"), SPAN_LIT("ab"), -1 },
        { "high bytes last", SPAN_LIT("\xe9"), SPAN_LIT("z"), 1 },
        { "empty first", SPAN_LIT(""), SPAN_LIT("a"), -1 },
    };

    EACH (row, rows) {
        CHECK_ROW(row->name, span_compare(row->a, row->b) == row->want);
        CHECK_ROW(row->name, span_compare(row->b, row->a) == -row->want);
    }
}

TEST(a_part_never_leaves_its_span)
{
    struct span s = SPAN_LIT("abcdef");

    CHECK(span_equal(span_part(s, 2, 2), SPAN_LIT("cd")));
    CHECK(span_equal(span_part(s, 4, SIZE_MAX), SPAN_LIT("ef")));
    CHECK(span_part(s, 6, 1).len == 0 && span_part(s, SIZE_MAX, SIZE_MAX).len == 0);
}

TEST(trimming_takes_the_set_and_nul)
{
    CHECK(span_equal(span_trim(span_of(" CT1 \0", 6), " "), SPAN_LIT("CT1")));
    CHECK(span_equal(span_trim(SPAN_LIT("C T"), " "), SPAN_LIT("C T")));
    CHECK(span_trim(SPAN_LIT("   "), " ").len == 0);
}

TEST(a_string_is_whole_or_nothing)
{
    char out[4];

    CHECK(span_to_str(SPAN_LIT("abc"), out, sizeof out) && strcmp(out, "abc") == 0);
    CHECK(!span_to_str(SPAN_LIT("abcd"), out, sizeof out) && out[0] == '\0');
    CHECK(!span_to_str(span_of("a\0b", 3), out, sizeof out) && out[0] == '\0');
}

TEST(sizes_do_not_wrap)
{
    size_t n = 7;

    CHECK(size_add(1, 2, &n) && n == 3);
    CHECK(!size_add(SIZE_MAX, 1, &n) && n == 3);
    CHECK(!size_mul(SIZE_MAX / 2, 3, &n) && n == 3);
}

TESTS(T(spans_compare_as_unsigned_bytes), T(a_part_never_leaves_its_span), T(trimming_takes_the_set_and_nul),
      T(a_string_is_whole_or_nothing), T(sizes_do_not_wrap))
