/*
 * fanal copy: copies of the keys outside this machine, for `fanal erasures` to list until they have applied it.
 *   copy add|remove DIR NAME, copy applied DIR NAME POSITION, copy list DIR [--json]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/admin.h"
#include "cmd/json_row.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "cmd/secret.h"

static bool print_copy(void *context, struct span row)
{
    static const enum field always[] = { FIELD_NAME, FIELD_POSITION };
    const struct admin_options *o = context;

    if (o->json) {
        print_json_row(stdout, row, always, COUNT_OF(always));
        return true;
    }
    print_plain(stdout, fields_text(row, FIELD_NAME));
    (void)printf("\t%" PRIu64 "\n", fields_uint(row, FIELD_POSITION, 0));
    return true;
}

static bool list(struct local *l, struct admin_options *o, struct error *err)
{
    struct writer request = writer_new(256);
    bool ok;

    field_put_str(&request, FIELD_QUERY, "copies");
    ok = session_find(l->session, writer_span(&request), print_copy, o, err);
    writer_done(&request);
    return ok;
}

static bool put_position(const char *text, struct writer *request, struct error *err)
{
    char *end;
    unsigned long long position;

    errno = 0;
    position = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-')
        return error_set(err, ERR_USAGE, "%s is not a position", text);
    field_put_uint(request, FIELD_POSITION, position);
    return true;
}

static bool say(struct local *l, const struct admin_options *o, const char *fact, struct error *err)
{
    struct writer request;
    struct span reply;
    bool ok = admin_begin(o, fact, &request, err);

    field_put_str(&request, FIELD_NAME, o->arguments[1]);
    ok = ok && (o->argument_count < 3 || put_position(o->arguments[2], &request, err))
         && admin_change(l, &request, &reply, err);
    secret_wipe(&request);
    return ok;
}

static const struct {
    const char *name;
    size_t arguments;
    unsigned set;
    const char *fact; /* NULL: only asks */
} actions[] = {
    { "add", 2, ADMIN_SIGN, "copy-added" },
    { "applied", 3, ADMIN_SIGN, "copy-applied" },
    { "remove", 2, ADMIN_SIGN, "copy-removed" },
    { "list", 1, ADMIN_JSON, NULL },
};

int cmd_copy(int argc, char **argv)
{
    struct admin_options o;
    struct local l;
    struct error err = { 0 };
    size_t i = 0;
    bool ok;

    while (argc > 1 && i < COUNT_OF(actions) && strcmp(argv[1], actions[i].name) != 0)
        i++;
    if (argc < 2 || i == COUNT_OF(actions)) {
        (void)fprintf(stderr, "fanal copy: add, applied, remove or list; see fanal copy --help\n");
        return 2;
    }
    argv[1] = argv[0]; /* what follows parses as the command's own */
    if (!admin_parse(argc - 1, argv + 1, actions[i].arguments, actions[i].arguments, actions[i].set, &o))
        return 2;
    ok = local_open(&l, o.arguments[0], o.key_file, &err);
    ok = ok && (actions[i].fact == NULL ? list(&l, &o, &err) : say(&l, &o, actions[i].fact, &err));
    local_close(&l);
    return ok ? 0 : command_failed("copy", &err);
}
