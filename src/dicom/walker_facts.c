/* The walker's findings as a field list: text in UTF-8, numbers in the machine's order. See walker.h. */
#include <stdio.h>

#include "dicom/charset.h"
#include "dicom/walker_kept.h"

/* Spaces and NULs around a value mean nothing, but leading ones of long text do (PS3.5 Table 6.2-1). */
static struct span trim_value(struct span text, enum vr vr)
{
    struct span all = span_trim(text, " ");

    if (all.len == 0 || vr_is_multi_valued(vr))
        return all;
    return span_of(text.ptr, (size_t)(all.ptr - text.ptr) + all.len);
}

static const struct kept *find_field(const struct walker *w, enum field field)
{
    for (size_t i = 0; i < WANTED_TOP_COUNT; i++)
        if (wanted_top[i].field == field)
            return &w->found.top[i];
    return NULL;
}

struct span walker_value(const struct walker *w, enum field field)
{
    const struct kept *k = find_field(w, field);

    return k == NULL ? (struct span){ NULL, 0 } : trim_value(walker_kept(w, k), k->vr);
}

/* Of several places the one that counts: the object's own, its first frame's, what all frames share. */
static const struct kept *find_placed(const struct walker *w, size_t top)
{
    const struct kept *shared = NULL;

    if (w->found.top[top].present)
        return &w->found.top[top];
    for (size_t i = 0; i < WANTED_GROUPS_COUNT; i++) {
        if (wanted_groups[i].field != wanted_top[top].field)
            continue;
        if (w->found.first_frame[i].present)
            return &w->found.first_frame[i];
        shared = &w->found.shared[i];
    }
    return shared != NULL ? shared : &w->found.top[top];
}

/* A person name without its last component groups where they are empty (PS3.5 §6.2.1: "=" may be left out). */
static struct span without_empty_groups(struct span name)
{
    while (name.len > 0 && name.ptr[name.len - 1] == '=')
        name.len--;
    return name;
}

static void put_text(struct walker *w, struct writer *out, enum field field, const struct kept *k)
{
    struct charset charset = charset_of(span_str(""));
    struct span text = trim_value(walker_kept(w, k), k->vr);
    size_t mark;

    if (text.len == 0)
        return;
    if (vr_uses_character_set(k->vr))
        charset = charset_of(walker_value(w, FIELD_CHARACTER_SET));
    mark = field_group_begin(out, field);
    w->found.text_was_damaged |= !charset_to_utf8(charset, k->vr, text, out);
    if (k->vr == VR_PN && !out->failed)
        out->len = mark + without_empty_groups(span_part(writer_span(out), mark, out->len)).len;
    field_group_end(out, mark);
}

static uint16_t read_word(struct reader *r, const struct kept *k)
{
    return k->big_endian ? read_u16be(r) : read_u16le(r);
}

static bool first_word(const struct walker *w, const struct kept *k, uint16_t *out)
{
    struct reader r = reader_over(walker_kept(w, k));
    uint16_t word = read_word(&r, k);

    if (r.dry)
        return false;
    *out = word;
    return true;
}

/* Whether a word of VR US or SS is signed: as sent, else as the pixels are (PS3.5 Annex A). */
static bool is_signed(const struct walker *w, const struct kept *k)
{
    uint16_t representation = 0;

    if (k->vr == VR_US || k->vr == VR_SS)
        return k->vr == VR_SS;
    return first_word(w, find_field(w, FIELD_PIXEL_REPRESENTATION), &representation) && representation == 1;
}

static int word_value(uint16_t word, bool with_sign)
{
    return with_sign ? (int16_t)word : word;
}

static void put_number(const struct walker *w, struct writer *out, enum field field, const struct kept *k)
{
    char text[8];
    uint16_t word;

    if (!first_word(w, k, &word))
        return;
    (void)snprintf(text, sizeof text, "%d", word_value(word, is_signed(w, k)));
    field_put_str(out, field, text);
}

/* IS (PS3.5 Table 6.2-1) of what cannot be negative; not written where it is none. */
static void put_count(const struct walker *w, struct writer *out, enum field field, const struct kept *k)
{
    struct span text = span_trim(walker_kept(w, k), " ");
    uint64_t count = 0;

    if (text.len == 0 || text.len > 12)
        return;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return;
        count = count * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    field_put_uint(out, field, count);
}

