/* Sign-in tokens, the enrolment code, and how guessing is slowed down without locking anybody out. */
#include "cmd/room/accounts.h"

#include "../test.h"

TEST(the_enrolment_code_is_read_as_people_type_it)
{
    struct accounts a = { 0 };
    char lower[ENROLMENT_CODE_CHARS + 4], spaced[ENROLMENT_CODE_CHARS + 4];

    CHECK(!accounts_code_is(&a, SPAN_LIT(""))); /* none is offered */
    accounts_offer_enrolment(&a);
    CHECK(strlen(a.enrolment_code) == ENROLMENT_CODE_CHARS + 3);
    for (size_t i = 0; i < sizeof lower; i++) {
        char c = a.enrolment_code[i];

        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        spaced[i] = c == '-' ? ' ' : c;
    }
    CHECK(accounts_code_is(&a, span_str(a.enrolment_code)));
    CHECK(accounts_code_is(&a, span_str(lower)) && accounts_code_is(&a, span_str(spaced)));
    CHECK(!accounts_code_is(&a, span_part(span_str(lower), 0, 18)));
    CHECK(!accounts_code_is(&a, SPAN_LIT("22222222222222223")));
    lower[0] = lower[0] == 'a' ? 'b' : 'a';
    CHECK(!accounts_code_is(&a, span_str(lower)));
    accounts_enrolled(&a);
    CHECK(!accounts_code_is(&a, span_str(spaced)) && !accounts_code_is(&a, SPAN_LIT("")));
}

TEST(a_token_lives_for_a_shift)
{
    static struct accounts a;
    uint8_t bytes[TOKEN_BYTES];
    const struct token *t = accounts_sign_in(&a, "house", 1000);

    memcpy(bytes, t->bytes, sizeof bytes);
    CHECK(strcmp(accounts_find(&a, span_of(bytes, sizeof bytes), 2000)->user, "house") == 0);
    CHECK(accounts_find(&a, span_of(bytes, sizeof bytes - 1), 2000) == NULL);
    CHECK(accounts_find(&a, span_of(bytes, sizeof bytes), 1000 + TOKEN_LIFE_MS) != NULL);
    CHECK(accounts_find(&a, span_of(bytes, sizeof bytes), 1001 + TOKEN_LIFE_MS) == NULL);
    CHECK(accounts_find(&a, span_of(bytes, sizeof bytes), 2000) == NULL); /* and is forgotten */
}

TEST(signing_out_ends_one_token)
{
    static struct accounts a;
    uint8_t one[TOKEN_BYTES], two[TOKEN_BYTES];

    memcpy(one, accounts_sign_in(&a, "house", 1)->bytes, sizeof one);
    memcpy(two, accounts_sign_in(&a, "house", 1)->bytes, sizeof two);
    accounts_sign_out(&a, span_of(one, sizeof one));
    CHECK(accounts_find(&a, span_of(one, sizeof one), 2) == NULL);
    CHECK(accounts_find(&a, span_of(two, sizeof two), 2) != NULL);
}

TEST(one_more_browser_than_there_is_room_for_signs_out_the_one_unused_longest)
{
    static struct accounts a;
    uint8_t first[TOKEN_BYTES], second[TOKEN_BYTES];

    memcpy(first, accounts_sign_in(&a, "a", 1)->bytes, sizeof first);
    memcpy(second, accounts_sign_in(&a, "b", 2)->bytes, sizeof second);
    for (unsigned i = 2; i < TOKENS_MAX; i++)
        (void)accounts_sign_in(&a, "c", 3 + i);
    (void)accounts_find(&a, span_of(first, sizeof first), 5000);
    (void)accounts_sign_in(&a, "d", 5001);
    CHECK(accounts_find(&a, span_of(first, sizeof first), 5002) != NULL);
    CHECK(accounts_find(&a, span_of(second, sizeof second), 5002) == NULL);
}

TEST(guessing_gets_slower_and_never_stops_for_good)
{
    static struct accounts a;
    uint64_t now = 1000;

    for (unsigned i = 0; i < GUESSES_FREE; i++) {
        CHECK(accounts_wait_ms(&a, "10.0.0.1", "house", now) == 0);
        accounts_guessed(&a, "10.0.0.1", "house", false, now);
    }
    CHECK(accounts_wait_ms(&a, "10.0.0.1", "house", now) == 1000);
    CHECK(accounts_wait_ms(&a, "10.0.0.2", "house", now) == 0); /* from another PC she gets in */
    CHECK(accounts_wait_ms(&a, "10.0.0.1", "cuddy", now) == 0);
    for (unsigned i = 0; i < 100; i++)
        accounts_guessed(&a, "10.0.0.1", "house", false, now);
    CHECK(accounts_wait_ms(&a, "10.0.0.1", "house", now) == GUESS_WAIT_MAX_MS);
    CHECK(accounts_wait_ms(&a, "10.0.0.1", "house", now + GUESS_WAIT_MAX_MS) == 0);
    accounts_guessed(&a, "10.0.0.1", "house", true, now);
    CHECK(accounts_wait_ms(&a, "10.0.0.1", "house", now) == 0);
}

TEST(more_guessers_than_there_is_room_for_push_out_the_oldest)
{
    static struct accounts a;
    char address[16];

    for (unsigned i = 0; i < GUESSERS_MAX + 5; i++)
        for (unsigned n = 0; n < GUESSES_FREE; n++) {
            (void)snprintf(address, sizeof address, "10.0.%u.%u", i / 256, i % 256);
            accounts_guessed(&a, address, "house", false, 1000 + i);
        }
    CHECK(accounts_wait_ms(&a, address, "house", 1000 + GUESSERS_MAX + 5) > 0);
    CHECK(accounts_wait_ms(&a, "10.0.0.0", "house", 1000 + GUESSERS_MAX) == 0);
}

TESTS(T(the_enrolment_code_is_read_as_people_type_it), T(a_token_lives_for_a_shift), T(signing_out_ends_one_token),
      T(one_more_browser_than_there_is_room_for_signs_out_the_one_unused_longest),
      T(guessing_gets_slower_and_never_stops_for_good), T(more_guessers_than_there_is_room_for_push_out_the_oldest))
