/*
 * fanal prove DIR OUT: an evidence pack, for somebody who trusts neither Fanal nor its operator.
 *   --study UID, --result POSITION, --object POSITION, --patient ISSUER ID --access, --period FROM TO: about what
 *   --hashes-only: no keys, no bodies      --checkpoint F: with a proof from that checkpoint
 */
#include "cmd/prove.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cmd/options.h"
#include "cmd/roles.h"
#include "record/paper.h"

enum { OPT_KEY_FILE = 1, OPT_STUDY, OPT_RESULT, OPT_OBJECT, OPT_PATIENT, OPT_ACCESS, OPT_PERIOD, OPT_HASHES, OPT_CHECKPOINT };

struct wish {
    const char *dir, *out, *key_file, *checkpoint;
    const char *study, *position, *issuer, *patient, *from, *until;
    bool result, access, hashes_only;
};

static const struct option known[] = {
    { "key-file", required_argument, NULL, OPT_KEY_FILE }, { "study", required_argument, NULL, OPT_STUDY },
    { "result", required_argument, NULL, OPT_RESULT },     { "object", required_argument, NULL, OPT_OBJECT },
    { "patient", required_argument, NULL, OPT_PATIENT },   { "access", no_argument, NULL, OPT_ACCESS },
    { "period", required_argument, NULL, OPT_PERIOD },     { "hashes-only", no_argument, NULL, OPT_HASHES },
    { "checkpoint", required_argument, NULL, OPT_CHECKPOINT }, { NULL, 0, NULL, 0 },
};

/* Some options have two values: the second is the next argument. */
static const char *second_value(int argc, char **argv)
{
    return optind < argc ? argv[optind++] : NULL;
}

static bool take(int option, int argc, char **argv, struct wish *w)
{
    switch (option) {
    case OPT_KEY_FILE:
        w->key_file = optarg;
        return true;
    case OPT_STUDY:
        w->study = optarg;
        return true;
    case OPT_RESULT:
    case OPT_OBJECT:
        if (w->position != NULL)
            return false;
        w->position = optarg;
        w->result = option == OPT_RESULT;
        return true;
    case OPT_PATIENT:
        w->issuer = optarg;
        w->patient = second_value(argc, argv);
        return w->patient != NULL;
    case OPT_ACCESS:
        w->access = true;
        return true;
    case OPT_PERIOD:
        w->from = optarg;
        w->until = second_value(argc, argv);
        return w->until != NULL;
    case OPT_HASHES:
        w->hashes_only = true;
        return true;
    case OPT_CHECKPOINT:
        w->checkpoint = optarg;
        return true;
    }
    return false;
}

static bool usage(const char *what)
{
    (void)fprintf(stderr, "fanal prove: %s; see fanal prove --help\n", what);
    return false;
}

static bool parse(int argc, char **argv, struct wish *out)
{
    struct wish w = { .dir = NULL };
    int option;

    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
        if (!take(option, argc, argv, &w))
            return usage("an option it does not know, or one without its value");
    if (argc - optind != 2)
        return usage("give DIR and OUT");
    if ((w.study != NULL) + (w.position != NULL) + (w.patient != NULL) + (w.from != NULL) != 1
        || (w.patient != NULL) != w.access)
        return usage("give one of --study UID, --result POSITION, --object POSITION, --patient ISSUER ID --access, --period FROM TO");
    w.dir = argv[optind];
    w.out = argv[optind + 1];
    *out = w;
    return true;
}

/* ---- the request ---- */

static bool put_position(struct writer *request, enum field f, const char *text)
{
    char *end;
    uint64_t n;

    errno = 0;
    n = strtoull(text, &end, 10);
    if (errno != 0 || text[0] < '0' || text[0] > '9' || *end != '\0')
        return false;
    field_put_uint(request, f, n);
    return true;
}

