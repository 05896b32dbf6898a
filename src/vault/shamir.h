/*
 * Shamir's secret sharing of 32 bytes, byte by byte in GF(2^8) modulo x^8+x^4+x^3+x^2+1 (the field of libgfshare, whose
 * shares are the same; a test holds us to it). Share i is the polynomial at i; at 0 it is the secret.
 *
 * In constant time. Whoever holds what comes in or out keeps it in locked memory.
 */
#ifndef FANAL_VAULT_SHAMIR_H
#define FANAL_VAULT_SHAMIR_H

#include "vault/seal.h"

#define SHAMIR_SHARES_MAX 16u

/* Shares 1 to n, any k of which give the secret back and fewer say nothing of it. 2 <= k <= n <= SHAMIR_SHARES_MAX. */
void shamir_split(const uint8_t secret[KEY_BYTES], unsigned k, unsigned n, uint8_t out[][KEY_BYTES]);

/* k shares by their numbers, which differ and are not 0. Wrong shares give a wrong secret, not an error. */
void shamir_combine(const uint8_t *numbers, const uint8_t shares[][KEY_BYTES], unsigned k, uint8_t out[KEY_BYTES]);

#endif
