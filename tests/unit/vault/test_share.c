/* Shares: split and combined (against libgfshare), as words, and put together for a vault. */
#include "vault/share.h"

#include <libgfshare.h>

#include "store_test.h"
#include "vault/custody.h"
#include "vault/keyring_header.h"
#include "vault/shamir.h"

static const struct keyring_info info = {
    .vault_id = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
    .generation = 9,
    .unlockers = { { .kind = UNLOCKER_PASSPHRASE, .added = 1 },
                   { .kind = UNLOCKER_CUSTODIANS, .threshold = 3, .shares = 5, .added = 7 },
                   { .kind = UNLOCKER_CUSTODIANS, .threshold = 2, .shares = 2, .added = 8 } }
};

static void random_bytes(unsigned char *out, unsigned int len)
{
    seal_random(out, len);
}

/* Every k of n give the secret back; k - 1 of them do not. */
TEST(any_k_of_n_shares_give_the_secret_back_and_fewer_do_not)
{
    for (unsigned n = 2; n <= SHAMIR_SHARES_MAX; n++)
        for (unsigned k = 2; k <= n; k++) {
            uint8_t secret[KEY_BYTES], shares[SHAMIR_SHARES_MAX][KEY_BYTES], again[KEY_BYTES];
            uint8_t some[SHAMIR_SHARES_MAX][KEY_BYTES], numbers[SHAMIR_SHARES_MAX];

            seal_random(secret, sizeof secret);
            shamir_split(secret, k, n, shares);
            for (unsigned first = 0; first < n; first++) {
                for (unsigned i = 0; i < k; i++) {
                    numbers[i] = (uint8_t)((first + i) % n + 1);
                    memcpy(some[i], shares[numbers[i] - 1], KEY_BYTES);
                }
                shamir_combine(numbers, some, k, again);
                CHECK(memcmp(secret, again, KEY_BYTES) == 0);
                if (k > 2) {
                    shamir_combine(numbers, some, k - 1, again);
                    CHECK(memcmp(secret, again, KEY_BYTES) != 0);
                }
            }
        }
}

TEST(libgfshare_combines_ours_and_we_combine_its)
{
    for (unsigned round = 0; round < 200; round++) {
        uint8_t secret[KEY_BYTES], ours[5][KEY_BYTES], again[KEY_BYTES];
        unsigned char numbers[5] = { 1, 2, 3, 4, 5 };
        gfshare_ctx *g;

        gfshare_fill_rand = random_bytes;
        seal_random(secret, sizeof secret);
        shamir_split(secret, 3, 5, ours);
        g = gfshare_ctx_init_dec(numbers, 3, KEY_BYTES);
        for (unsigned i = 0; i < 3; i++)
            gfshare_ctx_dec_giveshare(g, (unsigned char)i, ours[i]);
        gfshare_ctx_dec_extract(g, again);
        gfshare_ctx_free(g);
        CHECK(memcmp(secret, again, KEY_BYTES) == 0);

        g = gfshare_ctx_init_enc(numbers, 5, 3, KEY_BYTES);
        gfshare_ctx_enc_setsecret(g, secret);
        for (unsigned i = 0; i < 5; i++)
            gfshare_ctx_enc_getshare(g, (unsigned char)i, ours[i]);
        gfshare_ctx_free(g);
        shamir_combine(numbers + 2, (const uint8_t(*)[KEY_BYTES])ours + 2, 3, again);
        CHECK(memcmp(secret, again, KEY_BYTES) == 0);
    }
}

static struct share some_share(void)
{
    struct share s = { .set = 7, .threshold = 3, .shares = 5, .number = 2 };

    memcpy(s.vault_id, info.vault_id, sizeof s.vault_id);
    seal_random(s.bytes, sizeof s.bytes);
    return s;
}

static bool same_share(const struct share *a, const struct share *b)
{
    return memcmp(a->vault_id, b->vault_id, SHARE_VAULT_ID_BYTES) == 0 && a->set == b->set
           && a->threshold == b->threshold && a->shares == b->shares && a->number == b->number
           && memcmp(a->bytes, b->bytes, KEY_BYTES) == 0;
}

TEST(words_undo_what_a_share_became)
{
    for (unsigned round = 0; round < 1000; round++) {
        struct share s = some_share(), back;
        char text[SHARE_TEXT_SIZE];
        struct error err = { 0 };

        s.shares = CUSTODIANS_MIN + round % (CUSTODIANS_MAX - 1);
        s.threshold = CUSTODIANS_MIN + round % (s.shares - 1);
        s.number = 1 + round % s.shares;
        s.set = (uint16_t)(round * 97);
        share_to_text(&s, text);
        for (size_t i = 0; round % 2 == 0 && text[i] != '\0'; i++) /* as a QR code has it, and on several lines */
            text[i] = (char)(text[i] == ' ' ? (i % 5 == 0 ? '\n' : ' ') : text[i] - 'a' + 'A');
        CHECK_OK(err, share_of_text(span_str(text), &back, &err));
        CHECK(same_share(&s, &back));
    }
}

/* Any one word changed into any other valid word: it is that one which is named. */
TEST(a_mistyped_word_is_named)
{
    static const char letters[] = "bdfghjklmnprstvz";
    struct share s = some_share(), back;
    char text[SHARE_TEXT_SIZE], want[64];

    share_to_text(&s, text);
    for (unsigned word = 0; word < SHARE_WORDS; word++)
        for (unsigned letter = 0; letter < 5; letter += 2)
            for (unsigned to = 0; to < 16; to++) {
                char *at = text + word * 6 + letter, was = *at;
                struct error err = { 0 };

                if (was == letters[to])
                    continue;
                *at = letters[to];
                snprintf(want, sizeof want, "word %u is mistyped", word + 1);
                CHECK(!share_of_text(span_str(text), &back, &err) && err.code == ERR_DAMAGED);
                CHECK_ROW(err.text, strcmp(err.text, want) == 0);
                *at = was;
            }
}

