/* Requests to a lens. See serve.h and docs/channel.md, "The lens". */
#include "lens/serve.h"

#include <sys/mman.h>
#include <sys/time.h>

#include "base/file.h"
#include "channel/shared_buffer.h"
#include "lens/decode.h"
#include "lens/render.h"

/* An encoded frame is never much larger than its samples: RLE at worst doubles, a JPEG of noise adds some. */
#define ENCODED_BYTES_MAX (2 * LENS_FRAME_BYTES_MAX)
#define REPLY_BYTES_MAX   ((size_t)4096)

/* setitimer(2), because alarm(2) is not among the calls that the sandbox leaves. 0: off. */
static void set_timer(time_t seconds)
{
    (void)setitimer(ITIMER_REAL, &(struct itimerval){ .it_value = { .tv_sec = seconds } }, NULL);
}

/* Copies the first len bytes of a memfd that another process may still write. */
static bool copy_in(int fd, size_t len, struct writer *to, struct error *err)
{
    uint64_t size;
    uint8_t *room;
    void *from;

    if (!file_size(fd, &size, err))
        return false;
    if (len == 0 || len > size)
        return error_set(err, ERR_TRUNCATED, "input of %llu bytes where %zu are named", (unsigned long long)size, len);
    room = write_room(to, len);
    if (room == NULL)
        return writer_ok(to, err, "encoded frame");
    from = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
    if (from == MAP_FAILED)
        return error_errno(err, "mmap of the input");
    memcpy(room, from, len);
    (void)munmap(from, len);
    return true;
}

