/* The store and what is kept of it elsewhere. See anchor.h. */
#include "vault/anchor.h"

#include <sodium.h>
#include <stdio.h>

#include "vault/cosign.h"
#include "vault/proof.h"
#include "vault/store_internal.h"

#define WITNESS_PURPOSE "witness" /* of store_derive_key(): a signing key of its own, as tlog-cosignature asks for */

void store_origin(struct store *s, uint8_t id[STORE_ID_BYTES], char out[NOTE_NAME_MAX + 1])
{
    char hex[STORE_ID_BYTES * 2 + 1];

    memcpy(id, keyring_vault_id(s->keyring), STORE_ID_BYTES);
    (void)sodium_bin2hex(hex, sizeof hex, id, STORE_ID_BYTES);
    (void)snprintf(out, NOTE_NAME_MAX + 1, "fanal/%s", hex);
}

static void witness_name(struct store *s, char out[NOTE_NAME_MAX + 1])
{
    uint8_t id[STORE_ID_BYTES];
    size_t len;

    store_origin(s, id, out);
    len = strlen(out);
    (void)snprintf(out + len, NOTE_NAME_MAX + 1 - len, "/witness");
}

bool store_vkeys(struct store *s, struct vkey *checkpoints, struct vkey *witness, struct error *err)
{
    char name[NOTE_NAME_MAX + 1];
    uint8_t seed[KEY_BYTES], id[STORE_ID_BYTES];
    struct seal seal = { 0 };
    bool ok = seal_init(&seal, &s->suite, err) && keyring_data_key(s->keyring, &seal, 0, seed, err);

    if (ok) {
        store_origin(s, id, name);
        vkey_of_seed(name, NOTE_ED25519, seed, checkpoints);
        ok = store_derive_key(s, WITNESS_PURPOSE, seed, err);
    }
    if (ok) {
        witness_name(s, name);
        vkey_of_seed(name, NOTE_COSIGNATURE, seed, witness);
    }
    seal_wipe(seed, sizeof seed);
    seal_done(&seal);
    return ok;
}

/* ---- the head ---- */

_Static_assert(ROOT_BYTES == HASH_BYTES, "a root is a hash");

static bool proof_put(const struct proof *p, struct witness_request *out, struct error *err)
{
    if (p->count > WITNESS_PROOF_MAX)
        return error_set(err, ERR_LIMIT, "a proof of %zu hashes", p->count);
    for (size_t i = 0; i < p->count; i++)
        memcpy(out->proof[i], p->hashes[i].bytes, HASH_BYTES);
    out->proof_count = p->count;
    return true;
}

static bool head_of(struct store *s, const struct proof_tree *t, uint64_t old_size, struct anchor_head *h,
                    struct error *err)
{
    const struct proof_source *tree = proof_tree_source(t);
    struct proof proof = { .count = 0 };
    struct hash root;

    h->size = tree->size;
    h->request.old_size = old_size;
    if (old_size > tree->size)
        return error_set(err, ERR_NOT_FOUND, "this log has %llu records, fewer than %llu", (unsigned long long)tree->size,
                         (unsigned long long)old_size);
    if (!proof_root(tree, tree->size, &root, err)
        || (old_size > 0 && !proof_consistency(tree, old_size, tree->size, &proof, err))
        || !proof_put(&proof, &h->request, err) || !checkpoint_note(s, tree->seal, tree->size, &root, &h->note, err))
        return false;
    memcpy(h->root, root.bytes, HASH_BYTES);
    h->request.note = writer_span(&h->note);
    return true;
}

bool anchor_head_read(struct store *s, uint64_t old_size, struct anchor_head *out, struct error *err)
{
    struct proof_tree *t = proof_tree_open(s, err);
    bool ok;

    *out = (struct anchor_head){ .note = writer_new(NOTE_BYTES_MAX) };
    ok = t != NULL && head_of(s, t, old_size, out, err);
    proof_tree_close(t);
    if (!ok)
        anchor_head_done(out);
    return ok;
}

void anchor_head_done(struct anchor_head *h)
{
    writer_done(&h->note);
}

/* ---- what was kept elsewhere ---- */

/* The old root is made of tiles, which are not authenticated; the newest is. So the one is proven from the other. */
static bool is_prefix(const struct proof_source *tree, uint64_t old_size, const struct hash *old_root, bool *out,
                      struct error *err)
{
    struct hash here, newest;
    struct error why = { 0 };
    struct proof proof;

    *out = false;
    if (!proof_root(tree, old_size, &here, err) || !proof_root(tree, tree->size, &newest, err)
        || !proof_consistency(tree, old_size, tree->size, &proof, err))
        return false;
    if (old_size > 0 && !proof_extends(tree->seal, &proof, old_size, &here, tree->size, &newest, &why))
        return error_set(err, error_is_want(why.code) ? why.code : ERR_DAMAGED,
                         "ledger/tile: the tiles do not give the newest root: %s", why.text);
    *out = seal_equal(here.bytes, old_root->bytes, HASH_BYTES);
    return true;
}

bool anchor_compare(struct store *s, uint64_t old_size, const uint8_t old_root[ROOT_BYTES], enum anchor_verdict *out,
                    uint64_t *size, struct error *err)
{
    struct proof_tree *t = proof_tree_open(s, err);
    struct hash root;
    bool prefix = false, ok = t != NULL;

    memcpy(root.bytes, old_root, HASH_BYTES);
    if (ok) {
        *size = proof_tree_source(t)->size;
        *out = ANCHOR_ROLLED_BACK;
    }
    if (ok && old_size <= *size) {
        ok = is_prefix(proof_tree_source(t), old_size, &root, &prefix, err);
        *out = prefix ? ANCHOR_HOLDS : ANCHOR_OTHER_HISTORY;
    }
    proof_tree_close(t);
    return ok;
}

/* ---- for other logs ---- */

bool anchor_extends(struct store *s, const struct witness_request *proof, const uint8_t first_root[ROOT_BYTES],
                    const struct checkpoint *second, struct error *err)
{
    struct proof p = { .count = proof->proof_count };
    struct seal seal = { 0 };
    struct hash first, last;
    bool fits;

    memcpy(first.bytes, first_root, HASH_BYTES);
    memcpy(last.bytes, second->root, HASH_BYTES);
    for (size_t i = 0; i < p.count; i++)
        memcpy(p.hashes[i].bytes, proof->proof[i], HASH_BYTES);
    fits = seal_init(&seal, &s->suite, err)
           && proof_extends(&seal, &p, proof->old_size, &first, second->size, &last, err);
    seal_done(&seal);
    return fits;
}

bool anchor_cosign(struct store *s, struct span text, uint64_t time_s, struct writer *line, struct error *err)
{
    char name[NOTE_NAME_MAX + 1];
    uint8_t seed[KEY_BYTES];
    struct vkey key;
    bool ok = store_derive_key(s, WITNESS_PURPOSE, seed, err);

    if (ok) {
        witness_name(s, name);
        vkey_of_seed(name, NOTE_COSIGNATURE, seed, &key);
        cosignature_write(&key, seed, text, time_s, line);
        ok = writer_ok(line, err, "cosignature");
    }
    seal_wipe(seed, sizeof seed);
    return ok;
}
