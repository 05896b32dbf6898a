/*
 * X.509 certificates (RFC 5280), as far as a time stamp's chain needs them.
 */
#ifndef VERIFY_CERTIFICATE_H
#define VERIFY_CERTIFICATE_H

#include "der.h"

#define CERTIFICATES_MAX 8
#define CHAIN_MAX        4

enum digest { DIGEST_NONE, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };
#define DIGEST_BYTES_MAX 64
/* Of a hash algorithm's OID; NONE for any other (SHA-1 too). */
enum digest digest_of_oid(struct bytes oid);
/* Returns the digest's length. */
size_t digest_of(enum digest d, struct bytes b, uint8_t out[DIGEST_BYTES_MAX]);

struct certificate {
    struct bytes whole, signed_part, issuer, subject, serial, key_algorithm, curve, key;
    struct bytes signature_algorithm, signature;
    char not_before[16], not_after[16]; /* YYYYMMDDHHMMSSZ */
    bool is_authority, may_sign_certificates, for_time_stamps;
};

bool certificate_parse(struct bytes der, struct certificate *out, struct why *why);
/* Cuts DER certificates that stand one behind the other; at most max. */
bool certificates_parse(struct bytes der, struct certificate *out, size_t max, size_t *count, struct why *why);

/* A signature over bytes by the certificate's key. algorithm: a signature algorithm's OID; digest: where that names none. */
bool certificate_signed(const struct certificate *c, struct bytes algorithm, enum digest digest, struct bytes message,
                        struct bytes signature, struct why *why);

/*
 * The certificate leads, over others, to one of the authorities; all of them were valid at the time (YYYYMMDDHHMMSSZ).
 */
bool certificate_leads_to(const struct certificate *c, const struct certificate *others, size_t other_count,
                          const struct certificate *authorities, size_t authority_count, const char *time,
                          struct why *why);

#endif
