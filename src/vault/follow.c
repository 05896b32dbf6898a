/* The first's side of a twin. See follow.h. */
#include "vault/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "vault/cosign.h"
#include "vault/scan.h"

/* ---- the head ---- */

struct committed {
    struct marker marker;
    address end;
};

static struct committed committed_of(struct store *s)
{
    struct committed c;

    (void)pthread_mutex_lock(&s->lock);
    c.marker = s->told.marker;
    c.end = address_of(s->told.segment, s->told.offset);
    (void)pthread_mutex_unlock(&s->lock);
    return c;
}

/* The last marker of a step from `from` on: *out stays as it is where there is none. */
static bool step_from(struct store *s, address from, address limit, struct marker *out, struct error *err)
{
    uint64_t log_bytes = 0, body_bytes = 0;
    struct scan_item item;
    struct scan scan;
    bool ok, some = false;

    scan_init(&scan, s, from, limit);
    while ((ok = scan_next(&scan, &item, err)) && item.type != SCAN_END) {
        log_bytes += item.length;
        if (item.type == SCAN_ENTRY && item.entry.has_body)
            body_bytes += body_stored_bytes(item.entry.body_bytes);
        if (item.type != SCAN_MARKER)
            continue;
        if (some && (log_bytes > FOLLOW_STEP_LOG_BYTES || body_bytes > FOLLOW_STEP_BODY_BYTES))
            break;
        *out = item.marker;
        some = some || item.marker.count > 0;
    }
    scan_done(&scan);
    return ok;
}

static bool sign_head(struct store *s, struct seal *seal, const struct marker *m, struct follow_head *out,
                      struct error *err)
{
    uint8_t seed[KEY_BYTES], secret[crypto_sign_SECRETKEYBYTES];
    struct writer note = writer_new(FOLLOW_NOTE_MAX - 1);
    bool ok = checkpoint_note(s, seal, m->size, &m->root, &note, err)
              && keyring_data_key(s->keyring, seal, 0, seed, err);

    if (ok) {
        (void)crypto_sign_seed_keypair(out->public_key, secret, seed);
        seal_wipe(seed, sizeof seed);
        seal_wipe(secret, sizeof secret);
        ok = span_to_str(writer_span(&note), out->note, sizeof out->note)
             || error_set(err, ERR_LIMIT, "checkpoint of %zu bytes", note.len);
    }
    writer_done(&note);
    return ok;
}

static bool describe_keyring(struct store *s, struct seal *seal, struct follow_head *out, struct error *err)
{
    uint8_t header[KEYRING_HEADER_BYTES];
    struct span bytes = span_of(header, sizeof header);

    out->keyring_slots = keyring_count(s->keyring); /* read after the committed end: covers all entries below it */
    memcpy(out->vault_id, keyring_vault_id(s->keyring), VAULT_ID_BYTES);
    keyring_read_header(s->keyring, header);
    return seal_hash(seal, &bytes, 1, out->keyring_digest, err);
}

bool store_follow_head(struct store *s, address from, uint64_t position, struct follow_head *out, struct error *err)
{
    struct committed c = committed_of(s);
    struct follow_head head = { .committed = c.marker.size };
    struct marker m = c.marker;
    struct seal seal;
    bool ok;

    if (!seal_init(&seal, &s->suite, err))
        return false;
    ok = position >= c.marker.size || from >= c.end || step_from(s, from, c.end, &m, err);
    head.size = m.size;
    head.written_us = m.written_us;
    ok = ok && describe_keyring(s, &seal, &head, err) && sign_head(s, &seal, &m, &head, err);
    seal_done(&seal);
    if (ok)
        *out = head;
    return ok;
}

/* ---- bytes ---- */

/* Reads from a descriptor that has `end` committed bytes. */
static bool read_up_to(int fd, uint64_t end, uint64_t offset, uint8_t *out, size_t len, size_t *got, struct error *err)
{
    *got = 0;
    if (offset >= end)
        return true;
    if (len > end - offset)
        len = (size_t)(end - offset);
    if (!stored_read(fd, out, len, offset, err))
        return false;
    *got = len;
    return true;
}

static bool read_log(struct store *s, const struct follow_range *r, uint8_t *out, size_t len, size_t *got,
                     struct error *err)
{
    struct committed c = committed_of(s);
    struct error why = { 0 };
    int fd = r->segment <= address_segment(c.end) ? segment_fd(s, r->segment, &why) : -1;
    uint64_t end;

    if (fd < 0 && error_is_want(why.code)) /* it may well be there */
        return error_set(err, why.code, "%s", why.text);
    if (fd < 0)
        return error_set(err, ERR_NOT_FOUND, "there is no log segment %u", r->segment);
    if (!segment_size(s, r->segment, &end, err))
        return false;
    if (r->segment == address_segment(c.end))
        end = address_offset(c.end);
    return read_up_to(fd, end, r->offset, out, len, got, err);
}

static bool read_body_file(struct store *s, const struct follow_range *r, uint8_t *out, size_t len, size_t *got,
                           struct error *err)
{
    struct committed c = committed_of(s);
    struct body_file f = { .month = r->month, .number = r->number };
    char name[NAME_BYTES_MAX], path[DISK_PATH_MAX];
    const struct body_file *in_use;
    CLEANUP(file_close) int fd = -1;
    uint64_t end = 0;