static bool copy_out(int fd, struct span bytes, struct error *err)
{
    uint64_t size;
    void *to;

    if (!file_size(fd, &size, err))
        return false;
    if (bytes.len > size)
        return error_set(err, ERR_LIMIT, "output of %llu bytes where %zu are needed", (unsigned long long)size,
                         bytes.len);
    to = mmap(NULL, bytes.len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (to == MAP_FAILED)
        return error_errno(err, "mmap of the output");
    memcpy(to, bytes.ptr, bytes.len);
    (void)munmap(to, bytes.len);
    return true;
}

static void put_result(struct writer *reply, const struct frame_result *r, size_t length)
{
    field_put_uint(reply, FIELD_RESULT, ERR_NONE);
    field_put_uint(reply, FIELD_LENGTH, length);
    field_put_uint(reply, FIELD_ROWS, r->rows);
    field_put_uint(reply, FIELD_COLUMNS, r->columns);
    field_put_uint(reply, FIELD_SAMPLES_PER_PIXEL, r->samples_per_pixel);
    field_put_uint(reply, FIELD_BITS_ALLOCATED, r->bits_allocated);
    field_put_uint(reply, FIELD_PIXEL_REPRESENTATION, r->is_signed);
    field_put_str(reply, FIELD_PHOTOMETRIC, photometric_name(r->photometric));
}

/* Replaces the samples by the picture that the request asks for; rows and columns become the picture's. */
static bool render(struct span fields, struct writer *samples, struct frame_result *r, struct error *err)
{
    struct rendering how;
    struct writer jpeg = writer_new(LENS_FRAME_BYTES_MAX);
    bool ok = rendering_read(fields, &how, err)
              && render_jpeg(&how, r, writer_span(samples), &jpeg, &r->columns, &r->rows, err);

    if (ok) {
        writer_reset(samples);
        write_span(samples, writer_span(&jpeg));
        r->bits_allocated = 8;
        r->is_signed = false;
    }
    writer_done(&jpeg);
    return ok;
}

static bool decode(const struct message *m, struct writer *reply, struct error *err)
{
    CLEANUP(writer_done) struct writer encoded = writer_new(ENCODED_BYTES_MAX);
    CLEANUP(writer_done) struct writer samples = writer_new(LENS_FRAME_BYTES_MAX);
    struct frame_description d;
    struct frame_result r;

    if (m->fd_count != 2)
        return error_set(err, ERR_MALFORMED, "DECODE without its two descriptors");
    if (!lens_knows(fields_text(m->fields, FIELD_TRANSFER_SYNTAX)))
        return error_set(err, ERR_UNSUPPORTED, "this transfer syntax is not drawn");
    if (!frame_description_read(m->fields, &d, err)
        || !copy_in(m->fds[0], fields_uint(m->fields, FIELD_LENGTH, 0), &encoded, err)
        || !lens_decode(&d, writer_span(&encoded), &samples, &r, err))
        return false;
    if (fields_text(m->fields, FIELD_MIME_TYPE).len > 0 && !render(m->fields, &samples, &r, err))
        return false;
    if (!copy_out(m->fds[1], writer_span(&samples), err))
        return false;
    put_result(reply, &r, samples.len);
    return true;
}

/* ---- DIGEST ---- */

/* One PUT_DATA: its bytes copied out of the buffer, TAKEN, then digested. *done counts them. */
static bool take_piece(struct channel *c, const struct message *m, const struct shared_buffer *shared,
                       struct writer *piece, uint64_t *done, struct error *err)
{
    struct writer taken = writer_new(REPLY_BYTES_MAX);
    uint64_t length = fields_uint(m->fields, FIELD_LENGTH, 0);
    struct span part;
    bool ok;

    if (!shared_buffer_part(shared, fields_uint(m->fields, FIELD_OFFSET, 0), length, &part))
        return error_set(err, ERR_MALFORMED, "PUT_DATA outside the buffer");
    writer_reset(piece);
    write_span(piece, part);
    *done += length;
    field_put_uint(&taken, FIELD_LENGTH, length);
    ok = writer_ok(piece, err, "piece") && channel_send(c, VERB_TAKEN, 0, writer_span(&taken), NULL, 0, err);
    writer_done(&taken);
    return ok;
}

/* Pieces until `length` bytes came. False with *broken where the conversation is, else for the object's fault. */
static bool digest_pieces(struct channel *c, const struct shared_buffer *shared, uint64_t length, uint8_t *buffer,
                          struct digest *digest, bool *broken, struct error *err)
{
    CLEANUP(writer_done) struct writer piece = writer_new(SESSION_BUFFER_BYTES);
    uint64_t done = 0;

    while (done < length) {
        struct message m;
        bool good;

        *broken = true;
        if (!channel_receive(c, buffer, CHANNEL_MESSAGE_MAX, &m, LENS_PIECE_MS, err))
            return false;
        message_done(&m);
        if (m.verb != VERB_PUT_DATA)
            return error_set(err, ERR_MALFORMED, "verb %d within a DIGEST", (int)m.verb);
        if (!take_piece(c, &m, shared, &piece, &done, err))
            return false;
        *broken = false;
        set_timer(LENS_FRAME_S);
        good = done <= length ? digest_feed(digest, writer_span(&piece), err)
                              : error_set(err, ERR_MALFORMED, "more bytes than DIGEST named");
        set_timer(0);
        if (!good)
            return false;
    }
    return true;
}

static void put_digest(struct writer *reply, const struct digest_result *r)
{
    field_put_uint(reply, FIELD_RESULT, ERR_NONE);
    field_put_bytes(reply, FIELD_DIGEST, span_of(r->elements, sizeof r->elements));
    if (r->has_pixels)
        field_put_bytes(reply, FIELD_PIXEL_DIGEST, span_of(r->pixels, sizeof r->pixels));
    field_put_uint(reply, FIELD_CERTAIN, r->certain);
}

static bool digest_object(struct channel *c, struct message *m, uint8_t *buffer, struct digest *digest,
                          struct writer *reply, bool *broken, struct error *err)
{
    CLEANUP(shared_buffer_done) struct shared_buffer shared = { .fd = -1 };
    uint64_t length = fields_uint(m->fields, FIELD_LENGTH, 0);
    struct digest_result result;
    bool ok;
    int fd;

    if (m->fd_count != 1)
        return error_set(err, ERR_MALFORMED, "DIGEST without its buffer");
    fd = m->fds[0];
    m->fds[0] = -1;
    if (!shared_buffer_map(fd, &shared, err)
        || !digest_begin(digest, fields_text(m->fields, FIELD_TRANSFER_SYNTAX), err)
        || !digest_pieces(c, &shared, length, buffer, digest, broken, err))
        return false;
    set_timer(LENS_FRAME_S); /* the last frame is decoded when the end is known */
    ok = digest_finish(digest, &result, err);
    set_timer(0);
    if (ok)
        put_digest(reply, &result);
    return ok;
}

/* ---- requests ---- */

bool lens_serve(struct channel *c, struct message *m, uint8_t *buffer, struct digest *digest, struct error *err)
{
    CLEANUP(writer_done) struct writer reply = writer_new(REPLY_BYTES_MAX);
    struct error why = { .code = ERR_NONE };
    uint32_t id = m->id;
    bool done = false, broken = false;

    switch ((int)m->verb) {
    case VERB_DECODE:
        set_timer(LENS_FRAME_S);
        done = decode(m, &reply, &why);
        set_timer(0);
        break;
    case VERB_DIGEST:
        done = digest_object(c, m, buffer, digest, &reply, &broken, &why);
        break;
    case VERB_PUT_DATA: /* of an object whose digest has failed: docs/channel.md */
        return true;
    default:
        return error_set(err, ERR_MALFORMED, "verb %d is none of a lens", (int)m->verb);
    }
    if (broken)
        return error_set(err, why.code, "%s", why.text);
    if (!done) {
        writer_reset(&reply);
        field_put_uint(&reply, FIELD_RESULT, why.code);
        field_put_str(&reply, FIELD_ERROR_TEXT, why.text);
    }
    return channel_send(c, VERB_REPLY, id, writer_span(&reply), NULL, 0, err);
}
