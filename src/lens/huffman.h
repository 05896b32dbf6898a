/*
 * Entropy-coded bits of a JPEG scan and its Huffman tables (T.81 Annexes C and F.2.2).
 */
#ifndef FANAL_LENS_HUFFMAN_H
#define FANAL_LENS_HUFFMAN_H

#include "base/reader.h"

/*
 * A window of bits over entropy-coded bytes. Stuffed zeros are dropped (§F.1.2.3); at a marker or the end it
 * yields zeros and counts them, so a scan is questioned once a row with bits_dry().
 */
struct bits {
    struct span in;
    size_t at;       /* next byte not in the window */
    uint64_t window; /* the upper `count` bits are valid */
    unsigned count;
    unsigned invented; /* of the last bits in the window: not in the input */
};

static inline struct bits bits_over(struct span in, size_t at)
{
    return (struct bits){ .in = in, .at = at };
}

void bits_fill(struct bits *b);

static inline unsigned bits_peek(struct bits *b, unsigned n) /* 1 … 16 */
{
    if (b->count < n)
        bits_fill(b);
    return (unsigned)(b->window >> (64 - n));
}

static inline void bits_drop(struct bits *b, unsigned n)
{
    b->window <<= n;
    b->count -= n;
}

/* Some bit that was dropped had never been there. */
static inline bool bits_dry(const struct bits *b)
{
    return b->invented > b->count;
}

#define HUFFMAN_FAST_BITS  9
#define HUFFMAN_VALUES_MAX 256

struct huffman {
    bool present;
    uint8_t values[HUFFMAN_VALUES_MAX];
    int32_t last_code[17];                 /* of that length; -1: none (§F.2.2.3 MAXCODE) */
    int32_t first_value[17];               /* index of the first value of that length, less its code */
    uint16_t fast[1 << HUFFMAN_FAST_BITS]; /* length << 8 | value; 0: longer */
};

/* One table of a DHT segment, behind its class and destination (§B.2.4.2, Annex C). */
bool huffman_read(struct reader *r, struct huffman *h, struct error *err);

/* The next value; -1 for a code that is none. */
int huffman_decode_long(const struct huffman *h, struct bits *b);

static inline int huffman_decode(const struct huffman *h, struct bits *b)
{
    unsigned entry = h->fast[bits_peek(b, 16) >> (16 - HUFFMAN_FAST_BITS)];

    if (entry == 0)
        return huffman_decode_long(h, b);
    bits_drop(b, entry >> 8);
    return entry & 0xff;
}

#endif
