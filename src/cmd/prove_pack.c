/* evidence.fanal, block by block (docs/evidence.md). See prove.h. */
#include "base/file.h"
#include "cmd/prove.h"
#include "vault/format.h"

struct pack {
    int fd;
    struct local *local;
    crypto_hash_sha256_state hash; /* of all that is written */
    struct writer block;           /* being put together; owned */
    struct writer entry;           /* owned */
};

static bool put(struct pack *k, struct span bytes, struct error *err)
{
    (void)crypto_hash_sha256_update(&k->hash, bytes.ptr, bytes.len);
    return file_write_all(k->fd, bytes, err);
}

static bool put_block_header(struct pack *k, const char *type, uint64_t length, struct error *err)
{
    uint8_t header[16];
    struct writer w = writer_new(sizeof header);
    bool ok;

    write_str(&w, type);
    write_u32le(&w, 0);
    write_u64le(&w, length);
    ok = writer_ok(&w, err, "block") && put(k, writer_span(&w), err);
    writer_done(&w);
    return ok;
}

/* The block of k->block. */
static bool put_block(struct pack *k, const char *type, struct error *err)
{
    bool ok = writer_ok(&k->block, err, type) && put_block_header(k, type, k->block.len, err)
              && put(k, writer_span(&k->block), err);

    sodium_memzero(k->block.ptr, k->block.len); /* it may hold a key */
    writer_reset(&k->block);
    return ok;
}

static bool put_head(struct pack *k, const struct prove *p, struct span page, struct error *err)
{
    struct span head = writer_span(&p->head);
    uint8_t digest[crypto_hash_sha256_BYTES];
    bool period = p->question == PROVE_PERIOD;

    (void)crypto_hash_sha256(digest, page.ptr, page.len);
    write_u8(&k->block, p->question);
    write_u8(&k->block, p->hashes_only ? 2 : 1);
    write_fill(&k->block, 0, 6);
    write_u64le(&k->block, p->made_us);
    write_u64le(&k->block, period ? fields_uint(head, FIELD_FROM_POSITION, 0) : 0);
    write_u64le(&k->block, period ? fields_uint(head, FIELD_UNTIL_POSITION, 0) : 0);
    write_u64le(&k->block, p->record_count);
    write_u64le(&k->block, page.len);
    write_span(&k->block, span_of(digest, sizeof digest));
    write_span(&k->block, fields_text(head, FIELD_PUBLIC_KEY));
    write_span(&k->block, writer_span(&p->subject));
    return put_block(k, "HEAD", err);
}

static void write_hashes(struct writer *w, struct span hashes)
{
    write_u32le(w, (uint32_t)(hashes.len / HASH_BYTES));
    write_span(w, hashes);
}

static void write_with_length(struct writer *w, struct span bytes)
{
    write_u32le(w, (uint32_t)bytes.len);
    write_span(w, bytes);
}

static bool put_checkpoints(struct pack *k, const struct prove *p, struct error *err)
{
    struct reader rows = reader_over(writer_span(&p->anchors));
    struct span row;

    write_span(&k->block, fields_text(writer_span(&p->head), FIELD_SIGNED_NOTE));
    if (!put_block(k, "CKPT", err))
        return false;
    while (prove_row_next(&rows, &row)) {
        write_with_length(&k->block, fields_text(row, FIELD_SIGNED_NOTE));
        write_hashes(&k->block, fields_text(row, FIELD_CONSISTENCY));
        write_with_length(&k->block, fields_text(row, FIELD_STAMP_TOKEN));
        if (!put_block(k, "ANCR", err))
            return false;
    }
    return true;
}

static bool get_stored(struct pack *k, const char *form, uint64_t position, uint64_t offset, size_t len,
                       struct span *out, struct error *err)
{
    struct writer more = writer_new(64);
    bool ok;

    field_put_str(&more, FIELD_FORM, form);
    ok = session_get(k->local->session, position, offset, len, writer_span(&more), out, err);
    writer_done(&more);
    return ok;
}

