/* fanal status, verify, rebuild. docs/cli.md is the specification. */
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/conf.h"
#include "cmd/json_row.h"
#include "cmd/kept.h"
#include "cmd/local.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "cmd/room/following.h"
#include "cmd/secret.h"
#include "cmd/status_anchors.h"
#include "vault/anchor_query.h"
#include "vault/twin.h"
#include "vault/vault.h"

/* One name and what it is: a line for people, a member for scripts. Names and values here are the vault's own. */
static void print_figure(bool json, bool *first, struct span name, const char *value, bool quoted)
{
    if (json)
        (void)printf("%s\"%.*s\": %s%s%s", *first ? "{" : ", ", (int)name.len, (const char *)name.ptr,
                     quoted ? "\"" : "", value, quoted ? "\"" : "");
    else
        (void)printf("%-20.*s %s\n", (int)name.len, (const char *)name.ptr, value);
    *first = false;
}

static void print_number(bool json, bool *first, struct span name, uint64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, number);
    print_figure(json, first, name, text, false);
}

/* state, position, count, digest (the tree head's root), and groups {name, count}: docs/views.md, "Status". */
static bool print_status(void *context, struct span row)
{
    const struct options *o = context;
    struct fields_reader r = fields_over(row);
    struct field_value v;
    char text[129];
    bool first = true;

    while (fields_next(&r, &v)) {
        const struct span name = span_str(field_name(v.field) != NULL ? field_name(v.field) : "?");

        if (v.field == FIELD_ROW)
            print_number(o->json, &first, fields_text(v.value, FIELD_NAME), fields_uint(v.value, FIELD_COUNT, 0));
        else if (field_type_of(v.field) == FIELD_TYPE_BYTES && v.value.len <= 64)
            print_figure(o->json, &first, name, sodium_bin2hex(text, sizeof text, v.value.ptr, v.value.len), true);
        else if (field_type_of(v.field) == FIELD_TYPE_UINT)
            print_number(o->json, &first, name, field_uint(v.value));
        else if (span_to_str(v.value, text, sizeof text))
            print_figure(o->json, &first, name, text, true);
    }
    if (o->json && first)
        (void)fputs("{\"state\": \"\"", stdout);
    return true;
}

/* [follow] alarm of dir/fanal.conf; what cannot be read is as if it said nothing. */
static unsigned alarm_of(const char *dir)
{
    struct writer text = writer_new(CONF_BYTES_MAX);
    unsigned minutes = CONF_TWIN_ALARM_DEFAULT;
    char path[PATH_MAX];
    struct conf conf;

    if (path_join(path, sizeof path, dir, "fanal.conf", NULL) && file_slurp(path, &text, NULL)
        && conf_parse(writer_span(&text), &conf, NULL)) {
        minutes = conf.following.alarm_minutes;
        conf_done(&conf);
    }
    writer_done(&text);
    return minutes;
}

/* A sealed twin, followed or not: when it took something last, or had everything. */
static void put_silence(const struct options *o, const struct twin_figures *f, uint64_t now, struct writer *row)
{
    uint64_t heard = f->current_us > f->round_us ? f->current_us : f->round_us;

    if (heard > 0 && following_is_silent(heard, now, alarm_of(o->arguments[0])))
        field_put_uint(row, FIELD_TWIN_SILENT, (now - heard) / 1000000);
}

/* A twin that nobody serves: what it knows of itself needs no secret. False where it is not that. */
static bool print_sealed_twin(const struct options *o, struct error *err)
{
    struct twin_figures figures;
    struct writer row = writer_new(4096);
    uint64_t now = clock_wall_us(&clock_system);
    struct vkey key;
    bool ok = twin_figures_of(o->arguments[0], &figures, err);

    if (ok) {
        follow_vkey(figures.vault_id, figures.public_key, &key);
        field_put_str(&row, FIELD_TWIN, key.name);
        field_put_uint(&row, FIELD_TWIN_POSITION, figures.size);
        field_put_uint(&row, FIELD_TWIN_SECONDS,
                       figures.current_us == 0 || now < figures.current_us ? 0 : (now - figures.current_us) / 1000000);
        field_put_uint(&row, FIELD_LATEST, figures.current_us);
        field_put_uint(&row, FIELD_WRITTEN, figures.written_us);
        field_put_uint(&row, FIELD_TWIN_APPLIED, figures.applied);
        field_put_uint(&row, FIELD_TWIN_MISSING, figures.missing);
        put_silence(o, &figures, now, &row);
        field_put_bytes(&row, FIELD_DIGEST, span_of(figures.root.bytes, HASH_BYTES));
        (void)print_status((void *)(uintptr_t)o, writer_span(&row));
        if (o->json)
            (void)fputs("}\n", stdout);
    }
    writer_done(&row);
    return ok;
}

int cmd_status(int argc, char **argv)
{
    struct options o;
    struct local l;
    struct error err = { 0 };
    struct writer request = writer_new(256);
    int fd = -1;
    bool ok;

    if (!options_parse(argc, argv, 1, OPTION_JSON, &o))
        return 2;
    field_put_str(&request, FIELD_QUERY, "status");
    if (twin_is_here(o.arguments[0]) && (fd = local_connect(o.arguments[0], &err)) < 0) {
        writer_done(&request);
        return print_sealed_twin(&o, &err) ? 0 : command_failed("status", &err);
    }
    if (fd >= 0)
        (void)close(fd);
    ok = local_open(&l, o.arguments[0], o.key_file, &err)
         && session_find(l.session, writer_span(&request), print_status, &o, &err)
         /* a twin has no anchors: its heads are its first's */
         && (twin_is_here(o.arguments[0]) || status_anchors(l.session, o.json, &err));
    if (ok && o.json)
        (void)fputs("}\n", stdout);
    local_close(&l);
    writer_done(&request);
    return ok ? 0 : command_failed("status", &err);
}

