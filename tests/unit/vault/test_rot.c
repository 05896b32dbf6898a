/*
 * Rot in sealed files: 2 % of the sectors at random or any megabyte come back, in reads and on the disk; with more, what
 * is lost is named and the rest serves; nothing is ever written that was not there.
 */
#include <errno.h>
#include <time.h>

#include "rot_fixture.h"

static void seed(const char *what)
{
    unsigned value = getenv("FANAL_SEED") != NULL ? (unsigned)strtoul(getenv("FANAL_SEED"), NULL, 10)
                                                  : (unsigned)getpid() ^ (unsigned)time(NULL);

    print_message("# %s: seed %u\n", what, value);
    srandom(value);
}

TEST(full_files_are_sealed_and_verify_clean)
{
    struct rot r;
    struct store_status st;

    rot_make(&r);
    CHECK(rot_repair(&r, NULL) && r.done.seals >= 4 && r.done.sectors == 0 && r.done.lost == 0);
    for (size_t f = 0; f < ROT_FILES; f++)
        CHECK_ROW(r.files[f], rot_exists(&r, r.files[f], ".seal") && !rot_exists(&r, r.files[f], ".seal.new"));
    store_status(r.store, &st);
    CHECK(st.sealed_files >= 4 && st.sealed_files < st.data_files && st.seal_bytes > 0);
    CHECK(rot_verify(&r) == 0);
    CHECK(rot_repair(&r, NULL) && r.done.seals == 0); /* and a whole seal is not made again */
    CHECK(rot_all_serve(&r) == 0);
    rot_done(&r);
}

/* Damages a file in several ways: its records serve, verify says that it can be repaired, repair makes it as it was. */
static void check_mended(void **state_, struct rot *r, const char *name, const char *how)
{
    CHECK_ROW(how, rot_all_serve(r) == 0);
    CHECK_ROW(how, rot_verify(r) > 0 && strstr(r->said, "all can be repaired") != NULL);
    CHECK_ROW(how, !rot_is_as_made(r, name)); /* verify and reading changed nothing */
    CHECK_ROW(how, rot_repair(r, NULL) && r->done.sectors > 0 && r->done.lost == 0);
    CHECK_ROW(how, rot_is_as_made(r, name) && rot_verify(r) == 0);
}

TEST(two_in_a_hundred_sectors_come_back)
{
    struct rot r;

    seed("sectors");
    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (size_t f = 0; f < ROT_FILES; f++) {
        rot_destroy(&r, r.files[f], "", 2);
        check_mended(state_, &r, r.files[f], r.files[f]);
    }
    rot_done(&r);
}

TEST(any_megabyte_comes_back)
{
    struct rot r;

    seed("megabytes");
    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (size_t f = 0; f < ROT_FILES; f++)
        for (int n = 0; n < 2; n++) {
            uint64_t size = rot_size(&r, r.files[f]), most = size > 1 << 20 ? size - (1 << 20) : 0;

            rot_zero(&r, r.files[f], n == 0 || most == 0 ? 0 : (uint64_t)random() % most, 1 << 20);
            check_mended(state_, &r, r.files[f], r.files[f]);
        }
    rot_done(&r);
}

/* Half the file: what is lost is named, nothing is wrong, and what lies elsewhere serves. */
TEST(more_is_named_and_the_rest_serves)
{
    seed("too much");
    for (size_t f = 0; f < ROT_FILES; f++) {
        struct rot r;
        uint64_t lost, damaged;

        rot_make(&r);
        CHECK(rot_repair(&r, NULL));
        rot_zero(&r, r.files[f], 0, rot_size(&r, r.files[f]) / 20 * 19);
        lost = rot_all_serve(&r); /* fails the test where bytes are wrong */
        CHECK_ROW(r.files[f], lost > 0 && lost < r.record_count);
        CHECK(rot_verify(&r) > 0 && strstr(r.said, "not all can be repaired") != NULL);
        damaged = r.named;
        CHECK_ROW(r.files[f], damaged >= lost); /* each is named; body records may be solved where verify is not */
        CHECK(rot_repair(&r, NULL) && r.done.lost > 0);
        CHECK(rot_all_serve(&r) <= lost);
        rot_done(&r);
    }
}

