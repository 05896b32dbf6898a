/* The push parser for data sets. See data_set.h. */
#include "dicom/data_set.h"

#include <assert.h>

#define TAG_ITEM                  TAG(0xFFFE, 0xE000)
#define TAG_ITEM_DELIMITATION     TAG(0xFFFE, 0xE00D)
#define TAG_SEQUENCE_DELIMITATION TAG(0xFFFE, 0xE0DD)

#define ITEM_HEADER_BYTES  8
#define SHORT_HEADER_BYTES 8  /* tag, VR, 16-bit length; or tag, 32-bit length */
#define LONG_HEADER_BYTES  12 /* tag, VR, two reserved, 32-bit length */
#define UNBOUNDED          UINT64_MAX

/* A header that is complete, as read. */
struct header {
    uint32_t tag;
    enum vr sent_vr; /* VR_NONE in implicit VR and for unknown letters */
    uint32_t length;
    size_t bytes;
};

void data_set_parser_init(struct data_set_parser *p, const struct transfer_syntax *syntax, bool tolerant,
                          data_set_handler *handler, void *context)
{
    p->handler = handler;
    p->context = context;
    p->tolerant = tolerant;
    p->handler_failed = false;
    p->offset = 0;
    p->head_len = 0;
    p->in_value = false;
    p->skipping = false;
    p->value_left = 0;
    p->level_count = 1;
    p->levels[0] = (struct data_set_level){
        .kind = LEVEL_ROOT,
        .explicit_vr = syntax->explicit_vr,
        .big_endian = syntax->big_endian,
        .end = UNBOUNDED,
    };
}

static struct data_set_level *top(struct data_set_parser *p)
{
    return &p->levels[p->level_count - 1];
}

/* Sequences around the top level: each brings itself and an item. */
static unsigned depth_of(const struct data_set_parser *p)
{
    return (unsigned)((p->level_count - (p->levels[p->level_count - 1].kind == LEVEL_FRAGMENTS)) / 2);
}

static bool tell(struct data_set_parser *p, enum data_set_event_kind kind, const struct data_element *element,
                 struct span bytes, struct error *err)
{
    struct data_set_event event = { .kind = kind, .element = element, .bytes = bytes, .depth = depth_of(p) };

    if (p->handler(p->context, &event, err))
        return true;
    p->handler_failed = true;
    return false;
}

static const struct span nothing = { NULL, 0 };

/* begin_container() has made sure of room: an item has it because its sequence had. */
static void push(struct data_set_parser *p, struct data_set_level level)
{
    assert(p->level_count < DATA_SET_LEVELS_MAX);
    p->levels[p->level_count++] = level;
}

static bool pop(struct data_set_parser *p, struct error *err)
{
    struct data_set_level closed = *top(p);

    p->level_count--;
    return closed.kind == LEVEL_ITEM ? tell(p, EVENT_ITEM_END, NULL, nothing, err)
                                     : tell(p, EVENT_END, &closed.element, nothing, err);
}

/* Levels of defined length that end here. */
static bool close_ended(struct data_set_parser *p, struct error *err)
{
    while (top(p)->kind != LEVEL_ROOT && top(p)->defined && top(p)->end == p->offset)
        if (!pop(p, err))
            return false;
    return true;
}

static bool truncated(const struct data_element *e, struct error *err)
{
    return error_set(err, ERR_TRUNCATED, "element (%04X,%04X) is longer than what encloses it", e->tag >> 16,
                     e->tag & 0xFFFF);
}

/* ---- headers ---- */

static bool is_upper(uint8_t letter)
{
    return letter >= 'A' && letter <= 'Z';
}

static uint32_t read_tag(struct reader *r, bool big_endian)
{
    uint32_t group = big_endian ? read_u16be(r) : read_u16le(r);

    return group << 16 | (big_endian ? read_u16be(r) : read_u16le(r));
}

/*
 * Reads the header out of p->head. False where more bytes are needed: *need says how many in all.
 * Two capitals that are no VR we know are a later edition's, which have the long form (PS3.5 §6.2 note);
 * other letters are a device's fault, met with the short form.
 */
