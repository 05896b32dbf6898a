/* See vault_fixture.h. */
#include "vault_fixture.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static const struct log no_log = { .fd = -1, .clock = &clock_system };
static struct writer text_of_rows;
static uint64_t next_second = 1700000000;

/* ---- directories ---- */

static void remove_tree(const char *path)
{
    DIR *d = opendir(path);

    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char child[512];

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(child, sizeof child, "%s/%s", path, e->d_name);
        if (unlink(child) != 0)
            remove_tree(child);
    }
    if (d != NULL)
        (void)closedir(d);
    (void)rmdir(path);
}

static void give_up(const struct error *err)
{
    print_error("%s: %s\n", error_name(err->code), err->text);
    _assert_true(0, "vault", __FILE__, __LINE__);
}

static void open_vault(struct fixture *f)
{
    f->vault = vault_open(f->dir, &f->options, &f->err);
    if (f->vault == NULL || (f->reader = vault_reader_new(f->vault, &f->err)) == NULL)
        give_up(&f->err);
}

void fixture_init(struct fixture *f)
{
    *f = (struct fixture){ .dir = "/tmp/fanal-views-XXXXXX",
                           .options = { .store = { .clock = &clock_system, .log = &no_log },
                                        .timezone = "Europe/Paris" } };
    next_second = 1700000000;
    if (mkdtemp(f->dir) == NULL || !vault_create(f->dir, &f->options, &f->err))
        give_up(&f->err);
    open_vault(f);
}

void fixture_close(struct fixture *f)
{
    vault_reader_free(f->reader);
    vault_close(f->vault);
    f->reader = NULL;
    f->vault = NULL;
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    open_vault(f);
}

void fixture_done(struct fixture *f)
{
    fixture_close(f);
    fake_store_forget();
    remove_tree(f->dir);
    writer_done(&text_of_rows);
}

/* ---- field lists from text ---- */

static enum field field_named(struct span name)
{
    for (int number = 1; number < 600; number++) {
        const char *n = field_name((enum field)number);

        if (n != NULL && span_equal(name, span_str(n)))
            return (enum field)number;
    }
    print_error("no field %.*s\n", (int)name.len, (const char *)name.ptr);
    abort();
}

static void write_fields(struct writer *w, struct span *text)
{
    while (text->len > 0 && text->ptr[0] != '}') {
        size_t name = 0, end;
        enum field f;

        while (text->ptr[name] != '=' && text->ptr[name] != '{')
            name++;
        f = field_named(span_part(*text, 0, name));
        if (text->ptr[name] == '{') {
            const size_t mark = field_group_begin(w, f);

            *text = span_part(*text, name + 1, text->len);
            write_fields(w, text);
            *text = span_part(*text, 1, text->len);
            field_group_end(w, mark);
        } else {
            for (end = name + 1; end < text->len && text->ptr[end] != ';' && text->ptr[end] != '}';)
                end++;
            if (field_type_of(f) == FIELD_TYPE_UINT)
                field_put_uint(w, f, strtoull((const char *)text->ptr + name + 1, NULL, 10));
            else
                field_put_text(w, f, span_part(*text, name + 1, end - name - 1));
            *text = span_part(*text, end, text->len);
        }
        if (text->len > 0 && text->ptr[0] == ';')
            *text = span_part(*text, 1, text->len);
    }
}

struct span fields_of(const char *text)
{
    static uint8_t ring[64][4096];
    static size_t next;
    struct writer w = writer_new(4096);
    struct span s = span_str(text), out;

    write_fields(&w, &s);
    if (w.failed)
        abort();
    next = (next + 1) % 64;
    if (w.len > 0)
        memcpy(ring[next], w.ptr, w.len);
    out = span_of(ring[next], w.len);
    writer_done(&w);
    return out;
}

/* ---- records and rows ---- */

uint64_t put_at(struct fixture *f, enum record_kind kind, uint64_t received_s, const char *facts)
{
    struct append a = { .kind = kind, .facts = fields_of(facts), .received_us = received_s * 1000000 };
    struct completion done[8];
    uint64_t position;

    if (!vault_append(f->vault, &a, &position, &f->err))
        give_up(&f->err);
    store_kick(vault_store(f->vault));
    while (vault_completed(f->vault, done, COUNT_OF(done)) > 0) {
    }
    return position;
}

uint64_t put(struct fixture *f, enum record_kind kind, const char *facts)
{
    return put_at(f, kind, next_second++, facts);
}

static void write_row(struct writer *w, struct span row)
{
    struct fields_reader r = fields_over(row);
    struct field_value v;
    bool first = true;

    while (fields_next(&r, &v)) {
        if (!first)
            write_str(w, ";");
        first = false;
        write_str(w, field_name(v.field));
        if (field_type_of(v.field) == FIELD_TYPE_GROUP) {
            write_str(w, "{");
            write_row(w, v.value);
            write_str(w, "}");
        } else if (field_type_of(v.field) == FIELD_TYPE_UINT) {
            write_printf(w, "=%llu", (unsigned long long)field_uint(v.value));
        } else if (field_type_of(v.field) == FIELD_TYPE_BYTES) {
            write_printf(w, "=(%zu bytes)", v.value.len);
        } else {
            write_str(w, "=");
            write_span(w, v.value);
        }
    }
}

static bool add_row(void *context, struct span row)
{
    struct writer *w = context;

    write_row(w, row);
    write_str(w, "\n");
    return true;
}

const char *find(struct fixture *f, const char *request)
{
    struct error err = { .code = ERR_NONE };

    writer_done(&text_of_rows);
    text_of_rows = writer_new((size_t)64 * 1024 * 1024);
    if (!vault_find(f->reader, fields_of(request), add_row, &text_of_rows, &err)) {
        writer_reset(&text_of_rows);
        write_printf(&text_of_rows, "error: %s", error_name(err.code));
    }
    write_u8(&text_of_rows, 0);
    return (const char *)text_of_rows.ptr;
}

size_t find_count(struct fixture *f, const char *request)
{
    size_t count = 0;

    for (const char *p = find(f, request); (p = strchr(p, '\n')) != NULL; p++)
        count++;
    return count;
}

struct value_sink {
    enum field field;
    struct writer value;
    bool done;
};

static bool take_value(void *context, struct span row)
{
    struct value_sink *s = context;

    write_span(&s->value, fields_text(row, s->field));
    s->done = true;
    return false;
}

const char *find_value(struct fixture *f, const char *request, enum field field)
{
    static char values[2][1024];
    static int next;
    struct value_sink s = { .field = field, .value = writer_new(1023) };
    struct error err;

    next = !next;
    values[next][0] = '\0';
    if (vault_find(f->reader, fields_of(request), take_value, &s, &err) && s.value.len > 0) {
        if (field_type_of(field) == FIELD_TYPE_UINT)
            (void)snprintf(values[next], sizeof values[next], "%llu",
                           (unsigned long long)field_uint(writer_span(&s.value)));
        else
            (void)span_to_str(writer_span(&s.value), values[next], sizeof values[next]);
    }
    writer_done(&s.value);
    return values[next];
}

const char *key_of(struct fixture *f, const char *patient_id)
{
    char request[256];

    (void)snprintf(request, sizeof request, "query=patients;patient_id=%s", patient_id);
    return find_value(f, request, FIELD_PATIENT_KEY);
}
