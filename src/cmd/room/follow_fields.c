/* Questions of a twin and their answers. See follow_fields.h. */
#include "cmd/room/follow_fields.h"

#include "channel/wire.h"

void follow_question_write(const struct follow_question *q, uint64_t wait_ms, struct writer *w)
{
    field_put_uint(w, FIELD_POSITION, q->position);
    field_put_uint(w, FIELD_TWIN_APPLIED, q->applied);
    field_put_uint(w, FIELD_LOG_SEGMENT, address_segment(q->from));
    field_put_uint(w, FIELD_OFFSET, address_offset(q->from));
    field_put_uint(w, FIELD_AFTER, wait_ms);
}

void follow_question_read(struct span fields, struct follow_question *out)
{
    out->position = fields_uint(fields, FIELD_POSITION, 0);
    out->applied = fields_uint(fields, FIELD_TWIN_APPLIED, 0);
    out->from = address_of((uint32_t)fields_uint(fields, FIELD_LOG_SEGMENT, 0),
                           (uint32_t)fields_uint(fields, FIELD_OFFSET, 0));
}

void follow_range_write(const struct follow_range *r, size_t len, struct writer *w)
{
    field_put_uint(w, FIELD_TWIN_PART, r->part);
    field_put_uint(w, FIELD_OFFSET, r->offset);
    field_put_uint(w, FIELD_LENGTH, len);
    switch (r->part) {
    case FOLLOW_LOG:
        field_put_uint(w, FIELD_LOG_SEGMENT, r->segment);
        break;
    case FOLLOW_BODY_FILE:
        field_put_uint(w, FIELD_BODY_CLASS, r->body_class);
        field_put_uint(w, FIELD_MONTH, r->month);
        field_put_uint(w, FIELD_FILE_NUMBER, r->number);
        break;
    case FOLLOW_LARGE:
        field_put_uint(w, FIELD_POSITION, r->position);
        break;
    case FOLLOW_KEYRING:
    case FOLLOW_CONF:
        break;
    }
}

/* Numbers of files and segments have 32 bits. */
static bool small(struct span fields, enum field f, uint32_t *out)
{
    uint64_t v = fields_uint(fields, f, 0);

    *out = (uint32_t)v;
    return v <= UINT32_MAX;
}

bool follow_range_read(struct span fields, struct follow_range *out, size_t *len, struct error *err)
{
    uint64_t part = fields_uint(fields, FIELD_TWIN_PART, 0), want = fields_uint(fields, FIELD_LENGTH, 0);
    struct follow_range r = { .offset = fields_uint(fields, FIELD_OFFSET, 0),
                              .position = fields_uint(fields, FIELD_POSITION, 0) };
    uint32_t body_class = 0;

    if (part < FOLLOW_LOG || part > FOLLOW_CONF || !small(fields, FIELD_LOG_SEGMENT, &r.segment)
        || !small(fields, FIELD_BODY_CLASS, &body_class) || !small(fields, FIELD_MONTH, &r.month)
        || !small(fields, FIELD_FILE_NUMBER, &r.number) || body_class > BODY_CLASS_COUNT)
        return error_set(err, ERR_MALFORMED, "not a part of a vault");
    if (want > WIRE_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "%llu bytes at once", (unsigned long long)want);
    r.part = (enum follow_part)part;
    r.body_class = (enum body_class)body_class;
    *out = r;
    *len = (size_t)want;
    return true;
}

void follow_head_write(const struct follow_head *h, uint64_t now_us, struct writer *w)
{
    field_put_bytes(w, FIELD_VAULT_ID, span_of(h->vault_id, VAULT_ID_BYTES));
    field_put_bytes(w, FIELD_PUBLIC_KEY, span_of(h->public_key, FOLLOW_PUBLIC_KEY_BYTES));
    field_put_str(w, FIELD_CHECKPOINT, h->note);
    field_put_uint(w, FIELD_POSITION, h->size);
    field_put_uint(w, FIELD_TWIN_SIZE, h->committed);
    field_put_uint(w, FIELD_KEYRING_SLOTS, h->keyring_slots);
    field_put_bytes(w, FIELD_DIGEST, span_of(h->keyring_digest, HASH_BYTES));
    field_put_uint(w, FIELD_WRITTEN, h->written_us);
    field_put_uint(w, FIELD_NOW, now_us);
}

static bool exactly(struct span fields, enum field f, uint8_t *out, size_t len)
{
    struct span v = fields_text(fields, f);

    if (v.len != len)
        return false;
    memcpy(out, v.ptr, len);
    return true;
}

bool follow_head_read(struct span fields, struct follow_head *out, struct error *err)
{
    struct follow_head h = { .size = fields_uint(fields, FIELD_POSITION, 0),
                             .committed = fields_uint(fields, FIELD_TWIN_SIZE, 0),
                             .written_us = fields_uint(fields, FIELD_WRITTEN, 0) };

    if (!exactly(fields, FIELD_VAULT_ID, h.vault_id, VAULT_ID_BYTES)
        || !exactly(fields, FIELD_PUBLIC_KEY, h.public_key, FOLLOW_PUBLIC_KEY_BYTES)
        || !exactly(fields, FIELD_DIGEST, h.keyring_digest, HASH_BYTES)
        || !span_to_str(fields_text(fields, FIELD_CHECKPOINT), h.note, sizeof h.note)
        || !small(fields, FIELD_KEYRING_SLOTS, &h.keyring_slots))
        return error_set(err, ERR_MALFORMED, "not a head");
    *out = h;
    return true;
}