/* Two changed words, and two that changed places, are never taken, nor put down to a third. */
TEST(two_mistyped_words_are_said_to_be_more_than_one)
{
    struct share s = some_share(), back;
    char text[SHARE_TEXT_SIZE], swapped[SHARE_TEXT_SIZE];

    share_to_text(&s, text);
    for (unsigned a = 0; a < SHARE_WORDS; a++)
        for (unsigned b = a + 1; b < SHARE_WORDS; b++) {
            struct error err = { 0 };

            memcpy(swapped, text, sizeof text);
            memcpy(swapped + a * 6, text + b * 6, 5);
            memcpy(swapped + b * 6, text + a * 6, 5);
            if (memcmp(swapped, text, sizeof text) == 0)
                continue;
            CHECK(!share_of_text(span_str(swapped), &back, &err) && err.code == ERR_DAMAGED);
            CHECK_ROW(err.text, strcmp(err.text, "more than one word is mistyped") == 0);
        }
}

TEST(what_is_no_share_is_refused_for_its_own_fault)
{
    struct share s = some_share(), back;
    char good[SHARE_TEXT_SIZE], text[400];
    const struct {
        const char *name;
        const char *before, *behind; /* around the first 23 words, instead of the last */
        const char *want;
    } rows[] = {
        { "a word too few", "", "", "23 words, a share has 24" },
        { "a word too many", "", "babab babab", "25 words, a share has 24" },
        { "no vowel where one belongs", "", "bbbab", "word 24 is none" },
        { "too short", "", "baba", "word 24 is none" },
        { "a letter that no word has", "", "cabab", "word 24 is none" },
    };

    share_to_text(&s, good);
    good[23 * 6] = '\0';
    EACH(row, rows)
    {
        struct error err = { 0 };

        snprintf(text, sizeof text, "%s%s%s", row->before, good, row->behind);
        CHECK_ROW(row->name, !share_of_text(span_str(text), &back, &err) && err.code == ERR_MALFORMED);
        CHECK_ROW(err.text, strstr(err.text, row->want) != NULL);
    }
    CHECK(!share_of_text(SPAN_LIT(""), &back, NULL));
    s.number = 6; /* of 5 */
    share_to_text(&s, good);
    CHECK(!share_of_text(span_str(good), &back, NULL));
}

TEST(custodians_open_together_and_strangers_are_named)
{
    uint8_t secret[CUSTODY_SECRET_BYTES], again[CUSTODY_SECRET_BYTES];
    struct share shares[5], others[2], foreign;
    char text[5][SHARE_TEXT_SIZE], other[SHARE_TEXT_SIZE];
    struct error err = { 0 };
    struct custody *c = custody_new(&info, &err);

    CHECK_OK(err, c != NULL);
    custody_secret_new(secret);
    CHECK(secret_kind(span_of(secret, sizeof secret)) == UNLOCKER_CUSTODIANS);
    CHECK_OK(err, custody_split(&info, 1, span_of(secret, sizeof secret), shares, &err));
    CHECK(custody_split(&info, 2, span_of(secret, sizeof secret), others, &err));
    CHECK(!custody_split(&info, 0, span_of(secret, sizeof secret), shares, &err) && err.code == ERR_USAGE);
    for (unsigned i = 0; i < 5; i++)
        share_to_text(&shares[i], text[i]);
    CHECK(custody_needed(c) == 2 && custody_given(c) == 0);
    CHECK_OK(err, custody_give(c, span_str(text[4]), &err));
    CHECK(custody_needed(c) == 3 && custody_given(c) == 1);
    CHECK(!custody_secret(c, again, &err) && err.code == ERR_BUSY);
    CHECK(!custody_give(c, span_str(text[4]), &err) && strcmp(err.text, "share 5 is given already") == 0);
    share_to_text(&others[0], other);
    CHECK(!custody_give(c, span_str(other), &err) && strstr(err.text, "of set 8, the others are of set 7") != NULL);
    foreign = shares[1];
    foreign.vault_id[3] ^= 1;
    share_to_text(&foreign, other);
    CHECK(!custody_give(c, span_str(other), &err) && strcmp(err.text, "this share is of another vault") == 0);
    foreign = shares[1];
    foreign.set = 5;
    share_to_text(&foreign, other);
    CHECK(!custody_give(c, span_str(other), &err) && strstr(err.text, "no longer has") != NULL);
    CHECK(custody_give(c, span_str(text[0]), &err) && custody_give(c, span_str(text[2]), &err));
    CHECK_OK(err, custody_secret(c, again, &err));
    CHECK(memcmp(secret, again, sizeof secret) == 0);
    custody_reset(c);
    CHECK(custody_given(c) == 0);
    custody_free(c);
}

TESTS(T(any_k_of_n_shares_give_the_secret_back_and_fewer_do_not), T(libgfshare_combines_ours_and_we_combine_its),
      T(words_undo_what_a_share_became), T(a_mistyped_word_is_named),
      T(two_mistyped_words_are_said_to_be_more_than_one), T(what_is_no_share_is_refused_for_its_own_fault),
      T(custodians_open_together_and_strangers_are_named))