static bool read_header(const struct data_set_parser *p, const struct data_set_level *in, struct header *out,
                        size_t *need)
{
    struct reader r = reader_over(span_of(p->head, p->head_len));
    bool long_form;
    uint8_t letters[2];

    *need = SHORT_HEADER_BYTES;
    if (p->head_len < SHORT_HEADER_BYTES)
        return false;
    *out = (struct header){ .tag = read_tag(&r, in->big_endian), .bytes = SHORT_HEADER_BYTES };
    if (!in->explicit_vr || out->tag >> 16 == 0xFFFE) { /* §7.5: items have no VR */
        out->length = in->big_endian ? read_u32be(&r) : read_u32le(&r);
        return true;
    }
    letters[0] = read_u8(&r);
    letters[1] = read_u8(&r);
    out->sent_vr = vr_of_letters(letters[0], letters[1]);
    long_form =
        out->sent_vr == VR_NONE ? is_upper(letters[0]) && is_upper(letters[1]) : vr_has_long_header(out->sent_vr);
    if (!long_form) {
        out->length = in->big_endian ? read_u16be(&r) : read_u16le(&r);
        return true;
    }
    *need = LONG_HEADER_BYTES;
    if (p->head_len < LONG_HEADER_BYTES)
        return false;
    read_skip(&r, 2);
    out->length = in->big_endian ? read_u32be(&r) : read_u32le(&r);
    out->bytes = LONG_HEADER_BYTES;
    return true;
}

/* Whether a value of unknown VR begins as a sequence in implicit VR little endian does. value: its first 8 bytes. */
static bool looks_like_sequence(struct span value, uint32_t length)
{
    struct reader r = reader_over(value);
    uint32_t tag = read_tag(&r, false);
    uint32_t item = read_u32le(&r);

    return tag == TAG_ITEM && (item == LENGTH_UNDEFINED || item <= length - ITEM_HEADER_BYTES);
}

/* ---- values, sequences, fragments begin ---- */

static bool end_value(struct data_set_parser *p, struct error *err)
{
    p->in_value = false;
    /* a fragment has no end of its own: the next one, or the end of all, says it */
    return top(p)->kind == LEVEL_FRAGMENTS || tell(p, EVENT_END, &p->element, nothing, err);
}

static bool begin_value(struct data_set_parser *p, const struct data_element *element, struct error *err)
{
    if (element->length > top(p)->end - p->offset)
        return truncated(element, err);
    p->element = *element;
    p->in_value = true;
    p->value_left = element->length;
    return tell(p, top(p)->kind == LEVEL_FRAGMENTS ? EVENT_FRAGMENT : EVENT_ELEMENT, &p->element, nothing, err)
           && (p->value_left > 0 || end_value(p, err));
}

static bool begin_container(struct data_set_parser *p, struct data_set_level level, struct error *err)
{
    const struct data_element *e = &level.element;

    level.defined = e->length != LENGTH_UNDEFINED;
    if (level.defined && e->length > top(p)->end - p->offset)
        return truncated(e, err);
    level.end = level.defined ? p->offset + e->length : top(p)->end;
    if (p->level_count == DATA_SET_LEVELS_MAX || (level.kind == LEVEL_SEQUENCE && depth_of(p) == DATA_SET_DEPTH_MAX))
        return error_set(err, ERR_LIMIT, "sequences nest deeper than %d", DATA_SET_DEPTH_MAX);
    if (!tell(p, level.kind == LEVEL_FRAGMENTS ? EVENT_FRAGMENTS : EVENT_SEQUENCE, e, nothing, err))
        return false;
    push(p, level);
    return true;
}

static bool begin_item(struct data_set_parser *p, uint32_t length, struct error *err)
{
    struct data_set_level item = *top(p);

    item.kind = LEVEL_ITEM;
    item.guessed = false;
    item.defined = length != LENGTH_UNDEFINED;
    if (item.defined) {
        if (length > top(p)->end - p->offset)
            return error_set(err, ERR_TRUNCATED, "an item of (%04X,%04X) is longer than its sequence",
                             item.element.tag >> 16, item.element.tag & 0xFFFF);
        item.end = p->offset + length;
    }
    if (!tell(p, EVENT_ITEM, NULL, nothing, err))
        return false;
    push(p, item);
    return true;
}

/* ---- what a complete header starts, by the level it stands in ---- */

static bool start_in_fragments(struct data_set_parser *p, const struct header *h, struct error *err)
{
    struct data_element fragment = top(p)->element;

    if (h->tag == TAG_SEQUENCE_DELIMITATION)
        return pop(p, err);
    if (h->tag != TAG_ITEM || h->length == LENGTH_UNDEFINED)
        return error_set(err, ERR_MALFORMED, "fragments hold something else than fragments");
    fragment.length = h->length;
    fragment.value_offset = p->offset;
    return begin_value(p, &fragment, err);
}

