/* The document of an observation, to be saved (docs/web-api.md): read from the stored message by range. */
#include "base/cleanup.h"
#include "gate/web/document.h"
#include "gate/web/gate.h"

#define HEAD_BYTES   8
#define BEFORE_BYTES 256 /* source, type, subtype and encoding of an ED, with room */

static bool get(struct call *c, uint64_t position, uint64_t offset, size_t len, struct span *out, struct error *err)
{
    CLEANUP(writer_done) struct writer request = call_request(c);

    return writer_ok(&request, err, "request")
           && session_get(c->connection->session, position, offset, len, writer_span(&request), out, err);
}

static bool describe(struct call *c, uint64_t position, uint64_t offset, uint8_t head[HEAD_BYTES], struct document *out,
                     struct error *err)
{
    uint64_t from = offset > BEFORE_BYTES ? offset - BEFORE_BYTES : 0;
    struct span bytes;

    if (!get(c, position, 0, HEAD_BYTES, &bytes, err))
        return false;
    if (bytes.len < HEAD_BYTES)
        return error_set(err, ERR_NOT_FOUND, "there is no document");
    memcpy(head, bytes.ptr, HEAD_BYTES);
    if (!get(c, position, from, (size_t)(offset - from), &bytes, err))
        return false;
    return document_describe(span_of(head, HEAD_BYTES), bytes, out, err);
}

static bool decode(struct call *c, uint64_t position, uint64_t offset, const struct document *document,
                   struct error *err)
{
    struct document_decoder d = { .document = document, .out = &c->answer->body };

    while (!d.ended) {
        struct span bytes;

        if (!get(c, position, offset, SESSION_BUFFER_BYTES, &bytes, err) || !document_decode(&d, bytes, err))
            return false;
        if (bytes.len < SESSION_BUFFER_BYTES)
            break;
        offset += bytes.len;
        if (c->answer->body.len > DOCUMENT_BYTES_MAX)
            return error_set(err, ERR_LIMIT, "a document of more than %zu bytes", DOCUMENT_BYTES_MAX);
    }
    return true;
}

bool handle_document(struct call *c, struct error *err)
{
    uint64_t position, offset = call_number(c, "offset", 0);
    uint8_t head[HEAD_BYTES];
    struct document document;

    if (!number_of(c->parts[0], &position) || offset < HEAD_BYTES)
        return error_set(err, ERR_NOT_FOUND, "there is no document");
    if (!describe(c, position, offset, head, &document, err) || !decode(c, position, offset, &document, err))
        return false;
    c->answer->status = 200;
    http_answer_header(c->answer, "Content-Type", "%s",
                       document.is_pdf ? "application/pdf" : "application/octet-stream");
    http_answer_header(c->answer, "Content-Disposition", "attachment; filename=\"document%s\"",
                       document.is_pdf ? ".pdf" : ".bin");
    http_answer_header(c->answer, "Cache-Control", "no-store");
    return true;
}
