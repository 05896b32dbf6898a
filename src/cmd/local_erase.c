/*
 * What two people do, and what one may: erase, approve, withdraw, erasures, hold, lift, holds, retain, expire.
 * docs/cli.md is the specification.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "cmd/admin.h"
#include "cmd/json_row.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "cmd/secret.h"
#include "vault/retention.h"

/* One row as a line: the fields named, numbers and texts. */
static void print_fields(struct span row, const enum field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            (void)putchar('\t');
        if (field_type_of(fields[i]) == FIELD_TYPE_UINT)
            (void)printf("%" PRIu64, fields_uint(row, fields[i], 0));
        else
            print_plain(stdout, fields_text(row, fields[i]));
    }
    (void)putchar('\n');
}

struct listing {
    bool json;
    const enum field *fields;
    size_t count;
};

static bool print_row(void *context, struct span row)
{
    const struct listing *l = context;

    if (l->json)
        print_json_row(stdout, row, NULL, 0);
    else
        print_fields(row, l->fields, l->count);
    return true;
}

static bool list_query(struct local *l, const char *query, enum field by, uint64_t number, struct listing *how,
                       struct error *err)
{
    struct writer request = writer_new(256);
    bool ok;

    field_put_str(&request, FIELD_QUERY, query);
    field_put_uint(&request, FIELD_NOW, clock_wall_us(&clock_system)); /* which back-ups have expired */
    if (by != FIELD_NONE)
        field_put_uint(&request, by, number);
    ok = session_find(l->session, writer_span(&request), print_row, how, err);
    writer_done(&request);
    return ok;
}

/* What a request or hold covers: a line a unit. */
static bool print_units(struct local *l, enum field by, uint64_t number, bool json, struct error *err)
{
    static const enum field fields[] = { FIELD_UNIT, FIELD_COUNT, FIELD_OTHER_COUNT, FIELD_ISSUER, FIELD_PATIENT_ID,
                                         FIELD_PATIENT_NAME, FIELD_STATE };
    struct listing how = { json, fields, COUNT_OF(fields) };

    return list_query(l, "erasure-units", by, number, &how, err);
}

static void put_selection(struct writer *request, const struct admin_options *o)
{
    if (o->study != NULL)
        field_put_str(request, FIELD_STUDY_UID, o->study);
    if (o->unit != NULL)
        field_put_str(request, FIELD_UNIT, o->unit);
    if (o->patient != NULL) {
        field_put_str(request, FIELD_ISSUER, o->issuer);
        field_put_str(request, FIELD_PATIENT_ID, o->patient);
    }
}

static bool parse_number(const char *text, uint64_t *out, struct error *err)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return (errno == 0 && end != text && *end == '\0' && text[0] != '-')
           || error_set(err, ERR_USAGE, "%s is not a number", text);
}

/* A change of one fact, with what `put` adds; *number (of by) comes from the answer. */
static bool change_one(struct local *l, const struct admin_options *o, const char *fact, enum field number_field,
                       uint64_t number, enum field by, uint64_t *answer, struct span *reply, struct error *err)
{
    struct writer request;
    bool ok = admin_begin(o, fact, &request, err);

    put_selection(&request, o);
    if (number_field != FIELD_NONE)
        field_put_uint(&request, number_field, number);
    ok = ok && admin_change(l, &request, reply, err);
    if (ok && answer != NULL)
        *answer = fields_uint(*reply, by, 0);
    secret_wipe(&request);
    return ok;
}

static int finish(struct local *l, const char *command, bool ok, const struct error *err)
{
    local_close(l);
    return ok ? 0 : command_failed(command, err);
}

static bool needs_user(const struct admin_options *o, struct error *err)
{
    return o->user != NULL || error_set(err, ERR_USAGE, "give the --user who signs");
}