static void put_value(struct walker *w, struct writer *out, size_t top)
{
    const struct kept *k = find_placed(w, top);
    enum field field = wanted_top[top].field;
    uint16_t word;

    if (field == FIELD_LATERALITY && !k->present)
        k = find_field(w, FIELD_IMAGE_LATERALITY);
    switch (wanted_top[top].form) {
    case FORM_TEXT:
    case FORM_UID:
        put_text(w, out, field, k);
        break;
    case FORM_COUNT:
        put_count(w, out, field, k);
        break;
    case FORM_UINT:
        if (first_word(w, k, &word))
            field_put_uint(out, field, word);
        break;
    case FORM_NUMBER:
        put_number(w, out, field, k);
        break;
    case FORM_PALETTE_DESCRIPTOR:
    case FORM_PALETTE_DATA:
        break; /* put_palette() */
    }
}

/* One colour: (0028,1101) to (0028,1103) say what lies in (0028,1201) to (0028,1203) (PS3.3 C.7.6.3.1.5). */
static void put_palette_colour(const struct walker *w, struct writer *out, const struct kept *descriptor,
                               const struct kept *data)
{
    struct reader r = reader_over(walker_kept(w, descriptor));
    uint16_t entries = read_word(&r, descriptor);
    int first = word_value(read_word(&r, descriptor), is_signed(w, descriptor));
    uint16_t bits = read_word(&r, descriptor);
    char text[24];
    size_t mark;

    (void)snprintf(text, sizeof text, "%u\\%d\\%u", entries, first, bits);
    field_put_str(out, FIELD_PALETTE_DESCRIPTOR, text);
    mark = field_group_begin(out, FIELD_PALETTE_DATA);
    r = reader_over(walker_kept(w, data));
    while (reader_left(&r) >= 2)
        write_u16le(out, read_word(&r, data));
    field_group_end(out, mark);
}

static void put_palette(const struct walker *w, struct writer *out)
{
    const struct kept *descriptors = &w->found.top[wanted_top_find(TAG(0x0028, 0x1101))];
    const struct kept *data = &w->found.top[wanted_top_find(TAG(0x0028, 0x1201))];
    size_t mark;

    for (size_t i = 0; i < 3; i++)
        if (descriptors[i].len < 6 || data[i].len == 0)
            return;
    mark = field_group_begin(out, FIELD_PALETTE);
    for (size_t i = 0; i < 3; i++)
        put_palette_colour(w, out, &descriptors[i], &data[i]);
    field_group_end(out, mark);
}

static void put_other_ids(struct walker *w, struct writer *out)
{
    for (size_t i = 0; i < OTHER_IDS_MAX; i++) {
        size_t mark;

        if (w->found.other_ids[i].id.len == 0)
            continue;
        mark = field_group_begin(out, FIELD_OTHER_ID);
        put_text(w, out, FIELD_PATIENT_ID, &w->found.other_ids[i].id);
        put_text(w, out, FIELD_ISSUER, &w->found.other_ids[i].issuer);
        field_group_end(out, mark);
    }
}

static void put_pixels(const struct walker *w, struct writer *out)
{
    if (w->syntax->big_endian || w->syntax->coding == FRAME_NATIVE_BIG_ENDIAN)
        field_put_uint(out, FIELD_BIG_ENDIAN, 1);
    if (!w->found.has_pixels || w->syntax->deflated)
        return;
    field_put_uint(out, FIELD_PIXEL_OFFSET, w->found.pixel_offset);
    if (w->found.pixel_length != LENGTH_UNDEFINED)
        field_put_uint(out, FIELD_PIXEL_LENGTH, w->found.pixel_length);
    if (w->found.pixels_encapsulated)
        field_put_uint(out, FIELD_PIXEL_ENCAPSULATED, 1);
}

bool walker_facts(struct walker *w, struct writer *out, struct error *err)
{
    for (size_t i = 0; i < WANTED_TOP_COUNT; i++)
        put_value(w, out, i);
    put_other_ids(w, out);
    put_palette(w, out);
    field_put_str(out, FIELD_TRANSFER_SYNTAX, w->syntax->uid);
    put_pixels(w, out);
    return writer_ok(out, err, "facts of an object");
}

bool walker_text_was_damaged(const struct walker *w)
{
    return w->found.text_was_damaged;
}
