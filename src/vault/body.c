/*
 * Bodies on their way in: copied, cut into chunks, encrypted and hashed while they arrive (docs/format.md, "Bodies").
 *
 * Up to BODY_BUFFERED_MAX the ciphertext waits in memory for its commit; a larger body streams into a file of its own
 * and the buffer is reused, so memory does not grow with the object. All of it is the owner's.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/store_internal.h"

/* Ciphertext that waits in memory at most, and what fills its last block. */
#define STORED_BYTES_MAX  (BODY_BUFFERED_MAX + (size_t)3 * DISK_BLOCK_BYTES * 16)
#define LARGE_WRITE_BYTES ((size_t)1 << 20) /* ciphertext of a large body gathered before it is written */

/* Memory for ciphertext: what an earlier body left, or none yet. */
static struct writer stored_new(struct store *s)
{
    struct writer w = writer_new(STORED_BYTES_MAX);

    (void)pthread_mutex_lock(&s->spares_lock);
    if (s->spare_count > 0)
        w = s->spares[--s->spare_count];
    (void)pthread_mutex_unlock(&s->spares_lock);
    if (w.cap == 0) { /* whole, so that it never moves under the hasher; on a block, for disk_open_direct() */
        w.ptr = aligned_alloc(DISK_BLOCK_BYTES, STORED_BYTES_MAX);
        w.cap = w.ptr != NULL ? STORED_BYTES_MAX : 0;
        w.failed = w.ptr == NULL;
    }
    return w;
}

static void stored_done(struct store *s, struct writer *stored)
{
    (void)pthread_mutex_lock(&s->spares_lock);
    if (stored->cap > 0 && s->spare_count < BODY_SPARES_MAX) {
        writer_reset(stored);
        s->spares[s->spare_count++] = *stored;
        *stored = writer_new(0);
    }
    (void)pthread_mutex_unlock(&s->spares_lock);
    writer_done(stored);
}

void body_spares_done(struct store *s)
{
    while (s->spare_count > 0)
        writer_done(&s->spares[--s->spare_count]);
}

struct body *body_new(struct store *s, enum body_class body_class, struct span unit, struct error *err)
{
    uint8_t data_key[KEY_BYTES];
    struct body *b;

    if (s->read_only || unit.len == 0 || unit.len > UNIT_TEXT_MAX || body_class < BODY_IMAGES
        || body_class > BODY_CLASS_COUNT) {
        (void)error_set(err, ERR_LIMIT, "no body of class %d with a unit of %zu bytes", (int)body_class, unit.len);
        return NULL;
    }
    if (!space_grant(&s->space, SPACE_OBJECTS, 0, err)) /* its bytes are granted when it is appended */
        return NULL;
    b = calloc(1, sizeof *b);
    if (b != NULL)
        b->scratch = malloc(CHUNK_BYTES);
    if (b == NULL || b->scratch == NULL) {
        free(b);
        (void)error_set(err, ERR_MEMORY, "no memory for a body");
        return NULL;
    }
    b->store = s;
    b->body_class = body_class;
    b->fd = -1;
    b->stored = stored_new(s);
    if (!writer_ok(&b->stored, err, "memory of a body")) {
        body_free(b);
        return NULL;
    }
    seal_random(b->salt, sizeof b->salt);
    if (!slot_for_unit(s, unit, &b->slot, err)
        || !keyring_data_key(s->keyring, &s->owner_seal, b->slot, data_key, err)) {
        body_free(b);
        return NULL;
    }
    seal_record_keys(data_key, b->salt, &b->keys);
    seal_wipe(data_key, sizeof data_key);
    return b;
}

void body_free(struct body *b)
{
    char name[NAME_BYTES_MAX];

    if (b == NULL)
        return;
    (void)hasher_wait(&b->store->hasher, b, NULL);
    if (b->fd >= 0) {
        disk_close(&b->store->disk, &b->fd);
        large_name(b->name, false, name);
        (void)disk_unlink(&b->store->disk, name, NULL);
    }
    stored_done(b->store, &b->stored);
    seal_wipe(b->scratch, CHUNK_BYTES);
    free(b->scratch);
    seal_wipe(&b->keys, sizeof b->keys);
    free(b);
}

static bool begin_large(struct body *b, struct error *err)
{
    char name[NAME_BYTES_MAX];

    seal_random(b->name, sizeof b->name);
    large_name(b->name, false, name);
    b->fd = disk_open(&b->store->disk, name, O_RDWR | O_CREAT | O_EXCL, err);
    b->large = b->fd >= 0;
    return b->large;
}

/* Writes what is gathered and begins to gather again. */
static bool flush_large(struct body *b, struct error *err)
{
    struct disk *d = &b->store->disk;
    struct span stored = writer_span(&b->stored);

    if (!hasher_wait(&b->store->hasher, b, err))
        return false;
    if (!disk_write_at(d, b->fd, stored, b->stored_from, err))
        return false;
    d->ops->write_behind(d->context, b->fd, (off_t)b->stored_from,
                         (off_t)stored.len); /* so that the sync at the end is short */
    b->stored_from += stored.len;
    writer_reset(&b->stored);
    return space_grant(&b->store->space, SPACE_OBJECTS, LARGE_WRITE_BYTES, err); /* for the next ones */
}

