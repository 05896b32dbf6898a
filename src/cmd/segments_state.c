/* The state of `fanal segments`. See segments_state.h. */
#include "cmd/segments_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reader.h"

#define STATE_BYTES (8 + 8 + VAULT_ID_BYTES + 16 + BODY_CLASS_COUNT * 16 + 8 + HASH_BYTES + crypto_hash_sha256_BYTES)

static void encode(const struct segments_state *s, struct writer *w)
{
    uint8_t hash[crypto_hash_sha256_BYTES];

    write_str(w, "FANALSGS");
    write_u32le(w, 1);
    write_u32le(w, s->begun);
    write_span(w, span_of(s->vault_id, VAULT_ID_BYTES));
    write_u64le(w, s->records);
    write_u64le(w, s->end);
    for (unsigned c = 0; c < BODY_CLASS_COUNT; c++) {
        write_u32le(w, s->in_use[c].month);
        write_u32le(w, s->in_use[c].number);
        write_u64le(w, s->in_use[c].length);
    }
    write_u64le(w, s->keyring_slots);
    write_span(w, span_of(s->keyring_digest, HASH_BYTES));
    (void)crypto_hash_sha256(hash, w->ptr, w->len);
    write_span(w, span_of(hash, sizeof hash));
}

static void take(struct reader *r, uint8_t *out, size_t len)
{
    struct span s = read_span(r, len);

    if (s.len == len)
        memcpy(out, s.ptr, len);
}

static bool decode(struct span bytes, struct segments_state *out)
{
    struct segments_state s = { .begun = false };
    uint8_t hash[crypto_hash_sha256_BYTES];
    struct reader r = reader_over(bytes);

    if (bytes.len != STATE_BYTES || memcmp(bytes.ptr, "FANALSGS", 8) != 0)
        return false;
    (void)crypto_hash_sha256(hash, bytes.ptr, bytes.len - sizeof hash);
    if (memcmp(hash, bytes.ptr + bytes.len - sizeof hash, sizeof hash) != 0)
        return false;
    read_skip(&r, 8);
    if (read_u32le(&r) != 1)
        return false;
    s.begun = read_u32le(&r) != 0;
    take(&r, s.vault_id, VAULT_ID_BYTES);
    s.records = read_u64le(&r);
    s.end = read_u64le(&r);
    for (unsigned c = 0; c < BODY_CLASS_COUNT; c++) {
        s.in_use[c].month = read_u32le(&r);
        s.in_use[c].number = read_u32le(&r);
        s.in_use[c].length = read_u64le(&r);
    }
    s.keyring_slots = (uint32_t)read_u64le(&r);
    take(&r, s.keyring_digest, HASH_BYTES);
    *out = s;
    return true;
}

bool segments_state_read(const char *path, struct segments_state *out, struct error *err)
{
    struct writer w = writer_new(STATE_BYTES + 1);
    struct segments_state s = { .begun = false };
    bool there = access(path, F_OK) == 0 || errno != ENOENT, ok = !there || file_slurp(path, &w, err);

    if (ok && there && !decode(writer_span(&w), &s))
        ok = error_set(err, ERR_DAMAGED, "%s is damaged: without it everything is written again", path);
    writer_done(&w);
    if (ok)
        *out = s;
    return ok;
}

bool segments_state_write(const char *path, const struct segments_state *s, struct error *err)
{
    struct writer w = writer_new(STATE_BYTES);
    char fresh[PATH_MAX];
    bool ok;

    encode(s, &w);
    ok = writer_ok(&w, err, "state");
    if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
        ok = error_set(err, ERR_LIMIT, "%s is too long a name", path);
    CLEANUP(file_close) int fd = ok ? open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (ok && fd < 0)
        ok = error_errno(err, "%s", fresh);
    ok = ok && file_write_all(fd, writer_span(&w), err) && file_sync(fd, err);
    if (ok && rename(fresh, path) != 0)
        ok = error_errno(err, "%s", path);
    writer_done(&w);
    return ok && file_sync_name(path, err);
}
