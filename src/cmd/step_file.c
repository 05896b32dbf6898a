/* Step files. See step_file.h; the bytes are specified in docs/twin.md, "Step files". */
#include "cmd/step_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reader.h"
#include "channel/wire.h"
#include "cmd/room/follow_fields.h"

#define HEADER_BYTES  32u /* before the head's fields */
#define PART_BYTES    64u
#define TRAILER_BYTES 48u
#define VERSION       1u
#define FLAG_ABSENT   1u

static const char name_format[] = "%020" PRIu64 "-%020" PRIu64 ".step";

void step_name(uint64_t from, uint64_t to, char out[STEP_NAME_SIZE])
{
    (void)snprintf(out, STEP_NAME_SIZE, name_format, from, to);
}

static bool digits(const char *text, uint64_t *out)
{
    uint64_t n = 0;

    for (int i = 0; i < 20; i++) {
        if (text[i] < '0' || text[i] > '9' || n > (UINT64_MAX - 9) / 10)
            return false;
        n = n * 10 + (uint64_t)(text[i] - '0');
    }
    *out = n;
    return true;
}

bool step_name_parse(const char *name, uint64_t *from, uint64_t *to)
{
    return strlen(name) == 46 && name[20] == '-' && strcmp(name + 41, ".step") == 0 && digits(name, from)
           && digits(name + 21, to);
}

/* ---- writing ---- */

static bool put(struct step_writer *w, struct span bytes, struct error *err)
{
    (void)crypto_hash_sha256_update(&w->hash, bytes.ptr, bytes.len);
    return file_write_all(w->fd, bytes, err);
}

bool step_write_begin(struct step_writer *w, int fd, const struct follow_head *head, uint64_t from, address end,
                      struct error *err)
{
    struct writer out = writer_new(HEADER_BYTES + WIRE_FIELDS_MAX), fields = writer_new(WIRE_FIELDS_MAX);
    bool ok;

    *w = (struct step_writer){ .fd = fd };
    (void)crypto_hash_sha256_init(&w->hash);
    follow_head_write(head, head->written_us, &fields);
    write_str(&out, "FANALSTP");
    write_u32le(&out, VERSION);
    write_u32le(&out, (uint32_t)fields.len);
    write_u64le(&out, from);
    write_u64le(&out, end);
    write_span(&out, writer_span(&fields));
    ok = writer_ok(&fields, err, "head") && writer_ok(&out, err, "head") && put(w, writer_span(&out), err);
    writer_done(&fields);
    writer_done(&out);
    return ok;
}

bool step_write_part(struct step_writer *w, const struct follow_range *range, bool absent, struct span bytes,
                     struct error *err)
{
    struct writer out = writer_new(PART_BYTES);
    bool ok;

    write_str(&out, "FNLP");
    write_u32le(&out, range->part);
    write_u32le(&out, absent ? FLAG_ABSENT : 0);
    write_u32le(&out, range->segment);
    write_u32le(&out, range->body_class);
    write_u32le(&out, range->month);
    write_u32le(&out, range->number);
    write_u32le(&out, (uint32_t)bytes.len);
    write_u64le(&out, range->position);
    write_u64le(&out, range->offset);
    write_u64le(&out, 0);
    write_u64le(&out, 0);
    ok = writer_ok(&out, err, "part")
         && (w->parts < STEP_PARTS_MAX || error_set(err, ERR_LIMIT, "a step of more than %u parts", STEP_PARTS_MAX))
         && put(w, writer_span(&out), err) && put(w, bytes, err);
    writer_done(&out);
    w->parts += ok;
    return ok;
}

bool step_write_end(struct step_writer *w, struct error *err)
{
    struct writer out = writer_new(TRAILER_BYTES);
    uint8_t hash[crypto_hash_sha256_BYTES];
    bool ok;

    write_str(&out, "FANALEND");
    write_u32le(&out, w->parts);
    write_u32le(&out, 0);
    ok = writer_ok(&out, err, "end") && put(w, writer_span(&out), err);
    (void)crypto_hash_sha256_final(&w->hash, hash);
    writer_done(&out);
    return ok && file_write_all(w->fd, span_of(hash, sizeof hash), err) && file_sync(w->fd, err);
}

/* ---- reading ---- */

