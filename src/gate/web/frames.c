/*
 * A frame of a stored object, as samples or as a picture: found in the object by range, decoded by a lens.
 *
 * Only the frame is read, whatever the object's size. What a lens writes lies in memory that cannot change its size;
 * it is bytes for the page, never looked into here.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reader.h"
#include "gate/web/frame_locate.h"
#include "gate/web/gate.h"
#include "gate/web/json_out.h"

#define SAMPLES_BYTES_MAX    ((uint64_t)512 * 1024 * 1024) /* as the lens's own bound */
#define PICTURE_BYTES_MAX    ((uint64_t)64 * 1024 * 1024)  /* 4096 × 4096 in JPEG, with room */
#define PICTURE_SIDE_DEFAULT 256
#define PICTURE_SIDE_MAX     4096

/* What a lens needs of an instance (docs/channel.md, DECODE); big_endian is added on its own. */
static const enum field described[] = {
    FIELD_TRANSFER_SYNTAX, FIELD_ROWS,
    FIELD_COLUMNS,         FIELD_SAMPLES_PER_PIXEL,
    FIELD_BITS_ALLOCATED,  FIELD_BITS_STORED,
    FIELD_HIGH_BIT,        FIELD_PIXEL_REPRESENTATION,
    FIELD_PHOTOMETRIC,     FIELD_PLANAR_CONFIGURATION,
    FIELD_PALETTE,         FIELD_WINDOW_CENTER,
    FIELD_WINDOW_WIDTH,    FIELD_VOI_LUT_FUNCTION,
    FIELD_RESCALE_SLOPE,   FIELD_RESCALE_INTERCEPT,
    FIELD_PIXEL_PADDING,
};

/* Memory shared with a lens: a memfd sealed at its size. */
struct shared {
    int fd;
    uint8_t *ptr;
    size_t len;
};

static void shared_done(struct shared *s)
{
    if (s->ptr != NULL)
        (void)munmap(s->ptr, s->len);
    file_close(&s->fd);
    s->ptr = NULL;
}

