/*
 * Bytes of an adversary: borrowed, with a cursor that checks every step, and the answer "no, because".
 *
 * A cursor that runs dry stays dry and yields zeros: a structure is read as the table it comes from and questioned once.
 */
#ifndef VERIFY_BYTES_H
#define VERIFY_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *ptr;
    size_t len;
};

#define LIT(s) ((struct bytes){ (const uint8_t *)(s), sizeof(s) - 1 })

struct cursor {
    struct bytes left;
    bool dry;
};

/* The next n bytes; empty, and dry, where fewer are left. */
struct bytes take(struct cursor *c, size_t n);
/* A little-endian number of n <= 8 bytes. */
uint64_t take_le(struct cursor *c, unsigned n);

struct bytes part(struct bytes b, size_t from, size_t len); /* cut to what is there */
bool same(struct bytes a, struct bytes b);
bool is_zero(struct bytes b);

/* Up to the next LF, which is taken too; dry where there is none. */
struct bytes take_line(struct cursor *c);
/* A whole number without sign or leading zeros. */
bool decimal(struct bytes text, uint64_t *out);
/* RFC 4648 §4 with padding, no spaces. False where it does not decode to 1 to cap bytes. */
bool base64(struct bytes text, uint8_t *out, size_t cap, size_t *len);

/* Why not. */
struct why {
    char text[500];
};

/* Always false, so that `return no(why, …)` reads well. */
bool no(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts where it happened before what happened. */
bool no_within(struct why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
