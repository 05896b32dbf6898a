/*
 * Reading what is committed: entries, facts, bodies, the chain of rules. Any thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "record/field.h"
#include "vault/mend.h"
#include "vault/sealer.h"

/* Bytes of a segment as they are, or solved from its seal: ERR_DAMAGED where they are lost, or a want. */
static bool segment_read(struct store *s, address where, bool solved, uint8_t *out, size_t len, struct error *err)
{
    char name[NAME_BYTES_MAX];
    bool ok;
    int fd;

    segment_name(address_segment(where), name);
    if (solved) {
        ok = mend_read(s, name, address_offset(where), out, len, err);
    } else {
        fd = segment_fd(s, address_segment(where), err);
        ok = fd >= 0 && stored_read(fd, out, len, address_offset(where), err);
    }
    return ok || error_within(err, "%s at %u", name, address_offset(where));
}

static bool entry_read(struct store *s, address where, uint64_t position, bool solved, struct entry_header *h,
                       struct writer *entry, struct error *err)
{
    struct entry_header got;
    uint8_t *out;

    writer_reset(entry);
    out = write_room(entry, ENTRY_HEADER_BYTES);
    if (out == NULL)
        return writer_ok(entry, err, "entry");
    if (!segment_read(s, where, solved, out, ENTRY_HEADER_BYTES, err))
        return false;
    if (!entry_header_decode(writer_span(entry), &got, err))
        return error_within(err, "log/%08u.seg at %u", address_segment(where), address_offset(where));
    if (position != UINT64_MAX && got.position != position)
        return error_set(err, ERR_DAMAGED, "log/%08u.seg at %u: another entry is there", address_segment(where),
                         address_offset(where));
    out = write_room(entry, got.length - ENTRY_HEADER_BYTES);
    if (out == NULL)
        return writer_ok(entry, err, "entry");
    if (!segment_read(s, where + ENTRY_HEADER_BYTES, solved, out, got.length - ENTRY_HEADER_BYTES, err))
        return false;
    *h = got;
    return true;
}

/* The entry again, solved from the seal of its segment; the background then mends the segment. */
static bool entry_solved(struct store *s, address where, uint64_t position, struct entry_header *h,
                         struct writer *entry, struct error *err)
{
    char name[NAME_BYTES_MAX];

    segment_name(address_segment(where), name);
    sealer_met(s, name); /* to be mended, or told where that is not possible */
    if (!entry_read(s, where, position, true, h, entry, err))
        return false;
    return true;
}

bool entry_at(struct store *s, address where, uint64_t position, struct entry_header *h, struct writer *entry,
              struct error *err)
{
    struct error why = { 0 }, solving = { 0 };

    if (entry_read(s, where, position, false, h, entry, &why))
        return true;
    if (why.code == ERR_DAMAGED && where != 0) {
        if (entry_solved(s, where, position, h, entry, &solving))
            return true;
        if (error_is_want(solving.code)) /* nobody knows yet whether it is lost */
            why = solving;
    }
    if (err != NULL)
        *err = why;
    return false;
}

bool entry_open(struct store *s, struct seal *seal, const struct entry_header *h, struct span entry,
                struct writer *clear, struct span *unit, struct span *facts, struct record_keys *keys,
                struct error *err)
{
    static const uint8_t nonce[NONCE_BYTES] = { 0 };
    uint8_t data_key[KEY_BYTES];
    struct reader r;
    uint8_t *out;

    if (!keyring_data_key(s->keyring, seal, h->slot, data_key, err))
        return false;
    seal_record_keys(data_key, h->salt, keys);
    seal_wipe(data_key, sizeof data_key);
    if (!seal_equal(keys->commitment, h->commitment, HASH_BYTES))
        return error_set(err, ERR_DAMAGED, "the commitment does not fit the key");
    writer_reset(clear);
    out = write_room(clear, h->facts_bytes - TAG_BYTES);
    if (out == NULL)
        return writer_ok(clear, err, "facts");
    if (!seal_decrypt(seal, keys->facts, nonce, span_part(entry, ENTRY_AAD_FROM, ENTRY_HEADER_BYTES - ENTRY_AAD_FROM),
                      span_part(entry, ENTRY_HEADER_BYTES, h->facts_bytes), out, err))
        return error_within(err, "facts");
    r = reader_over(writer_span(clear));
    *unit = read_span(&r, read_u16le(&r));
    *facts = read_span(&r, reader_left(&r));
    return reader_complete(&r, err, "facts");
}

