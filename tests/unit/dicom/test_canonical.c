/* The canonical digest: what leaves it as it is, what changes it, and one vector made by hand. */
#include <openssl/sha.h>

#include "dicom/canonical.h"

#include "../test.h"
#include "elements.h"

static struct canonical_result digest_of(struct builder *b, size_t piece)
{
    struct error err = { 0 };
    struct canonical *c = canonical_new(&err);
    struct canonical_result r = { 0 };
    bool ok = canonical_begin(c, b->syntax, NULL, &err);

    for (size_t at = 0; at < b->w.len && ok; at += piece)
        ok = canonical_feed(c, span_part(writer_span(&b->w), at, piece), &err);
    ok = ok && canonical_finish(c, &r, &err);
    if (!ok)
        print_message("# %s\n", err.text);
    assert_true(ok);
    canonical_free(c);
    writer_done(&b->w);
    return r;
}

static bool same(struct canonical_result a, struct canonical_result b)
{
    return a.pixels == b.pixels && memcmp(a.digest, b.digest, sizeof a.digest) == 0
           && memcmp(a.native_digest, b.native_digest, sizeof a.native_digest) == 0;
}

/* The encoding by the header's words, digested here. */
TEST(the_digest_is_what_is_written)
{
    struct builder b = builder_new(EXPLICIT);
    struct writer want = writer_new(4096);
    uint8_t expected[32];

    put_text(&b, TAG(0x0008, 0x0005), VR_CS, "ISO_IR 100");
    put_text(&b, TAG(0x0010, 0x0010), VR_PN, "J\xe9");
    begin_sequence(&b, TAG(0x0008, 0x1115));
    begin_item(&b);
    put_word(&b, TAG(0x0028, 0x0010), 0x0102);
    end_item(&b);
    end_sequence(&b);
    write_span(&want, HEX("45 10001000 0300 4ac3a9 53 15110800 49 45 10002800 0200 0201 69 73"));
    (void)SHA256(want.ptr, want.len, expected);
    CHECK(memcmp(digest_of(&b, 5).digest, expected, sizeof expected) == 0);
    writer_done(&want);
}

static void put_rich_object(struct builder *b, const char *character_set, const char *name)
{
    const uint16_t pixels[] = { 0x0102, 0x0304, 0xFFFE };

    put_text(b, TAG(0x0008, 0x0005), VR_CS, character_set);
    put_text(b, TAG(0x0008, 0x0060), VR_CS, "CT");
    put_text(b, TAG(0x0009, 0x0010), VR_LO, "MAKER");
    put_word(b, TAG(0x0009, 0x1001), 0x0102);
    put_text(b, TAG(0x0010, 0x0010), VR_PN, name);
    begin_sequence(b, TAG(0x0040, 0x0275));
    begin_item(b);
    put_text(b, TAG(0x0032, 0x1060), VR_LO, name);
    put_header(b, TAG(0x0018, 0x0050), VR_DS, 0);
    end_item(b);
    end_sequence(b);
    put_words(b, TAG(0x7FE0, 0x0010), VR_OW, pixels, 3);
}

TEST(another_encoding_is_the_same_object)
{
    const char *const syntaxes[] = { IMPLICIT, EXPLICIT, BIG };
    struct builder first = builder_new(EXPLICIT);
    struct canonical_result want;

    put_rich_object(&first, "ISO_IR 100", "D\xfcrr^J\xe9r\xf4me");
    want = digest_of(&first, SIZE_MAX / 2);
    CHECK(want.pixels == PIXELS_NATIVE);
    EACH(syntax, syntaxes)
    for (size_t piece = 1; piece < 300; piece = 3 * piece + 2) {
        struct builder b = builder_new(*syntax);

        put_rich_object(&b, "ISO_IR 192", "D\xc3\xbcrr^J\xc3\xa9r\xc3\xb4me");
        CHECK_ROW(*syntax, same(digest_of(&b, piece), want));
    }
}

