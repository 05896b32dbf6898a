/* Merkle trees. See merkle.h. */
#include "vault/merkle.h"

bool merkle_leaf(struct seal *s, const struct span *pieces, size_t count, struct hash *out, struct error *err)
{
    struct span all[5] = { SPAN_LIT("\0") };

    if (count >= COUNT_OF(all))
        return error_set(err, ERR_LIMIT, "a leaf of %zu pieces", count);
    for (size_t i = 0; i < count; i++)
        all[i + 1] = pieces[i];
    return seal_hash(s, all, count + 1, out->bytes, err);
}

bool merkle_node(struct seal *s, const struct hash *left, const struct hash *right, struct hash *out, struct error *err)
{
    const struct span pieces[] = { SPAN_LIT("\1"), span_of(left->bytes, HASH_BYTES),
                                   span_of(right->bytes, HASH_BYTES) };

    return seal_hash(s, pieces, COUNT_OF(pieces), out->bytes, err);
}

bool merkle_append(struct merkle *m, struct seal *s, const struct hash *leaf, struct error *err)
{
    unsigned top = merkle_edge_count(m->size);
    struct hash carry = *leaf;

    /* As in binary counting: each 1 bit at the end of size is a subtree that the new one completes. */
    for (uint64_t bits = m->size; (bits & 1) != 0; bits >>= 1)
        if (!merkle_node(s, &m->edge[--top], &carry, &carry, err))
            return false;
    m->edge[top] = carry;
    m->size++;
    return true;
}

bool merkle_root(const struct merkle *m, struct seal *s, struct hash *out, struct error *err)
{
    unsigned top = merkle_edge_count(m->size);
    struct hash root;

    if (top == 0)
        return seal_hash(s, NULL, 0, out->bytes, err);
    root = m->edge[--top];
    while (top > 0)
        if (!merkle_node(s, &m->edge[--top], &root, &root, err))
            return false;
    *out = root;
    return true;
}
