/* Signed notes. See note.h. */
#include "note.h"

#include <nettle/eddsa.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#define DASH "\xe2\x80\x94 " /* EM DASH, space: begins a signature line */

void key_of(struct bytes name, enum key_type type, const uint8_t public_key[32], struct key *out)
{
    uint8_t separator[2] = { '\n', (uint8_t)type };
    struct sha256_ctx c;
    struct key k = { .name = name, .type = type };

    memcpy(k.public_key, public_key, 32);
    sha256_init(&c);
    sha256_update(&c, name.len, name.ptr);
    sha256_update(&c, sizeof separator, separator);
    sha256_update(&c, 32, public_key);
    sha256_digest(&c, sizeof k.id, k.id);
    *out = k; /* last: public_key may be its own */
}

/* The encoded key may hold plus signs, the ID and the name hold none: so it is read from the left. */
bool key_parse(struct bytes text, struct key *out, struct why *why)
{
    uint8_t raw[33];
    char id[9];
    size_t name = 0, len;

    while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
        text.len--;
    while (name < text.len && text.ptr[name] != '+')
        name++;
    if (name == 0 || name > NAME_BYTES_MAX || text.len < name + 10 || text.ptr[name + 9] != '+')
        return no(why, "a key is not of the form name+id+key");
    if (!base64(part(text, name + 10, text.len), raw, sizeof raw, &len) || len != sizeof raw
        || (raw[0] != KEY_ED25519 && raw[0] != KEY_COSIGNATURE))
        return no(why, "a key is neither an Ed25519 key nor a cosigner's");
    key_of(part(text, 0, name), (enum key_type)raw[0], raw + 1, out);
    (void)snprintf(id, sizeof id, "%02x%02x%02x%02x", out->id[0], out->id[1], out->id[2], out->id[3]);
    if (memcmp(id, text.ptr + name + 1, 8) != 0)
        return no(why, "the ID of a key is not that of the key");
    return true;
}

bool note_parse(struct bytes bytes, struct note *out, struct why *why)
{
    size_t at = 0;

    if (bytes.len == 0 || bytes.len > NOTE_BYTES_MAX)
        return no(why, "a signed note of %zu bytes", bytes.len);
    for (size_t i = 0; i < bytes.len; i++)
        if ((bytes.ptr[i] < 0x20 && bytes.ptr[i] != '\n') || bytes.ptr[i] == 0x7f)
            return no(why, "a signed note holds a control character");
    for (size_t i = 0; i + 1 < bytes.len; i++) /* the last empty line */
        if (bytes.ptr[i] == '\n' && bytes.ptr[i + 1] == '\n')
            at = i + 1;
    if (at == 0)
        return no(why, "a signed note has no signature part");
    out->text = part(bytes, 0, at);
    out->signatures = part(bytes, at + 1, bytes.len);
    return true;
}

/* The next signature line: who, and the decoded signature with its key ID. */
static bool next_signature(struct cursor *c, struct bytes *name, uint8_t out[128], size_t *len)
{
    struct bytes line = take_line(c);
    size_t space;

    if (c->dry || line.len < sizeof DASH || memcmp(line.ptr, DASH, sizeof DASH - 1) != 0)
        return false;
    line = part(line, sizeof DASH - 1, line.len);
    for (space = 0; space < line.len && line.ptr[space] != ' '; space++)
        ;
    *name = part(line, 0, space);
    return space > 0 && base64(part(line, space + 1, line.len), out, 128, len) && *len > 4;
}

static bool signature_fits(const struct note *n, const struct key *k, const uint8_t *sig, size_t len, uint64_t *time_s)
{
    uint8_t message[NOTE_BYTES_MAX + 64];
    int head = 0;

    if (k->type == KEY_COSIGNATURE) {
        uint64_t t = 0;

        if (len != 8 + 64)
            return false;
        for (int i = 0; i < 8; i++)
            t = t << 8 | sig[i];
        head = snprintf((char *)message, 64, "cosignature/v1\ntime %llu\n", (unsigned long long)t);
        sig += 8;
        *time_s = t;
    } else if (len != 64) {
        return false;
    }
    memcpy(message + head, n->text.ptr, n->text.len);
    return ed25519_sha512_verify(k->public_key, (size_t)head + n->text.len, message, sig) == 1;
}

static bool look_for(const struct note *n, const struct key *k, bool check, uint64_t *time_s)
{
    struct cursor c = { n->signatures, false };
    bool found = false;

    for (unsigned i = 0; c.left.len > 0; i++) {
        struct bytes name;
        uint8_t sig[128];
        size_t len;

        if (i == NOTE_SIGNATURES_MAX || !next_signature(&c, &name, sig, &len))
            return false; /* one broken line makes it no signed note */
        if (same(name, k->name) && memcmp(sig, k->id, sizeof k->id) == 0)
            found = found || !check || signature_fits(n, k, sig + 4, len - 4, time_s);
    }
    return found;
}

bool note_signed(const struct note *n, const struct key *k, uint64_t *time_s, struct why *why)
{
    uint64_t ignored;

    if (look_for(n, k, true, time_s == NULL ? &ignored : time_s))
        return true;
    return no(why, "it has no valid signature of %.*s", (int)k->name.len, (const char *)k->name.ptr);
}

bool note_names(const struct note *n, const struct key *k)
{
    return look_for(n, k, false, NULL);
}

bool checkpoint_parse(struct bytes text, struct checkpoint *out, struct why *why)
{
    struct cursor c = { text, false };
    struct bytes size, root;
    size_t len;

    out->origin = take_line(&c);
    size = take_line(&c);
    root = take_line(&c);
    if (c.dry || c.left.len != 0 || out->origin.len == 0 || out->origin.len > NAME_BYTES_MAX)
        return no(why, "a checkpoint is not of three lines");
    if (!decimal(size, &out->size) || !base64(root, out->root.bytes, HASH_BYTES, &len) || len != HASH_BYTES)
        return no(why, "a checkpoint names no size and root");
    return true;
}