static bool start_in_sequence(struct data_set_parser *p, const struct header *h, struct error *err)
{
    if (h->tag == TAG_ITEM)
        return begin_item(p, h->length, err);
    if (h->tag == TAG_SEQUENCE_DELIMITATION) /* also where a length said the same already */
        return pop(p, err);
    if (h->tag == TAG_ITEM_DELIMITATION) /* behind an item of defined length: superfluous */
        return true;
    return error_set(err, ERR_MALFORMED, "sequence (%04X,%04X) holds something else than items",
                     top(p)->element.tag >> 16, top(p)->element.tag & 0xFFFF);
}

/* An item or delimiter where elements are expected. */
static bool start_delimiter(struct data_set_parser *p, const struct header *h, struct error *err)
{
    bool in_open_item = top(p)->kind == LEVEL_ITEM && !top(p)->defined;

    if (h->tag == TAG_ITEM)
        return error_set(err, ERR_MALFORMED, "an item outside of a sequence");
    if (h->length != 0)
        return error_set(err, ERR_MALFORMED, "a delimiter with a length");
    if (h->tag == TAG_ITEM_DELIMITATION && top(p)->kind == LEVEL_ITEM)
        return pop(p, err);
    if (h->tag == TAG_SEQUENCE_DELIMITATION && in_open_item) /* the item's own delimiter is missing */
        return pop(p, err) && pop(p, err);
    return true; /* superfluous, behind a defined length */
}

/* How what follows a header is built. */
enum shape { SHAPE_VALUE, SHAPE_SEQUENCE, SHAPE_FRAGMENTS };

static enum shape shape_of(const struct header *h, enum vr vr)
{
    if (h->length != LENGTH_UNDEFINED)
        return vr == VR_SQ && h->sent_vr != VR_UN ? SHAPE_SEQUENCE : SHAPE_VALUE;
    if (h->sent_vr == VR_NONE ? h->tag == TAG_PIXEL_DATA : h->sent_vr != VR_SQ && h->sent_vr != VR_UN)
        return SHAPE_FRAGMENTS;
    return SHAPE_SEQUENCE;
}

/* Whether only its first bytes tell if a value is a sequence. */
static bool is_doubtful(const struct data_set_parser *p, const struct header *h, enum vr vr)
{
    if (h->length == LENGTH_UNDEFINED || h->length < ITEM_HEADER_BYTES || h->tag >> 16 == 0xFFFE)
        return false;
    return (vr == VR_SQ && h->sent_vr == VR_UN) || (vr == VR_UN && !p->tolerant);
}

/* doubtful: it is a sequence after all, in implicit VR little endian (§6.2 note, CP-246) */
static bool start_element(struct data_set_parser *p, const struct header *h, enum vr vr, bool doubtful,
                          struct error *err)
{
    const struct data_set_level *in = top(p);
    bool implicit = doubtful || h->sent_vr == VR_UN;
    struct data_set_level inner = {
        .kind = LEVEL_SEQUENCE,
        .guessed = doubtful,
        .explicit_vr = in->explicit_vr && !implicit,
        .big_endian = in->big_endian && !implicit,
        .element = { .tag = h->tag, .vr = VR_SQ, .length = h->length, .value_offset = p->offset },
    };
    enum shape shape = doubtful ? SHAPE_SEQUENCE : shape_of(h, vr);

    inner.element.big_endian = inner.big_endian;
    if (shape == SHAPE_SEQUENCE)
        return begin_container(p, inner, err);
    inner.element.vr = vr == VR_SQ ? VR_UN : vr; /* sent as UN and no sequence to look at: opaque */
    if (shape == SHAPE_VALUE)
        return begin_value(p, &inner.element, err);
    inner.kind = LEVEL_FRAGMENTS;
    return begin_container(p, inner, err);
}

static bool start(struct data_set_parser *p, const struct header *h, struct error *err)
{
    enum vr vr = h->sent_vr == VR_NONE || h->sent_vr == VR_UN ? dictionary_vr(h->tag) : h->sent_vr;
    struct span behind = span_part(span_of(p->head, p->head_len), h->bytes, ITEM_HEADER_BYTES);
    bool sequence = behind.len > 0 && looks_like_sequence(behind, h->length);

    p->offset += h->bytes;
    p->head_len = 0;
    if (top(p)->kind == LEVEL_FRAGMENTS)
        return start_in_fragments(p, h, err);
    if (top(p)->kind == LEVEL_SEQUENCE)
        return start_in_sequence(p, h, err);
    if (h->tag >> 16 == 0xFFFE)
        return start_delimiter(p, h, err);
    if (!start_element(p, h, vr, sequence, err))
        return false;
    if (sequence) { /* the bytes looked at are the first item's header */
        memmove(p->head, behind.ptr, behind.len);
        p->head_len = behind.len;
    } else if (behind.len > 0) {
        p->offset += behind.len;
        p->value_left -= behind.len;
        return tell(p, EVENT_BYTES, &p->element, behind, err) && (p->value_left > 0 || end_value(p, err));
    }
    return true;
}

