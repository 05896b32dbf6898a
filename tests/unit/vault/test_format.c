/* Headers to bytes and back; every bit of a header counts. Keys as the RFCs derive them. */
#include "vault/format.h"

#include "../test.h"

static const uint8_t key[KEY_BYTES] = { 7 };

TEST(crc32c_is_that_of_rfc_3720)
{
    static const uint8_t zeros[32];
    uint8_t ones[32];

    memset(ones, 0xff, sizeof ones);
    CHECK(crc32c(SPAN_LIT("123456789")) == 0xe3069283);
    CHECK(crc32c(span_of(zeros, sizeof zeros)) == 0x8a9136aa);
    CHECK(crc32c(span_of(ones, sizeof ones)) == 0x62a8ab43);
}

static struct entry_header example(bool has_body, bool large)
{
    struct entry_header h = { .position = 41,
                              .received_us = 1795600000000000,
                              .kind = RECORD_DICOM,
                              .slot = 9,
                              .facts_bytes = 100,
                              .length = entry_length(100),
                              .has_body = has_body,
                              .large = large };

    if (has_body) {
        h.body_class = BODY_IMAGES;
        h.body_bytes = 525312;
        if (large)
            memset(h.name, 0xab, sizeof h.name);
        else
            h.place = (struct body_file){ .month = 202611, .number = 3, .length = 64 };
    }
    return h;
}

TEST(an_entry_header_comes_back_and_every_bit_counts)
{
    for (int variant = 0; variant < 3; variant++) {
        struct entry_header h = example(variant > 0, variant == 2), back;
        uint8_t bytes[ENTRY_HEADER_BYTES], again[ENTRY_HEADER_BYTES];
        struct error err = { 0 };

        entry_header_encode(&h, bytes);
        CHECK(entry_header_decode(span_of(bytes, sizeof bytes), &back, &err));
        entry_header_encode(&back, again);
        CHECK(memcmp(bytes, again, sizeof bytes) == 0);
        for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            CHECK(!entry_header_decode(span_of(bytes, sizeof bytes), &back, &err) && err.code == ERR_DAMAGED);
            bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        CHECK(!entry_header_decode(span_of(bytes, sizeof bytes - 1), &back, &err));
    }
}

TEST(a_header_that_lies_with_a_good_checksum_is_refused)
{
    const struct {
        const char *name;
        size_t at;
        uint8_t value;
    } rows[] = {
        { "version", 27, 2 },
        { "unknown flag", 25, 5 },
        { "own file without a body", 25, 2 },
        { "body class", 26, 5 },
        { "facts too short for a tag", 96, 3 },
        { "length does not follow", 100, 33 },
        { "facts beyond the limit", 99, 0xff },
        { "chunk size", 161, 1 },
        { "reserved", 180, 1 },
        { "a body of 2^63 bytes", 111, 0x80 },
    };
    EACH(row, rows)
    {
        struct entry_header h = example(true, false), back;
        uint8_t bytes[ENTRY_HEADER_BYTES];
        uint32_t crc;

        entry_header_encode(&h, bytes);
        bytes[row->at] = row->value;
        crc = crc32c(span_of(bytes + 8, sizeof bytes - 8));
        for (int i = 0; i < 4; i++)
            bytes[4 + i] = (uint8_t)(crc >> (8 * i));
        CHECK_ROW(row->name, !entry_header_decode(span_of(bytes, sizeof bytes), &back, NULL));
    }
}

