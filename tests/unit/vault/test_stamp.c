/*
 * RFC 3161 against files of `openssl ts` (tests/vectors/stamp, made by tests/vectors/stamp/make.sh): what is taken, and
 * each reason to refuse.
 */
#include "vault/stamp.h"

#include <openssl/ts.h>

#include "base/file.h"

#include "../test.h"

static struct writer vector(const char *name)
{
    struct writer w = writer_new(1 << 20);
    char path[400];

    if (!path_join(path, sizeof path, VECTORS, name, NULL) || !file_slurp(path, &w, NULL))
        abort();
    return w;
}

static bool reads(const char *reply, const char *ca, struct writer *token, uint64_t *time_us, struct error *err)
{
    struct writer request = vector("request.tsq"), response = vector(reply), anchors = vector(ca);
    bool ok = stamp_read(writer_span(&request), writer_span(&response), writer_span(&anchors), token, time_us, err);

    writer_done(&request);
    writer_done(&response);
    writer_done(&anchors);
    return ok;
}

TEST(a_stamp_is_taken_with_its_time)
{
    struct writer token = writer_new(STAMP_TOKEN_MAX);
    struct error err = { 0 };
    uint64_t time_us = 0;

    if (!reads("good.tsr", "ca.pem", &token, &time_us, &err))
        print_error("%s\n", err.text);
    CHECK(token.len > 500 && token.ptr[0] == 0x30);
    CHECK(time_us / 1000000 > 1700000000 && time_us % 1000000 == 0);
    writer_done(&token);
}

TEST(each_reason_to_refuse)
{
    const struct {
        const char *reply, *ca, *word;
        enum error_code want;
    } rows[] = {
        { "other-nonce.tsr", "ca.pem", "nonce mismatch", ERR_DAMAGED },
        { "other-imprint.tsr", "ca.pem", "message imprint mismatch", ERR_DAMAGED },
        { "good.tsr", "other.pem", "certificate verify error", ERR_DAMAGED },
        { "wrong-use.tsr", "ca.pem", "unsuitable certificate purpose", ERR_DAMAGED },
        { "rejected.tsr", "ca.pem", "badAlg", ERR_REFUSED },
        { "request.tsq", "ca.pem", "", ERR_DAMAGED },
        { "good.tsr", "good.tsr", "no certificate", ERR_USAGE },
    };

    EACH (row, rows) {
        struct writer token = writer_new(STAMP_TOKEN_MAX);
        struct error err = { 0 };
        uint64_t time_us;

        CHECK_ROW(row->reply, !reads(row->reply, row->ca, &token, &time_us, &err) && token.len == 0);
        if (err.code != row->want || strstr(err.text, row->word) == NULL)
            print_error("%s: %s\n", row->reply, err.text);
        CHECK_ROW(row->reply, err.code == row->want && strstr(err.text, row->word) != NULL);
        writer_done(&token);
    }
}

/* Whatever bit is turned: refused, or the same content in another wrapping; never another time or imprint. */
TEST(every_turned_byte_is_refused_or_changes_nothing)
{
    struct writer request = vector("request.tsq"), response = vector("good.tsr"), ca = vector("ca.pem");
    uint64_t right, time_us;
    struct writer token = writer_new(STAMP_TOKEN_MAX);
    size_t taken = 0;

    CHECK(stamp_read(writer_span(&request), writer_span(&response), writer_span(&ca), &token, &right, NULL));
    for (size_t i = 0; i < response.len; i++) {
        response.ptr[i] ^= (uint8_t)(1u << i % 8);
        writer_reset(&token);
        if (stamp_read(writer_span(&request), writer_span(&response), writer_span(&ca), &token, &time_us, NULL)) {
            CHECK(time_us == right);
            taken++;
        }
        response.ptr[i] ^= (uint8_t)(1u << i % 8);
        CHECK(!stamp_read(writer_span(&request), span_of(response.ptr, i), writer_span(&ca), &token, &time_us, NULL));
    }
    CHECK(taken < response.len / 2); /* the CA's certificate, which the token carries beside and nobody needs */
    writer_done(&token);
    writer_done(&request);
    writer_done(&response);
    writer_done(&ca);
}

TEST(requests_differ_by_their_nonce_only)
{
    struct writer a = writer_new(1000), b = writer_new(1000);
    const unsigned char *at;
    TS_REQ *req;

    CHECK(stamp_request(SPAN_LIT("note\n"), &a, NULL) && stamp_request(SPAN_LIT("note\n"), &b, NULL));
    CHECK(!span_equal(writer_span(&a), writer_span(&b)));
    at = a.ptr;
    req = d2i_TS_REQ(NULL, &at, (long)a.len);
    CHECK(req != NULL && TS_REQ_get_cert_req(req) != 0 && TS_REQ_get_nonce(req) != NULL && TS_REQ_get_version(req) == 1);
    TS_REQ_free(req);
    writer_done(&a);
    writer_done(&b);
}

TESTS(T(a_stamp_is_taken_with_its_time), T(each_reason_to_refuse), T(every_turned_byte_is_refused_or_changes_nothing),
      T(requests_differ_by_their_nonce_only))
