/* DER. See der.h. */
#include "der.h"

struct der der_next(struct cursor *c)
{
    struct cursor start = *c;
    struct der d = { .tag = (unsigned)take_le(c, 1) };
    uint64_t length = take_le(c, 1);

    if (length >= 0x80) {
        unsigned n = (unsigned)length & 0x7f;

        length = 0;
        for (unsigned i = 0; i < n; i++)
            length = length << 8 | take_le(c, 1);
        if (n == 0 || n > 4 || length < 0x80 || length >> (8 * (n - 1)) == 0)
            c->dry = true;
    }
    if ((d.tag & 0x1f) == 0x1f)
        c->dry = true;
    d.value = take(c, (size_t)length);
    if (c->dry)
        return (struct der){ .tag = 0 };
    d.whole = part(start.left, 0, start.left.len - c->left.len);
    return d;
}

struct bytes der_take(struct cursor *c, unsigned tag)
{
    struct der d = der_next(c);

    if (c->dry || d.tag != tag)
        *c = (struct cursor){ .dry = true };
    return c->dry ? (struct bytes){ NULL, 0 } : d.value;
}

struct der der_optional(struct cursor *c, unsigned tag)
{
    if (c->dry || c->left.len == 0 || c->left.ptr[0] != tag)
        return (struct der){ .tag = 0 };
    return der_next(c);
}

struct cursor der_enter(struct cursor *c, unsigned tag)
{
    struct bytes inside = der_take(c, tag);

    return (struct cursor){ inside, c->dry };
}

struct bytes der_algorithm(struct cursor *c)
{
    struct cursor a = der_enter(c, DER_SEQUENCE);

    return der_take(&a, DER_OID);
}