/* Erasure or hold: asks for `fact` on what was selected, and prints its number (the field `by`, called so) and units. */
static bool ask_on_selected(struct local *l, const struct admin_options *o, const char *fact, enum field by,
                            const char *called, struct error *err)
{
    struct span reply;
    uint64_t number;

    if (!local_open(l, o->arguments[0], o->key_file, err)
        || !change_one(l, o, fact, FIELD_NONE, 0, by, &number, &reply, err))
        return false;
    if (o->json)
        (void)printf("{\"%s\": %" PRIu64 "}\n", called, number);
    else
        (void)printf("%s %" PRIu64 "\n", called, number);
    return print_units(l, by, number, o->json, err);
}

/* Ends what its number names (DIR NUMBER): `fact`, which must be signed. *reply borrows until the session's next call. */
static bool end_numbered(struct local *l, const struct admin_options *o, const char *fact, enum field by,
                         uint64_t *number, struct span *reply, struct error *err)
{
    return needs_user(o, err) && parse_number(o->arguments[1], number, err)
           && local_open(l, o->arguments[0], o->key_file, err)
           && change_one(l, o, fact, by, *number, FIELD_NONE, NULL, reply, err);
}

int cmd_erase(int argc, char **argv)
{
    struct admin_options o;
    struct local l = { .session = NULL };
    struct error err = { 0 };
    bool ok;

    if (!admin_parse(argc, argv, 1, 1, ADMIN_JSON | ADMIN_SIGN | ADMIN_SELECT | ADMIN_REASON, &o))
        return 2;
    ok = needs_user(&o, &err) && ask_on_selected(&l, &o, "erasure-requested", FIELD_REQUEST, "request", &err);
    return finish(&l, "erase", ok, &err);
}

int cmd_approve(int argc, char **argv)
{
    struct admin_options o;
    struct local l = { .session = NULL };
    struct error err = { 0 };
    struct span reply;
    uint64_t number = 0, units = 0;
    bool ok;

    if (!admin_parse(argc, argv, 2, 2, ADMIN_JSON | ADMIN_SIGN, &o))
        return 2;
    ok = needs_user(&o, &err) && parse_number(o.arguments[1], &number, &err)
         && local_open(&l, o.arguments[0], o.key_file, &err) && print_units(&l, FIELD_REQUEST, number, o.json, &err)
         && change_one(&l, &o, "erasure-approved", FIELD_REQUEST, number, FIELD_COUNT, &units, &reply, &err);
    if (ok)
        (void)printf(o.json ? "{\"request\": %" PRIu64 ", \"erased\": %" PRIu64 "}\n"
                            : "request %" PRIu64 ": %" PRIu64 " units erased\n",
                     number, units);
    return finish(&l, "approve", ok, &err);
}

int cmd_withdraw(int argc, char **argv)
{
    struct admin_options o;
    struct local l = { .session = NULL };
    struct error err = { 0 };
    struct span reply;
    uint64_t number = 0;
    bool ok;

    if (!admin_parse(argc, argv, 2, 2, ADMIN_SIGN, &o))
        return 2;
    ok = end_numbered(&l, &o, "erasure-withdrawn", FIELD_REQUEST, &number, &reply, &err);
    return finish(&l, "withdraw", ok, &err);
}

static int list_all(int argc, char **argv, const char *command, const char *query, const enum field *fields, size_t count)
{
    struct admin_options o;
    struct local l = { .session = NULL };
    struct error err = { 0 };
    struct listing how;
    bool ok;

    if (!admin_parse(argc, argv, 1, 1, ADMIN_JSON, &o))
        return 2;
    how = (struct listing){ o.json, fields, count };
    ok = local_open(&l, o.arguments[0], o.key_file, &err) && list_query(&l, query, FIELD_NONE, 0, &how, &err);
    return finish(&l, command, ok, &err);
}

int cmd_erasures(int argc, char **argv)
{
    static const enum field fields[] = { FIELD_REQUEST, FIELD_STATE, FIELD_COUNT, FIELD_ACTOR, FIELD_APPROVED_BY,
                                         FIELD_REASON,  FIELD_PENDING };

    return list_all(argc, argv, "erasures", "erasures", fields, COUNT_OF(fields));
}