TEST(a_marker_comes_back_and_every_bit_counts)
{
    struct marker m = { .size = 12,
                        .commit = 5,
                        .newest_rule = 3,
                        .batch = address_of(1, 128),
                        .count = 2,
                        .written_us = 99,
                        .in_use = { { 202611, 1, 64 }, { 202611, 2, 4096 } } };
    struct hash leaves[2] = { { { 1 } }, { { 2 } } };
    struct writer w = writer_new(MARKER_BYTES_MAX);
    struct marker back;
    struct span got;
    struct error err = { 0 };

    marker_encode(&m, leaves, key, &w);
    CHECK(w.len == marker_length(2) && w.len % RECORD_ALIGN == 0);
    CHECK(marker_decode(writer_span(&w), key, &back, &got, &err));
    CHECK(back.size == 12 && back.count == 2 && back.in_use[1].length == 4096
          && memcmp(got.ptr, leaves, sizeof leaves) == 0);
    for (size_t bit = 0; bit < w.len * 8; bit++) {
        w.ptr[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        CHECK(!marker_decode(writer_span(&w), key, &back, &got, &err));
        w.ptr[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t len = 0; len < w.len; len++)
        CHECK(!marker_decode(span_of(w.ptr, len), key, &back, &got, &err));
    writer_done(&w);
}

/* RFC 5869 A.1 fixes HKDF; ours has these labels, so this vector was computed with Python's hmac from docs/format.md.
 */
TEST(record_keys_are_those_of_the_format)
{
    uint8_t data_key[KEY_BYTES], salt[32];
    struct record_keys k;

    for (unsigned i = 0; i < 32; i++) {
        data_key[i] = (uint8_t)i;
        salt[i] = (uint8_t)(0xa0 + i);
    }
    seal_record_keys(data_key, salt, &k);
    CHECK(memcmp(k.facts, HEX("6007ec86b6ff3728456cd1d0133de14e7e720e2ead2817fdd9b0a2e63a6c4e68").ptr, KEY_BYTES) == 0);
    CHECK(memcmp(k.body, HEX("8b6d225f94497ab7a5f61efb7e103ece399f14b54106bd85a709c23b9df5628f").ptr, KEY_BYTES) == 0);
    CHECK(memcmp(k.commitment, HEX("eb685feb5ca7dc31c19822973f8333ff519c64cade9218ccf5f9d1887352017e").ptr, KEY_BYTES)
          == 0);
}

TEST(chunk_nonces_are_stream)
{
    uint8_t nonce[NONCE_BYTES];

    seal_chunk_nonce(0x01020304, true, nonce);
    CHECK(memcmp(nonce, HEX("00000000000000 01020304 01").ptr, NONCE_BYTES) == 0);
    seal_chunk_nonce(0, false, nonce);
    CHECK(memcmp(nonce, HEX("00000000000000 00000000 00").ptr, NONCE_BYTES) == 0);
}

TEST(gcm_refuses_what_was_changed)
{
    struct seal_suite suite;
    struct seal s;
    uint8_t sealed[5 + TAG_BYTES], clear[5];
    static const uint8_t nonce[NONCE_BYTES];

    CHECK(seal_suite_init(&suite, NULL) && seal_init(&s, &suite, NULL));
    CHECK(seal_encrypt(&s, key, nonce, SPAN_LIT("about"), SPAN_LIT("hello"), sealed, NULL));
    CHECK(seal_decrypt(&s, key, nonce, SPAN_LIT("about"), span_of(sealed, sizeof sealed), clear, NULL));
    CHECK(memcmp(clear, "hello", 5) == 0);
    CHECK(!seal_decrypt(&s, key, nonce, SPAN_LIT("abouT"), span_of(sealed, sizeof sealed), clear, NULL));
    CHECK(!seal_decrypt(&s, key, nonce, SPAN_LIT("about"), span_of(sealed, sizeof sealed - 1), clear, NULL));
    sealed[3] ^= 1;
    CHECK(!seal_decrypt(&s, key, nonce, SPAN_LIT("about"), span_of(sealed, sizeof sealed), clear, NULL));
    seal_done(&s);
    seal_suite_done(&suite);
}

TEST(stored_lengths_follow_the_chunks)
{
    const struct {
        uint64_t bytes, stored;
        uint32_t chunks;
    } rows[] = {
        { 0, 16, 1 }, { 1, 17, 1 }, { 32768, 32784, 1 }, { 32769, 32769 + 32, 2 }, { 65536, 65536 + 32, 2 },
    };
    EACH(row, rows)
    CHECK(body_stored_bytes(row->bytes) == row->stored && body_chunk_count(row->bytes) == row->chunks);
    CHECK(month_of(UINT64_C(1795600000000000)) == 202611);
    CHECK(entry_length(18) == 224 && entry_length(32) == 224 && entry_length(33) == 256);
}

TESTS(T(crc32c_is_that_of_rfc_3720), T(an_entry_header_comes_back_and_every_bit_counts),
      T(a_header_that_lies_with_a_good_checksum_is_refused), T(a_marker_comes_back_and_every_bit_counts),
      T(record_keys_are_those_of_the_format), T(chunk_nonces_are_stream), T(gcm_refuses_what_was_changed),
      T(stored_lengths_follow_the_chunks))
