/* Merkle trees. See tree.h; the loops are the numbered steps of RFC 9162. */
#include "tree.h"

#include <nettle/sha2.h>
#include <string.h>

void hash_of(struct bytes b, struct hash *out)
{
    struct sha256_ctx c;

    sha256_init(&c);
    sha256_update(&c, b.len, b.ptr);
    sha256_digest(&c, HASH_BYTES, out->bytes);
}

void hash_leaf(struct bytes b, struct hash *out)
{
    struct sha256_ctx c;

    sha256_init(&c);
    sha256_update(&c, 1, (const uint8_t *)"\0");
    sha256_update(&c, b.len, b.ptr);
    sha256_digest(&c, HASH_BYTES, out->bytes);
}

static struct hash node(const struct hash *left, const struct hash *right)
{
    struct sha256_ctx c;
    struct hash out;

    sha256_init(&c);
    sha256_update(&c, 1, (const uint8_t *)"\1");
    sha256_update(&c, HASH_BYTES, left->bytes);
    sha256_update(&c, HASH_BYTES, right->bytes);
    sha256_digest(&c, HASH_BYTES, out.bytes);
    return out;
}

bool hash_same(const struct hash *a, const struct hash *b)
{
    return memcmp(a->bytes, b->bytes, HASH_BYTES) == 0;
}

static unsigned ones(uint64_t n)
{
    unsigned count = 0;

    for (; n != 0; n &= n - 1)
        count++;
    return count;
}

void tree_add(struct tree *t, const struct hash *leaf)
{
    unsigned top = ones(t->size);
    struct hash carry = *leaf;

    for (uint64_t bits = t->size; (bits & 1) != 0; bits >>= 1)
        carry = node(&t->edge[--top], &carry);
    t->edge[top] = carry;
    t->size++;
}

void tree_root(const struct tree *t, struct hash *out)
{
    unsigned top = ones(t->size);

    if (top == 0) {
        hash_of((struct bytes){ NULL, 0 }, out);
        return;
    }
    *out = t->edge[--top];
    while (top > 0)
        *out = node(&t->edge[--top], out);
}

static struct hash hash_at(struct bytes path, size_t i)
{
    struct hash h;

    memcpy(h.bytes, path.ptr + i * HASH_BYTES, HASH_BYTES);
    return h;
}

static bool whole_hashes(struct bytes path)
{
    return path.len % HASH_BYTES == 0 && path.len / HASH_BYTES <= PATH_HASHES_MAX;
}

bool tree_includes(struct bytes path, const struct hash *leaf, uint64_t position, uint64_t size,
                   const struct hash *root)
{
    uint64_t fn = position, sn = size - 1;
    struct hash r = *leaf;

    if (position >= size || !whole_hashes(path))
        return false;
    for (size_t i = 0; i < path.len / HASH_BYTES; i++) {
        struct hash p = hash_at(path, i);

        if (sn == 0)
            return false;
        if ((fn & 1) != 0 || fn == sn) {
            r = node(&p, &r);
            while ((fn & 1) == 0 && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            r = node(&r, &p);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && hash_same(&r, root);
}

bool tree_extends(struct bytes path, uint64_t first, const struct hash *first_root, uint64_t second,
                  const struct hash *second_root)
{
    uint64_t fn = first - 1, sn = second - 1;
    size_t i = 0, count = path.len / HASH_BYTES;
    struct hash fr, sr;

    if (first == 0 || first > second || !whole_hashes(path))
        return false;
    if (first == second)
        return count == 0 && hash_same(first_root, second_root);
    if (count == 0)
        return false;
    fr = (first & (first - 1)) == 0 ? *first_root : hash_at(path, i++);
    sr = fr;
    for (; (fn & 1) != 0; fn >>= 1)
        sn >>= 1;
    for (; i < count; i++) {
        struct hash c = hash_at(path, i);

        if (sn == 0)
            return false;
        if ((fn & 1) != 0 || fn == sn) {
            fr = node(&c, &fr);
            sr = node(&c, &sr);
            for (; (fn & 1) == 0 && fn != 0; fn >>= 1)
                sn >>= 1;
        } else {
            sr = node(&sr, &c);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && hash_same(&fr, first_root) && hash_same(&sr, second_root);
}