static bool shared_new(struct shared *s, uint64_t len, const char *name, struct error *err)
{
    void *ptr;

    s->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->fd < 0 || ftruncate(s->fd, (off_t)len) != 0
        || fcntl(s->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return error_errno(err, "memory for a frame");
    ptr = mmap(NULL, (size_t)len, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    if (ptr == MAP_FAILED)
        return error_errno(err, "memory for a frame");
    s->ptr = ptr;
    s->len = (size_t)len;
    return true;
}

/* ---- the object ---- */

struct object {
    struct call *call;
    uint64_t position;
    struct writer fields; /* of the instance row */
};

static bool keep_row(void *context, struct span row)
{
    struct object *o = context;

    if (o->fields.len == 0)
        write_span(&o->fields, row);
    return !o->fields.failed;
}

static bool read_body(void *context, uint64_t offset, size_t len, struct span *out, struct error *err)
{
    struct object *o = context;
    CLEANUP(writer_done) struct writer request = call_request(o->call);

    return writer_ok(&request, err, "request")
           && session_get(o->call->connection->session, o->position, offset, len, writer_span(&request), out, err);
}

static bool find_object(struct object *o, struct error *err)
{
    CLEANUP(writer_done) struct writer request = call_request(o->call);

    if (!number_of(o->call->parts[0], &o->position))
        return error_set(err, ERR_NOT_FOUND, "a position is a number");
    field_put_str(&request, FIELD_QUERY, "instance");
    field_put_uint(&request, FIELD_POSITION, o->position);
    if (!writer_ok(&request, err, "request")
        || !session_find(o->call->connection->session, writer_span(&request), keep_row, o, err))
        return false;
    return o->fields.len > 0 || error_set(err, ERR_NOT_FOUND, "there is no such instance");
}

static bool copy_frame(struct object *o, const struct frame_place *place, struct shared *to, struct error *err)
{
    size_t at = 0;

    for (size_t i = 0; i < place->count; i++)
        for (uint64_t done = 0; done < place->extents[i].len;) {
            uint64_t left = place->extents[i].len - done;
            size_t want = left < SESSION_BUFFER_BYTES ? (size_t)left : SESSION_BUFFER_BYTES;
            struct span piece;

            if (!read_body(o, place->extents[i].offset + done, want, &piece, err))
                return false;
            if (piece.len == 0 || piece.len > want)
                return error_set(err, ERR_DAMAGED, "the object ends inside a frame");
            memcpy(&to->ptr[at], piece.ptr, piece.len);
            at += piece.len;
            done += piece.len;
        }
    return true;
}

/*
 * In big endian, words are swapped; a value of bytes (OB) of 8-bit cells is not (PS3.5 §8.1.2, Annex D). The VR stands
 * in the element's header, eight bytes before the value.
 */
static bool words_are_big_endian(struct object *o, struct span fields, bool *out, struct error *err)
{
    uint64_t offset = fields_uint(fields, FIELD_PIXEL_OFFSET, 0);
    struct span vr;

    *out = fields_uint(fields, FIELD_BIG_ENDIAN, 0) == 1
           || span_equal(fields_text(fields, FIELD_TRANSFER_SYNTAX), SPAN_LIT("1.2.840.10008.1.2.2"));
    if (!*out || fields_uint(fields, FIELD_BITS_ALLOCATED, 0) > 8 || offset < 12)
        return true;
    if (!read_body(o, offset - 8, 2, &vr, err))
        return false;
    *out = !span_equal(vr, SPAN_LIT("OB"));
    return true;
}

static bool write_request(struct object *o, uint64_t length, struct writer *request, struct error *err)
{
    struct span fields = writer_span(&o->fields), value;
    bool big_endian;

    if (!words_are_big_endian(o, fields, &big_endian, err))
        return false;
    for (size_t i = 0; i < COUNT_OF(described); i++)
        if (fields_find(fields, described[i], &value))
            field_put_bytes(request, described[i], value);
    field_put_uint(request, FIELD_BIG_ENDIAN, big_endian);
    field_put_uint(request, FIELD_LENGTH, length);
    return writer_ok(request, err, "request to a lens");
}

/* Room for the samples of the frame: palettes become three of 8 bits. */
static bool samples_bytes(struct span fields, uint64_t *out, struct error *err)
{
    uint64_t rows = fields_uint(fields, FIELD_ROWS, 0), columns = fields_uint(fields, FIELD_COLUMNS, 0);
    uint64_t cell = (fields_uint(fields, FIELD_BITS_ALLOCATED, 0) + 7) / 8;

    if (rows == 0 || rows > UINT16_MAX || columns == 0 || columns > UINT16_MAX || cell == 0 || cell > 8)
        return error_set(err, ERR_UNSUPPORTED, "the object does not describe its pixels");
    *out = rows * columns * cell * 3;
    if (*out > SAMPLES_BYTES_MAX)
        *out = SAMPLES_BYTES_MAX;
    return true;
}

struct decoded {
    struct shared samples;
    struct writer buffer; /* of the lens's answer */
    struct span reply;
};

/* Reads frame `number`, has it decoded. `request` may hold what is asked beyond samples. */
static bool decode_frame(struct object *o, uint64_t number, uint64_t room, struct writer *request, struct decoded *out,
                         struct error *err)
{
    CLEANUP(shared_done) struct shared encoded = { .fd = -1 };
    struct body body = { read_body, o };
    struct frame_place *place = malloc(sizeof *place);
    uint8_t *buffer = write_room(&out->buffer, CHANNEL_MESSAGE_MAX);
    bool ok = place != NULL && buffer != NULL ? frame_locate(&body, writer_span(&o->fields), number, place, err)
                                              : error_set(err, ERR_MEMORY, "frame");

    ok = ok && shared_new(&encoded, place->total > 0 ? place->total : 1, "encoded", err)
         && copy_frame(o, place, &encoded, err) && shared_new(&out->samples, room, "samples", err)
         && write_request(o, place->total, request, err);
    free(place);
    return ok
           && lens_pool_decode(&o->call->gate->lenses, writer_span(request), encoded.fd, out->samples.fd, buffer,
                               &out->reply, err);
}

/* What a lens cannot draw is 415 with the syntax, so that the page says so in its place. */
static bool answer_undrawn(struct call *c, struct span fields, const struct error *why)
{
    struct json j;

    writer_reset(&c->answer->body);
    c->answer->header_count = 0;
    j = call_json(c, 415);
    json_begin(&j, '{');
    json_key(&j, "error");
    json_text(&j, span_str("unsupported"));
    json_key(&j, "text");
    json_text(&j, span_str(why->text));
    json_key(&j, "transfer_syntax");
    json_text(&j, fields_text(fields, FIELD_TRANSFER_SYNTAX));
    json_end(&j, '}');
    return true;
}

static bool is_undrawn(enum error_code code)
{
    return code == ERR_UNSUPPORTED || code == ERR_MALFORMED || code == ERR_TRUNCATED || code == ERR_LIMIT;
}

/* The samples become the answer's body, their mapping its own. */
static bool hand_over(struct call *c, struct decoded *d, const char *type, struct error *err)
{
    uint64_t length = fields_uint(d->reply, FIELD_LENGTH, 0);

    if (length == 0 || length > d->samples.len)
        return error_set(err, ERR_MALFORMED, "lens: an answer of impossible length");
    c->answer->status = 200;
    http_answer_header(c->answer, "Content-Type", "%s", type);
    http_answer_header(c->answer, "Cache-Control", "no-store");
    c->answer->mapped = d->samples.ptr;
    c->answer->mapped_len = d->samples.len;
    c->answer->mapped_used = (size_t)length;
    d->samples.ptr = NULL;
    return true;
}

static void put_number(struct call *c, const char *name, struct span fields, enum field f)
{
    http_answer_header(c->answer, name, "%u", (unsigned)fields_uint(fields, f, 0));
}

/* The lens names it from a list; anything else would be a hijacked lens writing our headers. */
static const char *photometric_word(struct span reply)
{
    static const char *const words[] = { "MONOCHROME1", "MONOCHROME2", "RGB" };
    struct span word = fields_text(reply, FIELD_PHOTOMETRIC);

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (span_equal(word, span_str(words[i])))
            return words[i];
    return "";
}

typedef bool frame_answer(struct call *c, struct object *o, struct decoded *d, struct error *err);

static bool with_object(struct call *c, frame_answer *answer, struct error *err)
{
    struct object o = { .call = c, .fields = writer_new(CHANNEL_MESSAGE_MAX) };
    struct decoded d = { .samples = { .fd = -1 }, .buffer = writer_new(CHANNEL_MESSAGE_MAX) };
    bool ok = find_object(&o, err);

    if (ok) {
        ok = answer(c, &o, &d, err);
        if (!ok && is_undrawn(err->code))
            ok = answer_undrawn(c, writer_span(&o.fields), err);
    }
    shared_done(&d.samples);
    writer_done(&d.buffer);
    writer_done(&o.fields);
    return ok;
}

static bool answer_samples(struct call *c, struct object *o, struct decoded *d, struct error *err)
{
    CLEANUP(writer_done) struct writer request = writer_new(CHANNEL_MESSAGE_MAX);
    uint64_t number, room;

    if (!number_of(c->parts[1], &number))
        return error_set(err, ERR_NOT_FOUND, "a frame is a number from 1");
    if (!samples_bytes(writer_span(&o->fields), &room, err) || !decode_frame(o, number, room, &request, d, err)
        || !hand_over(c, d, "application/octet-stream", err))
        return false;
    put_number(c, "X-Rows", d->reply, FIELD_ROWS);
    put_number(c, "X-Columns", d->reply, FIELD_COLUMNS);
    put_number(c, "X-Samples", d->reply, FIELD_SAMPLES_PER_PIXEL);
    put_number(c, "X-Bits", d->reply, FIELD_BITS_ALLOCATED);
    http_answer_header(c->answer, "X-Photometric", "%s", photometric_word(d->reply));
    return true;
}

static uint64_t side(const struct call *c, const char *name)
{
    uint64_t v = call_number(c, name, PICTURE_SIDE_DEFAULT);

    return v == 0 ? 1 : v > PICTURE_SIDE_MAX ? PICTURE_SIDE_MAX : v;
}

static bool answer_picture(struct call *c, struct object *o, struct decoded *d, struct error *err)
{
    CLEANUP(writer_done) struct writer request = writer_new(CHANNEL_MESSAGE_MAX);
    uint64_t middle = (fields_uint(writer_span(&o->fields), FIELD_FRAMES, 1) + 1) / 2;

    field_put_str(&request, FIELD_MIME_TYPE, "image/jpeg");
    field_put_uint(&request, FIELD_WIDTH, side(c, "width"));
    field_put_uint(&request, FIELD_HEIGHT, side(c, "height"));
    return decode_frame(o, middle > 0 ? middle : 1, PICTURE_BYTES_MAX, &request, d, err)
           && hand_over(c, d, "image/jpeg", err);
}

bool handle_frame(struct call *c, struct error *err)
{
    return with_object(c, answer_samples, err);
}

bool handle_rendered(struct call *c, struct error *err)
{
    return with_object(c, answer_picture, err);
}
