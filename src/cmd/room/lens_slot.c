/* Sandboxed processes that read objects for the vault. See lens_slot.h. */
#include "cmd/room/lens_slot.h"

#include <stdlib.h>

#include "base/file.h"

/* Bytes handed over at a time: half the buffer, so that one half is copied while the other is filled. */
#define PIECE_BYTES (SESSION_BUFFER_BYTES / 2)

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

bool lens_slot_take_up(struct lens_slot *slot)
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

void lens_slot_settle(struct lens_slot *slot)
{
    if (slot->broken)
        file_close(&slot->channel.fd);
}

static bool source_read(const struct source *s, uint64_t at, uint8_t *out, size_t len, struct error *err)
{
    return s->body != NULL ? body_peek(s->body, at, out, len, err)
                           : store_read_body(s->store, s->position, at, out, len, err);
}

/* Waits for the lens's next word: TAKEN, or the REPLY, which ends the question. */
static bool next_word(struct lens_slot *slot, struct message *m, struct error *err)
{
    if (!channel_receive(&slot->channel, slot->message, sizeof slot->message, m, LENS_SLOT_WAIT_MS, err))
        return false;
    message_done(m); /* a lens has no descriptor to give */
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
            size_t n = s->length - at < PIECE_BYTES ? (size_t)(s->length - at) : PIECE_BYTES;
            size_t half = (turn++ % 2) * PIECE_BYTES;

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

bool lens_slot_ask(struct lens_slot *slot, enum verb verb, uint32_t id, struct span fields, const struct source *s,
                   struct shared_buffer *buffer, struct message *reply, struct error *err)
{
    struct error fault = { 0 };
    bool ok;

    *reply = (struct message){ .verb = VERB_TAKEN };
    ok = channel_send(&slot->channel, verb, id, fields, &buffer->fd, 1, err)
         && stream(slot, buffer, s, reply, &fault, err);
    while (ok && reply->verb == VERB_TAKEN)
        ok = next_word(slot, reply, err);
    if (ok && (reply->verb != VERB_REPLY || reply->id != id))
        ok = error_set(err, ERR_MALFORMED, "a lens said verb %u", (unsigned)reply->verb);
    slot->broken |= !ok;
    return ok && (fault.code == ERR_NONE || error_set(err, fault.code, "%s", fault.text));
}
