/*
 * Proofs: the published ones (the eight inputs of the Certificate Transparency reference), RFC 9162's definitions written
 * out for random trees, and a store's own tiles.
 */
#include "vault/proof.h"

#include "store_test.h"
#include "vault/store_internal.h"

#define RANDOM_TREES 10000
#define LEAVES_MAX   600

struct fixture {
    struct seal_suite suite;
    struct seal seal;
    struct hash leaves[LEAVES_MAX];
    struct proof_source source;
};

static struct hash mth(struct seal *s, const struct hash *leaves, size_t n)
{
    struct hash out, left, right;
    size_t k = 1;

    if (n == 0)
        (void)seal_hash(s, NULL, 0, out.bytes, NULL);
    if (n <= 1)
        return n == 0 ? out : leaves[0];
    while (k * 2 < n)
        k *= 2;
    left = mth(s, leaves, k);
    right = mth(s, leaves + k, n - k);
    if (!merkle_node(s, &left, &right, &out, NULL))
        abort();
    return out;
}

/* PATH of §2.1.3.1 as it is written there. */
static void path(struct seal *s, size_t m, const struct hash *leaves, size_t n, struct proof *out)
{
    size_t k = 1;

    if (n == 1)
        return;
    while (k * 2 < n)
        k *= 2;
    if (m < k) {
        path(s, m, leaves, k, out);
        out->hashes[out->count++] = mth(s, leaves + k, n - k);
    } else {
        path(s, m - k, leaves + k, n - k, out);
        out->hashes[out->count++] = mth(s, leaves, k);
    }
}

/* SUBPROOF of §2.1.4.1 as it is written there. */
static void subproof(struct seal *s, size_t m, const struct hash *leaves, size_t n, bool b, struct proof *out)
{
    size_t k = 1;

    if (m == n) {
        if (!b)
            out->hashes[out->count++] = mth(s, leaves, n);
        return;
    }
    while (k * 2 < n)
        k *= 2;
    if (m <= k) {
        subproof(s, m, leaves, k, b, out);
        out->hashes[out->count++] = mth(s, leaves + k, n - k);
    } else {
        subproof(s, m - k, leaves + k, n - k, false, out);
        out->hashes[out->count++] = mth(s, leaves, k);
    }
}

static bool fixture_node(void *context, unsigned height, uint64_t index, struct hash *out, struct error *err)
{
    struct fixture *f = context;

    if ((index + 1) << height > f->source.size)
        return error_set(err, ERR_NOT_FOUND, "not in the tree");
    *out = mth(&f->seal, f->leaves + (index << height), (size_t)1 << height);
    return true;
}

static struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof *f);

    if (f == NULL || !seal_suite_init(&f->suite, NULL) || !seal_init(&f->seal, &f->suite, NULL))
        abort();
    f->source = (struct proof_source){ fixture_node, f, &f->seal, 0 };
    return f;
}

static void fixture_free(struct fixture *f)
{
    seal_done(&f->seal);
    seal_suite_done(&f->suite);
    free(f);
}

static bool same_proof(const struct proof *a, const struct proof *b)
{
    return a->count == b->count && memcmp(a->hashes, b->hashes, a->count * HASH_BYTES) == 0;
}

static struct proof proof_of(const char *const *hashes)
{
    struct proof p = { 0 };

    while (p.count < 3 && hashes[p.count] != NULL) {
        memcpy(p.hashes[p.count].bytes, HEX(hashes[p.count]).ptr, HASH_BYTES);
        p.count++;
    }
    return p;
}

#define L0  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
#define L1  "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
#define L4  "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
#define N01 "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
#define N23 "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
#define N45 "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
#define N67 "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
#define N03 "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
#define N47 "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"

static void published_leaves(struct fixture *f)
{
    static const char *const inputs[] = { "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                          "606162636465666768696a6b6c6d6e6f" };

    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        struct span input = HEX(inputs[i]);

        if (!merkle_leaf(&f->seal, &input, 1, &f->leaves[i], NULL))
            abort();
    }
    f->source.size = COUNT_OF(inputs);
}

