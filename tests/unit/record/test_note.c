/* Signed notes, checkpoints, keys and add-checkpoint: the examples of the C2SP specifications, and what breaks them. */
#include "record/note.h"

#include "../test.h"

#define DASH "\xe2\x80\x94"
#define BODY "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
#define LOG_LINE                                                                                                       \
    DASH " example.com/behind-the-sofa "                                                                               \
         "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
#define WITNESS_LINE                                                                                                   \
    DASH " witness.example.com/w1 "                                                                                    \
         "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
#define HASH "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw="

TEST(the_example_of_tlog_cosignature)
{
    struct note n;
    struct note_signature s;
    struct checkpoint c;
    struct span left;

    CHECK(note_parse(SPAN_LIT(BODY "\n" LOG_LINE WITNESS_LINE), &n, NULL));
    CHECK(span_equal(n.text, SPAN_LIT(BODY)));
    left = n.signatures;
    CHECK(note_signature_next(&left, &s) && s.len == 68 && span_equal(s.name, SPAN_LIT("example.com/behind-the-sofa")));
    CHECK(note_signature_next(&left, &s) && s.len == 76 && s.bytes[0] == 0x8d && s.bytes[3] == 0x3f);
    CHECK(!note_signature_next(&left, &s) && left.len == 0);
    CHECK(checkpoint_parse(n.text, &c, NULL) && c.size == 20852163 && c.root[0] == 0x0a && c.root[31] == 0x62);
    CHECK(span_equal(c.origin, SPAN_LIT("example.com/behind-the-sofa")));
}

TEST(what_is_no_note)
{
    const struct {
        const char *name;
        struct span bytes;
    } rows[] = {
        { "nothing", SPAN_LIT("") },
        { "no signature", SPAN_LIT(BODY "\n") },
        { "no empty line", SPAN_LIT(BODY LOG_LINE) },
        { "no newline at the end", SPAN_LIT(BODY "\n" DASH " a AAAAAAA=") },
        { "a hyphen for a dash", SPAN_LIT(BODY "\n- a AAAAAAA=\n") },
        { "a control character", SPAN_LIT("a\tb\n\n" DASH " a AAAAAAA=\n") },
        { "a carriage return", SPAN_LIT("a\r\n\n" DASH " a AAAAAAA=\n") },
        { "no UTF-8", SPAN_LIT("a\xff\n\n" DASH " a AAAAAAA=\n") },
        { "a surrogate", SPAN_LIT("a\xed\xa0\x80\n\n" DASH " a AAAAAAA=\n") },
        { "a name with a plus", SPAN_LIT("a\n\n" DASH " a+b AAAAAAA=\n") },
        { "a name with a wide space", SPAN_LIT("a\n\n" DASH " a\xe2\x80\x83" "b AAAAAAA=\n") },
        { "no name", SPAN_LIT("a\n\n" DASH "  AAAAAAA=\n") },
        { "a key ID without a signature", SPAN_LIT("a\n\n" DASH " a AAAAAA==\n") },
        { "base64 without padding", SPAN_LIT("a\n\n" DASH " a AAAAAAA\n") },
        { "base64 with a slash of eight bits", SPAN_LIT("a\n\n" DASH " a AAA\xaf" "AAA=\n") },
        { "base64 with bits behind its end", SPAN_LIT("a\n\n" DASH " a AAAAAAF=\n") },
        { "text behind the signatures", SPAN_LIT("a\n\n" DASH " a AAAAAAA=\nb\n") },
    };
    struct note n;

    EACH (row, rows) {
        struct error err = { 0 };

        CHECK_ROW(row->name, !note_parse(row->bytes, &n, &err) && err.code == ERR_MALFORMED);
    }
    CHECK(note_parse(SPAN_LIT("a\n\n" DASH " a AAAAAAA=\n"), &n, NULL));
}

