/*
 * fanal-verify: does an evidence pack of Fanal prove what it shows? Yes (0), no (1), or a wrong command line (2), and why
 * in one sentence.
 *
 * A program of its own, which shares no code with Fanal: it holds no secret, uses no network, and writes nothing but
 * what --extract asks for. docs/evidence.md is what it checks; pack.c is where to begin reading.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "extract.h"
#include "pack.h"
#include "paper.h"
#include "sandbox.h"
#include "words.h"

#define SMALL_FILE_MAX 65536
#define PATH_BYTES_MAX 4096

struct run {
    struct trust trust;
    struct extract extract;
    const char *pack_dir, *extract_dir;
    bool list;
    struct bytes pack, page;
    uint8_t authorities[SMALL_FILE_MAX];
    uint8_t origin[PAPER_ORIGIN_BYTES];
    char listed[512]; /* cosignatures and time stamps, in words */
};

static const char usage_text[] =
    "usage: fanal-verify [--key F] [--checkpoint F] [--witness F]... [--ca F] [--list] [--extract DIR] PACK\n\n"
    "Says in one sentence whether the evidence pack PACK (a folder that fanal prove made) proves what it shows.\n\n"
    "  --key F         the log's key (name+id+key): a file, or the key itself\n"
    "  --checkpoint F  a checkpoint of the log from elsewhere, as a note or as typed from paper: the pack must agree\n"
    "  --witness F     a witness's key, as --key: it must have cosigned; up to 8\n"
    "  --ca F          certificates (PEM) of time-stamping authorities: a time stamp must lead to one\n"
    "  --list          one line a record before the sentence\n"
    "  --extract DIR   writes the documents and facts that are shown into DIR\n\n"
    "One of --key, --checkpoint and --witness is needed: without anything from outside a pack only fits itself.\n"
    "Exit code: 0 yes, 1 no, 2 the command line is wrong or a file cannot be read.\n";

static int wrong(const char *what)
{
    (void)fprintf(stderr, "fanal-verify: %s\n", what);
    return 2;
}

/* The whole file in memory, read only. Empty files are no evidence of anything. */
static bool map_file(const char *path, struct bytes *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    void *at = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        (void)close(fd);
    if (at == MAP_FAILED)
        return false;
    *out = (struct bytes){ at, (size_t)st.st_size };
    return true;
}

static bool read_key(const char *argument, struct key *out, struct why *why)
{
    struct bytes text = { (const uint8_t *)argument, strlen(argument) };

    if (strchr(argument, '+') == NULL && !map_file(argument, &text))
        return no(why, "%s cannot be read", argument);
    return key_parse(text, out, why);
}

/* A signed note, its three lines alone, or what somebody typed from paper. */
static bool read_checkpoint(struct run *run, const char *path, struct why *why)
{
    struct trust *t = &run->trust;
    struct bytes file;
    struct why ignored;
    struct note n;

    if (!map_file(path, &file) || file.len > SMALL_FILE_MAX)
        return no(why, "%s cannot be read", path);
    if (!note_parse(file, &n, &ignored))
        n.text = file;
    t->has_checkpoint = true;
    return checkpoint_parse(n.text, &t->checkpoint, &ignored) || paper_parse(file, run->origin, &t->checkpoint, why)
           || no_within(why, "%s", path);
}

/* The certificates of a PEM file (RFC 7468), decoded one behind the other. */
static bool read_authorities(struct run *run, const char *path, struct why *why)
{
    struct bytes file;
    struct cursor c;
    uint8_t text[SMALL_FILE_MAX];
    size_t n = 0, total = 0, len;
    bool inside = false;

    if (!map_file(path, &file) || file.len > SMALL_FILE_MAX)
        return no(why, "%s cannot be read", path);
    c = (struct cursor){ file, false };
    while (c.left.len > 0) {
        struct bytes line = take_line(&c);

        if (same(line, LIT("-----BEGIN CERTIFICATE-----"))) {
            inside = true;
            n = 0;
        } else if (inside && same(line, LIT("-----END CERTIFICATE-----"))) {
            if (!base64((struct bytes){ text, n }, run->authorities + total, sizeof run->authorities - total, &len))
                return no(why, "%s holds a broken certificate", path);
            total += len;
            inside = false;
        } else if (inside) {
            memcpy(text + n, line.ptr, line.len); /* no more than the file, which fits */
            n += line.len;
        }
    }
    run->trust.authorities = (struct bytes){ run->authorities, total };
    return total > 0 || no(why, "%s holds no certificate", path);
}

static bool take_option(struct run *run, int option, const char *value, struct why *why)
{
    switch (option) {
    case 'k':
        run->trust.has_key = true;
        return read_key(value, &run->trust.key, why);
    case 'c':
        return read_checkpoint(run, value, why);
    case 'w':
        if (run->trust.witness_count == WITNESSES_MAX)
            return no(why, "more than %d witnesses", WITNESSES_MAX);
        return read_key(value, &run->trust.witnesses[run->trust.witness_count++], why);
    case 'a':
        return read_authorities(run, value, why);
    case 'l':
        run->list = true;
        return true;
    case 'x':
        run->extract_dir = value;
        return true;
    }
    return no(why, "an option is not known; see fanal-verify --help");
}

