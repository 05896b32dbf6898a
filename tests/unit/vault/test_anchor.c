/* Heads and proofs of a store as a witness sees them, a checkpoint on paper against what became of the store. */
#include "vault/anchor.h"

#include "vault/cosign.h"

#include "store_test.h"

static struct store *reopened(struct store *s, const char *dir)
{
    struct store_options options = test_options();

    if (s != NULL)
        store_close(s); /* and everything is confirmed */
    return store_open(dir, &options, NULL);
}

static struct store *grown(struct store *s, const char *dir, unsigned count, unsigned seed)
{
    uint64_t position;

    for (unsigned i = 0; i < count; i++)
        if (!test_append(s, RECORD_FACT, "unit", seed + i, SIZE_MAX, &position, NULL) || test_wait(s, 1) != 1)
            abort();
    return reopened(s, dir);
}

static struct store *begun(char *dir)
{
    struct store_options options = test_options();

    test_dir(dir);
    if (!store_create(dir, &options, NULL))
        abort();
    return reopened(NULL, dir);
}

TEST(a_witness_can_follow_every_head)
{
    char dir[TEST_DIR_SIZE];
    struct store *s = begun(dir);
    struct vkey key, witness;
    struct error err = { 0 };
    uint8_t seen_root[ROOT_BYTES];
    uint64_t seen = 0;

    CHECK_OK(err, store_vkeys(s, &key, &witness, &err));
    CHECK(key.type == NOTE_ED25519 && witness.type == NOTE_COSIGNATURE && memcmp(key.key, witness.key, 32) != 0);
    CHECK(strncmp(witness.name, key.name, strlen(key.name)) == 0 && strcmp(witness.name + strlen(key.name), "/witness") == 0);
    for (unsigned round = 0; round < 6; round++) {
        struct anchor_head h;
        struct note n;
        struct checkpoint c;

        CHECK_OK(err, anchor_head_read(s, seen, &h, &err));
        CHECK(note_parse(h.request.note, &n, NULL) && note_signed_by(&n, &key, NULL) && checkpoint_parse(n.text, &c, NULL));
        CHECK(c.size == h.size && memcmp(c.root, h.root, ROOT_BYTES) == 0 && span_equal(c.origin, span_str(key.name)));
        if (seen > 0)
            CHECK(anchor_extends(s, &h.request, seen_root, &c, NULL));
        if (h.request.proof_count > 0) {
            h.request.proof[0][7] ^= 1;
            CHECK(!anchor_extends(s, &h.request, seen_root, &c, NULL));
            h.request.proof[0][7] ^= 1;
            h.request.proof_count--;
            CHECK(!anchor_extends(s, &h.request, seen_root, &c, NULL));
        }
        seen = h.size;
        memcpy(seen_root, h.root, ROOT_BYTES);
        anchor_head_done(&h);
        CHECK(!anchor_head_read(s, seen + 1, &h, &err) && err.code == ERR_NOT_FOUND);
        s = grown(s, dir, 1 + 7 * round, 100 * round);
        CHECK(s != NULL);
    }
    CHECK(seen > 0);
    store_close(s);
    test_remove(dir);
}

TEST(a_paper_tells_a_roll_back_and_another_history)
{
    char dir[TEST_DIR_SIZE], other[TEST_DIR_SIZE], command[400];
    struct store *s = grown(begun(dir), dir, 20, 0);
    struct anchor_head paper = { 0 };
    enum anchor_verdict v;
    uint64_t size;
    struct error err = { 0 };

    test_dir(other); /* yesterday's image */
    (void)snprintf(command, sizeof command, "cp -a %s/vault %s/", dir, other);
    store_close(s);
    CHECK((system)(command) == 0);
    s = grown(reopened(NULL, dir), dir, 20, 50);
    CHECK_OK(err, anchor_head_read(s, 0, &paper, &err));
    CHECK(anchor_compare(s, paper.size, paper.root, &v, &size, &err) && v == ANCHOR_HOLDS && size == paper.size);
    s = grown(s, dir, 300, 70);
    CHECK_OK(err, anchor_compare(s, paper.size, paper.root, &v, &size, &err));
    CHECK(v == ANCHOR_HOLDS && size == paper.size + 300);
    paper.root[5] ^= 1;
    CHECK(anchor_compare(s, paper.size, paper.root, &v, &size, &err) && v == ANCHOR_OTHER_HISTORY);
    paper.root[5] ^= 1;
    store_close(s);

    s = reopened(NULL, other); /* the image is put back … */
    CHECK(anchor_compare(s, paper.size, paper.root, &v, &size, &err) && v == ANCHOR_ROLLED_BACK && size < paper.size);
    s = grown(s, other, 19, 50); /* … and goes on, with nearly the same records */
    CHECK(anchor_compare(s, paper.size, paper.root, &v, &size, &err) && v == ANCHOR_ROLLED_BACK && size == paper.size - 1);
    s = grown(s, other, 30, 1000);
    CHECK(anchor_compare(s, paper.size, paper.root, &v, &size, &err) && v == ANCHOR_OTHER_HISTORY && size > paper.size);
    store_close(s);
    anchor_head_done(&paper);
    test_remove(dir);
    test_remove(other);
}

TEST(a_cosignature_of_a_store_verifies)
{
    char dir[TEST_DIR_SIZE];
    struct store *s = begun(dir);
    struct vkey key, witness;
    struct anchor_head h;
    struct note n;
    struct writer line = writer_new(1000);
    struct span own;
    uint64_t time_s;
    struct error err = { 0 };

    CHECK(store_vkeys(s, &key, &witness, &err) && anchor_head_read(s, 0, &h, &err) && note_parse(h.request.note, &n, &err));
    CHECK_OK(err, anchor_cosign(s, n.text, 1795600000, &line, &err));
    CHECK_OK(err, cosignature_read(writer_span(&line), &witness, n.text, 1795600000, &own, &time_s, &err));
    CHECK(time_s == 1795600000 && span_equal(own, writer_span(&line)));
    anchor_head_done(&h);
    writer_done(&line);
    store_close(s);
    test_remove(dir);
}

TESTS(T(a_witness_can_follow_every_head), T(a_paper_tells_a_roll_back_and_another_history),
      T(a_cosignature_of_a_store_verifies))
