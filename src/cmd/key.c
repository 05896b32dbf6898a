/* fanal key: list, check, remove, rotate; key_add.c adds. docs/cli.md is the specification. */
#include "cmd/key.h"

#include <getopt.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

#include "cmd/cli.h"
#include "cmd/conf.h"
#include "cmd/local.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "cmd/secret.h"
#include "record/moment.h"
#include "vault/store_keys.h"

bool key_ask(const char *dir, const char *key_file, struct span request, int fd, struct writer *reply,
             struct error *err)
{
    struct local l;
    struct span fields;
    bool ok = local_open(&l, dir, key_file, err);

    if (ok)
        ok = fd < 0 ? session_call(l.session, VERB_KEYS, request, &fields, err)
                    : session_call_fd(l.session, VERB_KEYS, request, fd, &fields, err);
    if (ok) {
        write_span(reply, fields);
        ok = writer_ok(reply, err, "answer");
    }
    local_close(&l);
    return ok;
}

/* ---- list: what the keyring says in clear; asks for no secret ---- */

static void time_text(uint64_t us, char out[32])
{
    struct tm tm = { 0 };
    time_t seconds = (time_t)(us / 1000000);

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void print_unlocker(unsigned number, const struct unlocker *u)
{
    char since[32];

    time_text(u->added_us, since);
    if (u->kind == UNLOCKER_CUSTODIANS)
        (void)printf("%u  custodians   %u of %u, set %u, since %s\n", number, u->threshold, u->shares,
                     u->added & 0xffff, since);
    else
        (void)printf("%u  %-12s since %s\n", number, unlocker_kind_name(u->kind), since);
}

static void print_json(const struct keyring_info *info)
{
    char hex[2 * VAULT_ID_BYTES + 1], since[32];
    const char *comma = "";

    (void)printf(
        "{\"vault_id\": \"%s\", \"generation\": %" PRIu32 ", \"master_generation\": %" PRIu32 ", \"unlockers\": [",
        sodium_bin2hex(hex, sizeof hex, info->vault_id, VAULT_ID_BYTES), info->generation, info->master_generation);
    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++) {
        const struct unlocker *u = &info->unlockers[i];

        if (u->kind == UNLOCKER_NONE)
            continue;
        time_text(u->added_us, since);
        (void)printf("%s{\"number\": %u, \"kind\": \"%s\", \"threshold\": %u, \"shares\": %u, \"set\": %u, "
                     "\"added\": \"%s\"}",
                     comma, i + 1, unlocker_kind_name(u->kind), u->threshold, u->shares, u->added & 0xffff, since);
        comma = ", ";
    }
    (void)puts("]}");
}

static bool list(const struct key_options *o, struct error *err)
{
    struct keyring_info info;

    if (!store_keys_peek(o->arguments[0], &info, err))
        return false;
    if (o->json) {
        print_json(&info);
        return true;
    }
    for (unsigned i = 0; i < KEYRING_UNLOCKERS; i++)
        if (info.unlockers[i].kind != UNLOCKER_NONE)
            print_unlocker(i + 1, &info.unlockers[i]);
    (void)printf("generation %" PRIu32 ", master key of generation %" PRIu32 "\n", info.generation,
                 info.master_generation);
    return true;
}

/* ---- check: would it open? ---- */

static bool check(const struct key_options *o, struct error *err)
{
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    struct keyring_info info;
    unsigned place = 0;
    bool ok = secret_read(o->arguments[0], o->key_file, &secret, err)
              && store_keys_try(o->arguments[0], writer_span(&secret), &place, err)
              && store_keys_peek(o->arguments[0], &info, err);

    secret_wipe(&secret);
    if (ok)
        (void)printf("it opens the vault: unlocker %u, %s\n", place + 1,
                     unlocker_kind_name(info.unlockers[place].kind));
    return ok;
}

/* ---- remove, rotate ---- */

static bool remove_one(const struct key_options *o, struct error *err)
{
    struct writer request = writer_new(256), reply = writer_new(CHANNEL_MESSAGE_MAX);
    unsigned number;
    bool ok = conf_number_parse(span_str(o->arguments[1]), 1, KEYRING_UNLOCKERS, &number)
              || error_set(err, ERR_USAGE, "an unlocker is a number from 1 to %u", KEYRING_UNLOCKERS);

    if (ok) {
        field_put_str(&request, FIELD_KEY_DEED, "remove");
        field_put_uint(&request, FIELD_UNLOCKER_NUMBER, number);
        ok = key_ask(o->arguments[0], o->key_file, writer_span(&request), -1, &reply, err);
    }
    if (ok)
        (void)printf("unlocker %u opens nothing any more; rotate the keys, so that a copy of the keyring made before "
                     "opens nothing new\n",
                     number);
    writer_done(&request);
    writer_done(&reply);
    return ok;
}

