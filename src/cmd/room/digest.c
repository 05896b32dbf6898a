/* Digests by a lens. See digest.h; the sequence is docs/channel.md, "The lens". */
#include "cmd/room/digest.h"

#define DIGEST_BYTES 32

struct digests {
    uint8_t values[DIGEST_BYTES];
    uint8_t pixels[DIGEST_BYTES];
    bool certain;
};

static bool keep_digests(struct span reply, struct digests *out, struct error *err)
{
    struct span values = fields_text(reply, FIELD_DIGEST), pixels = fields_text(reply, FIELD_PIXEL_DIGEST);
    enum error_code result = (enum error_code)fields_uint(reply, FIELD_RESULT, ERR_MALFORMED);

    if (result != ERR_NONE)
        return error_set(err, result, "the lens could not digest it");
    if (values.len != DIGEST_BYTES || (pixels.len != 0 && pixels.len != DIGEST_BYTES))
        return error_set(err, ERR_MALFORMED, "digest of %zu bytes", values.len);
    *out = (struct digests){ .certain = fields_uint(reply, FIELD_CERTAIN, 0) == 1 };
    memcpy(out->values, values.ptr, DIGEST_BYTES);
    if (pixels.len == DIGEST_BYTES)
        memcpy(out->pixels, pixels.ptr, DIGEST_BYTES);
    return true;
}

static bool digest(struct lens_slot *slot, const struct source *s, struct span syntax, struct digests *out,
                   struct error *err)
{
    struct shared_buffer buffer;
    struct writer w = writer_new(512);
    struct message reply;
    bool ok;

    if (!shared_buffer_new(&buffer, err))
        return false;
    field_put_text(&w, FIELD_TRANSFER_SYNTAX, syntax);
    field_put_uint(&w, FIELD_LENGTH, s->length);
    ok = lens_slot_ask(slot, VERB_DIGEST, 1, writer_span(&w), s, &buffer, &reply, err)
         && keep_digests(reply.fields, out, err);
    writer_done(&w);
    shared_buffer_done(&buffer);
    return ok;
}

static bool describe_stored(struct store *store, uint64_t position, struct source *out, struct writer *facts,
                            struct error *err)
{
    struct entry e;

    if (!store_read_entry(store, position, &e, facts, err))
        return false;
    *out = (struct source){ .store = store, .position = position, .length = e.body_bytes };
    return true;
}

enum verdict digest_compare(struct lens_slot *slot, struct store *store, uint64_t first, struct body *body,
                            struct span syntax)
{
    struct writer facts = writer_new((size_t)1024 * 1024);
    struct source stored, coming = { .body = body, .length = body_length(body) };
    struct digests a = { .certain = false }, b = { .certain = false };
    struct error err = { 0 };
    bool known;

    known = lens_slot_take_up(slot) && describe_stored(store, first, &stored, &facts, &err)
            && digest(slot, &stored, fields_text(writer_span(&facts), FIELD_TRANSFER_SYNTAX), &a, &err)
            && digest(slot, &coming, syntax, &b, &err);
    lens_slot_settle(slot);
    writer_done(&facts);
    if (!known || memcmp(a.values, b.values, DIGEST_BYTES) != 0 || !a.certain || !b.certain)
        return VERDICT_CONFLICT;
    return memcmp(a.pixels, b.pixels, DIGEST_BYTES) == 0 ? VERDICT_ALTERNATE : VERDICT_CONFLICT;
}
