/* Where a frame lies in an object. See frame_locate.h. */
#include "gate/web/frame_locate.h"

#include "base/reader.h"
#include "record/field.h"

#define ITEM_HEADER_BYTES         8
#define TAG_ITEM                  0xfffee000u
#define TAG_SEQUENCE_DELIMITATION 0xfffee0ddu

/* Item headers are read through a window, so that small fragments cost one read for many. */
#define WINDOW_BYTES ((size_t)16 * 1024)

struct cursor {
    const struct body *body;
    uint64_t at;
    uint64_t window_at;
    size_t window_len;
    uint8_t window[WINDOW_BYTES]; /* a copy: what body->read() lends ends with its next call */
};

struct item {
    uint32_t tag, len;
};

static bool cursor_load(struct cursor *c, struct error *err)
{
    struct span bytes;

    if (!c->body->read(c->body->context, c->at, WINDOW_BYTES, &bytes, err))
        return false;
    c->window_at = c->at;
    c->window_len = bytes.len < WINDOW_BYTES ? bytes.len : WINDOW_BYTES;
    if (c->window_len > 0)
        memcpy(c->window, bytes.ptr, c->window_len);
    return true;
}

/* The next len bytes (few), from the window. */
static bool cursor_read(struct cursor *c, size_t len, struct span *out, struct error *err)
{
    bool inside = c->at >= c->window_at && c->at - c->window_at <= c->window_len
                  && len <= c->window_len - (size_t)(c->at - c->window_at);

    if (!inside && !cursor_load(c, err))
        return false;
    *out = span_part(span_of(c->window, c->window_len), (size_t)(c->at - c->window_at), len);
    if (out->len < len)
        return error_set(err, ERR_MALFORMED, "the object ends inside its pixel data");
    c->at += len;
    return true;
}

/* Items are little endian in every encapsulated syntax (PS3.5 A.4). */
static bool read_item(struct cursor *c, struct item *out, struct error *err)
{
    struct span bytes;
    struct reader r;
    uint16_t group;

    if (!cursor_read(c, ITEM_HEADER_BYTES, &bytes, err))
        return false;
    r = reader_over(bytes);
    group = read_u16le(&r);
    out->tag = (uint32_t)group << 16 | read_u16le(&r);
    out->len = read_u32le(&r);
    if (out->tag != TAG_ITEM && out->tag != TAG_SEQUENCE_DELIMITATION)
        return error_set(err, ERR_MALFORMED, "pixel data: no item where one belongs");
    if (out->tag == TAG_ITEM && out->len == UINT32_MAX)
        return error_set(err, ERR_MALFORMED, "pixel data: fragment of undefined length");
    return true;
}

static bool place_add(struct frame_place *p, uint64_t offset, uint64_t len, struct error *err)
{
    if (p->count == FRAGMENTS_OF_FRAME_MAX)
        return error_set(err, ERR_LIMIT, "a frame of more than %d fragments", FRAGMENTS_OF_FRAME_MAX);
    if (len > ENCODED_FRAME_MAX - p->total)
        return error_set(err, ERR_LIMIT, "a frame of more than %llu bytes", (unsigned long long)ENCODED_FRAME_MAX);
    p->extents[p->count++] = (struct extent){ offset, len };
    p->total += len;
    return true;
}

/* ---- native (PS3.5 §8.1.1: frames follow each other without padding) ---- */

static bool locate_native(struct span fields, uint64_t number, struct frame_place *out, struct error *err)
{
    uint64_t length = fields_uint(fields, FIELD_PIXEL_LENGTH, 0), offset = fields_uint(fields, FIELD_PIXEL_OFFSET, 0);
    uint64_t rows = fields_uint(fields, FIELD_ROWS, 0), columns = fields_uint(fields, FIELD_COLUMNS, 0);
    uint64_t samples = fields_uint(fields, FIELD_SAMPLES_PER_PIXEL, 1), frames = fields_uint(fields, FIELD_FRAMES, 1);
    uint64_t allocated = fields_uint(fields, FIELD_BITS_ALLOCATED, 0), bits, bytes, at;

    if (rows == 0 || rows > UINT16_MAX || columns == 0 || columns > UINT16_MAX || samples == 0 || samples > 4
        || allocated == 0 || allocated > 64)
        return error_set(err, ERR_UNSUPPORTED, "the object does not describe its pixels");
    bits = rows * columns * samples * allocated; /* < 2^42 */
    if (span_equal(fields_text(fields, FIELD_PHOTOMETRIC), SPAN_LIT("YBR_FULL_422")))
        bits = bits / 3 * 2;
    if (bits % 8 != 0 && frames > 1)
        return error_set(err, ERR_UNSUPPORTED, "frames of single bits that do not begin at a byte");
    bytes = (bits + 7) / 8;
    if (__builtin_mul_overflow(number - 1, bytes, &at) || at > length || bytes > length - at)
        return error_set(err, ERR_NOT_FOUND, "the object holds no such frame");
    if (frames == 1 && bytes % 2 != 0 && bytes < length - at)
        bytes++; /* the padding completes the last word, which big endian needs */
    return place_add(out, offset + at, bytes, err);
}

