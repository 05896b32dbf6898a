/*
 * DER (X.690), as far as time stamps need it: definite lengths, minimal, tags below 31.
 */
#ifndef VERIFY_DER_H
#define VERIFY_DER_H

#include "bytes.h"

#define DER_INTEGER     0x02
#define DER_BIT_STRING  0x03
#define DER_OCTETS      0x04
#define DER_OID         0x06
#define DER_UTC_TIME    0x17
#define DER_TIME        0x18 /* GeneralizedTime */
#define DER_BOOLEAN     0x01
#define DER_SEQUENCE    0x30
#define DER_SET         0x31
#define DER_CONTEXT(n)  (0xa0 | (n)) /* [n], constructed */

struct der {
    unsigned tag;
    struct bytes value;
    struct bytes whole; /* with tag and length */
};

/* The next element; dry where there is none or it is broken. */
struct der der_next(struct cursor *c);
/* The next element's value; dry unless it has that tag. */
struct bytes der_take(struct cursor *c, unsigned tag);
/* The next element if it has that tag; otherwise nothing is taken and .whole is empty. */
struct der der_optional(struct cursor *c, unsigned tag);
/* Inside of the next element of that tag. */
struct cursor der_enter(struct cursor *c, unsigned tag);
/* An AlgorithmIdentifier's OID. */
struct bytes der_algorithm(struct cursor *c);

/* OIDs as their encoded bytes. */
#define OID(s) LIT(s)

#endif