TEST(proofs_are_the_published_ones)
{
    const struct { const char *name; bool inclusion; uint64_t first, second; const char *hashes[3]; } rows[] = {
        { "leaf 0 of 8", true, 0, 8, { L1, N23, N47 } },
        { "leaf 5 of 8", true, 5, 8, { L4, N67, N03 } },
        { "leaf 2 of 3", true, 2, 3, { N01 } },
        { "leaf 1 of 5", true, 1, 5, { L0, N23, L4 } },
        { "leaf 0 of 1", true, 0, 1, { NULL } },
        { "1 to 1", false, 1, 1, { NULL } },
        { "1 to 8", false, 1, 8, { L1, N23, N47 } },
        { "6 to 8", false, 6, 8, { N45, N67, N03 } },
        { "2 to 5", false, 2, 5, { N23, L4 } },
    };
    struct fixture *f = fixture_new();

    published_leaves(f);
    EACH (row, rows) {
        struct proof want = proof_of(row->hashes), got;
        struct hash first, second;

        CHECK_ROW(row->name, row->inclusion ? proof_inclusion(&f->source, row->first, row->second, &got, NULL)
                                            : proof_consistency(&f->source, row->first, row->second, &got, NULL));
        CHECK_ROW(row->name, same_proof(&got, &want));
        CHECK(proof_root(&f->source, row->second, &second, NULL));
        CHECK(proof_root(&f->source, row->first, &first, NULL));
        CHECK_ROW(row->name, row->inclusion
                                 ? proof_includes(&f->seal, &got, &f->leaves[row->first], row->first, row->second, &second)
                                 : proof_extends(&f->seal, &got, row->first, &first, row->second, &second, NULL));
    }
    fixture_free(f);
}

static uint64_t seed = 20261128;

