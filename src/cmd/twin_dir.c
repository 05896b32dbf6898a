/* A twin's directory. See twin_dir.h. */
#include "cmd/twin_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "record/field.h"
#include "vault/twin.h"

#define PEM_NAME "twin.pem"

bool twin_dir_is(const char *dir)
{
    return twin_is_here(dir);
}

static bool make_pem(const char *path, struct error *err)
{
    struct writer key = writer_new(TWIN_PEM_BYTES_MAX), certificate = writer_new(TWIN_PEM_BYTES_MAX);
    bool ok = pinned_make("fanal twin", &key, &certificate, err);

    write_span(&key, writer_span(&certificate));
    ok = ok && writer_ok(&key, err, PEM_NAME) && file_write_new(path, writer_span(&key), err);
    if (key.ptr != NULL)
        explicit_bzero(key.ptr, key.len);
    writer_done(&key);
    writer_done(&certificate);
    return ok;
}

bool twin_pem_read(const char *dir, struct writer *pem, struct error *err)
{
    char path[PATH_MAX];

    if (!path_join(path, sizeof path, dir, PEM_NAME, err))
        return false;
    if (access(path, F_OK) != 0 && !make_pem(path, err))
        return false;
    return file_slurp(path, pem, err) || error_within(err, "%s", path);
}

bool pull_settings(const char *dir, const struct conf *conf, struct writer *out, struct error *err)
{
    struct writer pem = writer_new(TWIN_PEM_BYTES_MAX);
    bool ok = twin_pem_read(dir, &pem, err);

    if (ok && conf->following.pin[0] == '\0')
        ok = error_set(err, ERR_USAGE, "fanal.conf: [follow] pin belongs to [follow] first");
    field_put_str(out, FIELD_TWIN, conf->following.first);
    field_put_str(out, FIELD_CERTIFICATE, conf->following.pin);
    field_put_bytes(out, FIELD_TLS_PEM, writer_span(&pem));
    if (pem.ptr != NULL)
        explicit_bzero(pem.ptr, pem.len);
    writer_done(&pem);
    return ok && writer_ok(out, err, "settings");
}

static void write_conf(const char *first, const char *pin, struct writer *w)
{
    write_str(w, "# A twin (docs/twin.md). Doors but https open when it is promoted.\n\n[follow]\n");
    if (first[0] != '\0')
        write_printf(w, "first = %s\npin = %s\n", first, pin);
    write_str(w, "#alarm = 15\n\n[listen]\ndicom = 127.0.0.1:11112\nhl7 = 127.0.0.1:2575\nhttps = 127.0.0.1:8443\n");
}

bool twin_dir_make(const char *dir, const char *first, const char *pin, struct error *err)
{
    static const struct log log = { .fd = STDERR_FILENO, .least = LOG_WARN, .clock = &clock_system };
    struct store_options options = { .clock = &clock_system, .log = &log };
    struct writer conf = writer_new(4096), pem = writer_new(TWIN_PEM_BYTES_MAX);
    char path[PATH_MAX];
    bool ok;

    if (!path_join(path, sizeof path, dir, "fanal.conf", err))
        return false;
    if (access(path, F_OK) == 0)
        return error_set(err, ERR_EXISTS, "%s has a fanal.conf already", dir);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return error_errno(err, "%s", dir);
    write_conf(first, pin, &conf);
    ok = twin_create(dir, &options, err) && twin_pem_read(dir, &pem, err) && file_write_new(path, writer_span(&conf), err);
    writer_done(&conf);
    writer_done(&pem);
    return ok;
}

/* ---- after a promotion ---- */

static struct span next_line(struct span *rest)
{
    size_t end = span_index(*rest, '\n');
    struct span line = span_part(*rest, 0, end < rest->len ? end + 1 : end);

    *rest = span_part(*rest, line.len, rest->len);
    return line;
}