/* ---- encapsulated (PS3.5 A.4) ---- */

/* The offsets of the frame and of its successor, from a Basic Offset Table of one entry a frame. */
static bool read_offsets(struct cursor *c, uint64_t table_at, uint64_t frames, uint64_t number, uint64_t *from,
                         uint64_t *to, struct error *err)
{
    struct span bytes;
    struct reader r;

    c->at = table_at + (number - 1) * 4;
    if (!cursor_read(c, number < frames ? 8 : 4, &bytes, err))
        return false;
    r = reader_over(bytes);
    *from = read_u32le(&r);
    *to = number < frames ? read_u32le(&r) : UINT64_MAX;
    if (*to <= *from)
        return error_set(err, ERR_MALFORMED, "offset table: frames out of order");
    return true;
}

/* Fragments from the cursor on that begin before `to`. */
static bool collect(struct cursor *c, uint64_t to, struct frame_place *out, struct error *err)
{
    while (c->at < to) {
        struct item item;

        if (!read_item(c, &item, err))
            return false;
        if (item.tag == TAG_SEQUENCE_DELIMITATION)
            break;
        if (!place_add(out, c->at, item.len, err))
            return false;
        c->at += item.len;
    }
    return out->count > 0 || error_set(err, ERR_MALFORMED, "the frame has no fragment");
}

/* A codestream begins here: SOI of JPEG and JPEG-LS (T.81 §B.1.1.3), SOC of JPEG 2000 (T.800 §A.4.1). */
static bool begins_codestream(struct span bytes)
{
    return span_starts(bytes, SPAN_LIT("\xff\xd8")) || span_starts(bytes, SPAN_LIT("\xff\x4f"));
}

/* A fragment's header, and whether a codestream begins in it; the cursor stands behind the header. */
static bool read_fragment(struct cursor *c, struct item *item, bool *begins, struct error *err)
{
    struct span front;

    if (!read_item(c, item, err))
        return false;
    *begins = false;
    if (item->tag != TAG_ITEM || item->len < 2)
        return true;
    if (!cursor_read(c, 2, &front, err))
        return false;
    *begins = begins_codestream(front);
    c->at -= 2;
    return true;
}

/*
 * Without an offset table a fragment is a frame (RLE: PS3.5 §G; every other where the writer cut none), unless the
 * first one begins a codestream: then a fragment that does not belongs to the one before.
 */
static bool collect_counting(struct cursor *c, uint64_t number, struct frame_place *out, struct error *err)
{
    bool marked = false, begins;
    uint64_t frame = 0;

    for (uint64_t i = 0; i <= FRAGMENTS_BEFORE_FRAME_MAX; i++) {
        struct item item;

        if (!read_fragment(c, &item, &begins, err))
            return false;
        if (i == 0)
            marked = begins;
        frame += item.tag == TAG_ITEM && (!marked || begins);
        if (item.tag == TAG_SEQUENCE_DELIMITATION || frame > number)
            return out->count > 0 || error_set(err, ERR_NOT_FOUND, "the object holds no such frame");
        if (frame == number && !place_add(out, c->at, item.len, err))
            return false;
        if (frame == number && !marked)
            return true;
        c->at += item.len;
    }
    return error_set(err, ERR_LIMIT, "more than %d fragments without an offset table", FRAGMENTS_BEFORE_FRAME_MAX);
}

static bool locate_encapsulated(struct cursor *c, uint64_t frames, uint64_t number, struct frame_place *out,
                                struct error *err)
{
    struct item table;
    uint64_t table_at, first, from = 0, to = UINT64_MAX;

    if (!read_item(c, &table, err))
        return false;
    if (table.tag != TAG_ITEM)
        return error_set(err, ERR_MALFORMED, "pixel data without an offset table item");
    table_at = c->at;
    first = table_at + table.len;
    c->at = first;
    if (frames == 1)
        return collect(c, UINT64_MAX, out, err);
    if (table.len == frames * 4) {
        if (!read_offsets(c, table_at, frames, number, &from, &to, err))
            return false;
        c->at = first + from;
        return collect(c, to == UINT64_MAX ? to : first + to, out, err);
    }
    return collect_counting(c, number, out, err);
}

bool frame_locate(const struct body *body, struct span fields, uint64_t number, struct frame_place *out,
                  struct error *err)
{
    uint64_t frames = fields_uint(fields, FIELD_FRAMES, 1);
    struct span unused;
    struct cursor c = { .body = body };

    out->count = 0;
    out->total = 0;
    if (!fields_find(fields, FIELD_PIXEL_OFFSET, &unused))
        return error_set(err, ERR_UNSUPPORTED, "the object has no pixels that can be read by range");
    if (frames == 0)
        frames = 1;
    if (number == 0 || number > frames)
        return error_set(err, ERR_NOT_FOUND, "the object holds no such frame");
    if (fields_uint(fields, FIELD_PIXEL_ENCAPSULATED, 0) != 1)
        return locate_native(fields, number, out, err);
    c.at = fields_uint(fields, FIELD_PIXEL_OFFSET, 0);
    return locate_encapsulated(&c, frames, number, out, err);
}
