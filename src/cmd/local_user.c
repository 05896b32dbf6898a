/*
 * fanal user: the accounts of people.
 *   user add DIR USER --role R [--name N] [--password-file F]
 *   user list DIR [--json]
 *   user password DIR USER [--password-file F]
 *   user disable DIR USER
 */
#include <stdio.h>
#include <string.h>

#include "cmd/admin.h"
#include "cmd/json_row.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "cmd/secret.h"

static const enum field columns[] = { FIELD_USER, FIELD_ROLE, FIELD_STATE, FIELD_DISPLAY_NAME };

static bool print_account(void *context, struct span row)
{
    const struct admin_options *o = context;

    if (o->json) {
        print_json_row(stdout, row, columns, COUNT_OF(columns));
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        if (i > 0)
            (void)putchar('\t');
        print_plain(stdout, fields_text(row, columns[i]));
    }
    (void)putchar('\n');
    return true;
}

static bool list(struct local *l, struct admin_options *o, struct error *err)
{
    struct writer request = writer_new(256);
    bool ok;

    field_put_str(&request, FIELD_QUERY, "accounts");
    ok = session_find(l->session, writer_span(&request), print_account, o, err);
    writer_done(&request);
    return ok;
}

static bool put_new_password(const struct admin_options *o, struct writer *request, struct error *err)
{
    struct writer password = writer_new(SECRET_BYTES_MAX);
    bool ok = secret_read_password(o->password_file, "Password of the account: ", true, &password, err);

    field_put_text(request, FIELD_PASSWORD, writer_span(&password));
    secret_wipe(&password);
    return ok;
}

static bool change_account(struct local *l, const struct admin_options *o, const char *fact, bool with_password,
                           struct error *err)
{
    struct writer request;
    struct span reply;
    bool ok = admin_begin(o, fact, &request, err);

    field_put_str(&request, FIELD_USER, o->arguments[1]);
    if (o->role != NULL)
        field_put_str(&request, FIELD_ROLE, o->role);
    if (o->name != NULL)
        field_put_str(&request, FIELD_DISPLAY_NAME, o->name);
    ok = ok && (!with_password || put_new_password(o, &request, err)) && admin_change(l, &request, &reply, err);
    secret_wipe(&request);
    return ok;
}

static const struct {
    const char *name;
    size_t arguments;
    unsigned set;
    const char *fact; /* NULL: only asks */
    bool with_password;
} actions[] = {
    { "add", 2, ADMIN_ACCOUNT, "account-added", true },
    { "list", 1, ADMIN_JSON, NULL, false },
    { "password", 2, ADMIN_ACCOUNT, "account-changed", true },
    { "disable", 2, 0, "account-disabled", false },
};

int cmd_user(int argc, char **argv)
{
    struct admin_options o;
    struct local l;
    struct error err = { 0 };
    size_t i = 0;
    bool ok;

    while (argc > 1 && i < COUNT_OF(actions) && strcmp(argv[1], actions[i].name) != 0)
        i++;
    if (argc < 2 || i == COUNT_OF(actions)) {
        (void)fprintf(stderr, "fanal user: add, list, password or disable; see fanal user --help\n");
        return 2;
    }
    argv[1] = argv[0]; /* what follows parses as the command's own */
    if (!admin_parse(argc - 1, argv + 1, actions[i].arguments, actions[i].arguments, actions[i].set, &o))
        return 2;
    if (actions[i].fact != NULL && strcmp(actions[i].name, "add") == 0 && o.role == NULL) {
        (void)fprintf(stderr, "fanal user: give a --role; see fanal user --help\n");
        return 2;
    }
    ok = local_open(&l, o.arguments[0], o.key_file, &err);
    ok = ok
         && (actions[i].fact == NULL ? list(&l, &o, &err)
                                     : change_account(&l, &o, actions[i].fact, actions[i].with_password, &err));
    local_close(&l);
    return ok ? 0 : command_failed("user", &err);
}
