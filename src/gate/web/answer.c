/* Answers in JSON, errors among them. See gate.h and docs/web-api.md. */
#include "gate/web/gate.h"
#include "gate/web/json_out.h"

struct json call_json(struct call *c, unsigned status)
{
    c->answer->status = status;
    http_answer_header(c->answer, "Content-Type", "application/json");
    http_answer_header(c->answer, "Cache-Control", "no-store");
    return json_into(&c->answer->body);
}

void answer_error(struct http_answer *a, unsigned status, const char *code, const char *text)
{
    struct json j;

    writer_reset(&a->body);
    a->header_count = 0;
    a->status = status;
    http_answer_header(a, "Content-Type", "application/json");
    http_answer_header(a, "Cache-Control", "no-store");
    j = json_into(&a->body);
    json_begin(&j, '{');
    json_key(&j, "error");
    json_text(&j, span_str(code));
    json_key(&j, "text");
    json_text(&j, span_str(text));
    json_end(&j, '}');
}

static unsigned status_of(enum error_code code)
{
    switch (code) {
    case ERR_TRUNCATED:
    case ERR_MALFORMED:
    case ERR_USAGE:
    case ERR_EXISTS:
        return 400;
    case ERR_REFUSED:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_ERASED:
    case ERR_EXPIRED:
        return 410;
    case ERR_LIMIT:
        return 413;
    case ERR_UNSUPPORTED:
        return 415;
    case ERR_TIMEOUT:
    case ERR_CLOSED:
    case ERR_BUSY:
    case ERR_SEALED:
    case ERR_MEMORY: /* a want of ours (error_is_want): the same may work a moment later */
    case ERR_IO:
        return 503;
    case ERR_NO_SPACE: /* RFC 4918 §11.5: Insufficient Storage */
        return 507;
    case ERR_NONE:
    case ERR_DAMAGED:
        break;
    }
    return 500;
}

void call_fail(struct call *c, const struct error *err)
{
    answer_error(c->answer, status_of(err->code), error_name(err->code), err->text);
}

struct span call_text(const struct call *c, const char *name)
{
    const char *value = http_query(c->request, name);

    return value != NULL ? span_str(value) : span_of(NULL, 0);
}

bool number_of(struct span digits, uint64_t *out)
{
    uint64_t v = 0;

    if (digits.len == 0 || digits.len > 19)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        v = v * 10 + (digits.ptr[i] - '0');
    }
    *out = v;
    return true;
}

uint64_t call_number(const struct call *c, const char *name, uint64_t fallback)
{
    uint64_t v;

    return number_of(call_text(c, name), &v) ? v : fallback;
}
