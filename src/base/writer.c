/* Growing bytes. See writer.h. */
#include "base/writer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void writer_done(struct writer *w)
{
    free(w->ptr);
    *w = (struct writer){ .limit = w->limit };
}

void writer_reset(struct writer *w)
{
    w->len = 0;
    w->failed = false;
}

static bool grow(struct writer *w, size_t need)
{
    size_t cap = w->cap < 256 ? 256 : w->cap;
    uint8_t *p;

    while (cap < need)
        cap = cap > w->limit / 2 ? w->limit : cap * 2; /* doubles, else many small writes cost their square; need <= limit */
    p = realloc(w->ptr, cap);
    if (p == NULL)
        return false;
    w->ptr = p;
    w->cap = cap;
    return true;
}

uint8_t *write_room(struct writer *w, size_t len)
{
    size_t need;
    uint8_t *at;

    if (w->failed || !size_add(w->len, len, &need) || need > w->limit
        || (need > w->cap && !grow(w, need))) {
        w->failed = true;
        return NULL;
    }
    at = w->ptr + w->len;
    w->len = need;
    return at;
}

void write_span(struct writer *w, struct span s)
{
    uint8_t *at = s.len == 0 ? NULL : write_room(w, s.len);

    if (at != NULL)
        memcpy(at, s.ptr, s.len);
}

void write_str(struct writer *w, const char *s)
{
    write_span(w, span_str(s));
}

void write_fill(struct writer *w, uint8_t b, size_t count)
{
    uint8_t *at = count == 0 ? NULL : write_room(w, count);

    if (at != NULL)
        memset(at, b, count);
}

static void put_be(uint8_t *at, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
}

static void put_le(uint8_t *at, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static void write_be(struct writer *w, uint64_t v, size_t n)
{
    uint8_t *at = write_room(w, n);

    if (at != NULL)
        put_be(at, v, n);
}

static void write_le(struct writer *w, uint64_t v, size_t n)
{
    uint8_t *at = write_room(w, n);

    if (at != NULL)
        put_le(at, v, n);
}

void write_u8(struct writer *w, uint8_t v)
{
    write_be(w, v, 1);
}

void write_u16be(struct writer *w, uint16_t v)
{
    write_be(w, v, 2);
}

void write_u16le(struct writer *w, uint16_t v)
{
    write_le(w, v, 2);
}

void write_u32be(struct writer *w, uint32_t v)
{
    write_be(w, v, 4);
}

void write_u32le(struct writer *w, uint32_t v)
{
    write_le(w, v, 4);
}

void write_u64be(struct writer *w, uint64_t v)
{
    write_be(w, v, 8);
}

void write_u64le(struct writer *w, uint64_t v)
{
    write_le(w, v, 8);
}

void write_printf(struct writer *w, const char *format, ...)
{
    va_list args, again;
    uint8_t *at;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    at = n < 0 ? NULL : write_room(w, (size_t)n + 1); /* vsnprintf wants to put its NUL */
    if (at != NULL) {
        (void)vsnprintf((char *)at, (size_t)n + 1, format, again);
        w->len--;
    } else {
        w->failed = true;
    }
    va_end(again);
    va_end(args);
}

static uint8_t *patch_at(struct writer *w, size_t at, size_t n)
{
    if (w->failed)
        return NULL;
    assert(at <= w->len && n <= w->len - at);
    return w->ptr + at;
}

void write_patch_u16be(struct writer *w, size_t at, uint16_t v)
{
    uint8_t *p = patch_at(w, at, 2);

    if (p != NULL)
        put_be(p, v, 2);
}

void write_patch_u32be(struct writer *w, size_t at, uint32_t v)
{
    uint8_t *p = patch_at(w, at, 4);

    if (p != NULL)
        put_be(p, v, 4);
}

void write_patch_u32le(struct writer *w, size_t at, uint32_t v)
{
    uint8_t *p = patch_at(w, at, 4);

    if (p != NULL)
        put_le(p, v, 4);
}

bool writer_ok(const struct writer *w, struct error *err, const char *what)
{
    if (!w->failed)
        return true;
    return error_set(err, w->len >= w->limit / 2 ? ERR_LIMIT : ERR_MEMORY, "%s does not fit in %zu bytes", what, w->limit);
}