/* The address of an entry whose index entry is wrong: behind the entry before it, over the marker between. */
static bool address_by_neighbour(struct store *s, uint64_t position, struct writer *entry, address *out,
                                 struct error *err)
{
    struct entry_header h;
    uint8_t fixed[MARKER_FIXED_BYTES];
    struct marker m;
    address where;
    uint64_t size;

    if (position == 0)
        return error_set(err, ERR_DAMAGED, "nothing is before the first entry");
    if (!ledger_find(&s->ledger, position - 1, &where, err)
        || !entry_at(s, where, position - 1, &h, entry, err))
        return false;
    where += h.length;
    if (segment_read(s, where, false, fixed, sizeof fixed, err)) {
        if (marker_fixed_decode(span_of(fixed, sizeof fixed), &m, NULL))
            where += marker_length(m.count);
    } else if (err->code != ERR_DAMAGED) {
        return false;
    }
    if (!segment_size(s, address_segment(where), &size, err))
        return false;
    if (address_offset(where) >= size)
        where = address_of(address_segment(where) + 1, SEGMENT_HEADER_BYTES);
    *out = where;
    return true;
}

bool entry_find(struct store *s, uint64_t position, struct entry_header *h, struct writer *entry, struct error *err)
{
    struct error why = { 0 }, looking = { 0 };
    address where;

    if (!ledger_find(&s->ledger, position, &where, err))
        return false;
    if (entry_at(s, where, position, h, entry, &why))
        return true;
    if (why.code == ERR_DAMAGED) {
        if (address_by_neighbour(s, position, entry, &where, &looking)) {
            if (entry_at(s, where, position, h, entry, &why))
                return true;
        } else if (error_is_want(looking.code)) {
            why = looking;
        }
    }
    if (err != NULL)
        *err = why;
    return false;
}

/* What a read needs: its own contexts and memory. */
struct look {
    struct store *s;               /* NULL: damage is not solved from a seal */
    char body_name[NAME_BYTES_MAX]; /* the file that it may be solved from */
    struct seal seal;
    struct writer entry, clear;
    struct entry_header h;
    struct record_keys keys;
    struct span unit, facts;
    bool has_header;
};

static void look_done(struct look *l)
{
    seal_wipe(&l->keys, sizeof l->keys);
    if (l->clear.ptr != NULL)
        seal_wipe(l->clear.ptr, l->clear.cap);
    writer_done(&l->entry);
    writer_done(&l->clear);
    seal_done(&l->seal);
}

/* Facts that fail their tag: the entry may have rotted behind its header. Read once more, through the seal. */
static bool open_solved(struct store *s, uint64_t position, struct look *l, struct error *err)
{
    struct error why = { 0 };
    address where = ledger_address(&s->ledger, position);

    if (err->code != ERR_DAMAGED)
        return false;
    if (entry_solved(s, where, position, &l->h, &l->entry, &why)
        && entry_open(s, &l->seal, &l->h, writer_span(&l->entry), &l->clear, &l->unit, &l->facts, &l->keys, &why)) {
        *err = (struct error){ 0 };
        return true;
    }
    if (error_is_want(why.code)) /* nobody knows yet whether it is lost */
        *err = why;
    return false;
}

static bool look_quietly(struct store *s, uint64_t position, struct look *l, struct error *err)
{
    *l = (struct look){ .entry = writer_new(ENTRY_BYTES_MAX), .clear = writer_new(FACTS_STORED_MAX) };
    if (position >= store_committed_size(s))
        return error_set(err, ERR_NOT_FOUND, "record %llu is not there", (unsigned long long)position);
    if (!seal_init(&l->seal, &s->suite, err))
        return false;
    l->s = s;
    if (!entry_find(s, position, &l->h, &l->entry, err))
        return error_within(err, "record %llu", (unsigned long long)position);
    l->has_header = true;
    return entry_open(s, &l->seal, &l->h, writer_span(&l->entry), &l->clear, &l->unit, &l->facts, &l->keys, err)
           || open_solved(s, position, l, err) || error_within(err, "record %llu", (unsigned long long)position);
}

static bool look_at(struct store *s, uint64_t position, struct look *l, struct error *err)
{
    const bool ok = look_quietly(s, position, l, err);

    atomic_fetch_add(&s->damaged, !ok && err->code == ERR_DAMAGED ? 1 : 0);
    return ok;
}

static struct entry entry_of(const struct entry_header *h)
{
    return (struct entry){ .position = h->position,
                           .kind = h->kind,
                           .received_us = h->received_us,
                           .has_body = h->has_body,
                           .body_class = h->body_class,
                           .body_bytes = h->body_bytes };
}