TEST(limits_of_a_note)
{
    struct writer w = writer_new(2 * NOTE_BYTES_MAX);
    struct note n;
    struct error err = { 0 };

    write_str(&w, "a\n\n");
    for (int i = 0; i < NOTE_SIGNATURES_MAX; i++)
        write_str(&w, DASH " a AAAAAAA=\n");
    CHECK(note_parse(writer_span(&w), &n, NULL));
    write_str(&w, DASH " a AAAAAAA=\n");
    CHECK(!note_parse(writer_span(&w), &n, &err) && err.code == ERR_LIMIT);
    writer_reset(&w);
    write_fill(&w, 'a', NOTE_BYTES_MAX);
    write_str(&w, "\n\n" DASH " a AAAAAAA=\n");
    CHECK(!note_parse(writer_span(&w), &n, &err) && err.code == ERR_LIMIT);
    writer_reset(&w);
    write_str(&w, "a\n\n" DASH " post-quantum "); /* a long signature is one of a key that we do not know */
    write_fill(&w, 'A', 4000);
    write_str(&w, "\n");
    CHECK(note_parse(writer_span(&w), &n, NULL));
    writer_done(&w);
}

TEST(what_is_no_checkpoint)
{
    const struct {
        const char *name, *text;
    } rows[] = {
        { "no origin", "\n1\n" HASH "\n" },
        { "leading zero", "a\n01\n" HASH "\n" },
        { "sign", "a\n+1\n" HASH "\n" },
        { "too large", "a\n18446744073709551616\n" HASH "\n" },
        { "no size", "a\n\n" HASH "\n" },
        { "short root", "a\n1\nAAAA\n" },
        { "no root", "a\n1\n" },
        { "empty extension", "a\n1\n" HASH "\n\n" },
    };
    struct checkpoint c;

    EACH (row, rows)
        CHECK_ROW(row->name, !checkpoint_parse(span_str(row->text), &c, NULL));
    CHECK(checkpoint_parse(SPAN_LIT("a\n18446744073709551615\n" HASH "\nextension\n"), &c, NULL) && c.size == UINT64_MAX);
}

TEST(a_verifier_key_is_written_as_it_was_read)
{
    const char *text = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"; /* Go's sumdb/note */
    const struct {
        const char *name, *text;
    } rows[] = {
        { "no name", "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW" },
        { "short ID", "a+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW" },
        { "capital ID", "a+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW" },
        { "another type", "a+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW" },
        { "short key", "a+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy1" },
        { "nothing", "" },
    };
    struct writer w = writer_new(400);
    struct vkey v;

    CHECK(vkey_parse(span_str(text), &v, NULL) && v.type == NOTE_ED25519 && strcmp(v.name, "PeterNeumann") == 0);
    vkey_write(&v, &w);
    CHECK(span_equal(writer_span(&w), span_str(text)));
    writer_done(&w);
    EACH (row, rows)
        CHECK_ROW(row->name, !vkey_parse(span_str(row->text), &v, NULL));
}

TEST(the_body_of_add_checkpoint)
{
    const char *body = "old 20852014\n" HASH "\n" HASH "\n\n" BODY "\n" LOG_LINE;
    const struct {
        const char *name, *text;
    } rows[] = {
        { "nothing", "" },
        { "another word", "new 1\n\n" },
        { "no number", "old \n\n" },
        { "leading zero", "old 00\n\n" },
        { "no empty line", "old 1\n" HASH "\n" },
        { "a line that is no hash", "old 1\nAAAA\n\n" },
        { "no newline", "old 1" },
    };
    struct writer w = writer_new(10000);
    struct witness_request r, again;

    CHECK(witness_request_parse(span_str(body), &r, NULL) && r.old_size == 20852014 && r.proof_count == 2);
    CHECK(span_equal(r.note, SPAN_LIT(BODY "\n" LOG_LINE)) && r.proof[1][31] == 0xac);
    witness_request_write(&r, &w);
    CHECK(span_equal(writer_span(&w), span_str(body)));
    EACH (row, rows)
        CHECK_ROW(row->name, !witness_request_parse(span_str(row->text), &again, NULL));
    writer_reset(&w);
    write_str(&w, "old 1\n");
    for (int i = 0; i < WITNESS_PROOF_MAX; i++)
        write_str(&w, HASH "\n");
    write_str(&w, "\n");
    CHECK(witness_request_parse(writer_span(&w), &again, NULL) && again.proof_count == WITNESS_PROOF_MAX);
    w.len--;
    write_str(&w, HASH "\n\n");
    CHECK(!witness_request_parse(writer_span(&w), &again, NULL));
    writer_done(&w);
}

TESTS(T(the_example_of_tlog_cosignature), T(what_is_no_note), T(limits_of_a_note), T(what_is_no_checkpoint),
      T(a_verifier_key_is_written_as_it_was_read), T(the_body_of_add_checkpoint))
