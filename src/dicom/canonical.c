/* The canonical digest. See canonical.h. */
#include "dicom/canonical.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "dicom/charset.h"
#include "dicom/data_set.h"
#include "dicom/inflate.h"

#define TAG_CHARACTER_SET TAG(0x0008, 0x0005)
#define TAG_PHOTOMETRIC   TAG(0x0028, 0x0004)

#define CHARACTER_SET_VALUE_MAX 256                 /* of which value 1 counts */
#define UNIT_BYTES_MAX          8                   /* FD, SV, UV */
#define CONVERTED_MAX           ((size_t)64 * 1024) /* UTF-8 of a piece of PIECE_BYTES */
#define PIECE_BYTES             ((size_t)4096)

/* What is done with the bytes of the value being read. */
enum treatment {
    TREAT_NOTHING, /* left out */
    TREAT_BYTES,
    TREAT_TEXT,
    TREAT_CHARACTER_SET,
    TREAT_PIXELS,
};

struct canonical {
    const struct transfer_syntax *syntax;
    const struct canonical_listener *listener;
    struct data_set_parser parser;
    struct inflate inflate;
    EVP_MD *sha256; /* owned, as the contexts and the writer are */
    EVP_MD_CTX *digest;
    EVP_MD_CTX *native;
    struct writer converted;
    enum canonical_pixels pixels;
    enum treatment treatment;
    bool in_pixels;
    bool in_fragment; /* outside of Pixel Data */
    bool sequence_may_be_empty;
    uint32_t sequence_tag;
    uint8_t block[CANONICAL_BLOCK_BYTES];
    size_t block_len;
    uint64_t value_bytes;         /* written to blocks or pixels: odd or even */
    uint8_t unit[UNIT_BYTES_MAX]; /* of a number that is cut by a piece's end */
    size_t unit_len, unit_bytes;  /* 1: nothing to swap */
    struct charset_decoder decoder;
    struct charset charsets[DATA_SET_DEPTH_MAX + 1]; /* by depth: an item may say its own */
    uint8_t character_set[CHARACTER_SET_VALUE_MAX];
    size_t character_set_len;
};

struct canonical *canonical_new(struct error *err)
{
    struct canonical *c = calloc(1, sizeof *c);

    if (c != NULL) {
        c->converted = writer_new(CONVERTED_MAX);
        c->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        c->digest = EVP_MD_CTX_new();
        c->native = EVP_MD_CTX_new();
    }
    if (c == NULL || c->sha256 == NULL || c->digest == NULL || c->native == NULL) {
        canonical_free(c);
        (void)error_set(err, ERR_MEMORY, "no memory for a digest");
        return NULL;
    }
    return c;
}

void canonical_free(struct canonical *c)
{
    if (c == NULL)
        return;
    EVP_MD_free(c->sha256);
    EVP_MD_CTX_free(c->digest);
    EVP_MD_CTX_free(c->native);
    writer_done(&c->converted);
    inflate_done(&c->inflate);
    free(c);
}

/* ---- into the digest ---- */

static bool update(EVP_MD_CTX *digest, const void *bytes, size_t len, struct error *err)
{
    return EVP_DigestUpdate(digest, bytes, len) == 1 || error_set(err, ERR_MEMORY, "SHA-256 failed");
}

static bool put_mark(struct canonical *c, char mark, struct error *err)
{
    return update(c->digest, &mark, 1, err);
}

static bool put_tagged(struct canonical *c, char mark, uint32_t tag, struct error *err)
{
    const uint8_t bytes[] = { (uint8_t)mark, (uint8_t)tag, (uint8_t)(tag >> 8), (uint8_t)(tag >> 16),
                              (uint8_t)(tag >> 24) };

    return update(c->digest, bytes, sizeof bytes, err);
}

static bool put_block(struct canonical *c, struct error *err)
{
    const uint8_t length[] = { (uint8_t)c->block_len, (uint8_t)(c->block_len >> 8) };

    if (!update(c->digest, length, sizeof length, err) || !update(c->digest, c->block, c->block_len, err))
        return false;
    c->block_len = 0;
    return true;
}