bool store_read_entry(struct store *s, uint64_t position, struct entry *out, struct writer *facts, struct error *err)
{
    struct error own;
    struct look l;
    bool ok = look_at(s, position, &l, err == NULL ? &own : err);

    if (ok && facts != NULL) {
        write_span(facts, l.facts);
        ok = writer_ok(facts, err, "facts");
    }
    if (ok)
        *out = entry_of(&l.h);
    look_done(&l);
    return ok;
}

bool store_read_header(struct store *s, uint64_t position, struct entry *out, struct error *err)
{
    struct error why = { 0 };
    struct look l;

    (void)look_at(s, position, &l, &why);
    if (l.has_header)
        *out = entry_of(&l.h);
    else
        (void)error_set(err, why.code, "%s", why.text);
    look_done(&l);
    return l.has_header;
}

bool store_read_record(struct store *s, uint64_t position, struct record_seen *out, struct writer *facts,
                       struct error *err)
{
    struct error own;
    struct look l;
    bool ok = look_at(s, position, &l, err == NULL ? &own : err);

    *out = (struct record_seen){ .position = position, .readable = ok };
    if (l.has_header) {
        out->entry = entry_of(&l.h);
        out->slot = l.h.slot;
    }
    if (ok) {
        write_span(facts, l.facts);
        ok = writer_ok(facts, err, "facts") && (span_to_str(l.unit, out->unit, sizeof out->unit)
                                                || error_set(err, ERR_DAMAGED, "a unit's name is too long"));
    }
    look_done(&l);
    return ok;
}

