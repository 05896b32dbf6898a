/* Bulk cryptography gives what OpenSSL gives; bodies that arrive side by side get their own hashes. */
#include "store_test.h"
#include "vault/bulk.h"
#include "vault/merkle.h"

static const size_t lengths[] = { 1, 15, 16, 17, 4095, 4096, 4097, 32768, 32784, 65533, 65534 };

static void fill_random(uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)random();
}

TEST(bulk_gcm_is_that_of_openssl)
{
    static uint8_t clear[70000], one[70016], other[70016], back[70016];
    struct seal_suite suite;
    struct error err = { 0 };
    struct bulk *bulk = bulk_new();
    struct seal seal;

    if (bulk == NULL)
        NOT_HERE("no AVX-512, or not its library");
    CHECK(seal_suite_init(&suite, &err));
    bulk_free(suite.bulk);
    suite.bulk = NULL; /* from here on OpenSSL alone */
    CHECK(seal_init(&seal, &suite, &err));
    fill_random(clear, sizeof clear);
    EACH(len, lengths)
    {
        uint8_t key[32], nonce[12], associated[40], tag[16];

        fill_random(key, sizeof key);
        fill_random(nonce, sizeof nonce);
        fill_random(associated, sizeof associated);
        bulk_encrypt(bulk, key, nonce, span_of(associated, i_ * 4), span_of(clear, *len), one);
        CHECK(seal_encrypt(&seal, key, nonce, span_of(associated, i_ * 4), span_of(clear, *len), other, &err));
        CHECK(memcmp(one, other, *len + 16) == 0);
        bulk_decrypt(bulk, key, nonce, span_of(associated, i_ * 4), span_of(other, *len), back, tag);
        CHECK(memcmp(back, clear, *len) == 0 && memcmp(tag, other + *len, 16) == 0);
        other[*len / 2] ^= 1;
        bulk_decrypt(bulk, key, nonce, span_of(associated, i_ * 4), span_of(other, *len), back, tag);
        CHECK(memcmp(tag, other + *len, 16) != 0);
    }
    seal_done(&seal);
    seal_suite_done(&suite);
    bulk_free(bulk);
}

TEST(hashes_side_by_side_are_those_of_openssl)
{
    static uint8_t bytes[BULK_LANES][BULK_MESSAGE_BYTES];
    struct seal_suite suite;
    struct error err = { 0 };
    struct bulk *bulk = bulk_new();
    struct seal seal;

    if (bulk == NULL)
        NOT_HERE("no AVX-512, or not its library");
    CHECK(seal_suite_init(&suite, &err) && seal_init(&seal, &suite, &err));
    fill_random(bytes[0], sizeof bytes);
    for (size_t count = 1; count <= BULK_LANES; count++) {
        struct span messages[BULK_LANES];
        uint8_t out[BULK_LANES][32], want[32];

        for (size_t i = 0; i < count; i++)
            messages[i] = span_of(bytes[i], lengths[(count + i) % COUNT_OF(lengths)]);
        CHECK(bulk_hash(bulk, messages, count, out));
        for (size_t i = 0; i < count; i++)
            CHECK(seal_hash(&seal, &messages[i], 1, want, &err) && memcmp(want, out[i], 32) == 0);
    }
    seal_done(&seal);
    seal_suite_done(&suite);
    bulk_free(bulk);
}

/* Seven bodies that fill in turns, as seven associations would: verify hashes each again, by itself. */
TEST(bodies_side_by_side_have_their_own_roots)
{
    struct store_options o = test_options();
    static uint8_t piece[40000];
    struct body *bodies[7];
    struct error err = { 0 };
    uint64_t position, findings = 1;
    struct store *s;
    char dir[TEST_DIR_SIZE];

    test_dir(dir);
    CHECK_OK(err, store_create(dir, &o, &err));
    CHECK_OK(err, (s = store_open(dir, &o, &err)) != NULL);
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        CHECK_OK(err, (bodies[i] = body_new(s, BODY_IMAGES, span_str("study:1"), &err)) != NULL);
    for (unsigned turn = 0; turn < 20; turn++)
        for (size_t i = 0; i < COUNT_OF(bodies); i++) {
            test_fill(piece, sizeof piece, turn + (unsigned)i);
            CHECK_OK(err, turn >= 3 * i || body_add(bodies[i], span_of(piece, sizeof piece - turn), &err));
        }
    body_free(bodies[2]); /* one goes away in the middle of it */
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        struct append a = { .kind = RECORD_DICOM, .unit = span_str("study:1"), .body = bodies[i] };

        CHECK_OK(err, i == 2 || store_append(s, &a, &position, &err));
    }
    CHECK(test_wait(s, COUNT_OF(bodies) - 1) == COUNT_OF(bodies) - 1);
    CHECK_OK(err, store_verify(s, NULL, NULL, &findings, &err) && findings == 0);
    store_close(s);
    test_remove(dir);
}

TESTS(T(bulk_gcm_is_that_of_openssl), T(hashes_side_by_side_are_those_of_openssl),
      T(bodies_side_by_side_have_their_own_roots))
