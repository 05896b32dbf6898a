/* The checking cursor: both byte orders, and every way to run dry. */
#include "base/reader.h"

#include "../test.h"

TEST(reader_reads_both_orders)
{
    struct reader r = reader_over(HEX("01 0203 0302 00000004 05000000"));

    CHECK(read_u8(&r) == 1);
    CHECK(read_u16be(&r) == 0x0203);
    CHECK(read_u16le(&r) == 0x0203);
    CHECK(read_u32be(&r) == 4);
    CHECK(read_u32le(&r) == 5);
    CHECK(reader_left(&r) == 0 && !r.dry);
}

TEST(reader_stays_dry)
{
    struct reader r = reader_over(HEX("01 02 03"));
    struct error err = { 0 };

    CHECK(read_u32be(&r) == 0);
    CHECK(read_u8(&r) == 0);
    CHECK(!reader_complete(&r, &err, "item") && err.code == ERR_TRUNCATED);
}

TEST(reader_refuses_a_length_that_lies)
{
    struct reader r = reader_over(HEX("ff ff ff ff"));

    CHECK(read_span(&r, SIZE_MAX).len == 0);
    CHECK(r.dry);
}

TESTS(T(reader_reads_both_orders), T(reader_stays_dry), T(reader_refuses_a_length_that_lies))