int body_open(struct store *s, const struct entry_header *h, uint64_t *from, struct error *err)
{
    char name[NAME_BYTES_MAX], path[DISK_PATH_MAX];
    int fd = -1;

    *from = h->large ? 0 : h->place.length;
    for (int part = 0; fd < 0 && part < (h->large ? 2 : 1); part++) {
        if (h->large)
            large_name(h->name, part == 0, name);
        else
            body_name(h->body_class, &h->place, name);
        disk_path(&s->disk, name, path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0 && h->large) { /* it may have been renamed between the two tries */
        large_name(h->name, true, name);
        disk_path(&s->disk, name, path);
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        (void)(errno == ENOENT ? error_set(err, ERR_DAMAGED, "%s is missing", name) : error_errno(err, "%s", name));
    return fd;
}

/* A chunk that cannot be read or fails its tag, once more: solved from the seal of its file. */
static bool chunk_solved(struct look *l, uint64_t at, const uint8_t nonce[NONCE_BYTES], uint8_t *stored,
                         size_t stored_len, uint8_t *clear, struct error *err)
{
    struct error why = { 0 };

    if (l->s == NULL || l->body_name[0] == '\0')
        return false;
    sealer_met(l->s, l->body_name); /* to be mended, or told where that is not possible */
    if (mend_read(l->s, l->body_name, at, stored, stored_len, &why)
        && seal_decrypt(&l->seal, l->keys.body, nonce, span_of(NULL, 0), span_of(stored, stored_len), clear, &why))
        return true;
    if (error_is_want(why.code)) /* nobody knows yet whether it is lost */
        *err = why;
    return false;
}

/* Reads and decrypts chunk `index` of an entry's body; returns its plaintext length in *len. */
static bool read_chunk(struct look *l, int fd, uint64_t from, uint32_t index, uint8_t *stored, uint8_t *clear,
                       size_t *len, struct error *err)
{
    bool last = index == body_chunk_count(l->h.body_bytes) - 1;
    size_t n = last ? (size_t)(l->h.body_bytes - (uint64_t)index * CHUNK_BYTES) : CHUNK_BYTES;
    uint64_t at = from + (uint64_t)index * CHUNK_STORED_BYTES;
    uint8_t nonce[NONCE_BYTES];
    struct error why = { 0 };
    bool ok;

    seal_chunk_nonce(index, last, nonce);
    ok = (stored_read(fd, stored, n + TAG_BYTES, at, &why)
          && seal_decrypt(&l->seal, l->keys.body, nonce, span_of(NULL, 0), span_of(stored, n + TAG_BYTES), clear, &why))
         || error_within(&why, "chunk %u of the body", index);
    if (!ok && (why.code != ERR_DAMAGED || !chunk_solved(l, at, nonce, stored, n + TAG_BYTES, clear, &why))) {
        if (err != NULL)
            *err = why;
        return false;
    }
    *len = n;
    return true;
}

static bool read_range(struct look *l, int fd, uint64_t from, uint64_t offset, uint8_t *out, size_t len,
                       struct error *err)
{
    uint8_t *stored = malloc(CHUNK_STORED_BYTES);
    uint8_t *clear = malloc(CHUNK_BYTES);
    bool ok = stored != NULL && clear != NULL;

    if (!ok)
        (void)error_set(err, ERR_MEMORY, "no memory to read a body");
    while (ok && len > 0) {
        uint32_t index = (uint32_t)(offset / CHUNK_BYTES);
        size_t skip = (size_t)(offset % CHUNK_BYTES);
        size_t got = 0, n;
        bool whole = skip == 0 && len >= CHUNK_BYTES; /* straight to where it is wanted */

        ok = read_chunk(l, fd, from, index, stored, whole ? out : clear, &got, err);
        n = !ok || got - skip > len ? len : got - skip;
        if (ok && !whole)
            memcpy(out, clear + skip, n);
        out += n;
        offset += n;
        len -= n;
    }
    if (clear != NULL)
        seal_wipe(clear, CHUNK_BYTES);
    free(stored);
    free(clear);
    return ok;
}

bool store_read_body(struct store *s, uint64_t position, uint64_t offset, uint8_t *out, size_t len, struct error *err)
{
    struct error own;
    struct look l;
    uint64_t from;
    bool ok;

    err = err == NULL ? &own : err;
    ok = look_at(s, position, &l, err);
    if (ok && (!l.h.has_body || offset > l.h.body_bytes || len > l.h.body_bytes - offset))
        ok = error_set(err, ERR_NOT_FOUND, "record %llu has no such bytes", (unsigned long long)position);
    if (ok) {
        int fd = body_open(s, &l.h, &from, err);

        if (l.h.large)
            large_name(l.h.name, true, l.body_name);
        else
            body_name(l.h.body_class, &l.h.place, l.body_name);
        ok = (fd >= 0 || err->code == ERR_DAMAGED) && read_range(&l, fd, from, offset, out, len, err);
        file_close(&fd);
        if (!ok) {
            atomic_fetch_add(&s->damaged, err->code == ERR_DAMAGED ? 1 : 0);
            (void)error_within(err, "record %llu", (unsigned long long)position);
        }
    }
    look_done(&l);
    return ok;
}

/* What a check of a whole body is done with, and how fast. */
struct check {
    struct seal *seal;
    const struct record_keys *keys; /* NULL: without the tags */
    body_pace *pace;                /* NULL: as fast as it goes */
    void *pace_context;
    bool strict; /* a read that the disk failed is no damage */
};

static bool check_stored(const struct check *c, const struct entry_header *h, int fd, uint64_t from, struct error *err)
{
    struct look l = { .seal = *c->seal, .h = *h };
    struct merkle tree = { 0 };
    struct hash leaf, root;
    struct error why = { 0 };
    uint64_t size = 0;
    uint8_t *stored = malloc(CHUNK_STORED_BYTES);
    uint8_t *clear = malloc(CHUNK_BYTES);
    bool ok = (stored != NULL && clear != NULL) || error_set(err, ERR_MEMORY, "no memory to read a body");

    if (c->keys != NULL)
        l.keys = *c->keys;
    if (ok && h->large && (!file_size(fd, &size, err) || size != body_stored_bytes(h->body_bytes)))
        ok = error_set(err, ERR_DAMAGED, "its file has another length");
    for (uint32_t i = 0; ok && i < body_chunk_count(h->body_bytes); i++) {
        uint64_t left = h->body_bytes - (uint64_t)i * CHUNK_BYTES;
        struct span chunk = span_of(stored, (left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES) + TAG_BYTES);
        size_t n;

        if (c->keys != NULL)
            ok = read_chunk(&l, fd, from, i, stored, clear, &n, err);
        else if (!file_read_at(fd, stored, chunk.len, from + (uint64_t)i * CHUNK_STORED_BYTES, &why))
            ok = error_set(err,
                           why.code == ERR_TRUNCATED || (why.code == ERR_IO && !c->strict) ? ERR_DAMAGED : why.code,
                           "chunk %u of the body cannot be read", i);
        ok = ok && merkle_leaf(c->seal, &chunk, 1, &leaf, err) && merkle_append(&tree, c->seal, &leaf, err);
        if (ok && c->pace != NULL && !c->pace(c->pace_context, chunk.len))
            ok = error_set(err, ERR_BUSY, "interrupted");
    }
    ok = ok && merkle_root(&tree, c->seal, &root, err);
    if (ok && memcmp(root.bytes, h->body_root.bytes, HASH_BYTES) != 0)
        ok = error_set(err, ERR_DAMAGED, "the body's root does not fit");
    if (clear != NULL)
        seal_wipe(clear, CHUNK_BYTES);
    seal_wipe(&l.keys, sizeof l.keys);
    free(stored);
    free(clear);
    return ok;
}

bool body_check(struct store *s, struct seal *seal, const struct entry_header *h, const struct record_keys *keys,
                struct error *err)
{
    uint64_t from;
    CLEANUP(file_close) int fd = body_open(s, h, &from, err);

    return fd >= 0 && check_stored(&(struct check){ .seal = seal, .keys = keys }, h, fd, from, err);
}

bool body_check_strictly(struct store *s, struct seal *seal, const struct entry_header *h, struct error *err)
{
    uint64_t from;
    CLEANUP(file_close) int fd = body_open(s, h, &from, err);

    return fd >= 0 && check_stored(&(struct check){ .seal = seal, .strict = true }, h, fd, from, err);
}

bool body_check_at(struct seal *seal, const struct entry_header *h, int fd, uint64_t from, struct error *err)
{
    return check_stored(&(struct check){ .seal = seal }, h, fd, from, err);
}

bool body_check_paced(struct store *s, struct seal *seal, const struct entry_header *h, body_pace *pace,
                      void *pace_context, struct error *err)
{
    uint64_t from;
    CLEANUP(file_close) int fd = body_open(s, h, &from, err);

    return fd >= 0
           && check_stored(&(struct check){ .seal = seal, .pace = pace, .pace_context = pace_context }, h, fd, from, err);
}

bool store_reads(struct store *s, uint64_t position)
{
    struct error why = { 0 };
    struct look l;
    bool ok = look_quietly(s, position, &l, &why);

    look_done(&l);
    return ok;
}

/* The nearest rule before a position, found by looking at every record: for a chain whose link is damaged. */
static bool rule_before(struct store *s, uint64_t position, rule_missed *missed, void *context, uint64_t *out,
                        struct error *err)
{
    bool found = false;

    while (!found && position > 0) {
        struct look l;
        struct error why = { 0 };
        bool read = look_at(s, --position, &l, &why), may_be = !l.has_header || l.h.kind == RECORD_RULE;

        found = read && l.h.kind == RECORD_RULE;
        look_done(&l);
        if (error_is_want(why.code)) /* it may be one */
            return error_set(err, why.code, "%s", why.text);
        if (!read && may_be && missed != NULL)
            missed(context, position);
    }
    *out = found ? position + 1 : 0;
    return true;
}

/*
 * The rule before it, or, where its (authenticated) facts say that the ones between say nothing more, an older one:
 * a witness leaves a rule a minute, and a start must not read them all (docs/format.md, "Rules").
 */
static uint64_t rule_to_go_on_with(const struct look *l)
{
    const uint64_t before = fields_uint(l->facts, FIELD_RULE_BEFORE, l->h.previous_rule);

    return before < l->h.previous_rule ? before : l->h.previous_rule;
}

/*
 * One flipped bit must not keep everybody out: a rule that cannot be read is left out, loudly, and the walk goes on
 * behind it. verify names it.
 */
bool store_walk_rules(struct store *s, rule_visit *visit, rule_missed *missed, void *context, struct error *err)
{
    uint64_t next = atomic_load(&s->newest_rule);
    struct error own;
    bool go_on = true;

    err = err == NULL ? &own : err;
    while (go_on && next != 0) {
        struct look l;
        bool ok = look_at(s, next - 1, &l, err);

        if (ok && (l.h.kind != RECORD_RULE || l.h.previous_rule >= next))
            ok = error_set(err, ERR_DAMAGED, "record %llu is no rule of the chain", (unsigned long long)(next - 1));
        if (ok) {
            struct entry e = entry_of(&l.h);

            next = rule_to_go_on_with(&l);
            go_on = visit(context, &e, l.facts);
        }
        look_done(&l);
        if (!ok && err->code != ERR_DAMAGED)
            return false;
        if (!ok) {
            log_error(s->log, "rule.damaged", f_uint("position", next - 1), f_err(err));
            if (missed != NULL)
                missed(context, next - 1);
            if (!rule_before(s, next - 1, missed, context, &next, err))
                return false;
        }
    }
    return true;
}
