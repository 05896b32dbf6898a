/* Bits and Huffman tables of a JPEG scan. See huffman.h. */
#include "lens/huffman.h"

void bits_fill(struct bits *b)
{
    while (b->count <= 56) {
        uint8_t byte = 0;
        bool there = b->at < b->in.len;

        if (there && b->in.ptr[b->at] == 0xff)
            there = b->at + 1 < b->in.len && b->in.ptr[b->at + 1] == 0; /* else a marker: stay before it */
        if (there) {
            byte = b->in.ptr[b->at];
            b->at += byte == 0xff ? 2 : 1;
            b->invented = 0;
        } else {
            b->invented += 8;
        }
        b->window |= (uint64_t)byte << (56 - b->count);
        b->count += 8;
    }
}

static void fill_fast(struct huffman *h, unsigned length, uint32_t code, uint8_t value)
{
    unsigned shift = HUFFMAN_FAST_BITS - length;

    for (uint32_t i = 0; i < 1u << shift; i++)
        h->fast[(code << shift) + i] = (uint16_t)(length << 8 | value);
}

bool huffman_read(struct reader *r, struct huffman *h, struct error *err)
{
    struct span lengths = read_span(r, 16);
    struct huffman t = { .present = true };
    uint32_t code = 0;
    size_t total = 0;

    for (size_t i = 0; i < lengths.len; i++)
        total += lengths.ptr[i];
    if (total > HUFFMAN_VALUES_MAX)
        return error_set(err, ERR_MALFORMED, "Huffman table of %zu codes", total);
    struct span values = read_span(r, total);

    if (!reader_complete(r, err, "Huffman table"))
        return false;
    memcpy(t.values, values.ptr, values.len);
    for (unsigned length = 1, k = 0; length <= 16; length++, code <<= 1) {
        unsigned n = lengths.ptr[length - 1];

        t.first_value[length] = (int32_t)k - (int32_t)code;
        if (code + n > 1u << length) /* Annex C: codes of one length fit it */
            return error_set(err, ERR_MALFORMED, "Huffman table has too many codes of %u bits", length);
        for (unsigned i = 0; i < n; i++, k++, code++)
            if (length <= HUFFMAN_FAST_BITS)
                fill_fast(&t, length, code, t.values[k]);
        t.last_code[length] = n > 0 ? (int32_t)code - 1 : -1;
    }
    *h = t;
    return true;
}

/* §F.2.2.3, Figure F.16 */
int huffman_decode_long(const struct huffman *h, struct bits *b)
{
    int32_t all = (int32_t)bits_peek(b, 16);

    for (unsigned length = 1; length <= 16; length++) {
        int32_t code = all >> (16 - length);

        if (code <= h->last_code[length]) {
            bits_drop(b, length);
            return h->values[(h->first_value[length] + code) & 0xff];
        }
    }
    return -1;
}