/* 2026-11-28 or 2026-11-28T04:00:00Z: UTC. */
static bool put_time(struct writer *request, enum field f, const char *text)
{
    struct tm tm = { 0 };
    const char *end = strptime(text, "%Y-%m-%d", &tm);
    time_t t;

    if (end != NULL && *end == 'T')
        end = strptime(end, "T%H:%M:%SZ", &tm);
    if (end == NULL || *end != '\0' || (t = timegm(&tm)) < 0)
        return false;
    field_put_uint(request, f, (uint64_t)t * 1000000);
    return true;
}

static bool put_period(struct writer *request, const struct wish *w, struct error *err)
{
    if ((put_position(request, FIELD_FROM_POSITION, w->from) && put_position(request, FIELD_UNTIL_POSITION, w->until))
        || (put_time(request, FIELD_PERIOD_FROM, w->from) && put_time(request, FIELD_PERIOD_UNTIL, w->until)))
        return true;
    return error_set(err, ERR_USAGE, "a period is two times (2026-11-28, 2026-11-28T04:00:00Z) or two positions");
}

/* A checkpoint as text or signed note, or the lines of one on paper. */
static bool put_checkpoint(struct writer *request, const char *path, struct error *err)
{
    struct writer text = writer_new(PAPER_TEXT_MAX), typed = writer_new(512);
    char id[2 * PAPER_ID_BYTES + 1];
    struct paper paper;
    bool ok = file_slurp(path, &text, err);

    if (ok && span_starts(writer_span(&text), SPAN_LIT("fanal/"))) {
        field_put_text(request, FIELD_SIGNED_NOTE, writer_span(&text));
    } else if (ok && (ok = paper_parse(writer_span(&text), &paper, err))) {
        write_printf(&typed, "fanal/%s\n%" PRIu64 "\n", sodium_bin2hex(id, sizeof id, paper.vault_id, PAPER_ID_BYTES),
                     paper.size);
        write_base64(&typed, span_of(paper.root, sizeof paper.root));
        write_str(&typed, "\n");
        field_put_text(request, FIELD_SIGNED_NOTE, writer_span(&typed));
    }
    writer_done(&text);
    writer_done(&typed);
    return ok;
}

static bool put_question(struct prove *p, const struct wish *w, struct writer *request, struct error *err)
{
    if (w->study != NULL) {
        p->question = PROVE_STUDY;
        p->asked = "study";
        field_put_str(request, FIELD_STUDY_UID, w->study);
        write_str(&p->subject, w->study);
    } else if (w->position != NULL) {
        p->question = w->result ? PROVE_RESULT : PROVE_OBJECT;
        p->asked = w->result ? "result" : "object";
        if (!put_position(request, FIELD_POSITION, w->position))
            return error_set(err, ERR_USAGE, "a position is a whole number");
        write_str(&p->subject, w->position);
    } else if (w->access) {
        p->question = PROVE_ACCESS;
        p->asked = "access";
        field_put_str(request, FIELD_ISSUER, w->issuer);
        field_put_str(request, FIELD_PATIENT_ID, w->patient);
        write_printf(&p->subject, "%s\t%s", w->issuer, w->patient);
    } else {
        p->question = PROVE_PERIOD;
        p->asked = "period";
        write_printf(&p->subject, "%s %s", w->from, w->until);
        if (!put_period(request, w, err))
            return false;
    }
    field_put_str(request, FIELD_EVIDENCE, p->asked);
    return true;
}

bool prove_row_next(struct reader *rows, struct span *row)
{
    if (reader_left(rows) == 0)
        return false;
    *row = read_span(rows, read_u32le(rows));
    return !rows->dry;
}

/* The first row is the head; those with an inclusion proof are records, the others checkpoints. */
static bool take_row(void *context, struct span row)
{
    struct prove *p = context;
    struct span found;
    struct writer *to;

    if (p->head.len == 0) {
        write_span(&p->head, row);
        return !p->head.failed;
    }
    to = fields_find(row, FIELD_INCLUSION, &found) ? &p->records : &p->anchors;
    p->record_count += to == &p->records ? 1 : 0;
    write_u32le(to, (uint32_t)row.len);
    write_span(to, row);
    return !to->failed;
}

