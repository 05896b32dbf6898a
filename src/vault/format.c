/* docs/format.md as C. See format.h. */
#include "vault/format.h"

#include <assert.h>
#include <isa-l/crc.h>
#include <stdio.h>
#include <time.h>

#include "base/reader.h"

const char *const body_class_dirs[BODY_CLASS_COUNT + 1] = { NULL, "body/images", "body/results", "body/recordings",
                                                            "body/held" };

uint32_t crc32c(struct span bytes)
{
    return ~crc32_iscsi((unsigned char *)bytes.ptr, (int)bytes.len, 0xffffffff); /* it only reads */
}

/* A writer over fixed bytes of a header: the formats below are short and never pass them. */
struct pen {
    uint8_t *out;
    size_t at;
};

static void put(struct pen *p, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p->out[p->at++] = (uint8_t)(v >> (8 * i));
}

static void put_bytes(struct pen *p, const void *bytes, size_t len)
{
    memcpy(p->out + p->at, bytes, len);
    p->at += len;
}

static uint32_t stored_crc(struct span bytes)
{
    struct reader r = reader_over(span_part(bytes, 4, 4));

    return read_u32le(&r);
}

static void get_bytes(struct reader *r, void *out, size_t len)
{
    struct span s = read_span(r, len);

    if (s.len == len)
        memcpy(out, s.ptr, len);
}

static bool all_zero(struct span s)
{
    uint8_t any = 0;

    for (size_t i = 0; i < s.len; i++)
        any |= s.ptr[i];
    return any == 0;
}

