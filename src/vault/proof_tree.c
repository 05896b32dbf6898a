/*
 * The confirmed tree as the files have it: full tiles from ledger/tile, the unfinished ones from a confirm file
 * (docs/format.md, "Ledger"). A proof reads at most a tile a level.
 */
#include <stdlib.h>

#include "vault/proof.h"
#include "vault/store_internal.h"

#define TILE_HEIGHT 8u /* 2^8 = TILE_HASHES */

struct proof_tree {
    const struct disk *disk;
    struct seal seal;
    struct ledger edge; /* as ledger_load() made it: tree and unfinished tiles, nothing open */
    struct proof_source source;
    struct {
        bool have;
        uint64_t number;
        struct hash hashes[TILE_HASHES];
    } last[TILE_LEVELS]; /* the tile read last of each level: neighbours are proven one after the other */
};

/* The hashes of the tile that holds hash `index` of its level, full or not. */
static const struct hash *tile_of(struct proof_tree *t, unsigned level, uint64_t index, struct error *err)
{
    uint64_t number = index / TILE_HASHES;

    if (level >= TILE_LEVELS) {
        (void)error_set(err, ERR_LIMIT, "a tree of that height");
        return NULL;
    }
    if (number == t->source.size >> (TILE_HEIGHT * (level + 1)))
        return t->edge.levels[level].hashes;
    if (!t->last[level].have || t->last[level].number != number) {
        t->last[level].have = tile_read(t->disk, level, number, t->last[level].hashes, err);
        t->last[level].number = number;
    }
    return t->last[level].have ? t->last[level].hashes : NULL;
}

static bool node(void *context, unsigned height, uint64_t index, struct hash *out, struct error *err)
{
    struct proof_tree *t = context;
    unsigned below = height % TILE_HEIGHT; /* the tile holds what lies that much deeper */
    uint64_t first = index << below;
    const struct hash *tile = tile_of(t, height / TILE_HEIGHT, first, err);
    struct merkle tree = { 0 };

    if (tile == NULL)
        return false;
    for (uint64_t i = 0; i < (uint64_t)1 << below; i++)
        if (!merkle_append(&tree, &t->seal, &tile[(first + i) % TILE_HASHES], err))
            return false;
    *out = tree.edge[0];
    return true;
}

static bool load(struct proof_tree *t, struct store *s, struct error *err)
{
    struct hash root, want;

    t->disk = &s->disk;
    if (!seal_init(&t->seal, &s->suite, err) || !confirm_snapshot(s, &t->edge, err))
        return false;
    t->source = (struct proof_source){ node, t, &t->seal, t->edge.tree.size };
    if (!merkle_root(&t->edge.tree, &t->seal, &want, err) || !proof_root(&t->source, t->source.size, &root, err))
        return false;
    if (!seal_equal(root.bytes, want.bytes, HASH_BYTES))
        return error_set(err, ERR_DAMAGED, "ledger/tile: the tiles give another root");
    return true;
}

struct proof_tree *proof_tree_open(struct store *s, struct error *err)
{
    struct proof_tree *t = calloc(1, sizeof *t);

    if (t == NULL) {
        (void)error_set(err, ERR_MEMORY, "no memory for a proof");
        return NULL;
    }
    if (load(t, s, err))
        return t;
    proof_tree_close(t);
    return NULL;
}

void proof_tree_close(struct proof_tree *t)
{
    if (t == NULL)
        return;
    seal_done(&t->seal);
    free(t);
}

const struct proof_source *proof_tree_source(const struct proof_tree *t)
{
    return &t->source;
}

bool proof_tree_leaf(struct proof_tree *t, uint64_t position, struct hash *out, struct error *err)
{
    if (position >= t->source.size)
        return error_set(err, ERR_NOT_FOUND, "record %llu is not confirmed yet", (unsigned long long)position);
    return node(t, 0, position, out, err);
}