/* A hundred random places, of 1 to 60 % in pieces: never a wrong byte. */
TEST(no_damage_ever_serves_wrong_bytes)
{
    struct rot r;

    seed("hundred");
    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (int n = 0; n < 8; n++) {
        const char *name = r.files[(size_t)random() % ROT_FILES];

        rot_destroy(&r, name, random() % 3 == 0 ? ".seal" : "", 1 + (unsigned)random() % 20);
        (void)rot_all_serve(&r);
        CHECK(rot_repair(&r, NULL));
        (void)rot_all_serve(&r);
        if (r.done.lost > 0 || r.done.sectors == 0)
            rot_restore(&r, name);
        CHECK(rot_is_as_made(&r, name));
    }
    rot_done(&r);
}

TEST(a_seal_that_rots_is_named_and_made_again)
{
    struct rot r;

    seed("seals");
    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (size_t f = 0; f < ROT_FILES; f++) {
        uint64_t size = rot_size_of(&r, r.files[f], ".seal");

        for (int n = 0; n < 4; n++) {
            uint64_t at = n == 0 ? 0 : n == 1 ? size - 1 : n == 2 ? 600 : (uint64_t)random() % size;

            rot_flip(&r, r.files[f], ".seal", at);
            CHECK_ROW(r.files[f], rot_verify(&r) > 0 && rot_all_serve(&r) == 0);
            CHECK(rot_repair(&r, NULL));
            CHECK_ROW(r.said, rot_verify(&r) == 0);
        }
        rot_cut(&r, r.files[f], ".seal", size / 2);
        CHECK_ROW(r.files[f], rot_verify(&r) > 0);
        CHECK(rot_repair(&r, NULL) && rot_verify(&r) == 0);
        rot_zero_of(&r, r.files[f], ".seal", 0, size); /* both headers */
        CHECK_ROW(r.files[f], rot_verify(&r) > 0);
    }
    rot_done(&r);
}

TEST(file_and_seal_may_rot_together)
{
    struct rot r;

    seed("both");
    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (size_t f = 0; f < ROT_FILES; f++) {
        rot_destroy(&r, r.files[f], "", 2);
        rot_destroy(&r, r.files[f], ".seal", 2);
        CHECK_ROW(r.files[f], rot_all_serve(&r) == 0);
        CHECK_ROW(r.files[f], rot_repair(&r, NULL) && rot_is_as_made(&r, r.files[f]));
        CHECK_ROW(r.said, rot_verify(&r) == 0);
    }
    rot_done(&r);
}

/* A block of the tables lost in both copies: what it said of the sectors is found out again. */
TEST(a_block_lost_in_both_copies_is_found_out_again)
{
    struct rot r;

    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (size_t f = 0; f < ROT_FILES; f++) {
        uint64_t size = rot_size_of(&r, r.files[f], ".seal");
        uint64_t blocks = rot_blocks(&r, r.files[f]);

        for (uint64_t b = 0; b < blocks; b += blocks / 2 + 1) {
            rot_zero_of(&r, r.files[f], ".seal", 512 * (1 + b), 512);
            rot_zero_of(&r, r.files[f], ".seal", size - 512 * (1 + blocks - b), 512);
            rot_destroy(&r, r.files[f], "", 1);
            CHECK_ROW(r.files[f], rot_all_serve(&r) == 0);
            CHECK_ROW(r.files[f], rot_repair(&r, NULL) && rot_is_as_made(&r, r.files[f]));
            if (rot_verify(&r) > 0) /* the block was of the table of contents, which only sealing anew gives */
                CHECK_ROW(r.files[f], strstr(r.said, ".seal") != NULL && rot_reseal(&r, r.files[f]) && rot_verify(&r) == 0);
        }
    }
    rot_done(&r);
}

TEST(a_file_that_is_cut_short_or_gone_comes_back_where_parity_suffices)
{
    struct rot r;

    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (size_t f = 0; f < ROT_FILES; f++) {
        rot_cut(&r, r.files[f], "", rot_size(&r, r.files[f]) - 100000);
        CHECK_ROW(r.files[f], rot_verify(&r) > 0 && rot_repair(&r, NULL) && rot_is_as_made(&r, r.files[f]));
        rot_append(&r, r.files[f], 700);
        CHECK_ROW(r.files[f], rot_verify(&r) > 0 && rot_repair(&r, NULL) && rot_is_as_made(&r, r.files[f]));
        CHECK_ROW(r.files[f], rot_verify(&r) == 0);
    }
    rot_done(&r);
}

