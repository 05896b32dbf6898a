/* Records and what their keys open. See record.h. */
#include "record.h"

#include <nettle/gcm.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#define NONCE_BYTES 12

const char *kind_name(unsigned kind)
{
    static const char *const names[] = { "?", "DICOM object", "HL7 message", "fact", "event", "rule" };

    return names[kind >= KIND_DICOM && kind <= KIND_RULE ? kind : 0];
}

static uint64_t chunk_count(const struct entry *e)
{
    return e->body_bytes == 0 ? 1 : (e->body_bytes - 1) / e->chunk_bytes + 1;
}

static bool parse_body(struct cursor *c, struct entry *e, struct why *why)
{
    struct bytes root;

    e->body_bytes = take_le(c, 8);
    (void)take(c, 16); /* where the vault keeps it */
    root = take(c, HASH_BYTES);
    e->chunk_bytes = (uint32_t)take_le(c, 4);
    if (c->dry || e->chunk_bytes == 0 || e->chunk_bytes > CHUNK_BYTES_MAX || chunk_count(e) > UINT32_MAX)
        return no(why, "its header describes a body that cannot be");
    memcpy(e->body_root.bytes, root.ptr, HASH_BYTES);
    return true;
}

bool entry_parse(struct bytes raw, struct entry *out, struct why *why)
{
    struct cursor c = { part(raw, 0, ENTRY_HEADER_BYTES), false };
    struct entry e = { .raw = raw };
    uint64_t flags, version, length;

    if (!same(take(&c, 4), LIT("FNLE")))
        return no(why, "it does not begin as an entry");
    (void)take(&c, 4); /* a checksum for finding entries on a disk; the leaf hash covers it */
    e.position = take_le(&c, 8);
    e.received_us = take_le(&c, 8);
    e.kind = (unsigned)take_le(&c, 1);
    flags = take_le(&c, 1);
    (void)take(&c, 1); /* the body's class */
    version = take_le(&c, 1);
    (void)take(&c, 4 + 32); /* the unit's slot, and the salt of a key we are given ready */
    e.commitment = take(&c, HASH_BYTES);
    e.facts_bytes = (uint32_t)take_le(&c, 4);
    length = take_le(&c, 4);
    e.has_body = (flags & 1) != 0;
    if (c.dry || version != 1 || flags > 3 || flags == 2)
        return no(why, "its header is of no version known here");
    if (e.facts_bytes < TAG_BYTES + 2 || length != raw.len || raw.len > ENTRY_BYTES_MAX
        || (ENTRY_HEADER_BYTES + (uint64_t)e.facts_bytes + 31) / 32 * 32 != raw.len)
        return no(why, "the lengths in its header are not its own");
    if (e.has_body && !parse_body(&c, &e, why))
        return false;
    *out = e;
    return true;
}

/* HKDF-Expand of one block (RFC 5869 §2.3). */
static void expand(struct bytes key, const char *label, uint8_t out[KEY_BYTES])
{
    struct hmac_sha256_ctx c;

    hmac_sha256_set_key(&c, key.len, key.ptr);
    hmac_sha256_update(&c, strlen(label), (const uint8_t *)label);
    hmac_sha256_update(&c, 1, (const uint8_t *)"\1");
    hmac_sha256_digest(&c, KEY_BYTES, out);
}

/* AES-256-GCM; sealed ends with the tag. */
static bool gcm_open(const uint8_t key[KEY_BYTES], const uint8_t nonce[NONCE_BYTES], struct bytes associated,
                     struct bytes sealed, uint8_t *out)
{
    struct gcm_aes256_ctx c;
    uint8_t tag[TAG_BYTES];
    size_t n = sealed.len - TAG_BYTES;