static bool rotate(const struct key_options *o, struct error *err)
{
    struct writer request = writer_new(256), reply = writer_new(CHANNEL_MESSAGE_MAX);
    bool ok;

    field_put_str(&request, FIELD_KEY_DEED, "rotate");
    ok = key_ask(o->arguments[0], o->key_file, writer_span(&request), -1, &reply, err);
    if (ok)
        (void)printf("the master key is new: generation %" PRIu64 "\n",
                     fields_uint(writer_span(&reply), FIELD_MASTER_GENERATION, 0));
    writer_done(&request);
    writer_done(&reply);
    return ok;
}

/* ---- the command ---- */

enum { OPT_KEY_FILE = 1, OPT_SHARES, OPT_SHARE_COUNT, OPT_THRESHOLD, OPT_OUT, OPT_JSON };

static const struct option common[] = { { "key-file", required_argument, NULL, OPT_KEY_FILE },
                                        { "shares", no_argument, NULL, OPT_SHARES },
                                        { "json", no_argument, NULL, OPT_JSON },
                                        { NULL, 0, NULL, 0 } };
/* Here --shares says how many: FANAL_SHARES_FILE, or the terminal where only shares open, is how custodians open it. */
static const struct option adding[] = { { "key-file", required_argument, NULL, OPT_KEY_FILE },
                                        { "shares", required_argument, NULL, OPT_SHARE_COUNT },
                                        { "threshold", required_argument, NULL, OPT_THRESHOLD },
                                        { "out", required_argument, NULL, OPT_OUT },
                                        { NULL, 0, NULL, 0 } };

static const struct subcommand {
    const char *name;
    const struct option *options;
    size_t arguments;
    bool (*run)(const struct key_options *o, struct error *err); /* NULL: key_add() */
} subcommands[] = {
    { "list", common, 1, list },         { "check", common, 1, check },   { "add", adding, 2, NULL },
    { "remove", common, 2, remove_one }, { "rotate", common, 1, rotate },
};

static bool take(int option, struct key_options *o)
{
    switch (option) {
    case OPT_KEY_FILE:
        o->key_file = optarg;
        return true;
    case OPT_SHARES:
        o->key_file = secret_of_custodians;
        return true;
    case OPT_SHARE_COUNT:
        return conf_number_parse(span_str(optarg), CUSTODIANS_MIN, CUSTODIANS_MAX, &o->shares);
    case OPT_THRESHOLD:
        return conf_number_parse(span_str(optarg), CUSTODIANS_MIN, CUSTODIANS_MAX, &o->threshold);
    case OPT_OUT:
        o->out = optarg;
        return true;
    case OPT_JSON:
        o->json = true;
        return true;
    default:
        return false;
    }
}

static bool parse(int argc, char **argv, const struct subcommand *s, struct key_options *o)
{
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", s->options, NULL)) != -1)
        if (!take(option, o))
            return false;
    o->argument_count = (size_t)(argc - optind);
    for (size_t i = 0; i < o->argument_count && i < COUNT_OF(o->arguments); i++)
        o->arguments[i] = argv[optind + (int)i];
    return o->argument_count == s->arguments;
}

int cmd_key(int argc, char **argv)
{
    const struct subcommand *s = NULL;
    struct key_options o = { .key_file = NULL };
    struct error err = { 0 };

    for (size_t i = 0; argc > 1 && i < COUNT_OF(subcommands); i++)
        if (span_equal(span_str(argv[1]), span_str(subcommands[i].name)))
            s = &subcommands[i];
    if (s == NULL || !parse(argc - 1, argv + 1, s, &o)) {
        (void)fputs("fanal key: list, check, add, remove or rotate, with its arguments; see fanal key --help\n",
                    stderr);
        return CLI_USAGE;
    }
    if (sodium_init() < 0)
        return CLI_NO;
    if (s->run == NULL)
        return key_add(&o);
    return s->run(&o, &err) ? CLI_YES : command_failed("key", &err);
}
