/* RFC 3161 on OpenSSL. See stamp.h. */
#include "vault/stamp.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <sodium.h>
#include <time.h>

#define NONCE_BYTES_OF_REQUEST 8

/* ---- the request ---- */

static bool set_imprint(TS_REQ *req, struct span note)
{
    uint8_t hash[crypto_hash_sha256_BYTES];
    TS_MSG_IMPRINT *imprint = TS_MSG_IMPRINT_new();
    X509_ALGOR *algorithm = X509_ALGOR_new();
    bool ok = imprint != NULL && algorithm != NULL;

    (void)crypto_hash_sha256(hash, note.ptr, note.len);
    if (ok)
        X509_ALGOR_set_md(algorithm, EVP_sha256());
    ok = ok && TS_MSG_IMPRINT_set_algo(imprint, algorithm) == 1
         && TS_MSG_IMPRINT_set_msg(imprint, hash, (int)sizeof hash) == 1 && TS_REQ_set_msg_imprint(req, imprint) == 1;
    X509_ALGOR_free(algorithm);
    TS_MSG_IMPRINT_free(imprint);
    return ok;
}

static bool set_nonce(TS_REQ *req)
{
    uint8_t random[NONCE_BYTES_OF_REQUEST];
    BIGNUM *n;
    ASN1_INTEGER *nonce = NULL;
    bool ok;

    randombytes_buf(random, sizeof random);
    n = BN_bin2bn(random, (int)sizeof random, NULL);
    ok = n != NULL && (nonce = BN_to_ASN1_INTEGER(n, NULL)) != NULL && TS_REQ_set_nonce(req, nonce) == 1;
    ASN1_INTEGER_free(nonce);
    BN_free(n);
    return ok;
}

bool stamp_request(struct span note, struct writer *der, struct error *err)
{
    TS_REQ *req = TS_REQ_new();
    unsigned char *bytes = NULL;
    int len = -1;

    if (req != NULL && TS_REQ_set_version(req, 1) == 1 && set_imprint(req, note) && set_nonce(req)
        && TS_REQ_set_cert_req(req, 1) == 1)
        len = i2d_TS_REQ(req, &bytes);
    if (len > 0)
        write_span(der, span_of(bytes, (size_t)len));
    OPENSSL_free(bytes);
    TS_REQ_free(req);
    ERR_clear_error();
    return len > 0 ? writer_ok(der, err, "time stamp request") : error_set(err, ERR_MEMORY, "time stamp request");
}

/* ---- the response ---- */

/* The newest reason, with what OpenSSL says beside it (PKIStatus, PKIFailureInfo), and an empty queue. */
static bool not_believed(struct error *err, enum error_code code)
{
    const char *more = NULL, *reason;
    int flags = 0;
    const unsigned long e = ERR_peek_last_error_data(&more, &flags);

    reason = e != 0 ? ERR_reason_error_string(e) : NULL;
    (void)error_set(err, code, "%s%s%.160s", reason != NULL ? reason : "it cannot be read",
                    (flags & ERR_TXT_STRING) != 0 && more != NULL && more[0] != '\0' ? ": " : "",
                    (flags & ERR_TXT_STRING) != 0 && more != NULL ? more : "");
    ERR_clear_error();
    return false;
}

static X509_STORE *anchors_of(struct span ca)
{
    X509_STORE *store = X509_STORE_new();
    BIO *b = BIO_new_mem_buf(ca.ptr, (int)ca.len);
    size_t count = 0;
    X509 *x;

    while (store != NULL && b != NULL && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL) {
        count += X509_STORE_add_cert(store, x) == 1;
        X509_free(x);
    }
    BIO_free(b);
    ERR_clear_error();
    if (count > 0 && X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1)
        return store;
    X509_STORE_free(store);
    return NULL;
}

static bool verify(TS_REQ *req, TS_RESP *resp, struct span ca, struct error *err)
{
    TS_VERIFY_CTX *ctx = TS_REQ_to_TS_VERIFY_CTX(req, NULL);
    X509_STORE *store = anchors_of(ca);
    bool ok;

    if (ctx == NULL || store == NULL) {
        TS_VERIFY_CTX_free(ctx);
        X509_STORE_free(store);
        return error_set(err, ERR_USAGE, "no certificate in PEM form to believe it by");
    }
    (void)TS_VERIFY_CTX_add_flags(ctx, TS_VFY_SIGNATURE);
    (void)TS_VERIFY_CTX_set_store(ctx, store); /* the context owns it now */
    ok = TS_RESP_verify_response(ctx, resp) == 1;
    TS_VERIFY_CTX_free(ctx);
    return ok || not_believed(err, ERR_DAMAGED);
}

static bool time_of(TS_RESP *resp, uint64_t *time_us)
{
    struct tm tm = { 0 };

    if (ASN1_TIME_to_tm(TS_TST_INFO_get_time(TS_RESP_get_tst_info(resp)), &tm) != 1)
        return false;
    *time_us = (uint64_t)timegm(&tm) * 1000000;
    return true;
}

static bool put_token(TS_RESP *resp, struct writer *token, struct error *err)
{
    unsigned char *bytes = NULL;
    const int len = i2d_PKCS7(TS_RESP_get_token(resp), &bytes);

    if (len > 0)
        write_span(token, span_of(bytes, (size_t)len));
    OPENSSL_free(bytes);
    return len > 0 ? writer_ok(token, err, "time stamp token") : error_set(err, ERR_MEMORY, "time stamp token");
}

/* granted or grantedWithMods (§2.4.2); else what the TSA says. */
static bool granted(TS_RESP *resp, TS_REQ *req, struct span ca, struct error *err)
{
    const long status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(resp)));

    if (status == TS_STATUS_GRANTED || status == TS_STATUS_GRANTED_WITH_MODS)
        return true;
    (void)verify(req, resp, ca, err); /* it puts status and failure info into words */
    err->code = ERR_REFUSED;
    return false;
}

bool stamp_read(struct span request, struct span response, struct span ca, struct writer *token, uint64_t *time_us,
                struct error *err)
{
    const unsigned char *at = response.ptr, *of_request = request.ptr;
    TS_REQ *req = d2i_TS_REQ(NULL, &of_request, (long)request.len);
    TS_RESP *resp = d2i_TS_RESP(NULL, &at, (long)response.len);
    struct error own = { 0 };
    bool ok = false;

    if (req == NULL || resp == NULL || at != response.ptr + response.len)
        (void)not_believed(&own, ERR_DAMAGED);
    else if (granted(resp, req, ca, &own) && verify(req, resp, ca, &own))
        ok = time_of(resp, time_us) ? put_token(resp, token, &own)
                                    : error_set(&own, ERR_DAMAGED, "a time stamp without a time");
    TS_RESP_free(resp);
    TS_REQ_free(req);
    ERR_clear_error();
    return ok || error_set(err, own.code, "%s", own.text);
}
