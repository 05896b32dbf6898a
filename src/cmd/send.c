/*
 * fanal send: sends DICOM files to an AE, each in its own transfer syntax, data-set bytes unchanged.
 *
 * One presentation context per SOP class and transfer syntax; where files need more than 128 of them, several
 * associations, one after the other. A line per file says what became of it.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/roles.h"
#include "dicom/dictionary.h"
#include "dicom/dimse.h"
#include "dicom/part10.h"
#include "dicom/walker.h"
#include "relay/store_scu.h"

#define EXIT_OK 0
#define EXIT_SAID_NO 1
#define EXIT_USAGE 2

#define CONTEXTS_MAX 128
/* How much of a data set is looked at to find its SOP class and instance: they are near its beginning (group 0008). */
#define LOOK_BYTES ((size_t)64 * 1024)
/* Read of a file at first; all of PART10_HEAD_MAX only where its File Meta Information is longer. */
#define FIRST_LOOK_BYTES ((size_t)128 * 1024)

static const char usage[] =
    "usage: fanal send [--aet A] [--aec B] FILE... HOST:PORT\n"
    "Sends DICOM files to the application entity B (FANAL) at HOST:PORT, calling itself A (FANALSEND).\n"
    "Exit status: 0 all files were kept, 1 some were not, 2 usage.\n";

/* What a file is, known before anything is sent. */
struct outgoing {
    const char *path;
    char sop_class[UID_MAX + 1];
    char sop_instance[UID_MAX + 1];
    char transfer_syntax[UID_MAX + 1];
    uint64_t data_set_offset;
    size_t context;
};

struct sending {
    const char *host, *port;
    struct span calling_ae, called_ae;
    struct outgoing *files; /* owned */
    size_t file_count;
    size_t kept, failed;
};

static void report(struct sending *s, const char *path, bool kept, const char *text)
{
    s->kept += kept;
    s->failed += !kept;
    printf("%s: %s\n", path, text);
    fflush(stdout);
}

/* ---- looking at a file ---- */

/* Its first bytes, at most cap; *len of them. */
static bool read_head(const char *path, uint8_t *head, size_t cap, size_t *len, struct error *err)
{
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_errno(err, "open");
    *len = 0;
    while (*len < cap) {
        ssize_t n = read(fd, &head[*len], cap - *len);

        if (n < 0)
            return error_errno(err, "read");
        if (n == 0)
            break;
        *len += (size_t)n;
    }
    return true;
}

/* The data set's own UIDs; what it lacks there, the File Meta Information says. */
static bool look(struct walker *w, struct outgoing *f, struct span head, struct error *err)
{
    struct part10 file;
    struct span sop_class, sop_instance;

    if (!part10_read(head, &file, err))
        return false;
    f->data_set_offset = file.data_set_offset;
    sop_class = file.sop_class_uid;
    sop_instance = file.sop_instance_uid;
    if (file.syntax && walker_begin(w, file.syntax, NULL)) {
        (void)walker_feed(w, span_part(head, file.data_set_offset, LOOK_BYTES), NULL); /* as far as it can be read */
        if (walker_value(w, FIELD_SOP_CLASS).len > 0)
            sop_class = walker_value(w, FIELD_SOP_CLASS);
        if (walker_value(w, FIELD_SOP_UID).len > 0)
            sop_instance = walker_value(w, FIELD_SOP_UID);
    }
    if (sop_class.len == 0 || !span_to_str(sop_class, f->sop_class, sizeof f->sop_class))
        return error_set(err, ERR_MALFORMED, "no SOP Class UID");
    if (sop_instance.len == 0 || !span_to_str(sop_instance, f->sop_instance, sizeof f->sop_instance))
        return error_set(err, ERR_MALFORMED, "no SOP Instance UID");
    if (!span_to_str(file.transfer_syntax_uid, f->transfer_syntax, sizeof f->transfer_syntax))
        return error_set(err, ERR_MALFORMED, "no Transfer Syntax UID");
    return true;
}

static bool look_at(struct walker *w, struct outgoing *f, uint8_t *head, size_t most, struct error *err)
{
    size_t len = 0;

    return read_head(f->path, head, most, &len, err) && look(w, f, span_of(head, len), err);
}

/* Fills s->files with what can be sent; what cannot is reported. */
static bool look_at_all(struct sending *s, char **paths, size_t count, struct error *err)
{
    struct walker *w = walker_new(err);
    uint8_t *head = malloc(PART10_HEAD_MAX);

    s->files = calloc(count, sizeof *s->files);
    if (w && head && s->files)
        for (size_t i = 0; i < count; i++) {
            struct outgoing *f = &s->files[s->file_count];
            struct error why = { 0 };

            *f = (struct outgoing){ .path = paths[i] };
            if (look_at(w, f, head, FIRST_LOOK_BYTES, &why)
                || (why.code == ERR_TRUNCATED && look_at(w, f, head, PART10_HEAD_MAX, &why)))
                s->file_count++;
            else
                report(s, paths[i], false, why.text);
        }
    else
        error_set(err, ERR_MEMORY, "no memory for %zu files", count);
    walker_free(w);
    free(head);
    return w && head && s->files;
}

