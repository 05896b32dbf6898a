/* The tree of RFC 9162 §2.1: its published hashes (the eight inputs of the Certificate Transparency reference), and its
 * definition. */
#include "vault/merkle.h"

#include "../test.h"

static struct span inputs[8];

static void fill_inputs(void)
{
    inputs[0] = HEX("");
    inputs[1] = HEX("00");
    inputs[2] = HEX("10");
    inputs[3] = HEX("2021");
    inputs[4] = HEX("3031");
    inputs[5] = HEX("40414243");
    inputs[6] = HEX("5051525354555657");
    inputs[7] = HEX("606162636465666768696a6b6c6d6e6f");
}

/* MTH of RFC 9162 §2.1.1, as it is written there. */
static struct hash mth(struct seal *s, const struct hash *leaves, size_t n)
{
    struct hash out, left, right;
    size_t k = 1;

    if (n == 1)
        return leaves[0];
    while (k * 2 < n)
        k *= 2;
    left = mth(s, leaves, k);
    right = mth(s, leaves + k, n - k);
    if (!merkle_node(s, &left, &right, &out, NULL))
        abort();
    return out;
}

TEST(roots_are_the_published_ones)
{
    static const char *const roots[] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    };
    struct seal_suite suite;
    struct seal s;
    struct merkle m = { 0 };

    CHECK(seal_suite_init(&suite, NULL) && seal_init(&s, &suite, NULL));
    fill_inputs();
    for (size_t n = 0; n < COUNT_OF(roots); n++) {
        struct hash root, leaf;

        CHECK(merkle_root(&m, &s, &root, NULL));
        CHECK_ROW(roots[n], memcmp(root.bytes, HEX(roots[n]).ptr, HASH_BYTES) == 0);
        if (n < 8)
            CHECK(merkle_leaf(&s, &inputs[n], 1, &leaf, NULL) && merkle_append(&m, &s, &leaf, NULL));
    }
    seal_done(&s);
    seal_suite_done(&suite);
}

TEST(one_by_one_is_the_definition)
{
    static struct hash leaves[300];
    struct seal_suite suite;
    struct seal s;
    struct merkle m = { 0 };

    CHECK(seal_suite_init(&suite, NULL) && seal_init(&s, &suite, NULL));
    for (size_t n = 1; n <= COUNT_OF(leaves); n++) {
        struct hash root, want;

        memset(leaves[n - 1].bytes, (int)n, HASH_BYTES);
        CHECK(merkle_append(&m, &s, &leaves[n - 1], NULL) && merkle_root(&m, &s, &root, NULL));
        want = mth(&s, leaves, n);
        CHECK(memcmp(root.bytes, want.bytes, HASH_BYTES) == 0);
    }
    seal_done(&s);
    seal_suite_done(&suite);
}

TESTS(T(roots_are_the_published_ones), T(one_by_one_is_the_definition))