/* Checksums are no proof: one who writes file and checksums alike, without the key, changes nothing for good. */
TEST(what_fits_its_checksum_and_not_its_hash_is_not_written)
{
    struct rot r;

    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (size_t f = 0; f < ROT_FILES; f++) {
        rot_forge(&r, r.files[f], 40);
        CHECK_ROW(r.files[f], rot_verify(&r) > 0);
        rot_destroy(&r, r.files[f], "", 1);
        (void)rot_all_serve(&r);
        CHECK_ROW(r.files[f], rot_repair(&r, NULL) && r.done.sectors == 0);
        rot_restore(&r, r.files[f]);
        rot_drop(&r, r.files[f], ".seal");
        CHECK(rot_reseal(&r, r.files[f]) && rot_verify(&r) == 0);
    }
    rot_done(&r);
}

TEST(another_copy_gives_what_parity_cannot)
{
    struct rot r;

    seed("copy");
    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    rot_copy(&r);
    for (size_t f = 0; f < ROT_FILES; f++) {
        rot_zero(&r, r.files[f], 1000, rot_size(&r, r.files[f]) - 1000);
        CHECK_ROW(r.files[f], rot_repair(&r, NULL) && r.done.lost > 0);
        CHECK_ROW(r.files[f], rot_repair(&r, r.copy) && r.done.lost == 0 && rot_is_as_made(&r, r.files[f]));
        rot_destroy(&r, r.files[f], "", 30);
        rot_copy_destroy(&r, r.files[f], 5); /* the copy rots, too */
        CHECK_ROW(r.files[f], rot_repair(&r, r.copy) && r.done.lost == 0 && rot_is_as_made(&r, r.files[f]));
        rot_drop(&r, r.files[f], ""); /* the file, and then its seal with it */
        CHECK_ROW(r.files[f], rot_repair(&r, r.copy) && rot_is_as_made(&r, r.files[f]));
        rot_copy(&r);
        rot_drop(&r, r.files[f], "");
        rot_drop(&r, r.files[f], ".seal");
        CHECK_ROW(r.files[f], rot_repair(&r, r.copy) && rot_is_as_made(&r, r.files[f]) && rot_verify(&r) == 0);
    }
    CHECK(rot_all_serve(&r) == 0);
    rot_done(&r);
}

/* The events that the log holds of a file, oldest first: 'd' damaged, 'r' repaired. */
static const char *told_of(struct rot *r, const char *file)
{
    static char told[32];
    struct writer facts = writer_new(1 << 20);
    struct store_status st;
    size_t n = 0;

    store_status(r->store, &st);
    for (uint64_t p = 0; p < st.size && n + 1 < sizeof told; p++) {
        struct entry e;

        writer_reset(&facts);
        if (!store_read_entry(r->store, p, &e, &facts, NULL) || e.kind != RECORD_EVENT)
            continue;
        if (span_equal(fields_text(writer_span(&facts), FIELD_FILE), span_str(file)))
            told[n++] = span_equal(fields_text(writer_span(&facts), FIELD_EVENT), SPAN_LIT("scrub.damaged")) ? 'd' : 'r';
    }
    told[n] = '\0';
    writer_done(&facts);
    return told;
}

/* Whoever made it whole, and whatever process then finds that: a person who was told of damage is told of its end. */
TEST(what_was_told_as_damaged_is_told_when_it_is_whole)
{
    struct rot r;

    seed("told");
    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (size_t f = 0; f < ROT_FILES; f++) {
        rot_zero(&r, r.files[f], 1000, rot_size(&r, r.files[f]) - 1000);
        CHECK_ROW(r.files[f], rot_repair(&r, NULL) && r.done.lost > 0 && strcmp(told_of(&r, r.files[f]), "d") == 0);
        rot_reopen(&r);
        CHECK_ROW(r.files[f], rot_repair(&r, NULL) && strcmp(told_of(&r, r.files[f]), "dd") == 0); /* by each process */
        rot_restore(&r, r.files[f]);
        rot_reopen(&r);
        CHECK_ROW(r.files[f], rot_repair(&r, NULL) && strcmp(told_of(&r, r.files[f]), "ddr") == 0);
        CHECK_ROW(r.files[f], rot_repair(&r, NULL) && strcmp(told_of(&r, r.files[f]), "ddr") == 0);
        rot_destroy(&r, r.files[f], "", 1);
        CHECK_ROW(r.files[f], rot_repair(&r, NULL) && strcmp(told_of(&r, r.files[f]), "ddrr") == 0);
    }
    rot_done(&r);
}

