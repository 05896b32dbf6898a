/* Inclusion and consistency proofs. See proof.h. */
#include "vault/proof.h"

/* Largest power of two below n; n > 1 (§2.1.1, "k"). */
static uint64_t split(uint64_t n)
{
    return (uint64_t)1 << (63 - __builtin_clzll(n - 1));
}

/* MTH(D[from:to]). from is a multiple of every subtree's size, because each split leaves it so. */
static bool range_root(const struct proof_source *p, uint64_t from, uint64_t to, struct hash *out, struct error *err)
{
    struct hash root = { { 0 } }, left;
    bool some = false;

    while (to > from) { /* from the right: the smallest perfect subtree first */
        unsigned height = (unsigned)__builtin_ctzll(to - from);

        if (!p->node(p->context, height, (to - 1) >> height, &left, err))
            return false;
        if (some && !merkle_node(p->seal, &left, &root, &root, err))
            return false;
        if (!some)
            root = left;
        some = true;
        to -= (uint64_t)1 << height;
    }
    *out = root;
    return true;
}

static bool push(const struct proof_source *p, struct proof *proof, uint64_t from, uint64_t to, struct error *err)
{
    if (proof->count == PROOF_HASHES_MAX)
        return error_set(err, ERR_LIMIT, "a proof of more than %d hashes", PROOF_HASHES_MAX);
    return range_root(p, from, to, &proof->hashes[proof->count++], err);
}

/* The way down finds the hashes in the order opposite to the standard's. */
static void turn_over(struct proof *proof)
{
    for (size_t i = 0; i < proof->count / 2; i++) {
        struct hash other = proof->hashes[i];

        proof->hashes[i] = proof->hashes[proof->count - 1 - i];
        proof->hashes[proof->count - 1 - i] = other;
    }
}

bool proof_root(const struct proof_source *p, uint64_t size, struct hash *out, struct error *err)
{
    if (size > p->size)
        return error_set(err, ERR_NOT_FOUND, "the tree has %llu leaves, not %llu", (unsigned long long)p->size,
                         (unsigned long long)size);
    return size == 0 ? seal_hash(p->seal, NULL, 0, out->bytes, err) : range_root(p, 0, size, out, err);
}

bool proof_inclusion(const struct proof_source *p, uint64_t position, uint64_t size, struct proof *out,
                     struct error *err)
{
    struct proof proof = { 0 };
    uint64_t from = 0, to = size;

    if (size > p->size || position >= size)
        return error_set(err, ERR_NOT_FOUND, "no leaf %llu in a tree of %llu", (unsigned long long)position,
                         (unsigned long long)(size > p->size ? p->size : size));
    while (to - from > 1) {
        uint64_t middle = from + split(to - from);

        if (position < middle ? !push(p, &proof, middle, to, err) : !push(p, &proof, from, middle, err))
            return false;
        if (position < middle)
            to = middle;
        else
            from = middle;
    }
    turn_over(&proof);
    *out = proof;
    return true;
}

bool proof_consistency(const struct proof_source *p, uint64_t first, uint64_t second, struct proof *out,
                       struct error *err)
{
    struct proof proof = { 0 };
    uint64_t from = 0, to = second;
    bool whole = true; /* b of SUBPROOF: what is left of the first tree is the first tree itself */

    if (second > p->size || first > second)
        return error_set(err, ERR_NOT_FOUND, "no way from a tree of %llu leaves to one of %llu",
                         (unsigned long long)first, (unsigned long long)second);
    while (first > 0 && first != to) {
        uint64_t middle = from + split(to - from);

        if (first <= middle ? !push(p, &proof, middle, to, err) : !push(p, &proof, from, middle, err))
            return false;
        if (first <= middle) {
            to = middle;
        } else {
            from = middle;
            whole = false;
        }
    }
    if (!whole && !push(p, &proof, from, to, err))
        return false;
    turn_over(&proof);
    *out = proof;
    return true;
}

bool proof_includes(struct seal *s, const struct proof *proof, const struct hash *leaf, uint64_t position,
                    uint64_t size, const struct hash *root)
{
    uint64_t fn = position, sn = size - 1;
    struct hash r = *leaf;

    if (position >= size)
        return false;
    for (size_t i = 0; i < proof->count; i++) {
        const struct hash *p = &proof->hashes[i];

        if (sn == 0)
            return false;
        if ((fn & 1) != 0 || fn == sn) {
            if (!merkle_node(s, p, &r, &r, NULL))
                return false;
            while ((fn & 1) == 0 && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else if (!merkle_node(s, &r, p, &r, NULL)) {
            return false;
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && seal_equal(r.bytes, root->bytes, HASH_BYTES);
}

static bool does_not_hold(struct error *err)
{
    return error_set(err, ERR_REFUSED, "the consistency proof does not hold");
}

/* §2.1.4.2 steps 3 to 7, from the first hash of the path (which may be the first root itself) on. */
static bool climb(struct seal *s, const struct hash *path, size_t count, uint64_t fn, uint64_t sn,
                  const struct hash *first_root, const struct hash *second_root, struct error *err)
{
    struct hash fr = path[0], sr = path[0];

    for (; (fn & 1) != 0; fn >>= 1)
        sn >>= 1;
    for (size_t i = 1; i < count; i++) {
        if (sn == 0)
            return does_not_hold(err);
        if ((fn & 1) != 0 || fn == sn) {
            if (!merkle_node(s, &path[i], &fr, &fr, err) || !merkle_node(s, &path[i], &sr, &sr, err))
                return false;
            for (; (fn & 1) == 0 && fn != 0; fn >>= 1)
                sn >>= 1;
        } else if (!merkle_node(s, &sr, &path[i], &sr, err)) {
            return false;
        }
        fn >>= 1;
        sn >>= 1;
    }
    return (sn == 0 && seal_equal(fr.bytes, first_root->bytes, HASH_BYTES)
            && seal_equal(sr.bytes, second_root->bytes, HASH_BYTES))
           || does_not_hold(err);
}

bool proof_extends(struct seal *s, const struct proof *proof, uint64_t first, const struct hash *first_root,
                   uint64_t second, const struct hash *second_root, struct error *err)
{
    struct hash path[PROOF_HASHES_MAX + 1];
    size_t own = first > 0 && (first & (first - 1)) == 0 ? 1 : 0; /* a power of two is a node of the second tree */
    struct hash empty;

    if (first > second || proof->count > PROOF_HASHES_MAX)
        return does_not_hold(err);
    if (first == second)
        return (proof->count == 0 && seal_equal(first_root->bytes, second_root->bytes, HASH_BYTES)) || does_not_hold(err);
    if (first == 0 && !seal_hash(s, NULL, 0, empty.bytes, err))
        return false;
    if (first == 0)
        return (proof->count == 0 && seal_equal(empty.bytes, first_root->bytes, HASH_BYTES)) || does_not_hold(err);
    if (proof->count == 0)
        return does_not_hold(err);
    path[0] = *first_root;
    for (size_t i = 0; i < proof->count; i++)
        path[own + i] = proof->hashes[i];
    return climb(s, path, own + proof->count, first - 1, second - 1, first_root, second_root, err);
}
