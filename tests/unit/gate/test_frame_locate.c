/* Where frames lie: native arithmetic, offset tables, fragments, and stored objects that lie about themselves. */
#include "gate/web/frame_locate.h"

#include "record/field.h"

#include "../test.h"

struct memory {
    struct span bytes;
    unsigned reads;
};

static bool read_memory(void *context, uint64_t offset, size_t len, struct span *out, struct error *err)
{
    struct memory *m = context;

    (void)err;
    m->reads++;
    *out = offset > m->bytes.len ? span_of(NULL, 0) : span_part(m->bytes, (size_t)offset, len);
    return true;
}

struct row {
    const char *name;
    struct span body;
    uint64_t offset, length, frames, number;
    uint64_t allocated, samples;
    const char *photometric;
    bool encapsulated;
    enum error_code want;
    size_t count;
    struct extent extents[2];
};

static void describe(struct writer *w, const struct row *row)
{
    field_put_uint(w, FIELD_ROWS, 3);
    field_put_uint(w, FIELD_COLUMNS, 2);
    field_put_uint(w, FIELD_PIXEL_OFFSET, row->offset);
    field_put_uint(w, FIELD_PIXEL_LENGTH, row->length);
    field_put_uint(w, FIELD_FRAMES, row->frames);
    field_put_uint(w, FIELD_BITS_ALLOCATED, row->allocated);
    field_put_uint(w, FIELD_SAMPLES_PER_PIXEL, row->samples);
    field_put_str(w, FIELD_PHOTOMETRIC, row->photometric);
    field_put_uint(w, FIELD_PIXEL_ENCAPSULATED, row->encapsulated);
}

static void check_row(void **state_, const struct row *row)
{
    static struct frame_place place;
    struct writer w = writer_new(4096);
    struct memory memory = { row->body, 0 };
    struct body body = { read_memory, &memory };
    struct error err = { 0 };
    bool ok;

    describe(&w, row);
    ok = frame_locate(&body, writer_span(&w), row->number, &place, &err);
    CHECK_ROW(row->name, ok == (row->want == ERR_NONE) && err.code == row->want);
    CHECK_ROW(row->name, !ok || place.count == row->count);
    for (size_t i = 0; ok && i < row->count; i++)
        CHECK_ROW(row->name,
                  place.extents[i].offset == row->extents[i].offset && place.extents[i].len == row->extents[i].len);
    writer_done(&w);
}

#define MONO .samples = 1, .photometric = "MONOCHROME2"

TEST(native_frames_follow_each_other)
{
    const struct row rows[] = {
        { "first", .offset = 100, .length = 24, .frames = 2, .number = 1, .allocated = 16, MONO, .count = 1,
          .extents = { { 100, 12 } } },
        { "second", .offset = 100, .length = 24, .frames = 2, .number = 2, .allocated = 16, MONO, .count = 1,
          .extents = { { 112, 12 } } },
        { "colour", .offset = 0, .length = 18, .frames = 1, .number = 1, .allocated = 8, .samples = 3,
          .photometric = "RGB", .count = 1, .extents = { { 0, 18 } } },
        { "chroma halved", .offset = 0, .length = 24, .frames = 2, .number = 2, .allocated = 8, .samples = 3,
          .photometric = "YBR_FULL_422", .count = 1, .extents = { { 12, 12 } } },
        { "single bits, with their padding", .offset = 0, .length = 2, .frames = 1, .number = 1, .allocated = 1, MONO,
          .count = 1, .extents = { { 0, 2 } } },
        { "odd, with its padding", .offset = 5, .length = 10, .frames = 1, .number = 1, .allocated = 12, MONO,
          .count = 1, .extents = { { 5, 10 } } },
        { "bits across frames", .offset = 0, .length = 2, .frames = 2, .number = 2, .allocated = 1, MONO,
          .want = ERR_UNSUPPORTED },
        { "frame 0", .offset = 0, .length = 24, .frames = 2, .number = 0, .allocated = 16, MONO,
          .want = ERR_NOT_FOUND },
        { "frame 3 of 2", .offset = 0, .length = 24, .frames = 2, .number = 3, .allocated = 16, MONO,
          .want = ERR_NOT_FOUND },
        { "frames that are not there", .offset = 0, .length = 20, .frames = 9, .number = 2, .allocated = 16, MONO,
          .want = ERR_NOT_FOUND },
        { "a number that wraps", .offset = 0, .length = 24, .frames = UINT64_MAX, .number = UINT64_MAX, .allocated = 16,
          MONO, .want = ERR_NOT_FOUND },
        { "no depth", .offset = 0, .length = 24, .frames = 1, .number = 1, .allocated = 0, MONO,
          .want = ERR_UNSUPPORTED },
    };

    EACH(row, rows)
    check_row(state_, row);
}

#define ITEM(length) "fe ff 00 e0 " length " 00 00 00 "
#define END          "fe ff dd e0 00 00 00 00"
#define CODED        .allocated = 8, .samples = 1, .photometric = "MONOCHROME2", .encapsulated = true

