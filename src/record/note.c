/* Signed notes as text. See note.h. */
#include "record/note.h"

#include <sodium.h>
#include <stdlib.h>

#define EM_DASH "\xe2\x80\x94"

bool base64_decode(struct span text, uint8_t *out, size_t cap, size_t *len)
{
    const char *end = NULL;

    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] >= 0x80) /* libsodium 1.0.18 takes 0xaf for a slash where char is signed */
            return false;
    return text.len > 0 && text.len % 4 == 0
           && sodium_base642bin(out, cap, (const char *)text.ptr, text.len, NULL, len, &end,
                                sodium_base64_VARIANT_ORIGINAL)
                  == 0
           && span_offset(text, span_of(end, 0)) == text.len;
}

void write_base64(struct writer *w, struct span bytes)
{
    /* The encoder ends with a NUL, which is taken back. */
    size_t len = sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    uint8_t *room = write_room(w, len);

    if (room == NULL)
        return;
    (void)sodium_bin2base64((char *)room, len, bytes.ptr, bytes.len, sodium_base64_VARIANT_ORIGINAL);
    w->len--;
}

bool decimal_parse(struct span text, uint64_t *out)
{
    uint64_t n = 0;

    if (text.len == 0 || (text.len > 1 && text.ptr[0] == '0'))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9' || __builtin_mul_overflow(n, 10u, &n)
            || __builtin_add_overflow(n, (uint64_t)(text.ptr[i] - '0'), &n))
            return false;
    *out = n;
    return true;
}

/* The next line without its newline; false where there is none, or the last one lacks its newline. */
static bool line_next(struct span *left, struct span *line)
{
    size_t end = span_index(*left, '\n');

    if (end == left->len)
        return false;
    *line = span_part(*left, 0, end);
    *left = span_part(*left, end + 1, left->len);
    return true;
}

/* ---- the note ---- */