    gcm_aes256_set_key(&c, key);
    gcm_aes256_set_iv(&c, NONCE_BYTES, nonce);
    gcm_aes256_update(&c, associated.len, associated.ptr);
    gcm_aes256_decrypt(&c, n, out, sealed.ptr);
    gcm_aes256_digest(&c, TAG_BYTES, tag);
    return memeql_sec(tag, sealed.ptr + n, TAG_BYTES);
}

bool entry_key_fits(const struct entry *e, struct bytes key, struct why *why)
{
    uint8_t commitment[HASH_BYTES];

    expand(key, "commitment", commitment);
    return memeql_sec(commitment, e->commitment.ptr, HASH_BYTES) || no(why, "the key is not the one it was sealed with");
}

bool entry_open(const struct entry *e, struct bytes key, uint8_t *out, struct bytes *unit, struct bytes *facts,
                struct why *why)
{
    static const uint8_t nonce[NONCE_BYTES];
    uint8_t facts_key[KEY_BYTES];
    struct cursor c = { { out, e->facts_bytes - TAG_BYTES }, false };

    expand(key, "facts", facts_key);
    if (!gcm_open(facts_key, nonce, part(e->raw, 8, ENTRY_HEADER_BYTES - 8), part(e->raw, ENTRY_HEADER_BYTES, e->facts_bytes),
                  out))
        return no(why, "its facts do not decrypt: they were altered");
    *unit = take(&c, (size_t)take_le(&c, 2));
    *facts = c.left;
    return !c.dry || no(why, "its facts are not of the form of facts");
}

static bool open_chunk(const uint8_t key[KEY_BYTES], uint64_t index, bool last, struct bytes stored, uint8_t *clear)
{
    uint8_t nonce[NONCE_BYTES] = { [7] = (uint8_t)(index >> 24), [8] = (uint8_t)(index >> 16),
                                   [9] = (uint8_t)(index >> 8), [10] = (uint8_t)index, [11] = last ? 1 : 0 };

    return gcm_open(key, nonce, (struct bytes){ NULL, 0 }, stored, clear);
}

static bool root_fits(const struct entry *e, struct bytes stored)
{
    struct tree t = { 0 };
    struct hash h;

    for (size_t at = 0; at < stored.len; at += e->chunk_bytes + TAG_BYTES) {
        hash_leaf(part(stored, at, e->chunk_bytes + TAG_BYTES), &h);
        tree_add(&t, &h);
    }
    tree_root(&t, &h);
    return hash_same(&h, &e->body_root);
}

bool body_open(const struct entry *e, struct bytes key, struct bytes stored, body_sink *sink, void *context,
               struct why *why)
{
    uint8_t body_key[KEY_BYTES], clear[CHUNK_BYTES_MAX];
    uint64_t count = chunk_count(e);

    if (stored.len != e->body_bytes + count * TAG_BYTES)
        return no(why, "its body is not as long as its header says");
    if (!root_fits(e, stored))
        return no(why, "its body is not the one its header names: the root over its chunks differs");
    expand(key, "body", body_key);
    for (uint64_t i = 0; i < count; i++) {
        struct bytes chunk = part(stored, (size_t)i * (e->chunk_bytes + TAG_BYTES), e->chunk_bytes + TAG_BYTES);

        if (!open_chunk(body_key, i, i + 1 == count, chunk, clear))
            return no(why, "chunk %llu of its body does not decrypt", (unsigned long long)i);
        if (sink != NULL && !sink(context, (struct bytes){ clear, chunk.len - TAG_BYTES }, why))
            return false;
    }
    return true;
}

bool fact_next(struct cursor *facts, struct fact *out)
{
    out->number = (unsigned)take_le(facts, 2);
    out->value = take(facts, (size_t)take_le(facts, 4));
    return !facts->dry;
}

struct bytes fact_find(struct bytes facts, unsigned number)
{
    struct cursor c = { facts, false };
    struct fact f;

    while (c.left.len > 0 && fact_next(&c, &f))
        if (f.number == number)
            return f.value;
    return (struct bytes){ NULL, 0 };
}
