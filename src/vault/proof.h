/*
 * Proofs of the ledger (RFC 9162 §2.1.3, §2.1.4): that an entry is in the tree, that one tree goes on another.
 *
 * A proof needs the roots of O(log n) perfect subtrees. Whoever has them is a proof_source: the tiles and the unfinished
 * tiles of a confirm file (proof_tree_open), or a test. Any thread; one thread at a time per tree.
 */
#ifndef FANAL_VAULT_PROOF_H
#define FANAL_VAULT_PROOF_H

#include "vault/merkle.h"

struct store;

/* A consistency proof has at most one hash a level, and one more (§2.1.4.1). */
#define PROOF_HASHES_MAX (MERKLE_HEIGHT_MAX + 1)

struct proof {
    size_t count;
    struct hash hashes[PROOF_HASHES_MAX];
};

struct proof_source {
    /* Root over the leaves [index × 2^height, (index + 1) × 2^height), all of them there. */
    bool (*node)(void *context, unsigned height, uint64_t index, struct hash *out, struct error *err);
    void *context;
    struct seal *seal;
    uint64_t size; /* leaves there are */
};

/* MTH of the first `size` leaves. ERR_NOT_FOUND where there are not that many. */
bool proof_root(const struct proof_source *p, uint64_t size, struct hash *out, struct error *err);
/* PATH(position, D_size), §2.1.3.1. */
bool proof_inclusion(const struct proof_source *p, uint64_t position, uint64_t size, struct proof *out,
                     struct error *err);
/* PROOF(first, D_second), §2.1.4.1; empty where first is 0 or second. */
bool proof_consistency(const struct proof_source *p, uint64_t first, uint64_t second, struct proof *out,
                       struct error *err);

/* §2.1.3.2 and §2.1.4.2: does it prove it? */
bool proof_includes(struct seal *s, const struct proof *proof, const struct hash *leaf, uint64_t position,
                    uint64_t size, const struct hash *root);
bool proof_extends(struct seal *s, const struct proof *proof, uint64_t first, const struct hash *first_root,
                   uint64_t second, const struct hash *second_root, struct error *err);

/* The confirmed tree of a store, as its files have it. Later commits do not change it. */
struct proof_tree;
struct proof_tree *proof_tree_open(struct store *s, struct error *err);
void proof_tree_close(struct proof_tree *t); /* NULL allowed */
const struct proof_source *proof_tree_source(const struct proof_tree *t);
/* Leaf hash of a position below the tree's size. */
bool proof_tree_leaf(struct proof_tree *t, uint64_t position, struct hash *out, struct error *err);

#endif