/* Encrypts the scratch as the next chunk. */
static bool seal_chunk(struct body *b, bool last, struct error *err)
{
    struct seal *seal = &b->store->owner_seal;
    uint8_t nonce[NONCE_BYTES];
    uint8_t *out = write_room(&b->stored, b->scratch_len + TAG_BYTES);

    if (out == NULL)
        return writer_ok(&b->stored, err, "body");
    seal_chunk_nonce(b->chunks, last, nonce);
    if (!seal_encrypt(seal, b->keys.body, nonce, span_of(NULL, 0), span_of(b->scratch, b->scratch_len), out, err))
        return false;
    hasher_add(&b->store->hasher, b, b->scratch_len + TAG_BYTES);
    b->chunks++;
    b->scratch_len = 0;
    if (!b->large && b->bytes > BODY_BUFFERED_MAX && !begin_large(b, err))
        return false;
    return !b->large || (b->stored.len < LARGE_WRITE_BYTES && !last) || flush_large(b, err);
}

struct iovec body_piece(struct body *b)
{
    size_t len = (size_t)body_aligned(b->body_class, b->stored.len);

    memset(b->stored.ptr + b->stored.len, 0, len - b->stored.len);
    return (struct iovec){ .iov_base = b->stored.ptr, .iov_len = len };
}

bool body_add(struct body *b, struct span bytes, struct error *err)
{
    if (b->failed)
        return error_set(err, ERR_IO, "the body failed before");
    if (bytes.len > BODY_BYTES_MAX - b->bytes)
        return error_set(err, ERR_LIMIT, "a body of more than %llu bytes", (unsigned long long)BODY_BYTES_MAX);
    while (bytes.len > 0) {
        struct span part;

        /* A full chunk is sealed when more comes: only then is it known not to be the last. */
        if (b->scratch_len == CHUNK_BYTES && !seal_chunk(b, false, err)) {
            b->failed = true;
            return false;
        }
        part = span_part(bytes, 0, CHUNK_BYTES - b->scratch_len);
        memcpy(b->scratch + b->scratch_len, part.ptr, part.len);
        b->scratch_len += part.len;
        b->bytes += part.len;
        bytes = span_part(bytes, part.len, bytes.len);
    }
    return true;
}

bool body_finish(struct body *b, struct error *err)
{
    if (b->failed)
        return error_set(err, ERR_IO, "the body failed before");
    b->failed = true; /* no more can be added */
    return seal_chunk(b, true, err);
}

bool body_root(struct body *b, struct seal *seal, struct hash *root, struct error *err)
{
    return hasher_wait(&b->store->hasher, b, err) && merkle_root(&b->tree, seal, root, err);
}

uint64_t body_length(const struct body *b)
{
    return b->bytes;
}

/* The stored bytes of a sealed chunk, from memory or from the file, into out. */
static bool stored_chunk(struct body *b, uint64_t index, uint8_t out[CHUNK_STORED_BYTES], struct error *err)
{
    uint64_t from = index * CHUNK_STORED_BYTES;

    if (from < b->stored_from)
        return file_read_at(b->fd, out, CHUNK_STORED_BYTES, from, err);
    memcpy(out, b->stored.ptr + (from - b->stored_from), CHUNK_STORED_BYTES); /* files are written in whole chunks */
    return true;
}

static bool peek_chunk(struct body *b, struct seal *seal, uint64_t index, uint8_t clear[CHUNK_BYTES], uint8_t *stored,
                       struct error *err)
{
    uint8_t nonce[NONCE_BYTES];

    if (index == b->chunks) {
        memcpy(clear, b->scratch, b->scratch_len);
        return true;
    }
    seal_chunk_nonce((uint32_t)index, false, nonce);
    return stored_chunk(b, index, stored, err)
           && seal_decrypt(seal, b->keys.body, nonce, span_of(NULL, 0), span_of(stored, CHUNK_STORED_BYTES), clear, err);
}

bool body_peek(struct body *b, uint64_t offset, uint8_t *out, size_t len, struct error *err)
{
    uint8_t *clear, *stored;
    struct seal seal; /* not the owner's, who may be sealing another body */
    bool ok;

    if (b->failed)
        return error_set(err, ERR_IO, "the body failed before");
    if (offset > b->bytes || len > b->bytes - offset)
        return error_set(err, ERR_NOT_FOUND, "past the end of the body");
    if (!seal_init(&seal, &b->store->suite, err))
        return false;
    clear = malloc(CHUNK_BYTES);
    stored = malloc(CHUNK_STORED_BYTES);
    ok = clear != NULL && stored != NULL;
    if (!ok)
        (void)error_set(err, ERR_MEMORY, "no memory to read a body");
    while (ok && len > 0) {
        size_t from = (size_t)(offset % CHUNK_BYTES);
        size_t n = len < CHUNK_BYTES - from ? len : CHUNK_BYTES - from;

        ok = peek_chunk(b, &seal, offset / CHUNK_BYTES, clear, stored, err);
        if (ok)
            memcpy(out, clear + from, n);
        out += n;
        offset += n;
        len -= n;
    }
    if (clear != NULL)
        seal_wipe(clear, CHUNK_BYTES);
    free(clear);
    free(stored);
    seal_done(&seal);
    return ok;
}
