/* The log, as it passes. See step_log.h. */
#include "cmd/step_log.h"

#include <stdlib.h>
#include <string.h>

void step_log_begin(struct step_log *l, uint64_t records, const struct body_file in_use[BODY_CLASS_COUNT], uint64_t target)
{
    *l = (struct step_log){ .target = target, .records = records };
    memcpy(l->in_use, in_use, sizeof l->in_use);
}

void step_log_done(struct step_log *l)
{
    free(l->bodies);
    l->bodies = NULL;
}

void step_log_segment(struct step_log *l)
{
    l->have = 0;
    l->skip = SEGMENT_HEADER_BYTES;
    l->marker_passes = false;
}

static struct step_body *need_add(struct step_log *l, struct error *err)
{
    if (l->body_count == STEP_BODIES_MAX) {
        (void)error_set(err, ERR_LIMIT, "a step of more than %u bodies", STEP_BODIES_MAX);
        return NULL;
    }
    if (l->body_count == l->body_cap) {
        size_t cap = l->body_cap == 0 ? 16 : l->body_cap * 2;
        struct step_body *more = realloc(l->bodies, cap * sizeof *more);

        if (more == NULL) {
            (void)error_set(err, ERR_MEMORY, "no memory for the bodies of a step");
            return NULL;
        }
        l->bodies = more;
        l->body_cap = cap;
    }
    return &l->bodies[l->body_count++];
}

/* The class's newest file, as far as the list goes; NULL: none of its was touched yet. */
static struct step_body *newest_of(struct step_log *l, unsigned c)
{
    for (size_t i = l->body_count; i > 0; i--)
        if (l->bodies[i - 1].range.part == FOLLOW_BODY_FILE && (unsigned)l->bodies[i - 1].range.body_class == c + 1)
            return &l->bodies[i - 1];
    return NULL;
}

static struct follow_range range_of(unsigned c, const struct body_file *f)
{
    return (struct follow_range){ .part = FOLLOW_BODY_FILE, .body_class = (enum body_class)(c + 1), .month = f->month,
                                  .number = f->number };
}

/* The class's file in use reaches at least to f->length of f. One that is left for it is needed to its end. */
static bool touch(struct step_log *l, unsigned c, const struct body_file *f, struct error *err)
{
    struct step_body *b = newest_of(l, c);
    const struct body_file *before = &l->in_use[c];

    if (f->number == 0)
        return true;
    if (b == NULL && before->number != 0) { /* what the twin has of it is not needed again */
        if ((b = need_add(l, err)) == NULL)
            return false;
        *b = (struct step_body){ .range = range_of(c, before), .end = before->length };
        b->range.offset = before->length;
    }
    if (b == NULL || b->range.number != f->number) {
        if (b != NULL)
            b->end = UINT64_MAX;
        if ((b = need_add(l, err)) == NULL)
            return false;
        *b = (struct step_body){ .range = range_of(c, f) };
    }
    if (b->end < f->length)
        b->end = f->length;
    return true;
}

static bool take_entry(struct step_log *l, struct error *err)
{
    struct entry_header h;

    if (!entry_header_decode(span_of(l->head, ENTRY_HEADER_BYTES), &h, err))
        return error_within(err, "record %llu", (unsigned long long)l->records);
    l->skip = h.length - ENTRY_HEADER_BYTES;
    l->records++;
    if (h.has_body && h.large) {
        struct step_body *b = need_add(l, err);

        if (b == NULL)
            return false;
        *b = (struct step_body){ .range = { .part = FOLLOW_LARGE, .position = h.position },
                                 .end = body_stored_bytes(h.body_bytes) };
    } else if (h.has_body) {
        struct body_file f = h.place;

        f.length += body_stored_bytes(h.body_bytes);
        return touch(l, (unsigned)h.body_class - 1, &f, err);
    }
    return true;
}

static bool take_marker(struct step_log *l, struct error *err)
{
    if (!marker_fixed_decode(span_of(l->head, MARKER_FIXED_BYTES), &l->marker, err))
        return error_within(err, "the marker behind record %llu", (unsigned long long)l->records);
    if (l->marker.size != l->records)
        return error_set(err, ERR_DAMAGED, "the marker behind record %llu speaks of %llu", (unsigned long long)l->records,
                         (unsigned long long)l->marker.size);
    l->skip = marker_length(l->marker.count) - MARKER_FIXED_BYTES;
    l->marker_passes = true;
    for (unsigned c = 0; c < BODY_CLASS_COUNT; c++)
        if (!touch(l, c, &l->marker.in_use[c], err))
            return false;
    return true;
}

static bool take_head(struct step_log *l, struct error *err)
{
    l->have = 0;
    if (memcmp(l->head, "FNLM", 4) == 0)
        return take_marker(l, err);
    if (memcmp(l->head, "FNLE", 4) == 0)
        return take_entry(l, err);
    return error_set(err, ERR_DAMAGED, "the log behind record %llu is neither entry nor marker", (unsigned long long)l->records);
}

/* What was skipped is over. */
static void skipped(struct step_log *l)
{
    if (l->marker_passes && l->marker.size >= l->target)
        l->stopped = true;
    l->marker_passes = false;
}

bool step_log_take(struct step_log *l, struct span bytes, size_t *used, struct error *err)
{
    size_t at = 0;

    _Static_assert(ENTRY_HEADER_BYTES == MARKER_FIXED_BYTES, "heads are told apart once they are whole");
    while (at < bytes.len && !l->stopped) {
        size_t left = bytes.len - at, n;

        if (l->skip > 0) {
            n = l->skip < left ? (size_t)l->skip : left;
            l->skip -= n;
            at += n;
            if (l->skip == 0)
                skipped(l);
            continue;
        }
        n = sizeof l->head - l->have < left ? sizeof l->head - l->have : left;
        memcpy(l->head + l->have, bytes.ptr + at, n);
        l->have += n;
        at += n;
        if (l->have == sizeof l->head && !take_head(l, err))
            return false;
    }
    *used = at;
    return true;
}
