/* fanal list DIR [--json]: every record that an object or message left, one a line. docs/cli.md is the specification. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "cmd/json_row.h"
#include "cmd/local.h"
#include "cmd/options.h"
#include "cmd/roles.h"

/* Rows asked for at a time. */
#define PAGE 1000

struct page {
    bool json;
    uint64_t last;
    size_t rows;
};

static void print_text(struct span row, uint64_t position)
{
    static const enum field columns[] = { FIELD_KIND, FIELD_STATE, FIELD_PATIENT_ID, FIELD_PATIENT_NAME, FIELD_STUDY_UID,
                                          FIELD_SOP_UID };
    char received[CLOCK_RFC3339_SIZE];

    (void)printf("%" PRIu64 "\t%s", position, clock_rfc3339(fields_uint(row, FIELD_RECEIVED, 0), received));
    for (size_t i = 0; i < COUNT_OF(columns); i++) {
        (void)putchar('\t');
        print_plain(stdout, fields_text(row, columns[i]));
    }
    (void)putchar('\n');
}

/* The fields that scripts rely on are always there; what else the row has follows. */
static void print_json(struct span row)
{
    static const enum field always[] = { FIELD_POSITION, FIELD_KIND, FIELD_STATE, FIELD_STUDY_UID, FIELD_SERIES_UID,
                                         FIELD_SOP_UID, FIELD_TRANSFER_SYNTAX, FIELD_PATIENT_ID, FIELD_ISSUER,
                                         FIELD_PATIENT_NAME, FIELD_RECEIVED };

    print_json_row(stdout, row, always, COUNT_OF(always));
}

static bool each(void *context, struct span row)
{
    struct page *p = context;

    p->last = fields_uint(row, FIELD_POSITION, 0);
    p->rows++;
    if (p->json)
        print_json(row);
    else
        print_text(row, p->last);
    return true;
}

static bool print_all(struct local *l, struct page *p, struct error *err)
{
    struct writer request = writer_new(1024);
    bool first = true, ok = true;

    do {
        writer_reset(&request);
        field_put_str(&request, FIELD_QUERY, "list");
        field_put_uint(&request, FIELD_LIMIT, PAGE);
        if (!first)
            field_put_uint(&request, FIELD_AFTER, p->last);
        first = false;
        p->rows = 0;
        ok = session_find(l->session, writer_span(&request), each, p, err);
    } while (ok && p->rows == PAGE);
    writer_done(&request);
    return ok;
}

int cmd_list(int argc, char **argv)
{
    struct options o;
    struct local l;
    struct error err = { 0 };
    struct page p = { .json = false };
    bool ok;

    if (!options_parse(argc, argv, 1, OPTION_JSON, &o))
        return 2;
    p.json = o.json;
    ok = local_open(&l, o.arguments[0], o.key_file, &err) && print_all(&l, &p, &err);
    local_close(&l);
    return ok ? 0 : command_failed("list", &err);
}