    if (r->body_class < BODY_IMAGES || r->body_class > BODY_CLASS_COUNT)
        return error_set(err, ERR_MALFORMED, "body class %d", (int)r->body_class);
    in_use = &c.marker.in_use[r->body_class - 1];
    body_name(r->body_class, &f, name);
    disk_path(&s->disk, name, path);
    if (r->number <= in_use->number && (fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 && errno != ENOENT)
        return error_errno(err, "%s", name); /* it may well be there */
    if (fd < 0)
        return error_set(err, ERR_NOT_FOUND, "there is no body file %u of month %u", r->number, r->month);
    if (!file_size(fd, &end, err))
        return false;
    if (r->number == in_use->number && end > in_use->length)
        end = in_use->length;
    return read_up_to(fd, end, r->offset, out, len, got, err);
}

static bool read_large(struct store *s, const struct follow_range *r, uint8_t *out, size_t len, size_t *got,
                       struct error *err)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    struct entry_header h;
    uint64_t from;
    bool ok;

    if (r->position >= store_committed_size(s))
        return error_set(err, ERR_NOT_FOUND, "record %llu is not there", (unsigned long long)r->position);
    ok = entry_find(s, r->position, &h, &entry, err);
    writer_done(&entry);
    if (!ok)
        return false;
    if (!h.large)
        return error_set(err, ERR_NOT_FOUND, "record %llu has no body file of its own", (unsigned long long)r->position);
    CLEANUP(file_close) int fd = body_open(s, &h, &from, err);
    if (fd < 0)
        return err->code == ERR_DAMAGED
               && error_set(err, ERR_NOT_FOUND, "the body of record %llu is not there", (unsigned long long)r->position);
    return read_up_to(fd, body_stored_bytes(h.body_bytes), r->offset, out, len, got, err);
}

static bool read_keyring(struct store *s, const struct follow_range *r, uint8_t *out, size_t len, size_t *got,
                         struct error *err)
{
    uint64_t first = r->offset < KEYRING_HEADER_BYTES ? 0 : (r->offset - KEYRING_HEADER_BYTES) / KEYRING_SLOT_BYTES;
    uint32_t count = keyring_count(s->keyring);

    *got = 0;
    if ((r->offset != 0 && (r->offset - KEYRING_HEADER_BYTES) % KEYRING_SLOT_BYTES != 0) || len < KEYRING_HEADER_BYTES)
        return error_set(err, ERR_MALFORMED, "the keyring is read by slots");
    if (r->offset == 0) {
        *got = KEYRING_HEADER_BYTES;
        keyring_read_header(s->keyring, out);
        return true;
    }
    for (; first < count && len - *got >= KEYRING_SLOT_BYTES; first++, *got += KEYRING_SLOT_BYTES)
        if (!keyring_read_slot(s->keyring, (uint32_t)first, out + *got))
            memset(out + *got, 0, KEYRING_SLOT_BYTES); /* lost in both copies: what it opens is lost here, too */
    return true;
}

bool store_follow_read(struct store *s, const struct follow_range *range, uint8_t *out, size_t len, size_t *got,
                       struct error *err)
{
    switch (range->part) {
    case FOLLOW_LOG:
        return read_log(s, range, out, len, got, err);
    case FOLLOW_BODY_FILE:
        return read_body_file(s, range, out, len, got, err);
    case FOLLOW_LARGE:
        return read_large(s, range, out, len, got, err);
    case FOLLOW_KEYRING:
        return read_keyring(s, range, out, len, got, err);
    case FOLLOW_CONF:
        break;
    }
    return error_set(err, ERR_NOT_FOUND, "there is no part %d", (int)range->part);
}

/* ---- the note, from outside ---- */

void follow_vkey(const uint8_t vault_id[VAULT_ID_BYTES], const uint8_t public_key[FOLLOW_PUBLIC_KEY_BYTES],
                 struct vkey *out)
{
    char hex[VAULT_ID_BYTES * 2 + 1];

    *out = (struct vkey){ .type = NOTE_ED25519 };
    (void)sodium_bin2hex(hex, sizeof hex, vault_id, VAULT_ID_BYTES);
    (void)snprintf(out->name, sizeof out->name, "fanal/%s", hex);
    memcpy(out->key, public_key, sizeof out->key);
    vkey_id(out->name, out->type, out->key, out->id);
}

bool follow_note_open(struct span note, const struct vkey *key, uint64_t *size, struct hash *root, struct error *err)
{
    struct checkpoint c;
    struct note n;

    if (!note_parse(note, &n, err) || !checkpoint_parse(n.text, &c, err))
        return false;
    if (!span_equal(c.origin, span_str(key->name)))
        return error_set(err, ERR_REFUSED, "the checkpoint is of another vault");
    if (!note_signed_by(&n, key, err))
        return error_set(err, ERR_REFUSED, "the checkpoint is not signed by the pinned key");
    *size = c.size;
    memcpy(root->bytes, c.root, HASH_BYTES);
    return true;
}
