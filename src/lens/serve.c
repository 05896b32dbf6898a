/* Requests to a lens. See serve.h and docs/channel.md, "The lens". */
#include "lens/serve.h"

#include <sys/mman.h>

#include "base/file.h"
#include "lens/decode.h"
#include "lens/render.h"

/* An encoded frame is never much larger than its samples: RLE at worst doubles, a JPEG of noise adds some. */
#define ENCODED_BYTES_MAX (2 * LENS_FRAME_BYTES_MAX)
#define REPLY_BYTES_MAX ((size_t)4096)

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
        return error_set(err, ERR_LIMIT, "output of %llu bytes where %zu are needed", (unsigned long long)size, bytes.len);
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

bool lens_serve(struct channel *c, struct message *m, struct error *err)
{
    CLEANUP(writer_done) struct writer reply = writer_new(REPLY_BYTES_MAX);
    struct error why = { .code = ERR_NONE };
    bool done;

    switch ((int)m->verb) {
    case VERB_DECODE:
        done = decode(m, &reply, &why);
        break;
    default:
        return error_set(err, ERR_MALFORMED, "verb %d is none of a lens", (int)m->verb);
    }
    if (!done) {
        writer_reset(&reply);
        field_put_uint(&reply, FIELD_RESULT, why.code);
        field_put_str(&reply, FIELD_ERROR_TEXT, why.text);
    }
    return channel_send(c, VERB_REPLY, m->id, writer_span(&reply), NULL, 0, err);
}
