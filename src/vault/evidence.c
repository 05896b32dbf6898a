/* Evidence from the store. See evidence.h. */
#include "vault/evidence.h"

#include <sodium.h>
#include <stdio.h>

#include "base/file.h"
#include "vault/cosign.h"
#include "vault/store_internal.h"

static bool read_at(struct store *s, uint64_t position, struct entry_header *h, struct writer *entry,
                    struct error *err)
{
    if (position >= store_committed_size(s))
        return error_set(err, ERR_NOT_FOUND, "record %llu is not there", (unsigned long long)position);
    return entry_find(s, position, h, entry, err)
           || error_within(err, "record %llu", (unsigned long long)position);
}

bool evidence_entry(struct store *s, uint64_t position, struct writer *entry, struct error *err)
{
    struct entry_header h;

    return read_at(s, position, &h, entry, err);
}

bool evidence_body(struct store *s, uint64_t position, uint64_t offset, uint8_t *out, size_t len, size_t *got,
                   struct error *err)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    struct entry_header h;
    uint64_t from, stored;
    bool ok = read_at(s, position, &h, &entry, err);
    int fd;

    writer_done(&entry);
    if (!ok)
        return false;
    stored = body_stored_bytes(h.body_bytes);
    if (!h.has_body || offset > stored)
        return error_set(err, ERR_NOT_FOUND, "record %llu has no such bytes", (unsigned long long)position);
    *got = len < stored - offset ? len : (size_t)(stored - offset);
    fd = body_open(s, &h, &from, err);
    ok = fd >= 0 && file_read_at(fd, out, *got, from + offset, err);
    file_close(&fd);
    return ok || error_within(err, "record %llu", (unsigned long long)position);
}

bool evidence_body_whole(struct store *s, uint64_t position, struct error *err)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    struct seal seal = { 0 };
    struct entry_header h;
    bool ok = seal_init(&seal, &s->suite, err) && read_at(s, position, &h, &entry, err)
              && (!h.has_body || body_check(s, &seal, &h, NULL, err));

    seal_done(&seal);
    writer_done(&entry);
    return ok;
}

static bool open_facts(struct store *s, struct seal *seal, const struct entry_header *h, struct span entry,
                       struct evidence_record *out, struct writer *facts, struct error *err)
{
    struct writer clear = writer_new(FACTS_STORED_MAX);
    uint8_t data_key[KEY_BYTES];
    struct record_keys keys = { 0 };
    struct span unit, list;
    bool ok = entry_open(s, seal, h, entry, &clear, &unit, &list, &keys, err)
              && keyring_data_key(s->keyring, seal, h->slot, data_key, err);

    if (ok) {
        seal_record_key(data_key, h->salt, out->key);
        write_span(facts, list);
        ok = writer_ok(facts, err, "facts");
    }
    seal_wipe(data_key, sizeof data_key);
    seal_wipe(&keys, sizeof keys);
    if (clear.ptr != NULL)
        seal_wipe(clear.ptr, clear.cap);
    writer_done(&clear);
    return ok;
}

bool evidence_record(struct store *s, uint64_t position, const struct hash *leaf, struct evidence_record *out,
                     struct writer *facts, struct error *err)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    struct evidence_record r = { .opened = false };
    struct error why = { 0 };
    struct entry_header h;
    struct seal seal = { 0 };
    struct hash own;
    struct span bytes;
    bool ok = seal_init(&seal, &s->suite, err) && read_at(s, position, &h, &entry, err);

    bytes = writer_span(&entry);
    ok = ok && merkle_leaf(&seal, &bytes, 1, &own, err);
    if (ok && !seal_equal(own.bytes, leaf->bytes, HASH_BYTES))
        ok = error_set(err, ERR_DAMAGED, "record %llu: its leaf does not fit", (unsigned long long)position);
    if (ok) {
        r.kind = h.kind;
        r.received_us = h.received_us;
        r.has_body = h.has_body;
        r.opened = open_facts(s, &seal, &h, bytes, &r, facts, &why);
        ok = !error_is_want(why.code) || error_set(err, why.code, "%s", why.text); /* it may well open */
    }
    if (ok)
        *out = r;
    writer_done(&entry);
    seal_done(&seal);
    seal_wipe(r.key, sizeof r.key);
    return ok;
}

/* Where it opens. False for a want. */
static bool visit_fact(struct store *s, struct seal *seal, const struct entry_header *h, struct span entry,
                       evidence_visit *visit, void *context, bool *go_on, struct error *err)
{
    struct writer facts = writer_new(FACTS_BYTES_MAX);
    struct evidence_record r = { .opened = false };
    struct error why = { 0 };

    if (open_facts(s, seal, h, entry, &r, &facts, &why))
        *go_on = visit(context, writer_span(&facts));
    seal_wipe(&r, sizeof r);
    writer_done(&facts);
    return !error_is_want(why.code) || error_set(err, why.code, "%s", why.text);
}

bool evidence_walk_facts(struct store *s, uint64_t until, uint64_t count, evidence_visit *visit, void *context,
                         struct error *err)
{
    struct writer entry = writer_new(ENTRY_BYTES_MAX);
    struct entry_header h;
    struct seal seal = { 0 };
    bool ok = seal_init(&seal, &s->suite, err), go_on = true;

    for (; ok && go_on && until > 0 && count > 0; count--) {
        struct error why = { 0 };

        if (!read_at(s, --until, &h, &entry, &why))
            ok = !error_is_want(why.code) || error_set(err, why.code, "%s", why.text);
        else if (h.kind == RECORD_FACT)
            ok = visit_fact(s, &seal, &h, writer_span(&entry), visit, context, &go_on, err);
    }
    writer_done(&entry);
    seal_done(&seal);
    return ok;
}

bool evidence_log_key(struct store *s, struct vkey *out, struct error *err)
{
    char name[8 + 2 * VAULT_ID_BYTES + 1] = "fanal/";
    struct seal seal = { 0 };
    uint8_t seed[KEY_BYTES];
    bool ok = seal_init(&seal, &s->suite, err) && keyring_data_key(s->keyring, &seal, 0, seed, err);

    seal_done(&seal);
    if (!ok)
        return false;
    (void)sodium_bin2hex(name + 6, sizeof name - 6, keyring_vault_id(s->keyring), VAULT_ID_BYTES);
    vkey_of_seed(name, NOTE_ED25519, seed, out);
    seal_wipe(seed, sizeof seed);
    return true;
}

bool evidence_checkpoint(struct store *s, uint64_t size, const struct hash *root, struct writer *note,
                         struct error *err)
{
    struct seal seal = { 0 };
    bool ok = seal_init(&seal, &s->suite, err) && checkpoint_note(s, &seal, size, root, note, err);

    seal_done(&seal);
    return ok;
}

bool evidence_sign(struct store *s, const uint8_t digest[32], struct writer *note, struct error *err)
{
    struct seal seal = { 0 };
    struct hash h;
    bool ok;

    memcpy(h.bytes, digest, HASH_BYTES);
    ok = seal_init(&seal, &s->suite, err) && evidence_note(s, &seal, &h, note, err);
    seal_done(&seal);
    return ok;
}
