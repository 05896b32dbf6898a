/* Step files of a folder. See step_folder.h. */
#include "cmd/step_folder.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cmd/conf.h"
#include "cmd/step_file.h"

struct found {
    uint64_t from, to;
};

struct folder {
    struct twin *t;
    const char *path;
    struct found *files; /* owned; sorted */
    size_t count, cap;
    char worst[STEP_NAME_SIZE]; /* the last that could not be taken */
};

static int in_order(const void *a, const void *b)
{
    const struct found *x = a, *y = b;

    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

static bool found_add(struct folder *f, uint64_t from, uint64_t to, struct error *err)
{
    if (f->count == STEP_FOLDER_MAX)
        return error_set(err, ERR_LIMIT, "%s holds more than %u steps", f->path, STEP_FOLDER_MAX);
    if (f->count == f->cap) {
        size_t cap = f->cap == 0 ? 256 : f->cap * 2;
        struct found *more = realloc(f->files, cap * sizeof *more);

        if (more == NULL)
            return error_set(err, ERR_MEMORY, "no memory for the names of %zu steps", cap);
        f->files = more;
        f->cap = cap;
    }
    f->files[f->count++] = (struct found){ from, to };
    return true;
}

static bool look(struct folder *f, struct error *err)
{
    DIR *d = opendir(f->path);
    struct dirent *e;
    bool ok = true;

    if (d == NULL)
        return error_errno(err, "%s", f->path);
    while (ok && (e = readdir(d)) != NULL) {
        uint64_t from, to;

        if (step_name_parse(e->d_name, &from, &to))
            ok = found_add(f, from, to, err);
    }
    (void)closedir(d);
    if (f->count > 0)
        qsort(f->files, f->count, sizeof *f->files, in_order);
    return ok;
}

bool step_folder_is(const char *folder)
{
    struct folder f = { .path = folder };
    bool some = look(&f, NULL) && f.count > 0;

    free(f.files);
    return some;
}

static void keep_conf(struct folder *f, const struct twin_source *source)
{
    struct follow_range range = { .part = FOLLOW_CONF };
    uint8_t *text = malloc(CONF_BYTES_MAX);
    struct error err = { 0 };
    size_t got = 0;

    if (text == NULL || !source->read(source->context, &range, text, CONF_BYTES_MAX, &got, &err)
        || !twin_keep_conf(f->t, span_of(text, got), &err))
        (void)fprintf(stderr, "the first's configuration is not kept: %s\n", err.text);
    free(text);
}

static bool take(struct folder *f, const struct found *file, struct error *err)
{
    char name[STEP_NAME_SIZE], path[PATH_MAX];
    struct twin_figures figures;
    struct twin_source source;
    struct step_file *step;
    bool ok, more;

    step_name(file->from, file->to, name);
    if (!path_join(path, sizeof path, f->path, name, err) || (step = step_open(path, err)) == NULL)
        return false;
    twin_figures(f->t, &figures);
    if (memcmp(step_head(step)->vault_id, figures.vault_id, VAULT_ID_BYTES) != 0)
        ok = error_set(err, ERR_MALFORMED, "%s is of another vault", path);
    else if (step_from(step) != file->from || step_head(step)->size != file->to)
        ok = error_set(err, ERR_MALFORMED, "%s is not what its name says", path);
    else {
        source = step_source(step, figures.public_key);
        ok = twin_round(f->t, &source, &more, err) || error_within(err, "%s", name);
        if (ok)
            keep_conf(f, &source);
    }
    step_close(step);
    return ok;
}

/* Passed over: what the way has damaged, and what does not verify, may come again under the same name or in another file. */
static bool passes(const struct error *why)
{
    return why->code == ERR_DAMAGED || why->code == ERR_MALFORMED || why->code == ERR_TRUNCATED || why->code == ERR_UNSUPPORTED
           || why->code == ERR_NOT_FOUND;
}

static uint64_t records_of(const struct folder *f)
{
    struct twin_figures figures;

    twin_figures(f->t, &figures);
    return figures.size;
}

/* What is left to take, and cannot be: behind a gap, or in a file that is not whole. */
static bool say_what_waits(const struct folder *f, struct error *err)
{
    uint64_t have = records_of(f), next = UINT64_MAX;

    for (size_t i = 0; i < f->count; i++)
        if (f->files[i].from > have && f->files[i].from < next)
            next = f->files[i].from;
    if (next != UINT64_MAX)
        return error_set(err, ERR_DAMAGED, "waits for record %" PRIu64 "%s%s: the next step here begins with record %" PRIu64, have,
                         f->worst[0] != '\0' ? ", which is in " : "", f->worst, next);
    return f->worst[0] == '\0' || error_set(err, ERR_DAMAGED, "waits for record %" PRIu64 ", which is in %s", have, f->worst);
}

bool step_folder_take(struct twin *t, const char *folder, struct error *err)
{
    struct folder f = { .t = t, .path = folder };
    bool ok = look(&f, err);

    for (size_t i = 0; ok && i < f.count; i++) {
        uint64_t have = records_of(&f);
        struct error why = { .code = ERR_NONE };

        if (f.files[i].to <= have)
            continue;
        if (f.files[i].from > have)
            break;
        if (take(&f, &f.files[i], &why)) {
            f.worst[0] = '\0';
        } else if (passes(&why)) {
            (void)fprintf(stderr, "%s\n", why.text);
            step_name(f.files[i].from, f.files[i].to, f.worst);
        } else {
            ok = error_set(err, why.code, "%s", why.text);
        }
    }
    ok = ok && say_what_waits(&f, err);
    free(f.files);
    return ok;
}