static bool get_entry(struct pack *k, uint64_t position, struct entry_header *h, struct error *err)
{
    struct span piece;

    writer_reset(&k->entry);
    do {
        if (!get_stored(k, "stored-entry", position, k->entry.len, SESSION_BUFFER_BYTES, &piece, err))
            return false;
        write_span(&k->entry, piece);
    } while (piece.len == SESSION_BUFFER_BYTES);
    return writer_ok(&k->entry, err, "entry") && entry_header_decode(writer_span(&k->entry), h, err);
}

static bool put_body(struct pack *k, const struct entry_header *h, struct error *err)
{
    uint64_t length = body_stored_bytes(h->body_bytes);
    struct span piece;

    if (!put_block_header(k, "BODY", length, err))
        return false;
    for (uint64_t at = 0; at < length; at += piece.len)
        if (!get_stored(k, "stored-body", h->position, at, SESSION_BUFFER_BYTES, &piece, err) || piece.len == 0
            || !put(k, piece, err))
            return error_within(err, "body of record %llu", (unsigned long long)h->position);
    return true;
}

static bool put_record(struct pack *k, struct prove *p, struct span row, struct error *err)
{
    uint64_t position = fields_uint(row, FIELD_POSITION, 0), shape = fields_uint(row, FIELD_SHAPE, 3);
    struct entry_header h = { .has_body = false };
    bool body = false;

    if (shape != 3 && !get_entry(k, position, &h, err))
        return error_within(err, "record %llu", (unsigned long long)position);
    if (h.has_body && p->question <= PROVE_OBJECT) {
        body = shape == 1;
        p->without_body += body ? 0 : 1;
    }
    write_u64le(&k->block, position);
    write_u8(&k->block, (uint8_t)shape);
    write_u8(&k->block, body ? 1 : 0);
    write_fill(&k->block, 0, 2);
    write_hashes(&k->block, fields_text(row, FIELD_INCLUSION));
    write_span(&k->block, shape == 1 ? fields_text(row, FIELD_RECORD_KEY) : shape == 3 ? fields_text(row, FIELD_LEAF)
                                                                                        : span_of(NULL, 0));
    if (shape != 3)
        write_span(&k->block, writer_span(&k->entry));
    return put_block(k, "RECD", err) && (!body || put_body(k, &h, err));
}

static bool take_signature(void *context, struct span row)
{
    struct pack *k = context;

    writer_reset(&k->block);
    write_span(&k->block, fields_text(row, FIELD_SIGNED_NOTE));
    return true;
}

static bool put_signature(struct pack *k, struct error *err)
{
    crypto_hash_sha256_state whole = k->hash;
    uint8_t digest[crypto_hash_sha256_BYTES];
    struct writer request = writer_new(256);
    bool ok;

    (void)crypto_hash_sha256_final(&whole, digest);
    field_put_str(&request, FIELD_QUERY, "evidence-signature");
    field_put_bytes(&request, FIELD_DIGEST, span_of(digest, sizeof digest));
    ok = session_find(k->local->session, writer_span(&request), take_signature, k, err) && put_block(k, "SIGN", err);
    writer_done(&request);
    return ok;
}

bool prove_pack(struct prove *p, struct local *l, int fd, struct span page, struct error *err)
{
    struct pack k = { .fd = fd, .local = l };
    struct reader rows = reader_over(writer_span(&p->records));
    struct span row;
    bool ok;

    k.block = writer_new(ENTRY_BYTES_MAX + (size_t)CHANNEL_MESSAGE_MAX * 2);
    k.entry = writer_new(ENTRY_BYTES_MAX);
    (void)crypto_hash_sha256_init(&k.hash);
    ok = put(&k, SPAN_LIT("FANALEVI\1\0\0\0\0\0\0\0"), err) && put_head(&k, p, page, err) && put_checkpoints(&k, p, err);
    while (ok && prove_row_next(&rows, &row))
        ok = put_record(&k, p, row, err);
    ok = ok && put_signature(&k, err);
    writer_done(&k.block);
    writer_done(&k.entry);
    return ok;
}
