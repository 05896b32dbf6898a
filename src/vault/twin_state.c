/* vault/twin: how far the twin has come (docs/twin.md, "vault/twin"). */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "vault/twin_internal.h"

#define STATE_FIXED_BYTES 168u
#define STATE_BYTES_MAX   ((size_t)64 << 10)

static void encode(const struct twin *t, const struct twin_known *k, const struct log_end *end, struct writer *w)
{
    uint8_t fixed[MARKER_FIXED_BYTES];

    write_str(w, "FANALTWN");
    write_u32le(w, 1);
    write_u32le(w, 0); /* length, below */
    write_span(w, span_of(k->vault_id, VAULT_ID_BYTES));
    write_span(w, span_of(k->public_key, FOLLOW_PUBLIC_KEY_BYTES));
    write_u64le(w, address_of(end->segment, end->offset));
    write_u64le(w, k->round_us);
    write_u64le(w, k->current_us);
    write_u64le(w, k->applied);
    write_u32le(w, k->keyring_slots);
    write_u32le(w, k->keyrings_kept);
    write_span(w, span_of(k->keyring_digest, HASH_BYTES));
    write_span(w, span_of(end->marker_hash.bytes, HASH_BYTES));
    marker_fixed_encode(&end->marker, fixed);
    write_span(w, span_of(fixed, sizeof fixed));
    write_u32le(w, k->missing);
    ledger_save(&t->store->ledger, w);
    write_patch_u32le(w, 12, (uint32_t)(w->len + HASH_BYTES));
}

bool twin_state_write(struct twin *t, const struct twin_known *known, const struct log_end *end, struct error *err)
{
    struct writer w = writer_new(STATE_BYTES_MAX);
    uint8_t hash[HASH_BYTES];
    struct span all;
    bool ok;

    encode(t, known, end, &w);
    all = writer_span(&w);
    ok = writer_ok(&w, err, "vault/twin") && seal_hash(&t->seal, &all, 1, hash, err);
    write_span(&w, span_of(hash, HASH_BYTES));
    ok = ok && writer_ok(&w, err, "vault/twin") && disk_replace(&t->store->disk, TWIN_NAME, writer_span(&w), err);
    writer_done(&w);
    return ok;
}

static bool whole(struct store *s, struct span all)
{
    struct span covered = span_part(all, 0, all.len - HASH_BYTES);
    struct seal seal;
    uint8_t hash[HASH_BYTES];
    bool ok = all.len > STATE_FIXED_BYTES + MARKER_FIXED_BYTES + HASH_BYTES && memcmp(all.ptr, "FANALTWN", 8) == 0
              && seal_init(&seal, &s->suite, NULL);

    if (!ok)
        return false;
    ok = seal_hash(&seal, &covered, 1, hash, NULL) && memcmp(hash, all.ptr + covered.len, HASH_BYTES) == 0;
    seal_done(&seal);
    return ok;
}

static void take(struct reader *r, void *out, size_t len)
{
    struct span s = read_span(r, len);

    if (s.len == len)
        memcpy(out, s.ptr, len);
}

static bool decode(struct store *s, struct span all, struct twin_known *out, struct error *err)
{
    struct reader r = reader_over(span_part(all, 0, all.len - HASH_BYTES));
    struct twin_known k = { .round_us = 0 };
    struct log_end end = { .segment = 0 };
    address where;

    read_skip(&r, 8);
    if (read_u32le(&r) != 1 || read_u32le(&r) != all.len)
        return error_set(err, ERR_UNSUPPORTED, "vault/twin is of another version");
    take(&r, k.vault_id, VAULT_ID_BYTES);
    take(&r, k.public_key, FOLLOW_PUBLIC_KEY_BYTES);
    where = read_u64le(&r);
    k.round_us = read_u64le(&r);
    k.current_us = read_u64le(&r);
    k.applied = read_u64le(&r);
    k.keyring_slots = read_u32le(&r);
    k.keyrings_kept = read_u32le(&r);
    take(&r, k.keyring_digest, HASH_BYTES);
    take(&r, end.marker_hash.bytes, HASH_BYTES);
    if (!marker_fixed_decode(read_span(&r, MARKER_FIXED_BYTES), &end.marker, err))
        return error_within(err, "vault/twin");
    k.missing = read_u32le(&r);
    end.segment = address_segment(where);
    end.offset = address_offset(where);
    if (!ledger_load(&s->ledger, &r, end.marker.size, err))
        return error_within(err, "vault/twin");
    s->end = end;
    *out = k;
    return true;
}

bool twin_state_read(struct store *s, const char *name, struct twin_known *known, struct error *err)
{
    struct writer w = writer_new(STATE_BYTES_MAX);
    char path[DISK_PATH_MAX];
    bool ok;

    disk_path(&s->disk, name, path);
    ok = file_slurp(path, &w, err);
    if (ok && !whole(s, writer_span(&w)))
        ok = error_set(err, ERR_DAMAGED, "%s is damaged", path);
    ok = ok && decode(s, writer_span(&w), known, err);
    writer_done(&w);
    return ok;
}
