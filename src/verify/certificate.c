/* Certificates and their signatures: RSA PKCS #1 v1.5 and ECDSA, with SHA-2. See certificate.h. */
#include "certificate.h"

#include <nettle/ecc-curve.h>
#include <nettle/ecdsa.h>
#include <nettle/rsa.h>
#include <nettle/sha2.h>
#include <string.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

static const struct bytes oid_rsa = LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
static const struct bytes oid_ec = LIT("\x2a\x86\x48\xce\x3d\x02\x01");

/* Hash, and signature algorithms that name it. */
static const struct {
    enum digest digest;
    struct bytes hash, rsa, ecdsa;
} algorithms[] = {
    { DIGEST_SHA256, LIT("\x60\x86\x48\x01\x65\x03\x04\x02\x01"), LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"),
      LIT("\x2a\x86\x48\xce\x3d\x04\x03\x02") },
    { DIGEST_SHA384, LIT("\x60\x86\x48\x01\x65\x03\x04\x02\x02"), LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"),
      LIT("\x2a\x86\x48\xce\x3d\x04\x03\x03") },
    { DIGEST_SHA512, LIT("\x60\x86\x48\x01\x65\x03\x04\x02\x03"), LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"),
      LIT("\x2a\x86\x48\xce\x3d\x04\x03\x04") },
};
#define ALGORITHMS (sizeof algorithms / sizeof algorithms[0])

enum digest digest_of_oid(struct bytes oid)
{
    for (size_t i = 0; i < ALGORITHMS; i++)
        if (same(oid, algorithms[i].hash))
            return algorithms[i].digest;
    return DIGEST_NONE;
}

size_t digest_of(enum digest d, struct bytes b, uint8_t out[DIGEST_BYTES_MAX])
{
    struct sha256_ctx short_one;
    struct sha512_ctx long_one;

    switch (d) {
    case DIGEST_NONE:
        return 0;
    case DIGEST_SHA256:
        sha256_init(&short_one);
        sha256_update(&short_one, b.len, b.ptr);
        sha256_digest(&short_one, SHA256_DIGEST_SIZE, out);
        return SHA256_DIGEST_SIZE;
    case DIGEST_SHA384:
        sha384_init(&long_one);
        sha384_update(&long_one, b.len, b.ptr);
        sha384_digest(&long_one, SHA384_DIGEST_SIZE, out);
        return SHA384_DIGEST_SIZE;
    case DIGEST_SHA512:
        sha512_init(&long_one);
        sha512_update(&long_one, b.len, b.ptr);
        sha512_digest(&long_one, SHA512_DIGEST_SIZE, out);
        return SHA512_DIGEST_SIZE;
    }
    return 0;
}

/* ---- parsing ---- */

/* UTCTime YYMMDDHHMMSSZ (RFC 5280 §4.1.2.5.1) or GeneralizedTime YYYYMMDDHHMMSSZ. */
static bool parse_time(struct cursor *c, char out[16])
{
    struct der d = der_next(c);
    size_t two = d.tag == DER_UTC_TIME ? 2 : 0;

    if ((d.tag != DER_UTC_TIME && d.tag != DER_TIME) || d.value.len != 15 - two)
        return false;
    if (two != 0)
        memcpy(out, d.value.ptr[0] < '5' ? "20" : "19", 2);
    memcpy(out + two, d.value.ptr, d.value.len);
    out[15] = '\0';
    return out[14] == 'Z';
}

static void parse_key(struct cursor *c, struct certificate *out)
{
    struct cursor info = der_enter(c, DER_SEQUENCE);
    struct cursor algorithm = der_enter(&info, DER_SEQUENCE);
    struct der curve;

    out->key_algorithm = der_take(&algorithm, DER_OID);
    curve = der_optional(&algorithm, DER_OID);
    out->curve = curve.value;
    out->key = der_take(&info, DER_BIT_STRING);
    if (info.dry || algorithm.dry || out->key.len < 2 || out->key.ptr[0] != 0)
        c->dry = true;
    out->key = part(out->key, 1, out->key.len); /* without the count of unused bits */
}

static bool parse_usage(struct bytes id, struct bytes value, bool critical, struct certificate *out)
{
    struct cursor v = { value, false };

    if (same(id, LIT("\x55\x1d\x13"))) { /* basicConstraints */
        struct cursor s = der_enter(&v, DER_SEQUENCE);
        struct der ca = der_optional(&s, DER_BOOLEAN);

        out->is_authority = ca.value.len == 1 && ca.value.ptr[0] == 0xff;
        return !v.dry && !s.dry;
    }
    if (same(id, LIT("\x55\x1d\x0f"))) { /* keyUsage: bit 5 is keyCertSign */
        struct bytes bits = der_take(&v, DER_BIT_STRING);

        out->may_sign_certificates = bits.len >= 2 && (bits.ptr[1] & 0x04) != 0;
        return !v.dry;
    }
    if (same(id, LIT("\x55\x1d\x25"))) { /* extKeyUsage: RFC 3161 §2.3: timeStamping alone, and critical */
        struct cursor s = der_enter(&v, DER_SEQUENCE);

        out->for_time_stamps = critical && same(der_take(&s, DER_OID), LIT("\x2b\x06\x01\x05\x05\x07\x03\x08"))
                               && s.left.len == 0;
        return !v.dry && !s.dry;
    }
    return !critical; /* RFC 5280 §4.2: what must be understood and is not, refuses the certificate */
}

