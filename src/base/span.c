/* Borrowed bytes: comparing, cutting, trimming. See span.h. */
#include "base/span.h"

#include <assert.h>

int span_compare(struct span a, struct span b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.ptr, b.ptr, n);

    if (c != 0)
        return c < 0 ? -1 : 1;
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

struct span span_part(struct span s, size_t from, size_t len)
{
    if (from >= s.len)
        return (struct span){ s.ptr == NULL ? NULL : s.ptr + s.len, 0 };
    if (len > s.len - from)
        len = s.len - from;
    return (struct span){ s.ptr + from, len };
}

static bool in_set(uint8_t b, const char *set)
{
    return b == 0 || strchr(set, b) != NULL;
}

struct span span_trim(struct span s, const char *set)
{
    while (s.len > 0 && in_set(s.ptr[0], set))
        s = span_part(s, 1, s.len);
    while (s.len > 0 && in_set(s.ptr[s.len - 1], set))
        s.len--;
    return s;
}

size_t span_index(struct span s, uint8_t b)
{
    const uint8_t *at = s.len == 0 ? NULL : memchr(s.ptr, b, s.len);

    return at == NULL ? s.len : (size_t)(at - s.ptr);
}

bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_equal(span_part(s, 0, prefix.len), prefix);
}

size_t span_offset(struct span whole, struct span part)
{
    assert(part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
    return (size_t)(part.ptr - whole.ptr);
}

bool span_to_str(struct span s, char *out, size_t cap)
{
    if (cap > 0)
        out[0] = '\0';
    if (s.len >= cap || span_index(s, 0) != s.len)
        return false;
    if (s.len > 0)
        memcpy(out, s.ptr, s.len);
    out[s.len] = '\0';
    return true;
}
