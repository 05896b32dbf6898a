/*
 * How far the log is confirmed: confirm files and checkpoint (docs/format.md, "Confirm files and checkpoint").
 *
 * Everything a restart would otherwise have to look for in the log is durable before a confirm file says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "vault/sealer.h"

#define COPIES               2
#define CONFIRM_FIXED_BYTES  (64u + MARKER_FIXED_BYTES + HASH_BYTES)
#define CHECKPOINT_BYTES_MAX 512u

static const char *const copy_names[COPIES] = { "confirm.0", "confirm.1" };

/* ---- the signed note (C2SP signed-note, tlog-checkpoint) ---- */

static void write_base64(struct writer *w, struct span bytes)
{
    char text[160];

    (void)sodium_bin2base64(text, sizeof text, bytes.ptr, bytes.len, sodium_base64_VARIANT_ORIGINAL);
    write_str(w, text);
}

static void write_origin(struct store *s, struct writer *w)
{
    char hex[VAULT_ID_BYTES * 2 + 1];

    (void)sodium_bin2hex(hex, sizeof hex, keyring_vault_id(s->keyring), VAULT_ID_BYTES);
    write_str(w, "fanal/");
    write_str(w, hex);
}

/* Key ID: SHA-256(name || 0x0A || 0x01 || public key), first 4 bytes; 0x01 is Ed25519. */
static bool key_id(struct store *s, struct seal *seal, const uint8_t *public_key, uint8_t out[4], struct error *err)
{
    struct writer name = writer_new(128);
    uint8_t hash[HASH_BYTES];
    bool ok;

    write_origin(s, &name);
    write_u8(&name, '\n');
    write_u8(&name, 1);
    write_span(&name, span_of(public_key, crypto_sign_PUBLICKEYBYTES));
    ok = writer_ok(&name, err, "key name") && seal_hash(seal, &(struct span){ name.ptr, name.len }, 1, hash, err);
    writer_done(&name);
    memcpy(out, hash, 4);
    return ok;
}

/* Behind the text of a note, which *w holds: the line of the log's signature. */
static bool sign_note(struct store *s, struct seal *seal, struct writer *w, struct error *err)
{
    uint8_t seed[KEY_BYTES], secret[crypto_sign_SECRETKEYBYTES], public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t signature[4 + crypto_sign_BYTES];
    bool ok;

    if (!keyring_data_key(s->keyring, seal, 0, seed, err))
        return false;
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
    ok = writer_ok(w, err, "signed note") && key_id(s, seal, public_key, signature, err)
         && crypto_sign_detached(signature + 4, NULL, w->ptr, w->len, secret) == 0;
    seal_wipe(secret, sizeof secret);
    seal_wipe(seed, sizeof seed);
    if (!ok)
        return false;
    write_str(w, "\n\xe2\x80\x94 "); /* EM DASH */
    write_origin(s, w);
    write_str(w, " ");
    write_base64(w, span_of(signature, sizeof signature));
    write_str(w, "\n");
    return writer_ok(w, err, "signed note");
}

bool checkpoint_note(struct store *s, struct seal *seal, uint64_t size, const struct hash *root, struct writer *w,
                     struct error *err)
{
    write_origin(s, w);
    write_printf(w, "\n%llu\n", (unsigned long long)size);
    write_base64(w, span_of(root->bytes, HASH_BYTES));
    write_str(w, "\n");
    return sign_note(s, seal, w, err);
}

bool evidence_note(struct store *s, struct seal *seal, const struct hash *digest, struct writer *w, struct error *err)
{
    write_origin(s, w);
    write_str(w, " evidence\n"); /* no origin of a log: never taken for a checkpoint */
    write_base64(w, span_of(digest->bytes, HASH_BYTES));
    write_str(w, "\n");
    return sign_note(s, seal, w, err);
}

