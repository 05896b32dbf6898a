/*
 * Bodies on a twin: fetched behind what is there, checked against their entries, synced before the log
 * (docs/twin.md, "The twin's side", 5 and 7).
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "vault/sidecar.h"
#include "vault/twin_internal.h"

/* The highest number of any body file so far: a new one lies above. */
static uint32_t highest_number(const struct twin_round *r)
{
    uint32_t most = 0;

    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        if (r->files[c].number > most)
            most = r->files[c].number;
    return most;
}

/* Opens the class's file for writing behind r->files[c].length, cut there: what lies behind is nobody's. */
static bool open_file(struct twin_round *r, size_t c, bool fresh, struct error *err)
{
    struct store *s = r->t->store;
    struct open_file *out = &r->body_out[c];
    char name[NAME_BYTES_MAX];

    if (out->fd >= 0 && out->number == r->files[c].number)
        return true;
    if (out->fd >= 0
        && ((r->fetched[c] > r->ended[c] && !disk_truncate(&s->disk, out->fd, r->ended[c], err))
            || !disk_sync(&s->disk, out->fd, err)))
        return false;
    disk_close(&s->disk, &out->fd);
    body_name((enum body_class)(c + 1), &r->files[c], name);
    if (fresh && !sidecar_drop(s, name, err))
        return false;
    r->new_files += fresh;
    out->fd = disk_open(&s->disk, name, fresh ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR | O_CREAT, err);
    if (out->fd < 0)
        return false;
    out->number = r->files[c].number;
    r->body_new[c] = r->body_new[c] || fresh;
    r->fetched[c] = r->files[c].length;
    return fresh || disk_truncate(&s->disk, out->fd, r->files[c].length, err);
}

/* A body that the first has no more (expired there): its place stays empty, and that is told. */
static bool leave_out(struct twin_round *r, const char *what, uint64_t number)
{
    r->known.missing++;
    log_warn(r->t->store->log, "twin.body-missing", f_str("what", what), f_uint("number", number),
             f_uint("missing", r->known.missing));
    return true;
}

/*
 * Bytes [files[c].length, upto) of the class's file in use, and as many behind them as come with the same answer: a
 * question for each body would cost more than its bytes. *absent: the first has no such file any more.
 */
static bool fetch_up_to(struct twin_round *r, size_t c, uint64_t upto, bool *absent, struct error *err)
{
    struct body_file *f = &r->files[c];
    struct follow_range range = {
        .part = FOLLOW_BODY_FILE, .body_class = (enum body_class)(c + 1), .month = f->month, .number = f->number
    };

    *absent = false;
    while (r->fetched[c] < upto) {
        size_t got = 0;

        range.offset = r->fetched[c];
        if (!r->source->read(r->source->context, &range, r->piece, TWIN_READ_MAX, &got, err)) {
            *absent = err->code == ERR_NOT_FOUND;
            return false;
        }
        if (got == 0 || got > TWIN_READ_MAX)
            return error_set(err, ERR_DAMAGED, "body file %u of the first ends early", f->number);
        if (!disk_write_at(&r->t->store->disk, r->body_out[c].fd, span_of(r->piece, got), r->fetched[c], err))
            return false;
        r->fetched[c] += got;
    }
    r->body_bytes += upto - f->length;
    f->length = upto;
    return true;
}

/* A file that is left for the next one ends on a block of its class. */
static bool end_file(struct twin_round *r, size_t c, bool *absent, struct error *err)
{
    uint64_t end = body_aligned((enum body_class)(c + 1), r->files[c].length);

    if (end == r->files[c].length || (open_file(r, c, false, err) && fetch_up_to(r, c, end, absent, err)))
        return true;
    if (!*absent)
        return false;
    *absent = false; /* what this is about is the next file */
    r->files[c].length = end;
    return true;
}

/* Makes the class's file in use reach to want->length of want's file. *absent as fetch_up_to. */
static bool reach(struct twin_round *r, size_t c, const struct body_file *want, bool *absent, struct error *err)
{
    struct body_file *f = &r->files[c];
    bool fresh = want->number != f->number;

    *absent = false;
    if (fresh && want->number <= highest_number(r))
        return error_set(err, ERR_REFUSED, "body file %u is older than one that is here", want->number);
    if (!fresh && (want->month != f->month || want->length < f->length))
        return error_set(err, ERR_REFUSED, "body file %u would be written again", want->number);
    if (fresh && f->number != 0 && !end_file(r, c, absent, err))
        return false;
    r->ended[c] = f->length;
    if (fresh)
        *f = (struct body_file){ .month = want->month, .number = want->number };
    return open_file(r, c, fresh, err) && fetch_up_to(r, c, want->length, absent, err);
}

bool twin_take_rest(struct twin_round *r, enum body_class c, const struct body_file *want, struct error *err)
{
    bool absent;

    if (want->number == 0 && r->files[c - 1].number == 0)
        return true;
    if (reach(r, c - 1, want, &absent, err))
        return true;
    if (!absent)
        return false;
    r->files[c - 1].length = want->length;
    return leave_out(r, "body file", want->number);
}

