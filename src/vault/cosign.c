/* Signatures of notes and cosignatures. See cosign.h. */
#include "vault/cosign.h"

#include <sodium.h>
#include <stdio.h>

#include "base/reader.h"

#define COSIGNED_MAX (NOTE_BYTES_MAX + 64) /* header and time stamp line before the text */

void vkey_id(const char *name, uint8_t type, const uint8_t key[32], uint8_t out[4])
{
    const uint8_t between[] = { '\n', type };
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;

    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, (const uint8_t *)name, strlen(name));
    (void)crypto_hash_sha256_update(&state, between, sizeof between);
    (void)crypto_hash_sha256_update(&state, key, 32);
    (void)crypto_hash_sha256_final(&state, hash);
    memcpy(out, hash, 4);
}

bool vkey_read(struct span text, struct vkey *out, struct error *err)
{
    struct vkey v;
    uint8_t id[4];

    if (!vkey_parse(text, &v, err))
        return false;
    vkey_id(v.name, v.type, v.key, id);
    if (memcmp(id, v.id, sizeof id) != 0)
        return error_set(err, ERR_MALFORMED, "a verifier key whose ID is not its own: a typing error");
    *out = v;
    return true;
}

void vkey_of_seed(const char *name, uint8_t type, const uint8_t seed[32], struct vkey *out)
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];

    *out = (struct vkey){ .type = type };
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    (void)crypto_sign_seed_keypair(out->key, secret, seed);
    sodium_memzero(secret, sizeof secret);
    vkey_id(out->name, type, out->key, out->id);
}

/* Whether a signature line is of the key: name and ID both (signed-note, "Signatures"). */
static bool is_of_key(const struct note_signature *s, const struct vkey *key)
{
    return s->len > 4 && span_equal(s->name, span_str(key->name)) && memcmp(s->bytes, key->id, 4) == 0;
}

bool note_signed_by(const struct note *n, const struct vkey *key, struct error *err)
{
    struct span left = n->signatures;
    struct note_signature s;

    while (note_signature_next(&left, &s)) {
        if (!is_of_key(&s, key))
            continue;
        if (key->type == NOTE_ED25519 && s.len == 4 + crypto_sign_BYTES
            && crypto_sign_verify_detached(s.bytes + 4, n->text.ptr, n->text.len, key->key) == 0)
            return true;
        return error_set(err, ERR_DAMAGED, "the signature of %s does not fit", key->name);
    }
    return error_set(err, ERR_REFUSED, "no signature of %s", key->name);
}

/* What a cosignature signs: two lines, then the checkpoint (tlog-cosignature, "Ed25519 signed message"). */
static void write_cosigned(struct writer *w, uint64_t time_s, struct span text)
{
    write_printf(w, "cosignature/v1\ntime %llu\n", (unsigned long long)time_s);
    write_span(w, text);
}

static bool cosignature_fits(const struct note_signature *s, const struct vkey *key, struct span text, uint64_t *time_s)
{
    struct reader r = reader_over(span_of(s->bytes, s->len));
    struct writer w = writer_new(COSIGNED_MAX);
    bool fits = key->type == NOTE_COSIGNATURE && s->len == NOTE_SIGNATURE_MAX;

    read_skip(&r, 4);
    *time_s = read_u64be(&r);
    write_cosigned(&w, *time_s, text);
    fits = fits && !w.failed && *time_s <= INT64_MAX
           && crypto_sign_verify_detached(s->bytes + 12, w.ptr, w.len, key->key) == 0;
    writer_done(&w);
    return fits;
}

bool cosignature_read(struct span lines, const struct vkey *key, struct span text, uint64_t now_s, struct span *line,
                      uint64_t *time_s, struct error *err)
{
    struct span left = lines, before = lines;
    struct note_signature s;

    for (; note_signature_next(&left, &s); before = left) {
        uint64_t stamped;

        if (!is_of_key(&s, key))
            continue;
        if (!cosignature_fits(&s, key, text, &stamped))
            return error_set(err, ERR_DAMAGED, "the cosignature of %s does not fit", key->name);
        if (stamped > now_s && stamped - now_s > COSIGNATURE_FUTURE_MAX_S)
            return error_set(err, ERR_DAMAGED, "the cosignature of %s is of a time to come", key->name);
        *line = span_part(before, 0, before.len - left.len);
        *time_s = stamped;
        return true;
    }
    return error_set(err, ERR_REFUSED, "no cosignature of %s", key->name);
}

void cosignature_write(const struct vkey *key, const uint8_t seed[32], struct span text, uint64_t time_s,
                       struct writer *w)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
    uint8_t signature[crypto_sign_BYTES];
    struct writer message = writer_new(COSIGNED_MAX), blob = writer_new(NOTE_SIGNATURE_MAX);

    write_cosigned(&message, time_s, text);
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
    if (message.failed || crypto_sign_detached(signature, NULL, message.ptr, message.len, secret) != 0)
        w->failed = true;
    sodium_memzero(secret, sizeof secret);
    write_span(&blob, span_of(key->id, sizeof key->id));
    write_u64be(&blob, time_s);
    write_span(&blob, span_of(signature, sizeof signature));
    write_printf(w, "\xe2\x80\x94 %s ", key->name);
    write_base64(w, writer_span(&blob));
    write_str(w, "\n");
    w->failed = w->failed || blob.failed;
    writer_done(&message);
    writer_done(&blob);
}
