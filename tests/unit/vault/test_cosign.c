/* Signatures of notes and cosignatures: vectors of others, and every bit that is turned. */
#include "vault/cosign.h"

#include <sodium.h>

#include "../test.h"

#define DASH "\xe2\x80\x94"
#define TEXT "fanal/00\n7\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

static const uint8_t seed[32] = { 1, 2, 3 };

/* golang.org/x/mod/sumdb/note: its documented example. */
TEST(a_note_that_others_signed)
{
    const char *text = "If you think cryptography is the answer to your problem,\n"
                       "then you don't know what your problem is.\n\n" DASH
                       " PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    struct note n;
    struct vkey key;
    struct error err = { 0 };

    CHECK(vkey_read(SPAN_LIT("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"), &key, NULL));
    CHECK(note_parse(span_str(text), &n, NULL) && note_signed_by(&n, &key, NULL));
    key.key[0] ^= 1;
    CHECK(!note_signed_by(&n, &key, &err) && err.code == ERR_DAMAGED);
    key.id[0] ^= 1;
    CHECK(!note_signed_by(&n, &key, &err) && err.code == ERR_REFUSED);
    CHECK(!vkey_read(SPAN_LIT("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX"), &key, NULL));
    CHECK(!vkey_read(SPAN_LIT("PeterNewmann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"), &key, NULL));
}

TEST(a_cosignature_holds_for_one_text_and_one_time)
{
    struct vkey key, other;
    struct writer w = writer_new(1000);
    struct span line;
    uint64_t time_s = 0;
    struct error err = { 0 };

    vkey_of_seed("w.example/1", NOTE_COSIGNATURE, seed, &key);
    other = key;
    other.id[3] ^= 1;
    write_str(&w, DASH " stranger AAAAAAAA\n");
    cosignature_write(&key, seed, SPAN_LIT(TEXT), 1795000000, &w);
    CHECK(cosignature_read(writer_span(&w), &key, SPAN_LIT(TEXT), 1795000000, &line, &time_s, NULL) && time_s == 1795000000);
    CHECK(span_starts(line, SPAN_LIT(DASH " w.example/1 ")) && line.ptr[line.len - 1] == '\n');
    CHECK(line.ptr + line.len == w.ptr + w.len);
    CHECK(!cosignature_read(writer_span(&w), &other, SPAN_LIT(TEXT), 1795000000, &line, &time_s, &err) && err.code == ERR_REFUSED);
    CHECK(!cosignature_read(writer_span(&w), &key, SPAN_LIT("fanal/01" TEXT), 1795000000, &line, &time_s, &err)
          && err.code == ERR_DAMAGED);
    CHECK(!cosignature_read(writer_span(&w), &key, SPAN_LIT(TEXT), 1795000000 - COSIGNATURE_FUTURE_MAX_S - 1, &line, &time_s, &err)
          && err.code == ERR_DAMAGED);
    CHECK(cosignature_read(writer_span(&w), &key, SPAN_LIT(TEXT), 1795000000 - COSIGNATURE_FUTURE_MAX_S, &line, &time_s, &err));
    writer_done(&w);
}

TEST(every_bit_of_a_cosignature_counts)
{
    struct vkey key;
    struct writer w = writer_new(1000);
    struct span lines, line;
    size_t from;

    vkey_of_seed("w", NOTE_COSIGNATURE, seed, &key);
    cosignature_write(&key, seed, SPAN_LIT(TEXT), 1, &w);
    lines = writer_span(&w);
    from = strlen(DASH " w ");
    for (size_t i = from; i < lines.len - 1; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint64_t time_s;

            w.ptr[i] ^= (uint8_t)(1 << bit);
            CHECK(!cosignature_read(lines, &key, SPAN_LIT(TEXT), UINT32_MAX, &line, &time_s, NULL));
            w.ptr[i] ^= (uint8_t)(1 << bit);
        }
    writer_done(&w);
}

TEST(a_plain_signature_is_no_cosignature)
{
    struct vkey key, plain;
    struct writer w = writer_new(1000);
    struct note n;
    struct error err = { 0 };

    vkey_of_seed("w", NOTE_COSIGNATURE, seed, &key);
    vkey_of_seed("w", NOTE_ED25519, seed, &plain);
    CHECK(memcmp(key.id, plain.id, 4) != 0 && memcmp(key.key, plain.key, 32) == 0);
    write_str(&w, TEXT "\n");
    cosignature_write(&key, seed, SPAN_LIT(TEXT), 1, &w);
    CHECK(note_parse(writer_span(&w), &n, NULL) && !note_signed_by(&n, &plain, &err) && err.code == ERR_REFUSED);
    CHECK(!note_signed_by(&n, &key, &err) && err.code == ERR_DAMAGED);
    writer_done(&w);
}

TESTS(T(a_note_that_others_signed), T(a_cosignature_holds_for_one_text_and_one_time),
      T(every_bit_of_a_cosignature_counts), T(a_plain_signature_is_no_cosignature))