/* Fills blocks; a full one waits for the next byte, so that the value's last bytes are always still here. */
static bool put_value(struct canonical *c, struct span bytes, struct error *err)
{
    while (bytes.len > 0) {
        size_t some;

        if (c->block_len == sizeof c->block && !put_block(c, err))
            return false;
        some = sizeof c->block - c->block_len;
        some = bytes.len < some ? bytes.len : some;
        memcpy(c->block + c->block_len, bytes.ptr, some);
        c->block_len += some;
        bytes = span_part(bytes, some, bytes.len);
    }
    return true;
}

/* The last block, and an empty one behind it where it is full. */
static bool end_value(struct canonical *c, struct error *err)
{
    if (c->block_len == sizeof c->block && !put_block(c, err))
        return false;
    return put_block(c, err);
}

/* Padding of text in the last block: spaces, and NULs as the exact decoder writes them (FF 00). */
static void trim_block(struct canonical *c)
{
    for (;;) {
        if (c->block_len > 0 && c->block[c->block_len - 1] == ' ')
            c->block_len--;
        else if (c->block_len > 1 && c->block[c->block_len - 1] == 0 && c->block[c->block_len - 2] == 0xFF)
            c->block_len -= 2;
        else
            return;
    }
}

/* ---- text, numbers, pixels ---- */

static bool put_converted(struct canonical *c, struct error *err)
{
    bool ok = writer_ok(&c->converted, err, "text of a digest") && put_value(c, writer_span(&c->converted), err);

    writer_reset(&c->converted);
    return ok;
}

static bool put_text(struct canonical *c, struct span text, struct error *err)
{
    for (size_t at = 0; at < text.len; at += PIECE_BYTES) {
        charset_decode(&c->decoder, span_part(text, at, PIECE_BYTES), &c->converted);
        if (!put_converted(c, err))
            return false;
    }
    return true;
}

static bool put_plain(struct canonical *c, struct span bytes, struct error *err)
{
    c->value_bytes += bytes.len;
    if (c->treatment == TREAT_BYTES)
        return put_value(c, bytes, err);
    if (c->pixels == PIXELS_NATIVE && !update(c->native, bytes.ptr, bytes.len, err))
        return false;
    return c->listener == NULL || c->listener->bytes == NULL || c->listener->bytes(c->listener->context, bytes, err);
}

/* Turns numbers around; what is left of one at the end of a value is handed on as it is. */
static bool put_swapped(struct canonical *c, struct span bytes, struct error *err)
{
    uint8_t turned[PIECE_BYTES];
    size_t len = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        c->unit[c->unit_len++] = bytes.ptr[i];
        if (c->unit_len < c->unit_bytes)
            continue;
        while (c->unit_len > 0)
            turned[len++] = c->unit[--c->unit_len];
        if (len + UNIT_BYTES_MAX <= sizeof turned)
            continue;
        if (!put_plain(c, span_of(turned, len), err))
            return false;
        len = 0;
    }
    return len == 0 || put_plain(c, span_of(turned, len), err);
}

static bool put_bytes(struct canonical *c, struct span bytes, struct error *err)
{
    return c->unit_bytes == 1 ? put_plain(c, bytes, err) : put_swapped(c, bytes, err);
}

/* ---- elements ---- */

static bool describes_encoding(uint32_t tag)
{
    uint32_t group = tag >> 16;

    return (tag & 0xFFFF) == 0 || group == 0x0002 || tag == TAG(0x0008, 0x0001) || tag == TAG(0x0028, 0x0006)
           || tag == TAG(0xFFFC, 0xFFFC) || (tag >= TAG(0x7FE0, 0x0001) && tag <= TAG(0x7FE0, 0x0003));
}

static bool is_top_pixel_data(const struct data_set_event *event)
{
    return event->element->tag == TAG_PIXEL_DATA && event->depth == 0;
}

/* How the bytes of the value or fragment that begins are read. */
static void set_treatment(struct canonical *c, const struct data_set_event *event, enum treatment treatment)
{
    const struct data_element *e = event->element;
    bool pixels_swapped = c->syntax->coding == FRAME_NATIVE_BIG_ENDIAN && treatment == TREAT_PIXELS;

    c->treatment = treatment;
    c->value_bytes = 0;
    c->unit_len = 0;
    c->unit_bytes = e->big_endian || pixels_swapped ? vr_unit_bytes(e->vr) : 1;
}

static bool begin_pixels(struct canonical *c, enum canonical_pixels kind, struct error *err)
{
    if (c->pixels != PIXELS_NONE)
        return error_set(err, ERR_MALFORMED, "Pixel Data twice");
    c->pixels = kind;
    c->in_pixels = true;
    return c->listener == NULL || c->listener->begin == NULL || c->listener->begin(c->listener->context, kind, err);
}

