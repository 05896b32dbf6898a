/* Options of the commands. See options.h. */
#include "cmd/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/secret.h"

enum { OPT_KEY_FILE = 1, OPT_SHARES, OPT_JSON, OPT_STUDY, OPT_OBJECT, OPT_MESSAGE, OPT_QR, OPT_PRINT, OPT_PAPER, OPT_FROM };

static const struct option known[] = {
    { "shares", no_argument, NULL, OPT_SHARES },
    { "key-file", required_argument, NULL, OPT_KEY_FILE }, { "json", no_argument, NULL, OPT_JSON },
    { "study", required_argument, NULL, OPT_STUDY },       { "object", required_argument, NULL, OPT_OBJECT },
    { "message", required_argument, NULL, OPT_MESSAGE },   { "qr", no_argument, NULL, OPT_QR },
    { "print", no_argument, NULL, OPT_PRINT },             { "paper", required_argument, NULL, OPT_PAPER },
    { "checkpoint", required_argument, NULL, OPT_PAPER },  { "from", required_argument, NULL, OPT_FROM },
    { NULL, 0, NULL, 0 },
};

static bool usage(const char *command, const char *what)
{
    (void)fprintf(stderr, "fanal %s: %s; see fanal %s --help\n", command, what, command);
    return false;
}

static bool parse_position(const char *text, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && text[0] != '-';
}

static bool take(int option, struct options *o, unsigned set)
{
    switch (option) {
    case OPT_KEY_FILE:
        o->key_file = optarg;
        return true;
    case OPT_SHARES:
        o->key_file = secret_of_custodians;
        return true;
    case OPT_JSON:
        o->json = true;
        return (set & OPTION_JSON) != 0;
    case OPT_STUDY:
        o->study = optarg;
        return (set & OPTION_SELECT) != 0;
    case OPT_OBJECT:
        o->object = optarg;
        return (set & OPTION_SELECT) != 0;
    case OPT_MESSAGE:
        o->message = optarg;
        return (set & OPTION_SELECT) != 0;
    case OPT_QR:
        o->qr = true;
        return (set & OPTION_PRINT) != 0;
    case OPT_PRINT:
        o->print = true;
        return (set & OPTION_PRINT) != 0;
    case OPT_PAPER:
        o->paper = optarg;
        return (set & OPTION_PAPER) != 0;
    case OPT_FROM:
        o->from = optarg;
        return (set & OPTION_FROM) != 0;
    default:
        return false;
    }
}

static bool select_one(const char *command, struct options *o)
{
    const char *position = o->object != NULL ? o->object : o->message;

    if ((o->study != NULL) + (o->object != NULL) + (o->message != NULL) != 1)
        return usage(command, "give one of --study UID, --object POSITION, --message POSITION");
    if (position != NULL && !parse_position(position, &o->position))
        return usage(command, "a position is a whole number");
    return true;
}

bool options_parse(int argc, char **argv, size_t arguments, unsigned set, struct options *out)
{
    struct options o = { .json = false };
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
        if (!take(option, &o, set))
            return usage(argv[0], "an option it does not know");
    if ((size_t)(argc - optind) != arguments)
        return usage(argv[0], "the wrong number of arguments");
    for (size_t i = 0; i < arguments; i++)
        o.arguments[i] = argv[optind + (int)i];
    if ((set & OPTION_SELECT) != 0 && !select_one(argv[0], &o))
        return false;
    *out = o;
    return true;
}

int command_failed(const char *command, const struct error *err)
{
    (void)fprintf(stderr, "fanal %s: %s\n", command, err->text);
    return err->code == ERR_USAGE ? 2 : 1;
}