static bool parse_extensions(struct cursor *c, struct certificate *out)
{
    struct cursor outer = { der_optional(c, DER_CONTEXT(3)).value, false };
    struct cursor list;

    out->may_sign_certificates = true; /* without keyUsage there is no such restriction */
    if (outer.left.len == 0)
        return true;
    list = der_enter(&outer, DER_SEQUENCE);
    while (!list.dry && list.left.len > 0) {
        struct cursor e = der_enter(&list, DER_SEQUENCE);
        struct bytes id = der_take(&e, DER_OID);
        struct der critical = der_optional(&e, DER_BOOLEAN);
        struct bytes value = der_take(&e, DER_OCTETS);

        if (e.dry || !parse_usage(id, value, critical.value.len == 1 && critical.value.ptr[0] != 0, out))
            return false;
    }
    return !list.dry && !outer.dry;
}

bool certificate_parse(struct bytes der, struct certificate *out, struct why *why)
{
    struct cursor all = { der, false }, c, tbs, times;
    struct certificate r = { .whole = der };
    struct der signed_part;

    c = der_enter(&all, DER_SEQUENCE);
    signed_part = der_next(&c);
    r.signed_part = signed_part.whole;
    tbs = (struct cursor){ signed_part.value, c.dry };
    (void)der_optional(&tbs, DER_CONTEXT(0));
    r.serial = der_take(&tbs, DER_INTEGER);
    (void)der_algorithm(&tbs);
    r.issuer = der_next(&tbs).whole;
    times = der_enter(&tbs, DER_SEQUENCE);
    if (!parse_time(&times, r.not_before) || !parse_time(&times, r.not_after))
        return no(why, "a certificate without times");
    r.subject = der_next(&tbs).whole;
    parse_key(&tbs, &r);
    (void)der_optional(&tbs, 0x81);
    (void)der_optional(&tbs, 0x82);
    if (!parse_extensions(&tbs, &r))
        return no(why, "a certificate has an extension that is broken or not understood");
    r.signature_algorithm = der_algorithm(&c);
    r.signature = der_take(&c, DER_BIT_STRING);
    if (all.dry || c.dry || tbs.dry || all.left.len != 0 || r.signature.len < 2 || r.signature.ptr[0] != 0)
        return no(why, "a certificate is broken");
    r.signature = part(r.signature, 1, r.signature.len);
    *out = r;
    return true;
}

bool certificates_parse(struct bytes der, struct certificate *out, size_t max, size_t *count, struct why *why)
{
    struct cursor c = { der, false };

    for (*count = 0; c.left.len > 0; (*count)++) {
        struct der d = der_next(&c);

        if (c.dry || *count == max)
            return no(why, "more than %zu certificates, or a broken one", max);
        if (!certificate_parse(d.whole, &out[*count], why))
            return false;
    }
    return true;
}

/* ---- signatures ---- */

static bool rsa_fits(struct bytes key, enum digest d, struct bytes message, struct bytes signature)
{
    /* DigestInfo of RFC 8017 §9.2: the hash algorithm with NULL, the digest. */
    uint8_t info[19 + DIGEST_BYTES_MAX] = { 0x30, 0, 0x30, 0x0d, 0x06, 0x09 };
    struct cursor c = { key, false }, s = der_enter(&c, DER_SEQUENCE);
    struct bytes n = der_take(&s, DER_INTEGER), e = der_take(&s, DER_INTEGER);
    struct rsa_public_key rsa;
    mpz_t sig;
    size_t length = digest_of(d, message, info + 19);
    bool ok;

    info[1] = (uint8_t)(17 + length);
    memcpy(info + 6, algorithms[d - DIGEST_SHA256].hash.ptr, 9);
    info[15] = 0x05;
    info[17] = 0x04;
    info[18] = (uint8_t)length;
    if (s.dry || n.len > RSA_BITS_MAX / 8 + 1 || e.len > 4 || signature.len > RSA_BITS_MAX / 8)
        return false;
    rsa_public_key_init(&rsa);
    mpz_init(sig);
    mpz_import(rsa.n, n.len, 1, 1, 1, 0, n.ptr);
    mpz_import(rsa.e, e.len, 1, 1, 1, 0, e.ptr);
    mpz_import(sig, signature.len, 1, 1, 1, 0, signature.ptr);
    ok = mpz_sizeinbase(rsa.n, 2) >= RSA_BITS_MIN && mpz_odd_p(rsa.n) && mpz_cmp_ui(rsa.e, 3) >= 0
         && rsa_public_key_prepare(&rsa) == 1 && rsa_pkcs1_verify(&rsa, 19 + length, info, sig) == 1;
    mpz_clear(sig);
    rsa_public_key_clear(&rsa);
    return ok;
}

