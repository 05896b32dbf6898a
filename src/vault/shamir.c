/* Shamir's secret sharing. See shamir.h. */
#include "vault/shamir.h"

#include <assert.h>

#define FIELD 0x1du /* x^8 = x^4 + x^3 + x^2 + 1 */

static uint8_t multiply(uint8_t a, uint8_t b)
{
    uint8_t product = 0;

    for (int i = 0; i < 8; i++) {
        product ^= (uint8_t)(a & (uint8_t) - (b & 1));
        a = (uint8_t)((a << 1) ^ (FIELD & (uint8_t) - (a >> 7)));
        b >>= 1;
    }
    return product;
}

/* a^254 is a^-1: the multiplicative group has 255 elements. */
static uint8_t inverse(uint8_t a)
{
    uint8_t power = a, result = 1;

    for (int i = 0; i < 7; i++) {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    return result;
}

void shamir_split(const uint8_t secret[KEY_BYTES], unsigned k, unsigned n, uint8_t out[][KEY_BYTES])
{
    uint8_t coefficients[SHAMIR_SHARES_MAX]; /* of one byte's polynomial; [0] is the secret */

    assert(k >= 2 && k <= n && n <= SHAMIR_SHARES_MAX);
    for (size_t at = 0; at < KEY_BYTES; at++) {
        coefficients[0] = secret[at];
        seal_random(coefficients + 1, k - 1);
        for (unsigned i = 0; i < n; i++) {
            uint8_t y = 0;

            for (unsigned c = k; c-- > 0;)
                y = multiply(y, (uint8_t)(i + 1)) ^ coefficients[c];
            out[i][at] = y;
        }
    }
    seal_wipe(coefficients, sizeof coefficients);
}

void shamir_combine(const uint8_t *numbers, const uint8_t shares[][KEY_BYTES], unsigned k, uint8_t out[KEY_BYTES])
{
    uint8_t weights[SHAMIR_SHARES_MAX]; /* Lagrange's, at 0 */

    assert(k >= 2 && k <= SHAMIR_SHARES_MAX);
    for (unsigned i = 0; i < k; i++) {
        weights[i] = 1;
        for (unsigned j = 0; j < k; j++)
            if (j != i)
                weights[i] = multiply(weights[i], multiply(numbers[j], inverse(numbers[i] ^ numbers[j])));
    }
    for (size_t at = 0; at < KEY_BYTES; at++) {
        uint8_t y = 0;

        for (unsigned i = 0; i < k; i++)
            y ^= multiply(weights[i], shares[i][at]);
        out[at] = y;
    }
}
