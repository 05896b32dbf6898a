/* fanal promote DIR: a twin becomes a first machine (docs/twin.md, "Promotion"). */
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cli.h"
#include "cmd/data_dir.h"
#include "cmd/local.h"
#include "cmd/roles.h"
#include "cmd/secret.h"
#include "cmd/twin_dir.h"
#include "record/field.h"
#include "vault/twin.h"

#define WAITING_MAX 1000

struct promotion {
    const char *dir;
    struct store_options options;
    struct twin_promotion found;
    struct store *store;
    uint64_t taken_over;
    size_t waiting; /* appended, not known to be committed */
};

static void print_finding(void *context, const char *finding)
{
    (void)context;
    (void)puts(finding);
}

/* Waits for the commit of all but `most` of what was appended. */
static bool settle(struct promotion *p, size_t most, struct error *err)
{
    struct completion done[64];

    while (p->waiting > most) {
        struct pollfd f = { .fd = store_event_fd(p->store), .events = POLLIN };
        size_t n;

        store_kick(p->store);
        n = store_completed(p->store, done, COUNT_OF(done));
        for (size_t i = 0; i < n; i++)
            if (!done[i].committed)
                return error_set(err, ERR_IO, "an event could not be kept");
        p->waiting -= n;
        if (n == 0)
            (void)poll(&f, 1, -1);
    }
    return true;
}

static bool record(struct promotion *p, uint64_t received_us, struct span facts, struct error *err)
{
    time_t seconds = (time_t)(received_us / 1000000);
    struct append a = { .kind = RECORD_EVENT, .received_us = received_us, .facts = facts };
    struct tm tm = { 0 };
    uint64_t position;
    char unit[32];

    (void)gmtime_r(&seconds, &tm);
    (void)snprintf(unit, sizeof unit, "events:%04d-%02d", tm.tm_year + 1900, tm.tm_mon + 1);
    a.unit = span_str(unit);
    if (!store_append(p->store, &a, &position, err))
        return false;
    p->waiting++;
    return settle(p, WAITING_MAX, err);
}

/* Who read on the twin while it was one. */
static bool take_over(struct promotion *p, struct error *err)
{
    struct store_options options = p->options;
    struct writer facts = writer_new(SIZE_MAX / 2);
    struct error none = { 0 };
    char path[PATH_MAX];
    struct store *own;
    bool ok = true;

    if (!path_join(path, sizeof path, p->dir, "vault/own", err))
        return false;
    options.read_only = true;
    options.promoting = false;
    own = store_open(path, &options, &none);
    if (own == NULL) /* nobody ever served it */
        return none.code == ERR_NOT_FOUND || error_set(err, none.code, "the twin's own log: %s", none.text);
    for (uint64_t n = 0; ok && n < store_committed_size(own); n++) {
        struct entry e;

        writer_reset(&facts);
        if (!store_read_entry(own, n, &e, &facts, &none) || e.kind != RECORD_EVENT)
            continue; /* damaged: named by what remains of it, in own/ */
        field_put_str(&facts, FIELD_TWIN, "read on the twin");
        ok = writer_ok(&facts, err, "event") && record(p, e.received_us, writer_span(&facts), err);
        p->taken_over += ok;
    }
    store_close(own);
    writer_done(&facts);
    return ok;
}

static bool record_promotion(struct promotion *p, struct error *err)
{
    struct writer w = writer_new(4096);
    bool ok;

    field_put_str(&w, FIELD_EVENT, "twin.promoted");
    field_put_str(&w, FIELD_ACTOR, "local");
    field_put_str(&w, FIELD_OUTCOME, "success");
    field_put_uint(&w, FIELD_POSITION, p->found.size);
    field_put_uint(&w, FIELD_WRITTEN, p->found.written_us);
    field_put_uint(&w, FIELD_LATEST, p->found.current_us);
    field_put_uint(&w, FIELD_COUNT, p->found.findings);
    ok = writer_ok(&w, err, "event") && record(p, clock_wall_us(&clock_system), writer_span(&w), err);
    writer_done(&w);
    return ok;
}

static bool finish(struct promotion *p, struct error *err)
{
    bool ok;

    p->options.promoting = true;
    p->store = store_open(p->dir, &p->options, err);
    ok = p->store != NULL && take_over(p, err) && record_promotion(p, err) && settle(p, 0, err);
    store_close(p->store);
    p->options.promoting = false;
    return ok && twin_promoted(p->dir, &p->options, err);
}

static void format_time(uint64_t us, char out[32])
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm = { 0 };

    if (us == 0 || gmtime_r(&seconds, &tm) == NULL || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(out, 32, "never");
}

static void tell(const struct promotion *p)
{
    char written[32], current[32];

    format_time(p->found.written_us, written);
    format_time(p->found.current_us, current);
    (void)printf("records              %llu\nlast commit          %s\nhad everything at    %s\ndamaged              %llu\n"
                 "events taken over    %llu\npromoted\n",
                 (unsigned long long)p->found.size, written, current, (unsigned long long)p->found.findings,
                 (unsigned long long)p->taken_over);
}

static bool promote(const char *dir, const char *key_file, struct error *err)
{
    static const struct log log = { .fd = STDERR_FILENO, .least = LOG_WARN, .clock = &clock_system };
    struct promotion p = { .dir = dir, .options = { .clock = &clock_system, .log = &log } };
    struct writer secret = writer_new(SECRET_BYTES_MAX);
    struct data_dir d = { -1, -1, -1, 0, 0 };
    bool ok = data_dir_open(dir, &d, err);

    if (ok && !twin_is_here(dir) && !twin_is_promoting(dir))
        ok = error_set(err, ERR_NOT_FOUND, "%s is no twin", dir);
    ok = ok && (sodium_init() >= 0 || error_set(err, ERR_IO, "libsodium does not start")) && data_dir_lock(&d, err)
         && secret_read(dir, key_file, &secret, err) && twin_conf_promote(dir, err) && local_become_owner(dir, err);
    p.options.secret = writer_span(&secret);
    ok = ok && twin_promote(dir, &p.options, print_finding, NULL, &p.found, err) && finish(&p, err);
    secret_wipe(&secret);
    data_dir_close(&d);
    if (ok)
        tell(&p);
    return ok;
}

int cmd_promote(int argc, char **argv)
{
    static const struct option options[] = { { "key-file", required_argument, NULL, 'k' }, { NULL, 0, NULL, 0 } };
    const char *key_file = NULL;
    struct error err = { 0 };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) == 'k')
        key_file = optarg;
    if (option != -1 || argc - optind != 1) {
        (void)fputs("fanal promote: one DIR belongs here; see fanal promote --help\n", stderr);
        return CLI_USAGE;
    }
    if (promote(argv[optind], key_file, &err))
        return CLI_YES;
    (void)fprintf(stderr, "fanal promote: %s\n", err.text);
    return err.code == ERR_USAGE ? CLI_USAGE : CLI_NO;
}
