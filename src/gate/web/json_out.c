/* JSON being written. See json_out.h. */
#include "gate/web/json_out.h"

#include <inttypes.h>

#define GROUP_DEPTH_MAX 4 /* groups in groups: the deepest list of docs/channel.md has two */

static void separate(struct json *j)
{
    if (j->comma)
        write_u8(j->out, ',');
    j->comma = true;
}

void json_begin(struct json *j, char bracket)
{
    separate(j);
    write_u8(j->out, (uint8_t)bracket);
    j->comma = false;
}

void json_end(struct json *j, char bracket)
{
    write_u8(j->out, (uint8_t)bracket);
    j->comma = true;
}

/*
 * Length of the well-formed character at the front of s (Unicode 15, Table 3-7); 0 where there is none.
 */
static size_t character_length(struct span s)
{
    uint8_t lead = s.ptr[0], low = 0x80, high = 0xbf;
    size_t len = lead < 0x80                    ? 1
                 : lead >= 0xc2 && lead <= 0xdf ? 2
                 : lead >= 0xe0 && lead <= 0xef ? 3
                 : lead >= 0xf0 && lead <= 0xf4 ? 4
                                                : 0;

    if (len == 0 || len > s.len)
        return 0;
    if (lead == 0xe0)
        low = 0xa0; /* no overlong forms */
    else if (lead == 0xed)
        high = 0x9f; /* no surrogates */
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f; /* nothing past U+10FFFF */
    for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf)
        if (s.ptr[i] < low || s.ptr[i] > high)
            return 0;
    return len;
}

static void write_character(struct json *j, struct span c)
{
    uint8_t b = c.ptr[0];

    if (b == '"' || b == '\\')
        write_u8(j->out, '\\');
    if (b < 0x20 || b == 0x7f)
        write_printf(j->out, "\\u%04x", b);
    else
        write_span(j->out, c);
}

static void write_string(struct json *j, struct span utf8)
{
    write_u8(j->out, '"');
    for (size_t at = 0; at < utf8.len;) {
        struct span rest = span_part(utf8, at, utf8.len);
        size_t len = character_length(rest);

        if (len == 0)
            write_str(j->out, "\xef\xbf\xbd");
        else
            write_character(j, span_part(rest, 0, len));
        at += len == 0 ? 1 : len;
    }
    write_u8(j->out, '"');
}

void json_key(struct json *j, const char *name)
{
    separate(j);
    write_string(j, span_str(name));
    write_u8(j->out, ':');
    j->comma = false;
}

void json_text(struct json *j, struct span utf8)
{
    separate(j);
    write_string(j, utf8);
}

void json_uint(struct json *j, uint64_t value)
{
    separate(j);
    write_printf(j->out, "%" PRIu64, value);
}

void json_bool(struct json *j, bool value)
{
    separate(j);
    write_str(j->out, value ? "true" : "false");
}

/* ---- field lists ---- */

static void write_fields(struct json *j, struct span list, const enum field *repeated, unsigned depth);

static bool is_repeated(const enum field *repeated, enum field f)
{
    for (; repeated != NULL && *repeated != FIELD_NONE; repeated++)
        if (*repeated == f)
            return true;
    return false;
}

static bool is_for_the_page(enum field f)
{
    return field_name(f) != NULL && field_type_of(f) != FIELD_TYPE_BYTES && f != FIELD_PALETTE;
}

static void write_value(struct json *j, enum field f, struct span value, unsigned depth)
{
    switch (field_type_of(f)) {
    case FIELD_TYPE_TEXT:
        json_text(j, value);
        break;
    case FIELD_TYPE_UINT:
        json_uint(j, field_uint(value));
        break;
    case FIELD_TYPE_GROUP:
        json_begin(j, '{');
        if (depth < GROUP_DEPTH_MAX)
            write_fields(j, value, NULL, depth + 1);
        json_end(j, '}');
        break;
    case FIELD_TYPE_BYTES:
        break;
    }
}

static void write_array(struct json *j, struct span list, enum field f, unsigned depth)
{
    struct fields_reader r = fields_over(list);
    struct field_value v;

    json_key(j, field_name(f));
    json_begin(j, '[');
    while (fields_next(&r, &v))
        if (v.field == f)
            write_value(j, f, v.value, depth);
    json_end(j, ']');
}

/* True for the first field of its number in the list. */
static bool is_first(struct span list, const struct field_value *v)
{
    struct span first;

    return fields_find(list, v->field, &first) && first.ptr == v->value.ptr;
}

static void write_fields(struct json *j, struct span list, const enum field *repeated, unsigned depth)
{
    struct fields_reader r = fields_over(list);
    struct field_value v;

    while (fields_next(&r, &v)) {
        if (!is_for_the_page(v.field) || is_repeated(repeated, v.field) || !is_first(list, &v))
            continue;
        json_key(j, field_name(v.field));
        write_value(j, v.field, v.value, depth);
    }
    for (; repeated != NULL && *repeated != FIELD_NONE; repeated++)
        write_array(j, list, *repeated, depth);
}

void json_fields(struct json *j, struct span list, const enum field *repeated)
{
    write_fields(j, list, repeated, 0);
}