struct change {
    const char *name;
    bool alternate;
    const char *one; /* explicit VR little endian, in hexadecimal */
    const char *other;
};

static const struct change changes[] = {
    { "padding with a space, two, a NUL", true, "0800 6000 4353 0200 4354", "0800 6000 4353 0400 43542000" },
    { "group length", true, "0800 6000 4353 0200 4354", "0800 0000 554c 0400 0a000000 0800 6000 4353 0200 4354" },
    { "lengths of a sequence", true, "0800 1511 5351 0000 10000000 feff 00e0 08000000 0800 5011 5549 0000",
      "0800 1511 5351 0000 ffffffff feff 00e0 ffffffff 0800 5011 5549 0000 feff 0de0 00000000 feff dde0 00000000" },
    { "a sequence without items and an empty value", true, "0900 0110 5351 0000 00000000",
      "0900 0110 554e 0000 00000000" },
    { "trailing padding", true, "0800 6000 4353 0200 4354",
      "0800 6000 4353 0200 4354 fcff fcff 4f42 0000 02000000 0000" },
    { "sent as UN", true, "0800 6000 4353 0200 4354", "0800 6000 554e 0000 02000000 4354" },
    { "an odd length", true, "4200 1100 4f42 0000 03000000 010203", "4200 1100 4f42 0000 04000000 01020300" },
    { "planar configuration", true, "2800 0600 5553 0200 0000", "2800 0600 5553 0200 0100" },
    { "YBR_ICT and RGB", true, "2800 0400 4353 0800 5942525f49435420", "2800 0400 4353 0400 52474220" },
    { "MONOCHROME1 and 2", false, "2800 0400 4353 0c00 4d4f4e4f4348524f4d453120",
      "2800 0400 4353 0c00 4d4f4e4f4348524f4d453220" },
    { "a value", false, "0800 6000 4353 0200 4354", "0800 6000 4353 0200 4d52" },
    { "a value that is gone", false, "0800 6000 4353 0200 4354", "" },
    { "an empty value and none", false, "0800 6000 4353 0000", "" },
    { "a leading space", false, "1000 1000 504e 0200 4120", "1000 1000 504e 0200 2041" },
    { "another tag", false, "0800 6000 4353 0200 4354", "0800 6100 4353 0200 4354" },
    { "an item more", false, "0800 1511 5351 0000 08000000 feff 00e0 00000000",
      "0800 1511 5351 0000 10000000 feff 00e0 00000000 feff 00e0 00000000" },
    { "inside of an item and behind it", false, "0800 1511 5351 0000 10000000 feff 00e0 08000000 0800 5011 5549 0000",
      "0800 1511 5351 0000 08000000 feff 00e0 00000000 0800 5011 5549 0000" },
    { "two bytes that no character set knows", false, "1000 1000 504e 0200 e9e9", "1000 1000 504e 0200 eaea" },
    { "a pixel", false, "e07f 1000 4f57 0000 02000000 0100", "e07f 1000 4f57 0000 02000000 0200" },
    { "two values and one cut in two", false, "0800 6000 4353 0200 4142 0800 6100 4353 0000",
      "0800 6000 4353 0000 0800 6100 4353 0200 4142" },
};

TEST(alternates_and_conflicts)
{
    EACH(change, changes)
    {
        struct builder one = builder_new(EXPLICIT), other = builder_new(EXPLICIT);

        write_span(&one.w, HEX(change->one));
        write_span(&other.w, HEX(change->other));
        CHECK_ROW(change->name, same(digest_of(&one, 100), digest_of(&other, 3)) == change->alternate);
    }
}