/* ---- sending ---- */

static bool file_source(void *context, uint8_t *out, size_t cap, size_t *len, struct error *err)
{
    ssize_t n = read(*(int *)context, out, cap);

    if (n < 0)
        return error_errno(err, "read");
    *len = (size_t)n;
    return true;
}

/* False where the association is over. */
static bool send_file(struct sending *s, struct scu *scu, const struct outgoing *f)
{
    CLEANUP(file_close) int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    struct error err = { 0 };
    uint16_t status = 0;
    char text[32];

    if (fd < 0 || lseek(fd, (off_t)f->data_set_offset, SEEK_SET) < 0) {
        error_errno(&err, "open");
        report(s, f->path, false, err.text);
        return true;
    }
    if (!scu_store(scu, f->context, span_str(f->sop_class), span_str(f->sop_instance), file_source, &fd, &status,
                   &err)) {
        report(s, f->path, false, err.text);
        return false;
    }
    (void)snprintf(text, sizeof text, "%s %04X", status_is_kept(status) ? "kept" : "refused", status);
    report(s, f->path, status_is_kept(status), text);
    return true;
}

/* The contexts that files from `first` on need, at most CONTEXTS_MAX; returns the file behind the last one served. */
static size_t gather(struct sending *s, size_t first, struct scu_context *contexts, size_t *count)
{
    size_t i = first;

    for (*count = 0; i < s->file_count; i++) {
        struct outgoing *f = &s->files[i];
        size_t c = 0;

        while (c < *count
               && !(span_equal(contexts[c].sop_class_uid, span_str(f->sop_class))
                    && span_equal(contexts[c].transfer_syntax_uid, span_str(f->transfer_syntax))))
            c++;
        if (c == CONTEXTS_MAX)
            break;
        if (c == *count)
            contexts[(*count)++] = (struct scu_context){ span_str(f->sop_class), span_str(f->transfer_syntax), false };
        f->context = c;
    }
    return i;
}

/* One association for files from `first` on; returns the first file that is still to be sent. */
static size_t send_some(struct sending *s, size_t first)
{
    struct scu_context contexts[CONTEXTS_MAX];
    size_t count, end = gather(s, first, contexts, &count), i;
    struct error err = { 0 };
    struct scu *scu = scu_open(s->host, s->port, s->calling_ae, s->called_ae, contexts, count, &err);
    bool standing = scu != NULL;

    for (i = first; i < end && (standing || !scu); i++) {
        const struct outgoing *f = &s->files[i];

        if (!scu)
            report(s, f->path, false, err.text);
        else if (!contexts[f->context].accepted)
            report(s, f->path, false, "presentation context not accepted");
        else
            standing = send_file(s, scu, f);
    }
    scu_close(scu);
    return i;
}

/* HOST:PORT or [ADDRESS]:PORT, cut in place. */
static bool split_address(char *address, const char **host, const char **port)
{
    char *colon = strrchr(address, ':');

    if (!colon || colon == address || colon[1] == '\0')
        return false;
    *colon = '\0';
    *port = colon + 1;
    *host = address;
    if (address[0] == '[' && colon[-1] == ']') {
        colon[-1] = '\0';
        *host = address + 1;
    }
    return true;
}

/* Usage is right, or an exit status in *status. */
static bool read_arguments(int argc, char **argv, struct sending *s, int *status)
{
    static const struct option options[] = { { "aet", required_argument, NULL, 't' },
                                             { "aec", required_argument, NULL, 'c' },
                                             { "help", no_argument, NULL, 'h' },
                                             { NULL, 0, NULL, 0 } };
    int option;

    *status = EXIT_USAGE;
    optind = 1;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 't')
            s->calling_ae = span_str(optarg);
        else if (option == 'c')
            s->called_ae = span_str(optarg);
        else {
            (void)fputs(usage, option == 'h' ? stdout : stderr);
            *status = option == 'h' ? EXIT_OK : EXIT_USAGE;
            return false;
        }
    }
    if (argc - optind < 2 || !split_address(argv[argc - 1], &s->host, &s->port) || s->calling_ae.len > 16
        || s->called_ae.len > 16 || s->calling_ae.len == 0 || s->called_ae.len == 0) {
        (void)fputs(usage, stderr);
        return false;
    }
    return true;
}

int cmd_send(int argc, char **argv)
{
    struct sending s = { .calling_ae = SPAN_LIT("FANALSEND"), .called_ae = SPAN_LIT("FANAL") };
    struct error err = { 0 };
    int status;

    if (!read_arguments(argc, argv, &s, &status))
        return status;
    if (!look_at_all(&s, &argv[optind], (size_t)(argc - 1 - optind), &err)) {
        (void)fprintf(stderr, "fanal send: %s\n", err.text);
        free(s.files);
        return EXIT_SAID_NO;
    }
    for (size_t next = 0; next < s.file_count;)
        next = send_some(&s, next);
    free(s.files);
    return s.failed == 0 ? EXIT_OK : EXIT_SAID_NO;
}
