/* A frame_description from the fields of a DECODE request (docs/channel.md, "The lens"). */
#include "lens/decode.h"
#include "record/field.h"

/* A decimal of a palette descriptor, "256\0\16": up to the next backslash. */
static bool read_decimal(struct span *text, int64_t *out)
{
    size_t end = span_index(*text, '\\');
    struct span digits = span_trim(span_part(*text, 0, end), " ");
    bool negative = digits.len > 0 && digits.ptr[0] == '-';
    int64_t v = 0;

    *text = span_part(*text, end + 1, text->len);
    digits = span_part(digits, negative, digits.len);
    if (digits.len == 0 || digits.len > 9)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        v = v * 10 + digits.ptr[i] - '0';
    }
    *out = negative ? -v : v;
    return true;
}

/* PS3.3 C.7.6.3.1.5: number of entries (0 means 65536), first value mapped, bits of an entry. */
static bool read_descriptor(struct span text, struct palette_table *t)
{
    int64_t entries, first, bits;

    if (!read_decimal(&text, &entries) || !read_decimal(&text, &first) || !read_decimal(&text, &bits))
        return false;
    if (entries < 0 || entries > 65536 || (bits != 8 && bits != 16))
        return false;
    t->entries = entries == 0 ? 65536 : (uint32_t)entries;
    t->first = (int32_t)first;
    t->bits = (uint32_t)bits;
    return true;
}

static bool read_palette(struct span group, struct palette_table tables[3])
{
    struct fields_reader r = fields_over(group);
    struct field_value v;
    size_t described = 0, filled = 0;

    while (fields_next(&r, &v))
        if (v.field == FIELD_PALETTE_DESCRIPTOR && described < 3) {
            if (!read_descriptor(v.value, &tables[described++]))
                return false;
        } else if (v.field == FIELD_PALETTE_DATA && filled < 3) {
            tables[filled++].data = v.value;
        }
    return described == 3 && filled == 3;
}

/* A value above 2^32 is no more true cut to 32 bits. */
static uint32_t small(struct span fields, enum field f, uint32_t fallback)
{
    uint64_t v = fields_uint(fields, f, fallback);

    return v > UINT32_MAX ? UINT32_MAX : (uint32_t)v;
}

bool frame_description_read(struct span fields, struct frame_description *out, struct error *err)
{
    struct span group = fields_text(fields, FIELD_PALETTE);
    uint32_t allocated = small(fields, FIELD_BITS_ALLOCATED, 0);
    uint32_t stored = small(fields, FIELD_BITS_STORED, allocated);
    struct frame_description d = {
        .transfer_syntax = fields_text(fields, FIELD_TRANSFER_SYNTAX),
        .rows = small(fields, FIELD_ROWS, 0),
        .columns = small(fields, FIELD_COLUMNS, 0),
        .samples_per_pixel = small(fields, FIELD_SAMPLES_PER_PIXEL, 1),
        .bits_allocated = allocated,
        .bits_stored = stored,
        .high_bit = small(fields, FIELD_HIGH_BIT, stored - 1),
        .is_signed = fields_uint(fields, FIELD_PIXEL_REPRESENTATION, 0) == 1,
        .planar = fields_uint(fields, FIELD_PLANAR_CONFIGURATION, 0) == 1,
        .big_endian = fields_uint(fields, FIELD_BIG_ENDIAN, 0) == 1,
        .photometric = photometric_of(fields_text(fields, FIELD_PHOTOMETRIC)),
    };

    d.has_palette = group.len > 0 && read_palette(group, d.palette);
    if (!frame_description_check(&d, err))
        return false;
    *out = d;
    return true;
}
