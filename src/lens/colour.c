/*
 * Stored samples to what they mean: Bits Stored (PS3.5 §8.1.1), YBR to RGB and palettes (PS3.3 C.7.6.3.1).
 */
#include "lens/codec.h"

static uint32_t get(const uint8_t *cell, size_t width)
{
    uint32_t v = 0;

    for (size_t i = 0; i < width; i++)
        v |= (uint32_t)cell[i] << (8 * i);
    return v;
}

static void put(uint8_t *cell, size_t width, uint32_t v)
{
    for (size_t i = 0; i < width; i++)
        cell[i] = (uint8_t)(v >> (8 * i));
}

void samples_mask(const struct frame_description *d, struct samples s)
{
    size_t width = frame_sample_bytes(d);
    unsigned shift = d->high_bit + 1 - d->bits_stored;
    uint32_t mask = d->bits_stored == 32 ? UINT32_MAX : (1u << d->bits_stored) - 1;
    uint32_t sign = d->is_signed ? 1u << (d->bits_stored - 1) : 0;

    if (d->bits_stored == d->bits_allocated)
        return;
    for (size_t i = 0; i + width <= s.len; i += width) {
        uint32_t v = get(&s.ptr[i], width) >> shift & mask;

        put(&s.ptr[i], width, (v ^ sign) - sign);
    }
}

static uint8_t clamp(int v)
{
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

/* ITU-T T.871 §7: factors in 16-bit fractions, rounded. */
void samples_ybr_to_rgb(struct samples s)
{
    for (size_t i = 0; i + 3 <= s.len; i += 3) {
        int y = s.ptr[i] * 65536 + 32768, cb = s.ptr[i + 1] - 128, cr = s.ptr[i + 2] - 128;

        s.ptr[i] = clamp((y + 91881 * cr) >> 16);
        s.ptr[i + 1] = clamp((y - 22554 * cb - 46802 * cr) >> 16);
        s.ptr[i + 2] = clamp((y + 116130 * cb) >> 16);
    }
}

/* C.7.6.3.1.5: below the first value mapped the first entry holds, above the last one the last. */
static bool look_up(const struct palette_table *t, int64_t index, uint32_t *out)
{
    int64_t entry = index - t->first;
    size_t bytes = t->data.len >= (size_t)t->entries * 2 ? 2 : 1; /* 8-bit entries may be packed: C.7.6.3.1.6 */

    entry = entry < 0 ? 0 : entry >= t->entries ? t->entries - 1 : entry;
    if (((size_t)entry + 1) * bytes > t->data.len)
        return false;
    *out = get(&t->data.ptr[(size_t)entry * bytes], bytes);
    return true;
}

/* One index a sample to RGB of 8 bits; of 16-bit entries a screen shows the upper byte. */
bool samples_palette_to_rgb(const struct frame_description *d, struct samples indexes, struct samples out,
                            struct error *err)
{
    size_t width = frame_sample_bytes(d), at = 0;

    for (size_t i = 0; i + width <= indexes.len; i += width) {
        uint32_t raw = get(&indexes.ptr[i], width);
        int64_t index = raw;

        if (d->is_signed && raw >> (8 * width - 1) != 0)
            index -= (int64_t)1 << (8 * width);
        for (unsigned c = 0; c < 3; c++, at++) {
            uint32_t v = 0;

            if (!look_up(&d->palette[c], index, &v))
                return error_set(err, ERR_TRUNCATED, "palette has fewer entries than its descriptor says");
            out.ptr[at] = (uint8_t)(d->palette[c].bits == 16 ? v >> 8 : v);
        }
    }
    return true;
}
