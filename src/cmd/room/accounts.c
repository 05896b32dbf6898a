/* Tokens, enrolment, guesses. See accounts.h. */
#include "cmd/room/accounts.h"

#include <sodium.h>
#include <stdio.h>

/* No 0/O, 1/I/L, U: read aloud and typed at night. */
static const char letters[] = "23456789ABCDEFGHJKMNPQRSTVWXYZ";

void accounts_offer_enrolment(struct accounts *a)
{
    size_t at = 0;

    for (unsigned i = 0; i < ENROLMENT_CODE_CHARS; i++) {
        if (i > 0 && i % 4 == 0)
            a->enrolment_code[at++] = '-';
        a->enrolment_code[at++] = letters[randombytes_uniform(sizeof letters - 1)];
    }
    a->enrolment_code[at] = '\0';
}

void accounts_enrolled(struct accounts *a)
{
    sodium_memzero(a->enrolment_code, sizeof a->enrolment_code);
}

/* Letters and digits only, upper case, into out[ENROLMENT_CODE_CHARS]; false for another length. */
static bool plain_code(struct span code, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < code.len; i++) {
        char c = (char)code.ptr[i];

        if (c == '-' || c == ' ')
            continue;
        if (n == ENROLMENT_CODE_CHARS)
            return false;
        out[n++] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
    }
    return n == ENROLMENT_CODE_CHARS;
}

bool accounts_code_is(const struct accounts *a, struct span code)
{
    char want[ENROLMENT_CODE_CHARS], got[ENROLMENT_CODE_CHARS];

    return a->enrolment_code[0] != '\0' && plain_code(span_str(a->enrolment_code), want) && plain_code(code, got)
           && sodium_memcmp(want, got, sizeof want) == 0;
}

const struct token *accounts_sign_in(struct accounts *a, const char *user, uint64_t now_ms)
{
    struct token *oldest = &a->tokens[0];

    for (size_t i = 0; i < TOKENS_MAX && oldest->since_ms != 0; i++)
        if (a->tokens[i].since_ms == 0 || a->tokens[i].used_ms < oldest->used_ms)
            oldest = &a->tokens[i];
    randombytes_buf(oldest->bytes, sizeof oldest->bytes);
    (void)snprintf(oldest->user, sizeof oldest->user, "%s", user);
    oldest->since_ms = oldest->used_ms = now_ms == 0 ? 1 : now_ms;
    return oldest;
}

const struct token *accounts_find(struct accounts *a, struct span bytes, uint64_t now_ms)
{
    if (bytes.len != TOKEN_BYTES)
        return NULL;
    for (size_t i = 0; i < TOKENS_MAX; i++) {
        struct token *t = &a->tokens[i];

        if (t->since_ms == 0 || sodium_memcmp(t->bytes, bytes.ptr, TOKEN_BYTES) != 0)
            continue;
        if (now_ms - t->since_ms > TOKEN_LIFE_MS) {
            sodium_memzero(t, sizeof *t);
            return NULL;
        }
        t->used_ms = now_ms;
        return t;
    }
    return NULL;
}

void accounts_sign_out(struct accounts *a, struct span bytes)
{
    for (size_t i = 0; bytes.len == TOKEN_BYTES && i < TOKENS_MAX; i++)
        if (a->tokens[i].since_ms != 0 && sodium_memcmp(a->tokens[i].bytes, bytes.ptr, TOKEN_BYTES) == 0)
            sodium_memzero(&a->tokens[i], sizeof a->tokens[i]);
}

void accounts_sign_out_user(struct accounts *a, const char *user)
{
    for (size_t i = 0; i < TOKENS_MAX; i++)
        if (strcmp(a->tokens[i].user, user) == 0)
            sodium_memzero(&a->tokens[i], sizeof a->tokens[i]);
}

static const struct guesser *guesser_find(const struct accounts *a, const char *address, const char *user)
{
    for (size_t i = 0; i < GUESSERS_MAX; i++)
        if (a->guessers[i].wrong > 0 && strcmp(a->guessers[i].address, address) == 0
            && strcmp(a->guessers[i].user, user) == 0)
            return &a->guessers[i];
    return NULL;
}

uint64_t accounts_wait_ms(const struct accounts *a, const char *address, const char *user, uint64_t now_ms)
{
    const struct guesser *g = guesser_find(a, address, user);
    uint64_t wait = 1000;

    if (g == NULL || g->wrong < GUESSES_FREE)
        return 0;
    for (unsigned i = GUESSES_FREE; i < g->wrong && wait < GUESS_WAIT_MAX_MS; i++)
        wait *= 2;
    if (wait > GUESS_WAIT_MAX_MS)
        wait = GUESS_WAIT_MAX_MS;
    return now_ms - g->last_ms >= wait ? 0 : wait - (now_ms - g->last_ms);
}

void accounts_guessed(struct accounts *a, const char *address, const char *user, bool right, uint64_t now_ms)
{
    struct guesser *g = (struct guesser *)guesser_find(a, address, user);

    if (right) {
        if (g != NULL)
            g->wrong = 0;
        return;
    }
    for (size_t i = 0; g == NULL && i < GUESSERS_MAX; i++)
        if (a->guessers[i].wrong == 0)
            g = &a->guessers[i];
    if (g == NULL) { /* all taken: the one that waited longest makes place */
        g = &a->guessers[0];
        for (size_t i = 1; i < GUESSERS_MAX; i++)
            if (a->guessers[i].last_ms < g->last_ms)
                g = &a->guessers[i];
        g->wrong = 0;
    }
    if (g->wrong == 0) {
        (void)snprintf(g->address, sizeof g->address, "%s", address);
        (void)snprintf(g->user, sizeof g->user, "%s", user);
    }
    g->wrong++;
    g->last_ms = now_ms;
}
