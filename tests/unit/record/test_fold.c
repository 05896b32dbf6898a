#include "record/fold.h"

#include "../test.h"

TEST(text_folds_to_what_is_searched)
{
    static const struct {
        const char *name, *text, *folded;
    } rows[] = {
        { "ASCII", "Dupont-MARTIN 42", "dupont-martin 42" },
        { "French", "\xc3\x89lo\xc3\xafse \xc5\x92uvr\xc3\xa9 \xc3\x87" "a", "eloise oeuvre ca" },
        { "German", "Gr\xc3\xb6\xc3\x9f" "e STRA\xe1\xba\x9e" "E", "grosse strasse" },
        { "Polish", "\xc5\x81ukasz \xc5\xbb\xc3\xb3\xc5\x82\xc4\x87", "lukasz zolc" },
        { "Turkish", "\xc4\xb0lk\xc4\xb1n", "ilkin" },
        { "Vietnamese", "Nguy\xe1\xbb\x85n", "nguyen" },
        { "combining accent", "e\xcc\x81l", "el" },
        { "Greek", "\xce\x94\xce\xb9\xce\xbf\xce\xbd\xcf\x8d\xcf\x83\xce\xb9\xce\xbf\xcf\x82",
          "\xce\xb4\xce\xb9\xce\xbf\xce\xbd\xcf\x85\xcf\x83\xce\xb9\xce\xbf\xcf\x83" },
        { "Cyrillic", "\xd0\x81\xd0\x9b\xd0\x9a\xd0\x90 \xd0\x99", "\xd0\xb5\xd0\xbb\xd0\xba\xd0\xb0 \xd0\xb8" },
        { "full width", "\xef\xbc\xa1\xef\xbd\x82", "ab" },
        { "ideographs stay", "\xe5\xb1\xb1\xe7\x94\xb0", "\xe5\xb1\xb1\xe7\x94\xb0" },
        { "Hangul stays", "\xea\xb9\x80", "\xea\xb9\x80" },
        { "not UTF-8 stays", "\xff\xc3(", "\xff\xc3(" },
        { "cut in a character", "a\xe5\xb1", "a\xe5\xb1" },
        { "overlong form stays", "\xc0\x81", "\xc0\x81" },
        { "nothing", "", "" },
    };

    EACH (row, rows) {
        struct writer w = writer_new(256);

        fold_text(span_str(row->text), &w);
        CHECK_ROW(row->name, !w.failed && span_equal(writer_span(&w), span_str(row->folded)));
        CHECK_ROW(row->name, w.len <= 3 * strlen(row->text));
        writer_done(&w);
    }
}

static void join_words(void *context, struct span word)
{
    write_span(context, word);
    write_u8(context, '|');
}

TEST(names_fall_into_words)
{
    static const struct {
        const char *name, *text, *words;
    } rows[] = {
        { "components", "DUPONT^Jean^M", "dupont|jean|m|" },
        { "hyphen", "Jean-Luc", "jean|luc|jeanluc|" },
        { "apostrophe", "O'Brien^Pat", "o|brien|obrien|pat|" },
        { "particles", "de la Tour^A", "de|la|tour|delatour|a|" },
        { "groups", "Yamada^Tarou=\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa", "yamada|tarou|\xe5\xb1\xb1\xe7\x94\xb0|\xe5\xa4\xaa|" },
        { "empty components", "^^ ^=", "" },
    };
    struct writer scratch = writer_new(4096);

    EACH (row, rows) {
        struct writer w = writer_new(256);

        fold_name_words(span_str(row->text), &scratch, join_words, &w);
        CHECK_ROW(row->name, span_equal(writer_span(&w), span_str(row->words)));
        writer_done(&w);
    }
    writer_done(&scratch);
}

struct counted {
    size_t words, longest;
};

static void count_word(void *context, struct span word)
{
    struct counted *c = context;

    c->words++;
    c->longest = word.len > c->longest ? word.len : c->longest;
    if ((word.ptr[word.len - 1] & 0xc0) == 0xc0)
        c->words = 1000; /* cut within a character */
}

TEST(a_name_has_a_bounded_number_of_bounded_words)
{
    struct writer scratch = writer_new(1 << 20), name = writer_new(1 << 20);
    struct counted c = { 0 };

    for (int i = 0; i < 5000; i++)
        write_str(&name, "a ");
    fold_name_words(writer_span(&name), &scratch, count_word, &c);
    CHECK(c.words == FOLD_WORDS_MAX);
    writer_reset(&name);
    c = (struct counted){ 0 };
    for (int i = 0; i < 500; i++)
        write_str(&name, "\xe5\xb1\xb1");
    fold_name_words(writer_span(&name), &scratch, count_word, &c);
    CHECK(c.words == 1 && c.longest == 63);
    writer_done(&scratch);
    writer_done(&name);
}

TESTS(T(text_folds_to_what_is_searched), T(names_fall_into_words), T(a_name_has_a_bounded_number_of_bounded_words))