static const struct ecc_curve *curve_of(struct bytes oid, size_t *bytes)
{
    if (same(oid, LIT("\x2a\x86\x48\xce\x3d\x03\x01\x07"))) {
        *bytes = 32;
        return nettle_get_secp_256r1();
    }
    if (same(oid, LIT("\x2b\x81\x04\x00\x22"))) {
        *bytes = 48;
        return nettle_get_secp_384r1();
    }
    return NULL;
}

static bool ecdsa_fits(struct bytes oid, struct bytes key, enum digest d, struct bytes message, struct bytes signature)
{
    struct cursor c = { signature, false }, s = der_enter(&c, DER_SEQUENCE);
    struct bytes r = der_take(&s, DER_INTEGER), t = der_take(&s, DER_INTEGER);
    uint8_t digest[DIGEST_BYTES_MAX];
    size_t length = digest_of(d, message, digest), n;
    const struct ecc_curve *curve = curve_of(oid, &n);
    struct dsa_signature sig;
    struct ecc_point point;
    mpz_t x, y;
    bool ok;

    if (curve == NULL || s.dry || s.left.len != 0 || c.left.len != 0 || key.len != 1 + 2 * n || key.ptr[0] != 4
        || r.len > n + 1 || t.len > n + 1)
        return false;
    ecc_point_init(&point, curve);
    dsa_signature_init(&sig);
    mpz_init(x);
    mpz_init(y);
    mpz_import(x, n, 1, 1, 1, 0, key.ptr + 1);
    mpz_import(y, n, 1, 1, 1, 0, key.ptr + 1 + n);
    mpz_import(sig.r, r.len, 1, 1, 1, 0, r.ptr);
    mpz_import(sig.s, t.len, 1, 1, 1, 0, t.ptr);
    ok = ecc_point_set(&point, x, y) == 1 && ecdsa_verify(&point, length, digest, &sig) == 1;
    mpz_clear(x);
    mpz_clear(y);
    dsa_signature_clear(&sig);
    ecc_point_clear(&point);
    return ok;
}

bool certificate_signed(const struct certificate *c, struct bytes algorithm, enum digest digest, struct bytes message,
                        struct bytes signature, struct why *why)
{
    bool rsa = same(c->key_algorithm, oid_rsa), ec = same(c->key_algorithm, oid_ec);

    for (size_t i = 0; i < ALGORITHMS; i++)
        if (same(algorithm, rsa ? algorithms[i].rsa : algorithms[i].ecdsa))
            digest = algorithms[i].digest;
    if ((!rsa && !ec) || digest == DIGEST_NONE)
        return no(why, "a signature of a kind that is not known here (RSA PKCS #1 v1.5 and ECDSA with SHA-2 are)");
    if (rsa ? rsa_fits(c->key, digest, message, signature) : ecdsa_fits(c->curve, c->key, digest, message, signature))
        return true;
    return no(why, "a signature does not fit");
}

/* ---- chains ---- */

static bool valid_at(const struct certificate *c, const char *time)
{
    return strcmp(c->not_before, time) <= 0 && strcmp(time, c->not_after) <= 0;
}

/* One that may issue certificates, has the name of c's issuer, was valid, and signed c. */
static const struct certificate *issuer_of(const struct certificate *c, const struct certificate *among, size_t count,
                                           const char *time)
{
    struct why ignored;

    for (size_t i = 0; i < count; i++)
        if (same(c->issuer, among[i].subject) && among[i].is_authority && among[i].may_sign_certificates
            && valid_at(&among[i], time)
            && certificate_signed(&among[i], c->signature_algorithm, DIGEST_NONE, c->signed_part, c->signature, &ignored))
            return &among[i];
    return NULL;
}

bool certificate_leads_to(const struct certificate *c, const struct certificate *others, size_t other_count,
                          const struct certificate *authorities, size_t authority_count, const char *time,
                          struct why *why)
{
    if (!valid_at(c, time))
        return no(why, "its certificate was not valid at its time");
    for (unsigned i = 0; c != NULL && i < CHAIN_MAX; i++) {
        for (size_t a = 0; a < authority_count; a++)
            if (same(c->whole, authorities[a].whole))
                return true;
        if (issuer_of(c, authorities, authority_count, time) != NULL)
            return true;
        c = issuer_of(c, others, other_count, time);
    }
    return no(why, "its certificate does not lead to the authority given");
}
