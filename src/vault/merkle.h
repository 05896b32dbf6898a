/*
 * The Merkle tree of RFC 9162 §2.1 (the hashes of RFC 6962): leaves come one by one, only the right edge is kept.
 *
 * Used for the ledger (leaf = an entry) and for a body (leaf = a stored chunk).
 */
#ifndef FANAL_VAULT_MERKLE_H
#define FANAL_VAULT_MERKLE_H

#include "vault/seal.h"

#define MERKLE_HEIGHT_MAX 64

struct hash {
    uint8_t bytes[HASH_BYTES];
};

/* Roots of the perfect subtrees that size splits into, largest first: one per 1 bit of size. */
struct merkle {
    uint64_t size;
    struct hash edge[MERKLE_HEIGHT_MAX];
};

/* Number of subtrees on the edge. */
static inline unsigned merkle_edge_count(uint64_t size)
{
    return (unsigned)__builtin_popcountll(size);
}

/* SHA-256(0x00 || bytes of the pieces). */
bool merkle_leaf(struct seal *s, const struct span *pieces, size_t count, struct hash *out, struct error *err);
/* SHA-256(0x01 || left || right). */
bool merkle_node(struct seal *s, const struct hash *left, const struct hash *right, struct hash *out,
                 struct error *err);

/* After a failure the tree is not to be used. */
bool merkle_append(struct merkle *m, struct seal *s, const struct hash *leaf, struct error *err);
/* Of the empty tree: SHA-256 of nothing. */
bool merkle_root(const struct merkle *m, struct seal *s, struct hash *out, struct error *err);

#endif
