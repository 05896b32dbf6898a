/* Time-stamp tokens. See stamp.h; names are those of RFC 5652 and RFC 3161. */
#include "stamp.h"

#include <nettle/sha1.h>
#include <string.h>

#define SIGNED_ATTRIBUTES_MAX 4096

struct signed_data {
    struct bytes tst_info;
    struct certificate certificates[CERTIFICATES_MAX];
    size_t certificate_count;
    struct bytes issuer_and_serial, digest_algorithm, attributes, signature_algorithm, signature;
};

static bool parse_signer(struct cursor *infos, struct signed_data *out, struct why *why)
{
    struct cursor s = der_enter(infos, DER_SEQUENCE);

    (void)der_take(&s, DER_INTEGER);
    out->issuer_and_serial = der_take(&s, DER_SEQUENCE); /* a signer named by a key identifier is refused here */
    out->digest_algorithm = der_algorithm(&s);
    out->attributes = der_optional(&s, DER_CONTEXT(0)).whole;
    out->signature_algorithm = der_algorithm(&s);
    out->signature = der_take(&s, DER_OCTETS);
    if (s.dry || infos->left.len != 0 || out->attributes.len == 0 || out->attributes.len > SIGNED_ATTRIBUTES_MAX)
        return no(why, "the token's signer is broken, or there are several");
    return true;
}