/* ---- verify ---- */

static void say_finding(void *context, const char *finding)
{
    (void)context;
    (void)puts(finding);
}

/* A finding; or, last, how many records were erased. */
static bool take_finding(void *context, struct span row)
{
    struct store_verified *done = context;
    struct span text = fields_text(row, FIELD_DETAIL);

    if (text.len == 0) {
        done->erased = fields_uint(row, FIELD_COUNT, 0);
        return true;
    }
    done->findings++;
    print_plain(stdout, text);
    (void)putchar('\n');
    return true;
}

/* What is verified beside the bytes: a checkpoint that was kept outside, and whether the log holds it. */
struct outside {
    struct kept kept;
    bool given, held;
};

static bool compare_row(void *context, struct span row)
{
    struct outside *o = context;
    char origin[NOTE_NAME_MAX + 1], verdict[32];
    struct vkey key = { .type = 0 };

    (void)span_to_str(fields_text(row, FIELD_ORIGIN), origin, sizeof origin);
    (void)span_to_str(fields_text(row, FIELD_STATE), verdict, sizeof verdict);
    (void)vkey_parse(fields_text(row, FIELD_VKEY), &key, NULL);
    o->held = kept_say(&o->kept, verdict, origin, fields_uint(row, FIELD_TREE_SIZE, 0), &key);
    return true;
}

static void put_comparison(const struct outside *o, struct writer *request)
{
    field_put_str(request, FIELD_QUERY, "checkpoint");
    field_put_uint(request, FIELD_TREE_SIZE, o->kept.size);
    field_put_bytes(request, FIELD_TREE_ROOT, span_of(o->kept.root, sizeof o->kept.root));
}

static bool verify_served(int fd, struct outside *o, struct store_verified *done, struct error *err)
{
    struct session *s = session_attach(fd, err);
    struct writer request = writer_new(256);
    bool ok = s != NULL;

    if (ok && o->given) {
        put_comparison(o, &request);
        ok = session_find(s, writer_span(&request), compare_row, o, err);
    }
    writer_reset(&request);
    field_put_str(&request, FIELD_QUERY, "verify");
    ok = ok && session_find(s, writer_span(&request), take_finding, done, err);
    writer_done(&request);
    session_free(s);
    return ok;
}

static bool compare_alone(struct store *store, struct outside *o, struct error *err)
{
    struct writer request = writer_new(256);
    bool ok;

    put_comparison(o, &request);
    ok = !o->given || anchor_query(store, writer_span(&request), compare_row, o, err);
    writer_done(&request);
    return ok;
}

static bool verify_alone(const char *dir, const char *key_file, struct outside *o, struct store_verified *done,
                         struct error *err)
{
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    struct vault_options options;
    struct store *store = NULL;
    bool ok = local_options(dir, key_file, &options, &secret, err);

    options.store.read_only = true;
    if (ok)
        store = store_open(dir, &options.store, err);
    ok = store != NULL && compare_alone(store, o, err) && store_verify_counted(store, say_finding, NULL, done, err);
    if (store != NULL)
        store_close(store);
    secret_wipe(&secret);
    return ok;
}

int cmd_verify(int argc, char **argv)
{
    struct options o;
    struct outside outside = { .held = true };
    struct error err = { 0 };
    struct store_verified done = { 0 };
    bool ok;
    int fd;

    if (!options_parse(argc, argv, 1, OPTION_PAPER, &o))
        return 2;
    outside.given = o.paper != NULL;
    if (sodium_init() < 0 || (outside.given && !kept_read(o.paper, &outside.kept, &err)))
        return command_failed("verify", &err);
    fd = local_connect(o.arguments[0], &err);
    ok = fd >= 0 ? verify_served(fd, &outside, &done, &err)
                 : verify_alone(o.arguments[0], o.key_file, &outside, &done, &err);
    kept_done(&outside.kept);
    if (!ok && err.code == ERR_DAMAGED) { /* too damaged to be opened is a finding, too */
        (void)puts(err.text);
        return 1;
    }
    if (!ok)
        return command_failed("verify", &err);
    if (done.erased > 0)
        (void)printf("%" PRIu64 " records were erased: their contents cannot be read, the rest of them is verified\n",
                     done.erased);
    if (done.findings == 0)
        (void)puts("nothing is damaged");
    return done.findings == 0 && outside.held ? 0 : 1;
}

/* ---- rebuild ---- */

int cmd_rebuild(int argc, char **argv)
{
    struct options o;
    struct error err = { 0 };
    struct vault_options options;
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    int fd;
    bool ok;

    if (!options_parse(argc, argv, 1, 0, &o))
        return 2;
    fd = local_connect(o.arguments[0], &err);
    if (fd >= 0) {
        (void)close(fd);
        (void)error_set(&err, ERR_BUSY, "fanal serve has %s: stop it first", o.arguments[0]);
        return command_failed("rebuild", &err);
    }
    ok = local_options(o.arguments[0], o.key_file, &options, &secret, &err)
         && vault_rebuild(o.arguments[0], &options, &err);
    secret_wipe(&secret);
    return ok ? 0 : command_failed("rebuild", &err);
}