int cmd_hold(int argc, char **argv)
{
    struct admin_options o;
    struct local l = { .session = NULL };
    struct error err = { 0 };
    bool ok;

    if (!admin_parse(argc, argv, 1, 1, ADMIN_JSON | ADMIN_SIGN | ADMIN_SELECT | ADMIN_REASON, &o))
        return 2;
    ok = ask_on_selected(&l, &o, "hold-set", FIELD_HOLD, "hold", &err);
    return finish(&l, "hold", ok, &err);
}

int cmd_lift(int argc, char **argv)
{
    struct admin_options o;
    struct local l = { .session = NULL };
    struct error err = { 0 };
    struct span reply;
    uint64_t number = 0;
    bool ok;

    if (!admin_parse(argc, argv, 2, 2, ADMIN_SIGN, &o))
        return 2;
    ok = end_numbered(&l, &o, "hold-lifted", FIELD_HOLD, &number, &reply, &err);
    if (ok) {
        (void)printf("hold %" PRIu64 ": ", number);
        print_plain(stdout, fields_text(reply, FIELD_STATE));
        (void)putchar('\n');
    }
    return finish(&l, "lift", ok, &err);
}

int cmd_holds(int argc, char **argv)
{
    static const enum field fields[] = { FIELD_HOLD, FIELD_STATE, FIELD_COUNT, FIELD_ACTOR, FIELD_APPROVED_BY,
                                         FIELD_REASON };

    return list_all(argc, argv, "holds", "holds", fields, COUNT_OF(fields));
}

/* "N months", "N years", "always", "usual" (of recordings). */
static bool parse_period(const struct admin_options *o, uint64_t *months, struct error *err)
{
    char *end;
    uint64_t n;

    *months = 0;
    if (strcmp(o->keep, "always") == 0)
        return true;
    if (strcmp(o->keep, "usual") == 0 && strcmp(o->class, "recordings") == 0) {
        *months = RETENTION_RECORDINGS_MONTHS;
        return true;
    }
    errno = 0;
    n = strtoull(o->keep, &end, 10);
    if (errno != 0 || end == o->keep || o->keep[0] == '-' || n == 0 || n > RETENTION_MONTHS_MAX)
        return error_set(err, ERR_USAGE, "--keep takes 'N months', 'N years' or always");
    if (strcmp(end, " month") == 0 || strcmp(end, " months") == 0)
        *months = n;
    else if (strcmp(end, " year") == 0 || strcmp(end, " years") == 0)
        *months = n * 12;
    else
        return error_set(err, ERR_USAGE, "--keep takes 'N months', 'N years' or always");
    return true;
}

/* A rule, or the approval of one. */
static bool retain(struct local *l, const struct admin_options *o, uint64_t number, struct error *err)
{
    struct writer request;
    struct span reply;
    uint64_t months = 0;
    bool ok;

    if (number == 0 && !parse_period(o, &months, err))
        return false;
    ok = admin_begin(o, number != 0 ? "retention-set" : "retention-asked", &request, err);
    if (number != 0) {
        field_put_uint(&request, FIELD_REQUEST, number);
    } else {
        field_put_str(&request, FIELD_CLASS, o->class);
        field_put_uint(&request, FIELD_MONTHS, months);
    }
    ok = ok && admin_change(l, &request, &reply, err);
    if (ok && fields_uint(reply, FIELD_REQUEST, 0) != 0)
        (void)printf(o->json ? "{\"request\": %" PRIu64 "}\n" : "request %" PRIu64 ": another person has to approve it\n",
                     fields_uint(reply, FIELD_REQUEST, 0));
    secret_wipe(&request);
    return ok;
}

