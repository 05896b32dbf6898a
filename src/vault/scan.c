/* Walking the log. See scan.h. */
#include "vault/scan.h"

#include "base/file.h"

#define WINDOW_BYTES ((size_t)256 << 10)

void scan_init(struct scan *c, struct store *s, address from, address limit)
{
    *c = (struct scan){ .store = s,
                        .at = from,
                        .limit = limit,
                        .window = writer_new(ENTRY_BYTES_MAX + MARKER_BYTES_MAX + WINDOW_BYTES),
                        .window_segment = UINT32_MAX };
}

void scan_done(struct scan *c)
{
    writer_done(&c->window);
}

/* Where the segment being walked ends for us. */
static bool segment_end(const struct scan *c, uint32_t *out, struct error *err)
{
    uint64_t size;

    if (!segment_size(c->store, address_segment(c->at), &size, err))
        return false;
    if (address_segment(c->at) == address_segment(c->limit) && size > address_offset(c->limit))
        size = address_offset(c->limit);
    *out = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
    return true;
}

/* The window holds `want` bytes from `offset` of a segment on; empty where they cannot be read (*failed: by the disk). */
static bool window_fill(struct scan *c, uint32_t segment, uint32_t offset, size_t want, bool *failed)
{
    struct error why = { 0 };
    uint8_t *out;
    int fd;

    writer_reset(&c->window);
    c->window_segment = segment;
    c->window_from = offset;
    out = write_room(&c->window, want);
    if (out == NULL)
        (void)error_set(&c->want, ERR_MEMORY, "no memory to read the log");
    fd = out == NULL ? -1 : segment_fd(c->store, segment, &why);
    if (fd >= 0 && file_read_at(fd, out, want, offset, &why))
        return true;
    *failed = fd >= 0 && why.code != ERR_TRUNCATED;
    if (error_is_want(why.code) && (fd < 0 || why.code != ERR_IO)) /* not the disk's sectors */
        c->want = why;
    writer_reset(&c->window);
    return false;
}

/* len bytes at `offset` of the segment being walked, from the window; empty where they are not there or cannot be read.
 */
static struct span look(struct scan *c, uint32_t offset, size_t len, uint32_t end)
{
    uint32_t segment = address_segment(c->at);
    bool failed = false;
    size_t want;

    if (offset > end || len > end - offset)
        return span_of(NULL, 0);
    if (c->window_segment == segment && offset >= c->window_from && offset - c->window_from <= c->window.len
        && len <= c->window.len - (offset - c->window_from))
        return span_part(writer_span(&c->window), offset - c->window_from, len);
    want = len < WINDOW_BYTES ? WINDOW_BYTES : len;
    if (want > end - offset)
        want = end - offset;
    /* Where the whole window does not read, it may be for a sector further on. */
    if (!window_fill(c, segment, offset, want, &failed)
        && (want == len || !window_fill(c, segment, offset, len, &failed))) {
        c->unread = c->unread || failed;
        return span_of(NULL, 0);
    }
    return span_part(writer_span(&c->window), 0, len);
}

/* A whole record at `offset`? */
static bool record_at(struct scan *c, uint32_t offset, uint32_t end, struct scan_item *out)
{
    struct span head = look(c, offset, 4, end);

    if (head.len == 4 && memcmp(head.ptr, "FNLE", 4) == 0) {
        if (!entry_header_decode(look(c, offset, ENTRY_HEADER_BYTES, end), &out->entry, NULL))
            return false;
        out->type = SCAN_ENTRY;
        out->length = out->entry.length;
        out->bytes = look(c, offset, out->length, end);
        return out->bytes.len == out->length;
    }
    if (head.len == 4 && memcmp(head.ptr, "FNLM", 4) == 0) {
        if (!marker_fixed_decode(look(c, offset, MARKER_FIXED_BYTES, end), &out->marker, NULL))
            return false;
        out->type = SCAN_MARKER;
        out->length = marker_length(out->marker.count);
        out->bytes = look(c, offset, out->length, end);
        return out->bytes.len == out->length
               && marker_decode(out->bytes, keyring_keys(c->store->keyring)->marker, &out->marker, &out->leaves, NULL);
    }
    return false;
}

static void segment_head(struct scan *c, uint32_t end, struct scan_item *out)
{
    struct span bytes = look(c, 0, SEGMENT_HEADER_BYTES, end);

    out->type = SCAN_SEGMENT;
    out->length = end < SEGMENT_HEADER_BYTES ? end : SEGMENT_HEADER_BYTES;
    out->broken = bytes.len != SEGMENT_HEADER_BYTES
                  || !segment_header_decode(bytes, keyring_keys(c->store->keyring)->file, &out->segment, NULL)
                  || out->segment.number != address_segment(c->at)
                  || memcmp(out->segment.vault_id, keyring_vault_id(c->store->keyring), VAULT_ID_BYTES) != 0;
    c->at += SEGMENT_HEADER_BYTES;
}

/* The segment behind is walked next, where it is there. */
static bool next_segment(struct scan *c, bool *there, struct error *err)
{
    const uint32_t next = address_segment(c->at) + 1;
    struct error why = { 0 };

    *there = next <= address_segment(c->limit) && segment_fd(c->store, next, &why) >= 0;
    if (why.code != ERR_NONE && why.code != ERR_DAMAGED)
        return error_set(err, why.code, "%s", why.text);
    if (*there)
        c->at = address_of(next, 0);
    return true;
}

bool scan_next(struct scan *c, struct scan_item *out, struct error *err)
{
    uint32_t offset = address_offset(c->at), end = 0, from = offset;
    bool there;

    *out = (struct scan_item){ .type = SCAN_END, .where = c->at };
    c->unread = false;
    if (c->at >= c->limit)
        return true;
    if (!segment_end(c, &end, err))
        return false;
    if (offset >= end) {
        if (offset == 0)
            return true;
        if (!next_segment(c, &there, err))
            return false;
        return !there || scan_next(c, out, err);
    }
    if (offset == 0) {
        segment_head(c, end, out);
        return c->want.code == ERR_NONE || error_set(err, c->want.code, "%s", c->want.text);
    }
    while (offset < end && !record_at(c, offset, end, out))
        offset = end - offset < RECORD_ALIGN ? end : offset + RECORD_ALIGN;
    if (c->want.code != ERR_NONE) /* or else what is whole would look broken */
        return error_set(err, c->want.code, "%s", c->want.text);
    if (offset > from) {
        *out = (struct scan_item){ .type = SCAN_GAP, .where = c->at, .length = offset - from, .unread = c->unread };
        c->at += out->length;
        return true;
    }
    c->at += out->length;
    return true;
}
