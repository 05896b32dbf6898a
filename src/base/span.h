/*
 * Borrowed bytes, and sizes that refuse to wrap.
 *
 * A span never owns: whoever hands one out says how long the bytes live.
 */
#ifndef FANAL_BASE_SPAN_H
#define FANAL_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const uint8_t *ptr;
    size_t len;
};

/* A span over the bytes of a string literal, without its NUL. */
#define SPAN_LIT(s) ((struct span){ (const uint8_t *)(s), sizeof(s) - 1 })

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static inline struct span span_of(const void *ptr, size_t len)
{
    return (struct span){ ptr, len };
}

/* The bytes of a NUL-terminated string, without its NUL; borrows from s. */
static inline struct span span_str(const char *s)
{
    return (struct span){ (const uint8_t *)s, strlen(s) };
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* -1, 0 or 1 by unsigned bytes; a prefix sorts before what it begins. */
int span_compare(struct span a, struct span b);

/* The part from `from` on, at most len bytes; empty where it lies outside. */
struct span span_part(struct span s, size_t from, size_t len);

/* Without leading and trailing bytes of the set (a C string; NUL is always in the set). */
struct span span_trim(struct span s, const char *set);

/* Index of the first byte b, or s.len where there is none. */
size_t span_index(struct span s, uint8_t b);

bool span_starts(struct span s, struct span prefix);

/* How many bytes into whole its part begins. part borrows from whole (our own promise, asserted). */
size_t span_offset(struct span whole, struct span part);

/*
 * Copies s into out[cap] with a NUL behind it. False (and out holds "") where it does not fit or
 * holds a NUL itself: for text that our own code passes on as a C string, never silently cut.
 */
bool span_to_str(struct span s, char *out, size_t cap);

/* Sums and products of sizes; false, with *out untouched, where they would wrap. */
static inline bool size_add(size_t a, size_t b, size_t *out)
{
    size_t whole;

    if (__builtin_add_overflow(a, b, &whole))
        return false;
    *out = whole;
    return true;
}

static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    size_t whole;

    if (__builtin_mul_overflow(a, b, &whole))
        return false;
    *out = whole;
    return true;
}

#endif
