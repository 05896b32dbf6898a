/* Frames out of bytes, however they are cut. */
#include "hl7/mllp.h"

#include "../test.h"

/* What comes out of bytes given `step` at a time: messages in brackets, "!" for one that was too long. */
static void frames(struct span bytes, size_t step, size_t message_max, struct writer *out)
{
    struct mllp p = mllp_new(message_max);

    for (size_t at = 0; at < bytes.len; at += step) {
        struct span input = span_part(bytes, at, step);

        while (input.len > 0) {
            enum mllp_event e = mllp_take(&p, &input);

            if (e == MLLP_MORE)
                continue;
            write_str(out, e == MLLP_TOO_LONG ? "!(" : "(");
            write_span(out, mllp_message(&p));
            write_str(out, ")");
        }
    }
    if (mllp_pause(&p) == MLLP_MESSAGE) {
        write_str(out, "paused(");
        write_span(out, mllp_message(&p));
        write_str(out, ")");
    }
    mllp_done(&p);
}

TEST(frames_are_found_however_the_bytes_are_cut)
{
    static const struct {
        const char *name;
        struct span bytes;
        const char *frames;
    } rows[] = {
        { "one", SPAN_LIT("\x0bMSH\x1c\r"), "(MSH)" },
        { "empty", SPAN_LIT("\x0b\x1c\r"), "()" },
        { "two", SPAN_LIT("\x0b""A\x1c\r\x0b""B\x1c\r"), "(A)(B)" },
        { "NUL, CR, LF between", SPAN_LIT("\0\r\n\x0b""A\x1c\r\n\0\x0b""B\x1c\r"), "(A)(B)" },
        { "noise outside", SPAN_LIT("noise\x1c\r\x0b""A\x1c\r"), "(A)" },
        { "FS inside", SPAN_LIT("\x0b""A\x1c""B\x1c\r"), "(A\x1c""B)" },
        { "two FS", SPAN_LIT("\x0b""A\x1c\x1c\r"), "(A\x1c)" },
        { "no CR, another frame", SPAN_LIT("\x0b""A\x1c\x0b""B\x1c\r"), "(A)(B)" },
        { "no CR, nothing", SPAN_LIT("\x0b""A\x1c"), "paused(A)" },
        { "VT is text", SPAN_LIT("\x0b""A\x0b""B\x1c\r"), "(A\x0b""B)" },
        { "VT MSH begins again", SPAN_LIT("\x0bMSHa\x0bMSHb\x1c\r"), "(MSHb)" },
        { "never ended", SPAN_LIT("\x0b""A"), "" },
        { "no start", SPAN_LIT("MSH\x1c\r"), "" },
        { "exactly the limit", SPAN_LIT("\x0b""0123456789\x1c\r"), "(0123456789)" },
        { "past the limit, then the next", SPAN_LIT("\x0b""0123456789A\x1c\r\x0b""B\x1c\r"), "!(0123456789)(B)" },
        { "past the limit by FS", SPAN_LIT("\x0b""0123456789\x1c""B\x1c\r\x0b""B\x1c\r"), "!(0123456789)(B)" },
    };

    EACH (row, rows)
        for (size_t step = 1; step <= row->bytes.len; step++) {
            struct writer w = writer_new(1000);

            frames(row->bytes, step, 10, &w);
            CHECK_ROW(row->name, span_equal(writer_span(&w), span_str(row->frames)));
            writer_done(&w);
        }
}

TEST(skipped_bytes_are_counted)
{
    struct mllp p = mllp_new(10);
    struct span input = SPAN_LIT("ab\0\r\nc\x0b");

    CHECK(mllp_take(&p, &input) == MLLP_MORE && p.skipped == 3 && mllp_is_inside(&p));
    mllp_done(&p);
}

TEST(what_is_framed_comes_out_again)
{
    uint32_t seed = 20261123;

    for (int round = 0; round < 1000; round++) {
        struct writer message = writer_new(100), framed = writer_new(200), out = writer_new(200), wanted = writer_new(200);

        for (uint32_t i = 0, len = seed % 40; i < len; i++) {
            seed = seed * 1664525 + 1013904223;
            write_u8(&message, (uint8_t)(' ' + (seed >> 24) % 90));
        }
        seed = seed * 1664525 + 1013904223;
        mllp_frame(writer_span(&message), &framed);
        frames(writer_span(&framed), seed % 7 + 1, 100, &out);
        write_str(&wanted, "(");
        write_span(&wanted, writer_span(&message));
        write_str(&wanted, ")");
        CHECK(span_equal(writer_span(&out), writer_span(&wanted)));
        writer_done(&message);
        writer_done(&framed);
        writer_done(&out);
        writer_done(&wanted);
    }
}

TESTS(T(frames_are_found_however_the_bytes_are_cut), T(skipped_bytes_are_counted), T(what_is_framed_comes_out_again))