uint32_t entry_length(uint32_t facts_bytes)
{
    return (ENTRY_HEADER_BYTES + facts_bytes + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

uint32_t body_chunk_count(uint64_t body_bytes)
{
    return body_bytes == 0 ? 1 : (uint32_t)((body_bytes - 1) / CHUNK_BYTES + 1);
}

uint64_t body_stored_bytes(uint64_t body_bytes)
{
    return body_bytes + (uint64_t)TAG_BYTES * body_chunk_count(body_bytes);
}

static void put_entry_crc(uint8_t header[ENTRY_HEADER_BYTES])
{
    struct pen p = { .out = header, .at = 4 };

    put(&p, crc32c(span_of(header + 8, ENTRY_HEADER_BYTES - 8)), 4);
}

void entry_header_encode(const struct entry_header *h, uint8_t out[ENTRY_HEADER_BYTES])
{
    struct pen p = { .out = out };

    memset(out, 0, ENTRY_HEADER_BYTES);
    put_bytes(&p, "FNLE", 4);
    p.at = 8;
    put(&p, h->position, 8);
    put(&p, h->received_us, 8);
    put(&p, h->kind, 1);
    put(&p, (h->has_body ? 1u : 0u) | (h->large ? 2u : 0u), 1);
    put(&p, h->has_body ? h->body_class : 0, 1);
    put(&p, 1, 1);
    put(&p, h->slot, 4);
    put_bytes(&p, h->salt, sizeof h->salt);
    put_bytes(&p, h->commitment, sizeof h->commitment);
    put(&p, h->facts_bytes, 4);
    put(&p, h->length, 4);
    if (h->has_body) {
        put(&p, h->body_bytes, 8);
        if (h->large) {
            put_bytes(&p, h->name, sizeof h->name);
        } else {
            put(&p, h->place.month, 4);
            put(&p, h->place.number, 4);
            put(&p, h->place.length, 8);
        }
        assert(p.at == ENTRY_ROOT_AT);
        put_bytes(&p, h->body_root.bytes, HASH_BYTES);
        put(&p, CHUNK_BYTES, 4);
    }
    p.at = 168;
    put(&p, h->previous_rule, 8);
    put_entry_crc(out);
}

void entry_header_set_root(uint8_t header[ENTRY_HEADER_BYTES], const struct hash *root)
{
    memcpy(header + ENTRY_ROOT_AT, root->bytes, HASH_BYTES);
    put_entry_crc(header);
}

static bool entry_body_decode(struct reader *r, struct entry_header *h, struct error *err)
{
    h->body_bytes = read_u64le(r);
    if (h->large) {
        get_bytes(r, h->name, sizeof h->name);
    } else {
        h->place.month = read_u32le(r);
        h->place.number = read_u32le(r);
        h->place.length = read_u64le(r);
    }
    get_bytes(r, h->body_root.bytes, HASH_BYTES);
    if (read_u32le(r) != CHUNK_BYTES || h->body_class < BODY_IMAGES || h->body_class > BODY_CLASS_COUNT
        || h->body_bytes > BODY_BYTES_MAX || h->place.length > INT64_MAX / 2)
        return error_set(err, ERR_DAMAGED, "entry header: its body cannot be");
    return true;
}

bool entry_header_decode(struct span bytes, struct entry_header *out, struct error *err)
{
    struct span header = span_part(bytes, 0, ENTRY_HEADER_BYTES);
    struct reader r = reader_over(header);
    struct entry_header h = { 0 };
    uint8_t flags, version;

    if (header.len < ENTRY_HEADER_BYTES || memcmp(header.ptr, "FNLE", 4) != 0
        || stored_crc(header) != crc32c(span_part(header, 8, header.len)))
        return error_set(err, ERR_DAMAGED, "entry header fails its checksum");
    read_skip(&r, 8);
    h.position = read_u64le(&r);
    h.received_us = read_u64le(&r);
    h.kind = read_u8(&r);
    flags = read_u8(&r);
    h.has_body = (flags & 1) != 0;
    h.large = (flags & 2) != 0;
    h.body_class = read_u8(&r);
    version = read_u8(&r);
    h.slot = read_u32le(&r);
    get_bytes(&r, h.salt, sizeof h.salt);
    get_bytes(&r, h.commitment, sizeof h.commitment);
    h.facts_bytes = read_u32le(&r);
    h.length = read_u32le(&r);
    if (version != 1 || flags > 3 || (h.large && !h.has_body) || h.facts_bytes < TAG_BYTES + 2
        || h.facts_bytes > FACTS_STORED_MAX || h.length != entry_length(h.facts_bytes))
        return error_set(err, ERR_DAMAGED, "entry header: lengths or version cannot be");
    if (h.has_body && !entry_body_decode(&r, &h, err))
        return false;
    if (!h.has_body && (h.body_class != 0 || !all_zero(span_part(header, 104, 60))))
        return error_set(err, ERR_DAMAGED, "entry header: no body, but where it lies");
    r = reader_over(span_part(header, 168, 8));
    h.previous_rule = read_u64le(&r);
    if (!all_zero(span_part(header, 164, 4)) || !all_zero(span_part(header, 176, 16)))
        return error_set(err, ERR_DAMAGED, "entry header: reserved bytes");
    *out = h;
    return true;
}

void marker_fixed_encode(const struct marker *m, uint8_t out[MARKER_FIXED_BYTES])
{
    struct pen p = { .out = out };

    memset(out, 0, MARKER_FIXED_BYTES);
    put_bytes(&p, "FNLM", 4);
    p.at = 8;
    put(&p, m->size, 8);
    put(&p, m->commit, 8);
    put(&p, m->newest_rule, 8);
    put_bytes(&p, m->root.bytes, HASH_BYTES);
    put_bytes(&p, m->previous.bytes, HASH_BYTES);
    put(&p, m->batch, 8);
    for (size_t i = 0; i < BODY_CLASS_COUNT; i++) {
        put(&p, m->in_use[i].month, 4);
        put(&p, m->in_use[i].number, 4);
        put(&p, m->in_use[i].length, 8);
    }
    put(&p, m->written_us, 8);
    put(&p, m->count, 4);
    put(&p, marker_length(m->count), 4);
    p.at = 4;
    put(&p, crc32c(span_of(out + 8, MARKER_FIXED_BYTES - 8)), 4);
}

void marker_encode(const struct marker *m, const struct hash *leaves, const uint8_t key[KEY_BYTES], struct writer *w)
{
    uint8_t fixed[MARKER_FIXED_BYTES];
    uint8_t mac[HASH_BYTES];
    size_t from = w->len;

    marker_fixed_encode(m, fixed);
    write_span(w, span_of(fixed, sizeof fixed));
    for (uint32_t i = 0; i < m->count; i++)
        write_span(w, span_of(leaves[i].bytes, HASH_BYTES));
    if (w->failed)
        return;
    seal_mac(key, span_part(writer_span(w), from, w->len), mac);
    write_span(w, span_of(mac, sizeof mac));
}

bool marker_fixed_decode(struct span bytes, struct marker *out, struct error *err)
{
    struct span fixed = span_part(bytes, 0, MARKER_FIXED_BYTES);
    struct reader r = reader_over(fixed);
    struct marker m = { 0 };

    if (fixed.len < MARKER_FIXED_BYTES || memcmp(fixed.ptr, "FNLM", 4) != 0
        || stored_crc(fixed) != crc32c(span_part(fixed, 8, fixed.len)))
        return error_set(err, ERR_DAMAGED, "marker fails its checksum");
    read_skip(&r, 8);
    m.size = read_u64le(&r);
    m.commit = read_u64le(&r);
    m.newest_rule = read_u64le(&r);
    get_bytes(&r, m.root.bytes, HASH_BYTES);
    get_bytes(&r, m.previous.bytes, HASH_BYTES);
    m.batch = read_u64le(&r);
    for (size_t i = 0; i < BODY_CLASS_COUNT; i++) {
        m.in_use[i].month = read_u32le(&r);
        m.in_use[i].number = read_u32le(&r);
        m.in_use[i].length = read_u64le(&r);
    }
    m.written_us = read_u64le(&r);
    m.count = read_u32le(&r);
    if (m.count > COMMIT_ENTRIES_MAX || m.count > m.size || read_u32le(&r) != marker_length(m.count)
        || !all_zero(read_span(&r, 8)))
        return error_set(err, ERR_DAMAGED, "marker: lengths cannot be");
    *out = m;
    return true;
}

bool marker_decode(struct span bytes, const uint8_t key[KEY_BYTES], struct marker *out, struct span *leaves,
                   struct error *err)
{
    size_t signed_bytes = bytes.len - HASH_BYTES;
    struct marker m;

    if (!marker_fixed_decode(bytes, &m, err))
        return false;
    if (bytes.len != marker_length(m.count)
        || !seal_mac_fits(key, span_part(bytes, 0, signed_bytes), bytes.ptr + signed_bytes, HASH_BYTES))
        return error_set(err, ERR_DAMAGED, "marker fails its HMAC");
    *leaves = span_part(bytes, MARKER_FIXED_BYTES, (size_t)HASH_BYTES * m.count);
    *out = m;
    return true;
}

void segment_header_encode(const struct segment_header *h, const uint8_t key[KEY_BYTES],
                           uint8_t out[SEGMENT_HEADER_BYTES])
{
    struct pen p = { .out = out };

    memset(out, 0, SEGMENT_HEADER_BYTES);
    put_bytes(&p, "FANALSEG", 8);
    put(&p, 1, 8);
    put(&p, h->number, 8);
    put(&p, h->first_position, 8);
    put_bytes(&p, h->vault_id, VAULT_ID_BYTES);
    put_bytes(&p, h->previous.bytes, HASH_BYTES);
    seal_mac(key, span_of(out, 96), out + 96);
}

bool segment_header_decode(struct span bytes, const uint8_t key[KEY_BYTES], struct segment_header *out,
                           struct error *err)
{
    struct reader r = reader_over(bytes);
    struct segment_header h = { 0 };

    if (bytes.len != SEGMENT_HEADER_BYTES || memcmp(bytes.ptr, "FANALSEG", 8) != 0
        || !seal_mac_fits(key, span_part(bytes, 0, 96), bytes.ptr + 96, HASH_BYTES))
        return error_set(err, ERR_DAMAGED, "segment header fails its check");
    read_skip(&r, 8);
    if (read_u64le(&r) != 1)
        return error_set(err, ERR_UNSUPPORTED, "segment of another version");
    h.number = read_u64le(&r);
    h.first_position = read_u64le(&r);
    get_bytes(&r, h.vault_id, sizeof h.vault_id);
    get_bytes(&r, h.previous.bytes, HASH_BYTES);
    *out = h;
    return true;
}

void body_header_encode(enum body_class body_class, const struct body_file *f, const uint8_t vault_id[VAULT_ID_BYTES],
                        const uint8_t key[KEY_BYTES], uint8_t out[BODY_HEADER_BYTES])
{
    struct pen p = { .out = out };
    uint8_t mac[HASH_BYTES];

    memset(out, 0, BODY_HEADER_BYTES);
    put_bytes(&p, "FANALBDY", 8);
    put(&p, 1, 4);
    put(&p, body_class, 4);
    put(&p, f->month, 4);
    put(&p, f->number, 4);
    put_bytes(&p, vault_id, VAULT_ID_BYTES);
    seal_mac(key, span_of(out, 48), mac);
    memcpy(out + 48, mac, 16);
}

void segment_name(uint32_t number, char out[NAME_BYTES_MAX])
{
    (void)snprintf(out, NAME_BYTES_MAX, "log/%08u.seg", number);
}

void body_name(enum body_class body_class, const struct body_file *f, char out[NAME_BYTES_MAX])
{
    (void)snprintf(out, NAME_BYTES_MAX, "%s/%06u-%08u.body", body_class_dirs[body_class], f->month, f->number);
}

void large_name(const uint8_t name[LARGE_NAME_BYTES], bool confirmed, char out[NAME_BYTES_MAX])
{
    int at = snprintf(out, NAME_BYTES_MAX, "body/large/");

    for (size_t i = 0; i < LARGE_NAME_BYTES; i++)
        at += snprintf(out + at, NAME_BYTES_MAX - (size_t)at, "%02x", name[i]);
    (void)snprintf(out + at, NAME_BYTES_MAX - (size_t)at, confirmed ? ".body" : ".part");
}

uint32_t month_of(uint64_t wall_us)
{
    time_t t = (time_t)(wall_us / 1000000);
    struct tm tm;

    if (gmtime_r(&t, &tm) == NULL || tm.tm_year > 8099)
        return 197001; /* a clock that is out of all reason still gets a file */
    return (uint32_t)(tm.tm_year + 1900) * 100 + (uint32_t)tm.tm_mon + 1;
}
