/* Log lines. See log.h. */
#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static const char *const level_names[] = { "debug", "info", "warn", "error" };

struct line {
    char text[LOG_LINE_MAX + 8]; /* room for the mark of a cut and the newline */
    size_t len;
    bool cut;
};

static void put(struct line *l, const char *s, size_t n)
{
    if (l->cut || n > LOG_LINE_MAX - l->len) {
        l->cut = true;
        return;
    }
    memcpy(l->text + l->len, s, n);
    l->len += n;
}

static void put_str(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

static bool is_plain(uint8_t b)
{
    return b > 0x20 && b < 0x7f && b != '"' && b != '\\' && b != '=';
}

/* Anything but printable ASCII is \xNN, so that one value stays one word of one line. */
static void put_value(struct line *l, struct span v)
{
    static const char hex[] = "0123456789abcdef";
    bool quote = v.len == 0;

    for (size_t i = 0; i < v.len && !quote; i++)
        quote = !is_plain(v.ptr[i]);
    if (!quote) {
        put(l, (const char *)v.ptr, v.len);
        return;
    }
    put_str(l, "\"");
    for (size_t i = 0; i < v.len && !l->cut; i++) {
        uint8_t b = v.ptr[i];
        char escaped[4] = { '\\', 'x', hex[b >> 4], hex[b & 15] };

        if (is_plain(b) || b == ' ' || b == '=')
            put(l, (const char *)&v.ptr[i], 1);
        else
            put(l, escaped, sizeof escaped);
    }
    put_str(l, "\"");
}

static void put_field(struct line *l, const struct log_field *f)
{
    char number[24];

    put_str(l, " ");
    put_str(l, f->name);
    put_str(l, "=");
    switch (f->kind) {
    case LOG_FIELD_TEXT:
        put_value(l, f->text);
        return;
    case LOG_FIELD_UINT:
        (void)snprintf(number, sizeof number, "%" PRIu64, f->number);
        break;
    case LOG_FIELD_INT:
        (void)snprintf(number, sizeof number, "%" PRId64, (int64_t)f->number);
        break;
    }
    put_str(l, number);
}

void log_write(const struct log *log, enum log_level level, const char *event, const struct log_field *fields)
{
    struct line l = { .len = 0 };
    char time[CLOCK_RFC3339_SIZE];
    ssize_t ignored;

    if (log == NULL || log->fd < 0 || level < log->least)
        return;
    put_str(&l, clock_rfc3339(clock_wall_us(log->clock), time));
    put_str(&l, " ");
    put_str(&l, level_names[level]);
    put_str(&l, " ");
    put_str(&l, event);
    if (log->process != NULL)
        put_field(&l, &(struct log_field){ .name = "process", .kind = LOG_FIELD_TEXT, .text = span_str(log->process) });
    for (const struct log_field *f = fields; f->name != NULL; f++)
        put_field(&l, f);
    if (l.cut) {
        memcpy(l.text + l.len, "\xe2\x80\xa6", 3);
        l.len += 3;
    }
    l.text[l.len++] = '\n';
    ignored = write(log->fd, l.text, l.len); /* nobody to tell when the log itself cannot be written */
    (void)ignored;
}
