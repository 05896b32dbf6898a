/* Shares as words. See share.h. */
#include "vault/share.h"

#define CHECK_WORDS 3u
#define DATA_WORDS  (SHARE_WORDS - CHECK_WORDS)
#define FIELD       0x100bu /* x^16 = x^12 + x^3 + x + 1; x generates the multiplicative group */

static const char consonants[] = "bdfghjklmnprstvz";
static const char vowels[] = "aiou";

/* ---- words ---- */

static void word_to_text(uint16_t word, char out[SHARE_WORD_LETTERS])
{
    out[0] = consonants[word >> 12];
    out[1] = vowels[word >> 10 & 3];
    out[2] = consonants[word >> 6 & 15];
    out[3] = vowels[word >> 4 & 3];
    out[4] = consonants[word & 15];
}

/* The place of a letter; false where it is not one of them. */
static bool letter(uint8_t c, const char *of, unsigned *out)
{
    if (c >= 'A' && c <= 'Z')
        c = (uint8_t)(c - 'A' + 'a');
    for (unsigned i = 0; of[i] != '\0'; i++)
        if ((uint8_t)of[i] == c) {
            *out = i;
            return true;
        }
    return false;
}

bool share_word(struct span text, uint16_t *out)
{
    unsigned word = 0, value = 0;

    if (text.len != SHARE_WORD_LETTERS)
        return false;
    for (unsigned i = 0; i < SHARE_WORD_LETTERS; i++) {
        if (!letter(text.ptr[i], i % 2 == 0 ? consonants : vowels, &value))
            return false;
        word = i % 2 == 0 ? word << 4 | value : word << 2 | value;
    }
    *out = (uint16_t)word;
    return true;
}

/* ---- check words: the polynomial of all words is 0 at 1, x and x^2 ---- */

static uint16_t multiply(uint16_t a, uint16_t b)
{
    uint16_t product = 0;

    for (int i = 0; i < 16; i++) {
        product ^= (uint16_t)(a & (uint16_t) - (b & 1));
        a = (uint16_t)((a << 1) ^ (FIELD & (uint16_t) - (a >> 15)));
        b >>= 1;
    }
    return product;
}

/* (z + 1)(z + x)(z + x^2), without its z^3: 8, 8 + 4 + 2 = 14, 7. */
static void add_check_words(uint16_t words[SHARE_WORDS])
{
    static const uint16_t generator[CHECK_WORDS] = { 7, 14, 8 };
    uint16_t rest[CHECK_WORDS] = { 0 };

    for (unsigned i = 0; i < DATA_WORDS; i++) {
        uint16_t lead = words[i] ^ rest[0];

        for (unsigned j = 0; j < CHECK_WORDS; j++)
            rest[j] = (j + 1 < CHECK_WORDS ? rest[j + 1] : 0) ^ multiply(lead, generator[j]);
    }
    memcpy(words + DATA_WORDS, rest, sizeof rest);
}

static uint16_t value_at(const uint16_t words[SHARE_WORDS], uint16_t x)
{
    uint16_t y = 0;

    for (unsigned i = 0; i < SHARE_WORDS; i++)
        y = multiply(y, x) ^ words[i];
    return y;
}

/*
 * A single wrong word at the power p of z leaves e, e x^p, e x^2p at 1, x, x^2: that is where it is. Two wrong ones
 * never look like that (the code's distance is 4).
 */
static bool check_words_fit(const uint16_t words[SHARE_WORDS], struct error *err)
{
    const uint16_t s0 = value_at(words, 1), s1 = value_at(words, 2), s2 = value_at(words, 4);
    uint16_t at = 1;

    if (s0 == 0 && s1 == 0 && s2 == 0)
        return true;
    for (unsigned p = 0; p < SHARE_WORDS; p++) {
        if (s0 != 0 && multiply(s0, at) == s1 && multiply(s1, at) == s2)
            return error_set(err, ERR_DAMAGED, "word %u is mistyped", SHARE_WORDS - p);
        at = multiply(at, 2);
    }
    return error_set(err, ERR_DAMAGED, "more than one word is mistyped");
}

/* ---- shares ---- */

void share_to_text(const struct share *s, char out[SHARE_TEXT_SIZE])
{
    uint16_t words[SHARE_WORDS] = { 0 };

    words[0] = (uint16_t)(SHARE_VERSION << 12 | (s->threshold - 1) << 8 | (s->shares - 1) << 4 | (s->number - 1));
    for (unsigned i = 0; i < SHARE_VAULT_ID_BYTES / 2; i++)
        words[1 + i] = (uint16_t)(s->vault_id[2 * i] << 8 | s->vault_id[2 * i + 1]);
    words[4] = s->set;
    for (unsigned i = 0; i < KEY_BYTES / 2; i++)
        words[5 + i] = (uint16_t)(s->bytes[2 * i] << 8 | s->bytes[2 * i + 1]);
    add_check_words(words);
    for (unsigned i = 0; i < SHARE_WORDS; i++) {
        word_to_text(words[i], out + (size_t)i * (SHARE_WORD_LETTERS + 1));
        out[(size_t)i * (SHARE_WORD_LETTERS + 1) + SHARE_WORD_LETTERS] = ' ';
    }
    out[SHARE_TEXT_SIZE - 1] = '\0';
    seal_wipe(words, sizeof words);
}

bool share_of_words(const uint16_t words[SHARE_WORDS], struct share *out, struct error *err)
{
    struct share s = { .set = words[4],
                       .threshold = (words[0] >> 8 & 15) + 1u,
                       .shares = (words[0] >> 4 & 15) + 1u,
                       .number = (words[0] & 15) + 1u };

    if (!check_words_fit(words, err))
        return false;
    if (words[0] >> 12 != SHARE_VERSION)
        return error_set(err, ERR_UNSUPPORTED, "a share of version %u", words[0] >> 12);
    if (s.threshold < CUSTODIANS_MIN || s.threshold > s.shares || s.number > s.shares)
        return error_set(err, ERR_MALFORMED, "share %u of %u of which %u are needed", s.number, s.shares, s.threshold);
    for (unsigned i = 0; i < SHARE_VAULT_ID_BYTES; i++)
        s.vault_id[i] = (uint8_t)(words[1 + i / 2] >> (i % 2 == 0 ? 8 : 0));
    for (unsigned i = 0; i < KEY_BYTES; i++)
        s.bytes[i] = (uint8_t)(words[5 + i / 2] >> (i % 2 == 0 ? 8 : 0));
    *out = s;
    seal_wipe(&s, sizeof s);
    return true;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool share_of_text(struct span text, struct share *out, struct error *err)
{
    uint16_t words[SHARE_WORDS] = { 0 };
    unsigned count = 0;
    bool ok = true;

    for (size_t at = 0, end; ok && at < text.len; at = end) {
        for (end = at; end < text.len && !is_space(text.ptr[end]); end++)
            ;
        if (end == at) {
            end++;
            continue;
        }
        if (count < SHARE_WORDS && !share_word(span_part(text, at, end - at), &words[count]))
            ok = error_set(err, ERR_MALFORMED, "word %u is none: five letters, consonant and vowel in turn", count + 1);
        count++;
    }
    if (ok && count != SHARE_WORDS)
        ok = error_set(err, ERR_MALFORMED, "%u words, a share has %u", count, SHARE_WORDS);
    ok = ok && share_of_words(words, out, err);
    seal_wipe(words, sizeof words);
    return ok;
}
