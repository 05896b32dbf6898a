/*
 * One line a fact, without patients:
 *   2026-11-23T19:18:24.123456Z info association.accepted assoc=8f21 calling_ae=CT1 contexts=4
 *
 * Event names are stable and listed in docs/log-events.md. Values are escaped, so a peer cannot forge
 * a line. What identifies a patient travels as struct phi, which has no f_…() constructor. Codecs
 * never log: the process that decides what to do logs, once.
 */
#ifndef FANAL_BASE_LOG_H
#define FANAL_BASE_LOG_H

#include "base/clock.h"
#include "base/error.h"
#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log {
    int fd;                    /* lines go here with one write(2) each; -1: nowhere */
    enum log_level least;      /* below it nothing is written */
    const struct clock *clock; /* borrowed */
    const char *process;       /* role name, shown as process=…; borrowed; NULL: not shown */
};

/* A value that identifies a patient. On purpose there is no way from here to a log field. */
struct phi {
    struct span text;
};

struct log_field {
    const char *name; /* NULL ends a list */
    enum { LOG_FIELD_TEXT, LOG_FIELD_UINT, LOG_FIELD_INT } kind;
    struct span text;
    uint64_t number;
};

static inline struct log_field f_span(const char *name, struct span value)
{
    return (struct log_field){ .name = name, .kind = LOG_FIELD_TEXT, .text = value };
}

static inline struct log_field f_str(const char *name, const char *value)
{
    return f_span(name, span_str(value));
}

static inline struct log_field f_uint(const char *name, uint64_t value)
{
    return (struct log_field){ .name = name, .kind = LOG_FIELD_UINT, .number = value };
}

static inline struct log_field f_int(const char *name, int64_t value)
{
    return (struct log_field){ .name = name, .kind = LOG_FIELD_INT, .number = (uint64_t)value };
}

/* error=<code name> is written by the level calls below from the code; the text goes here. */
static inline struct log_field f_err(const struct error *err)
{
    return f_str("error", err->text);
}

/* Writes a line; fields end with one whose name is NULL. Longer than LOG_LINE_MAX is cut with "…". */
void log_write(const struct log *log, enum log_level level, const char *event, const struct log_field *fields);

#define LOG_LINE_MAX 1000

#define LOG_FIELDS(...) ((const struct log_field[]){ __VA_ARGS__ __VA_OPT__(,) { .name = NULL } })
#define log_debug(log, event, ...) log_write(log, LOG_DEBUG, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(log, event, ...) log_write(log, LOG_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_warn(log, event, ...) log_write(log, LOG_WARN, event, LOG_FIELDS(__VA_ARGS__))
#define log_error(log, event, ...) log_write(log, LOG_ERROR, event, LOG_FIELDS(__VA_ARGS__))

#endif
