/* Queries for patients: by birth date and letters, by name, by identifier, by key. */
#include "record/fold.h"
#include "vault/querying.h"

#define FOUND_MAX QUERY_LIMIT_MAX
#define WORDS_MAX 8 /* words of a searched name that are looked at */

/* ---- a row ---- */

static void put_discrepancies(struct query *q, int64_t root)
{
    static const char *const names[] = { "", "patient_name", "birth_date", "sex" };
    struct sql_call c = sql_begin(&q->sql, Q_DISCREPANCIES);

    sql_int(&c, root);
    while (sql_row(&c)) {
        const struct span value = sql_get(&c, 1), source = sql_get(&c, 2);
        const int64_t what = sql_get_int(&c, 0);

        writer_reset(&q->scratch);
        write_str(&q->scratch, what > 0 && what < (int64_t)COUNT_OF(names) ? names[what] : "");
        write_str(&q->scratch, ": ");
        write_span(&q->scratch, value);
        if (source.len > 0) {
            write_str(&q->scratch, " (");
            write_span(&q->scratch, source);
            write_str(&q->scratch, ")");
        }
        field_put_text(&q->row, FIELD_DISCREPANCY, writer_span(&q->scratch));
    }
    sql_end(&c);
}

static void put_patient(struct query *q, int64_t root)
{
    struct sql_call c = sql_begin(&q->sql, Q_PATIENT);

    query_row(q);
    sql_int(&c, root);
    if (sql_row(&c)) {
        query_put_column(q, FIELD_PATIENT_KEY, &c, 0);
        query_put_column(q, FIELD_PATIENT_ID, &c, 1);
        query_put_column(q, FIELD_ISSUER, &c, 2);
        query_put_column(q, FIELD_PATIENT_NAME, &c, 3);
        query_put_column(q, FIELD_BIRTH_DATE, &c, 4);
        query_put_column(q, FIELD_SEX, &c, 5);
        query_put_number(q, FIELD_LATEST, &c, 6);
        query_put_number(q, FIELD_COUNT, &c, 7);
    }
    sql_end(&c);
    put_discrepancies(q, root);
}

/* ---- finding ---- */

struct found {
    int64_t roots[FOUND_MAX];
    size_t count, limit;
};

static void add_found(struct found *f, int64_t root)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->roots[i] == root)
            return;
    if (f->count < f->limit)
        f->roots[f->count++] = root;
}

/* Digits of a date as typed, folded letters: what the index holds. */
static bool by_birth_date(struct query *q, struct found *f, struct error *err)
{
    const struct span typed = query_text(q, FIELD_BIRTH_DATE);
    uint8_t digits[8];
    size_t len = 0;
    struct sql_call c;

    for (size_t i = 0; i < typed.len; i++)
        if (typed.ptr[i] >= '0' && typed.ptr[i] <= '9' && len < sizeof digits)
            digits[len++] = typed.ptr[i];
    if (len < 4)
        return error_set(err, ERR_MALFORMED, "a birth date begins with the four digits of its year");
    writer_reset(&q->scratch);
    fold_text(span_trim(query_text(q, FIELD_TEXT_QUERY), " "), &q->scratch);
    c = sql_begin(&q->sql, len == sizeof digits ? Q_BY_BIRTH_DATE : Q_BY_BIRTH_RANGE);
    sql_text(&c, span_of(digits, len));
    sql_text(&c, writer_span(&q->scratch));
    sql_int(&c, (int64_t)f->limit);
    while (sql_row(&c))
        add_found(f, sql_get_int(&c, 0));
    sql_end(&c);
    return true;
}

struct searched {
    struct span words[WORDS_MAX];
    uint8_t bytes[WORDS_MAX][FOLD_WORD_BYTES];
    size_t count;
};

static void add_searched(void *context, struct span word)
{
    struct searched *s = context;

    if (s->count == WORDS_MAX)
        return;
    memcpy(s->bytes[s->count], word.ptr, word.len);
    s->words[s->count] = span_of(s->bytes[s->count], word.len);
    s->count++;
}

/* The words as typed; fold_name_words() would add the whole written together, which need not match. */
static void words_of(struct query *q, struct span name, struct searched *s)
{
    while (name.len > 0) {
        size_t end = 0;

        while (end < name.len && strchr(" ^=-',.", name.ptr[end]) == NULL)
            end++;
        fold_name_words(span_part(name, 0, end), &q->scratch, add_searched, s);
        name = span_part(name, end + 1, name.len);
    }
}