static bool begins(struct span line, const char *section)
{
    return span_starts(span_trim(line, " \t"), span_str(section));
}

/* The lines of `text` that are within ([listen]) or without (all but [listen], [twin …], [follow]). */
static void copy_sections(struct span text, bool listen, struct writer *out)
{
    bool take = !listen;

    while (text.len > 0) {
        struct span line = next_line(&text);

        if (begins(line, "["))
            take = listen == begins(line, "[listen]") && !begins(line, "[twin") && !begins(line, "[follow");
        if (take)
            write_span(out, line);
    }
}

void twin_conf_merge(struct span own, struct span first, struct writer *out)
{
    copy_sections(first, false, out);
    write_str(out, "\n");
    copy_sections(own, true, out);
}

void twin_conf_comment(struct span text, const unsigned *lines, size_t count, struct writer *out)
{
    bool within = false;

    for (unsigned n = 1; text.len > 0; n++) {
        struct span line = next_line(&text);

        if (begins(line, "["))
            within = false;
        if (count > 0 && *lines == n) {
            within = true;
            lines++;
            count--;
        }
        if (within)
            write_str(out, "#");
        write_span(out, line);
    }
}

/* As serve looks for it: below DIR where it is no absolute path. */
static bool lacks_ca(const char *dir, const struct conf_anchor *a)
{
    char file[PATH_MAX];

    if (a->ca[0] == '\0')
        return false;
    return (a->ca[0] == '/' ? !span_to_str(span_str(a->ca), file, sizeof file) : !path_join(file, sizeof file, dir, a->ca, NULL))
           || access(file, R_OK) != 0;
}

/* A lantern comes on without its anchors, too. */
static void leave_out_anchors(const char *dir, const struct conf *conf, struct span text, struct writer *out)
{
    unsigned lines[CONF_ANCHORS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < conf->anchor_count; i++) { /* in the order of the text */
        const struct conf_anchor *a = &conf->anchors[i];

        if (!lacks_ca(dir, a))
            continue;
        lines[count++] = a->line;
        (void)printf("[%s %s] is commented out in fanal.conf: its ca, %s, is not on this machine\n",
                     a->is_witness ? "witness" : "timestamp", a->name, a->ca);
    }
    twin_conf_comment(text, lines, count, out);
}

bool twin_conf_promote(const char *dir, struct error *err)
{
    struct writer own = writer_new(CONF_BYTES_MAX), first = writer_new(CONF_BYTES_MAX), both = writer_new(CONF_BYTES_MAX);
    struct writer out = writer_new(CONF_BYTES_MAX);
    char path[PATH_MAX], kept[PATH_MAX], theirs[PATH_MAX], fresh[PATH_MAX];
    struct conf conf;
    bool ok = path_join(path, sizeof path, dir, "fanal.conf", err)
              && path_join(kept, sizeof kept, dir, "fanal.conf.twin", err)
              && path_join(fresh, sizeof fresh, dir, "fanal.conf.new", err)
              && path_join(theirs, sizeof theirs, dir, "vault/first.conf", err) && file_slurp(path, &own, err);

    if (ok && access(kept, F_OK) != 0 && file_slurp(theirs, &first, NULL)) {
        twin_conf_merge(writer_span(&own), writer_span(&first), &both);
        (void)unlink(fresh);
        ok = writer_ok(&both, err, "fanal.conf") && conf_parse(writer_span(&both), &conf, err);
        if (ok) {
            leave_out_anchors(dir, &conf, writer_span(&both), &out);
            conf_done(&conf);
        }
        ok = ok && writer_ok(&out, err, "fanal.conf") && file_write_new(fresh, writer_span(&out), err);
        if (ok && (link(path, kept) != 0 || rename(fresh, path) != 0))
            ok = error_errno(err, "%s", path);
    }
    writer_done(&own);
    writer_done(&first);
    writer_done(&both);
    writer_done(&out);
    return ok;
}
