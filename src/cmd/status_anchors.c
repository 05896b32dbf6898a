/* Anchors in the status. See status_anchors.h. */
#include "cmd/status_anchors.h"

#include <stdio.h>
#include <stdlib.h>

#include "cmd/json_row.h"

struct told {
    bool json;
    size_t count;
};

static bool print_keys(void *context, struct span row)
{
    static const char *const names[] = { "log_vkey", "witness_vkey" };
    struct told *t = context;
    struct fields_reader r = fields_over(row);
    struct field_value v;

    while (fields_next(&r, &v))
        if (v.field == FIELD_VKEY && t->count < COUNT_OF(names)) { /* names and base64 of our own: nothing to escape */
            (void)printf(t->json ? ", \"%s\": \"%.*s\"" : "%-20s %.*s\n", names[t->count++], (int)v.value.len,
                         (const char *)v.value.ptr);
        }
    return true;
}

/* print_json_row() ends a line; here it is one of many in one. */
static bool print_member(struct span row, const enum field *always, size_t count, bool more)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL)
        return false;
    print_json_row(out, row, always, count);
    if (fclose(out) == 0 && len > 0)
        (void)printf("%s%.*s", more ? ", " : "", (int)len - 1, text);
    free(text);
    return true;
}

static bool print_anchor(void *context, struct span row)
{
    static const enum field always[] = { FIELD_KIND, FIELD_NAME, FIELD_STATE, FIELD_LATEST, FIELD_TREE_SIZE, FIELD_EVERY_S };
    struct told *t = context;
    const struct span kind = fields_text(row, FIELD_KIND), name = fields_text(row, FIELD_NAME),
                      state = fields_text(row, FIELD_STATE), reason = fields_text(row, FIELD_REASON);

    if (t->json)
        return print_member(row, always, COUNT_OF(always), t->count++ > 0);
    (void)printf("%-20.*s %.*s: %.*s", (int)kind.len, (const char *)kind.ptr, (int)name.len, (const char *)name.ptr,
                 (int)state.len, (const char *)state.ptr);
    if (fields_uint(row, FIELD_LATEST, 0) != 0)
        (void)printf(", last %llu s ago with %llu records", (unsigned long long)fields_uint(row, FIELD_AGE_S, 0), (unsigned long long)fields_uint(row, FIELD_TREE_SIZE, 0));
    (void)fputs(reason.len > 0 ? " (" : "", stdout);
    print_plain(stdout, reason); /* a stranger's words may be in it */
    (void)fputs(reason.len > 0 ? ")\n" : "\n", stdout);
    return true;
}

bool status_anchors(struct session *s, bool json, struct error *err)
{
    struct told told = { json, 0 };
    struct writer request = writer_new(64);
    bool ok;

    field_put_str(&request, FIELD_QUERY, "checkpoint");
    ok = session_find(s, writer_span(&request), print_keys, &told, err);
    told.count = 0;
    writer_reset(&request);
    field_put_str(&request, FIELD_QUERY, "anchors");
    if (ok && json)
        (void)fputs(", \"anchors\": [", stdout);
    ok = ok && session_find(s, writer_span(&request), print_anchor, &told, err);
    if (ok && json)
        (void)fputs("]", stdout);
    writer_done(&request);
    return ok;
}
