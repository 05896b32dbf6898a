/* Growing bytes: what is written is read back, limits hold, a failed writer stays failed. */
#include "base/writer.h"

#include "../test.h"

TEST(what_is_written_has_the_order_asked_for)
{
    struct writer w = writer_new(64);

    write_u8(&w, 1);
    write_u16be(&w, 0x0203);
    write_u16le(&w, 0x0203);
    write_u32be(&w, 4);
    write_u32le(&w, 5);
    write_str(&w, "ab");
    write_fill(&w, 0xff, 2);
    write_printf(&w, "%d", 42);
    CHECK(span_equal(writer_span(&w), HEX("01 0203 0302 00000004 05000000 6162 ffff 3432")));
    write_patch_u16be(&w, 1, 0x0908);
    CHECK(span_equal(span_part(writer_span(&w), 1, 2), HEX("09 08")));
    writer_done(&w);
}

TEST(a_writer_never_passes_its_limit)
{
    struct writer w = writer_new(300);
    struct error err = { 0 };

    write_fill(&w, 0, 300);
    CHECK(writer_ok(&w, NULL, "row"));
    write_u8(&w, 1);
    CHECK(w.len == 300 && !writer_ok(&w, &err, "row") && err.code == ERR_LIMIT);
    write_fill(&w, 0, 0);
    CHECK(w.failed);
    writer_reset(&w);
    write_u8(&w, 1);
    CHECK(writer_ok(&w, NULL, "row") && w.len == 1);
    CHECK(write_room(&w, SIZE_MAX) == NULL && w.failed);
    writer_done(&w);
}

TESTS(T(what_is_written_has_the_order_asked_for), T(a_writer_never_passes_its_limit))