static bool end_pixels(struct canonical *c, struct error *err)
{
    c->in_pixels = false;
    return c->listener == NULL || c->listener->end == NULL || c->listener->end(c->listener->context, err);
}

static bool begin_element(struct canonical *c, const struct data_set_event *event, struct error *err)
{
    uint32_t tag = event->element->tag;
    enum vr vr = dictionary_vr(tag);
    struct charset plain = charset_of(span_str(""));

    if (is_top_pixel_data(event)) {
        set_treatment(c, event, TREAT_PIXELS);
        return begin_pixels(c, PIXELS_NATIVE, err);
    }
    if (tag == TAG_CHARACTER_SET) {
        c->character_set_len = 0;
        set_treatment(c, event, TREAT_CHARACTER_SET);
        return true;
    }
    if (describes_encoding(tag)) {
        set_treatment(c, event, TREAT_NOTHING);
        return true;
    }
    set_treatment(c, event, vr_is_text(vr) && !tag_is_private(tag) ? TREAT_TEXT : TREAT_BYTES);
    if (c->treatment == TREAT_TEXT)
        charset_decoder_init(&c->decoder, vr_uses_character_set(vr) ? c->charsets[event->depth] : plain, vr, true);
    return put_tagged(c, 'E', tag, err);
}

static bool end_text(struct canonical *c, const struct data_set_event *event, struct error *err)
{
    charset_decode_end(&c->decoder, &c->converted);
    if (!put_converted(c, err))
        return false;
    trim_block(c);
    if (event->element->tag == TAG_PHOTOMETRIC && event->depth == 0
        && span_starts(span_of(c->block, c->block_len), SPAN_LIT("YBR_"))) {
        c->block_len = 3;
        memcpy(c->block, "RGB", c->block_len);
    }
    return end_value(c, err);
}

/* The rest of a cut number, and the zero that makes the length even. */
static bool end_bytes(struct canonical *c, struct error *err)
{
    size_t rest = c->unit_len;

    c->unit_len = 0;
    if (rest > 0 && !put_plain(c, span_of(c->unit, rest), err))
        return false;
    return c->value_bytes % 2 == 0 || put_plain(c, span_of("", 1), err);
}

static bool end_element(struct canonical *c, const struct data_set_event *event, struct error *err)
{
    switch (c->treatment) {
    case TREAT_NOTHING:
        return true;
    case TREAT_BYTES:
        return end_bytes(c, err) && end_value(c, err);
    case TREAT_TEXT:
        return end_text(c, event, err);
    case TREAT_CHARACTER_SET:
        c->charsets[event->depth] = charset_of(span_of(c->character_set, c->character_set_len));
        return true;
    case TREAT_PIXELS:
        return end_bytes(c, err) && end_pixels(c, err);
    }
    return true;
}

static bool take_bytes(struct canonical *c, struct span bytes, struct error *err)
{
    size_t room = sizeof c->character_set - c->character_set_len;

    switch (c->treatment) {
    case TREAT_NOTHING:
        return true;
    case TREAT_BYTES:
    case TREAT_PIXELS:
        return put_bytes(c, bytes, err);
    case TREAT_TEXT:
        return put_text(c, bytes, err);
    case TREAT_CHARACTER_SET:
        bytes = span_part(bytes, 0, room);
        memcpy(c->character_set + c->character_set_len, bytes.ptr, bytes.len);
        c->character_set_len += bytes.len;
        return true;
    }
    return true;
}

/* ---- fragments, sequences ---- */

/* A fragment outside of Pixel Data ends where the next one begins or all of them end. */
static bool end_fragment(struct canonical *c, struct error *err)
{
    bool open = c->in_fragment;

    c->in_fragment = false;
    return !open || end_value(c, err);
}

static bool begin_fragments(struct canonical *c, const struct data_set_event *event, struct error *err)
{
    if (is_top_pixel_data(event))
        return begin_pixels(c, PIXELS_ENCAPSULATED, err);
    return put_tagged(c, 'F', event->element->tag, err);
}

