/* The walk of a data set: what is kept of it. See walker.h; walker_facts.c makes fields of it. */
#include <stdlib.h>

#include "dicom/walker_kept.h"

/*
 * Longest value kept, in bytes as sent. The standard's own limit is 64 characters for most, 16 for a code;
 * with code extensions and devices that overrun it, this is far beyond. A longer value is left out whole:
 * half an identifier would be another one.
 */
#define TEXT_VALUE_MAX    1024
#define UID_VALUE_MAX     (UID_MAX + 2) /* padded, by a generous device */
#define NUMBER_VALUE_MAX  16            /* US, SS; the three of a palette's descriptor */
#define PALETTE_VALUE_MAX 8192          /* 4,096 entries of 16 bits, per colour: what facts have room for */

struct walker *walker_new(struct error *err)
{
    struct walker *w = calloc(1, sizeof *w);

    if (w == NULL)
        (void)error_set(err, ERR_MEMORY, "no memory for a walker");
    return w;
}

void walker_free(struct walker *w)
{
    if (w != NULL)
        inflate_done(&w->inflate);
    free(w);
}

/* ---- what is wanted ---- */

static struct kept *find_other_id(struct walker *w, uint32_t tag)
{
    size_t item = w->found.path[0].items - 1;

    if (w->found.path[0].sequence != TAG_OTHER_PATIENT_IDS_SEQUENCE || item >= OTHER_IDS_MAX)
        return NULL;
    if (tag == TAG(0x0010, 0x0020))
        return &w->found.other_ids[item].id;
    return tag == TAG(0x0010, 0x0021) ? &w->found.other_ids[item].issuer : NULL;
}

static struct kept *find_group(struct walker *w, uint32_t tag)
{
    struct kept *groups = w->found.path[0].sequence == TAG_SHARED_FUNCTIONAL_GROUPS      ? w->found.shared
                          : w->found.path[0].sequence == TAG_PER_FRAME_FUNCTIONAL_GROUPS ? w->found.first_frame
                                                                                         : NULL;

    if (groups == NULL || w->found.path[0].items != 1 || w->found.path[1].items != 1)
        return NULL;
    for (size_t i = 0; i < WANTED_GROUPS_COUNT; i++)
        if (wanted_groups[i].tag == tag && wanted_groups[i].sequence == w->found.path[1].sequence)
            return &groups[i];
    return NULL;
}

/* Where the element's value goes and as what; NULL: it is not wanted. */
static struct kept *find_wanted(struct walker *w, uint32_t tag, unsigned depth, enum form *form)
{
    size_t i;

    *form = FORM_TEXT;
    if (depth == 1)
        return find_other_id(w, tag);
    if (depth == 2)
        return find_group(w, tag);
    if (depth > 2 || (i = wanted_top_find(tag)) == WANTED_TOP_COUNT)
        return NULL;
    *form = wanted_top[i].form;
    return &w->found.top[i];
}

static size_t longest_kept(enum form form)
{
    switch (form) {
    case FORM_TEXT:
        return TEXT_VALUE_MAX;
    case FORM_UID:
        return UID_VALUE_MAX;
    case FORM_COUNT:
    case FORM_UINT:
    case FORM_NUMBER:
    case FORM_PALETTE_DESCRIPTOR:
        return NUMBER_VALUE_MAX;
    case FORM_PALETTE_DATA:
        return PALETTE_VALUE_MAX;
    }
    return 0;
}

/* ---- the walk ---- */

/* The first one counts; the walk goes on, so that what is refused can be named. */
static void refuse_uid(struct walker *w, uint32_t tag)
{
    if (w->found.refused.code == ERR_NONE)
        (void)error_set(&w->found.refused, ERR_REFUSED, "%s (%04X,%04X) is not a UID",
                        tag == TAG_STUDY_INSTANCE_UID ? "Study Instance UID"
                        : tag == TAG(0x0020, 0x000E)  ? "Series Instance UID"
                        : tag == TAG(0x0008, 0x0018)  ? "SOP Instance UID"
                                                      : "SOP Class UID",
                        tag >> 16, tag & 0xFFFF);
}