/* A body with a file of its own, under the name it has before it is confirmed. */
static bool fetch_large(struct twin_round *r, const struct entry_header *h, bool *absent, struct error *err)
{
    struct store *s = r->t->store;
    struct follow_range range = { .part = FOLLOW_LARGE, .position = h->position };
    uint64_t end = body_stored_bytes(h->body_bytes);
    char name[NAME_BYTES_MAX];
    bool ok = true;
    int fd;

    *absent = false;
    memcpy(range.name, h->name, sizeof range.name);
    large_name(h->name, true, name);
    if (!sidecar_drop(s, name, err))
        return false;
    large_name(h->name, false, name);
    fd = disk_open(&s->disk, name, O_RDWR | O_CREAT | O_TRUNC, err);
    if (fd < 0)
        return false;
    while (ok && range.offset < end) {
        size_t want = end - range.offset < TWIN_READ_MAX ? (size_t)(end - range.offset) : TWIN_READ_MAX, got = 0;

        ok = r->source->read(r->source->context, &range, r->piece, want, &got, err);
        *absent = !ok && err->code == ERR_NOT_FOUND;
        if (ok && (got == 0 || got > want))
            ok = error_set(err, ERR_DAMAGED, "the body of record %llu ends early", (unsigned long long)h->position);
        ok = ok && disk_write_at(&s->disk, fd, span_of(r->piece, got), range.offset, err);
        range.offset += got;
        r->body_bytes += got;
    }
    ok = ok && disk_sync(&s->disk, fd, err);
    disk_close(&s->disk, &fd);
    if (!ok)
        (void)disk_unlink(&s->disk, name, NULL);
    return ok;
}

static bool take_large(struct twin_round *r, const struct entry_header *h, struct error *err)
{
    struct store *s = r->t->store;
    char name[NAME_BYTES_MAX];
    struct error why = { 0 };
    bool absent;

    large_name(h->name, true, name);
    if (disk_exists(&s->disk, name)) { /* of a round that was cut between its names and vault/twin */
        r->large_there = true;
        return body_check_strictly(s, &r->t->seal, h, &why)
               || (why.code == ERR_DAMAGED
                       ? error_set(err, ERR_REFUSED, "record %llu: its body would be written over another",
                                   (unsigned long long)h->position)
                       : error_set(err, why.code, "record %llu: %s", (unsigned long long)h->position, why.text));
    }
    if (!fetch_large(r, h, &absent, err))
        return absent && leave_out(r, "record", h->position);
    r->new_files++;
    write_span(&r->large, span_of(h->name, LARGE_NAME_BYTES));
    return writer_ok(&r->large, err, "names of bodies");
}

bool twin_take_body(struct twin_round *r, const struct entry_header *h, struct error *err)
{
    struct body_file want = h->place;
    bool absent = false;

    if (h->large) {
        uint32_t before = r->known.missing;

        if (!take_large(r, h, err))
            return false;
        if (r->known.missing > before)
            return true;
    } else {
        size_t c = (size_t)h->body_class - 1;
        bool same = r->files[c].number == want.number;

        if (same ? want.length < r->files[c].length : want.length < BODY_HEADER_BYTES)
            return error_set(err, ERR_REFUSED, "record %llu: its body would lie on another",
                             (unsigned long long)h->position);
        want.length += body_stored_bytes(h->body_bytes);
        if (!reach(r, c, &want, &absent, err)) {
            r->files[c].length = absent ? want.length : r->files[c].length;
            return absent && leave_out(r, "record", h->position);
        }
    }
    return body_check(r->t->store, &r->t->seal, h, NULL, err)
           || error_within(err, "record %llu", (unsigned long long)h->position);
}

bool twin_sync_bodies(struct twin_round *r, struct error *err)
{
    struct store *s = r->t->store;
    char part[NAME_BYTES_MAX], final[NAME_BYTES_MAX];

    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        if (r->body_out[c].fd >= 0
            && ((r->fetched[c] > r->files[c].length
                 && !disk_truncate(&s->disk, r->body_out[c].fd, r->files[c].length, err))
                || !disk_sync(&s->disk, r->body_out[c].fd, err)
                || (r->body_new[c] && !disk_sync_dir(&s->disk, body_class_dirs[c + 1], err))))
            return false;
    for (size_t at = 0; at < r->large.len; at += LARGE_NAME_BYTES) {
        large_name(r->large.ptr + at, false, part);
        large_name(r->large.ptr + at, true, final);
        if (!disk_rename(&s->disk, part, final, err))
            return false;
    }
    return (r->large.len == 0 && !r->large_there) || disk_sync_dir(&s->disk, "body/large", err);
}

void twin_close_bodies(struct twin_round *r)
{
    for (size_t c = 0; c < BODY_CLASS_COUNT; c++)
        disk_close(&r->t->store->disk, &r->body_out[c].fd);
}
