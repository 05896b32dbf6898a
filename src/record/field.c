/* Lists of named fields. See field.h. */
#include "record/field.h"

const char *field_name(enum field f)
{
    switch (f) {
    case FIELD_NONE:
        return NULL;
#define FIELD(number, symbol, name, type) \
    case FIELD_##symbol:                  \
        return #name;
#include "record/field_list.h"
#undef FIELD
    }
    return NULL;
}

enum field_type field_type_of(enum field f)
{
    switch (f) {
    case FIELD_NONE:
        break;
#define FIELD(number, symbol, name, type) \
    case FIELD_##symbol:                  \
        return FIELD_TYPE_##type;
#include "record/field_list.h"
#undef FIELD
    }
    return FIELD_TYPE_BYTES;
}

static void put_header(struct writer *w, enum field f, size_t len)
{
    if (len > UINT32_MAX)
        w->failed = true;
    write_u16le(w, (uint16_t)f);
    write_u32le(w, (uint32_t)len);
}

void field_put_bytes(struct writer *w, enum field f, struct span bytes)
{
    put_header(w, f, bytes.len);
    write_span(w, bytes);
}

void field_put_text(struct writer *w, enum field f, struct span text)
{
    field_put_bytes(w, f, text);
}

void field_put_str(struct writer *w, enum field f, const char *text)
{
    field_put_bytes(w, f, span_str(text));
}

void field_put_some(struct writer *w, enum field f, struct span text)
{
    if (text.len > 0)
        field_put_bytes(w, f, text);
}

void field_put_uint(struct writer *w, enum field f, uint64_t value)
{
    put_header(w, f, 8);
    write_u64le(w, value);
}

size_t field_group_begin(struct writer *w, enum field f)
{
    put_header(w, f, 0);
    return w->len;
}

void field_group_end(struct writer *w, size_t mark)
{
    if (!w->failed)
        write_patch_u32le(w, mark - 4, (uint32_t)(w->len - mark)); /* < writer's limit, checked by its owner */
}

bool fields_next(struct fields_reader *r, struct field_value *out)
{
    struct field_value v;

    if (r->r.dry || reader_left(&r->r) == 0)
        return false;
    v.field = (enum field)read_u16le(&r->r);
    v.value = read_span(&r->r, read_u32le(&r->r));
    if (r->r.dry)
        return false;
    *out = v;
    return true;
}

bool fields_complete(const struct fields_reader *r, struct error *err)
{
    return reader_complete(&r->r, err, "field list");
}

uint64_t field_uint(struct span value)
{
    struct reader r = reader_over(value);

    return value.len == 8 ? read_u64le(&r) : 0;
}

bool fields_find(struct span list, enum field f, struct span *out)
{
    struct fields_reader r = fields_over(list);
    struct field_value v;

    while (fields_next(&r, &v))
        if (v.field == f) {
            *out = v.value;
            return true;
        }
    return false;
}

struct span fields_text(struct span list, enum field f)
{
    struct span s = { NULL, 0 };

    (void)fields_find(list, f, &s);
    return s;
}

uint64_t fields_uint(struct span list, enum field f, uint64_t fallback)
{
    struct span s;

    return fields_find(list, f, &s) ? field_uint(s) : fallback;
}
