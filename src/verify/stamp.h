/*
 * Time-stamp tokens (RFC 3161 over CMS, RFC 5652).
 */
#ifndef VERIFY_STAMP_H
#define VERIFY_STAMP_H

#include "certificate.h"

struct stamp {
    struct bytes time; /* GeneralizedTime, as the token has it */
    struct bytes by;   /* common name of the signer's certificate; may be empty */
};

/*
 * The token is over `stamped` (its message imprint) and its signature fits the certificate for time stamping that it
 * carries. With authorities (DER certificates, one behind the other): that certificate leads to one of them.
 */
bool stamp_verify(struct bytes token, struct bytes stamped, struct bytes authorities, struct stamp *out, struct why *why);

#endif