/* Length of the UTF-8 sequence (RFC 3629) that s begins with; 0: none. */
static size_t utf8_length(struct span s)
{
    const uint8_t a = s.ptr[0], b = s.len > 1 ? s.ptr[1] : 0;
    const size_t len = a < 0x80 ? 1 : a >= 0xc2 && a < 0xe0 ? 2 : (a & 0xf0) == 0xe0 ? 3 : a >= 0xf0 && a < 0xf5 ? 4 : 0;

    if (len == 0 || len > s.len || (a == 0xe0 && b < 0xa0) || (a == 0xed && b >= 0xa0) || (a == 0xf0 && b < 0x90)
        || (a == 0xf4 && b >= 0x90))
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s.ptr[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

static bool is_note_text(struct span s)
{
    while (s.len > 0) {
        size_t n = utf8_length(s);

        if (n == 0 || (s.ptr[0] < 0x20 && s.ptr[0] != '\n'))
            return false;
        s = span_part(s, n, s.len);
    }
    return true;
}

/* Unicode spaces other than U+0020 (White_Space of the UCD) as UTF-8: a key's name holds none of them. */
static bool has_space_or_plus(struct span name)
{
    static const char *const spaces[] = { " ",            "+",            "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80",
                                          "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80" };

    for (size_t at = 0; at < name.len; at++) {
        const struct span rest = span_part(name, at, name.len);

        for (size_t i = 0; i < COUNT_OF(spaces); i++)
            if (span_starts(rest, span_str(spaces[i])))
                return true;
        if (rest.len >= 3 && rest.ptr[0] == 0xe2 && rest.ptr[1] == 0x80 && rest.ptr[2] <= 0x8a) /* U+2000 to U+200A */
            return true;
    }
    return false;
}

/* Where the last empty line begins; 0 where there is none behind some text. */
static size_t last_empty_line(struct span bytes)
{
    for (size_t at = bytes.len; at >= 2; at--)
        if (bytes.ptr[at - 1] == '\n' && bytes.ptr[at - 2] == '\n')
            return at - 1;
    return 0;
}

bool note_parse(struct span bytes, struct note *out, struct error *err)
{
    struct note n;
    struct note_signature s;
    struct span left;
    size_t empty, count = 0;

    if (bytes.len > NOTE_BYTES_MAX)
        return error_set(err, ERR_LIMIT, "a note is longer than %zu bytes", NOTE_BYTES_MAX);
    empty = last_empty_line(bytes);
    if (empty == 0 || !is_note_text(bytes))
        return error_set(err, ERR_MALFORMED, "no signed note");
    n.text = span_part(bytes, 0, empty);
    n.signatures = left = span_part(bytes, empty + 1, bytes.len);
    while (note_signature_next(&left, &s))
        if (++count > NOTE_SIGNATURES_MAX)
            return error_set(err, ERR_LIMIT, "a note has more than %d signatures", NOTE_SIGNATURES_MAX);
    if (count == 0 || left.len > 0)
        return error_set(err, ERR_MALFORMED, "a line below a note is no signature");
    *out = n;
    return true;
}

bool note_signature_next(struct span *left, struct note_signature *out)
{
    struct span rest = *left, line, text;
    struct note_signature s = { .len = 0 };

    if (!line_next(&rest, &line) || !span_starts(line, SPAN_LIT(EM_DASH " ")))
        return false;
    line = span_part(line, sizeof EM_DASH " " - 1, line.len);
    s.name = span_part(line, 0, span_index(line, ' '));
    text = span_part(line, s.name.len + 1, line.len);
    if (s.name.len == 0 || has_space_or_plus(s.name) || text.len < 8)
        return false;
    if (text.len <= (NOTE_SIGNATURE_MAX + 2) / 3 * 4 && (!base64_decode(text, s.bytes, sizeof s.bytes, &s.len) || s.len <= 4))
        return false;
    *out = s;
    *left = rest;
    return true;
}

/* ---- the checkpoint ---- */

static bool root_parse(struct span text, uint8_t out[ROOT_BYTES])
{
    size_t len;

    return base64_decode(text, out, ROOT_BYTES, &len) && len == ROOT_BYTES;
}

bool checkpoint_parse(struct span text, struct checkpoint *out, struct error *err)
{
    struct checkpoint c;
    struct span size, root, extension;

    if (!line_next(&text, &c.origin) || c.origin.len == 0 || !line_next(&text, &size) || !line_next(&text, &root)
        || !decimal_parse(size, &c.size) || !root_parse(root, c.root))
        return error_set(err, ERR_MALFORMED, "no checkpoint: origin, size and root belong here");
    while (line_next(&text, &extension))
        if (extension.len == 0)
            return error_set(err, ERR_MALFORMED, "a checkpoint with an empty line");
    *out = c;
    return true;
}

/* ---- a verifier key ---- */

static int hex_digit(uint8_t b)
{
    return b >= '0' && b <= '9' ? b - '0' : b >= 'a' && b <= 'f' ? b - 'a' + 10 : -1;
}

bool vkey_parse(struct span text, struct vkey *out, struct error *err)
{
    struct vkey v = { .type = 0 };
    const size_t name = span_index(text, '+');
    const struct span id = span_part(text, name + 1, 8);
    uint8_t bytes[1 + sizeof v.key];
    size_t len = 0;
    bool good = name > 0 && !has_space_or_plus(span_part(text, 0, name)) && is_note_text(text) && id.len == 8
                && span_to_str(span_part(text, 0, name), v.name, sizeof v.name) && text.len > name + 10
                && text.ptr[name + 9] == '+'
                && base64_decode(span_part(text, name + 10, text.len), bytes, sizeof bytes, &len) && len == sizeof bytes;

    for (size_t i = 0; good && i < 4; i++) {
        int high = hex_digit(id.ptr[2 * i]), low = hex_digit(id.ptr[2 * i + 1]);

        good = high >= 0 && low >= 0;
        v.id[i] = (uint8_t)(high * 16 + low);
    }
    if (!good || (bytes[0] != NOTE_ED25519 && bytes[0] != NOTE_COSIGNATURE))
        return error_set(err, ERR_MALFORMED, "no verifier key (NAME+ID+KEY) of an Ed25519 key");
    v.type = bytes[0];
    memcpy(v.key, bytes + 1, sizeof v.key);
    *out = v;
    return true;
}

void vkey_write(const struct vkey *v, struct writer *w)
{
    uint8_t bytes[1 + sizeof v->key] = { v->type };

    memcpy(bytes + 1, v->key, sizeof v->key);
    write_printf(w, "%s+%02x%02x%02x%02x+", v->name, v->id[0], v->id[1], v->id[2], v->id[3]);
    write_base64(w, span_of(bytes, sizeof bytes));
}

/* ---- add-checkpoint ---- */

bool witness_request_parse(struct span body, struct witness_request *out, struct error *err)
{
    struct span left = body, line;
    size_t count = 0;

    if (!line_next(&left, &line) || !span_starts(line, SPAN_LIT("old "))
        || !decimal_parse(span_part(line, 4, line.len), &out->old_size))
        return error_set(err, ERR_MALFORMED, "no old size");
    for (;;) {
        if (!line_next(&left, &line))
            return error_set(err, ERR_MALFORMED, "no empty line behind the proof");
        if (line.len == 0)
            break;
        if (count == WITNESS_PROOF_MAX)
            return error_set(err, ERR_LIMIT, "a proof of more than %d lines", WITNESS_PROOF_MAX);
        if (!root_parse(line, out->proof[count]))
            return error_set(err, ERR_MALFORMED, "a line of the proof is no hash");
        count++;
    }
    out->proof_count = count;
    out->note = left;
    return true;
}

void witness_request_write(const struct witness_request *r, struct writer *w)
{
    write_printf(w, "old %llu\n", (unsigned long long)r->old_size);
    for (size_t i = 0; i < r->proof_count; i++) {
        write_base64(w, span_of(r->proof[i], ROOT_BYTES));
        write_str(w, "\n");
    }
    write_str(w, "\n");
    write_span(w, r->note);
}