static uint64_t any(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static bool one_tree(struct fixture *f)
{
    uint64_t n = 1 + any(any(8) == 0 ? LEAVES_MAX : 40), m = any(n + 1), at = any(n);
    struct proof in = { 0 }, on = { 0 }, got_in, got_on;
    struct hash root, first;
    bool ok;

    f->source.size = n;
    for (size_t i = 0; i < n; i++)
        f->leaves[i].bytes[any(HASH_BYTES)] ^= (uint8_t)(1 + any(255));
    root = mth(&f->seal, f->leaves, n);
    first = mth(&f->seal, f->leaves, m);
    path(&f->seal, at, f->leaves, n, &in);
    if (m > 0)
        subproof(&f->seal, m, f->leaves, n, true, &on);
    ok = proof_inclusion(&f->source, at, n, &got_in, NULL) && same_proof(&in, &got_in)
         && proof_consistency(&f->source, m, n, &got_on, NULL) && same_proof(&on, &got_on)
         && proof_includes(&f->seal, &in, &f->leaves[at], at, n, &root) && proof_extends(&f->seal, &on, m, &first, n, &root, NULL);
    if (ok && in.count > 0) { /* and neither proves anything else */
        in.hashes[any(in.count)].bytes[any(HASH_BYTES)] ^= 1;
        ok = !proof_includes(&f->seal, &in, &f->leaves[at], at, n, &root)
             && !proof_includes(&f->seal, &got_in, &f->leaves[at], (at + 1) % n, n, &root);
    }
    if (ok && on.count > 0) {
        on.hashes[any(on.count)].bytes[any(HASH_BYTES)] ^= 1;
        got_on.count--;
        ok = !proof_extends(&f->seal, &on, m, &first, n, &root, NULL) && !proof_extends(&f->seal, &got_on, m, &first, n, &root, NULL);
    }
    return ok;
}

TEST(proofs_of_random_trees_are_the_definition)
{
    struct fixture *f = fixture_new();

    for (unsigned i = 0; i < RANDOM_TREES; i++)
        CHECK_ROW("tree", one_tree(f));
    fixture_free(f);
}

TEST(what_is_not_in_the_tree_is_not_found)
{
    struct fixture *f = fixture_new();
    struct proof p;
    struct hash h;
    struct error err = { 0 };

    published_leaves(f);
    CHECK(!proof_inclusion(&f->source, 8, 8, &p, &err) && err.code == ERR_NOT_FOUND);
    CHECK(!proof_inclusion(&f->source, 0, 9, &p, &err) && err.code == ERR_NOT_FOUND);
    CHECK(!proof_consistency(&f->source, 5, 4, &p, &err) && err.code == ERR_NOT_FOUND);
    CHECK(!proof_root(&f->source, 9, &h, &err) && err.code == ERR_NOT_FOUND);
    p.count = 0;
    CHECK(!proof_includes(&f->seal, &p, &f->leaves[0], 0, 0, &h));
    fixture_free(f);
}

/* ---- a store's tiles: three levels of them would be 2^24 records; the leaves of 70,000 are put there directly ---- */

#define STORE_LEAVES 70000u

static struct store *store_of(const char *dir)
{
    struct store_options o = test_options();
    struct store *s;
    struct hash leaf = { { 0 } };
    struct error err = { 0 };

    if (!store_create(dir, &o, &err) || (s = store_open(dir, &o, &err)) == NULL)
        abort();
    for (uint32_t i = 0; i < STORE_LEAVES; i++) {
        memcpy(leaf.bytes, &i, sizeof i);
        if (!ledger_append(&s->ledger, &s->commit_seal, &leaf, 0, &err))
            abort();
    }
    s->end.marker.size = s->ledger.tree.size;
    if (!confirm_write(s, &err))
        abort();
    return s;
}

TEST(a_store_proves_from_its_tiles)
{
    char dir[TEST_DIR_SIZE];
    struct error err = { 0 };
    struct proof_tree *t;
    struct store *s;
    struct seal seal;
    struct hash root;

    test_dir(dir);
    s = store_of(dir);
    CHECK(seal_init(&seal, &s->suite, &err));
    CHECK_OK(err, (t = proof_tree_open(s, &err)) != NULL);
    CHECK(proof_tree_source(t)->size == STORE_LEAVES);
    CHECK(proof_root(proof_tree_source(t), STORE_LEAVES, &root, &err));
    for (unsigned i = 0; i < 300; i++) {
        uint64_t n = 1 + any(STORE_LEAVES), at = any(n), m = any(n + 1);
        struct proof in, on;
        struct hash leaf, n_root, m_root;

        CHECK_OK(err, proof_inclusion(proof_tree_source(t), at, n, &in, &err));
        CHECK_OK(err, proof_consistency(proof_tree_source(t), m, n, &on, &err));
        CHECK(proof_root(proof_tree_source(t), n, &n_root, &err) && proof_root(proof_tree_source(t), m, &m_root, &err));
        CHECK(proof_tree_leaf(t, at, &leaf, &err) && memcmp(leaf.bytes, &at, 4) == 0);
        CHECK(proof_includes(&seal, &in, &leaf, at, n, &n_root) && proof_extends(&seal, &on, m, &m_root, n, &n_root, NULL));
    }
    CHECK(!proof_tree_leaf(t, STORE_LEAVES, &root, &err) && err.code == ERR_NOT_FOUND);
    proof_tree_close(t);
    seal_done(&seal);
    s->unconfirmed = false;
    store_close(s);
    test_remove(dir);
}

/* A tile is read when it is needed; one that is gone or lies is named, and nothing false is proven. */
TEST(a_damaged_tile_is_noticed)
{
    char dir[TEST_DIR_SIZE], name[TILE_NAME_MAX], path_[600];
    struct error err = { 0 };
    struct proof_tree *t;
    struct proof p;
    struct store *s;

    test_dir(dir);
    s = store_of(dir);
    tile_name(0, 3, name);
    (void)snprintf(path_, sizeof path_, "%s/vault/%s", dir, name);
    CHECK(truncate(path_, 100) == 0);
    CHECK_OK(err, (t = proof_tree_open(s, &err)) != NULL);
    CHECK(proof_inclusion(proof_tree_source(t), 3, STORE_LEAVES, &p, &err));
    CHECK(!proof_inclusion(proof_tree_source(t), 3 * 256, STORE_LEAVES, &p, &err) && err.code == ERR_DAMAGED);
    proof_tree_close(t);
    store_close(s);
    test_remove(dir);
}

TESTS(T(proofs_are_the_published_ones), T(proofs_of_random_trees_are_the_definition),
      T(what_is_not_in_the_tree_is_not_found), T(a_store_proves_from_its_tiles), T(a_damaged_tile_is_noticed))