static bool has_word(struct query *q, int64_t patient, struct span word)
{
    struct sql_call c = sql_begin(&q->sql, Q_HAS_WORD);
    bool has;

    sql_int(&c, patient);
    sql_text(&c, word);
    has = sql_row(&c);
    sql_end(&c);
    return has;
}

/* The longest word finds, the others must fit some word of the same patient. */
static bool by_name(struct query *q, struct found *f, struct error *err)
{
    struct searched s = { .count = 0 };
    struct sql_call c;
    size_t longest = 0;

    words_of(q, query_text(q, FIELD_PATIENT_NAME), &s);
    if (s.count == 0)
        return error_set(err, ERR_MALFORMED, "no name to search");
    for (size_t i = 1; i < s.count; i++)
        if (s.words[i].len > s.words[longest].len)
            longest = i;
    c = sql_begin(&q->sql, Q_BY_WORD);
    sql_text(&c, s.words[longest]);
    while (f->count < f->limit && sql_row(&c)) {
        bool all = true;

        for (size_t i = 0; i < s.count && all; i++)
            all = i == longest || has_word(q, sql_get_int(&c, 0), s.words[i]);
        if (all)
            add_found(f, sql_get_int(&c, 1));
    }
    sql_end(&c);
    return true;
}

static void by_identifier(struct query *q, struct found *f)
{
    struct span issuer;
    const bool of_issuer = fields_find(q->request, FIELD_ISSUER, &issuer) && issuer.len > 0;
    struct sql_call c = sql_begin(&q->sql, Q_BY_IDENTIFIER);

    sql_text(&c, span_trim(query_text(q, FIELD_PATIENT_ID), " "));
    sql_int(&c, of_issuer);
    sql_text(&c, of_issuer ? span_trim(issuer, " ") : span_of(NULL, 0));
    sql_int(&c, (int64_t)f->limit);
    while (sql_row(&c))
        add_found(f, sql_get_int(&c, 0));
    sql_end(&c);
}

bool query_patients(struct query *q, struct error *err)
{
    struct found f = { .limit = (size_t)query_limit(q) };

    if (query_text(q, FIELD_BIRTH_DATE).len > 0) {
        if (!by_birth_date(q, &f, err))
            return false;
    } else if (query_text(q, FIELD_PATIENT_ID).len > 0) {
        by_identifier(q, &f);
    } else if (!by_name(q, &f, err)) {
        return false;
    }
    for (size_t i = 0; i < f.count && !q->ended; i++) {
        put_patient(q, f.roots[i]);
        (void)query_give(q);
    }
    return true;
}

bool query_patient_root(struct query *q, int64_t *root, struct error *err)
{
    struct sql_call c = sql_begin(&q->sql, Q_ROOT_OF);
    bool found;

    sql_text(&c, query_text(q, FIELD_PATIENT_KEY));
    found = sql_row(&c);
    if (found)
        *root = sql_get_int(&c, 0);
    sql_end(&c);
    return found || (sql_ok(&q->sql, err) && error_set(err, ERR_NOT_FOUND, "no such patient"));
}

bool query_patient(struct query *q, struct error *err)
{
    struct sql_call c;
    int64_t root;
    size_t mark;

    if (!query_patient_root(q, &root, err))
        return false;
    put_patient(q, root);
    c = sql_begin(&q->sql, Q_ENCOUNTERS);
    sql_int(&c, root);
    while (sql_row(&c))
        field_put_bytes(&q->row, FIELD_ENCOUNTER, sql_get(&c, 0));
    sql_end(&c);
    c = sql_begin(&q->sql, Q_OTHER_IDS);
    sql_int(&c, root);
    while (sql_row(&c)) {
        mark = field_group_begin(&q->row, FIELD_OTHER_ID);
        query_put_column(q, FIELD_PATIENT_ID, &c, 0);
        query_put_column(q, FIELD_ISSUER, &c, 1);
        query_put_column(q, FIELD_ID_TYPE, &c, 2);
        field_group_end(&q->row, mark);
    }
    sql_end(&c);
    (void)query_give(q);
    return true;
}
