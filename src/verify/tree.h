/*
 * Merkle trees as RFC 9162 §2.1 has them: hashes of leaves and nodes, and the two kinds of proof.
 */
#ifndef VERIFY_TREE_H
#define VERIFY_TREE_H

#include "bytes.h"

#define HASH_BYTES      32
#define PATH_HASHES_MAX 65 /* a level each of a tree of at most 2^64 leaves, and one */

struct hash {
    uint8_t bytes[HASH_BYTES];
};

void hash_of(struct bytes b, struct hash *out);   /* SHA-256 */
void hash_leaf(struct bytes b, struct hash *out); /* SHA-256(0x00 || b) */
bool hash_same(const struct hash *a, const struct hash *b);

/* A tree that grows leaf by leaf. Zeroed: empty. */
struct tree {
    uint64_t size;
    struct hash edge[64]; /* roots of its perfect subtrees, largest first */
};
void tree_add(struct tree *t, const struct hash *leaf);
void tree_root(const struct tree *t, struct hash *out);

/* path: n hashes one after the other. §2.1.3.2. */
bool tree_includes(struct bytes path, const struct hash *leaf, uint64_t position, uint64_t size,
                   const struct hash *root);
/* §2.1.4.2; first may be equal to second (then the roots are, and the path is empty), never 0. */
bool tree_extends(struct bytes path, uint64_t first, const struct hash *first_root, uint64_t second,
                  const struct hash *second_root);

#endif
