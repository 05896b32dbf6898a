/* Error values. See error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [ERR_NONE] = "none",           [ERR_TRUNCATED] = "truncated", [ERR_MALFORMED] = "malformed",
    [ERR_LIMIT] = "limit",         [ERR_UNSUPPORTED] = "unsupported",
    [ERR_REFUSED] = "refused",     [ERR_NOT_FOUND] = "not-found", [ERR_EXISTS] = "exists",
    [ERR_DAMAGED] = "damaged",     [ERR_NO_SPACE] = "no-space",   [ERR_MEMORY] = "memory",
    [ERR_IO] = "io",               [ERR_TIMEOUT] = "timeout",     [ERR_CLOSED] = "closed",
    [ERR_BUSY] = "busy",           [ERR_USAGE] = "usage",         [ERR_SEALED] = "sealed",
    [ERR_ERASED] = "erased",       [ERR_EXPIRED] = "expired",
};

const char *error_name(enum error_code code)
{
    return (size_t)code < sizeof names / sizeof names[0] ? names[code] : "unknown";
}

bool error_is_want(enum error_code code)
{
    return code == ERR_MEMORY || code == ERR_IO || code == ERR_TIMEOUT || code == ERR_BUSY;
}

bool error_set(struct error *err, enum error_code code, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return false;
    err->code = code;
    va_start(args, format);
    (void)vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return false;
}

static enum error_code code_of_errno(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOMEM:
        return ERR_MEMORY;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EPIPE:
    case ECONNRESET:
        return ERR_CLOSED;
    case EAGAIN:
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_IO;
    }
}

bool error_errno(struct error *err, const char *format, ...)
{
    int e = errno;
    va_list args;
    int n;

    if (err == NULL)
        return false;
    err->code = code_of_errno(e);
    va_start(args, format);
    n = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof err->text)
        (void)snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(e));
    return false;
}

bool error_within(struct error *err, const char *format, ...)
{
    char where[ERROR_TEXT_MAX];
    char what[ERROR_TEXT_MAX];
    va_list args;

    if (err == NULL)
        return false;
    va_start(args, format);
    (void)vsnprintf(where, sizeof where, format, args);
    va_end(args);
    memcpy(what, err->text, sizeof what);
    (void)snprintf(err->text, sizeof err->text, "%.110s: %.127s", where, what);
    return false;
}
