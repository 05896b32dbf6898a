/* Who is there: start, enrolment, signing in and out (docs/web-api.md). */
#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "gate/web/gate.h"
#include "gate/web/json_out.h"

#define STATUS_ANSWER_MS 10000
#define RETRY_AFTER_S    30 /* where the vault does not say how long */

/* The vault's status says whether the first account exists; asked until it does. */
static bool is_enrolled(struct gate *g)
{
    CLEANUP(writer_done) struct writer row = writer_new(CHANNEL_MESSAGE_MAX);
    struct error err;

    if (!atomic_load(&g->enrolled) && gate_find_own(g, "status", STATUS_ANSWER_MS, &row, &err)
        && span_equal(fields_text(writer_span(&row), FIELD_STATE), SPAN_LIT("enrolled")))
        atomic_store(&g->enrolled, true);
    return atomic_load(&g->enrolled);
}

bool handle_start(struct call *c, struct error *err)
{
    bool signed_in = call_sign_in_by_cookie(c, err);
    struct json j = call_json(c, 200);

    json_begin(&j, '{');
    json_key(&j, "enrolled");
    json_bool(&j, is_enrolled(c->gate));
    json_key(&j, "signed_in");
    json_bool(&j, signed_in);
    if (signed_in) {
        json_key(&j, "user");
        json_text(&j, span_str(c->connection->user));
        json_key(&j, "display_name");
        json_text(&j, span_str(c->connection->display_name));
        json_key(&j, "role");
        json_text(&j, span_str(c->connection->role));
    }
    json_key(&j, "version");
    json_text(&j, span_str(c->gate->version));
    json_key(&j, "time");
    json_uint(&j, clock_wall_us(c->gate->clock));
    json_end(&j, '}');
    return true;
}

/* The members of a JSON object that are named by `wanted`, as fields; each must be a text. */
static bool read_body(struct call *c, const enum field *wanted, struct writer *who, struct error *err)
{
    struct span body = http_body(c->request);
    json_error_t where;
    json_t *root = json_loadb((const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, &where);
    bool ok = json_is_object(root);

    for (; ok && *wanted != FIELD_NONE; wanted++) {
        json_t *value = json_object_get(root, field_name(*wanted));

        ok = json_is_string(value);
        if (ok)
            field_put_text(who, *wanted, span_of(json_string_value(value), json_string_length(value)));
    }
    json_decref(root);
    if (!ok)
        return error_set(err, ERR_MALFORMED, "the body is not the JSON object that belongs here");
    return writer_ok(who, err, "request");
}

static void set_cookie(struct call *c)
{
    struct span token = connection_token(c->connection);
    char hex[2 * TOKEN_BYTES_MAX + 1] = "";

    for (size_t i = 0; i < token.len; i++)
        (void)snprintf(&hex[2 * i], 3, "%02x", token.ptr[i]);
    http_answer_header(c->answer, "Set-Cookie", COOKIE_NAME "=%s; Path=/; Secure; HttpOnly; SameSite=Strict", hex);
    explicit_bzero(hex, sizeof hex);
}

/* Wrong ones are 401, too many of them 429; nothing tells a wrong name from a wrong password. */
static bool admit(struct call *c, const enum field *wanted, struct error *err)
{
    CLEANUP(writer_done) struct writer who = writer_new(REQUEST_BYTES_MAX);
    struct span reply;
    struct json j;
    bool ok;

    if (!read_body(c, wanted, &who, err))
        return false;
    ok = connection_admit(c->connection, writer_span(&who), &reply, err);
    explicit_bzero(who.ptr, who.len);
    if (!ok && err->code == ERR_REFUSED) {
        answer_error(c->answer, 401, "refused", "these are not right");
        return true;
    }
    if (!ok && err->code == ERR_BUSY) {
        answer_error(c->answer, 429, "busy", "too many tries: wait");
        http_answer_header(c->answer, "Retry-After", "%u",
                           c->connection->retry_after_s > 0 ? c->connection->retry_after_s : RETRY_AFTER_S);
        return true;
    }
    if (!ok)
        return false;
    atomic_store(&c->gate->enrolled, true);
    j = call_json(c, 200);
    json_begin(&j, '{');
    json_key(&j, "display_name");
    json_text(&j, fields_text(reply, FIELD_DISPLAY_NAME));
    json_key(&j, "role");
    json_text(&j, fields_text(reply, FIELD_ROLE));
    json_end(&j, '}');
    set_cookie(c);
    return true;
}

bool handle_sign_in(struct call *c, struct error *err)
{
    static const enum field wanted[] = { FIELD_USER, FIELD_PASSWORD, FIELD_NONE };

    return admit(c, wanted, err);
}

bool handle_enrol(struct call *c, struct error *err)
{
    static const enum field wanted[] = { FIELD_ENROLMENT_CODE, FIELD_USER, FIELD_DISPLAY_NAME, FIELD_PASSWORD,
                                         FIELD_NONE };

    return admit(c, wanted, err);
}

bool handle_sign_out(struct call *c, struct error *err)
{
    CLEANUP(writer_done) struct writer request = call_request(c);
    struct span reply;

    field_put_str(&request, FIELD_EVENT, "sign-out");
    if (!writer_ok(&request, err, "request")
        || !session_call(c->connection->session, VERB_TELL, writer_span(&request), &reply, err))
        return false;
    connection_forget(c->connection);
    c->answer->status = 204;
    http_answer_header(c->answer, "Cache-Control", "no-store");
    http_answer_header(c->answer, "Set-Cookie", COOKIE_NAME "=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0");
    return true;
}
