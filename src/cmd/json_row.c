/* Rows for people and scripts. See json_row.h. */
#include "cmd/json_row.h"

#include <inttypes.h>

#include "base/clock.h"

/* Length of the valid UTF-8 sequence at the start of s (RFC 3629 §4); 0 where there is none. */
static size_t utf8_length(struct span s)
{
    uint8_t b = s.ptr[0];
    size_t n = b < 0x80 ? 1 : b >= 0xc2 && b < 0xe0 ? 2 : (b & 0xf0) == 0xe0 ? 3 : b >= 0xf0 && b < 0xf5 ? 4 : 0;

    if (n == 0 || n > s.len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s.ptr[i] & 0xc0) != 0x80)
            return 0;
    if ((b == 0xe0 && s.ptr[1] < 0xa0) || (b == 0xed && s.ptr[1] >= 0xa0) || (b == 0xf0 && s.ptr[1] < 0x90)
        || (b == 0xf4 && s.ptr[1] >= 0x90))
        return 0;
    return n;
}

static void print_string(FILE *out, struct span s)
{
    (void)putc('"', out);
    while (s.len > 0) {
        size_t n = utf8_length(s);

        if (n == 0)
            (void)fputs("\\ufffd", out);
        else if (s.ptr[0] == '"' || s.ptr[0] == '\\')
            (void)fprintf(out, "\\%c", s.ptr[0]);
        else if (s.ptr[0] < 0x20 || s.ptr[0] == 0x7f)
            (void)fprintf(out, "\\u%04x", s.ptr[0]);
        else
            (void)fwrite(s.ptr, 1, n, out);
        s = span_part(s, n == 0 ? 1 : n, s.len);
    }
    (void)putc('"', out);
}

static void print_pair(FILE *out, enum field f, struct span value, bool *first)
{
    char time[CLOCK_RFC3339_SIZE];

    (void)fprintf(out, "%s\"%s\": ", *first ? "{" : ", ", field_name(f));
    *first = false;
    if (f == FIELD_RECEIVED)
        (void)fprintf(out, "\"%s\"", clock_rfc3339(field_uint(value), time));
    else if (field_type_of(f) == FIELD_TYPE_UINT)
        (void)fprintf(out, "%" PRIu64, field_uint(value));
    else
        print_string(out, value);
}

static bool is_among(enum field f, const enum field *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == f)
            return true;
    return false;
}

void print_json_row(FILE *out, struct span row, const enum field *always, size_t always_count)
{
    struct fields_reader r = fields_over(row);
    struct field_value v;
    bool first = true;

    for (size_t i = 0; i < always_count; i++)
        print_pair(out, always[i], fields_text(row, always[i]), &first);
    while (fields_next(&r, &v)) {
        enum field_type type = field_type_of(v.field);

        if (field_name(v.field) != NULL && (type == FIELD_TYPE_TEXT || type == FIELD_TYPE_UINT)
            && !is_among(v.field, always, always_count))
            print_pair(out, v.field, v.value, &first);
    }
    (void)fputs(first ? "{}\n" : "}\n", out);
}

void print_plain(FILE *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        (void)putc(text.ptr[i] < 0x20 || text.ptr[i] == 0x7f ? '?' : text.ptr[i], out);
}