/* ---- the stream ---- */

static void take(struct span *bytes, size_t count)
{
    *bytes = span_part(*bytes, count, bytes->len);
}

/* Fills p->head as far as the header needs. *complete: *h is the header (and what it wants looked at is there). */
static bool gather_header(struct data_set_parser *p, struct span *bytes, struct header *h, bool *complete,
                          struct error *err)
{
    const struct data_set_level *in = top(p);
    size_t need, some;

    for (;;) {
        *complete = read_header(p, in, h, &need);
        if (*complete) {
            enum vr vr = h->sent_vr == VR_NONE || h->sent_vr == VR_UN ? dictionary_vr(h->tag) : h->sent_vr;
            bool elements = in->kind == LEVEL_ROOT || in->kind == LEVEL_ITEM;

            need = h->bytes + (elements && is_doubtful(p, h, vr) ? ITEM_HEADER_BYTES : 0);
            if (p->head_len >= need)
                return true;
        }
        *complete = false;
        if (need > in->end - p->offset)
            return error_set(err, ERR_TRUNCATED, "(%04X,%04X) ends inside an element", in->element.tag >> 16,
                             in->element.tag & 0xFFFF);
        if (bytes->len == 0)
            return true;
        some = need - p->head_len < bytes->len ? need - p->head_len : bytes->len;
        memcpy(p->head + p->head_len, bytes->ptr, some);
        p->head_len += some;
        take(bytes, some);
    }
}

static bool feed_value(struct data_set_parser *p, struct span *bytes, struct error *err)
{
    size_t some = p->value_left < bytes->len ? (size_t)p->value_left : bytes->len;
    struct span piece = span_part(*bytes, 0, some);

    take(bytes, some);
    p->offset += some;
    p->value_left -= some;
    if (!p->skipping && !tell(p, EVENT_BYTES, &p->element, piece, err))
        return false;
    if (p->value_left > 0)
        return true;
    if (!p->skipping)
        return end_value(p, err);
    p->skipping = false;
    p->in_value = false;
    return true;
}

/* Goes on behind a value that was taken for a sequence and is none. False where there is no such value. */
static bool step_over_guess(struct data_set_parser *p, struct error *err)
{
    struct error own = *err;
    size_t guess = p->level_count;
    uint64_t end;

    for (size_t i = p->level_count; i > 0; i--)
        if (p->levels[i - 1].guessed)
            guess = i - 1;
    if (!p->tolerant || p->handler_failed || guess == p->level_count)
        return false;
    end = p->levels[guess].end;
    p->offset += p->head_len; /* read, not yet counted */
    while (p->level_count > guess)
        if (!pop(p, err))
            return false;
    *err = own;
    p->head_len = 0;
    p->value_left = end - p->offset;
    p->skipping = p->in_value = p->value_left > 0;
    return true;
}

bool data_set_feed(struct data_set_parser *p, struct span bytes, struct error *err)
{
    struct error own = { 0 };

    for (;;) {
        struct header h;
        bool complete;

        if (!close_ended(p, err))
            return false;
        if (p->in_value) {
            if (bytes.len == 0)
                return true;
            if (!feed_value(p, &bytes, err))
                return false;
            continue;
        }
        if (gather_header(p, &bytes, &h, &complete, &own)) {
            if (!complete)
                return true;
            if (start(p, &h, &own))
                continue;
        }
        if (!step_over_guess(p, &own)) {
            if (err != NULL)
                *err = own;
            return false;
        }
    }
}

bool data_set_finish(struct data_set_parser *p, struct error *err)
{
    if (!close_ended(p, err))
        return false;
    if (p->in_value)
        return error_set(err, ERR_TRUNCATED, "the data set ends inside (%04X,%04X)", p->element.tag >> 16,
                         p->element.tag & 0xFFFF);
    if (p->head_len > 0)
        return error_set(err, ERR_TRUNCATED, "the data set ends inside an element's header");
    if (p->level_count > 1)
        return error_set(err, ERR_TRUNCATED, "the data set ends inside sequence (%04X,%04X)", top(p)->element.tag >> 16,
                         top(p)->element.tag & 0xFFFF);
    return true;
}