int cmd_retain(int argc, char **argv)
{
    static const enum field fields[] = { FIELD_CLASS, FIELD_MONTHS, FIELD_ACTOR, FIELD_APPROVED_BY, FIELD_REQUEST,
                                         FIELD_ASKED_MONTHS };
    struct admin_options o;
    struct local l = { .session = NULL };
    struct error err = { 0 };
    struct listing how;
    uint64_t number = 0;
    bool ok, sets;

    if (!admin_parse(argc, argv, 1, 2, ADMIN_JSON | ADMIN_SIGN | ADMIN_RETENTION, &o))
        return 2;
    how = (struct listing){ o.json, fields, COUNT_OF(fields) };
    sets = o.class != NULL || o.keep != NULL;
    ok = o.argument_count < 2
         || (parse_number(o.arguments[1], &number, &err)
             && (number != 0 || error_set(&err, ERR_USAGE, "0 is the number of no request")));
    if (ok && ((o.class == NULL) != (o.keep == NULL) || (sets && number != 0)))
        ok = error_set(&err, ERR_USAGE, "give --class and --keep, or the number of a request");
    ok = ok && (!(sets || number != 0) || needs_user(&o, &err)) && local_open(&l, o.arguments[0], o.key_file, &err);
    if (sets || number != 0)
        ok = ok && retain(&l, &o, number, &err);
    else
        ok = ok && list_query(&l, "retention", FIELD_NONE, 0, &how, &err);
    return finish(&l, "retain", ok, &err);
}

static void print_day(const char *before, uint64_t us)
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm = { 0 };
    char text[32];

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(text, sizeof text, "%Y-%m-%d", &tm);
    (void)printf("%s%s", before, text);
}

static void print_plan(struct span reply, bool json)
{
    uint64_t units = fields_uint(reply, FIELD_COUNT, 0), records = fields_uint(reply, FIELD_RECORDS, 0);
    uint64_t left_out = fields_uint(reply, FIELD_LEFT_OUT, 0);
    uint64_t oldest = fields_uint(reply, FIELD_OLDEST, 0), newest = fields_uint(reply, FIELD_NEWEST, 0);

    if (json) {
        (void)printf("{\"units\": %" PRIu64 ", \"records\": %" PRIu64 ", \"left_out\": %" PRIu64 ", \"oldest\": %" PRIu64
                     ", \"newest\": %" PRIu64 "}\n", units, records, left_out, oldest, newest);
        return;
    }
    (void)printf("%" PRIu64 " units of %" PRIu64 " records would be erased", units, records);
    if (units > 0) {
        print_day(", received from ", oldest);
        print_day(" to ", newest);
    }
    (void)printf("; %" PRIu64 " more are on hold or for another day\n", left_out);
}

/* What --plan would do, with the rule of --class and --keep as if it were in force. */
static bool plan(struct local *l, const struct admin_options *o, struct error *err)
{
    struct writer request;
    struct span reply;
    uint64_t months = 0;
    bool ok = (o->class == NULL || parse_period(o, &months, err)) && admin_begin(o, "retention-planned", &request, err);

    if (!ok)
        return false;
    if (o->class != NULL) {
        field_put_str(&request, FIELD_CLASS, o->class);
        field_put_uint(&request, FIELD_MONTHS, months);
    }
    ok = admin_change(l, &request, &reply, err);
    if (ok)
        print_plan(reply, o->json);
    secret_wipe(&request);
    return ok;
}

int cmd_expire(int argc, char **argv)
{
    struct admin_options o;
    struct local l = { .session = NULL };
    struct error err = { 0 };
    struct writer request;
    struct span reply;
    bool ok;

    if (!admin_parse(argc, argv, 1, 1, ADMIN_JSON | ADMIN_SIGN | ADMIN_RETENTION | ADMIN_PLAN, &o))
        return 2;
    if ((o.class == NULL) != (o.keep == NULL) || (o.class != NULL && !o.plan)) {
        (void)error_set(&err, ERR_USAGE, "--class and --keep belong together, and to --plan");
        return finish(&l, "expire", false, &err);
    }
    if (!local_open(&l, o.arguments[0], o.key_file, &err))
        return finish(&l, "expire", false, &err);
    if (o.plan)
        return finish(&l, "expire", plan(&l, &o, &err), &err);
    ok = admin_begin(&o, "retention-run", &request, &err) && admin_change(&l, &request, &reply, &err);
    if (ok)
        (void)printf(o.json ? "{\"units\": %" PRIu64 ", \"files\": %" PRIu64 "}\n"
                            : "%" PRIu64 " units erased, %" PRIu64 " files removed\n",
                     fields_uint(reply, FIELD_COUNT, 0), fields_uint(reply, FIELD_FILES, 0));
    secret_wipe(&request);
    return finish(&l, "expire", ok, &err);
}