struct part {
    uint64_t offset;   /* in what it is a part of */
    uint64_t at;       /* in the file */
    uint64_t position; /* of a large body */
    uint32_t number;   /* of the segment or body file */
    uint32_t len : 24;
    uint32_t part : 4;
    uint32_t body_class : 3;
    uint32_t absent : 1;
};

struct step_file {
    const char *path;
    int fd;
    uint64_t from;
    struct follow_head head;
    struct part *parts; /* owned */
    uint32_t count, cap;
    uint32_t last_segment;
    crypto_hash_sha256_state hash; /* while it is read */
    uint64_t at, size;
    uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES];
};

static bool get(struct step_file *f, uint8_t *out, size_t len, struct error *err)
{
    if (len > f->size - f->at)
        return error_set(err, ERR_TRUNCATED, "%s is cut short, or not all here yet", f->path);
    if (!file_read_at(f->fd, out, len, f->at, err))
        return false;
    (void)crypto_hash_sha256_update(&f->hash, out, len);
    f->at += len;
    return true;
}

static bool no_step(const struct step_file *f, struct error *err)
{
    return error_set(err, ERR_MALFORMED, "%s is no step of a fanal, or was damaged on its way", f->path);
}

static bool read_header(struct step_file *f, struct error *err)
{
    uint8_t bytes[HEADER_BYTES], fields[WIRE_FIELDS_MAX];
    struct reader r = reader_over(span_of(bytes, sizeof bytes));
    uint32_t version, len;

    if (!get(f, bytes, sizeof bytes, err))
        return false;
    read_skip(&r, 8);
    version = read_u32le(&r);
    len = read_u32le(&r);
    f->from = read_u64le(&r);
    if (memcmp(bytes, "FANALSTP", 8) != 0 || len > sizeof fields)
        return no_step(f, err);
    if (version != VERSION)
        return error_set(err, ERR_UNSUPPORTED, "%s is a step of version %u", f->path, version);
    if (!get(f, fields, len, err))
        return false;
    return (wire_fields_check(span_of(fields, len), NULL) && follow_head_read(span_of(fields, len), &f->head, NULL))
           || no_step(f, err);
}

static struct part *part_add(struct step_file *f, struct error *err)
{
    if (f->count == STEP_PARTS_MAX) {
        (void)no_step(f, err);
        return NULL;
    }
    if (f->count == f->cap) {
        uint32_t cap = f->cap == 0 ? 64 : f->cap * 2;
        struct part *more = realloc(f->parts, cap * sizeof *more);

        if (more == NULL) {
            (void)error_set(err, ERR_MEMORY, "no memory for a step of %u parts", cap);
            return NULL;
        }
        f->parts = more;
        f->cap = cap;
    }
    return &f->parts[f->count++];
}

/* The head of a part; the next 8 bytes say which of a part and the end it is. */
static bool read_part(struct step_file *f, const uint8_t begun[8], uint8_t *piece, struct error *err)
{
    uint8_t rest[PART_BYTES - 8];
    struct reader r = reader_over(span_of(rest, sizeof rest));
    uint32_t part = begun[4], flags, segment, body_class, number, len;
    struct part *p;

    if (!get(f, rest, sizeof rest, err))
        return false;
    flags = read_u32le(&r);
    segment = read_u32le(&r);
    body_class = read_u32le(&r);
    read_skip(&r, 4); /* month: the number is enough */
    number = read_u32le(&r);
    len = read_u32le(&r);
    if (memcmp(begun, "FNLP", 4) != 0 || part < FOLLOW_LOG || part > FOLLOW_CONF || body_class > BODY_CLASS_COUNT
        || len > STEP_PIECE_MAX || flags > FLAG_ABSENT)
        return no_step(f, err);
    if ((p = part_add(f, err)) == NULL)
        return false;
    *p = (struct part){ .number = part == FOLLOW_LOG ? segment : number, .len = len & 0xffffff, .part = part & 0xf,
                        .body_class = body_class & 7, .absent = flags & FLAG_ABSENT };
    p->position = read_u64le(&r);
    p->offset = read_u64le(&r);
    p->at = f->at;
    if (part == FOLLOW_LOG && segment > f->last_segment)
        f->last_segment = segment;
    return get(f, piece, len, err);
}