static bool begin_fragment(struct canonical *c, const struct data_set_event *event, struct error *err)
{
    const struct canonical_listener *l = c->listener;

    set_treatment(c, event, c->in_pixels ? TREAT_PIXELS : TREAT_BYTES);
    c->unit_bytes = 1; /* a coded frame has no byte order (PS3.5 §A.4) */
    if (c->in_pixels)
        return l == NULL || l->fragment == NULL || l->fragment(l->context, event->element->length, err);
    if (!end_fragment(c, err))
        return false;
    c->in_fragment = true;
    return put_mark(c, 'f', err);
}

/* The sequence is told with its first item: one without items could be any empty element, where the VR is lost. */
static bool begin_item(struct canonical *c, unsigned depth, struct error *err)
{
    bool first = c->sequence_may_be_empty;

    c->sequence_may_be_empty = false;
    c->charsets[depth] = c->charsets[depth - 1];
    return (!first || put_tagged(c, 'S', c->sequence_tag, err)) && put_mark(c, 'I', err);
}

static bool end_sequence(struct canonical *c, struct error *err)
{
    bool empty = c->sequence_may_be_empty;

    c->sequence_may_be_empty = false;
    return empty ? put_tagged(c, 'E', c->sequence_tag, err) && end_value(c, err) : put_mark(c, 's', err);
}

static bool end_any(struct canonical *c, const struct data_set_event *event, struct error *err)
{
    const struct data_element *e = event->element;

    if (e->vr == VR_SQ)
        return end_sequence(c, err);
    if (e->length != LENGTH_UNDEFINED)
        return end_element(c, event, err);
    return c->in_pixels ? end_pixels(c, err) : end_fragment(c, err) && put_mark(c, 's', err);
}

static bool on_event(void *context, const struct data_set_event *event, struct error *err)
{
    struct canonical *c = context;

    switch (event->kind) {
    case EVENT_ELEMENT:
        return begin_element(c, event, err);
    case EVENT_FRAGMENTS:
        return begin_fragments(c, event, err);
    case EVENT_FRAGMENT:
        return begin_fragment(c, event, err);
    case EVENT_SEQUENCE:
        c->sequence_may_be_empty = true;
        c->sequence_tag = event->element->tag;
        return true;
    case EVENT_ITEM:
        return begin_item(c, event->depth, err);
    case EVENT_ITEM_END:
        return put_mark(c, 'i', err);
    case EVENT_BYTES:
        return take_bytes(c, event->bytes, err);
    case EVENT_END:
        return end_any(c, event, err);
    }
    return true;
}

/* ---- the stream ---- */

bool canonical_begin(struct canonical *c, const struct transfer_syntax *syntax,
                     const struct canonical_listener *listener, struct error *err)
{
    if (syntax->deflated && !inflate_begin(&c->inflate, err))
        return false;
    if (EVP_DigestInit_ex2(c->digest, c->sha256, NULL) != 1 || EVP_DigestInit_ex2(c->native, c->sha256, NULL) != 1)
        return error_set(err, ERR_MEMORY, "SHA-256 failed");
    c->syntax = syntax;
    c->listener = listener;
    c->pixels = PIXELS_NONE;
    c->treatment = TREAT_NOTHING;
    c->in_pixels = false;
    c->in_fragment = false;
    c->sequence_may_be_empty = false;
    c->block_len = 0;
    c->charsets[0] = charset_of(span_str(""));
    writer_reset(&c->converted);
    data_set_parser_init(&c->parser, syntax, false, on_event, c);
    return true;
}

static bool feed_inflated(void *context, struct span bytes, struct error *err)
{
    struct canonical *c = context;

    return data_set_feed(&c->parser, bytes, err);
}

bool canonical_feed(struct canonical *c, struct span bytes, struct error *err)
{
    return c->syntax->deflated ? inflate_feed(&c->inflate, bytes, feed_inflated, c, err)
                               : data_set_feed(&c->parser, bytes, err);
}

bool canonical_finish(struct canonical *c, struct canonical_result *out, struct error *err)
{
    struct canonical_result result = { 0 };

    if ((c->syntax->deflated && !inflate_finish(&c->inflate, err)) || !data_set_finish(&c->parser, err))
        return false;
    result.pixels = c->pixels; /* finishing may have closed the last element */
    if (EVP_DigestFinal_ex(c->digest, result.digest, NULL) != 1
        || (c->pixels == PIXELS_NATIVE && EVP_DigestFinal_ex(c->native, result.native_digest, NULL) != 1))
        return error_set(err, ERR_MEMORY, "SHA-256 failed");
    *out = result;
    return true;
}