TEST(encapsulated_frames_are_fragments)
{
    const struct row rows[] = {
        { "one frame, two fragments", HEX(ITEM("00") ITEM("02") "aa bb " ITEM("02") "cc dd " END), .frames = 1,
          .number = 1, CODED, .count = 2, .extents = { { 16, 2 }, { 26, 2 } } },
        { "a fragment a frame", HEX(ITEM("00") ITEM("02") "aa bb " ITEM("04") "cc dd ee ff " END), .frames = 2,
          .number = 2, CODED, .count = 1, .extents = { { 26, 4 } } },
        { "offset table: first",
          HEX(ITEM("08") "00 00 00 00 14 00 00 00 " ITEM("02") "aa bb " ITEM("02") "cc dd " ITEM("02") "ee ff " END),
          .frames = 2, .number = 1, CODED, .count = 2, .extents = { { 24, 2 }, { 34, 2 } } },
        { "offset table: last",
          HEX(ITEM("08") "00 00 00 00 14 00 00 00 " ITEM("02") "aa bb " ITEM("02") "cc dd " ITEM("02") "ee ff " END),
          .frames = 2, .number = 2, CODED, .count = 1, .extents = { { 44, 2 } } },
        { "codestreams in pieces: first",
          HEX(ITEM("00") ITEM("02") "ff d8 " ITEM("02") "cc dd " ITEM("02") "ff d8 " ITEM("02") "01 02 " END),
          .frames = 2, .number = 1, CODED, .count = 2, .extents = { { 16, 2 }, { 26, 2 } } },
        { "codestreams in pieces: last",
          HEX(ITEM("00") ITEM("02") "ff 4f " ITEM("02") "cc dd " ITEM("02") "ff 4f " ITEM("02") "01 02 " END),
          .frames = 2, .number = 2, CODED, .count = 2, .extents = { { 36, 2 }, { 46, 2 } } },
        { "codestreams: one too few", HEX(ITEM("00") ITEM("02") "ff d8 " ITEM("02") "cc dd " END), .frames = 2,
          .number = 2, CODED, .want = ERR_NOT_FOUND },
        { "no delimiter at the end", HEX(ITEM("00") ITEM("02") "aa bb"), .frames = 1, .number = 1, CODED,
          .want = ERR_MALFORMED },
        { "no frame", HEX(ITEM("00") END), .frames = 1, .number = 1, CODED, .want = ERR_MALFORMED },
        { "fewer fragments than frames", HEX(ITEM("00") ITEM("02") "aa bb " END), .frames = 3, .number = 3, CODED,
          .want = ERR_NOT_FOUND },
        { "no item", HEX("00 00 00 00 00 00 00 00"), .frames = 1, .number = 1, CODED, .want = ERR_MALFORMED },
        { "undefined length", HEX(ITEM("00") "fe ff 00 e0 ff ff ff ff"), .frames = 1, .number = 1, CODED,
          .want = ERR_MALFORMED },
        { "a fragment past the end", HEX(ITEM("00") "fe ff 00 e0 00 00 00 7f"), .frames = 2, .number = 2, CODED,
          .want = ERR_MALFORMED },
        { "a table out of order", HEX(ITEM("08") "14 00 00 00 00 00 00 00 " ITEM("02") "aa bb " END), .frames = 2,
          .number = 1, CODED, .want = ERR_MALFORMED },
        { "a table that points nowhere", HEX(ITEM("08") "00 00 00 00 15 00 00 00 " ITEM("02") "aa bb " END),
          .frames = 2, .number = 2, CODED, .want = ERR_MALFORMED },
        { "an offset past the body", .offset = UINT64_MAX - 2, .frames = 1, .number = 1, CODED, .want = ERR_MALFORMED },
    };

    EACH(row, rows)
    check_row(state_, row);
}

/* Fragments of nothing without a table, one more than the bound. */
TEST(a_frame_too_far_behind_is_refused)
{
    static struct frame_place place;
    struct writer bytes = writer_new(1 << 20), w = writer_new(4096);
    struct row row = { .frames = UINT32_MAX, CODED };
    struct error err = { 0 };

    for (int i = 0; i < FRAGMENTS_BEFORE_FRAME_MAX + 3; i++)
        write_span(&bytes, SPAN_LIT("\xfe\xff\x00\xe0\0\0\0\0"));
    describe(&w, &row);
    struct memory memory = { writer_span(&bytes), 0 };
    struct body body = { read_memory, &memory };

    CHECK(frame_locate(&body, writer_span(&w), FRAGMENTS_BEFORE_FRAME_MAX, &place, &err));
    CHECK(!frame_locate(&body, writer_span(&w), FRAGMENTS_BEFORE_FRAME_MAX + 2, &place, &err) && err.code == ERR_LIMIT);
    writer_done(&bytes);
    writer_done(&w);
}

/* Fragments of nothing, one more than the bound; reads stay few. */
TEST(a_frame_of_too_many_fragments_is_refused)
{
    static struct frame_place place;
    struct writer bytes = writer_new(1 << 20), w = writer_new(4096);
    struct row row = { .frames = 1, .number = 1, CODED };
    struct error err = { 0 };

    for (int i = 0; i < FRAGMENTS_OF_FRAME_MAX + 2; i++)
        write_span(&bytes, HEX(ITEM("00")));
    describe(&w, &row);
    struct memory memory = { writer_span(&bytes), 0 };
    struct body body = { read_memory, &memory };

    CHECK(!frame_locate(&body, writer_span(&w), 1, &place, &err) && err.code == ERR_LIMIT);
    CHECK(memory.reads < 10);
    writer_done(&bytes);
    writer_done(&w);
}

TESTS(T(native_frames_follow_each_other), T(encapsulated_frames_are_fragments), T(a_frame_too_far_behind_is_refused),
      T(a_frame_of_too_many_fragments_is_refused))
