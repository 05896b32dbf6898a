/*
 * Body files of which nothing can be read any more are removed (docs/erasure.md, "Files"). Keys decide: a file goes when
 * the data key of every entry in it has been destroyed. Entries, leaves and proofs stay.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/scrub.h"

/* What the log says of a shared body file. */
enum file_state { FILE_UNKNOWN, FILE_ERASED, FILE_LIVE };

struct expiry {
    struct store *s;
    struct erased_files files;
    uint32_t last[BODY_CLASS_COUNT]; /* the number that was met last */
    bool unsure[BODY_CLASS_COUNT];   /* an entry before could not be read: its body may lie in the next file */
    struct expired *out;             /* NULL: nothing is removed */
};

static bool file_is(struct expiry *x, uint32_t number, enum file_state state, struct error *err)
{
    struct erased_files *f = &x->files;

    if (number >= f->count) {
        size_t count = (size_t)number + 1024;
        uint8_t *more = realloc(f->states, count);

        if (more == NULL)
            return error_set(err, ERR_MEMORY, "no memory to look for files");
        memset(more + f->count, FILE_UNKNOWN, count - f->count);
        f->states = more;
        f->count = count;
    }
    if (state > f->states[number])
        f->states[number] = (uint8_t)state;
    return true;
}

/* Whatever lay here: the files around it stay. */
static bool entry_lost(struct expiry *x, struct error *err)
{
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++) {
        x->unsure[c] = true;
        if (x->last[c] != 0 && !file_is(x, x->last[c], FILE_LIVE, err))
            return false;
    }
    return true;
}

static bool remove_file(struct expiry *x, const char *name, const char *dir, struct error *err)
{
    struct store *s = x->s;
    char path[DISK_PATH_MAX];
    uint64_t size = 0;

    disk_path(&s->disk, name, path);
    {
        CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
            return true; /* gone already */
        (void)file_size(fd, &size, NULL);
    }
    /* The seal first: a seal without its file would be taken for a loss; one that such a file lacks is missed by nobody. */
    if (!sidecar_drop(s, name, err) || !disk_sync_dir(&s->disk, dir, err) || !disk_unlink(&s->disk, name, err)
        || !disk_sync_dir(&s->disk, dir, err))
        return false;
    x->out->files++;
    x->out->bytes += size;
    return true;
}

static bool look_at(struct expiry *x, const struct entry_header *h, struct error *err)
{
    bool erased = keyring_slot_state(x->s->keyring, h->slot) == SLOT_ERASED;
    char name[NAME_BYTES_MAX];

    if (!h->has_body)
        return true;
    if (h->large) {
        large_name(h->name, true, name);
        return !erased || x->out == NULL || remove_file(x, name, "body/large", err);
    }
    x->last[h->body_class - 1] = h->place.number;
    if (x->unsure[h->body_class - 1] && !file_is(x, h->place.number, FILE_LIVE, err))
        return false;
    x->unsure[h->body_class - 1] = false;
    return file_is(x, h->place.number, erased ? FILE_ERASED : FILE_LIVE, err);
}

static bool walk(struct expiry *x, struct error *err)
{
    uint64_t until = atomic_load(&x->s->confirmed_size);
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    bool ok = true;

    for (uint64_t p = 0; ok && p < until; p++) {
        struct error why = { 0 };
        struct entry_header h;

        if (entry_find(x->s, p, &h, &entry, &why))
            ok = look_at(x, &h, err);
        else
            ok = why.code == ERR_DAMAGED ? entry_lost(x, err) : error_set(err, why.code, "%s", why.text);
    }
    writer_done(&entry);
    return ok;
}

bool erased_files_find(struct store *s, struct erased_files *out, struct error *err)
{
    struct expiry x = { .s = s };
    bool ok = walk(&x, err);

    *out = x.files;
    return ok;
}

bool erased_files_has(const struct erased_files *f, uint32_t number)
{
    return number < f->count && f->states[number] == FILE_ERASED;
}

void erased_files_done(struct erased_files *f)
{
    free(f->states);
}

/* The file that bodies are put into, and what is newer, stays. */
static bool is_over(struct expiry *x, const struct body_file in_use[BODY_CLASS_COUNT], enum body_class c, uint32_t number)
{
    return number < in_use[c - 1].number && erased_files_has(&x->files, number);
}

static bool remove_shared(struct expiry *x, enum body_class c, const struct body_file in_use[BODY_CLASS_COUNT],
                          struct error *err)
{
    char after[SIDECAR_NAME_BYTES + 1] = "";
    struct name_list l = { .more = true };
    bool ok = true;

    while (ok && l.more) {
        ok = names_load(&l, x->s, body_class_dirs[c], after, err);
        for (; ok && l.at < l.count; l.at++) {
            const char *name = l.names[l.at];
            unsigned month, number;

            if (sscanf(name + strlen(body_class_dirs[c]), "/%6u-%8u.body", &month, &number) == 2
                && is_over(x, in_use, c, number))
                ok = remove_file(x, name, body_class_dirs[c], err);
        }
        if (ok && l.count > 0)
            memcpy(after, l.names[l.count - 1], sizeof after);
    }
    free(l.names);
    return ok;
}

bool store_remove_erased(struct store *s, struct expired *out, struct error *err)
{
    struct expiry x = { .s = s, .out = out };
    struct body_file in_use[BODY_CLASS_COUNT];
    bool ok;

    *out = (struct expired){ .files = 0 };
    if (s->read_only)
        return error_set(err, ERR_REFUSED, "the store is open for reading");
    if (s->sealer != NULL) { /* nobody seals or mends what goes */
        atomic_store(&s->sealer->hurry, true);
        (void)pthread_mutex_lock(&s->sealer->work);
    }
    (void)pthread_mutex_lock(&s->lock);
    memcpy(in_use, s->told.marker.in_use, sizeof in_use);
    (void)pthread_mutex_unlock(&s->lock);
    ok = walk(&x, err);
    for (unsigned c = 1; ok && c <= BODY_CLASS_COUNT; c++)
        ok = remove_shared(&x, (enum body_class)c, in_use, err);
    if (s->sealer != NULL) {
        (void)pthread_mutex_unlock(&s->sealer->work);
        atomic_store(&s->sealer->hurry, false);
        sealer_wake(s);
    }
    if (out->files > 0)
        store_add_up(s);
    erased_files_done(&x.files);
    return ok;
}