/* Of another vault, or of this one with other records in it: nothing of that is taken. */
TEST(a_copy_that_is_not_ours_gives_nothing)
{
    struct rot r, other;

    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    rot_make(&other);
    CHECK(rot_repair(&other, NULL));
    rot_copy(&other);
    for (size_t f = 0; f < ROT_FILES; f++) {
        rot_zero(&r, r.files[f], 1000, rot_size(&r, r.files[f]) - 1000);
        if (f == 0)
            rot_drop(&r, r.files[f], ".seal");
        CHECK_ROW(r.files[f], rot_repair(&r, other.copy) && r.done.sectors == 0);
        rot_restore(&r, r.files[f]);
    }
    rot_done(&other);
    rot_done(&r);
}

/* Damaged before it was sealed: sealed as it is, said, and a copy from before makes it whole. */
TEST(damage_before_the_seal_is_told_and_a_copy_heals_it)
{
    struct rot r;

    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    rot_copy(&r);
    for (size_t f = 0; f < ROT_FILES; f++) {
        rot_drop(&r, r.files[f], ".seal");
        rot_flip(&r, r.files[f], "", rot_size(&r, r.files[f]) / 2);
    }
    rot_drop(&r, "scrub", "");
    rot_reopen(&r);
    CHECK(rot_repair(&r, NULL) && r.done.seals == ROT_FILES);
    CHECK(rot_verify(&r) >= ROT_FILES && strstr(r.said, "can be repaired") == NULL);
    CHECK(rot_repair(&r, r.copy) && rot_verify(&r) == 0);
    for (size_t f = 0; f < ROT_FILES; f++)
        CHECK_ROW(r.files[f], rot_is_as_made(&r, r.files[f]));
    rot_done(&r);
}

TEST(a_back_up_without_seals_gets_them)
{
    struct rot r;

    rot_make(&r);
    CHECK(rot_repair(&r, NULL));
    for (size_t f = 0; f < ROT_FILES; f++)
        rot_drop(&r, r.files[f], ".seal");
    CHECK(rot_verify(&r) >= ROT_FILES); /* they should be there */
    rot_drop(&r, "scrub", "");
    CHECK(rot_verify(&r) == 0); /* none was ever made */
    rot_reopen(&r);
    CHECK(rot_repair(&r, NULL) && r.done.seals >= ROT_FILES && rot_verify(&r) == 0);
    rot_done(&r);
}

/* The n-th call that changes the disk fails, for more and more n: what is repaired stays so, the next try does the rest. */
TEST(a_repair_that_fails_anywhere_is_done_by_the_next)
{
    static const int errors[] = { EIO, ENOSPC };
    struct rot r;
    bool whole = false;
    long n = 1;

    rot_make(&r);
    for (unsigned round = 0; !whole; round++, n += 1 + n / 3) {
        CHECK(round < 60);
        if (round % 2 == 1)
            rot_destroy(&r, r.files[round / 2 % ROT_FILES], "", 2);
        rot_drop(&r, r.files[round % ROT_FILES], ".seal");
        whole = rot_repair_failing(&r, n, errors[round % 2]);
        rot_reopen(&r); /* a failed sync latches */
        CHECK(rot_all_serve(&r) == 0 || round % 2 == 1);
        CHECK(rot_repair(&r, NULL));
        for (size_t f = 0; f < ROT_FILES; f++)
            if (!rot_is_as_made(&r, r.files[f])) /* its seal was gone when it rotted */
                rot_restore(&r, r.files[f]);
        rot_drop(&r, "scrub", "");
        for (size_t f = 0; f < ROT_FILES; f++)
            rot_drop(&r, r.files[f], ".seal");
        rot_reopen(&r);
        CHECK(rot_repair(&r, NULL));
        CHECK_ROW(r.said, rot_verify(&r) == 0);
    }
    rot_done(&r);
}

TESTS(T(full_files_are_sealed_and_verify_clean), T(two_in_a_hundred_sectors_come_back), T(any_megabyte_comes_back),
      T(more_is_named_and_the_rest_serves), T(no_damage_ever_serves_wrong_bytes),
      T(a_seal_that_rots_is_named_and_made_again), T(file_and_seal_may_rot_together),
      T(a_block_lost_in_both_copies_is_found_out_again),
      T(a_file_that_is_cut_short_or_gone_comes_back_where_parity_suffices),
      T(what_fits_its_checksum_and_not_its_hash_is_not_written), T(what_was_told_as_damaged_is_told_when_it_is_whole), T(another_copy_gives_what_parity_cannot),
      T(a_copy_that_is_not_ours_gives_nothing), T(damage_before_the_seal_is_told_and_a_copy_heals_it),
      T(a_back_up_without_seals_gets_them),
      T(a_repair_that_fails_anywhere_is_done_by_the_next))
