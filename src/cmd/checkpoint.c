/* fanal checkpoint: the newest checkpoint for a drawer far from the machine. docs/cli.md is the specification. */
#include <sodium.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "cmd/checkpoint_page.h"
#include "cmd/local.h"
#include "cmd/options.h"
#include "cmd/qr.h"
#include "cmd/roles.h"
#include "vault/anchor.h"

#define PAGE_MAX ((size_t)1024 * 1024)

struct printed {
    const struct options *options;
    struct paper paper;
    struct span row; /* of the query, while it is given */
    struct writer out; /* owned */
    struct error err;
};

static void write_json(struct printed *p)
{
    const struct span note = fields_text(p->row, FIELD_SIGNED_NOTE), origin = fields_text(p->row, FIELD_ORIGIN);
    char root[2 * ROOT_BYTES + 1];
    struct writer lines = writer_new(1024);

    (void)sodium_bin2hex(root, sizeof root, p->paper.root, sizeof p->paper.root);
    write_printf(&p->out, "{\"origin\": \"%.*s\", \"size\": %llu, \"root\": \"%s\", \"printed\": %llu, \"vkey\": \"%.*s\", \"paper\": \"",
                 (int)origin.len, (const char *)origin.ptr, (unsigned long long)p->paper.size, root,
                 (unsigned long long)p->paper.time_s, (int)fields_text(p->row, FIELD_VKEY).len,
                 (const char *)fields_text(p->row, FIELD_VKEY).ptr);
    paper_write(&p->paper, &lines);
    for (size_t i = 0; i < lines.len; i++) /* letters of ours and newlines: nothing else wants to be escaped */
        write_str(&p->out, lines.ptr[i] == '\n' ? "\\n" : (char[]){ (char)lines.ptr[i], '\0' });
    write_str(&p->out, "\", \"note\": \"");
    for (size_t i = 0; i < note.len; i++)
        write_str(&p->out, note.ptr[i] == '\n' ? "\\n" : (char[]){ (char)note.ptr[i], '\0' });
    write_str(&p->out, "\"}\n");
    writer_done(&lines);
}

static void write_text(struct printed *p)
{
    const struct span note = fields_text(p->row, FIELD_SIGNED_NOTE), origin = fields_text(p->row, FIELD_ORIGIN);
    const time_t t = (time_t)p->paper.time_s;
    char when[32] = "";
    struct tm tm;

    if (gmtime_r(&t, &tm) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &tm);
    write_printf(&p->out, "Fanal checkpoint, %s\nlog      %.*s\nrecords  %llu\n\n", when, (int)origin.len,
                 (const char *)origin.ptr, (unsigned long long)p->paper.size);
    paper_write(&p->paper, &p->out);
    if (p->options->qr) {
        write_str(&p->out, "\n");
        (void)qr_terminal(note, &p->out, &p->err);
    }
}

static bool take(void *context, struct span row)
{
    struct printed *p = context;
    const struct span id = fields_text(row, FIELD_VAULT_ID), root = fields_text(row, FIELD_TREE_ROOT);

    if (id.len != sizeof p->paper.vault_id || root.len != sizeof p->paper.root)
        return error_set(&p->err, ERR_MALFORMED, "an answer without a checkpoint");
    memcpy(p->paper.vault_id, id.ptr, id.len);
    memcpy(p->paper.root, root.ptr, root.len);
    p->paper.size = fields_uint(row, FIELD_TREE_SIZE, 0);
    p->paper.time_s = clock_wall_us(&clock_system) / 1000000;
    p->row = row;
    if (p->options->print)
        (void)checkpoint_page(&p->paper, fields_text(row, FIELD_ORIGIN), fields_text(row, FIELD_SIGNED_NOTE), &p->out,
                              &p->err);
    else if (p->options->json)
        write_json(p);
    else
        write_text(p);
    return true;
}

int cmd_checkpoint(int argc, char **argv)
{
    struct options o;
    struct local l;
    struct printed p = { .options = &o, .out = writer_new(PAGE_MAX) };
    struct writer request = writer_new(256);
    bool ok;

    if (!options_parse(argc, argv, 1, OPTION_JSON | OPTION_PRINT, &o))
        return 2;
    field_put_str(&request, FIELD_QUERY, "checkpoint");
    ok = local_open(&l, o.arguments[0], o.key_file, &p.err)
         && session_find(l.session, writer_span(&request), take, &p, &p.err) && p.err.code == ERR_NONE
         && writer_ok(&p.out, &p.err, "checkpoint") && file_write_all(STDOUT_FILENO, writer_span(&p.out), &p.err);
    local_close(&l);
    writer_done(&request);
    writer_done(&p.out);
    return ok ? 0 : command_failed("checkpoint", &p.err);
}
