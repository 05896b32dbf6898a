/* Digests of one small object in several encodings, by hand; tests/unit/lens/digest_oracle.py does it with real files.
 */
#include "lens/digest.h"

#include "../test.h"

#define EXPLICIT "1.2.840.10008.1.2.1"
#define IMPLICIT "1.2.840.10008.1.2"
#define RLE      "1.2.840.10008.1.2.5"
#define JPEG2000 "1.2.840.10008.1.2.4.90"

/* Study, Series, SOP Instance UID and SOP Class, then 2 rows of 2 columns, 8 bits, 2 frames. */
#define UIDS_EXPLICIT                                                                                                  \
    "08 00 16 00 55 49 02 00 31 00 08 00 18 00 55 49 02 00 31 00 20 00 0d 00 55 49 02 00 31 00 "                       \
    "20 00 0e 00 55 49 02 00 31 00 28 00 02 00 55 53 02 00 01 00 28 00 04 00 43 53 0c 00 "                             \
    "4d 4f 4e 4f 43 48 52 4f 4d 45 32 20 28 00 08 00 49 53 02 00 32 20 28 00 10 00 55 53 02 00 02 00 "                 \
    "28 00 11 00 55 53 02 00 02 00 28 00 00 01 55 53 02 00 08 00 28 00 01 01 55 53 02 00 08 00 "                       \
    "28 00 02 01 55 53 02 00 07 00 28 00 03 01 55 53 02 00 00 00 "
#define UIDS_IMPLICIT                                                                                                  \
    "08 00 16 00 02 00 00 00 31 00 08 00 18 00 02 00 00 00 31 00 20 00 0d 00 02 00 00 00 31 00 "                       \
    "20 00 0e 00 02 00 00 00 31 00 28 00 02 00 02 00 00 00 01 00 28 00 04 00 0c 00 00 00 "                             \
    "4d 4f 4e 4f 43 48 52 4f 4d 45 32 20 28 00 08 00 02 00 00 00 32 20 28 00 10 00 02 00 00 00 02 00 "                 \
    "28 00 11 00 02 00 00 00 02 00 28 00 00 01 02 00 00 00 08 00 28 00 01 01 02 00 00 00 08 00 "                       \
    "28 00 02 01 02 00 00 00 07 00 28 00 03 01 02 00 00 00 00 00 "
#define NATIVE_PIXELS "e0 7f 10 00 4f 42 00 00 08 00 00 00 01 02 03 04 05 06 07 08 "
#define RLE_HEADER    "01 00 00 00 40 00 00 00 " Z16 Z16 Z16 "00 00 00 00 00 00 00 00 "
#define Z16           "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
#define ITEM(length)  "fe ff 00 e0 " length " 00 00 00 "
#define FRAGMENTS(table)                                                                                               \
    "e0 7f 10 00 4f 42 00 00 ff ff ff ff " table ITEM("46") RLE_HEADER "03 01 02 03 04 80 " ITEM("46") RLE_HEADER      \
        "03 05 06 07 08 80 fe ff dd e0 00 00 00 00 "

static bool digest(const char *syntax, struct span object, size_t step, struct digest_result *out)
{
    struct error err = { 0 };
    struct digest *d = digest_new(&err);
    bool ok = d != NULL && digest_begin(d, span_str(syntax), &err);

    for (size_t at = 0; ok && at < object.len; at += step)
        ok = digest_feed(d, span_part(object, at, step), &err);
    ok = ok && digest_finish(d, out, &err);
    digest_free(d);
    return ok;
}

TEST(one_object_in_any_encoding_has_one_digest)
{
    const struct {
        const char *name, *syntax;
        struct span object;
    } rows[] = {
        { "implicit", IMPLICIT, HEX(UIDS_IMPLICIT "e0 7f 10 00 08 00 00 00 01 02 03 04 05 06 07 08") },
        { "RLE, a fragment a frame", RLE, HEX(UIDS_EXPLICIT FRAGMENTS(ITEM("00"))) },
        { "RLE, offset table", RLE, HEX(UIDS_EXPLICIT FRAGMENTS(ITEM("08") "00 00 00 00 4e 00 00 00 ")) },
    };
    struct digest_result first, other;

    CHECK(digest(EXPLICIT, HEX(UIDS_EXPLICIT NATIVE_PIXELS), 1000, &first) && first.has_pixels && first.certain);
    EACH(row, rows)
    for (size_t step = 1; step < 100; step += 7) {
        CHECK_ROW(row->name, digest(row->syntax, row->object, step, &other));
        CHECK_ROW(row->name, other.certain && memcmp(other.elements, first.elements, DIGEST_BYTES) == 0);
        CHECK_ROW(row->name, memcmp(other.pixels, first.pixels, DIGEST_BYTES) == 0);
    }
}

TEST(a_changed_pixel_or_value_changes_its_digest)
{
    struct digest_result first, pixel, value;

    CHECK(digest(EXPLICIT, HEX(UIDS_EXPLICIT NATIVE_PIXELS), 1000, &first));
    CHECK(digest(EXPLICIT, HEX(UIDS_EXPLICIT "e0 7f 10 00 4f 42 00 00 08 00 00 00 01 02 03 04 05 06 07 09"), 1000,
                 &pixel));
    CHECK(memcmp(first.pixels, pixel.pixels, DIGEST_BYTES) != 0);
    CHECK(memcmp(first.elements, pixel.elements, DIGEST_BYTES) == 0);
    CHECK(digest(EXPLICIT, HEX("08 00 05 01 43 53 02 00 41 42 " UIDS_EXPLICIT NATIVE_PIXELS), 1000, &value));
    CHECK(memcmp(first.pixels, value.pixels, DIGEST_BYTES) == 0);
    CHECK(memcmp(first.elements, value.elements, DIGEST_BYTES) != 0);
}

TEST(what_is_not_decoded_is_not_certain)
{
    struct digest_result one, again, none;

    CHECK(digest(JPEG2000, HEX(UIDS_EXPLICIT FRAGMENTS(ITEM("00"))), 1000, &one) && !one.certain && one.has_pixels);
    CHECK(digest(JPEG2000, HEX(UIDS_EXPLICIT FRAGMENTS(ITEM("08") "00 00 00 00 4e 00 00 00 ")), 10, &again));
    CHECK(memcmp(one.pixels, again.pixels, DIGEST_BYTES) == 0); /* the same codestreams */
    /* fewer frames than the data set says */
    CHECK(digest(EXPLICIT, HEX(UIDS_EXPLICIT "e0 7f 10 00 4f 42 00 00 04 00 00 00 01 02 03 04"), 1000, &one)
          && !one.certain);
    CHECK(digest(EXPLICIT, HEX(UIDS_EXPLICIT), 1000, &none) && none.certain && !none.has_pixels);
    CHECK(!digest("1.2.3", HEX(UIDS_EXPLICIT), 1000, &none));
    CHECK(!digest(EXPLICIT, HEX(UIDS_EXPLICIT "e0 7f 10 00 4f 42 00 00 08 00 00 00 01"), 1000, &none));
}

TESTS(T(one_object_in_any_encoding_has_one_digest), T(a_changed_pixel_or_value_changes_its_digest),
      T(what_is_not_decoded_is_not_certain))