static bool read_parts(struct step_file *f, uint8_t *piece, struct error *err)
{
    uint8_t begun[8], rest[8], hash[crypto_hash_sha256_BYTES], said[crypto_hash_sha256_BYTES];

    for (;;) {
        if (!get(f, begun, sizeof begun, err))
            return false;
        if (memcmp(begun, "FANALEND", 8) == 0)
            break;
        if (!read_part(f, begun, piece, err))
            return false;
    }
    if (!get(f, rest, sizeof rest, err))
        return false;
    (void)crypto_hash_sha256_final(&f->hash, hash);
    if (!get(f, said, sizeof said, err))
        return false;
    if (memcmp(hash, said, sizeof hash) != 0 || f->at != f->size)
        return error_set(err, ERR_DAMAGED, "%s was damaged on its way: its hash is another", f->path);
    return true;
}

struct step_file *step_read(int fd, const char *path, struct error *err)
{
    struct step_file *f = calloc(1, sizeof *f);
    uint8_t *piece = malloc(STEP_PIECE_MAX);
    bool ok = (f != NULL && piece != NULL) || error_set(err, ERR_MEMORY, "no memory for a step");

    if (f == NULL)
        file_close(&fd);
    if (ok) {
        (void)crypto_hash_sha256_init(&f->hash);
        f->path = path;
        ok = file_size(fd, &f->size, err);
    }
    if (f != NULL)
        f->fd = fd;
    ok = ok && read_header(f, err) && read_parts(f, piece, err);
    free(piece);
    if (ok)
        return f;
    step_close(f);
    return NULL;
}

struct step_file *step_open(const char *path, struct error *err)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0)
        return step_read(fd, path, err);
    (void)error_errno(err, "%s", path);
    return NULL;
}

void step_close(struct step_file *f)
{
    if (f == NULL)
        return;
    file_close(&f->fd);
    free(f->parts);
    free(f);
}

const struct follow_head *step_head(const struct step_file *f)
{
    return &f->head;
}

uint64_t step_from(const struct step_file *f)
{
    return f->from;
}

/* ---- as a source ---- */

static bool is_of(const struct part *p, const struct follow_range *r)
{
    if (p->part != (uint32_t)r->part)
        return false;
    switch (r->part) {
    case FOLLOW_LOG:
        return p->number == r->segment;
    case FOLLOW_BODY_FILE:
        return p->number == r->number && p->body_class == (uint32_t)r->body_class;
    case FOLLOW_LARGE:
        return p->position == r->position;
    case FOLLOW_KEYRING:
    case FOLLOW_CONF:
        return true;
    }
    return false;
}

/* Parts of one thing lie in the order of their offsets. What is behind the last one is its end. */
static bool read_range(void *context, const struct follow_range *range, uint8_t *out, size_t len, size_t *got,
                       struct error *err)
{
    struct step_file *f = context;

    *got = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct part *p = &f->parts[i];

        if (!is_of(p, range))
            continue;
        if (p->absent)
            return error_set(err, ERR_NOT_FOUND, "the first had it no more");
        if (range->offset < p->offset || range->offset - p->offset >= p->len)
            continue;
        *got = (size_t)(p->len - (range->offset - p->offset));
        *got = *got < len ? *got : len;
        return file_read_at(f->fd, out, *got, p->at + (range->offset - p->offset), err);
    }
    if (range->part == FOLLOW_CONF)
        return error_set(err, ERR_NOT_FOUND, "%s brings no configuration", f->path);
    if (range->part == FOLLOW_LOG && range->segment > f->last_segment)
        return error_set(err, ERR_DAMAGED, "%s ends before its head does", f->path);
    return true;
}

static bool read_head(void *context, address from, uint64_t position, uint64_t applied, struct follow_head *out,
                      struct error *err)
{
    struct step_file *f = context;

    (void)from;
    (void)position;
    (void)applied;
    (void)err;
    *out = f->head;
    out->committed = out->size; /* there is no more in this file */
    memcpy(out->public_key, f->public_key, sizeof out->public_key);
    return true;
}

struct twin_source step_source(struct step_file *f, const uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES])
{
    memcpy(f->public_key, public_key, sizeof f->public_key);
    return (struct twin_source){ f, read_head, read_range };
}
