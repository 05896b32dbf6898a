/* Options and requests of the commands that change something. See admin.h. */
#include "cmd/admin.h"

#include <getopt.h>
#include <stdio.h>

#include "cmd/options.h"
#include "cmd/secret.h"

#define REQUEST_BYTES_MAX ((size_t)16 * 1024)

enum { OPT_KEY_FILE = 1, OPT_JSON, OPT_USER, OPT_PASSWORD_FILE, OPT_ROLE, OPT_NAME, OPT_STUDY, OPT_PATIENT, OPT_UNIT,
       OPT_REASON, OPT_CLASS, OPT_KEEP, OPT_PLAN };

static const struct option known[] = {
    { "key-file", required_argument, NULL, OPT_KEY_FILE }, { "json", no_argument, NULL, OPT_JSON },
    { "user", required_argument, NULL, OPT_USER },         { "password-file", required_argument, NULL, OPT_PASSWORD_FILE },
    { "role", required_argument, NULL, OPT_ROLE },         { "name", required_argument, NULL, OPT_NAME },
    { "study", required_argument, NULL, OPT_STUDY },       { "patient", required_argument, NULL, OPT_PATIENT },
    { "unit", required_argument, NULL, OPT_UNIT },         { "reason", required_argument, NULL, OPT_REASON },
    { "class", required_argument, NULL, OPT_CLASS },       { "keep", required_argument, NULL, OPT_KEEP },
    { "plan", no_argument, NULL, OPT_PLAN },               { NULL, 0, NULL, 0 },
};

static bool usage(const char *command, const char *what)
{
    (void)fprintf(stderr, "fanal %s: %s; see fanal %s --help\n", command, what, command);
    return false;
}

/* Where an option's value goes, and which set it belongs to; 0: every command's. */
static const char **place_of(struct admin_options *o, int option, unsigned *set)
{
    static const unsigned sets[] = { [OPT_USER] = ADMIN_SIGN,     [OPT_PASSWORD_FILE] = ADMIN_SIGN | ADMIN_ACCOUNT,
                                     [OPT_ROLE] = ADMIN_ACCOUNT,  [OPT_NAME] = ADMIN_ACCOUNT,
                                     [OPT_STUDY] = ADMIN_SELECT,  [OPT_PATIENT] = ADMIN_SELECT,
                                     [OPT_UNIT] = ADMIN_SELECT,   [OPT_REASON] = ADMIN_REASON,
                                     [OPT_CLASS] = ADMIN_RETENTION, [OPT_KEEP] = ADMIN_RETENTION };
    const char **places[] = { [OPT_KEY_FILE] = &o->key_file, [OPT_USER] = &o->user,
                              [OPT_PASSWORD_FILE] = &o->password_file, [OPT_ROLE] = &o->role, [OPT_NAME] = &o->name,
                              [OPT_STUDY] = &o->study, [OPT_PATIENT] = &o->issuer, [OPT_UNIT] = &o->unit,
                              [OPT_REASON] = &o->reason, [OPT_CLASS] = &o->class, [OPT_KEEP] = &o->keep };

    *set = sets[option];
    return places[option];
}

/* --patient takes two words: issuer and identifier. */
static bool take(int option, int argc, char **argv, struct admin_options *o, unsigned set)
{
    unsigned of;
    const char **place;

    if (option == OPT_JSON) {
        o->json = true;
        return (set & ADMIN_JSON) != 0;
    }
    if (option == OPT_PLAN) {
        o->plan = true;
        return (set & ADMIN_PLAN) != 0;
    }
    if (option < OPT_KEY_FILE || option > OPT_KEEP)
        return false;
    place = place_of(o, option, &of);
    if (of != 0 && (of & set) == 0)
        return false;
    *place = optarg;
    if (option == OPT_PATIENT) {
        if (optind >= argc)
            return false;
        o->patient = argv[optind++];
    }
    return true;
}

bool admin_parse(int argc, char **argv, size_t least, size_t most, unsigned set, struct admin_options *out)
{
    struct admin_options o = { .json = false };
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+", known, NULL)) != -1 || optind < argc) {
        if (option == -1) {
            if (o.argument_count == most)
                return usage(argv[0], "the wrong number of arguments");
            o.arguments[o.argument_count++] = argv[optind++];
        } else if (!take(option, argc, argv, &o, set)) {
            return usage(argv[0], "an option it does not know");
        }
    }
    if (o.argument_count < least)
        return usage(argv[0], "the wrong number of arguments");
    if ((set & ADMIN_SELECT) != 0 && (o.study != NULL) + (o.patient != NULL) + (o.unit != NULL) != 1)
        return usage(argv[0], "give one of --study UID, --patient ISSUER ID, --unit NAME");
    if ((set & ADMIN_REASON) != 0 && (o.reason == NULL || o.reason[0] == '\0'))
        return usage(argv[0], "give a --reason");
    *out = o;
    return true;
}

bool admin_begin(const struct admin_options *o, const char *fact, struct writer *request, struct error *err)
{
    struct writer password = writer_new(SECRET_BYTES_MAX);
    bool ok = true;

    *request = writer_new(REQUEST_BYTES_MAX);
    (void)write_room(request, REQUEST_BYTES_MAX); /* whole, so that a password is not left behind where it grew from */
    writer_reset(request);
    field_put_str(request, FIELD_FACT, fact);
    if (o->user != NULL) {
        ok = secret_read_password(o->password_file, "Password: ", false, &password, err);
        field_put_str(request, FIELD_ACTING_USER, o->user);
        field_put_text(request, FIELD_ACTING_PASSWORD, writer_span(&password));
    }
    if (o->reason != NULL)
        field_put_str(request, FIELD_REASON, o->reason);
    secret_wipe(&password);
    return ok && writer_ok(request, err, "request");
}

bool admin_change(struct local *l, struct writer *request, struct span *reply, struct error *err)
{
    return writer_ok(request, err, "request")
           && session_call(l->session, VERB_CHANGE, writer_span(request), reply, err);
}
