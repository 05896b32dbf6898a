/* Cursors, numbers, base64, "no". See bytes.h. */
#include "bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct bytes part(struct bytes b, size_t from, size_t len)
{
    if (from > b.len || b.ptr == NULL) /* nothing at NULL has a place to add to */
        return (struct bytes){ NULL, 0 };
    return (struct bytes){ b.ptr + from, len < b.len - from ? len : b.len - from };
}

struct bytes take(struct cursor *c, size_t n)
{
    struct bytes out = part(c->left, 0, n);

    if (c->dry || out.len < n) {
        *c = (struct cursor){ .dry = true };
        return (struct bytes){ NULL, 0 };
    }
    c->left = part(c->left, n, c->left.len);
    return out;
}

uint64_t take_le(struct cursor *c, unsigned n)
{
    struct bytes b = take(c, n);
    uint64_t v = 0;

    for (size_t i = b.len; i > 0; i--)
        v = v << 8 | b.ptr[i - 1];
    return v;
}

bool same(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool is_zero(struct bytes b)
{
    uint8_t any = 0;

    for (size_t i = 0; i < b.len; i++)
        any |= b.ptr[i];
    return any == 0;
}

struct bytes take_line(struct cursor *c)
{
    size_t n = 0;
    struct bytes line;

    while (n < c->left.len && c->left.ptr[n] != '\n')
        n++;
    line = take(c, n);
    (void)take(c, 1); /* where there is no LF, this runs dry */
    return c->dry ? (struct bytes){ NULL, 0 } : line;
}

bool decimal(struct bytes text, uint64_t *out)
{
    uint64_t v = 0;

    if (text.len == 0 || text.len > 19 || (text.len > 1 && text.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    *out = v;
    return true;
}

static int base64_value(uint8_t c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == 0 ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits);
}

bool base64(struct bytes text, uint8_t *out, size_t cap, size_t *len)
{
    size_t pad = 0, n = 0;
    uint32_t group = 0;

    if (text.len == 0 || text.len % 4 != 0)
        return false;
    while (pad < 2 && text.ptr[text.len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < text.len; i++) {
        int v = i < text.len - pad ? base64_value(text.ptr[i]) : 0;

        if (v < 0)
            return false;
        group = group << 6 | (uint32_t)v;
        for (unsigned b = 0; i % 4 == 3 && b < 3; b++) {
            uint8_t byte = (uint8_t)(group >> (16 - 8 * b));

            if (i == text.len - 1 && b >= 3 - pad) {
                if (byte != 0)
                    return false; /* bits nobody reads could say anything */
            } else if (n == cap) {
                return false;
            } else {
                out[n++] = byte;
            }
        }
        if (i % 4 == 3)
            group = 0;
    }
    *len = n;
    return true;
}

bool no(struct why *why, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
    return false;
}

bool no_within(struct why *why, const char *format, ...)
{
    char where[200], what[sizeof why->text];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(where, sizeof where, format, args);
    va_end(args);
    (void)snprintf(what, sizeof what, "%s", why->text);
    (void)snprintf(why->text, sizeof why->text, "%s: %.290s", where, what);
    return false;
}
