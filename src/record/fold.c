/* Folding for search. See fold.h. */
#include "record/fold.h"

struct fold_row {
    uint32_t character;
    const char *folded;
};

static const struct fold_row rows[] = {
#define FOLD(character, folded) { character, folded },
#include "record/fold_table.h"
#undef FOLD
};

#define COMBINING_FIRST 0x0300u /* Combining Diacritical Marks */
#define COMBINING_LAST 0x036fu

/* Bytes of the UTF-8 character at s[at], and the character; 1 and the byte itself where it is not UTF-8 (RFC 3629). */
static size_t character_at(struct span s, size_t at, uint32_t *out)
{
    const uint8_t lead = s.ptr[at];
    const size_t len = lead < 0xc2 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 1;
    uint32_t c = len == 1 ? lead : lead & (0xffu >> (len + 1));

    *out = lead;
    if (len > s.len - at)
        return 1;
    for (size_t i = 1; i < len; i++) {
        if ((s.ptr[at + i] & 0xc0) != 0x80)
            return 1;
        c = c << 6 | (s.ptr[at + i] & 0x3fu);
    }
    *out = c;
    return len;
}

static const char *folded_of(uint32_t character)
{
    size_t low = 0, high = COUNT_OF(rows);

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (rows[middle].character == character)
            return rows[middle].folded;
        if (rows[middle].character < character)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void fold_text(struct span text, struct writer *w)
{
    for (size_t at = 0; at < text.len;) {
        uint32_t c;
        const size_t len = character_at(text, at, &c);
        const char *folded = len > 1 ? folded_of(c) : NULL;

        if (len == 1)
            write_u8(w, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : (uint8_t)c);
        else if (folded != NULL)
            write_str(w, folded);
        else if (c < COMBINING_FIRST || c > COMBINING_LAST)
            write_span(w, span_part(text, at, len));
        at += len;
    }
}

static bool separates_components(uint8_t b)
{
    return b == '^' || b == '=' || b == '&' || b == '~' || b == '\\' || b == '\n';
}

static bool separates_words(uint8_t b)
{
    return separates_components(b) || b == ' ' || b == '-' || b == '\'' || b == ',' || b == '.' || b == '/' || b == '('
           || b == ')' || b == '"' || b == '*' || b == '_' || b == '\t' || b == '\0';
}

struct words {
    fold_word *word;
    void *context;
    size_t given;
};

static void give(struct words *w, struct span word)
{
    if (word.len > FOLD_WORD_BYTES) {
        word.len = FOLD_WORD_BYTES;
        while (word.len > 0 && (word.ptr[word.len] & 0xc0) == 0x80)
            word.len--;
    }
    if (word.len == 0 || w->given == FOLD_WORDS_MAX)
        return;
    w->given++;
    w->word(w->context, word);
}

/* One folded component: its words, then (where there are several) all of it written together. */
static void give_component(struct words *w, struct span component)
{
    uint8_t together[FOLD_WORD_BYTES + 4];
    size_t len = 0, parts = 0;

    for (size_t at = 0; at < component.len;) {
        size_t end = at;

        while (end < component.len && !separates_words(component.ptr[end])) {
            if (len < sizeof together)
                together[len++] = component.ptr[end];
            end++;
        }
        if (end > at) {
            give(w, span_part(component, at, end - at));
            parts++;
        }
        at = end + 1;
    }
    if (parts > 1 && len < sizeof together)
        give(w, span_of(together, len));
}

void fold_name_words(struct span name, struct writer *scratch, fold_word *word, void *context)
{
    struct words w = { .word = word, .context = context };
    struct span folded;

    writer_reset(scratch);
    fold_text(name, scratch);
    folded = writer_span(scratch);
    for (size_t at = 0; at < folded.len;) {
        size_t end = at;

        while (end < folded.len && !separates_components(folded.ptr[end]))
            end++;
        give_component(&w, span_part(folded, at, end - at));
        at = end + 1;
    }
}
