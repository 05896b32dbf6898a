/* Digests by a lens. See digest.h; the sequence is docs/channel.md, "The lens". */
#include "cmd/room/digest.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/file.h"
#include "channel/channel.h"
#include "channel/shared_buffer.h"

/* Bytes handed to the lens at a time: half the buffer, so that it copies one half while the other is filled. */
#define DIGEST_PIECE (SESSION_BUFFER_BYTES / 2)
#define DIGEST_BYTES 32

struct lens_slot {
    pthread_mutex_t lock;   /* of `offered` alone, so that who offers never waits for a digest */
    int offered;            /* a lens not taken up yet; -1: none */
    struct channel channel; /* the comparing thread's; fd -1: no lens */
    bool broken;            /* it may be in the middle of a word */
    uint8_t message[CHANNEL_MESSAGE_MAX];
};

struct digests {
    uint8_t values[DIGEST_BYTES];
    uint8_t pixels[DIGEST_BYTES];
    bool certain;
};

/* Where the bytes of one object come from: the store, or a body not appended yet. */
struct source {
    struct store *store;
    uint64_t position;
    struct body *body; /* NULL: the stored one */
    uint64_t length;
};

struct lens_slot *lens_slot_new(void)
{
    struct lens_slot *slot = calloc(1, sizeof *slot);

    if (slot == NULL)
        return NULL;
    (void)pthread_mutex_init(&slot->lock, NULL);
    slot->channel.fd = slot->offered = -1;
    return slot;
}

void lens_slot_free(struct lens_slot *slot)
{
    if (slot == NULL)
        return;
    file_close(&slot->channel.fd);
    file_close(&slot->offered);
    (void)pthread_mutex_destroy(&slot->lock);
    free(slot);
}

void lens_slot_offer(struct lens_slot *slot, int fd)
{
    (void)pthread_mutex_lock(&slot->lock);
    file_close(&slot->offered);
    slot->offered = fd;
    (void)pthread_mutex_unlock(&slot->lock);
}

/* The newest lens there is. False: none. */
static bool take_up(struct lens_slot *slot)
{
    (void)pthread_mutex_lock(&slot->lock);
    if (slot->offered >= 0) {
        file_close(&slot->channel.fd);
        slot->channel.fd = slot->offered;
        slot->offered = -1;
        slot->broken = false;
    }
    (void)pthread_mutex_unlock(&slot->lock);
    return slot->channel.fd >= 0;
}

static bool source_read(const struct source *s, uint64_t at, uint8_t *out, size_t len, struct error *err)
{
    return s->body != NULL ? body_peek(s->body, at, out, len, err)
                           : store_read_body(s->store, s->position, at, out, len, err);
}

/* Waits for the lens's next word: TAKEN, or the REPLY, which ends the digest. */
static bool next_word(struct lens_slot *slot, struct message *m, struct error *err)
{
    if (!channel_receive(&slot->channel, slot->message, sizeof slot->message, m, DIGEST_WAIT_MS, err))
        return false;
    message_done(m); /* a lens has no descriptor to give */
    return true;
}

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

/*
 * What cannot be read is kept in *fault while the lens gets the bytes that it was told of, whatever they are: the
 * conversation outlives one damaged object. False with *err: it does not.
 */
static bool stream(struct lens_slot *slot, struct shared_buffer *buffer, const struct source *s, struct message *m,
                   struct error *fault, struct error *err)
{
    uint64_t at = 0;
    unsigned turn = 0, flying = 0;
    struct writer w = writer_new(256);
    bool ok = true;

    m->verb = VERB_TAKEN;
    while (ok && m->verb == VERB_TAKEN && (at < s->length || flying > 0)) {
        if (at < s->length && flying < 2) {
            size_t n = s->length - at < DIGEST_PIECE ? (size_t)(s->length - at) : DIGEST_PIECE;
            size_t half = (turn++ % 2) * DIGEST_PIECE;

            writer_reset(&w);
            field_put_uint(&w, FIELD_OFFSET, half);
            field_put_uint(&w, FIELD_LENGTH, n);
            if (fault->code == ERR_NONE)
                (void)source_read(s, at, buffer->ptr + half, n, fault);
            ok = channel_send(&slot->channel, VERB_PUT_DATA, 0, writer_span(&w), NULL, 0, err);
            at += n;
            flying++;
        } else {
            ok = next_word(slot, m, err);
            flying--;
        }
    }
    writer_done(&w);
    return ok;
}

static bool digest(struct lens_slot *slot, const struct source *s, struct span syntax, struct digests *out,
                   struct error *err)
{
    struct shared_buffer buffer;
    struct writer w = writer_new(512);
    struct message m = { .verb = VERB_TAKEN };
    struct error fault = { 0 };
    bool ok;

    if (!shared_buffer_new(&buffer, err))
        return false;
    field_put_text(&w, FIELD_TRANSFER_SYNTAX, syntax);
    field_put_uint(&w, FIELD_LENGTH, s->length);
    ok = channel_send(&slot->channel, VERB_DIGEST, 1, writer_span(&w), &buffer.fd, 1, err)
         && stream(slot, &buffer, s, &m, &fault, err);
    while (ok && m.verb == VERB_TAKEN)
        ok = next_word(slot, &m, err);
    if (ok && (m.verb != VERB_REPLY || m.id != 1))
        ok = error_set(err, ERR_MALFORMED, "a lens said verb %u", (unsigned)m.verb);
    slot->broken |= !ok;
    if (ok && fault.code != ERR_NONE)
        ok = error_set(err, fault.code, "%s", fault.text);
    ok = ok && keep_digests(m.fields, out, err);
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

    known = take_up(slot) && describe_stored(store, first, &stored, &facts, &err)
            && digest(slot, &stored, fields_text(writer_span(&facts), FIELD_TRANSFER_SYNTAX), &a, &err)
            && digest(slot, &coming, syntax, &b, &err);
    if (slot->broken)
        file_close(&slot->channel.fd); /* a lens that dies or hangs is replaced, and offered again */
    writer_done(&facts);
    if (!known || memcmp(a.values, b.values, DIGEST_BYTES) != 0 || !a.certain || !b.certain)
        return VERDICT_CONFLICT;
    return memcmp(a.pixels, b.pixels, DIGEST_BYTES) == 0 ? VERDICT_ALTERNATE : VERDICT_CONFLICT;
}