static void begin_element(struct walker *w, const struct data_element *e, unsigned depth)
{
    struct kept *kept = find_wanted(w, e->tag, depth, &w->found.current_form);

    if (e->tag == TAG_PIXEL_DATA && depth == 0) {
        w->found.has_pixels = true;
        w->found.pixel_offset = e->value_offset;
        w->found.pixel_length = e->length;
    }
    w->found.current = NULL;
    if (kept == NULL || kept->present) /* of two, the first counts */
        return;
    if (e->length > longest_kept(w->found.current_form)) {
        if (w->found.current_form == FORM_UID)
            refuse_uid(w, e->tag);
        return;
    }
    if (e->length > sizeof w->store - w->found.stored)
        return;
    *kept = (struct kept){ .present = true, .big_endian = e->big_endian, .vr = e->vr, .at = w->found.stored };
    w->found.current = kept;
}

struct span walker_kept(const struct walker *w, const struct kept *k)
{
    return k->present ? span_of(w->store + k->at, k->len) : (struct span){ NULL, 0 };
}

static void end_element(struct walker *w, const struct data_element *e, unsigned depth)
{
    struct kept *kept = w->found.current;
    struct span uid;

    w->found.current = NULL;
    if (e->tag == TAG_STUDY_INSTANCE_UID && depth == 0)
        w->found.study_uid_known = true;
    if (kept == NULL || w->found.current_form != FORM_UID)
        return;
    uid = uid_trim(walker_kept(w, kept));
    if (uid.len == 0 || uid_is_valid(uid))
        return;
    kept->present = false;
    refuse_uid(w, e->tag);
}

static void keep_bytes(struct walker *w, struct span bytes)
{
    if (w->found.current == NULL)
        return;
    memcpy(w->store + w->found.stored, bytes.ptr, bytes.len); /* the whole value has room: begin_element() */
    w->found.stored += bytes.len;
    w->found.current->len += bytes.len;
}

static bool on_event(void *context, const struct data_set_event *event, struct error *err)
{
    struct walker *w = context;

    (void)err;
    switch (event->kind) {
    case EVENT_BYTES:
        keep_bytes(w, event->bytes);
        break;
    case EVENT_FRAGMENTS:
        w->found.pixels_encapsulated |= event->element->tag == TAG_PIXEL_DATA && event->depth == 0;
        begin_element(w, event->element, event->depth);
        break;
    case EVENT_ELEMENT:
        begin_element(w, event->element, event->depth);
        break;
    case EVENT_END:
        end_element(w, event->element, event->depth);
        break;
    case EVENT_FRAGMENT:
        w->found.current = NULL;
        break;
    case EVENT_SEQUENCE:
        w->found.current = NULL;
        if (event->depth < COUNT_OF(w->found.path))
            w->found.path[event->depth] = (struct step){ .sequence = event->element->tag };
        break;
    case EVENT_ITEM:
        if (event->depth <= COUNT_OF(w->found.path))
            w->found.path[event->depth - 1].items++;
        break;
    case EVENT_ITEM_END:
        break;
    }
    return true;
}

bool walker_begin(struct walker *w, const struct transfer_syntax *syntax, struct error *err)
{
    if (syntax->deflated && !inflate_begin(&w->inflate, err))
        return false;
    w->syntax = syntax;
    w->found = (struct found){ 0 };
    data_set_parser_init(&w->parser, syntax, true, on_event, w);
    return true;
}

static bool feed_inflated(void *context, struct span bytes, struct error *err)
{
    struct walker *w = context;

    return data_set_feed(&w->parser, bytes, err);
}

static bool fail_again(const struct walker *w, struct error *err)
{
    if (err != NULL)
        *err = w->found.failed;
    return false;
}

bool walker_feed(struct walker *w, struct span bytes, struct error *err)
{
    if (w->found.failed.code != ERR_NONE)
        return fail_again(w, err);
    if (w->syntax->deflated ? inflate_feed(&w->inflate, bytes, feed_inflated, w, &w->found.failed)
                            : data_set_feed(&w->parser, bytes, &w->found.failed))
        return true;
    return fail_again(w, err);
}

bool walker_finish(struct walker *w, struct error *err)
{
    if (w->found.failed.code != ERR_NONE)
        return fail_again(w, err);
    if ((w->syntax->deflated && !inflate_finish(&w->inflate, &w->found.failed))
        || !data_set_finish(&w->parser, &w->found.failed))
        return fail_again(w, err);
    if (w->found.refused.code == ERR_NONE)
        return true;
    w->found.failed = w->found.refused;
    return fail_again(w, err);
}

bool walker_study_uid_known(const struct walker *w)
{
    return w->found.study_uid_known;
}