static bool open_files(struct run *run, struct why *why)
{
    char path[PATH_BYTES_MAX];

    (void)snprintf(path, sizeof path, "%s/evidence.fanal", run->pack_dir);
    if (!map_file(path, &run->pack))
        return no(why, "%s cannot be read", path);
    (void)snprintf(path, sizeof path, "%s/index.html", run->pack_dir);
    if (!map_file(path, &run->page))
        run->page = (struct bytes){ NULL, 0 }; /* then its hash does not fit */
    run->extract.dir_fd = -1;
    if (run->extract_dir == NULL)
        return true;
    if (mkdir(run->extract_dir, 0700) != 0 && errno != EEXIST)
        return no(why, "%s cannot be made", run->extract_dir);
    run->extract.dir_fd = open(run->extract_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return run->extract.dir_fd >= 0 || no(why, "%s cannot be opened", run->extract_dir);
}

/* ---- what is told ---- */

static void list_record(const struct entry *e, uint64_t position, struct bytes facts)
{
    char time[24];

    (void)printf("%llu", (unsigned long long)position);
    if (e != NULL)
        (void)printf("\t%s\t%s\t%s", time_text(e->received_us / 1000000, time), kind_name(e->kind),
                     facts.len == 0 ? "sealed" : "shown");
    else
        (void)printf("\t-\t-\thash");
    if (facts.len > 0 && e->kind == KIND_EVENT) {
        (void)printf("\t");
        print_text(stdout, fact_find(facts, FACT_EVENT));
        (void)printf("\t");
        print_text(stdout, fact_find(facts, FACT_ACTOR));
        (void)printf("\t");
        print_text(stdout, fact_find(facts, FACT_OUTCOME));
    }
    (void)printf("\n");
}

static bool tell_record(void *context, const struct entry *e, uint64_t position, struct bytes facts, struct why *why)
{
    struct run *run = context;

    if (run->list)
        list_record(e, position, facts);
    return extract_record(&run->extract, e, position, facts, why);
}

static bool tell_body(void *context, struct bytes clear, struct why *why)
{
    return extract_body(&((struct run *)context)->extract, clear, why);
}

static bool tell_end(void *context, struct why *why)
{
    return extract_end(&((struct run *)context)->extract, why);
}

static void tell_cosigned(void *context, uint64_t size, const struct key *by, uint64_t time_s)
{
    struct run *run = context;
    size_t n = strlen(run->listed);
    char time[24];

    (void)snprintf(run->listed + n, sizeof run->listed - n, "; its first %llu records cosigned by %.*s at %s",
                   (unsigned long long)size, (int)by->name.len, (const char *)by->name.ptr, time_text(time_s, time));
}

static void tell_stamped(void *context, uint64_t size, struct bytes by, struct bytes time)
{
    struct run *run = context;
    size_t n = strlen(run->listed);

    (void)snprintf(run->listed + n, sizeof run->listed - n, "; its first %llu records stamped by %.*s at %.*s",
                   (unsigned long long)size, (int)by.len, (const char *)by.ptr, (int)time.len, (const char *)time.ptr);
}

static void say_yes(const struct run *run, const struct verdict *v)
{
    static const char *const asked[] = { "", "a study", "a result", "an object", "who has seen a patient's data",
                                         "a period" };
    uint64_t count = v->shown + v->sealed + v->hashes;

    (void)printf("yes: about %s (", asked[v->question]);
    print_text(stdout, v->subject);
    (void)printf("), it is proven that %llu record%s in the log ", (unsigned long long)count, count == 1 ? " is" : "s are");
    print_text(stdout, v->origin);
    (void)printf(" of %llu, unaltered: %llu shown (%llu with a document), %llu sealed (%llu of them events), %llu by hash only",
                 (unsigned long long)v->size, (unsigned long long)v->shown, (unsigned long long)v->bodies,
                 (unsigned long long)v->sealed, (unsigned long long)v->sealed_events, (unsigned long long)v->hashes);
    print_text(stdout, (struct bytes){ (const uint8_t *)run->listed, strlen(run->listed) });
    if (run->extract_dir != NULL)
        (void)printf("; %llu documents written", (unsigned long long)run->extract.written);
    (void)printf(".\n");
}

static int judge(struct run *run)
{
    const struct telling who = { .context = run, .cosigned = tell_cosigned, .stamped = tell_stamped };
    const struct telling what = { .context = run, .record = tell_record, .body = tell_body, .end = tell_end };
    bool again = run->list || run->extract_dir != NULL; /* nothing is written before all of it is known to hold */
    struct verdict v;
    struct why why = { "" };

    if (pack_verify(run->pack, run->page, &run->trust, &who, &v, &why)
        && (!again || pack_verify(run->pack, run->page, &run->trust, &what, &v, &why))) {
        say_yes(run, &v);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    (void)printf("no: ");
    print_text(stdout, (struct bytes){ (const uint8_t *)why.text, strlen(why.text) });
    (void)printf(".\n");
    return 1;
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        { "key", required_argument, NULL, 'k' },     { "checkpoint", required_argument, NULL, 'c' },
        { "witness", required_argument, NULL, 'w' }, { "ca", required_argument, NULL, 'a' },
        { "list", no_argument, NULL, 'l' },          { "extract", required_argument, NULL, 'x' },
        { "help", no_argument, NULL, 'h' },          { "version", no_argument, NULL, 'v' },
        { NULL, 0, NULL, 0 },
    };
    static struct run run;
    struct why why = { "" };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h' || option == 'v')
            return printf("%s", option == 'h' ? usage_text : "fanal-verify " FANAL_VERSION "\n") < 0;
        if (!take_option(&run, option, optarg, &why))
            return wrong(why.text);
    }
    if (argc - optind != 1)
        return wrong("give one PACK; see fanal-verify --help");
    run.pack_dir = argv[optind];
    if (!open_files(&run, &why))
        return wrong(why.text);
    (void)sandbox_enter(run.extract_dir != NULL);
    return judge(&run);
}
