/* A checkpoint on paper: what is typed back is what was printed, and a slip of a finger is named by its line. */
#include "record/paper.h"

#include "../test.h"

static const struct paper sample = {
    .vault_id = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 1, 2, 3, 4, 5, 6, 7, 8 },
    .size = 123456789,
    .time_s = 1795000000,
    .root = { 0xff, 1, 0xfe, 2, 0xfd, 3, 0xfc, 4, 0xfb, 5, 0xfa, 6, 0xf9, 7, 0xf8, 8,
              0xf7, 9, 0xf6, 10, 0xf5, 11, 0xf4, 12, 0xf3, 13, 0xf2, 14, 0xf1, 15, 0xf0, 16 },
};

static char *printed(const struct paper *p)
{
    struct writer w = writer_new(1000);
    char *text;

    paper_write(p, &w);
    text = strndup((const char *)w.ptr, w.len);
    writer_done(&w);
    return text;
}

static bool same(const struct paper *a, const struct paper *b)
{
    return memcmp(a->vault_id, b->vault_id, sizeof a->vault_id) == 0 && a->size == b->size && a->time_s == b->time_s
           && memcmp(a->root, b->root, sizeof a->root) == 0;
}

static bool reads(const char *text, struct error *err)
{
    struct paper p;

    return paper_parse(span_str(text), &p, err) && same(&p, &sample);
}

TEST(what_is_printed_is_read_back)
{
    unsigned seed = 42;

    for (int i = 0; i < 1000; i++) {
        struct paper p = { .size = (uint64_t)rand_r(&seed) << 20, .time_s = (uint64_t)rand_r(&seed) }, back;
        char *text;

        for (size_t j = 0; j < sizeof p.root; j++)
            p.root[j] = (uint8_t)rand_r(&seed);
        for (size_t j = 0; j < sizeof p.vault_id; j++)
            p.vault_id[j] = (uint8_t)rand_r(&seed);
        text = printed(&p);
        CHECK(paper_parse(span_str(text), &back, NULL) && same(&p, &back));
        free(text);
    }
}

TEST(typed_as_people_type)
{
    char *text = printed(&sample), loose[400] = "", bare[400] = "", numbered[400] = "", framed[600];
    size_t n = 0, b = 0;

    for (const char *c = text; *c != '\0'; c++) { /* lower case, O for 0, l for 1, dashes for spaces */
        char k = *c == '0' ? 'o' : *c == ' ' ? '-' : *c;

        if (k == '1' && c[1] != ':')
            k = 'l';
        loose[n++] = k >= 'A' && k <= 'Z' ? (char)(k - 'A' + 'a') : k;
    }
    CHECK(reads(loose, NULL));
    for (const char *c = text; *c != '\0'; c++) /* without numbers and spaces */
        if (*c == '\n' || (*c != ' ' && *c != ':' && c[1] != ':'))
            bare[b++] = *c;
    CHECK(reads(bare, NULL));
    b = 0;
    for (const char *c = text; *c != '\0'; c++) /* its number without the colon */
        if (*c != ':')
            numbered[b++] = *c;
    CHECK(reads(numbered, NULL));
    (void)snprintf(framed, sizeof framed, "FANAL checkpoint\r\n2026-11-28, 12 records\n\n%s\nkeep it\n", text);
    CHECK(reads(framed, NULL));
    free(text);
}

TEST(every_wrong_character_and_every_swap_is_named_by_its_line)
{
    static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char *text = printed(&sample);
    unsigned line = 1;

    for (char *c = text; *c != '\0'; c++) {
        const char was = *c, next = c[1];
        char want[24];

        (void)snprintf(want, sizeof want, "line %u: ", line);
        if (was == '\n')
            line++;
        if (strchr(letters, was) == NULL || next == ':')
            continue;
        for (const char *l = letters; *l != '\0'; l++) {
            struct error err = { 0 };

            *c = *l;
            if (*l != was)
                CHECK_ROW(want, !reads(text, &err) && err.code == ERR_USAGE && strncmp(err.text, want, strlen(want)) == 0);
        }
        *c = was;
        if (strchr(letters, next) != NULL && next != was && next != '\0') {
            struct error err = { 0 };

            *c = next;
            c[1] = was;
            CHECK_ROW(want, !reads(text, &err) && strncmp(err.text, want, strlen(want)) == 0);
            *c = was;
            c[1] = next;
        }
    }
    free(text);
}

TEST(what_is_missing_is_said)
{
    char *text = printed(&sample), *third = strstr(text, "3:"), *fourth = strstr(text, "4:"), all[800];
    const struct {
        const char *name, *text, *want;
    } rows[] = {
        { "nothing", "", "line 1: is missing" },
        { "another letter", "1: U", "line 1: a character that is none of its alphabet" },
        { "short", "1: 04K7M XQ2VD", "line 1: 10 characters where 22 belong" },
        { "one line", "2: ", "line 2: 0 characters where 22 belong" },
    };
    struct error err = { 0 };

    EACH (row, rows)
        CHECK_ROW(row->name, !reads(row->text, &err) && strcmp(err.text, row->want) == 0);
    (void)snprintf(all, sizeof all, "%.*s%s", (int)(third - text), text, fourth);
    CHECK(!reads(all, &err) && strcmp(err.text, "line 3: is missing") == 0);
    (void)snprintf(all, sizeof all, "%s%.*s", text, (int)(fourth - third), third);
    CHECK(!reads(all, &err) && strcmp(err.text, "line 3: is there twice") == 0);
    third[0] = '4'; /* line 3 in the place of line 4 */
    fourth[0] = '3';
    CHECK(!reads(text, &err) && strncmp(err.text, "line 4: its check", 17) == 0);
    free(text);
}

TESTS(T(what_is_printed_is_read_back), T(typed_as_people_type),
      T(every_wrong_character_and_every_swap_is_named_by_its_line), T(what_is_missing_is_said))