/* The whole of a small file: ERR_DAMAGED where it is missing or the disk does not give it; a want as it is. */
static bool slurp_small(struct store *s, const char *name, struct writer *w, struct error *err)
{
    char path[DISK_PATH_MAX];
    struct error why = { 0 };
    uint64_t size;
    uint8_t *out;

    disk_path(&s->disk, name, path);
    writer_reset(w);
    CLEANUP(file_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return error_errno(err, "open of %s", name);
    if (fd < 0 || !file_size(fd, &size, NULL) || size > w->limit)
        return error_set(err, ERR_DAMAGED, "%s is damaged or missing", name);
    out = write_room(w, (size_t)size);
    if (size > 0 && out == NULL)
        return error_set(err, ERR_MEMORY, "no memory to read %s", name);
    if (size == 0 || stored_read(fd, out, (size_t)size, 0, &why))
        return true;
    return error_set(err, why.code, why.code == ERR_DAMAGED ? "%s is damaged or missing" : "%s cannot be read", name);
}

/* What the lines of a checkpoint claim. */
static bool parse_checkpoint(struct span rest, uint64_t *size, struct hash *root)
{
    char line[64];
    size_t n;

    rest = span_part(rest, span_index(rest, '\n') + 1, rest.len); /* behind the origin */
    if (!span_to_str(span_part(rest, 0, span_index(rest, '\n')), line, sizeof line) || line[0] < '0' || line[0] > '9')
        return false;
    *size = strtoull(line, NULL, 10);
    rest = span_part(rest, span_index(rest, '\n') + 1, rest.len);
    return sodium_base642bin(root->bytes, HASH_BYTES, (const char *)rest.ptr, span_index(rest, '\n'), NULL, &n, NULL,
                             sodium_base64_VARIANT_ORIGINAL)
               == 0
           && n == HASH_BYTES;
}

bool checkpoint_read(struct store *s, struct seal *seal, bool *whole, uint64_t *size, struct hash *root,
                     struct error *err)
{
    struct writer got = writer_new(CHECKPOINT_BYTES_MAX), want = writer_new(CHECKPOINT_BYTES_MAX);
    struct error why = { 0 };
    bool known = slurp_small(s, "checkpoint", &got, &why) || why.code == ERR_DAMAGED;

    *whole = why.code == ERR_NONE && parse_checkpoint(writer_span(&got), size, root);
    /* Ed25519 signs the same text to the same bytes: so the file is ours to the last bit, or it is not. */
    if (*whole) {
        known = checkpoint_note(s, seal, *size, root, &want, &why);
        *whole = known && span_equal(writer_span(&got), writer_span(&want));
    }
    writer_done(&got);
    writer_done(&want);
    return known || error_set(err, why.code, "%s", why.text);
}

/* ---- the confirm files ---- */

static void encode(struct store *s, struct writer *w)
{
    uint8_t fixed[MARKER_FIXED_BYTES];
    uint8_t mac[HASH_BYTES];

    write_str(w, "FANALCFM");
    write_u32le(w, 1);
    write_u32le(w, 0); /* length, below */
    write_span(w, span_of(keyring_vault_id(s->keyring), VAULT_ID_BYTES));
    write_u64le(w, address_of(s->end.segment, s->end.offset));
    write_u64le(w, s->confirm_sequence);
    write_fill(w, 0, 64 - w->len);
    marker_fixed_encode(&s->end.marker, fixed);
    write_span(w, span_of(fixed, sizeof fixed));
    write_span(w, span_of(s->end.marker_hash.bytes, HASH_BYTES));
    ledger_save(&s->ledger, w);
    write_patch_u32le(w, 12, (uint32_t)(w->len + HASH_BYTES));
    if (w->failed)
        return;
    seal_mac(keyring_keys(s->keyring)->confirm, writer_span(w), mac);
    write_span(w, span_of(mac, sizeof mac));
}

/* Bodies with a file of their own get their final name. */
static bool name_large(struct store *s, struct error *err)
{
    char part[NAME_BYTES_MAX], final[NAME_BYTES_MAX];
    struct error why = { 0 };

    if (s->large_names.len == 0)
        return true;
    for (size_t at = 0; at < s->large_names.len; at += LARGE_NAME_BYTES) {
        large_name(s->large_names.ptr + at, false, part);
        large_name(s->large_names.ptr + at, true, final);
        if (disk_exists(&s->disk, final) || disk_rename(&s->disk, part, final, &why))
            continue;
        if (why.code != ERR_NOT_FOUND)
            return error_set(err, why.code, "%s", why.text);
        log_error(s->log, "body.lost", f_str("file", final)); /* reading and verify name its record, the store goes on */
    }
    if (!disk_sync_dir(&s->disk, "body/large", err))
        return false;
    writer_reset(&s->large_names);
    return true;
}

static bool replace_all(struct store *s, struct error *err)
{
    struct writer w = writer_new(CONFIRM_BYTES_MAX);
    bool ok;

    s->confirm_sequence++;
    encode(s, &w);
    ok = writer_ok(&w, err, "confirm file");
    for (int i = 0; ok && i < COPIES; i++)
        ok = disk_replace(&s->disk, copy_names[i], writer_span(&w), err);
    if (ok) {
        writer_reset(&w);
        ok = checkpoint_note(s, &s->commit_seal, s->end.marker.size, &s->end.marker.root, &w, err)
             && disk_replace(&s->disk, "checkpoint", writer_span(&w), err);
    }
    writer_done(&w);
    return ok;
}

bool confirm_write(struct store *s, struct error *err)
{
    bool ok;

    (void)pthread_mutex_lock(&s->confirm_lock);
    ok = (!store_has_failed(s) || error_set(err, ERR_IO, "the store takes nothing until it is opened again"))
         && keyring_flush(s->keyring, err) && ledger_flush(&s->ledger, err) && name_large(s, err) && replace_all(s, err);
    if (ok) {
        s->unconfirmed = false;
        s->entries_since_confirm = 0;
    }
    (void)pthread_mutex_unlock(&s->confirm_lock);
    if (ok) {
        atomic_store(&s->confirmed_segment, s->end.segment);
        atomic_store(&s->confirmed_size, s->end.marker.size);
        sealer_wake(s);
    }
    return ok || error_within(err, "confirm");
}

struct confirm_file {
    struct span ledger; /* from "the tree's right edge" on */
    struct log_end end;
    uint64_t sequence;
};

/* Reads and checks one copy; what comes out borrows from *w. ERR_DAMAGED, ERR_MEMORY. */
static bool read_copy(struct store *s, int copy, struct writer *w, struct confirm_file *out, struct error *err)
{
    struct reader r;
    struct span all;
    address where;

    if (!slurp_small(s, copy_names[copy], w, err))
        return false;
    all = writer_span(w);
    if (all.len < CONFIRM_FIXED_BYTES + HASH_BYTES || memcmp(all.ptr, "FANALCFM", 8) != 0
        || !seal_mac_fits(keyring_keys(s->keyring)->confirm, span_part(all, 0, all.len - HASH_BYTES),
                          all.ptr + all.len - HASH_BYTES, HASH_BYTES)
        || memcmp(all.ptr + 16, keyring_vault_id(s->keyring), VAULT_ID_BYTES) != 0)
        return error_set(err, ERR_DAMAGED, "%s is damaged or missing", copy_names[copy]);
    r = reader_over(all);
    read_skip(&r, 32);
    where = read_u64le(&r);
    out->sequence = read_u64le(&r);
    out->end.segment = address_segment(where);
    out->end.offset = address_offset(where);
    memcpy(out->end.marker_hash.bytes, all.ptr + 64 + MARKER_FIXED_BYTES, HASH_BYTES);
    out->ledger = span_part(all, CONFIRM_FIXED_BYTES, all.len - CONFIRM_FIXED_BYTES - HASH_BYTES);
    return marker_fixed_decode(span_part(all, 64, MARKER_FIXED_BYTES), &out->end.marker, NULL)
           || error_set(err, ERR_DAMAGED, "%s is damaged or missing", copy_names[copy]);
}

bool confirm_read(struct store *s, bool *found, struct error *err)
{
    struct writer w = writer_new(CONFIRM_BYTES_MAX);
    bool known = true;

    *found = false;
    for (int i = 0; known && i < COPIES; i++) {
        struct confirm_file f = { 0 };
        struct error why = { 0 };
        struct reader r;

        if (!read_copy(s, i, &w, &f, &why)) {
            known = why.code == ERR_DAMAGED || error_set(err, why.code, "%s", why.text);
            if (known)
                start_finding(s, "%s", why.text);
            continue;
        }
        r = reader_over(f.ledger);
        if ((*found && f.sequence <= s->confirm_sequence) || !ledger_load(&s->ledger, &r, f.end.marker.size, NULL))
            continue;
        s->end = f.end;
        atomic_store(&s->confirmed_segment, s->end.segment);
        atomic_store(&s->confirmed_size, s->end.marker.size);
        s->confirm_sequence = f.sequence;
        *found = true;
    }
    writer_done(&w);
    return known;
}

bool confirm_snapshot(struct store *s, struct ledger *out, struct error *err)
{
    struct writer w = writer_new(CONFIRM_BYTES_MAX);
    bool found = false, known = true;

    for (int i = 0; !found && known && i < COPIES; i++) { /* each copy is replaced whole: what is read is one state */
        struct confirm_file f = { 0 };
        struct error why = { 0 };
        struct reader r;

        if (!read_copy(s, i, &w, &f, &why)) {
            known = why.code == ERR_DAMAGED || error_set(err, why.code, "%s", why.text);
            continue;
        }
        r = reader_over(f.ledger);
        found = ledger_load(out, &r, f.end.marker.size, NULL);
    }
    writer_done(&w);
    return found || (known && error_set(err, ERR_DAMAGED, "both confirm files are damaged or missing"));
}

bool confirm_edge(struct store *s, struct ledger *out, struct error *err)
{
    struct writer w = writer_new(CONFIRM_BYTES_MAX);
    uint64_t sequence = 0;
    bool found = false, known = true;

    for (int i = 0; known && i < COPIES; i++) {
        struct confirm_file f = { 0 };
        struct error why = { 0 };
        struct reader r;

        if (!read_copy(s, i, &w, &f, &why)) {
            known = why.code == ERR_DAMAGED || error_set(err, why.code, "%s", why.text);
            continue;
        }
        if (found && f.sequence <= sequence)
            continue;
        r = reader_over(f.ledger);
        found = ledger_load(out, &r, f.end.marker.size, NULL) || found;
        sequence = f.sequence;
    }
    writer_done(&w);
    return known && (found || error_set(err, ERR_DAMAGED, "both confirm files are damaged or missing"));
}

bool confirm_check(struct store *s, verify_report *report, void *context, uint64_t *findings, struct error *err)
{
    struct writer w = writer_new(CONFIRM_BYTES_MAX);
    bool known = true;

    for (int i = 0; known && i < COPIES; i++) {
        struct confirm_file f = { 0 };
        struct error why = { 0 };

        if (read_copy(s, i, &w, &f, &why))
            continue;
        known = why.code == ERR_DAMAGED || error_set(err, why.code, "%s", why.text);
        if (!known)
            continue;
        report(context, why.text);
        (*findings)++;
    }
    writer_done(&w);
    return known;
}