static bool parse_token(struct bytes token, struct signed_data *out, struct why *why)
{
    struct cursor all = { token, false };
    struct cursor info = der_enter(&all, DER_SEQUENCE), wrap, data, content, octets, infos;
    struct bytes certificates;

    if (!same(der_take(&info, DER_OID), LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02")))
        return no(why, "the token is no CMS SignedData");
    wrap = der_enter(&info, DER_CONTEXT(0));
    data = der_enter(&wrap, DER_SEQUENCE);
    (void)der_take(&data, DER_INTEGER);
    (void)der_take(&data, DER_SET);
    content = der_enter(&data, DER_SEQUENCE);
    if (!same(der_take(&content, DER_OID), LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04")))
        return no(why, "the token holds no TSTInfo");
    octets = der_enter(&content, DER_CONTEXT(0));
    out->tst_info = der_take(&octets, DER_OCTETS);
    certificates = der_optional(&data, DER_CONTEXT(0)).value;
    (void)der_optional(&data, DER_CONTEXT(1));
    infos = der_enter(&data, DER_SET);
    if (all.dry || all.left.len != 0 || data.dry || octets.dry || infos.dry)
        return no(why, "the token is broken");
    return certificates_parse(certificates, out->certificates, CERTIFICATES_MAX, &out->certificate_count, why)
           && parse_signer(&infos, out, why);
}

static const struct certificate *signer_of(const struct signed_data *d)
{
    struct cursor c = { d->issuer_and_serial, false };
    struct bytes issuer = der_next(&c).whole, serial = der_take(&c, DER_INTEGER);

    for (size_t i = 0; !c.dry && i < d->certificate_count; i++)
        if (same(d->certificates[i].issuer, issuer) && same(d->certificates[i].serial, serial))
            return &d->certificates[i];
    return NULL;
}

/* The value of a signed attribute, which must be there once and have one value. */
static struct cursor attribute(const struct signed_data *d, struct bytes oid)
{
    struct cursor whole = { d->attributes, false }, list = der_enter(&whole, DER_CONTEXT(0)), found = { .dry = true };
    unsigned times = 0;

    while (!list.dry && list.left.len > 0) {
        struct cursor a = der_enter(&list, DER_SEQUENCE);
        bool it = same(der_take(&a, DER_OID), oid);
        struct cursor values = der_enter(&a, DER_SET);

        if (it)
            found = values;
        times += it ? 1 : 0;
    }
    found.dry = found.dry || list.dry || times != 1;
    return found;
}

/* signing-certificate (RFC 5816, RFC 2634): the certificate is the one that the signer meant. */
static bool names_certificate(const struct signed_data *d, const struct certificate *signer)
{
    struct cursor v2 = attribute(d, LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f"));
    struct cursor v1 = attribute(d, LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0c"));
    struct cursor *v = v2.dry ? &v1 : &v2;
    struct cursor s = der_enter(v, DER_SEQUENCE), certs = der_enter(&s, DER_SEQUENCE), id = der_enter(&certs, DER_SEQUENCE);
    uint8_t want[DIGEST_BYTES_MAX];
    enum digest digest = DIGEST_SHA256;
    struct sha1_ctx sha1;
    size_t length;

    if (!v2.dry && id.left.len > 0 && id.left.ptr[0] == DER_SEQUENCE)
        digest = digest_of_oid(der_algorithm(&id));
    if (v2.dry) {
        sha1_init(&sha1);
        sha1_update(&sha1, signer->whole.len, signer->whole.ptr);
        sha1_digest(&sha1, SHA1_DIGEST_SIZE, want);
        length = SHA1_DIGEST_SIZE;
    } else {
        length = digest_of(digest, signer->whole, want);
    }
    return length > 0 && same(der_take(&id, DER_OCTETS), (struct bytes){ want, length }) && !id.dry;
}

static bool check_signature(const struct signed_data *d, const struct certificate *signer, struct why *why)
{
    enum digest digest = digest_of_oid(d->digest_algorithm);
    struct cursor type = attribute(d, LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"));
    struct cursor digest_value = attribute(d, LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"));
    uint8_t want[DIGEST_BYTES_MAX], set[SIGNED_ATTRIBUTES_MAX];
    size_t length = digest_of(digest, d->tst_info, want);

    if (!same(der_take(&type, DER_OID), LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04")) || type.dry || length == 0)
        return no(why, "the token signs something else, or with a hash not known here");
    if (!same(der_take(&digest_value, DER_OCTETS), (struct bytes){ want, length }) || digest_value.dry)
        return no(why, "the token's content was altered");
    memcpy(set, d->attributes.ptr, d->attributes.len);
    set[0] = DER_SET; /* RFC 5652 §5.4: hashed as the SET it is, not as [0] */
    return certificate_signed(signer, d->signature_algorithm, digest, (struct bytes){ set, d->attributes.len },
                              d->signature, why);
}

/* TSTInfo: the imprint is that of `stamped`; *time gets genTime. */
static bool check_info(struct bytes tst_info, struct bytes stamped, struct bytes *time, struct why *why)
{
    struct cursor all = { tst_info, false };
    struct cursor info = der_enter(&all, DER_SEQUENCE), imprint;
    uint8_t want[DIGEST_BYTES_MAX];
    struct bytes got;
    size_t length;

    (void)der_take(&info, DER_INTEGER);
    (void)der_take(&info, DER_OID);
    imprint = der_enter(&info, DER_SEQUENCE);
    length = digest_of(digest_of_oid(der_algorithm(&imprint)), stamped, want);
    got = der_take(&imprint, DER_OCTETS);
    (void)der_take(&info, DER_INTEGER);
    *time = der_take(&info, DER_TIME);
    if (info.dry || imprint.dry || length == 0 || time->len < 15 || time->ptr[time->len - 1] != 'Z')
        return no(why, "the token's TSTInfo is broken, or of a hash not known here");
    return same(got, (struct bytes){ want, length }) || no(why, "the token is over another checkpoint");
}

/* The last commonName (2.5.4.3) of a name, to say who it was. */
static struct bytes common_name(struct bytes name)
{
    struct cursor whole = { name, false }, c = der_enter(&whole, DER_SEQUENCE);
    struct bytes found = { NULL, 0 };

    while (!c.dry && c.left.len > 0) {
        struct cursor set = der_enter(&c, DER_SET), pair = der_enter(&set, DER_SEQUENCE);
        bool it = same(der_take(&pair, DER_OID), LIT("\x55\x04\x03"));
        struct bytes value = der_next(&pair).value;

        if (it && !pair.dry)
            found = value;
    }
    return found;
}

bool stamp_verify(struct bytes token, struct bytes stamped, struct bytes authorities, struct stamp *out, struct why *why)
{
    struct certificate trusted[CERTIFICATES_MAX];
    struct signed_data d = { .certificate_count = 0 };
    const struct certificate *signer;
    char time[16] = "";
    size_t count;

    if (!parse_token(token, &d, why) || !check_info(d.tst_info, stamped, &out->time, why))
        return false;
    memcpy(time, out->time.ptr, 14); /* without fractions of a second */
    time[14] = 'Z';
    if (!certificates_parse(authorities, trusted, CERTIFICATES_MAX, &count, why))
        return false;
    signer = signer_of(&d);
    if (signer == NULL || !signer->for_time_stamps)
        return no(why, "the token carries no certificate of its signer that is for time stamping");
    if (!names_certificate(&d, signer) || !check_signature(&d, signer, why))
        return why->text[0] == '\0' ? no(why, "the token names another certificate") : false;
    out->by = common_name(signer->subject);
    return count == 0
           || certificate_leads_to(signer, d.certificates, d.certificate_count, trusted, count, time, why);
}