static bool ask(struct prove *p, struct local *l, const struct wish *w, struct error *err)
{
    struct writer request = writer_new(PAPER_TEXT_MAX);
    bool ok;

    field_put_str(&request, FIELD_QUERY, "evidence");
    field_put_str(&request, FIELD_FORM, w->hashes_only ? "hashes" : "keys");
    p->hashes_only = w->hashes_only;
    ok = put_question(p, w, &request, err) && (w->checkpoint == NULL || put_checkpoint(&request, w->checkpoint, err))
         && writer_ok(&request, err, "request") && writer_ok(&p->subject, err, "subject")
         && session_find(l->session, writer_span(&request), take_row, p, err);
    writer_done(&request);
    return ok && (p->head.len > 0 || error_set(err, ERR_CLOSED, "the vault gave no checkpoint"));
}

/* ---- the folder ---- */

static int create_in(const char *dir, const char *name, struct error *err)
{
    char path[PATH_MAX];
    int fd;

    if (!path_join(path, sizeof path, dir, name, err))
        return -1;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        (void)error_errno(err, "%s", path);
    return fd;
}

static bool write_folder(struct prove *p, struct local *l, const char *out, struct error *err)
{
    struct writer page = writer_new(PROVE_PAGE_BYTES_MAX);
    CLEANUP(file_close) int page_fd = -1;
    CLEANUP(file_close) int pack_fd = -1;
    bool ok;

    if (mkdir(out, 0700) != 0)
        return error_errno(err, "%s", out);
    prove_page(p, &page);
    ok = writer_ok(&page, err, "index.html") && (page_fd = create_in(out, "index.html", err)) >= 0
         && file_write_all(page_fd, writer_span(&page), err) && file_sync(page_fd, err)
         && (pack_fd = create_in(out, "evidence.fanal", err)) >= 0 && prove_pack(p, l, pack_fd, writer_span(&page), err)
         && file_sync(pack_fd, err);
    writer_done(&page);
    return ok;
}

static void say(const struct prove *p)
{
    struct span key = fields_text(writer_span(&p->head), FIELD_VKEY);

    (void)printf("records %" PRIu64 "\n", p->record_count);
    (void)printf("size %" PRIu64 "\n", fields_uint(writer_span(&p->head), FIELD_TREE_SIZE, 0));
    (void)printf("key %.*s\n", (int)key.len, (const char *)key.ptr);
    if (p->without_body > 0)
        (void)fprintf(stderr, "fanal prove: %" PRIu64 " documents are damaged, gone or erased: they are in the pack without key and body\n",
                      p->without_body);
}

int cmd_prove(int argc, char **argv)
{
    struct prove p = { .made_us = clock_wall_us(&clock_system) };
    struct wish w;
    struct local l = { .session = NULL };
    struct error err = { 0 };
    bool ok;

    if (!parse(argc, argv, &w))
        return 2;
    p.subject = writer_new(1024);
    p.head = writer_new(CHANNEL_MESSAGE_MAX);
    p.anchors = writer_new(PROVE_ROWS_BYTES_MAX);
    p.records = writer_new(PROVE_ROWS_BYTES_MAX);
    ok = access(w.out, F_OK) != 0 || error_set(&err, ERR_EXISTS, "%s is there already", w.out);
    ok = ok && local_open(&l, w.dir, w.key_file, &err) && ask(&p, &l, &w, &err) && write_folder(&p, &l, w.out, &err);
    if (ok)
        say(&p);
    local_close(&l);
    if (p.records.ptr != NULL)
        sodium_memzero(p.records.ptr, p.records.cap); /* record keys */
    writer_done(&p.subject);
    writer_done(&p.head);
    writer_done(&p.anchors);
    writer_done(&p.records);
    return ok ? 0 : command_failed("prove", &err);
}