/* Values around the length of a block, in pieces of any length. */
TEST(long_values_are_cut_into_blocks)
{
    for (size_t len = CANONICAL_BLOCK_BYTES - 2; len <= CANONICAL_BLOCK_BYTES + 2; len += 2)
        for (unsigned text = 0; text < 2; text++) {
            struct canonical_result by_piece[2];

            for (size_t i = 0; i < 2; i++) {
                struct builder b = builder_new(EXPLICIT);

                put_header(&b, text ? TAG(0x0040, 0xA160) : TAG(0x0042, 0x0011), text ? VR_UT : VR_OB, (uint32_t)len);
                write_fill(&b.w, 'x', len);
                by_piece[i] = digest_of(&b, i == 0 ? 1 : 5000);
            }
            CHECK(same(by_piece[0], by_piece[1]));
        }
}

struct heard {
    enum canonical_pixels kind;
    struct writer text;
};

static bool hear_begin(void *context, enum canonical_pixels kind, struct error *err)
{
    struct heard *h = context;

    (void)err;
    h->kind = kind;
    return true;
}

static bool hear_fragment(void *context, uint32_t length, struct error *err)
{
    (void)err;
    write_printf(&((struct heard *)context)->text, "[%u]", length);
    return true;
}

static bool hear_bytes(void *context, struct span bytes, struct error *err)
{
    (void)err;
    write_span(&((struct heard *)context)->text, bytes);
    return true;
}

static bool hear_end(void *context, struct error *err)
{
    (void)err;
    write_str(&((struct heard *)context)->text, ".");
    return true;
}

TEST(pixels_are_handed_on)
{
    struct heard h = { .text = writer_new(4096) };
    struct canonical_listener listener = { hear_begin, hear_fragment, hear_bytes, hear_end, &h };
    const uint16_t words[] = { 0x4142, 0x4344 };
    struct builder native = builder_new(BIG), coded = builder_new(BASELINE);
    struct canonical_result result;
    struct error err = { 0 };
    struct canonical *c = canonical_new(&err);

    put_words(&native, TAG(0x7FE0, 0x0010), VR_OW, words, 2);
    CHECK(canonical_begin(c, native.syntax, &listener, &err));
    CHECK(canonical_feed(c, writer_span(&native.w), &err) && canonical_finish(c, &result, &err));
    CHECK(h.kind == PIXELS_NATIVE && span_equal(writer_span(&h.text), span_str("BADC."))); /* little endian */

    writer_reset(&h.text);
    put_header(&coded, TAG(0x7FE0, 0x0010), VR_OB, UINT32_MAX);
    put_header(&coded, TAG(0xFFFE, 0xE000), VR_NONE, 0);
    put_header(&coded, TAG(0xFFFE, 0xE000), VR_NONE, 3);
    write_str(&coded.w, "abc");
    end_sequence(&coded);
    CHECK(canonical_begin(c, coded.syntax, &listener, &err));
    CHECK(canonical_feed(c, writer_span(&coded.w), &err) && canonical_finish(c, &result, &err));
    CHECK(result.pixels == PIXELS_ENCAPSULATED && span_equal(writer_span(&h.text), span_str("[0][3]abc.")));
    canonical_free(c);
    writer_done(&h.text);
    writer_done(&native.w);
    writer_done(&coded.w);
}

TEST(no_digest_of_half_an_object)
{
    struct builder b = builder_new(EXPLICIT);
    struct canonical_result result;
    struct error err = { 0 };
    struct canonical *c = canonical_new(&err);

    put_text(&b, TAG(0x0010, 0x0010), VR_PN, "Name");
    CHECK(canonical_begin(c, b.syntax, NULL, &err) && canonical_feed(c, span_part(writer_span(&b.w), 0, 10), &err));
    CHECK(!canonical_finish(c, &result, &err) && err.code == ERR_TRUNCATED);
    canonical_free(c);
    writer_done(&b.w);
}

TESTS(T(the_digest_is_what_is_written), T(another_encoding_is_the_same_object), T(alternates_and_conflicts),
      T(long_values_are_cut_into_blocks), T(pixels_are_handed_on), T(no_digest_of_half_an_object))
